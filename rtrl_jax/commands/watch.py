"""Shows a run that has ended in the browser: its timeline, its delays and its curves.

rtrl-watch runs/20260101-120000-Boxing
"""

import pathlib

from absl import flags

from rtrl_jax.flags import run_command
from rtrl_jax.page import listener

PAGE = flags.DEFINE_integer("page", 8000, "port to serve it on; 0 takes any that is free")
PAGE_HOST = flags.DEFINE_string(
    "page_host", "127.0.0.1", "address to serve it on; beyond this machine it asks for a token"
)


def main(run: str) -> None:
    with listener.opened(PAGE.value, PAGE_HOST.value) as page:
        from rtrl_jax.page import finished
        from rtrl_jax.page.foreground import until_interrupted

        records = finished.FinishedRun(pathlib.Path(run))
        print(f"{run} is shown at {page.url} (Ctrl-C ends this)", flush=True)
        until_interrupted(lambda until: finished.show(records, page, until))


def command() -> int:
    return run_command(main, operands=("RUN",))
