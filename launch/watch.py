"""Shows a run that has ended in the browser: its timeline, its delays and its curves."""

import sys

from rtrl_jax.commands.watch import command

if __name__ == "__main__":
    sys.exit(command())
