"""What can be asked of an evaluation, and how many ticks a time is."""

import pytest

from rtrl_jax.errors import UserError
from rtrl_jax.evaluation.schedule import NEVER, asynchronous, sequential
from rtrl_jax.evaluation.settings import Evaluation

RANDOM = {"policy": "random", "environments": "atari/Boxing"}


@pytest.mark.parametrize(("ms", "rate", "ticks"), [(58, 60, 4), (50, 60, 3), (0.1, 60, 1), (1170, 60, 71), (20, 50, 1)])
def test_inference_time_in_ticks(ms, rate, ticks):
    assert Evaluation(inference_ms=ms).delay_ticks(rate) == ticks


def test_schedule():
    from rtrl_jax.environments import Spec

    spec = Spec((1,), "float32", 2, 0, 60.0, 1e-3)
    assert Evaluation(**RANDOM, delay=5, action_every=4).schedule(spec) == asynchronous(5, 4)
    assert Evaluation(**RANDOM, inference_ms=58, inaction="sequential").schedule(spec) == sequential(4)
    assert Evaluation(**RANDOM).schedule(spec) == asynchronous(1)
    assert Evaluation(policy="noop", delay=5).schedule(spec) == NEVER


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"delay": 2, "inference_ms": 3.0}, "give one"),
        ({"delay": 0}, "--delay=0"),
        ({"inference_ms": float("nan")}, "--inference_ms"),
        ({"action_every": -1}, "--action_every"),
        ({"episodes": 0}, "--episodes"),
        ({"max_ticks_per_episode": 0}, "--max_ticks_per_episode"),
        ({"epsilon": 1.5}, "--epsilon"),
        ({"seeds": "1,1"}, "--seeds"),
        ({"seeds": "1,x"}, "--seeds"),
        ({"seeds": ""}, "--seeds"),
        ({"policy": "checkpoint"}, "--checkpoint=RUN"),
        ({"checkpoint": "runs/it"}, "leave one"),
        ({"environments": None}, "--environments"),
        ({"environment_kwargs": "{"}, "--environment_kwargs"),
        ({"policy": "best"}, "constant:ACTION"),
        ({"policy": "constant"}, "constant:ACTION"),
        ({"policy": "constant:A,B"}, "constant:ACTION"),
        ({"policy": "alternate:A"}, "constant:ACTION"),
        ({"policy": "alternate:A,A"}, "two different"),
        ({"policy": "noop:A"}, "constant:ACTION"),
        ({"policy": "controls", "action_every": 4}, "leave out --action_every"),
    ],
)
def test_bad_values(change, says):
    with pytest.raises(UserError, match=says):
        Evaluation(**{**RANDOM, **change}).check()


def test_lists():
    settings = Evaluation(environments="atari/Boxing, atari/Krull,atari/Boxing", seeds="0, 4")
    assert settings.environment_list(None) == ["atari/Boxing", "atari/Krull"]
    assert settings.seed_list() == [0, 4]
    assert Evaluation().environment_list("atari/Pong") == ["atari/Pong"]
