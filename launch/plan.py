"""Says what it takes to act in real time with a network of some size: processes, cores, delay, memory, and what is lost."""

import sys

from rtrl_jax.commands.plan import command

if __name__ == "__main__":
    sys.exit(command())
