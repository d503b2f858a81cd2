"""What tests share: the command line as a user types it, and a look at what a run leaves behind."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(pathlib.Path(__file__).parent))
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# What has been compiled is kept from one test run to the next, where runs keep theirs.
CACHE = os.environ.get("RTRL_CACHE", str(pathlib.Path.home() / ".cache" / "rtrl_jax"))
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", CACHE)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell has it for what it starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)


def command(*flags: str) -> list[str]:
    return [sys.executable, str(ROOT / "launch" / "run.py"), *flags]


@pytest.fixture
def launch():
    """Runs launch/run.py with flags and returns the finished process."""

    def run(*flags: str, timeout: float = 120, **kwargs):
        return subprocess.run(command(*flags), capture_output=True, text=True, timeout=timeout, **kwargs)

    return run


def processes_with(text: str) -> list[int]:
    """Process ids whose command line contains `text`."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if text in line:
                found.append(int(entry.name))
    return found
