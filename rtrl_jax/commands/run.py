"""Runs an agent against an environment in real time.

rtrl-run --flagfile=boxing
rtrl-run --environment=gymnasium/CartPole-v1 --rate_hz=50 --duration_s=30

A run ends when --duration_s, --max_ticks or --max_episodes says so, or when you do: Ctrl-C, SIGTERM and SIGHUP end it in good
order, with all that a run leaves behind. Exit status: 0, it has ended, in any of these ways (`ended_by` in summary.json says
which); 1, it failed; 2, bad input, and nothing has been written.
"""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # until a run begins there is nothing to end cleanly

import sys

from absl import flags
from rich.console import Console

import rtrl_jax
from rtrl_jax import flagfiles
from rtrl_jax.flags import run_command, values
from rtrl_jax.settings import Settings
from rtrl_jax.telemetry.terminal import print_summary

RESUME = flags.DEFINE_bool(
    "resume", False, "go on with the run in --run_dir from its newest checkpoint; flags given change it"
)


def main() -> None:
    sys.path.append("")  # modules of the user's own that register an environment
    chosen = values(Settings)
    if RESUME.value:
        if chosen["run_dir"] is None:
            raise rtrl_jax.UserError("--resume: say which run with --run_dir=RUN")
        given = {name: value for name, value in chosen.items() if flags.FLAGS[name].present and name != "run_dir"}
        summary = rtrl_jax.resume(chosen["run_dir"], **given)
    else:
        summary = rtrl_jax.run(**chosen)
    if chosen["display"] != "none":
        print_summary(Console(highlight=False), summary, summary["run_dir"])


def command() -> int:
    epilogue = f"Flagfiles in the box, e.g. --flagfile=duel: {', '.join(flagfiles.names())}."
    return run_command(main, settings=Settings, epilogue=epilogue)
