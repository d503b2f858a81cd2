"""The supervisor: starts a run's processes, watches and replaces them, and ends the run. It never waits for any of them."""

import math
import os
import pathlib
import threading
import time
from contextlib import contextmanager, suppress

from rtrl_jax.board import lifecycle, segment
from rtrl_jax.board.layout import Board
from rtrl_jax.core.assembly import Assembly
from rtrl_jax.core.output import Output
from rtrl_jax.realtime import message as messages
from rtrl_jax.realtime.drive import now_ns
from rtrl_jax.realtime.process import Child
from rtrl_jax.realtime.watch import Place, Watch, pass_turn_of_the_dead
from rtrl_jax.telemetry.summary import ITS_LIMITS
from rtrl_jax.telemetry.terminal import Display

LOOK_S = 0.1  # between two looks at the processes
SHOW_S = 0.25
LEAD_NS, LEAD_A_WORKER_NS = 20_000_000, 100_000  # between the word to start and the first boundary
SLOW_START_S = 30.0
OVERRUN_S = 1.0  # until it is known how slow a world is


class Supervisor:
    """Of a run in progress. `fatal` says what ended it if it failed."""

    def __init__(
        self,
        assembly: Assembly,
        board: Board,
        descriptor: int,
        folder: pathlib.Path,
        display: Display,
        page,
        past,
        earlier,
        crews=None,
        door=None,
    ):
        """Args:
        page: a `Listener` or None.
        past, earlier: the checkpoint that it goes on from, and its records; else None.
        crews: the `cluster.crews.Crews` on other machines, if there are any.
        door: the `Listener` to which they connect.
        """
        self._assembly, self._board, self._descriptor = assembly, board, descriptor
        self._folder, self._display, self._crews = folder, display, crews
        self._listeners = {"page": page, "bridge": door}
        self._turn_lock = threading.Lock()  # the kernel's lock does not tell the threads of a process apart
        self._output = Output(
            assembly, board, folder, display, self._hold_turns, show_every_s=SHOW_S, past=past, earlier=earlier
        )
        here = [process for process in assembly.processes if process.crew is None]
        self._watch = Watch(assembly, board, here, self._spawn, self._output.fail, LOOK_S)
        self._stop_reason: str | None = None
        self._overrun_at = math.inf  # when to speak of a world that is too slow

    def stop(self, reason: str) -> None:
        """Ends the run soon. Safe in a signal handler."""
        self._stop_reason = self._stop_reason or reason

    def play(self, began: float) -> dict:
        """The whole run; returns its summary. Args: began: when the user asked for it, time.monotonic()."""
        (self._folder / "logs").mkdir(exist_ok=True)
        startup_s = 0.0
        try:
            self._watch.start()
            if self._crews:
                self._crews.begin(self._assembly, self._board, self._listeners["bridge"])
            self._wait_until_ready()
            startup_s = time.monotonic() - began
            if not self._over:
                self._output.start()
                lifecycle.start(self._board, now_ns() + LEAD_NS + LEAD_A_WORKER_NS * self._assembly.inference_workers)
                self._report_start()
                self._go_on()
        finally:
            lifecycle.stop(self._board)
            self._watch.end()
            if self._crews:
                self._crews.end()
        ended_by = self.fatal or self._stop_reason or ITS_LIMITS
        machines = {"machines": self._crews.figures()} if self._crews else {}
        died = self._watch.environment_died
        summary = self._output.close(died=died, ended_by=ended_by, startup_s=startup_s, **machines)
        if self._output.end_is_lost and not self.fatal:
            self._watch.fatal = "the run has ended, but it cannot be gone on with from its end"
        return summary

    @property
    def fatal(self) -> str | None:
        """What ended the run if it failed."""
        return self._watch.fatal or (self._crews.fatal if self._crews else None)

    @property
    def _over(self) -> bool:
        return self._stop_reason is not None or self.fatal is not None

    def _spawn(self, place: Place) -> Child:
        process = place.process
        listener = self._listeners.get(process.role)
        text = messages.write(self._assembly, process, self._descriptor, place.incarnation, listener)
        log = self._folder / "logs" / f"{process.name.replace(' ', '-')}.log"
        lifecycle.beat(self._board, process.number, now_ns())  # until it beats by itself, this is when it was started
        descriptors = (self._descriptor, *([listener.socket.fileno()] if listener else []))
        return Child(process, text, descriptors, log)

    def _wait_until_ready(self) -> None:
        patient_until = time.monotonic() + SLOW_START_S
        needed = self._assembly.awaited
        while not self._over and not self._board.ready[needed].all():
            self._output.take_in()
            window = self._output.window
            if window.updates > self._output.updates_before:
                self._display.waiting(
                    "Updates from demonstrations", window.updates, self._assembly.settings.pretrain_steps
                )
            else:
                ready = int(self._board.ready[needed].sum())
                self._display.waiting(f"Warming up {ready} of {len(needed)} processes …")
            self._watch.starting(needed)
            self._look_after_crews(starting=True)
            self._heed_the_page()
            late = [self._assembly.processes[number].name for number in needed if not self._board.ready[number]]
            if late and time.monotonic() > patient_until:
                self._display.say(f"still waiting for {', '.join(late[:5])}: compiling a large network takes minutes")
                patient_until = math.inf
            time.sleep(0.005)

    def _report_start(self) -> None:
        if self._board.realtime[0] < 0:
            self._display.say("no right to real-time priority (SCHED_FIFO): expect more lateness under load")
        if not self._board.ready[self._assembly.learners].all():
            self._display.say("the learner is still compiling; it comes in before there is anything to learn from")

    def _go_on(self) -> None:
        started = time.monotonic()
        before_s = int(self._board.played_ns[0]) / 1e9
        while not self._over and not self._watch.finished:
            time.sleep(LOOK_S)
            self._output.take_in()
            self._watch.look()
            self._look_after_crews()
            self._heed_the_page()
            self._pass_turn_of_the_dead()
            self._report_overrun()
            self._output.look(played_s=before_s + time.monotonic() - started)

    def _heed_the_page(self) -> None:
        if self._board.stop_wanted[0]:
            self.stop("the stop button of the page")

    def _look_after_crews(self, starting: bool = False) -> None:
        if self._crews:
            self._crews.look(self._output.fail, self._display.say, starting)

    @contextmanager
    def _hold_turns(self):
        """Within it no learner applies an update."""
        with self._turn_lock, segment.exclusive(self._descriptor, segment.TURN):
            yield

    def _pass_turn_of_the_dead(self) -> None:
        if self._assembly.learners_crew is None:  # else their bridge does it
            pass_turn_of_the_dead(self._board, self._assembly.learners, self._descriptor, self._turn_lock)

    def _report_overrun(self) -> None:
        tick_ms, work_ms = 1e3 / self._assembly.spec.rate_hz, float(self._board.overrun_ns[0]) / 1e6
        if work_ms and self._overrun_at == math.inf:
            self._overrun_at = time.monotonic() + OVERRUN_S
        if time.monotonic() > self._overrun_at > 0:
            self._overrun_at = 0.0  # said
            self._display.say(
                f"warning: this world takes {work_ms:.1f} ms a tick of {tick_ms:.1f}, so it cannot keep its rate, and "
                "has no right of way any more: give a lower --rate_hz"
            )


@contextmanager
def keep_off_inference(assembly: Assembly):
    """Keeps the supervisor, with all its threads, off the inference workers' cores while the run goes on."""
    before = os.sched_getaffinity(0)
    here = [process for process in assembly.processes if process.crew is None]
    busy = {process.core for process in here if process.role not in ("environment", "page")}
    free = set(assembly.settings.core_list()) - busy - {assembly.processes[0].core}
    _move_threads(free or {assembly.processes[0].core})
    try:
        yield
    finally:
        _move_threads(before)


def _move_threads(cores: set[int]) -> None:
    """Those that begin later inherit it."""
    for thread in os.listdir("/proc/self/task"):
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread), cores)
