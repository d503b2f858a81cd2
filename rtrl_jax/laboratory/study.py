"""Return against delay: every world, way of interacting and delay, with as many seeds as are asked for."""

import itertools
import math
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rtrl_jax import statistics
from rtrl_jax.laboratory import learn, minatar, semi_mdp, timing
from rtrl_jax.laboratory.worlds import WORLDS, World
from rtrl_jax.pending import Pending


class Arm(NamedTuple):
    """A way to take part."""

    label: str
    sequential: bool = False
    pending: str = "none"  # of `pending.KINDS`
    newest: bool = False  # see `semi_mdp.Manner`
    holds: bool = False  # a decision acts for as many ticks as an inference takes, and then the next is due
    immediate: bool = False  # inference takes no more than a tick, whatever is asked for


ARMS = {
    "async": Arm("asynchronous"),
    "sequential": Arm("sequential", sequential=True),
    "history": Arm("asynchronous, history", pending="history"),
    "late": Arm("late head", pending="late"),
    "newest": Arm("late head at every tick", pending="late", newest=True),
    "hold": Arm("asynchronous, holding", holds=True),
    "oracle": Arm("without delay", immediate=True),
}
BOUNDED = ("async", "sequential", "history", "late")  # whose best return `World.best` is: it speaks of a constant delay
WORKERS = ("enough", "needed", "half", "one")
NAMES = (*WORLDS, *minatar.NAMES)
BYTES_AT_ONCE = 512 << 20  # of all agents in one program: nearly all of it replay


@cache
def world(name: str) -> World:
    """One of `NAMES`. Raises UserError if what it needs is not installed."""
    return WORLDS[name] if name in WORLDS else minatar.world(name)


class Measured(NamedTuple):
    """One agent, evaluated greedily after it has learnt."""

    environment: str
    interaction: str  # of `ARMS`
    inference: int  # mean inference time, ticks
    seed: int
    mean_return: float  # of an episode
    random_return: float  # of actions drawn at random, at the same times
    inaction: float  # share of the ticks
    delay: float | None  # mean, ticks; None if no decision ever acted


class Circumstances(NamedTuple):
    """What all agents of a study have in common."""

    spread: float = 0.0  # inference time is uniform in `delay · (1 ± spread)`
    cv: float = 0.0  # or of a gamma distribution with this coefficient of variation
    workers: str = (
        "enough"  # of `WORKERS`: needed is N*, ⌈mean⌉ or, where a worker waits until its decision is due, the playout
    )
    encoding: str = "onehot"  # of `pending.ENCODINGS`

    def window(self, arm: Arm, delay: int) -> int:
        """In ticks, for one inference time."""
        longest = timing.window_for(1 if arm.immediate else delay, self.spread, self.cv)
        return 2 * longest if arm.newest else longest  # features serve until the next are there

    def latency(self, arm: Arm, delay: int) -> timing.Latency:
        mean = 1 if arm.immediate else delay
        waits = arm.pending == "late" and not arm.newest
        needed = timing.playout_for(mean, self.spread, self.cv) if waits else mean
        workers = {"enough": None, "needed": needed, "half": math.ceil(needed / 2), "one": 1}[self.workers]
        every = delay if arm.holds else 1
        how = {"workers": workers, "every": every, "playout": not arm.newest}
        return timing.latency(mean, self.spread, arm.sequential, cv=self.cv, **how)


