"""TensorBoard events of a run, without TensorFlow."""

import contextlib
import os
import pathlib
import queue
import threading
import time

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar

from rtrl_jax.telemetry.live import Window
from rtrl_jax.telemetry.summary import DIAGNOSTICS

MOST_WAITING = 1000  # events that wait for the disk; those after them are left out
FLUSH_S, CLOSING_S = 5.0, 5.0
END = None


class Events:
    """Scalars against the tick number. A thread writes them: whoever has figures does not wait for the disk.

    What cannot be written is left out, and `error` says so: the run's records hold it too.
    """

    def __init__(self, folder: pathlib.Path, goes_on_at: int | None = None, episodes: int = 0):
        """Args: goes_on_at: tick from which on a resumed run replaces what is there. episodes: finished before it."""
        self._episodes, self._error = episodes, None
        self._waiting: queue.Queue[Event | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, args=(folder,), name="TensorBoard", daemon=True)
        if goes_on_at is not None:
            self._put(Event(file_version="brain.Event:2"), goes_on_at)
            self._put(Event(session_log=SessionLog(status=SessionLog.START)), goes_on_at)

    def write(self, window: Window) -> None:
        """Writes the window's figures, and each return since the last call."""
        if self._thread.ident is None:  # begun late, as it inherits the cores of whoever begins it
            self._thread.start()
        figures = window.figures()
        scalars = {
            "time/rate_hz": figures["measured_rate_hz"],
            "time/lateness_p99_ms": figures["lateness_ms"]["p99"],
            "acting/inaction": figures["inaction"],
            "acting/delay_ticks": figures["delay"]["mean"],
            "acting/tau_mean_ms": figures["inference"]["tau_mean_ms"],
            "acting/greedy": figures["inference"]["greedy"],
            "acting/exploratory": figures["inference"]["exploratory"],
            "learning/updates_per_s": figures["learning"]["updates_per_s"],
            "learning/loss": figures["learning"]["loss"],
            **{f"learning/{name}": figures["learning"][name] for name in DIAGNOSTICS},
        }
        for name, value in scalars.items():
            if value is not None:
                self._put(Event(summary=scalar(name, value)), window.ticks)
        for number in range(self._episodes, len(window.returns)):
            self._put(Event(summary=scalar("return/episode", window.returns[number])), window.ends[number])
        self._episodes = len(window.returns)

    def close(self) -> None:
        """Waits for what is still to be written, CLOSING_S at most."""
        if not self._thread.is_alive():
            return
        deadline = time.monotonic() + CLOSING_S
        with contextlib.suppress(queue.Full):
            self._waiting.put(END, timeout=CLOSING_S)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self._error = "TensorBoard's events are not complete: the disk did not take them in time"

    def error(self) -> str | None:
        """What went wrong since the last call, if something did."""
        error, self._error = self._error, None
        return error

    def _put(self, event: Event, tick: int) -> None:
        event.wall_time, event.step = time.time(), tick
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            if self._thread.is_alive():
                self._error = "TensorBoard's events have a gap: the disk did not take them in time"

    def _run(self, folder: pathlib.Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            writer = EventsWriter(os.fspath(folder / "events"), filename_suffix=f".{os.getpid()}")
            flush_at = time.monotonic() + FLUSH_S
            while (event := self._waiting.get()) is not END:
                writer.write_event(event)
                if time.monotonic() >= flush_at:
                    writer.flush()
                    flush_at = time.monotonic() + FLUSH_S
            writer.close()
        except (OSError, ValueError) as error:
            self._error = f"TensorBoard's events could not be written: {' '.join(str(error).split())}"
