"""The paper's released delay script as a plain loop, from what is known of it: nothing here is the package's.

One process; an environment that waits; a list of frames that holds the observation back for so many decisions, zeros at first.
"""

from typing import NamedTuple

import numpy as np


class Transition(NamedTuple):
    observation: np.ndarray
    action: int
    reward: float
    next_observation: np.ndarray
    done: bool


class Played(NamedTuple):
    ticks: list  # by tick, the action of a decision's that acted in it, or None for a no-op and for a reset
    frames: list  # by decision, what it was made from
    actions: list
    epsilons: list
    updates: list  # by decision, how many updates had been made before it
    transitions: list


def play(environment, policy, *, delay, noops, ticks, epsilon, learn_start, learn_every) -> Played:
    """Plays for so many ticks, a reset being one.

    Args:
      environment: of Gymnasium's interface; its no-op is 0.
      policy: (number of the decision, frame) -> action.
      delay: how many decisions an observation is held back.
      noops: steps of no-ops after each action.
      epsilon: decisions so far -> ε.
    """
    played = Played([], [], [], [], [], [])
    updates, last_updated = 0, None

    def wind(observation):
        return [np.zeros_like(observation)] * delay + [observation]

    observation, _ = environment.reset()
    played.ticks.append(None)
    held = wind(observation)
    while len(played.ticks) < ticks:
        frame, number = held.pop(0), len(played.actions)
        action = policy(number, frame)
        for kept, value in zip(played[1:5], (frame, action, epsilon(number), updates), strict=True):
            kept.append(value)
        reward, done = 0.0, False
        for step in range(1 + noops):
            observation, gained, terminated, truncated, _ = environment.step(0 if step else action)
            played.ticks.append(None if step else action)
            reward, done = reward + gained, terminated or truncated
            if done:
                break
        played.transitions.append(Transition(frame, action, reward, observation, done))
        held.append(observation)
        decisions = len(played.actions)
        if len(played.transitions) >= learn_start and (last_updated is None or decisions - last_updated >= learn_every):
            updates, last_updated = updates + 1, decisions
        if done:
            observation, _ = environment.reset()
            played.ticks.append(None)
            held = wind(observation)
    return played
