"""A game in the browser, for you to play: at its real speed, and with the delay that an agent has."""

import sys

from rtrl_jax.commands.play import command

if __name__ == "__main__":
    sys.exit(command())
