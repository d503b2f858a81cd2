"""From an observation on the board to an action: ε-greedy over the newest parameters, or a baseline without any."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rtrl_jax import actions
from rtrl_jax.actions import Actions
from rtrl_jax.board.ring import Observations, Stacking
from rtrl_jax.pending import Pending, Seen
from rtrl_jax.workers.mailbox import Choice, Features


class Exploration(NamedTuple):
    """When an action is drawn at random, and what is drawn.

    It is decided first: an exploratory action costs no network time, which is why τ_θ varies when ε > 0. Unless `asks`: then
    the network is asked all the same, for the time it takes, and its answer thrown away.
    """

    epsilon: Callable[
        [int, int], float
    ]  # (observation's tick, updates so far: the version) -> probability of a random action
    actions: Actions
    rng: np.random.Generator
    note: Callable[[], None] = lambda: None  # called when a decision has been drawn, to note the generator's state
    asks: bool = False

    def draw(self, obs_tick: int, version: int) -> tuple[bool, Any]:
        """(whether it explores, the random action; or, if it does not, a seed for the network)."""
        explores = self.rng.random() < self.epsilon(obs_tick, version)
        drawn = actions.draw(self.actions, self.rng) if explores else int(self.rng.integers(2**32))
        self.note()
        return explores, drawn


class TwoParts(NamedTuple):
    """A policy with a late head, each part called inside an `Infer` of its own."""

    trunk: Callable[[int], Choice | Features]  # of an observation's tick; a `Choice` if it explores
    head: Callable[[Features, int, int], Choice]  # (features, observation's tick, newest tick)


def epsilon_greedy(
    observations: Observations,
    snapshots,
    greedy_action: Callable,
    exploration: Exploration,
    stacking: Stacking,
    history: Pending | None = None,
) -> Callable[[int], Choice]:
    """Returns a function from an observation's tick to a `Choice`.

    Args:
      snapshots: a `board.snapshots.Reader`, or what has its `pinned` and `newest_version`.
      greedy_action: (parameters, observation, seed) -> array [], or of vectors [size].
      history: what the network is told besides, if anything.
    """

    def choose(obs_tick: int) -> Choice:
        version = snapshots.newest_version()
        explores, drawn = exploration.draw(obs_tick, version)
        if explores and not exploration.asks:
            return Choice(drawn, False, version)
        with snapshots.pinned() as (version, parameters):
            observation = _there(observations.stack(obs_tick, stacking), obs_tick)
            if history:
                observation = Seen(observation, _there(observations.told(history, obs_tick, obs_tick), obs_tick))
            answer = actions.value(greedy_action(parameters, observation, np.uint32(0 if explores else drawn)))
        return Choice(drawn, False, version) if explores else Choice(answer, True, version)

    return choose


def late(
    observations: Observations,
    snapshots,
    trunk: Callable,
    head: Callable,
    exploration: Exploration,
    stacking: Stacking,
    pending: Pending,
) -> TwoParts:
    """The same with a late head, which takes the newest parameters there are: a slot pinned through the wait would be one less
    for learners, and a few updates change features little.

    Args:
      trunk: (parameters, observation) -> features [units].
      head: (parameters, `Seen` of the features, seed) -> the same.
    """

    def begin(obs_tick: int) -> Choice | Features:
        version = snapshots.newest_version()
        explores, drawn = exploration.draw(obs_tick, version)
        if explores and not exploration.asks:
            return Choice(drawn, False, version)
        with snapshots.pinned() as (version, parameters):
            values = np.asarray(trunk(parameters, _there(observations.stack(obs_tick, stacking), obs_tick)))
        return Choice(drawn, False, version) if explores else Features(values, version, drawn)

    def finish(features: Features, obs_tick: int, newest: int) -> Choice:
        told = _there(observations.told(pending, obs_tick, newest), obs_tick)
        before = _there(observations.stack(newest, stacking), newest) if pending.reflex else None
        with snapshots.pinned() as (_, parameters):
            answer = actions.value(head(parameters, Seen(features.values, told, before), np.uint32(features.seed)))
        return Choice(answer, True, features.version)

    return TwoParts(begin, finish)


def _there(found, obs_tick: int):
    if found is None:
        raise RuntimeError(
            f"observation {obs_tick} was overwritten before it was used: this process was held up for too long"
        )
    return found


def random_actions(these: Actions, rng: np.random.Generator, note: Callable[[], None]) -> Callable[[int], Choice]:
    """A baseline that needs no network but takes its time: so `greedy` is true, and a stated inference time is charged."""

    def choose(obs_tick: int) -> Choice:
        action = actions.draw(these, rng)
        note()
        return Choice(action, True, 0)

    return choose


def one_action(action) -> Callable[[int], Choice]:
    """The other baseline: always the same, timed like the one above."""
    choice = Choice(action, True, 0)
    return lambda obs_tick: choice
