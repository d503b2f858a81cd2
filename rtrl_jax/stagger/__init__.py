"""Staggering: keeping the answers of N inference workers evenly spaced in time (paper section 3.2, Appendix A).

The algorithms are state machines without a clock, a process or shared memory: time taken in, waits or tickets out. So the
same code serves real runs, simulated ones and property tests. `max_time` and `expected_time` are the paper's Algorithms
1 and 2, `bounded` is Algorithm 1 with an estimate that can fall, `free` is no staggering at all, `ticket` is ours,
`fixed` the spacing of the paper's simulation. `registry` knows them by name.
"""

from rtrl_jax.stagger.bounded import Bounded
from rtrl_jax.stagger.expected_time import ExpectedTime
from rtrl_jax.stagger.fixed import Cadence, Fixed
from rtrl_jax.stagger.free import Free
from rtrl_jax.stagger.max_time import MaxTime
from rtrl_jax.stagger.registry import ALGORITHMS, NAMES, Algorithm, by_name, label_of, make, make_dispatcher, n_star
from rtrl_jax.stagger.ticket import Ticket, playout_for

__all__ = [
    "ALGORITHMS",
    "NAMES",
    "Algorithm",
    "Bounded",
    "Cadence",
    "ExpectedTime",
    "Fixed",
    "Free",
    "MaxTime",
    "Ticket",
    "by_name",
    "label_of",
    "make",
    "make_dispatcher",
    "n_star",
    "playout_for",
]
