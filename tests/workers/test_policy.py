"""The ε-greedy policy: what it asks the network for."""

from contextlib import contextmanager

import numpy as np
import pytest

from rtrl_jax.board.ring import Stacking
from rtrl_jax.pending import Pending
from rtrl_jax.workers.policy import Exploration, epsilon_greedy, late


class Snapshots:
    def newest_version(self):
        return 3

    @contextmanager
    def pinned(self):
        yield 4, "parameters"


class Observations:
    def stack(self, tick, stacking):
        return np.full(stacking.depth, tick)

    def told(self, pending, obs_tick, newest):
        return np.arange(obs_tick + 1, newest + 1)


def policy(epsilon, asked, exploring_asks=False):
    def network(parameters, observation, seed):
        asked.append((parameters, observation.tolist()))
        return 9

    exploration = Exploration(epsilon, 5, np.random.default_rng(0), asks=exploring_asks)
    return epsilon_greedy(Observations(), Snapshots(), network, exploration, Stacking(2))


@pytest.mark.parametrize("exploring_asks", [False, True])
def test_a_random_action_takes_the_network_s_time_only_if_it_should(exploring_asks):
    asked = []
    choices = [policy(lambda tick, version: 1.0, asked, exploring_asks=exploring_asks)(tick) for tick in range(20)]
    assert all(choice.action < 5 and not choice.greedy for choice in choices)
    assert asked == ([("parameters", [tick, tick]) for tick in range(20)] if exploring_asks else [])
    assert {choice.version for choice in choices} == {4 if exploring_asks else 3}


def test_asking_changes_nothing_of_what_is_decided():
    def decided(**how):
        choose = policy(lambda tick, version: 0.5, [], **how)
        return [choose(tick)[:2] for tick in range(200)]

    assert decided() == decided(exploring_asks=True)


def test_epsilon_is_that_of_the_observation_and_the_newest_version():
    met = []
    choose = policy(lambda tick, version: met.append((tick, version)) or 0.0, [])
    assert choose(7).action == 9
    assert met == [(7, 3)]


@pytest.mark.parametrize("reflex", [False, True])
def test_a_late_head_gets_the_features_of_one_tick_and_with_a_reflex_the_observation_of_another(reflex):
    asked = []

    def trunk(parameters, observation):
        asked.append(observation.tolist())
        return observation * 10

    def head(parameters, seen, seed):
        asked.append([None if array is None else array.tolist() for array in seen])
        return 9

    exploration = Exploration(lambda tick, version: 0.0, 5, np.random.default_rng(0))
    parts = late(Observations(), Snapshots(), trunk, head, exploration, Stacking(2), Pending("late", 4, reflex=reflex))
    assert parts.head(parts.trunk(7), 7, 10).action == 9
    assert asked == [[7, 7], [[70, 70], [8, 9, 10], [10, 10] if reflex else None]]
