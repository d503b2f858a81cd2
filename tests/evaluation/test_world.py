"""A checkpoint is evaluated in the world of its run, and what is otherwise is said."""

import pytest

from rtrl_jax.evaluation import world
from rtrl_jax.evaluation.settings import Evaluation

CARTPOLE = "gymnasium/CartPole-v1"


PLAIN = {"default_action": None, "sticky_actions": 0.0, "noop_starts": 0, "frame_skip": 1, "press_frames": None}
PLAIN |= {"observation": "auto", "image_size": None}


def manifest(**settings):
    return {"environment": CARTPOLE, "settings": {"rate_hz": None, "default_action_index": None, **settings}}


RUN = manifest(rate_hz=30.0, default_action_index=1, environment_kwargs='{"sutton_barto_reward": true}')


def test_as_in_the_run():
    settings = Evaluation(checkpoint="it")
    assert world.options(settings, CARTPOLE, RUN) == {
        "rate_hz": 30.0,
        "default_action_index": 1,
        "kwargs": {"sutton_barto_reward": True},
        **PLAIN,
    }
    assert world.overrides(settings, RUN) == []


def test_elsewhere_the_rate_alone_goes_with_it():
    found = world.options(Evaluation(checkpoint="it"), "gymnasium/Acrobot-v1", RUN)
    assert found == {"rate_hz": 30.0, "default_action_index": None, "kwargs": {}, **PLAIN}


def test_the_protocol_goes_with_an_agent_to_other_games():
    given = {"sticky_actions": 0.25, "noop_starts": 30, "frame_skip": 4, "press_frames": 2}
    for game in (CARTPOLE, "gymnasium/Acrobot-v1"):
        found = world.options(Evaluation(checkpoint="it"), game, manifest(**given))
        assert {name: found[name] for name in given} == given
    settings = Evaluation(checkpoint="it", sticky_actions=0.0)
    assert world.options(settings, CARTPOLE, manifest(**given))["sticky_actions"] == 0
    assert world.overrides(settings, manifest(**given)) == ["--sticky_actions=0.0 (the run gave 0.25)"]


def test_an_agent_sees_as_it_has_learned_to_see():
    found = world.options(Evaluation(checkpoint="it"), "atari/Pong", manifest(observation="image", image_size="48x64"))
    assert (found["observation"], found["image_size"]) == ("image", (48, 64))


def test_a_run_that_said_nothing_and_no_run_at_all():
    nothing = {"rate_hz": None, "default_action_index": None, "kwargs": {}, **PLAIN}
    assert world.options(Evaluation(checkpoint="it"), CARTPOLE, manifest()) == nothing
    assert world.options(Evaluation(policy="random"), CARTPOLE, None) == nothing
    assert world.options(Evaluation(policy="random", rate_hz=5.0), CARTPOLE, None) == {**nothing, "rate_hz": 5.0}
    assert world.overrides(Evaluation(policy="random", rate_hz=5.0), None) == []


@pytest.mark.parametrize(
    ("flags", "options", "says"),
    [
        ({"rate_hz": 30.0}, {}, ""),
        ({"environment_kwargs": '{"sutton_barto_reward":true}'}, {}, ""),
        ({"rate_hz": 60.0}, {"rate_hz": 60.0}, "--rate_hz=60.0 (the run gave 30.0)"),
        (
            {"default_action_index": 0, "environment_kwargs": "{}"},
            {"default_action_index": 0, "kwargs": {}},
            '--default_action_index=0 (the run gave 1), --environment_kwargs={} (the run gave {"sutton',
        ),
    ],
)
def test_flags_come_first_and_are_said(flags, options, says):
    settings = Evaluation(checkpoint="it", **flags)
    as_it_was = world.options(Evaluation(checkpoint="it"), CARTPOLE, RUN)
    assert world.options(settings, CARTPOLE, RUN) == {**as_it_was, **options}
    said = ", ".join(world.overrides(settings, RUN))
    assert said == says or (says and said.startswith(says))


def test_a_stated_action_goes_with_the_run_and_not_elsewhere():
    run = manifest(default_action="0.5,1")
    assert world.options(Evaluation(checkpoint="it"), CARTPOLE, run)["default_action"] == (0.5, 1)
    assert world.options(Evaluation(checkpoint="it"), "gymnasium/Acrobot-v1", run)["default_action"] is None
    settings = Evaluation(checkpoint="it", default_action="noop")
    assert world.options(settings, CARTPOLE, run)["default_action"] is None
