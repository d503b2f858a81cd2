"""This machine: where its compiled programs and measured plans are kept, and what its processor is and can do."""

import functools
import os
import pathlib
import platform


def cache_folder() -> pathlib.Path:
    """Where this machine's compiled programs and measured plans are kept."""
    return pathlib.Path(os.environ.get("RTRL_CACHE", pathlib.Path.home() / ".cache" / "rtrl_jax"))


@functools.cache
def processor() -> dict[str, str]:
    """The first processor's lines in /proc/cpuinfo; nothing where that is not."""
    text = pathlib.Path("/proc/cpuinfo").read_text() if platform.system() == "Linux" else ""
    lines = [line.partition(":") for line in text.split("\n\n")[0].splitlines()]
    return {name.strip(): value.strip() for name, _, value in lines}


def processor_name() -> str:
    """Letters, digits and hyphens."""
    name = "-".join(processor().get(key, "") for key in ("model name", "cpu family", "model"))
    return "".join(letter if letter.isalnum() else "-" for letter in name)
