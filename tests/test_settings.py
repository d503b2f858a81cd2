"""Settings: what is refused, in one line that says what to do, and the flagfile that repeats a run."""

import functools
import json
import os
import pathlib

import numpy as np
import pytest

from rtrl_jax import UserError, environments, latency
from rtrl_jax.settings import Settings
from rtrl_jax.settings_forms import as_flagfile, from_python


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"stagger": "fast"}, "choose one of"),
        ({"interaction": "parallel"}, "choose one of"),
        ({"duration_s": -1.0}, "greater than 0"),
        ({"duration_s": float("nan")}, "greater than 0"),
        ({"rate_hz": float("inf")}, "between 0.001 and 100,000"),
        ({"gamma": 1.5}, "between 0 and 1"),
        ({"inference_workers": "0"}, "or auto"),
        ({"inference_workers": "two"}, "or auto"),
        ({"learner_workers": "some"}, "or auto"),
        ({"learner_workers": "9999"}, "from 0 to 256"),
        ({"learner_workers": "2", "interaction": "sequential"}, "one agent process"),
        ({"learning": "serial"}, "choose one of"),
        ({"agent": "sarsa"}, "choose one of"),
        ({"dueling": 1}, "true or false"),
        ({"max_ticks": True}, "a whole number"),
        ({"atoms": 1}, "between 2 and"),
        ({"value_min": 5.0, "value_max": 5.0, "categorical": True}, "less than"),
        ({"pending": "late", "accounting": "reference", "delay": 2}, "tells agents nothing"),
        ({"pending": "late", "policy": "noop"}, "is of a network"),
        ({"pending_length": 3}, "belongs to --pending"),
        ({"reflex": True, "pending": "history"}, "belongs to --pending=late"),
        ({"action_hold": 2, "accounting": "reference", "delay": 2}, "decides for one tick"),
        ({"action_hold": 2, "demonstrations": "shown.npz"}, "an action for every tick"),
        ({"n_steps": 0}, "between 1 and"),
        ({"checkpoint_every_s": -1.0}, "between 0 and"),
        ({"checkpoint_keep": 0}, "between 1 and"),
        ({"playout": "soon"}, "auto, or off"),
        ({"playout": "5", "stagger": "none"}, "belongs to --stagger=ticket"),
        ({"stagger_quantile": 0.99}, "belongs to --stagger=max_time"),
        ({"tau_initial_ms": 5.0}, "belongs to --stagger=max_time"),
        ({"width": 1.0, "parameters": "1M"}, "give one"),
        ({"interaction": "sequential", "inference_workers": "2"}, "one agent process"),
        ({"workers_per_process": 4}, "--emulated_inference_ms"),
        ({"emulated_inference_ms": "soon"}, "milliseconds"),
        ({"emulated_inference_ms": "normal:5"}, "milliseconds"),
        ({"emulated_inference_ms": "-3"}, "milliseconds"),
        ({"cores": "0-9999"}, "there is no core"),
        ({"cores": "first"}, "numbers and ranges"),
        ({"cores": "5-3"}, "numbers and ranges"),
        ({"cores": "0-1000000000"}, "there is no core"),
        ({"inference_workers": "100000"}, "from 1 to 4096"),
        ({"rate_hz": 1e9}, "between 0.001 and 100,000"),
        ({"seed": -1}, "--seed"),
        ({"replay_capacity": 10}, "between 4096 and"),
        ({"learn_start": 60_000, "replay_capacity": 50_000}, "at most --replay_capacity=50000"),
        ({"playout": "8193"}, "at most 8192 ticks"),
        ({"duration_s": "long"}, "a number"),
        ({"max_ticks": 2.5}, "a whole number"),
        ({"seed": None}, "a whole number"),
        ({"clock": "sundial"}, "choose one of"),
        ({"inference_latency_ms": "5"}, "belongs to --clock=virtual"),
        ({"learning_schedule": "every:4"}, "belongs to --clock=virtual"),
        ({"clock": "virtual", "learning_schedule": "every:x"}, "every:N"),
        ({"clock": "virtual", "learning_schedule": "every:8", "learn_every": 5}, "contradict each other"),
        ({"learn_per": "update"}, "choose one of tick, decision"),
        ({"epsilon_per": "second"}, "choose one of decision, tick, update"),
        ({"clock": "virtual", "learning_latency_ms": "normal:5"}, "milliseconds"),
        ({"clock": "virtual", "emulated_inference_ms": "5"}, "use --inference_latency_ms"),
        ({"delay": 0}, "between 1 and"),
        ({"delay": 5000}, "between 1 and 4096"),
        ({"accounting": "reference"}, "belongs to --delay"),
        ({"delay": 8, "accounting": "lag,delay"}, "there is no 'delay'; give ours, reference, or some of period,lag"),
        ({"delay": 8, "accounting": "reference", "learn_per": "tick"}, "leave out --learn_per"),
        ({"delay": 8, "accounting": "units", "epsilon_per": "update"}, "--epsilon_per"),
        ({"delay": 8, "accounting": "lag", "playout": 3}, "leave out --stagger and --playout"),
        ({"delay": 8, "accounting": "lag", "interaction": "sequential_learn_first"}, "no order"),
        ({"delay": 8, "interaction": "sequential_learn_first"}, "give --learning_schedule=asynchronous and"),
        (
            {"clock": "virtual", "learning_schedule": "every:4", "interaction": "sequential_learn_first"},
            "give --learning_schedule=asynchronous and",
        ),
        ({"learn_every": -1}, "between 0 and"),
        ({"width": 1e9}, "at most 1000"),
        ({"width": 0.0}, "greater than 0"),
        ({"width": float("nan")}, "greater than 0"),
        ({"batch_size": 999_999_999}, "between 1 and 65536"),
        ({"frame_stack": 100_000}, "between 1 and 256"),
        ({"frame_stack_stride": 4}, "give a --frame_stack of 2 or more"),
        ({"max_ticks": 10**400}, "between 1 and"),
        ({"default_action_index": -1}, "at least 0"),
        ({"value_max": float("inf"), "categorical": True}, "finite"),
        ({"atoms": 11}, "belongs to --categorical"),
        ({"one_step_loss": True}, "belongs to --n_steps of at least 2"),
        ({"one_step_loss": True, "agent": "rainbow", "n_steps": 1}, "belongs to --n_steps of at least 2"),
        ({"importance_exponent": 1.0, "agent": "rainbow", "prioritised": False}, "belongs to --prioritised"),
        ({"demonstrations": "some.npz", "learn_every": 0}, "belongs to a learner"),
        ({"inference_dtype": "int8", "fast": False}, "belongs to --fast"),
        ({"environment_kwargs": "continuous=False"}, "JSON object"),
        ({"environment_kwargs": "[1, 2]"}, "JSON object"),
        ({"environment_kwargs": "[" * 100_000}, "JSON object"),
        ({"run_dir": "two\nlines"}, "in one"),
        ({"parameters": ["1M"]}, "text"),
    ],
)
def test_bad_settings_are_one_line_that_says_what_to_do(wrong, says):
    with pytest.raises(UserError, match=says) as error:
        Settings(**wrong).check()
    assert "\n" not in str(error.value)