def run(
    name: str,
    chosen: str,
    delays: Sequence[int],
    seeds: int,
    settings: learn.Settings,
    circumstances: Circumstances = Circumstances(),  # noqa: B008
    progress: Callable[[str], None] = lambda text: None,
) -> list[Measured]:
    """Trains and evaluates `seeds` agents of one of `ARMS` in an environment, for each inference time of `delays`, in ticks."""
    arm, began = ARMS[chosen], time.monotonic()
    window = max(circumstances.window(arm, delay) for delay in delays)
    length = window - 1 if arm.pending != "none" else 0
    pending = Pending(arm.pending, length, circumstances.encoding) if length else Pending()
    manner = semi_mdp.Manner(settings.gamma, settings.per_tick, pending, arm.newest)
    latencies = [circumstances.latency(arm, delay) for delay in delays]
    latencies = jax.tree.map(lambda *leaves: jnp.stack(leaves), *latencies)
    laboratory = jax.jit(_laboratory(name, settings, window, manner))
    an_agent = 2 * settings.capacity * (world(name).features + length)
    at_once, found = max(1, BYTES_AT_ONCE // (an_agent * len(delays))), []
    for first in range(0, seeds, at_once):
        portion = np.arange(first, min(first + at_once, seeds))
        scored = jax.tree.map(np.asarray, laboratory(latencies, jax.vmap(jax.random.key)(portion)))
        for (place, delay), (column, seed) in itertools.product(enumerate(delays), enumerate(portion)):
            one = jax.tree.map(lambda leaf, at=(place, column): leaf[at], scored)
            found.append(_measured(name, chosen, delay, int(seed), *one, settings))
        done = f"{len(found)} of {seeds * len(delays)} agents"
        progress(f"{name}, {arm.label}: {done}, {time.monotonic() - began:.0f} s")
    return sorted(found, key=lambda row: (row.inference, row.seed))


def _laboratory(name: str, settings: learn.Settings, window: int, manner: semi_mdp.Manner):
    """Returns (latencies [points], keys [seeds]) -> (greedy Score, random Score), each of [points, seeds]."""
    played = world(name)

    def one(latency, key):
        train_key, greedy_key, random_key = jax.random.split(key, 3)
        parameters = learn.train(played, settings, window, manner, latency, train_key)
        # The greedy policy and the random one in one program: half as much to compile.
        evaluate = jax.vmap(partial(learn.evaluate, played, settings, window, manner, latency, parameters))
        scored = evaluate(jnp.array([0.0, 1.0]), jnp.stack([greedy_key, random_key]))
        return tuple(jax.tree.map(lambda leaf, i=i: leaf[i], scored) for i in (0, 1))

    return jax.vmap(jax.vmap(one, in_axes=(None, 0)), in_axes=(0, None))


def _measured(name, interaction, inference, seed, greedy: learn.Score, random: learn.Score, settings) -> Measured:
    return Measured(
        name,
        interaction,
        inference,
        seed,
        float(greedy.returns / greedy.episodes),
        float(random.returns / random.episodes),
        float(1 - greedy.acted / settings.evaluation),
        float(greedy.delays / greedy.acted) if greedy.acted else None,
    )


def summarise(rows: Sequence[Measured]) -> list[dict]:
    """Means over seeds, with Student's 95 % interval of the mean return (None for a single seed)."""
    table = []
    for (name, interaction, inference), group in itertools.groupby(rows, key=lambda row: row[:3]):
        group = list(group)
        returns = np.array([row.mean_return for row in group])
        half = statistics.half_width(returns)
        low, high = (None, None) if half is None else (float(returns.mean() - half), float(returns.mean() + half))
        best = WORLDS[name].best if name in WORLDS else None
        delays = [row.delay for row in group if row.delay is not None]
        table.append(
            {
                "environment": name,
                "interaction": interaction,
                "inference_ticks": inference,
                "seeds": len(group),
                "mean_return": float(returns.mean()),
                "low": low,
                "high": high,
                "random_return": float(np.mean([row.random_return for row in group])),
                "best_return": best(inference, ARMS[interaction].sequential)
                if best and interaction in BOUNDED
                else None,
                "inaction": float(np.mean([row.inaction for row in group])),
                "delay": float(np.mean(delays)) if delays else None,
            }
        )
    return table


def ahead(table: Sequence[dict], name: str) -> dict[str, list[int]]:
    """The inference times at which an arm is ahead of every other, but for the one without delay, by more than both intervals."""
    mine = {(row["interaction"], row["inference_ticks"]): row for row in table if row["environment"] == name}
    arms = [arm for arm in dict.fromkeys(arm for arm, _ in mine) if not ARMS[arm].immediate]
    found = {arm: [] for arm in arms}
    for arm, inference in itertools.product(arms, sorted({inference for _, inference in mine})):
        one, others = mine.get((arm, inference)), [mine.get((other, inference)) for other in arms if other != arm]
        rows = [one, *others]
        if (
            others
            and all(row and row["low"] is not None for row in rows)
            and one["low"] > max(r["high"] for r in others)
        ):
            found[arm].append(inference)
    return found


def as_text(table: Sequence[dict]) -> str:
    """The table as lines."""
    head = ("environment", "interaction", "inference", "return", "95 % interval", "random", "inaction", "delay")
    lines = [head]
    for row in table:
        within = "-" if row["low"] is None else f"{row['low']:.2f} to {row['high']:.2f}"
        lines.append(
            (
                row["environment"],
                row["interaction"],
                f"{row['inference_ticks']} ticks",
                f"{row['mean_return']:.2f}",
                within,
                f"{row['random_return']:.2f}",
                f"{row['inaction']:.1%}",
                "-" if row["delay"] is None else f"{row['delay']:.1f}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
