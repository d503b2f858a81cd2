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
flags.DEFINE_bool("resume", False, "go on with the run in --run_dir from its newest checkpoint; flags given change it")
flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS["resume"])


def main() -> None:
    sys.path.append("")  # modules of the user's own that register an environment
    chosen = {name: flags.FLAGS[name].value for name in Settings.__dataclass_fields__}
    if flags.FLAGS.resume:
        if chosen["run_dir"] is None:
            raise rtrl_jax.UserError("--resume: say which run with --run_dir=RUN")
        given = {name: value for name, value in chosen.items() if flags.FLAGS[name].present and name != "run_dir"}
        summary = rtrl_jax.resume(chosen["run_dir"], **given)
    else:
        summary = rtrl_jax.run(**chosen)
    if chosen["display"] != "none":
        print_summary(Console(highlight=False), summary, summary["run_dir"])


if __name__ == "__main__":
    sys.exit(run_command(main))
