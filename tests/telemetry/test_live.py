"""The window warns of numbers that are none, once."""

import math

import pytest
from telemetry.records import records

from rtrl_jax.telemetry.live import Window


@pytest.mark.parametrize(
    ("kind", "field", "value", "said"),
    [
        ("updates", "loss", math.nan, "warning: the loss of update 20 is nan"),
        ("ticks", "reward", math.inf, "warning: the reward of tick 20 is inf"),
    ],
)
def test_what_is_no_number_is_told_once(kind, field, value, said):
    window, run = Window(), records(200)
    run["updates"]["loss"] = 0.5
    window.add(run)
    assert window.warnings() == []
    run[kind][field][20:] = value
    window.add(run)
    assert window.warnings() == [said]
    window.add(run)
    assert window.warnings() == []