def test_the_defaults_are_good():
    Settings().check()  # raises if they are not
    assert Settings().learns


def test_what_texts_stand_for():
    default = Settings()
    assert (default.inference_worker_count, default.learner_count, default.playout_ticks) == (1, 1, None)
    assert environments.keywords(default.environment_kwargs) == {}
    for said in ("is_sequential", "learns_first", "is_virtual", "repeats_last_action"):
        assert getattr(default, said) is False
    given = Settings(
        inference_workers="auto",
        learner_workers="auto",
        playout=12,
        delay=3,
        default_action="repeat",
        environment_kwargs='{"continuous": false}',
    )
    assert (given.inference_worker_count, given.learner_count, given.playout_ticks) == (None, None, 12)
    assert environments.keywords(given.environment_kwargs) == {"continuous": False}
    assert given.is_virtual
    assert given.repeats_last_action
    assert Settings(playout="off").playout_ticks == 0
    blocking = Settings(interaction="sequential_learn_first", inference_workers="auto")
    assert blocking.is_sequential
    assert blocking.learns_first
    assert blocking.inference_worker_count == 1


def test_what_the_paper_s_released_code_does_otherwise():
    assert Settings().departures == frozenset()
    assert Settings(delay=5, accounting="lag,units").departures == {"lag", "units"}
    assert len(Settings(delay=5, accounting="reference").departures) == 6
    assert Settings(delay=5, interaction="sequential", accounting="reference").cadence == (6, 31, True)
    assert Settings(delay=5, accounting="reference").cadence == (1, 6, True)
    assert Settings(delay=5, accounting="units,bootstrap,next_obs").cadence is None
    assert Settings(delay=5, accounting="units").learn_unit == "decision"
    assert Settings(delay=5).learn_unit == "tick"


