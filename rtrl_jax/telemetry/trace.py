"""A run's records as a trace for Perfetto: what the world, each inference worker and each learner did when, with arrows from an
observation to its decision to the tick it acted on.

Chrome's trace format (JSON): X a span, M a name, s/t/f the beginning, step and end of an arrow, C a counter, i an instant.
Times are whole microseconds, rounded down, so that spans which followed one another still do.
"""

import gzip
import json
import pathlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from rtrl_jax import actions
from rtrl_jax.board.records import APPLIED, OVERWRITTEN, STALE
from rtrl_jax.telemetry.files import write_atomically
from rtrl_jax.telemetry.summary import LATE_MS

NAME = "trace.json.gz"
SECONDS = 30.0
MOST_EVENTS = 200_000  # about 35 MB of JSON, 4 MB compressed: what Perfetto opens in a few seconds
WORLD, INFERENCE, LEARNING = 1, 2, 3  # "processes" of the trace, in this order
BOUNDARIES, IN_FORCE = 0, 1  # the world's tracks
OUTCOMES = {APPLIED: "applied", OVERWRITTEN: "overwritten", STALE: "stale"}
LEAST_WAIT_NS, LEAST_HOLD_NS = 1_000, 200_000  # what is shorter is no wait but the way of things
AFTER_NS = 1_000_000_000  # the last inferences and updates begin no later after the last boundary
EVENTS_A_TICK, EVENTS_A_DECISION, EVENTS_AN_UPDATE = 6, 6, 4  # at most


class Window(NamedTuple):
    """What is shown: from `begin` to `first_end` and from `last_begin` to `end`, in nanoseconds of the run's clock."""

    begin: int
    first_end: int
    last_begin: int
    end: int

    def holds(self, stamps: np.ndarray) -> np.ndarray:
        """[n] ns -> [n] bool."""
        first = (stamps >= self.begin) & (stamps <= self.first_end)
        return first | ((stamps >= self.last_begin) & (stamps <= self.end))


