"""--accounting=reference against the released script as a plain loop (`released_script`), for both ways of interacting; and what
each of its departures does alone.
"""

import gymnasium
import numpy as np
import pytest
import released_script

import rtrl_jax
from rtrl_jax.core import acting, learning

LEARN_EVERY, ACTIONS = 3, 4


class Clockwork(gymnasium.Env):
    """Every observation is another one, and tells what has acted. Episodes are of various lengths, and end in both ways."""

    observation_space = gymnasium.spaces.Box(-1e6, 1e6, (3,))
    action_space = gymnasium.spaces.Discrete(ACTIONS)
    metadata = {"render_modes": [], "render_fps": 50}  # noqa: RUF012

    def __init__(self):
        self.steps = self.episode = 0

    def _observation(self, action):
        return np.array([self.steps + 1, self.seen, action], np.float32)

    def reset(self, seed=None, options=None):
        self.episode, self.began, self.seen = self.episode + 1, self.steps, 0
        self.steps += 1
        return self._observation(-1), {}

    def step(self, action):
        self.steps += 1
        self.seen = (3 * self.seen + int(action) + 1) % 97
        over = self.steps - self.began > 40 + 23 * (self.episode % 3)
        terminates = self.episode % 2 == 1
        return self._observation(action), float(self.seen % 7), over and terminates, over and not terminates, {}


gymnasium.register("Clockwork-v0", entry_point=Clockwork)
PLAY = {"environment": "gymnasium/Clockwork-v0", "display": "none", "checkpoint_every_s": 0.0, "epsilon_end": 0.1}
PLAY |= {"max_ticks": 900, "epsilon_steps": 80, "gamma": 0.9, "batch_size": 16, "seed": 3}


def greedy_action(frame):
    """Stands for the network: another action for nearly every frame, and one of its own for a zero frame."""
    return (int(frame.sum()) * 7 + 3) % ACTIONS


class Seen:
    """What a run of ours did: records by tick and by decision; and what went in and out of its policy and its replay."""

    def __init__(self, monkeypatch, folder, **settings):
        self.frames, self.epsilons = {}, []
        monkeypatch.setattr(acting, "network", self._network(acting.network))
        monkeypatch.setattr(acting, "linear", self._linear(acting.linear))
        monkeypatch.setattr(learning, "learner", self._learner(learning.learner))
        self.summary = rtrl_jax.run(**PLAY, **settings, run_dir=str(folder))
        assert self.summary["failures"] == []
        self.ticks, self.decisions, self.updates = (
            dict(np.load(folder / f"{name}.npz")) for name in ("ticks", "decisions", "updates")
        )

    def _network(self, make):
        def network(context):
            found = make(context)
            return found._replace(act=self._act)

        return network

    def _learner(self, make):
        def learner(*arguments):
            self.learner = make(*arguments)
            return self.learner

        return learner

    def _act(self, parameters, observation, seed):
        if self.epsilons:  # else it warms up
            self.frames[len(self.epsilons) - 1] = observation.copy()
        return greedy_action(observation)

    def _linear(self, make):
        def linear(*line):
            epsilon = make(*line)

            def spied(count):
                self.epsilons.append(epsilon(count))
                return self.epsilons[-1]

            return spied

        return linear

    def by_tick(self, *columns):
        return zip(*(self.ticks[column].tolist() for column in columns), strict=True)

    def transitions(self):
        """All that the replay holds, in order: (observation, action, reward, discount, next observation) arrays."""
        replay = self.learner._replay
        replay.ingest()
        batch, keys = replay.sample_with_keys(np.random.default_rng(0), 30 * len(replay))
        keys, first = np.unique(keys, return_index=True)
        assert len(keys) == len(replay)
        return [np.asarray(column)[first] for column in batch[:5]]


