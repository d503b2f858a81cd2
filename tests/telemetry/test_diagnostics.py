"""Diagnostics of learning in the figures of a run: over its end, from what was measured, and told of when something is wrong."""

import math

import numpy as np
import pytest
from telemetry.records import records
from telemetry.test_tensorboard import read, scalars

from rtrl_jax.board.records import APPLIED, STALE
from rtrl_jax.telemetry import panel
from rtrl_jax.telemetry.files import write_arrays
from rtrl_jax.telemetry.live import Window
from rtrl_jax.telemetry.recorder import columns, read_back
from rtrl_jax.telemetry.summary import DIAGNOSTICS, statistics
from rtrl_jax.telemetry.tensorboard import Events


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
    assert {nothing[name] for name in (*DIAGNOSTICS, "inactive_first")} == {None}


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
    for _ in range(2):
        window.add(made)
    assert window.warnings() == [
        "warning: 95% of the hidden units are inactive in update 64: no gradient passes through them",
    ]


def test_what_was_measured_is_there_again_when_the_run_goes_on(tmp_path):
    made = run()
    for kind, rows in made.items():
        write_arrays(tmp_path / f"{kind}.npz", columns(rows))
    found, window = read_back(tmp_path)["updates"], Window()
    for name in DIAGNOSTICS:
        np.testing.assert_array_equal(found[name], made["updates"][name])
    window.add(read_back(tmp_path))
    assert window.figures()["learning"]["inactive"] == pytest.approx(0.9)


def test_a_run_of_before_is_read_and_nobody_is_warned(tmp_path):
    made = run()
    for kind, rows in made.items():
        kept = {name: values for name, values in columns(rows).items() if name not in DIAGNOSTICS or kind != "updates"}
        write_arrays(tmp_path / f"{kind}.npz", kept)
    found, window = read_back(tmp_path), Window()
    assert all(np.isnan(found["updates"][name]).all() for name in DIAGNOSTICS)
    np.testing.assert_array_equal(found["updates"]["loss"], made["updates"]["loss"])
    window.add(found)
    assert window.warnings() == []


def test_the_terminal_has_a_line_of_it():
    made, window = run(4000), Window()
    window.add(made)
    shown = panel.rows(window)
    (line,) = [row for row in shown if row[0] == "learning"]
    found = window.figures()["learning"]
    assert line[1] == f"Q {found['q']:.3g}"
    assert line[2] == f"target {found['target_q']:.3g}, |TD| 2, ‖∇‖ 3, idle 330 %"
    assert f"{line[1]} ({line[2]})" in panel.in_a_line(shown)
    explored = next(meaning for name, _, meaning in shown if name == "greedy")
    assert f"of what acted {100 * window.figures()['inference']['exploratory']:.0f} % explored" in explored
    nothing = Window()
    nothing.add({**made, "updates": made["updates"][:0]})
    assert "learning" not in [name for name, *_ in panel.rows(nothing)]


def test_tensorboard_has_scalars_of_it(tmp_path):
    window = Window()
    window.add(run())
    events = Events(tmp_path)
    events.write(window)
    events.close()
    found, figures = scalars(read(tmp_path)), window.figures()
    for name in DIAGNOSTICS:
        assert found[f"learning/{name}", 800] == pytest.approx(figures["learning"][name])
    assert found["acting/exploratory", 800] == pytest.approx(figures["inference"]["exploratory"])
