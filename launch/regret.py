"""Measures regret a second against Theorem 1, for sequential and staggered interaction, in worlds whose best policy is known."""

import sys

from rtrl_jax.commands.regret import command

if __name__ == "__main__":
    sys.exit(command())
