"""Return against delay, for agents that learn in small worlds written in JAX: many seeds in minutes, no real time."""

import sys

from rtrl_jax.commands.laboratory import command

if __name__ == "__main__":
    sys.exit(command())
