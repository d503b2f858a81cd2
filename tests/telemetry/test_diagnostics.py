"""Diagnostics of learning in the figures of a run: over its end, from what was measured, and told of when something is wrong."""

import math

import numpy as np
import pytest
from telemetry.records import records

from rtrl_jax.board.records import APPLIED, STALE
from rtrl_jax.telemetry.files import write_arrays
from rtrl_jax.telemetry.live import Window
from rtrl_jax.telemetry.recorder import SINCE, columns, read_back
from rtrl_jax.telemetry.summary import statistics


def run(count=800):
    """With 200 updates: Q rises by 1 an update; 30 % of the units are inactive in update 0, then 50, 70 and 90 %."""
    made = records(count)
    updates, each = made["updates"], np.arange(count // 4)
    updates["loss"], updates["q"], updates["target_q"], updates["td_error"] = 0.5, each, each + 1, 2.0
    updates["gradient_norm"] = np.where(each < 180, 100.0, 3.0)
    updates["inactive"] = np.where(each % 64 == 0, 0.3 + 0.2 * (each // 64), math.nan)
    updates["inactive_channels"] = updates["inactive"] / 2
    return made


def test_the_summary_has_the_last_tenth():
    made = run()
    found = statistics(made["ticks"], made["decisions"], made["updates"])["learning"]
    assert found["q"] == pytest.approx(189.5)
    assert found["target_q"] == pytest.approx(190.5)
    assert (found["td_error"], found["gradient_norm"]) == (2.0, 3.0)
    assert found["inactive_first"] == pytest.approx(0.3)
    assert (found["inactive"], found["inactive_channels"]) == pytest.approx((0.9, 0.45))


def test_what_the_end_did_not_measure_was_measured_before():
    made = run()
    found = statistics(made["ticks"], made["decisions"], made["updates"][:191])["learning"]
    assert found["inactive"] == pytest.approx(0.7)
    nothing = statistics(made["ticks"], made["decisions"], made["updates"][:0])["learning"]
    assert {nothing[name] for name in (*SINCE, "inactive_first")} == {None}


def test_the_exploratory_share_is_of_what_acted():
    made = run()
    decisions = made["decisions"]
    order = np.arange(len(decisions))
    decisions["status"], decisions["apply_tick"] = np.where(order % 2, APPLIED, STALE), order[::-1]
    decisions["decision"]["greedy"] = (order % 2 == 0) | (order > 100)  # of what acted, the last 50 in time explored
    found = statistics(made["ticks"], decisions, made["updates"])["inference"]
    assert found["exploratory"] == pytest.approx(50 / 400)
    assert found["exploratory_last"] == 1.0
    assert found["greedy"] == pytest.approx(1 - 50 / 800)


def test_a_window_keeps_the_share_that_was_counted_before_it():
    made, window = run(4000), Window()
    made["updates"]["inactive"][1:] = math.nan
    window.add(made)
    found = window.figures()["learning"]
    assert found["inactive"] == pytest.approx(0.3)
    assert found["q"] > 850  # of five seconds


def test_warnings_are_told_once():
    made, window = run(), Window()
    window.add(made)
    assert window.warnings() == []
    made["updates"]["inactive"][64] = 0.95
    made["updates"]["gradient_norm"][70:] = math.inf
    for _ in range(2):
        window.add(made)
    assert window.warnings() == [
        "warning: the gradient's norm in update 70 is inf",
        "warning: 95% of the hidden units are inactive in update 64: no gradient passes through them",
    ]


def test_a_run_of_before_is_read_and_nobody_is_warned(tmp_path):
    made = run()
    for kind, rows in made.items():
        kept = {name: values for name, values in columns(rows).items() if name not in SINCE or kind != "updates"}
        write_arrays(tmp_path / f"{kind}.npz", kept)
    found, window = read_back(tmp_path), Window()
    assert all(np.isnan(found["updates"][name]).all() for name in SINCE)
    np.testing.assert_array_equal(found["updates"]["loss"], made["updates"]["loss"])
    window.add(found)
    assert window.warnings() == []
