"""Records as the browser gets them: small, without NaN, and the same from a live board and from a folder."""

import numpy as np
import pytest

from rtrl_jax.board.records import APPLIED, OUTCOME, STALE, TICK, UPDATE
from rtrl_jax.errors import UserError
from rtrl_jax.page import messages, tables
from rtrl_jax.page.finished import MOST_TICKS, FinishedRun
from rtrl_jax.telemetry.files import write_arrays, write_text
from rtrl_jax.telemetry.recorder import columns

TAU_NS = 10_000_000


def records(length):
    """Two workers, each answering every second observation one tick late; β in tick 0. An episode ends every 10 ticks."""
    ticks, decisions = np.zeros(length, TICK), np.zeros(length, OUTCOME)
    ticks["tick"] = np.arange(length)
    ticks["boundary_ns"] = 10**12 + TAU_NS * ticks["tick"]
    ticks["obs_tick"], ticks["worker"] = ticks["tick"] - 1, ticks["tick"] % 2
    ticks["is_default"][0], ticks["worker"][0] = True, -1
    ticks["decisions"] = ticks["tick"]
    ticks["reward"], ticks["episode"] = 1.0, ticks["tick"] // 10
    ticks["terminated"] = ticks["tick"] % 10 == 9
    made = decisions["decision"]
    made["worker"], made["obs_tick"] = ticks["tick"] % 2, ticks["tick"]
    made["start_ns"] = ticks["boundary_ns"]
    made["end_ns"] = made["start_ns"] + TAU_NS // 2
    made["trunk_end_ns"] = made["head_start_ns"] = made["end_ns"]
    decisions["apply_tick"], decisions["status"] = ticks["tick"] + 1, APPLIED
    decisions["status"][-1] = STALE
    return ticks, decisions


def folder_of(path, ticks, decisions, updates=np.empty(0, UPDATE)):  # noqa: B008
    path.mkdir()
    for kind, rows in (("ticks", ticks), ("decisions", decisions), ("updates", updates)):
        write_arrays(path / f"{kind}.npz", columns(rows))
    (path / "flags.txt").write_text("--environment=gameboy/stacks\n--stagger=ticket\n# --page=8000\n")
    return path


def test_rows_hold_the_newest_in_milliseconds():
    ticks, decisions = records(2 * tables.MOST_ROWS)
    found = tables.rows(ticks, decisions, int(ticks["boundary_ns"][0]))
    assert len(found["ticks"]) == len(found["decisions"]) == tables.MOST_ROWS
    first = tables.MOST_ROWS
    end = 10.0 * first + 5
    assert found["ticks"][0] == [first, 10.0 * first, first - 1, 0, 0]
    assert found["decisions"][0] == [0, 10.0 * first, end, first, APPLIED, first + 1, 0, end, end]


def test_curves_are_thinned_and_have_no_nan():
    found = tables.returns_curve(list(range(5000)), [1.0] * 5000, 60.0)
    assert len(found["x"]) == tables.MOST_POINTS
    assert set(found["mean"]) == {1.0}
    assert tables.curve([0, 1], [np.nan, 2])["y"] == [None, 2.0]
    assert tables.curve([], []) == {"x": [], "y": []}
    assert tables.returns_curve([], [], 60.0) == {"x": [], "y": [], "mean": []}


def test_delays_are_counted():
    assert tables.histogram(np.array([4, 4, 6])) == {"x": [4, 5, 6], "y": [2, 0, 1]}
    assert tables.histogram(np.array([], int)) == {"x": [], "y": []}


def test_a_folder_is_shown(tmp_path):
    run = FinishedRun(folder_of(tmp_path / "run", *records(1000)))
    hello, _ = messages.unpack(run.greeting())
    assert (hello["environment"], hello["workers"], hello["last_tick"]) == ("gameboy/stacks", 2, 999)
    assert hello["figures"]["episodes"] == {"count": 100, "return_so_far": 0.0}
    assert hello["delays"] == {"x": [1], "y": [999]}
    window, _ = messages.unpack(run.window(100, 20))
    assert [row[0] for row in window["ticks"]] == list(range(100, 120))
    assert (window["from"], window["to"]) == (1000.0, 1200.0)
    assert {row[3] for row in window["decisions"]} >= set(range(100, 119))


def test_a_folder_shows_what_learning_looked_like(tmp_path):
    updates = np.zeros(400, UPDATE)
    updates["applied_version"] = np.arange(400)
    updates["q"], updates["target_q"] = np.arange(400), 7
    updates["inactive"] = np.where(np.arange(400) % 64 == 0, 0.25, np.nan)
    hello, _ = messages.unpack(FinishedRun(folder_of(tmp_path / "run", *records(1000), updates)).greeting())
    assert hello["learns"]
    values = hello["values"]
    assert (values["x"][-1], values["y"][:2], set(values["target"])) == (400, [0.5, 2.5], {7.0})
    assert hello["inactive"] == {"x": [0, 64, 128, 192, 256, 320, 384], "y": 7 * [25.0]}
    assert hello["figures"]["learning"]["q"] == 379.5
    unlearned, _ = messages.unpack(FinishedRun(folder_of(tmp_path / "other", *records(100))).greeting())
    assert (unlearned["values"]["x"], unlearned["inactive"]["x"]) == ([], [])


def test_times_are_seconds(tmp_path):
    hello, _ = messages.unpack(FinishedRun(folder_of(tmp_path / "run", *records(1000))).greeting())
    assert hello["rate_hz"] == pytest.approx(100.0)
    assert (hello["inaction"]["x"][-1], hello["returns"]["x"][-1]) == pytest.approx((9.99, 9.99))


def test_workers_that_never_decided_have_a_row_too(tmp_path):
    folder = folder_of(tmp_path / "run", *records(100))
    write_text(folder / "summary.json", '{"inference": {"workers": 4}}')
    hello, _ = messages.unpack(FinishedRun(folder).greeting())
    assert hello["workers"] == 4


def test_a_run_whose_numbers_are_none_is_shown(tmp_path):
    ticks, decisions = records(100)
    ticks["reward"][50:] = np.nan
    hello, _ = messages.unpack(FinishedRun(folder_of(tmp_path / "run", ticks, decisions)).greeting())
    assert hello["returns"]["y"][:6] == [10.0, 10.0, 10.0, 10.0, 10.0, None]
    assert hello["figures"]["episodes"]["count"] == 10


@pytest.mark.parametrize(
    ("first", "length"), [(-5, 10), (10**15, 10), (995, 10), (0, -3), (0, 10**15), (-(2**53), 2**53)]
)
def test_any_window_is_answered(tmp_path, first, length):
    run = FinishedRun(folder_of(tmp_path / "run", *records(1000)))
    window, _ = messages.unpack(run.window(first, length))
    assert 1 <= len(window["ticks"]) <= MOST_TICKS


def test_what_is_no_run_is_refused_in_a_line(tmp_path):
    with pytest.raises(UserError, match="no run"):
        FinishedRun(tmp_path)
    with pytest.raises(UserError, match="without a single tick"):
        FinishedRun(folder_of(tmp_path / "empty", *(rows[:0] for rows in records(10))))
    damaged = folder_of(tmp_path / "damaged", *records(10))
    (damaged / "ticks.npz").write_bytes(b"rubbish")
    with pytest.raises(UserError, match="no run"):
        FinishedRun(damaged)
