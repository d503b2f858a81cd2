"""From an observation on the board to an action: ε-greedy over the newest parameters, or a baseline without any."""

from collections.abc import Callable

import numpy as np

from rtrl_jax.board.ring import Observations, Stacking
from rtrl_jax.workers.mailbox import Choice


def epsilon_greedy(
    observations: Observations,
    snapshots,
    greedy_action: Callable,
    epsilon: Callable[[int, int], float],
    *,
    actions: int,
    stacking: Stacking,
    rng: np.random.Generator,
    note: Callable[[], None] = lambda: None,
    exploring_asks: bool = False,
) -> Callable[[int], Choice]:
    """Returns a function from an observation's tick to a `Choice`.

    Exploration is decided first: an exploratory action costs no network time, which is why τ_θ varies when ε > 0. Unless
    `exploring_asks`: then the network is asked all the same, for the time it takes, and its answer thrown away.

    Args:
      snapshots: a `board.snapshots.Reader`, or what has its `pinned` and `newest_version`.
      greedy_action: (parameters, observation, seed) -> integer array [].
      note: called when a decision has been drawn, to note the generator's state.
      epsilon: (observation's tick, updates so far: the version) -> probability of a random action.
    """

    def choose(obs_tick: int) -> Choice:
        version = snapshots.newest_version()
        explores = rng.random() < epsilon(obs_tick, version)
        drawn = int(rng.integers(actions if explores else 2**32))
        note()
        if explores and not exploring_asks:
            return Choice(drawn, False, version)
        with snapshots.pinned() as (version, parameters):
            observation = observations.stack(obs_tick, stacking)
            if observation is None:
                raise RuntimeError(
                    f"observation {obs_tick} was overwritten before it was used: this process was held up for too long"
                )
            answer = int(greedy_action(parameters, observation, np.uint32(0 if explores else drawn)))
        return Choice(drawn, False, version) if explores else Choice(answer, True, version)

    return choose


def random_actions(actions: int, rng: np.random.Generator, note: Callable[[], None]) -> Callable[[int], Choice]:
    """A baseline that needs no network but takes its time: so `greedy` is true, and a stated inference time is charged."""

    def choose(obs_tick: int) -> Choice:
        action = int(rng.integers(actions))
        note()
        return Choice(action, True, 0)

    return choose


def one_action(action: int) -> Callable[[int], Choice]:
    """The other baseline: always the same, timed like the one above."""
    choice = Choice(action, True, 0)
    return lambda obs_tick: choice
