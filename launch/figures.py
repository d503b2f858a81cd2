"""Draws every picture of results/ anew, and writes the pages of results/paper, from the tables that are committed there."""

import sys

from rtrl_jax.commands.figures import command

if __name__ == "__main__":
    sys.exit(command())
