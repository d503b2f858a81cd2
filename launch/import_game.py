"""Brings a Game Boy game that you own into the data folder, with the paper's save states, and says what is missing."""

import sys

from rtrl_jax.commands.import_game import command

if __name__ == "__main__":
    sys.exit(command())
