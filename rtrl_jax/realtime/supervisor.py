"""The supervisor: starts a run's processes, watches and replaces them, and ends the run. It never waits for any of them."""

import math
import os
import pathlib
import threading
import time
from contextlib import contextmanager, nullcontext, suppress

from rtrl_jax.board import lifecycle, segment
from rtrl_jax.board.layout import Board
from rtrl_jax.core.assembly import Assembly, Process
from rtrl_jax.core.output import Output
from rtrl_jax.networks import fast
from rtrl_jax.realtime import message as messages
from rtrl_jax.realtime.drive import now_ns
from rtrl_jax.realtime.process import STARTUP_TIMEOUT_S, Child
from rtrl_jax.telemetry.summary import ITS_LIMITS
from rtrl_jax.telemetry.terminal import Display
from rtrl_jax.workers.turns import Turns

LOOK_S = 0.1  # between two looks at the processes
SHOW_S = 0.25
LEAD_NS, LEAD_A_WORKER_NS = 20_000_000, 100_000  # between the word to start and the first boundary
SLOW_START_S = 30.0
GRACE_S, LONGEST_STEP_S = 1.0, 15.0  # for processes to end by themselves; of a world that is waited for
PATIENCE = 5  # times its longest step so far, on top of --hang_timeout_s
MOST_EARLY_DEATHS = 3  # in one place, before it was ever ready
AT_ONCE, BACKOFF_S, LONGEST_BACKOFF_S = 2, 0.5, 30.0  # replacements without a wait, the next one's, which then doubles
MOST_DEATHS, DEATHS_WITHIN_S = 10, 300.0  # in one place: more of them end the run
OVERRUN_S = 1.0  # until it is known how slow a world is
QUIET_NS = 1_000_000_000  # of silence, until it is worth looking what the process does
GAP_S = 1.0  # between two looks: so long everybody was held up, not one of the processes


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
    ):
        """Args: page: a `Listener` or None. past, earlier: the checkpoint that it goes on from, and its records; else None."""
        self._assembly, self._board, self._descriptor = assembly, board, descriptor
        self._folder, self._display, self._page = folder, display, page
        self._turn_lock = threading.Lock()  # the kernel's lock does not tell the threads of a process apart
        self._output = Output(
            assembly, board, folder, display, self._hold_turns, show_every_s=SHOW_S, past=past, earlier=earlier
        )
        self._places = [_Place(process) for process in assembly.processes]
        self._looked, self._gap_ns = time.monotonic(), 0  # when we looked last; when we woke last after being held up
        self._stop_reason: str | None = None
        self._finished = False  # the environment has reached a limit
        self._overrun_at = math.inf  # when to speak of a world that is too slow
        self._environment_died = False
        self.fatal: str | None = None

    def stop(self, reason: str) -> None:
        """Ends the run soon. Safe in a signal handler."""
        self._stop_reason = self._stop_reason or reason

    def play(self, began: float) -> dict:
        """The whole run; returns its summary. Args: began: when the user asked for it, time.monotonic()."""
        (self._folder / "logs").mkdir(exist_ok=True)
        startup_s = 0.0
        try:
            for place in self._places:
                place.child = self._spawn(place)
            self._wait_until_ready()
            startup_s = time.monotonic() - began
            if not self._over:
                self._output.start()
                lifecycle.start(self._board, now_ns() + LEAD_NS + LEAD_A_WORKER_NS * self._assembly.inference_workers)
                self._report_start()
                self._watch()
        finally:
            lifecycle.stop(self._board)
            self._end_processes()
        ended_by = self.fatal or self._stop_reason or ITS_LIMITS
        summary = self._output.close(died=self._environment_died, ended_by=ended_by, startup_s=startup_s)
        if self._output.end_is_lost and not self.fatal:
            self.fatal = "the run has ended, but it cannot be gone on with from its end"
        return summary

    @property
    def _over(self) -> bool:
        return self._stop_reason is not None or self.fatal is not None

    def _spawn(self, place: "_Place") -> Child:
        process = place.process
        page = self._page if process.role == "page" else None
        text = messages.write(self._assembly, process, self._descriptor, place.incarnation, page)
        log = self._folder / "logs" / f"{process.name.replace(' ', '-')}.log"
        lifecycle.beat(self._board, process.number, now_ns())  # until it beats by itself, this is when it was started
        descriptors = (self._descriptor, *([page.socket.fileno()] if page else []))
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
            for place in (self._places[number] for number in needed):
                if reason := self._what_is_wrong(place):
                    self._output.fail(place.process.name, reason, trace=place.child.output())
                    self.fatal = f"{place.process.name} {reason} while starting"
            late = [self._places[number].process.name for number in needed if not self._board.ready[number]]
            if late and time.monotonic() > patient_until:
                self._display.say(f"still waiting for {', '.join(late[:5])}: compiling a large network takes minutes")
                patient_until = math.inf
            time.sleep(0.005)

    def _report_start(self) -> None:
        if self._board.realtime[0] < 0:
            self._display.say("no right to real-time priority (SCHED_FIFO): expect more lateness under load")
        if not self._board.ready[self._assembly.learners].all():
            self._display.say("the learner is still compiling; it comes in before there is anything to learn from")

    def _watch(self) -> None:
        started = time.monotonic()
        before_s = int(self._board.played_ns[0]) / 1e9
        while not self._over and not self._finished:
            time.sleep(LOOK_S)
            self._output.take_in()
            for place in self._places:
                self._look_after(place)
            if self._board.stop_wanted[0]:
                self.stop("the stop button of the page")
            self._pass_turn_of_the_dead()
            self._report_overrun()
            self._output.look(played_s=before_s + time.monotonic() - started)

    @contextmanager
    def _hold_turns(self):
        """Within it no learner applies an update."""
        with self._turn_lock, segment.exclusive(self._descriptor, segment.TURN):
            yield

    def _pass_turn_of_the_dead(self) -> None:
        """A learner that is dead, or starting anew, forfeits its turn."""
        turns = Turns(self._board, nullcontext, self._assembly.learners)
        if not self._assembly.learners or self._board.ready[turns.holder_process()]:
            return
        if not self._turn_lock.acquire(blocking=False):  # a checkpoint is being copied; there will be another look
            return
        try:
            with suppress(BlockingIOError), segment.exclusive(self._descriptor, segment.TURN, wait=False):
                if not self._board.ready[turns.holder_process()]:
                    turns.pass_on()
        finally:
            self._turn_lock.release()

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

    def _what_is_wrong(self, place: "_Place") -> str | None:
        """Whether a process has died or hangs, in words."""
        if place.child.exit_status() is not None:
            return place.child.reason()
        now = time.monotonic()
        if now - self._looked > LOOK_S + GAP_S:
            self._gap_ns = now_ns()
        self._looked = now
        heard_ns = place.heard(int(self._board.heartbeat_ns[place.process.number]), self._gap_ns)
        silent_s, patience_s = (now_ns() - heard_ns) / 1e9, self._patience_s(place.process.number)
        if silent_s > patience_s and not place.is_starved(patience_s):
            return f"gave no sign of life for {silent_s:.1f} s"
        return None

    def _patience_s(self, number: int) -> float:
        """How long a process may be silent: while it starts, it imports and compiles."""
        if not self._board.ready[number]:
            return STARTUP_TIMEOUT_S
        return self._assembly.settings.hang_timeout_s + PATIENCE * int(self._board.expected_ns[number]) / 1e9

    def _look_after(self, place: "_Place") -> None:
        """Replaces a process that has died or hangs. The environment cannot be replaced; the page can be spared."""
        if place.given_up:
            return
        if place.child is None:
            self._start_again(place)
            return
        process = place.process
        reason = self._what_is_wrong(place)
        # Only now: it sets `over` before it ends, so one that is seen to have ended has set it, however it closed its world.
        if process.role == "environment" and self._board.over[0]:
            self._finished = True
            return
        if reason is None:
            return
        place.child.kill()
        place.child.wait(GRACE_S)
        trace, was_ready = place.child.output(), bool(self._board.ready[process.number])
        place.died(was_ready)
        if process.role == "environment":
            self.fatal, self._environment_died = f"{process.name} {reason}", True
        elif place.keeps_dying:
            if process.role == "page":
                place.given_up = True
            else:
                self.fatal = f"{process.name} {reason}, again and again"
        self._output.fail(process.name, reason, trace=trace, replaced=not (self.fatal or place.given_up))
        if self.fatal or place.given_up:
            return
        lifecycle.clear(self._board, process.number, process.workers)
        place.child = None
        place.incarnation += 1
        self._start_again(place)

    def _start_again(self, place: "_Place") -> None:
        """A successor for one that died, once it is time."""
        if time.monotonic() < place.again_at:
            return
        try:
            place.child = self._spawn(place)
        except OSError as error:
            place.failed_starts += 1
            place.again_at = time.monotonic() + min(LONGEST_BACKOFF_S, BACKOFF_S * 2**place.failed_starts)
            reason = f"could not be started ({error.strerror})"
            if place.failed_starts == 1:
                self._output.fail(place.process.name, f"{reason}; it will be tried again")
            if place.failed_starts > MOST_DEATHS and place.process.role != "page":
                self.fatal = f"{place.process.name} {reason}, again and again"
            return
        place.failed_starts = 0

    def _end_processes(self) -> None:
        began = time.monotonic()
        for place in self._places:
            child, grace_s = place.child, GRACE_S
            if place.process.role == "environment":  # it has to come to the end of its step, and to leave its state
                longest_s = int(self._board.expected_ns[place.process.number]) / 1e9
                grace_s += 2 * min(LONGEST_STEP_S, longest_s + 1 / self._assembly.spec.rate_hz)
            if child and not child.wait(max(0.0, began + grace_s - time.monotonic())):
                child.kill()
                child.wait(GRACE_S)
                if not self._board.ready[place.process.number]:
                    _drop_half_compiled()


