"""Runs an agent against an environment in real time."""

import sys

from rtrl_jax.commands.run import command

if __name__ == "__main__":
    sys.exit(command())
