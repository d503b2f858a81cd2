"""The window warns of numbers that are none, once."""

import math

from telemetry.records import records

from rtrl_jax.telemetry.live import Window


def test_a_loss_that_is_no_number_is_told_once():
    window, run = Window(), records(200)
    run["updates"]["loss"] = 0.5
    window.add(run)
    assert window.warnings() == []
    run["updates"]["loss"][20:] = math.nan
    window.add(run)
    assert window.warnings() == ["warning: the loss of update 20 is nan"]
    window.add(run)
    assert window.warnings() == []
