"""How many workers it takes: N_I* and N_L* against τ and against parameters, for every way of staggering (Figures 7 and 8)."""

import sys

from rtrl_jax.commands.scaling import command

if __name__ == "__main__":
    sys.exit(command())
