"""Checkpoints of a run: `RUN/checkpoints/<tick>`, each a folder that is either there and whole, or not there.

`store` is the format on disk, `replay` the part of it that grows with what the agent has seen, `writer` makes one while a run
goes on, `restoring` puts one back on a board, `policy` reads what it takes to act. Nothing is pickled.
"""

from rtrl_jax.checkpoints.policy import Policy, load_policy

__all__ = ["Policy", "load_policy"]