def write(
    folder: pathlib.Path,
    records: dict[str, np.ndarray],
    seconds: float = SECONDS,
    elsewhere: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Writes `folder`/trace.json.gz. Args: records, elsewhere: as for `trace`. seconds: 0 writes nothing."""
    if not seconds:
        return
    text = json.dumps(trace(records, seconds, elsewhere=elsewhere), separators=(",", ":")).encode()
    write_atomically(folder / NAME, lambda file: file.write(gzip.compress(text, compresslevel=6, mtime=0)))


def trace(
    records: dict[str, np.ndarray],
    seconds: float = SECONDS,
    most_events: int = MOST_EVENTS,
    elsewhere: Mapping[str, str] = MappingProxyType({}),
) -> dict:
    """The trace as JSON has it.

    Args:
      records: TICK, OUTCOME and UPDATE records by kind ("ticks", "decisions", "updates").
      seconds: how much of the beginning and how much of the end is shown; less if that makes too many events.
      most_events: a bound on their number.
      elsewhere: the machine of each worker and learner that is not on the environment's, e.g. {"learner 0": "b"}.
    """
    ticks = _of_one_clock(records["ticks"])
    window, seconds = choose_window({**records, "ticks": ticks}, seconds, most_events)
    begin = window.begin
    shown = {
        "ticks": window.holds(ticks["boundary_ns"]),
        "decisions": window.holds(records["decisions"]["decision"]["start_ns"]),
        "updates": window.holds(records["updates"]["start_ns"]),
    }
    decisions, updates = records["decisions"][shown["decisions"]], records["updates"][shown["updates"]]
    events = [
        *_world(ticks, np.flatnonzero(shown["ticks"]), begin),
        *_inference(decisions, ticks["boundary_ns"][np.flatnonzero(np.diff(ticks["session"], prepend=-1))], begin),
        *_learning(updates, begin),
        *_arrows(ticks, shown["ticks"], decisions, begin),
    ]
    if window.last_begin > window.first_end:
        left_out = (window.last_begin - window.first_end) / 1e9
        events.append(
            {
                "ph": "i",
                "name": f"{left_out:.1f} s left out",
                "pid": WORLD,
                "tid": BOUNDARIES,
                "ts": _us(window.first_end - begin),
                "s": "g",
            }
        )
    events.sort(key=lambda event: (event["ts"], "dur" not in event, -event.get("dur", 0)))
    return {
        "displayTimeUnit": "ms",
        "otherData": {
            "origin_ns": begin,
            "seconds_at_each_end": seconds,
            "ticks": int(shown["ticks"].sum()),
            "ticks_left_out": int((~shown["ticks"]).sum()) + len(records["ticks"]) - len(ticks),
            "decisions": len(decisions),
            "updates": len(updates),
        },
        "traceEvents": [*_names(decisions, updates, elsewhere), *events],
    }


def _of_one_clock(ticks: np.ndarray) -> np.ndarray:
    """The ticks since the machine last started: a run resumed after that has a clock which begins anew."""
    backward = np.flatnonzero(np.diff(ticks["boundary_ns"]) < 0)
    return ticks[backward[-1] + 1 :] if len(backward) else ticks


def choose_window(records: dict[str, np.ndarray], seconds: float, most_events: int) -> tuple[Window, float]:
    """The first and the last `seconds` of the run, halved until they hold no more than so many events."""
    ticks = records["ticks"]
    if not len(ticks):
        return Window(0, 0, 0, -1), seconds
    first, last = int(ticks["boundary_ns"][0]), int(ticks["boundary_ns"][-1])
    stamps = (
        (ticks["boundary_ns"], EVENTS_A_TICK),
        (records["decisions"]["decision"]["start_ns"], EVENTS_A_DECISION),
        (records["updates"]["start_ns"], EVENTS_AN_UPDATE),
    )
    while True:
        length = round(seconds * 1e9)
        window = Window(first, min(first + length, last), max(last - length, first), last + AFTER_NS)
        if sum(each * int(window.holds(stamp).sum()) for stamp, each in stamps) <= most_events or seconds < 1e-9:
            return window, seconds
        seconds = min(seconds, (last - first) / 2e9) / 2


def _us(nanoseconds: int) -> int:
    return int(nanoseconds) // 1000


def _span(pid: int, tid: int, name: str, start: int, end: int, **args) -> dict:
    """Args: start, end: ns since the beginning of what is shown."""
    begin = _us(start)
    return {"ph": "X", "name": name, "pid": pid, "tid": tid, "ts": begin, "dur": max(0, _us(end) - begin), "args": args}


def _names(decisions: np.ndarray, updates: np.ndarray, elsewhere: Mapping[str, str]) -> Iterator[dict]:
    workers, learners = (np.unique(part).tolist() for part in (decisions["decision"]["worker"], updates["learner"]))
    tracks = {
        (WORLD, "environment"): {BOUNDARIES: "boundaries", IN_FORCE: "action in force"},
        (INFERENCE, "inference"): {worker: _track(f"worker {worker}", elsewhere) for worker in workers},
        (LEARNING, "learning"): {learner: _track(f"learner {learner}", elsewhere) for learner in learners},
    }
    for (pid, process), threads in tracks.items():
        if not threads:
            continue
        yield {"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "ts": 0, "args": {"name": process}}
        yield {"ph": "M", "name": "process_sort_index", "pid": pid, "tid": 0, "ts": 0, "args": {"sort_index": pid}}
        for tid, thread in threads.items():
            yield {"ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "ts": 0, "args": {"name": thread}}
            yield {"ph": "M", "name": "thread_sort_index", "pid": pid, "tid": tid, "ts": 0, "args": {"sort_index": tid}}


def _track(name: str, elsewhere: Mapping[str, str]) -> str:
    return f"{name} on {elsewhere[name]}" if name in elsewhere else name


def _world(ticks: np.ndarray, shown: np.ndarray, begin: int) -> Iterator[dict]:
    """Args: shown: [n] numbers of the rows to show, ascending."""
    playout = None
    for i in shown.tolist():
        row = ticks[i]
        tick, boundary, published = int(row["tick"]), int(row["boundary_ns"]) - begin, int(row["published_ns"]) - begin
        lateness = int(row["lateness_ns"])
        yield _span(WORLD, BOUNDARIES, "step", boundary, published, tick=tick, lateness_ms=lateness / 1e6)
        if lateness > LATE_MS * 1e6:
            before = int(ticks["published_ns"][i - 1]) - begin if i else 0
            yield _span(WORLD, BOUNDARIES, "late", max(boundary - lateness, before, 0), boundary, tick=tick)
        end = published
        if i + 1 < len(ticks) and ticks["session"][i + 1] == row["session"]:
            end = max(end, int(ticks["boundary_ns"][i + 1]) - begin)
        args = {"tick": tick, "action": actions.plain(row["action"]), "reward": float(row["reward"])}
        if not row["is_default"]:
            obs_tick = int(row["obs_tick"])
            args |= {"worker": int(row["worker"]), "obs_tick": obs_tick, "delay": tick - obs_tick}
        name = "β" if row["is_default"] else f"action {actions.text(row['action'])}"
        yield _span(WORLD, IN_FORCE, name, boundary, end, **args, episode=int(row["episode"]))
        yield _counter("lateness (ms)", boundary, lateness / 1e6)
        if row["playout"] != playout:
            playout = row["playout"]
            yield _counter("playout delay D (ticks)", boundary, int(playout))
        if row["terminated"] or row["truncated"] or row["slipped"]:
            slipped = int(row["slipped"])
            what = f"{slipped} ticks slipped" if slipped else f"episode {int(row['episode'])} ends"
            yield {"ph": "i", "name": what, "pid": WORLD, "tid": BOUNDARIES, "ts": _us(boundary), "s": "p"}


def _counter(name: str, at: int, value: float) -> dict:
    return {"ph": "C", "name": name, "pid": WORLD, "tid": 0, "ts": _us(at), "args": {"value": value}}


def _inference(decisions: np.ndarray, sessions: np.ndarray, begin: int) -> Iterator[dict]:
    """Args: sessions: when each began, ns; between two of them nobody waits."""
    made = decisions["decision"]
    session_of = np.searchsorted(sessions, made["start_ns"])
    for worker in np.unique(made["worker"]).tolist():
        mine = np.flatnonzero(made["worker"] == worker)
        mine = mine[np.argsort(made["start_ns"][mine], kind="stable")]
        before, session = None, -1
        for row, own_session in zip(decisions[mine], session_of[mine], strict=True):
            one = row["decision"]
            start, end = int(one["start_ns"]) - begin, int(one["end_ns"]) - begin
            if own_session == session and start - before > LEAST_WAIT_NS:
                yield _span(INFERENCE, worker, "waits", before, start)
            yield _span(
                INFERENCE,
                worker,
                _outcome(row),
                start,
                end,
                obs_tick=int(one["obs_tick"]),
                action=actions.plain(one["action"]),
                version=int(one["version"]),
                outcome=OUTCOMES[int(row["status"])],
                apply_tick=int(row["apply_tick"]),
                exploratory=not one["greedy"],
            )
            yield from _parts(worker, one, begin)
            before, session = end, own_session
            registered = int(one["registered_ns"]) - begin
            if registered - end > LEAST_HOLD_NS:  # Algorithm 1 lets a quick worker wait before its action may be seen
                yield _span(INFERENCE, worker, "until registered", end, registered)
                before = registered


def _parts(worker: int, one, begin: int) -> Iterator[dict]:
    """Within an inference with a late head: its two parts, and the wait between them."""
    if one["told_tick"] < 0:
        return
    start, trunk_end, head_start, end = (
        int(one[name]) - begin for name in ("start_ns", "trunk_end_ns", "head_start_ns", "end_ns")
    )
    yield _span(INFERENCE, worker, "trunk", start, trunk_end)
    if head_start > trunk_end:
        yield _span(INFERENCE, worker, "waits for the last tick", trunk_end, head_start)
    yield _span(INFERENCE, worker, "head", head_start, end, told_tick=int(one["told_tick"]))


def _outcome(row) -> str:
    """The name of the span: Perfetto colours spans by their names."""
    return OUTCOMES[int(row["status"])] + ("" if row["decision"]["greedy"] else " (explored)")


def _learning(updates: np.ndarray, begin: int) -> Iterator[dict]:
    for row in updates:
        learner = int(row["learner"])
        start, computed, turn, end = (int(row[f"{name}_ns"]) - begin for name in ("start", "computed", "turn", "end"))
        applied, taken = int(row["applied_version"]), int(row["gradient_version"])
        facts = {"gradient_version": taken, "applied_version": applied, "delay": applied - taken}
        yield _span(LEARNING, learner, "update", start, end, **facts, loss=_finite(row["loss"]))
        for name, since, until in (("gradient", start, computed), ("waits for its turn", computed, turn)):
            if until > since:
                yield _span(LEARNING, learner, name, since, until)
        if end > turn:
            yield _span(LEARNING, learner, "apply", turn, end)


def _finite(value) -> float | None:
    return float(value) if np.isfinite(value) else None  # JSON has no NaN


def _arrows(ticks: np.ndarray, shown: np.ndarray, decisions: np.ndarray, begin: int) -> Iterator[dict]:
    """An arrow for each decision, through what of observation, inference and tick is shown. Each point lies in its span."""

    def row_of(tick: int) -> int | None:
        i = int(np.searchsorted(ticks["tick"], tick))
        return i if i < len(ticks) and ticks["tick"][i] == tick and shown[i] else None

    for number, row in enumerate(decisions):
        one, points = row["decision"], []
        if (seen := row_of(int(one["obs_tick"]))) is not None:
            start, end = (_us(int(ticks[name][seen]) - begin) for name in ("boundary_ns", "published_ns"))
            points.append((WORLD, BOUNDARIES, (start + end) // 2))
        start, end = (_us(int(one[name]) - begin) for name in ("start_ns", "end_ns"))
        points.append((INFERENCE, int(one["worker"]), min(start + 1, max(start, end))))
        if row["status"] == APPLIED and (acted := row_of(int(row["apply_tick"]))) is not None:
            points.append((WORLD, IN_FORCE, _us(int(ticks["boundary_ns"][acted]) - begin) + 1))
        for phase, (pid, tid, ts) in zip("s" + "t" * (len(points) - 2) + "f", points, strict=False):
            if len(points) < 2:
                break
            arrow = {"ph": phase, "id": number, "cat": "decision", "name": "decision", "pid": pid, "tid": tid, "ts": ts}
            yield arrow if phase == "s" else {**arrow, "bp": "e"}
