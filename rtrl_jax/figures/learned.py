"""Games that agents play greedily, each as a dot, beside what blind players have: whether a game is learned by our definition."""

from typing import NamedTuple

import numpy as np

from rtrl_jax.figures import column, tables
from rtrl_jax.figures.curves import AGENT
from rtrl_jax.figures.tables import Rows

FOLDER = "learning_curves/"


class Game(NamedTuple):
    """What was played, by whom, and what it is held against; tables are in results/learning_curves/."""

    environment: str
    name: str  # with its timing, as a title begins
    unit: str  # of a return, as an axis has it
    played: tuple[str, ...]  # the episodes of each seed
    random: tuple[
        str, float
    ]  # a table of controls, and the ticks an action of its row that is random play at this timing
    control: str  # the table whose last round has the best open-loop control

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(f"{FOLDER}{name}.csv" for name in (*self.played, self.random[0], self.control))


def _seeds(name: str) -> tuple[str, ...]:
    return tuple(f"{name}-seed{seed}-episodes" for seed in range(3))


# Random play that chooses anew in each 4th frame is random play in ticks of four frames.
STACKS = Game(
    "gameboy/stacks", "Stacks at delay 1", "points of a game", _seeds("stacks"), ("controls", 4), "stacks-controls"
)
REALTIME = STACKS._replace(name="Stacks by the wall clock", played=_seeds("stacks-realtime"))
BATTLES = Game(
    "gameboy/duel-battles",
    "Duel's battles at delay 1",
    "an encounter's",
    _seeds("battles"),
    ("duel-controls", 1),
    "duel-controls",
)


def draw(game: Game, *found: Rows):
    """Every game, agents beside random play and the best control. Args: found: rows of each of `game.tables`."""
    *played, others, controls = found
    blind = {"random": random_play(game, others), "best control": best_control(game, controls)}
    # By the rule of results/learning_curves/plan.md: the lower end of a seed's interval against what blind players have.
    most = max(row["mean"] for row in blind.values())
    count = sum(interval(games)[0] > most for games in played)
    who = f"each of {count} seeds beats" if count == len(played) else f"{count} of {len(played)} seeds beat"
    title = f"{game.name}: {who} every blind player"
    figure, panels = column.figure(1, 1, height=1.6, title=title)
    axes, rng = panels[0, 0], np.random.default_rng(0)
    bars = {"color": "black", "markersize": 3.5, "capsize": 2, "elinewidth": 0.8}
    for place, games in enumerate(played):
        values = np.array([row["episode_return"] for row in games])
        places = place - 0.2 + rng.uniform(-0.1, 0.1, len(values))
        whole = len(set(values.tolist())) < 10  # dots of few values would lie on each other
        values = values + rng.uniform(-0.12, 0.12, len(values)) if whole else values
        axes.plot(places, values, ".", color=AGENT.colour, markersize=2.5, alpha=0.6)
        _bar(axes, place, float(np.mean([row["episode_return"] for row in games])), *interval(games), fmt="o", **bars)
    for place, row in enumerate(blind.values(), len(played)):
        _bar(axes, place, row["mean"], row["mean_low"], row["mean_high"], fmt="s", markerfacecolor="white", **bars)
    names = [f"seed {number}" for number in range(len(played))] + list(blind)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel(f"greedy return ({game.unit})")
    if axes.get_ylim()[0] > 0:
        axes.set_ylim(bottom=0)
    return figure


def random_play(game: Game, controls: Rows) -> dict:
    """Its row, on fresh episodes."""
    environment, (_, every) = game.environment, game.random
    return tables.where(controls, environment=environment, round="fresh", policy="random", action_every=float(every))[0]


def best_control(game: Game, controls: Rows) -> dict:
    """The open-loop control that was left over: its row on fresh episodes if there is one, else of the last round."""
    mine = [
        row for row in tables.where(controls, environment=game.environment) if row["policy"] not in ("random", "noop")
    ]
    fresh = [row for row in mine if row["round"] == "fresh"]
    return max(fresh or mine, key=lambda row: (row["round"], row["mean"]))


def interval(games: Rows, resamples: int = 10_000) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean over games of one agent, as evaluation has it."""
    values = np.array([row["episode_return"] for row in games])
    means = np.random.default_rng(0).choice(values, (resamples, len(values))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _bar(axes, x: float, mean: float, low: float, high: float, **look) -> None:
    axes.errorbar(x, mean, [[mean - low], [high - mean]], **look)