@pytest.mark.parametrize("off", [{"learner_workers": "0"}, {"learn_every": 0}, {"policy": "random"}])
def test_a_run_that_learns_nothing_has_no_learners(off):
    assert not Settings(**off).learns
    assert Settings(**off).learner_count == 0


def test_parts_are_those_of_the_agent_unless_set():
    assert not Settings().has("noisy")
    assert Settings(agent="rainbow").has("noisy")
    assert not Settings(agent="rainbow", noisy=False).has("noisy")
    Settings(agent="rainbow", atoms=11).check()


def test_python_may_say_it_in_its_own_way():
    given = {
        "run_dir": pathlib.Path("runs") / "one",
        "cores": [0, 1],
        "environment_kwargs": {"map": "5x5", "slippery": False},
        "seed": np.int64(7),
        "gamma": np.float32(0.5),
        "learn_start": 50,
    }
    plain = from_python(given)
    assert plain == {
        "run_dir": "runs/one",
        "cores": "0,1",
        "environment_kwargs": '{"map": "5x5", "slippery": false}',
        "seed": 7,
        "gamma": 0.5,
        "learn_start": 50,
    }
    assert json.loads(json.dumps(plain)) == plain
    assert environments.keywords(Settings(**plain).environment_kwargs) == given["environment_kwargs"]
    with pytest.raises(UserError, match="cannot be written as JSON"):
        from_python({"environment_kwargs": {"render": object()}})


@pytest.mark.parametrize(
    "given",
    [lambda: None, functools.partial(print), type("Outer", (), {"make": lambda self: None})().make],
    ids=["lambda", "partial", "method"],
)
def test_a_factory_that_no_other_process_could_find_is_refused(given):
    with pytest.raises(UserError, match="other processes find a function or class by its name: define one at the top"):
        from_python({"environment": given})
    assert from_python({"environment": pathlib.PurePath}) == {"environment": f"{pathlib.PurePath.__module__}:PurePath"}


def test_core_lists():
    allowed = sorted(os.sched_getaffinity(0))
    assert Settings().core_list() == allowed
    assert Settings(cores=f"{allowed[-1]},{allowed[0]},{allowed[-1]}").core_list() == list(
        dict.fromkeys([allowed[-1], allowed[0]])
    )


def test_every_setting_is_in_the_flagfile_and_what_is_set_is_in_force():
    text = as_flagfile(Settings(run_dir="/somewhere", duration_s=5.0, max_ticks=None))
    lines = text.splitlines()
    assert len(lines) == len(Settings.__dataclass_fields__)
    assert "--duration_s=5.0" in lines
    assert "# --max_ticks=" in lines
    assert "# --run_dir=/somewhere" in lines


@pytest.mark.parametrize(
    "text", ["12", "normal:12,1", "lognormal:12,3", "gamma:12,6", "uniform:10,14", "9+outlier:0.1,39"]
)
def test_latencies_have_the_mean_they_state(text):
    rng = np.random.default_rng(0)
    draw = latency.parse(text)
    values = [draw(rng) for _ in range(20_000)]
    assert np.mean(values) == pytest.approx(12, rel=0.02)
    assert min(values) >= 0
