"""Return against delay: every world, way of interacting and delay, with as many seeds as are asked for."""

import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rtrl_jax.evaluation import scores
from rtrl_jax.laboratory import learn, timing
from rtrl_jax.laboratory.worlds import WORLDS

INTERACTIONS = ("async", "sequential")
MOST_AT_ONCE = 160  # agents in one program: about 3 MB each, nearly all of it replay


class Measured(NamedTuple):
    """One agent, evaluated greedily after it has learnt."""

    environment: str
    interaction: str
    inference: int  # mean inference time, ticks
    seed: int
    mean_return: float  # of an episode
    random_return: float  # of actions drawn at random, at the same times
    inaction: float  # share of the ticks
    delay: float | None  # mean, ticks; None if no decision ever acted


def run(
    names: Sequence[str],
    delays: Sequence[int],
    interactions: Sequence[str],
    seeds: int,
    settings: learn.Settings,
    spread: float = 0.0,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Measured]:
    """Trains and evaluates `seeds` agents for each environment, interaction and inference time (`delays`, in ticks).

    Args:
      spread: the inference time is uniform in `delay · (1 ± spread)`; 0 for a constant.
    """
    window = max(timing.window_for(delay, spread) for delay in delays)
    points = list(itertools.product(interactions, delays))
    latencies = [timing.latency(delay, spread, interaction == "sequential") for interaction, delay in points]
    latencies = jax.tree.map(lambda *leaves: jnp.stack(leaves), *latencies)
    at_once = max(1, MOST_AT_ONCE // len(points))
    rows = []
    for name in names:
        laboratory = jax.jit(_laboratory(name, settings, window))
        found, began = [], time.monotonic()
        for first in range(0, seeds, at_once):
            portion = np.arange(first, min(first + at_once, seeds))
            scored = jax.tree.map(np.asarray, laboratory(latencies, jax.vmap(jax.random.key)(portion)))
            for (place, point), (column, seed) in itertools.product(enumerate(points), enumerate(portion)):
                one = jax.tree.map(lambda leaf, at=(place, column): leaf[at], scored)
                found.append(_measured(name, *point, int(seed), *one, settings))
            progress(f"{name}: {len(found)} of {seeds * len(points)} agents, {time.monotonic() - began:.0f} s")
        rows += sorted(found, key=lambda row: (interactions.index(row.interaction), row.inference, row.seed))
    return rows


def _laboratory(name: str, settings: learn.Settings, window: int):
    """Returns (latencies [points], keys [seeds]) -> (greedy Score, random Score), each of [points, seeds]."""
    world = WORLDS[name]

    def one(latency, key):
        train_key, greedy_key, random_key = jax.random.split(key, 3)
        parameters = learn.train(world, settings, window, latency, train_key)
        # The greedy policy and the random one in one program: half as much to compile.
        evaluate = jax.vmap(partial(learn.evaluate, world, settings, window, latency, parameters))
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
    """Means over seeds, with the bootstrap's 95 % interval of the mean return (None for a single seed)."""
    table = []
    for (name, interaction, inference), group in itertools.groupby(rows, key=lambda row: row[:3]):
        group = list(group)
        returns = np.array([row.mean_return for row in group])
        low, high = scores.interval([returns], scores.mean) if len(group) > 1 else (None, None)
        best = WORLDS[name].best
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
                "best_return": best(inference, interaction == "sequential") if best else None,
                "inaction": float(np.mean([row.inaction for row in group])),
                "delay": float(np.mean(delays)) if delays else None,
            }
        )
    return table


def ahead(table: Sequence[dict], name: str) -> dict[str, list[int]]:
    """The inference times at which each way of interacting is ahead of the other by more than both intervals."""
    found = {interaction: [] for interaction in INTERACTIONS}
    mine = {(row["interaction"], row["inference_ticks"]): row for row in table if row["environment"] == name}
    for interaction, other in (INTERACTIONS, INTERACTIONS[::-1]):
        for inference in sorted({inference for _, inference in mine}):
            one, two = mine.get((interaction, inference)), mine.get((other, inference))
            if one and two and one["low"] is not None and two["high"] is not None and one["low"] > two["high"]:
                found[interaction].append(inference)
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
