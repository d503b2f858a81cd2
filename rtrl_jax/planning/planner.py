"""From how long an inference and an update take to a plan: how many processes, what delay, what inaction, what regret.

Pure: what is measured comes in as `Timing`s, what is expected of a number of workers from a function. Names are the paper's.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rtrl_jax import stagger, theory

# Of interacting: name -> what it is called. Staggering is worth its name where it spaces; tickets, the way of ours, come last.
WAYS = {"sequential": "sequential"} | {
    way.name: way.label
    for way in sorted(stagger.ALGORITHMS.values(), key=lambda way: way.hands_out_tickets)
    if way.name != "none"
}
LEARNING_HORIZON_S = 3600.0


class Timing(NamedTuple):
    """How long something takes, and how that is known."""

    ms: np.ndarray  # float64 [samples], milliseconds
    how: str  # measured, taken or extrapolated
    note: str = ""

    def summary(self) -> dict:
        p50, p99, p995 = (float(value) for value in np.quantile(self.ms, (0.5, 0.99, 0.995)))
        return {
            "samples": len(self.ms),
            "mean_ms": float(self.ms.mean()),
            "p50_ms": p50,
            "p99_ms": p99,
            "p995_ms": p995,
            "max_ms": float(self.ms.max()),
            "how": self.how,
            "note": self.note,
        }


class Facts(NamedTuple):
    """What a plan is made from."""

    rate_hz: float
    tau_theta: Timing
    tau_l: Timing | None  # None if nothing is learned
    learn_every: int  # ticks or decisions for each update
    cores: int
    p_minimax: float
    learn_per: str = "tick"  # or "decision"

    @property
    def tau_ticks(self) -> np.ndarray:
        return self.tau_theta.ms * self.rate_hz / 1e3

    @property
    def tau_l_ticks(self) -> float:
        """The mean; 0 if nothing is learned."""
        return float(self.tau_l.ms.mean()) * self.rate_hz / 1e3 if self.tau_l else 0.0


class Split(NamedTuple):
    """How cores are given out, next to the environment's."""

    inference: int  # workers
    learners: int
    cores: int  # used in all
    why: str


def workers_needed(way: str, tau_ticks: np.ndarray) -> int:
    """N_I* of a way of interacting, for samples of τ_θ/τ_M (see `stagger.n_star` and docs/semantics.md)."""
    return 1 if way == "sequential" else stagger.n_star(way, tau_ticks)


def learners_needed(facts: Facts) -> int:
    """N_L*, by decision for one in every tick, the most there can be; 0 if nothing is learned."""
    return theory.n_l_star(facts.tau_l_ticks, 1.0, facts.learn_every) if facts.tau_l else 0


def poisson_inaction(workers: int, tau_ticks: np.ndarray) -> float:
    """e^(−N τ_M/τ̄): the ticks in which none of N workers answers, once their phases are random."""
    return math.exp(-workers / float(tau_ticks.mean()))


def split(cores: int, workers: int, learners: int) -> Split:
    """Who gets which of `cores`, as `core.assembly.by_cores` does it. Args: workers, learners: as many as are needed."""
    others = cores - 1
    if not others:
        why = "one core for everything: environment, inference and learning slow each other down, expect worse"
        return Split(1, min(1, learners), 1, why)
    inference = min(workers, others)
    spare = others - inference
    if not learners:
        why = "one core for the environment, the rest for inference"
        return Split(inference, 0, 1 + inference, why)
    if not spare:
        why = (
            "one core for the environment; inference has the others, since a missed tick is lost for good while slow "
            "learning only learns later; one learner shares the environment's core, at low priority"
        )
        return Split(inference, 1, 1 + inference, why)
    given = min(learners, spare)
    why = "one core for the environment, then inference, then learners"
    return Split(inference, given, 1 + inference + given, why + ("" if given == learners else ": what is left"))


def sequential_outcome(facts: Facts) -> tuple[float, float, float]:
    """(inaction, mean delay in ticks, updates a second) where inference and learning block each other.

    A decision takes ⌈τ_θ/τ_M⌉ ticks, and an update is made after it if one is due. With an update in between, an inference
    begins anywhere within a tick.
    """
    whole = float(np.maximum(theory.ticks_of(facts.tau_ticks, 1.0), 1).mean())
    if not facts.tau_l:
        return 1 - 1 / whole, whole, 0.0
    mean, update, every = float(facts.tau_ticks.mean()), facts.tau_l_ticks, facts.learn_every
    if mean + update <= 1:  # both fit into a tick
        return 0.0, 1.0, facts.rate_hz / every
    extra = max(0.0, update - (whole - mean))  # learning fills the wait for the boundary first
    if facts.learn_per == "decision":
        cycle, share = whole + extra / every, 1 / every
    elif whole + extra >= every:
        cycle, share = whole + extra, 1.0
    else:
        cycle = whole / (1 - extra / every)
        share = cycle / every
    delay = (1 - share) * whole + share * max(whole, mean + 1)
    return 1 - 1 / cycle, delay, share / cycle * facts.rate_hz


def regret(inaction: float, delays: np.ndarray, rate_hz: float, p_minimax: float) -> dict:
    """Theorem 1's terms, in units of reward: inaction and delay a second, learning in the first hour, up to its constant.

    Args:
      inaction: share of the ticks left to β, below 1.
      delays: in ticks, of the actions that act. Their first tick is free: see `theory.delay_regret`.
    """
    tau_m, tau_i = 1 / rate_hz, 1 / rate_hz / (1 - inaction)
    return {
        "inaction_per_s": theory.inaction_regret(1.0, tau_i, tau_m),
        "delay_per_s": theory.delay_regret(1.0, tau_i, np.asarray(delays) * tau_m, tau_m, p_minimax, free_ticks=1),
        "learning_first_hour": theory.learning_regret(LEARNING_HORIZON_S, tau_i, constant=1.0),
    }


