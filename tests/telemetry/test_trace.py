"""The trace: valid in Chrome's format, complete, and no larger than it may be."""

import collections
import gzip
import json

import numpy as np
import pytest
from telemetry.records import MS, TAU_M, records

from rtrl_jax.telemetry import recorder, trace
from rtrl_jax.telemetry.files import write_atomically


def check(made: dict) -> collections.Counter:
    """Everything Perfetto relies on. Returns how many events there are by (phase, name)."""
    events = json.loads(json.dumps(made, allow_nan=False))["traceEvents"]
    body = [event for event in events if event["ph"] != "M"]
    assert [event["ts"] for event in body] == sorted(event["ts"] for event in body)
    named = {(e["pid"], e["tid"]) for e in events if (e["ph"], e["name"]) == ("M", "thread_name")}
    tracks = collections.defaultdict(list)
    for event in body:
        if event["ph"] == "X":
            assert event["dur"] >= 0
            assert (event["pid"], event["tid"]) in named
            tracks[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    for spans in tracks.values():
        open_until = []
        for start, end in spans:  # in order; each lies in the one around it, or after the one before it
            while open_until and open_until[-1] <= start:
                open_until.pop()
            assert not open_until or end <= open_until[-1], "two spans of a track overlap"
            open_until.append(end)
    arrows = collections.defaultdict(list)
    for event in body:
        if event["ph"] in "stf":
            arrows[event["id"]].append(event)
            around = tracks[event["pid"], event["tid"]]
            assert any(start <= event["ts"] <= end for start, end in around), "an arrow's point lies in no span"
    for arrow in arrows.values():
        assert "".join(event["ph"] for event in arrow) in ("sf", "stf")
    return collections.Counter((event["ph"], event["name"]) for event in body)


def count(found: collections.Counter, *names: str) -> int:
    return sum(number for (phase, name), number in found.items() if phase == "X" and name.split(" (")[0] in names)


@pytest.mark.parametrize("sessions", [1, 2])
def test_a_whole_run(sessions):
    run = records(sessions=sessions)
    found = check(trace.trace(run))
    assert count(found, "step") == 200
    assert found["X", "β"] + found["X", "action 0"] == 200
    assert found["X", "β"] == run["ticks"]["is_default"].sum()
    assert count(found, "applied", "stale") == 200
    assert count(found, "applied") == (run["decisions"]["status"] == 0).sum() == found["t", "decision"]
    assert found["s", "decision"] == found["f", "decision"] == 200
    assert [count(found, name) for name in ("update", "gradient", "waits for its turn", "apply")] == [50] * 4
    assert found["X", "late"] == 4
    assert found["X", "until registered"] == 200
    assert found["X", "waits"] == 200 - 3 * sessions  # between the inferences of each of three workers
    assert found["C", "lateness (ms)"] == 200
    assert found["i", "episode 0 ends"] == 3


def test_an_arrow_goes_from_the_observation_through_the_inference_to_the_tick_it_acted_on():
    run = records()
    made = trace.trace(run)["traceEvents"]
    arrow = [event for event in made if event.get("id") == 41 and event["ph"] in "stf"]
    assert [(event["pid"], event["tid"]) for event in arrow] == [
        (trace.WORLD, trace.BOUNDARIES),
        (trace.INFERENCE, 41 % 3),
        (trace.WORLD, trace.IN_FORCE),
    ]
    origin = run["ticks"]["boundary_ns"][0]
    acted = (run["ticks"]["boundary_ns"][44] - origin) // 1000
    assert acted <= arrow[-1]["ts"] < acted + TAU_M // 1000
    assert all(event["bp"] == "e" for event in arrow[1:])


def test_a_long_run_keeps_its_beginning_and_its_end():
    made = trace.trace(records(2000), seconds=3)
    found = check(made)
    steps = [event["args"]["tick"] for event in made["traceEvents"] if event["name"] == "step"]
    assert steps[:2] == [0, 1]
    assert steps[-1] == 1999
    assert len(steps) == pytest.approx(600, abs=3)
    assert 1000 not in steps
    assert made["otherData"]["ticks_left_out"] == 2000 - len(steps)
    assert found["i", "14.0 s left out"] == 1


@pytest.mark.parametrize("most", [10_000, 500, 20])
def test_the_number_of_events_is_bounded(most):
    made = trace.trace(records(4000), seconds=1e9, most_events=most)
    check(made)
    assert len([event for event in made["traceEvents"] if event["ph"] != "M"]) <= most + 1


def test_before_a_restart_of_the_machine_the_clock_was_another():
    run = records(100)
    run["ticks"]["boundary_ns"][:60] += 10**15
    run["ticks"]["published_ns"][:60] += 10**15
    run["decisions"]["decision"]["start_ns"][:60] += 10**15
    made = trace.trace(run)
    check(made)
    assert made["otherData"]["ticks"] == 40
    assert made["otherData"]["ticks_left_out"] == 60


def test_a_run_without_a_tick():
    empty = {kind: rows[:0] for kind, rows in records().items()}
    assert not check(trace.trace(empty))


def test_it_costs_little(tmp_path):
    trace.write(tmp_path, records(20_000), seconds=1e9)
    assert (tmp_path / trace.NAME).stat().st_size < 4e6


def test_a_killed_run_gets_its_trace_from_its_records(tmp_path):
    for kind, rows in records().items():
        write_atomically(tmp_path / f"{kind}.raw", lambda file, rows=rows: file.write(rows.tobytes()))
    recorder.finish(tmp_path)
    made = json.loads(gzip.decompress((tmp_path / trace.NAME).read_bytes()))
    assert made["otherData"]["ticks"] == 200
    assert sorted(path.name for path in tmp_path.iterdir()) == ["decisions.npz", "ticks.npz", trace.NAME, "updates.npz"]


def test_no_trace_if_none_is_wanted(tmp_path):
    trace.write(tmp_path, records(), seconds=0)
    assert not list(tmp_path.iterdir())


def test_times_are_whole_microseconds():
    run = records()
    assert all(isinstance(event["ts"], int) for event in trace.trace(run)["traceEvents"])
    assert MS % 1000 == 0
    assert not np.isfinite(run["updates"]["loss"][0])