class _Place:
    """A process's place in the run, and what the supervisor knows of those that have filled it."""

    def __init__(self, process: Process):
        self.process = process
        self.child: Child | None = None
        self.incarnation = 0
        self.again_at = 0.0  # not before then is a successor started
        self.given_up = False
        self._deaths: list[float] = []  # when, of late
        self._early_deaths = 0  # before it was ready, one after another
        self._excused_ns = 0
        self._heard = (0, 0.0)  # when it fell silent, and the processor time that it had had by then
        self.failed_starts = 0  # one after another

    def died(self, was_ready: bool) -> None:
        now = time.monotonic()
        self._early_deaths = 0 if was_ready else self._early_deaths + 1
        self._deaths = [when for when in self._deaths if now - when < DEATHS_WITHIN_S] + [now]
        beyond = len(self._deaths) - AT_ONCE
        self.again_at = now + (min(LONGEST_BACKOFF_S, BACKOFF_S * 2 ** (beyond - 1)) if beyond > 0 else 0.0)
        self._heard = (0, 0.0)

    @property
    def keeps_dying(self) -> bool:
        return self._early_deaths >= MOST_EARLY_DEATHS or len(self._deaths) > MOST_DEATHS

    def heard(self, beat_ns: int, gap_ns: int) -> int:
        """The instant from which its silence counts: its last sign of life, or when all were held up together after that.

        One that has not been heard since it was excused is not excused again.
        """
        if beat_ns > self._excused_ns:
            self._excused_ns = max(self._excused_ns, gap_ns)
        heard_ns = max(beat_ns, self._excused_ns)
        if heard_ns != self._heard[0] and time.monotonic_ns() - heard_ns > QUIET_NS:
            self._heard = (heard_ns, self.child.processor_s())
        return heard_ns

    def is_starved(self, patience_s: float) -> bool:
        """Whether it wants to go on and got too little of its core to: then its silence is no hang."""
        return self.child.is_runnable() and self.child.processor_s() - self._heard[1] < patience_s


def _drop_half_compiled() -> None:
    """A process that is killed while it compiles may leave half a program where JAX keeps them, and JAX would not mend it."""
    for file in fast.cache_folder().glob("*"):
        with suppress(FileNotFoundError):
            if file.is_file() and time.time() - file.stat().st_mtime < 2 * GRACE_S:
                file.unlink()


@contextmanager
def keep_off_inference(assembly: Assembly):
    """Keeps the supervisor, with all its threads, off the inference workers' cores while the run goes on."""
    before = os.sched_getaffinity(0)
    busy = {process.core for process in assembly.processes if process.role not in ("environment", "page")}
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