def outcome(way: str, workers: int, learners: int, facts: Facts, expect: Callable) -> dict:
    """What to expect of one way of interacting with so many processes; None for what nobody can tell.

    Args: expect: (way, workers, τ in ticks) -> (inaction, delays in ticks), or None; see `planning.expected`.
    """
    if way == "sequential":
        inaction, delay, updates = sequential_outcome(facts)
        delays = np.array([delay])
    else:
        expected = expect(way, workers, facts.tau_ticks)
        inaction, delays = expected if expected else (None, np.array([]))
    wanted = facts.rate_hz / facts.learn_every if facts.tau_l else 0.0
    if facts.learn_per == "decision":
        wanted *= 1 - (inaction or 0.0)
    if way != "sequential":
        updates = min(wanted, learners * facts.rate_hz / facts.tau_l_ticks) if facts.tau_l else 0.0
    acts = len(delays) > 0 and inaction < 1
    return {
        "inference_workers": workers,
        "learners": learners,
        "inaction": inaction,
        "delay_ticks": float(delays.mean()) if acts else None,
        "delay_ms": float(delays.mean()) * 1e3 / facts.rate_hz if acts else None,
        "updates_per_s": updates,
        "updates_wanted_per_s": wanted,
        "regret": regret(inaction, delays, facts.rate_hz, facts.p_minimax) if acts else None,
    }


def plan(facts: Facts, expect: Callable, memory: Callable) -> dict:
    """The whole plan, for each of `WAYS`: with as many cores as it needs, and with the cores given.

    Args:
      expect: see `outcome`.
      memory: (way, workers, learners) -> dict of bytes, with a "total".
    """
    tau, ways = facts.tau_ticks, {}
    for way in WAYS:
        workers, learners = workers_needed(way, tau), learners_needed(facts)
        if way == "sequential":
            learners = min(learners, 1)  # in the same process
            needed = Split(1, learners, 2, "the environment and one agent process, which infers and learns in turn")
            given = needed if facts.cores > 1 else needed._replace(cores=1)
        else:
            needed = split(1 + workers + learners, workers, learners)
            given = split(facts.cores, workers, learners)
        ways[way] = {
            name: {
                "cores": how.cores,
                **outcome(way, how.inference, how.learners, facts, expect),
                "memory": memory(way, how.inference, how.learners),
                "split": how.why,
            }
            for name, how in (("enough_cores", needed), ("given_cores", given))
        }
    ways["expected_time"]["poisson_inaction"] = poisson_inaction(workers_needed("expected_time", tau), tau)
    ways["ticket"]["playout_ticks"] = stagger.playout_for(tau)
    # With a late head a worker is occupied until its decision is due (docs/semantics.md).
    ways["ticket"]["late_head_workers"] = max(workers_needed("ticket", tau), stagger.playout_for(tau))
    return {
        "tick_ms": 1e3 / facts.rate_hz,
        "rate_hz": facts.rate_hz,
        "tau_theta": facts.tau_theta.summary(),
        "tau_l": facts.tau_l.summary() if facts.tau_l else None,
        "learn_every": facts.learn_every,
        "learn_per": facts.learn_per,
        "cores": facts.cores,
        "p_minimax": facts.p_minimax,
        "ways": ways,
        "obtained": _obtained(facts),
    }


def _obtained(facts: Facts) -> dict:
    """Where each kind of number comes from."""
    simulated = f"simulated: the real loops on a simulated clock, with τ_θ {facts.tau_theta.how}"
    closed = f"closed form, with τ_θ {facts.tau_theta.how}" + (f", τ_L {facts.tau_l.how}" if facts.tau_l else "")
    return {
        "inference_workers": f"N_I*, with τ_θ {facts.tau_theta.how}",
        "learners": f"N_L*, with τ_L {facts.tau_l.how}" if facts.tau_l else "nothing is learned",
        "inaction, delay of asynchronous ways": simulated,
        "inaction, delay, updates of sequential": closed,
        "regret": "Theorem 1's terms (rtrl_jax.theory) from that inaction and delay; learning up to a constant factor",
    }


class PowerLaw(NamedTuple):
    """τ = coefficient · work^exponent, fitted in logarithms."""

    coefficient: float
    exponent: float
    residual: float  # the largest relative error of the fit at a point it was made from
    points: list  # of (work, τ)

    def at(self, work: float) -> float:
        return self.coefficient * work**self.exponent

    def __str__(self) -> str:
        low, high = (f"{work / 1e9:.3g}" for work in (min(self.points)[0], max(self.points)[0]))
        return (
            f"fit on {len(self.points)} sizes of {low} to {high} GFLOP: τ ∝ FLOP^{self.exponent:.2f}, "
            f"off by {self.residual:.0%} at most there"
        )


def power_law(points) -> PowerLaw:
    """Least squares in logarithms. Args: points: (work, τ) pairs, at least two of different work, all above 0."""
    work, tau = np.log(np.array(points, float).T)
    exponent, constant = np.polyfit(work, tau, 1)
    errors = np.abs(np.expm1(constant + exponent * work - tau))
    points = [(float(w), float(t)) for w, t in points]
    return PowerLaw(float(np.exp(constant)), float(exponent), float(errors.max()), points)


def line(points, x: float) -> float:
    """The value at x of the least-squares line that does not fall. Args: points: (x, y) pairs, at least two."""
    xs, ys = np.array(points, float).T
    slope = max(0.0, float(np.polyfit(xs, ys, 1)[0]))
    return float(ys.mean() + slope * (x - xs.mean()))
