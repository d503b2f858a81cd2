"""Plays many runs of one flagfile, one for each cell of a grid of flags and each seed, on all cores at low priority."""

import sys

from rtrl_jax.commands.sweep import command

if __name__ == "__main__":
    sys.exit(command())
