"""Records a demonstration of one of our own games, played by a script, to learn from first."""

import sys

from rtrl_jax.commands.demonstrate import command

if __name__ == "__main__":
    sys.exit(command())
