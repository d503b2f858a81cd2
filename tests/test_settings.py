"""Settings: what is refused, in one line that says what to do, and the flagfile that repeats a run."""

import os

import pytest

from rtrl_jax import UserError, latency
from rtrl_jax.settings import Settings, as_flagfile


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"stagger": "fast"}, "choose one of"),
        ({"interaction": "parallel"}, "choose one of"),
        ({"duration_s": -1.0}, "greater than 0"),
        ({"duration_s": float("nan")}, "greater than 0"),
        ({"rate_hz": float("inf")}, "greater than 0"),
        ({"gamma": 1.5}, "between 0 and 1"),
        ({"inference_workers": "0"}, "or auto"),
        ({"inference_workers": "two"}, "or auto"),
        ({"learner_workers": "some"}, "or auto"),
        ({"learner_workers": "9999"}, "the most is"),
        ({"learner_workers": "2", "interaction": "sequential"}, "one agent process"),
        ({"learning": "serial"}, "choose one of"),
        ({"agent": "sarsa"}, "choose one of"),
        ({"dueling": 1}, "true or false"),
        ({"max_ticks": True}, "a whole number"),
        ({"atoms": 1}, "at least 2"),
        ({"value_min": 5.0, "value_max": 5.0}, "less than"),
        ({"n_steps": 0}, "greater than 0"),
        ({"checkpoint_every_s": -1.0}, "or 0 for none"),
        ({"checkpoint_keep": 0}, "greater than 0"),
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
        ({"inference_workers": "100000"}, "the most is"),
        ({"rate_hz": 1e9}, "the most is"),
        ({"seed": -1}, "--seed"),
        ({"replay_capacity": 10}, "the least is"),
        ({"learn_start": 40_000, "replay_capacity": 50_000}, "at most half"),
        ({"duration_s": "long"}, "a number"),
        ({"max_ticks": 2.5}, "a whole number"),
        ({"seed": None}, "a whole number"),
        ({"clock": "sundial"}, "choose one of"),
        ({"inference_latency_ms": "5"}, "belongs to --clock=virtual"),
        ({"learning_schedule": "every:4"}, "belongs to --clock=virtual"),
        ({"clock": "virtual", "learning_schedule": "every:x"}, "every:N"),
        ({"clock": "virtual", "learning_latency_ms": "normal:5"}, "milliseconds"),
        ({"clock": "virtual", "emulated_inference_ms": "5"}, "use --inference_latency_ms"),
        ({"delay": 0}, "greater than 0"),
        ({"delay": 5000}, "the most is"),
        ({"delay": 8, "accounting": "reference"}, "sequential"),
        ({"learn_every": -1}, "negative"),
    ],
)
def test_bad_settings_are_one_line_that_says_what_to_do(wrong, says):
    with pytest.raises(UserError, match=says) as error:
        Settings(**wrong).check()
    assert "\n" not in str(error.value)


def test_the_defaults_are_good():
    Settings().check()  # raises if they are not
    assert Settings().learns


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
    import numpy as np

    rng = np.random.default_rng(0)
    draw = latency.parse(text)
    values = [draw(rng) for _ in range(20_000)]
    assert np.mean(values) == pytest.approx(12, rel=0.02)
    assert min(values) >= 0
