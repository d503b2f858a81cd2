"""A run in virtual time: the loops of a wall-clock run in this one process, and the same run folder at the end.

The network computes every action and every update for real; only the time they are charged is made up.
"""

import dataclasses
import math
import os
import pathlib
import threading
import time
import traceback
from contextlib import contextmanager

from rtrl_jax.board import segment
from rtrl_jax.board.layout import OUTCOME_ROWS, RUNNING, STOPPING, UPDATE_ROWS, Board, size
from rtrl_jax.checkpoints import store
from rtrl_jax.checkpoints.writer import Checkpointer, describe
from rtrl_jax.drivers import prepare, run_folder, shorthand, virtual_assembly
from rtrl_jax.drivers.assembly import Assembly
from rtrl_jax.drivers.child import ONE_THREAD
from rtrl_jax.drivers.run_summary import summarise
from rtrl_jax.drivers.signals import signals_to
from rtrl_jax.drivers.virtual import Clock, drive
from rtrl_jax.drivers.virtual_loops import Loops
from rtrl_jax.replay import demonstrations
from rtrl_jax.settings import Settings, as_flagfile
from rtrl_jax.telemetry.files import write_json, write_text
from rtrl_jax.telemetry.live import Window
from rtrl_jax.telemetry.recorder import Recorder
from rtrl_jax.telemetry.summary import versions
from rtrl_jax.telemetry.tensorboard import Events
from rtrl_jax.telemetry.terminal import Display

DRAIN_TICKS = 1024  # between two looks of the recorder, unless its rings fill up before
SHOW_S, EVENTS_S = 0.5, 2.0
LOOK_TICKS = 16  # between two looks at the wall clock


def play(settings: Settings, folder: pathlib.Path, began: float) -> dict:
    """Runs what `settings` describe and returns the summary. See `rtrl_jax.run`."""
    os.environ.update(ONE_THREAD)  # JAX has computed nothing yet: a run is one core's work, and repeats to the byte
    spec = prepare.look_at(settings)
    settings = shorthand.spell_out(settings, spec.rate_hz)
    settings.check()
    network, width, tree = prepare.size_network(settings, spec)
    if settings.demonstrations is not None:
        settings = dataclasses.replace(settings, demonstrations=str(pathlib.Path(settings.demonstrations).absolute()))
        demonstrations.read(pathlib.Path(settings.demonstrations), spec.observation_shape, spec.actions)
    traces = virtual_assembly.read_traces(settings)
    with Display(f"{settings.environment}, virtual time", settings.display == "auto") as display:
        training = prepare.first_state(settings, spec, tree)
        assembly = virtual_assembly.put_together(settings, spec, network, width, training, traces, display)
        board = prepare.begin_board(assembly, training, segment.private(size(assembly.dimensions)))
        del training
        run_folder.make(folder)
        write_text(folder / "flags.txt", as_flagfile(settings))
        display.say(f"virtual time, in this process alone; the run is in {folder}")
        try:
            with store.locked(folder):
                run = _Run(assembly, board, folder, display, traces)
                with signals_to(run.stop), _on_cores(settings):
                    return run.play(began)
        except OSError as error:
            raise RuntimeError(
                f"writing to {folder} failed ({error.strerror}): free some space there; what could be saved is in its files"
            ) from error


