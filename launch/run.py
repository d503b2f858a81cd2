"""Runs an agent against an environment in real time.

python launch/run.py --flagfile=configs/boxing.flags
python launch/run.py --environment=gymnasium/CartPole-v1 --rate_hz=50 --duration_s=30
"""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # until a run begins there is nothing to end cleanly

import sys

from absl import flags
from rich.console import Console

import rtrl_jax
from rtrl_jax.command import define_flags, run_command
from rtrl_jax.settings import Settings
from rtrl_jax.telemetry.terminal import print_summary

define_flags(Settings)


def main() -> None:
    sys.path.append("")  # modules of the user's own that register an environment
    chosen = {name: flags.FLAGS[name].value for name in Settings.__dataclass_fields__}
    summary = rtrl_jax.run(**chosen)
    if chosen["display"] != "none":
        print_summary(Console(highlight=False), summary, summary["run_dir"])


if __name__ == "__main__":
    sys.exit(run_command(main))
