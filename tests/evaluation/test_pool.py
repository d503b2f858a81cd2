"""Episodes over processes: the same wherever they are played, and a process that dies is told of."""

import dataclasses
import os
import signal

import jax
import numpy as np
import pytest
from evaluation.worlds import write_checkpoint

from rtrl_jax.checkpoints import Policy
from rtrl_jax.environments import Spec, make
from rtrl_jax.errors import UserError
from rtrl_jax.evaluation import policies, pool
from rtrl_jax.evaluation.episodes import Job, Player
from rtrl_jax.evaluation.schedule import asynchronous, sequential
from rtrl_jax.evaluation.worker import Work
from rtrl_jax.pending import Pending

CORE = min(os.sched_getaffinity(0))
JOBS = [Job(seed, number) for seed in (0, 5) for number in range(6)]
EVERY_TICK = asynchronous(1)
CARTPOLE = Spec((4,), "float32", 2, 0, 50.0, 1e-3)
IMAGES = Spec((84, 84, 1), "uint8", 6, 6, 60.0, 1e-3)


def work(
    environment, checkpoint=None, schedule=EVERY_TICK, epsilon=1.0, most_ticks=500, stack=1, side_by_side=1, rows=4
):
    where = (str(checkpoint), [1000, 10]) if checkpoint else (None, None)
    players = [Player(schedule, epsilon), Player(schedule, 1.0, pattern=(0,))]
    return Work(environment, {}, *where, players, [stack, 1], [*Pending()], most_ticks, False, rows, side_by_side)


def test_an_episode_is_the_same_whatever_the_processes(tmp_path):
    checkpoint = write_checkpoint(tmp_path / "it", "gymnasium/CartPole-v1", frame_stack=2)
    found = []
    for processes, side_by_side in ((1, 4), (3, 1)):
        asked = work("gymnasium/CartPole-v1", checkpoint, sequential(2), 0.3, stack=2, side_by_side=side_by_side)
        found.append(sorted(pool.play(asked, JOBS, [CORE] * processes)))
    assert found[0] == found[1]
    assert [(episode.seed, episode.number) for episode in found[0]] == [(job.seed, job.number) for job in JOBS]
    assert len({episode.episode_return for episode in found[0]}) > 3


def test_images_and_the_paper_s_network_too(tmp_path):
    checkpoint = write_checkpoint(tmp_path / "it", "atari/Boxing", name="resnet15", width=1 / 16, frame_stack=2)
    found = []
    for processes, side_by_side in ((1, 4), (2, 2)):
        asked = work("atari/Boxing", checkpoint, asynchronous(4), 0.5, 150, 2, side_by_side)
        found.append(sorted(pool.play(asked, JOBS[:4], [CORE] * processes)))
    assert found[0] == found[1]
    assert [episode.ticks for episode in found[0]] == [150] * 4
    assert [episode.default_ticks for episode in found[0]] == [3] * 4


def test_a_job_says_who_plays():
    jobs = [Job(0, 1, player) for player in (0, 1, 1)]
    found = sorted(pool.play(work("gymnasium/CartPole-v1"), jobs, [CORE]), key=lambda episode: episode.player)
    assert [episode.player for episode in found] == [0, 1, 1]
    assert found[1] == found[2]
    assert found[1].ticks in (8, 9, 10)  # a cart that is pushed one way


def test_game_boy_games_one_in_a_process():
    found = list(pool.play(work("gameboy/duel-catching", most_ticks=60), JOBS[:3], [CORE] * 2))
    assert sorted(episode.encounter for episode in found) == [0, 1, 2]


def test_a_process_that_is_killed():
    episodes = pool.play(work("gymnasium/CartPole-v1"), [Job(0, number) for number in range(100_000)], [CORE])
    next(episodes)
    children = f"/proc/self/task/{os.getpid()}/children"
    with open(children) as file:
        for child in file.read().split():
            with open(f"/proc/{child}/cmdline") as line:
                if "rtrl_jax.evaluation.worker" in line.read():
                    os.kill(int(child), signal.SIGKILL)
    with pytest.raises(RuntimeError, match="was killed by signal 9"):
        list(episodes)


def test_a_process_that_raises():
    with pytest.raises(RuntimeError, match=r"died: .*UserError: no Atari game"):
        list(pool.play(work("atari/Nothing"), JOBS, [CORE]))


def test_a_checkpoint_that_was_replaced_meanwhile(tmp_path):
    checkpoint = write_checkpoint(tmp_path / "it", "gymnasium/CartPole-v1", updates=11)
    with pytest.raises(RuntimeError, match="a newer checkpoint"):
        list(pool.play(work("gymnasium/CartPole-v1", checkpoint), JOBS, [CORE]))


def test_batched_actions_are_those_of_the_network_alone(tmp_path):
    from rtrl_jax.checkpoints import load_policy

    policy = load_policy(write_checkpoint(tmp_path / "it", "gymnasium/CartPole-v1"))
    act = policies.batched_actions(policy, policies.model_of(policy.manifest, CARTPOLE), 4)
    kernels, biases = policy.leaves[1::2], policy.leaves[0::2]
    observations = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
    x = observations
    for layer, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
        x = x @ kernel + bias
        x = np.maximum(x, 0) if layer < 2 else x
    assert act(observations, np.zeros(4, np.uint32)).tolist() == x.argmax(axis=1).tolist()


@pytest.mark.parametrize("agent", [{}, {"agent": "rainbow", "value_min": -1.0}])
@pytest.mark.parametrize("rows", [1, 4])
def test_the_fast_network_acts_as_the_plain_one_in_every_row(agent, rows):
    given = {"settings": {"frame_stack": 2, "fast": True, **agent}, "network": {"name": "resnet15", "width": 1 / 2}}
    fast = policies.model_of(given, IMAGES)
    plain = dataclasses.replace(fast, plan=None)
    assert fast.fast.prepared
    policy = Policy(given, plain.first_state()[0])
    generator = np.random.default_rng(0)
    one = generator.integers(0, 256, plain.observation_shape, np.uint8)
    others = generator.integers(0, 256, (rows, *plain.observation_shape), np.uint8)
    act, seeds = policies.batched_actions(policy, fast, rows), np.arange(5, 5 + rows, dtype=np.uint32)
    alone = plain.learning_agent().act
    values = jax.tree.unflatten(plain.structure, policy.leaves)
    for row in range(rows):
        asked = others.copy()
        asked[row] = one
        assert act(asked, seeds)[row] == alone(values, one, seeds[row])


@pytest.mark.parametrize(
    ("environment", "change", "says"),
    [
        ("gymnasium/Acrobot-v1", {}, "has 3"),
        ("gymnasium/MountainCar-v0", {"actions": 3}, r"observations of \[4\]"),
        ("gymnasium/CartPole-v1", {"settings": {"agent": "rainbow"}}, "damaged"),
        ("gymnasium/CartPole-v1", {"network": {"name": "mlp", "width": 2.0}}, "damaged"),
    ],
)
def test_a_checkpoint_that_does_not_fit(tmp_path, environment, change, says):
    from rtrl_jax.checkpoints import load_policy

    policy = load_policy(write_checkpoint(tmp_path / "it", "gymnasium/CartPole-v1", **change))
    world = make(environment)
    with pytest.raises(UserError, match=says):
        policies.check_fit(policy, environment, world.spec)
    world.close()
