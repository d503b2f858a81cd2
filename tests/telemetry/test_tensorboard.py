"""TensorBoard's events: they can be read again, and a disk that does not take them holds nobody up."""

import math
import os
import struct

import pytest
from telemetry.records import records
from tensorboardX.proto.event_pb2 import Event, SessionLog

from rtrl_jax.telemetry import tensorboard
from rtrl_jax.telemetry.live import Window
from rtrl_jax.telemetry.tensorboard import Events


@pytest.fixture
def window():
    one = Window()
    one.add(records(600))
    return one


def read(folder):
    """All events in a folder, file by file."""
    found = []
    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            found.append(Event.FromString(data[at + 12 : at + 12 + length]))
            at += 16 + length
    return found


def scalars(events):
    return {(value.tag, event.step): value.simple_value for event in events for value in event.summary.value}


def test_figures_and_returns_are_there(tmp_path, window):
    events = Events(tmp_path)
    events.write(window)
    events.write(window)
    events.close()
    assert events.error() is None
    found = scalars(read(tmp_path))
    assert found["time/rate_hz", 600] == pytest.approx(100, rel=1e-3)
    assert found["acting/delay_ticks", 600] == 3.0
    returns = [value for event in read(tmp_path) for value in event.summary.value if value.tag == "return/episode"]
    assert len(returns) == len(window.returns) > 0


def test_what_is_no_number_is_written_as_it_is(tmp_path):
    window, run = Window(), records(100)
    run["updates"]["loss"] = math.nan
    window.add(run)
    events = Events(tmp_path)
    events.write(window)
    events.close()
    assert math.isnan(scalars(read(tmp_path))["learning/loss", 100])


def test_a_resumed_run_replaces_what_was_after_its_checkpoint(tmp_path, window):
    for goes_on_at in (None, 300):
        events = Events(tmp_path, goes_on_at)
        events.write(window)
        events.close()
    starts = [event for event in read(tmp_path) if event.session_log.status == SessionLog.START]
    assert [event.step for event in starts] == [300]


def test_nothing_is_left_behind_by_one_that_never_wrote(tmp_path):
    events = Events(tmp_path / "run")
    events.close()
    assert not (tmp_path / "run").exists()


def test_a_disk_that_stands_still_is_not_waited_for(tmp_path, window, monkeypatch):
    monkeypatch.setattr(tensorboard, "MOST_WAITING", 20)
    monkeypatch.setattr(tensorboard, "CLOSING_S", 0.2)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def stand_still(*_, **__):
        os.close(os.open(fifo, os.O_WRONLY))  # takes until somebody reads
        raise OSError("over")

    monkeypatch.setattr(tensorboard, "EventsWriter", stand_still)
    events = Events(tmp_path)
    for _ in range(100):
        events.write(window)
    assert "gap" in events.error()
    events.close()
    assert "not complete" in events.error()
    assert events.error() is None
    os.close(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))


def test_a_disk_that_is_full_is_told_once(tmp_path, window, monkeypatch):
    monkeypatch.setattr(tensorboard, "MOST_WAITING", 20)
    monkeypatch.setattr(tensorboard, "FLUSH_S", 0.0)

    class Full(tensorboard.EventsWriter):
        def __init__(self, *_, **__):
            super().__init__(str(tmp_path / "events"))
            self._py_recordio_writer._writer.close()
            self._py_recordio_writer._writer = open("/dev/full", "wb")  # noqa: SIM115

    monkeypatch.setattr(tensorboard, "EventsWriter", Full)
    events = Events(tmp_path)
    for _ in range(100):
        events.write(window)
    events.close()
    assert "No space left on device" in events.error()
    events.write(window)
    events.close()
    assert events.error() is None