@pytest.mark.parametrize("interaction", ["sequential", "async"])
@pytest.mark.parametrize("delay", [1, 2, 5])
def test_it_is_the_released_script(monkeypatch, tmp_path, interaction, delay):
    noops = delay if interaction == "sequential" else 0

    def script(policy, learn_start):
        return released_script.play(
            Clockwork(),
            policy,
            delay=delay,
            noops=noops,
            ticks=PLAY["max_ticks"],
            epsilon=lambda n: max(0.1, 1 - 0.9 * n / 80),
            learn_start=learn_start,
            learn_every=LEARN_EVERY,
        )

    # The script has a transition at once, we when the next action shows what came of it; at an episode's end both have it.
    learn_start = 1 + [done for *_, done in script(lambda n, frame: 0, 1).transitions].index(True)
    settings = {"delay": delay, "interaction": interaction, "accounting": "reference"}
    ours = Seen(monkeypatch, tmp_path / "run", **settings, learn_start=learn_start, learn_every=LEARN_EVERY)
    decisions = ours.decisions
    explored = {n: decisions["action"][n] for n in np.flatnonzero(~decisions["greedy"])}
    assert 20 < len(explored) < len(decisions["action"]) - 20
    theirs = script(lambda n, frame: explored[n] if n in explored else greedy_action(frame), learn_start)

    acted = [None if default else action for default, action in ours.by_tick("is_default", "action")]
    assert acted == theirs.ticks[: len(acted)]
    assert len(acted) == PLAY["max_ticks"]
    count = len(decisions["action"])
    assert (decisions["apply_tick"] == np.flatnonzero(~ours.ticks["is_default"])).all()
    assert decisions["action"].tolist() == theirs.actions[:count]
    for number, frame in ours.frames.items():
        np.testing.assert_array_equal(frame, theirs.frames[number])
    assert len(ours.frames) == count - len(explored)
    assert ours.epsilons == pytest.approx(theirs.epsilons[:count])
    assert decisions["version"].tolist() == theirs.updates[:count]
    assert decisions["version"].max() > 20

    observation, action, reward, discount, next_observation = ours.transitions()
    assert count - 1 <= len(action) <= len(theirs.transitions)
    kept = theirs.transitions[: len(action)]
    np.testing.assert_array_equal(observation, [one.observation for one in kept])
    assert action.tolist() == [one.action for one in kept]
    assert reward == pytest.approx([one.reward for one in kept])
    np.testing.assert_array_equal(next_observation, [one.next_observation for one in kept])
    assert sum(one.done for one in kept) > 3
    assert (discount == np.float32(0.9)).all()  # through `done`


def test_the_period_alone(monkeypatch, tmp_path):
    ours = Seen(monkeypatch, tmp_path / "run", delay=4, interaction="sequential", accounting="period")
    acted = np.flatnonzero(~ours.ticks["is_default"])
    assert (acted - ours.ticks["obs_tick"][acted] == 4).all()
    assert ((acted - ours.ticks["episode_start"][acted]) % 5 == 4).all()
    assert set(np.diff(acted)[np.diff(ours.ticks["episode"][acted]) == 0]) == {5}


@pytest.mark.parametrize(("interaction", "lag", "period"), [("sequential", 10, 3), ("async", 4, 1)])
def test_the_lag_alone(monkeypatch, tmp_path, interaction, lag, period):
    ours = Seen(monkeypatch, tmp_path / "run", delay=3, interaction=interaction, accounting="lag")
    since = ours.ticks["tick"] - ours.ticks["episode_start"]
    acted = ~ours.ticks["is_default"]
    assert (acted == ((since >= lag) & ((since - lag) % period == 0))).all()
    assert ((ours.ticks["tick"] - ours.ticks["obs_tick"])[acted] == lag).all()


def test_zero_frames_alone(monkeypatch, tmp_path):
    ours = Seen(monkeypatch, tmp_path / "run", delay=6, accounting="zero_frames")
    ticks = ours.ticks
    assert (ticks["is_default"] == (ticks["tick"] == ticks["episode_start"])).all()
    early = ours.decisions["apply_tick"] - ticks["episode_start"][ours.decisions["apply_tick"]] < 6
    assert early.sum() > 30
    assert {number: not frame.any() for number, frame in ours.frames.items()} == {n: early[n] for n in ours.frames}
    observation, _, _, discount, next_observation = ours.transitions()
    assert (~observation.any(axis=1)).sum() == early.sum()
    assert (~next_observation.any(axis=1)).sum() > 20
    assert (discount == 0).any()


@pytest.mark.parametrize("accounting", ["ours", "next_obs", "bootstrap", "units"])
def test_what_changes_only_what_is_learned(monkeypatch, tmp_path, accounting):
    settings = {"delay": 4, "interaction": "sequential", "learn_start": 12, "learn_every": LEARN_EVERY}
    ours = Seen(monkeypatch, tmp_path / "run", **settings, accounting=accounting)
    acted = np.flatnonzero(~ours.ticks["is_default"])
    assert (acted - ours.ticks["obs_tick"][acted] == 4).all()
    observation, _, _, discount, next_observation = ours.transitions()
    steps = next_observation[:, 0] - observation[:, 0]
    same_episode = discount[: len(steps) - 1] == np.float32(0.9)
    assert ((discount == 0).any()) == (accounting != "bootstrap")
    # From the observation that the next action is decided from, or the newest one before it acts.
    assert np.median(steps) == (7 if accounting == "next_obs" else 4)
    assert same_episode.mean() > 0.8
    boundary = np.searchsorted(ours.ticks["boundary_ns"], ours.updates["start_ns"])
    counted = ours.ticks["decisions"] if accounting == "units" else ours.ticks["tick"]
    assert set(np.diff(counted[boundary])) == {LEARN_EVERY}