@contextmanager
def _on_cores(settings: Settings):
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, settings.core_list())
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class _Run:
    """A run in progress."""

    def __init__(self, assembly: Assembly, board: Board, folder: pathlib.Path, display: Display, traces):
        self._assembly, self._settings, self._board = assembly, assembly.settings, board
        self._folder, self._display, self._traces = folder, display, traces
        self._clock = Clock()
        self._observations = board.observations
        self._commits = threading.Lock()  # a checkpoint's thread copies while nobody commits an update
        self._recorder, self._window, self._events = Recorder(board, folder), Window(), Events(folder)
        self._checkpointer = None
        if self._settings.checkpoint_every_s:
            manifest = describe(assembly, versions())
            self._checkpointer = Checkpointer(
                assembly, board, self._observations, folder, self._recorder, self._lock, manifest
            )
        self._failures = []
        self._stop_reason = None
        self._look_at = self._drained = 0
        self._judged = self._updates = 0
        self._show_at = self._events_at = self._save_at = 0.0

    def stop(self, reason: str) -> None:
        """Ends the run soon. Safe in a signal handler."""
        self._stop_reason = self._stop_reason or reason

    def _lock(self):
        return self._commits

    def play(self, began: float) -> dict:
        board = self._board
        board.ready[:] = 1
        board.control[0] = RUNNING
        self._display.waiting("Compiling …")
        built = Loops(self._assembly, board, self._observations, self._clock, self._lock, self._traces)
        fatal = None
        self._started = started = time.monotonic()
        try:
            loops, charge = built.build()
            self._started = self._show_at = self._events_at = started = time.monotonic()
            self._save_at = started + (self._settings.checkpoint_every_s or math.inf)
            drive(loops, clock=self._clock, bells=board.bell[:, 0], charge=charge, running=self._running)
        except (Exception, KeyboardInterrupt, SystemExit) as error:  # of the user's own environment, most likely
            fatal = f"died: {type(error).__name__}: {error}"
            self._fail("run", fatal, traceback.format_exc())
        startup_s = started - began
        board.control[0] = STOPPING
        seconds = time.monotonic() - started
        self._take_in()
        self._events.write(self._window)
        self._events.close()
        built.close()
        if self._checkpointer and not fatal:
            self._display.waiting("Writing the last checkpoint …")
            self._checkpointer.last()
            self._report_checkpoints()
        records = self._recorder.close(self._settings.trace_seconds)
        summary = summarise(
            self._assembly,
            records,
            self._folder,
            failures=self._failures,
            records_lost=self._recorder.lost,
            ended_by=fatal or self._stop_reason or "its limits",
            realtime_priority=False,
            startup_s=startup_s,
            seconds=seconds,
        )
        write_json(self._folder / "summary.json", summary)
        if fatal:
            raise RuntimeError(f"the run {fatal}; what was recorded is in {self._folder}")
        return summary

    def _running(self) -> bool:
        board, tick = self._board, int(self._board.tick_head[0])
        full = (
            int(board.outcome_head[0]) - self._judged > OUTCOME_ROWS // 2
            or int(board.update_head.max()) - self._updates > UPDATE_ROWS // 2
        )
        if full or tick - self._drained >= DRAIN_TICKS:
            self._take_in()
        if tick >= self._look_at:
            self._look_at = tick + LOOK_TICKS
            self._look(time.monotonic())
        return self._stop_reason is None

    def _take_in(self) -> None:
        board = self._board
        self._drained, self._judged, self._updates = (
            int(board.tick_head[0]),
            int(board.outcome_head[0]),
            int(board.update_head.max()),
        )
        self._window.add(self._recorder.drain())

    def _look(self, now: float) -> None:
        if now >= self._show_at:
            self._show_at = now + SHOW_S
            self._take_in()
            self._display.show(self._window, now - self._started, self._fraction())
        if now >= self._events_at:
            self._events_at = now + EVENTS_S
            self._events.write(self._window)
        if now >= self._save_at:
            self._save_at = now + self._settings.checkpoint_every_s
            self._checkpointer.begin()
        self._report_checkpoints()

    def _fraction(self) -> float:
        settings = self._settings
        parts = [
            self._clock.ns / 1e9 / settings.duration_s if settings.duration_s else 0.0,
            self._window.ticks / settings.max_ticks if settings.max_ticks else 0.0,
            len(self._window.returns) / settings.max_episodes if settings.max_episodes else 0.0,
        ]
        return min(1.0, max(parts))

    def _report_checkpoints(self) -> None:
        if self._checkpointer and (error := self._checkpointer.error()):
            self._fail("checkpoint", error)

    def _fail(self, what: str, reason: str, trace: str = "") -> None:
        moment = {"tick": int(self._board.tick_head[0]), "time_s": time.monotonic() - self._started}
        self._failures.append({"process": what, "reason": reason, **moment, "replaced": False, "traceback": trace})
        self._display.say(reason)
        if trace:
            self._display.say(trace)
