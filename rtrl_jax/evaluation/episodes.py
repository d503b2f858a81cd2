"""One episode under a schedule, as a generator that asks for the decisions it needs.

It stands still only where a network is needed, so a process can gather the questions of several episodes into one batch.
"""

from collections import deque
from collections.abc import Generator
from typing import Any, NamedTuple

import numpy as np

from rtrl_jax import actions
from rtrl_jax.board.ring import Stacking
from rtrl_jax.environments import Environment
from rtrl_jax.evaluation.schedule import Schedule
from rtrl_jax.pending import Pending, Seen


class Job(NamedTuple):
    """Which episode: all that decides its random numbers, wherever it is played."""

    seed: int
    number: int
    player: int = 0  # which of the `Player`s of the evaluation


class Episode(NamedTuple):
    """What became of an episode."""

    seed: int
    number: int
    episode_return: float  # undiscounted
    ticks: int
    default_ticks: int  # in which β acted because no decision was there
    terminated: bool  # False: cut off, by the environment or after the most ticks
    encounter: int  # which of the game's encounters it was; 0 for environments that have none
    won: bool | None  # None for environments without encounters
    not_finite: int = 0  # rewards and observations that had 0 put in place of NaN or infinity
    player: int = 0  # who played it


class Player(NamedTuple):
    """How decisions come about, and when they act."""

    schedule: Schedule
    epsilon: float  # probability that a decision is drawn at random
    pattern: tuple = ()  # its actions in turn, one a decision, for one who looks at nothing


class Rules(NamedTuple):
    """What all episodes of a player have in common."""

    player: Player
    stacking: Stacking
    most_ticks: int  # an episode is cut off after so many
    repeat: bool = False  # whether the last action stays in force where β would act
    pending: Pending = Pending()  # what the agent is told of its own actions


class _Question(NamedTuple):
    """What a late head is to be asked when the decision acts."""

    observation: np.ndarray
    seed: int


def play(environment: Environment, job: Job, rules: Rules) -> Generator[tuple[np.ndarray | Seen, int], Any, Episode]:
    """Plays one episode from its reset to its end.

    Yields:
      (observation, seed): [*shape, depth * c], the newest frame last, or `Seen`; and a uint32 for agents that draw random
      numbers. The greedy action for it is to be sent back. Exploratory decisions ask nothing, nor does a pattern. An agent with a
      late head is asked when the decision first acts, and is told what has been done since its observation.

    Returns:
      The `Episode`.
    """
    spec, (schedule, epsilon, pattern), pending = environment.spec, rules.player, rules.pending
    for_environment, for_policy = np.random.SeedSequence([job.seed, job.number]).spawn(2)
    rng = np.random.default_rng(for_policy)
    not_finite = sum(environment.not_finite)
    frame, encounter = _begin(environment, job, int(for_environment.generate_state(1)[0] >> 1))
    seen = 1 + rules.stacking.reach
    frames = deque([frame] * seen, maxlen=seen)  # before the first stands the first, repeated
    wins = environment.progress.wins
    decided: dict[int, Any] = {}  # by the tick of its observation an action, or a `_Question`
    in_force = [spec.default_action]  # by tick; that of the reset has none
    action, total, default_ticks, tick, terminated, truncated = spec.default_action, 0.0, 0, 0, False, False

    def told(obs_tick: int) -> np.ndarray:
        first, last = pending.span(obs_tick, newest=tick, episode_start=0)
        return pending.padded(in_force[first : last + 1])

    def seen_now() -> np.ndarray:
        return np.concatenate([*frames][:: rules.stacking.stride], axis=-1)

    while not (terminated or truncated):
        if schedule.decides(tick):
            if pattern:
                decided[tick] = pattern[tick // schedule.every % len(pattern)]
            elif rng.random() < epsilon:
                decided[tick] = actions.draw(spec.actions, rng)
            else:
                observation = seen_now()
                seed = int(rng.integers(2**32))
                if pending.waits:
                    decided[tick] = _Question(observation, seed)
                else:
                    decided[tick] = yield (Seen(observation, told(tick)) if pending.length else observation), seed
        source = schedule.source(tick + 1)
        if isinstance(question := decided.get(source), _Question):
            newest = seen_now() if pending.reflex else None
            decided[source] = yield Seen(question.observation, told(source), newest), question.seed
        tick += 1
        if source is None:
            action = action if rules.repeat else spec.default_action
            default_ticks += 1
        else:
            action = decided[source]
            decided.pop(source - schedule.every, None)
        in_force.append(action)
        frame, reward, terminated, truncated = environment.step(action)
        frames.append(frame)
        total += reward
        truncated = truncated or tick >= rules.most_ticks
    won = environment.progress.wins > wins if environment.encounters > 1 else None
    not_finite = sum(environment.not_finite) - not_finite
    ended = bool(terminated)
    return Episode(job.seed, job.number, total, tick, default_ticks, ended, encounter, won, not_finite, job.player)


def _begin(environment: Environment, job: Job, seed: int) -> tuple[np.ndarray, int]:
    """Games of several encounters take them in turn, so that every one is played about as often."""
    encounter = job.number % environment.encounters
    if encounter:
        return environment.reset(seed, encounter=encounter), encounter
    return environment.reset(seed), encounter
