"""Draws pictures from run folders and results."""

import sys

from rtrl_jax.commands.plot import command

if __name__ == "__main__":
    sys.exit(command())
