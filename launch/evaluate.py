"""Evaluates a checkpoint, random play or doing nothing over many episodes, with the delay and inaction of a model of any size."""

import sys

from rtrl_jax.commands.evaluate import command

if __name__ == "__main__":
    sys.exit(command())
