"""Staggering: keeping the answers of N inference workers evenly spaced in time (paper section 3.2, Appendix A).

The algorithms are state machines without a clock, a process or shared memory: time taken in, waits or tickets out. So the
same code serves real runs, simulated ones and property tests. `max_time` and `expected_time` are the paper's Algorithms
1 and 2, `bounded` is Algorithm 1 with an estimate that can fall, `free` is no staggering at all, `ticket` is ours,
`fixed` the spacing of the paper's simulation.
"""

from rtrl_jax.stagger.bounded import Bounded
from rtrl_jax.stagger.expected_time import ExpectedTime
from rtrl_jax.stagger.fixed import Fixed
from rtrl_jax.stagger.free import Free
from rtrl_jax.stagger.max_time import MaxTime
from rtrl_jax.stagger.ticket import Ticket

__all__ = ["Bounded", "ExpectedTime", "Fixed", "Free", "MaxTime", "Ticket", "make"]


def make(name: str, table, *, quantile: float = 0.0):
    """The algorithm `name` (max_time, expected_time or none) over a table of announcements.

    Args:
      table: float64 [N, columns], see `announcements`.
      quantile: for max_time, 0 for the paper's maximum, else the quantile of the bounded variant.
    """
    if name == "max_time":
        return Bounded(table, quantile) if quantile else MaxTime(table)
    return {"expected_time": ExpectedTime, "none": Free}[name](table)
