"""The supervisor: starts a run's processes, watches and replaces them, records what they do, and ends the run."""

import dataclasses
import math
import os
import pathlib
import platform
import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from functools import partial

from rtrl_jax.board import segment
from rtrl_jax.board.layout import RUNNING, STOPPING, Board
from rtrl_jax.checkpoints import restoring, store
from rtrl_jax.checkpoints.writer import Checkpointer, describe
from rtrl_jax.drivers import measure, prepare, run_folder
from rtrl_jax.drivers import message as messages
from rtrl_jax.drivers.assembly import Assembly, assemble, crowding
from rtrl_jax.drivers.process import Child
from rtrl_jax.drivers.run_summary import summarise
from rtrl_jax.drivers.signals import signals_to
from rtrl_jax.drivers.wall import now_ns
from rtrl_jax.errors import UserError
from rtrl_jax.networks import fast
from rtrl_jax.page import door
from rtrl_jax.replay import demonstrations
from rtrl_jax.settings import Settings, as_flagfile
from rtrl_jax.telemetry import summary as summaries
from rtrl_jax.telemetry import video
from rtrl_jax.telemetry.files import write_json, write_text
from rtrl_jax.telemetry.film_picture import Painter
from rtrl_jax.telemetry.live import Window
from rtrl_jax.telemetry.recorder import Recorder
from rtrl_jax.telemetry.tensorboard import Events
from rtrl_jax.telemetry.terminal import Display
from rtrl_jax.workers.turns import Turns

LOOK_S = 0.1  # between two looks at the processes
SHOW_S = 0.25
EVENTS_S = 1.0
LEAD_NS = 20_000_000  # between the word to start and the first boundary
SLOW_START_S = 30.0
GRACE_S = 1.0  # for processes to end by themselves
PATIENCE = 5  # times its longest step so far, on top of --hang_timeout_s
MOST_EARLY_DEATHS = 3  # in one place, before it was ever ready
DEFAULT_DURATION_S = 60.0


def supervise(settings: Settings) -> dict:
    """Runs what `settings` describe and returns the summary. See `rtrl_jax.run`."""
    began = time.monotonic()
    _check_system()
    settings.check()
    if settings.duration_s is None and settings.max_ticks is None and settings.max_episodes is None:
        settings = dataclasses.replace(settings, duration_s=DEFAULT_DURATION_S)
    folder = run_folder.choose(settings.run_dir, settings.environment)
    if settings.is_virtual:
        from rtrl_jax.drivers import virtual_run

        return virtual_run.play(settings, folder, began)
    return _supervise(settings, folder, began)


def resume(run: pathlib.Path, overrides: dict) -> dict:
    """Goes on with the run in that folder from its newest checkpoint. See `rtrl_jax.resume`."""
    began = time.monotonic()
    _check_system()
    if not run.is_dir():
        raise UserError(f"--run_dir={run} is no folder: name the folder of the run to go on with")
    with store.locked(run):
        past, settings = restoring.open_run(run, overrides)
        settings.check()
        if settings.is_virtual:
            raise UserError(
                f"--run_dir={run}: a run in virtual time cannot be resumed; start it anew, it will be the same"
            )
        return _supervise(settings, run, began, past)


def _check_system() -> None:
    if platform.machine() != "x86_64" or platform.system() != "Linux":
        raise UserError(f"rtrl_jax runs on Linux on x86-64 only, not on {platform.system()} on {platform.machine()}")


def _supervise(settings: Settings, folder: pathlib.Path, began: float, past: restoring.Past | None = None) -> dict:
    spec = prepare.look_at(settings)
    if settings.video is not None:
        settings = dataclasses.replace(
            settings, video=str(video.check(settings.video, spec.picture_shape, settings.environment))
        )
    network, width, tree = prepare.size_network(settings, spec)
    if settings.demonstrations is not None:  # looked at now, so that a bad file costs nothing
        settings = dataclasses.replace(settings, demonstrations=str(pathlib.Path(settings.demonstrations).absolute()))
        demonstrations.read(pathlib.Path(settings.demonstrations), spec.observation_shape, spec.actions)
    earlier = restoring.read_records(folder, past, now_ns()) if past else None
    if past:
        _check_goes_on(settings, spec, earlier["ticks"])

    emulated = f", inference emulated: {settings.emulated_inference_ms} ms" if settings.emulated_inference_ms else ""
    with (
        Display(settings.environment + emulated, settings.display == "auto") as display,
        door.opened(settings.page, settings.page_host) as page,
    ):
        training = prepare.first_state(settings, spec, tree)
        sizes = (settings, spec, network, width, training)
        assembly = assemble(
            *sizes,
            fast=prepare.choose_plan(*sizes[:4]),
            inference_workers=_how_many_infer(sizes, display),
            learner_workers=_how_many_learn(sizes, display),
            capacity=prepare.capacity(settings, spec),
            session=past.manifest["session"] + 1 if past else 0,
        )
        if past:
            restoring.check_fits(past, assembly)
        else:
            run_folder.make(folder)
        try:
            descriptor, where, board = prepare.fill_board(assembly, training, folder)
        except Exception:
            if not past:
                folder.rmdir()
            raise
        del training, sizes
        try:
            if past:
                restoring.restore(past, assembly, board, partial(prepare.commit, board, assembly))
                board.played_ns[0] = round(summaries.played_s(earlier["ticks"]) * 1e9)
                display.say(f"going on at tick {past.tick + 1} with {past.manifest['updates']} updates made")
            if where == str(folder):
                display.say(f"shared memory is too small: the board is a file in {folder} instead")
            if warning := crowding(assembly):
                display.say(f"warning: {warning}")
            write_text(folder / "flags.txt", as_flagfile(settings))
            if page:
                display.say(f"the run can be watched at {page.url}")
            display.say(f"starting {len(assembly.processes)} processes; the run is in {folder}")
            with nullcontext() if past else store.locked(folder):
                run = _Run(assembly, board, descriptor, folder, display, past, earlier, page)
                with signals_to(run.stop), _core(assembly):
                    run.play(began)
        except OSError as error:
            raise RuntimeError(
                f"writing to {folder} failed ({error.strerror}): free some space there; what could be saved is in its files"
            ) from error
        finally:
            os.close(descriptor)
    if run.fatal:
        raise RuntimeError(f"{run.fatal}; what was recorded is in {folder}")
    return run.summary


def _how_many_infer(sizes: tuple, display: Display) -> int:
    workers = str(sizes[0].inference_workers)
    if workers == "auto":
        display.waiting("Measuring the inference time …")
        workers = measure.enough_workers(*sizes)
        display.say(f"{workers} inference worker{'s' * (workers != 1)} will do")
    return int(workers)


def _how_many_learn(sizes: tuple, display: Display) -> int:
    if not sizes[0].learns:
        return 0
    learners = str(sizes[0].learner_workers)
    if learners == "auto" and sizes[0].interaction != "async":
        return 1
    if learners == "auto":
        display.waiting("Measuring an update …")
        learners = measure.enough_learners(*sizes)
        display.say(f"{learners} learner{'s' * (learners != 1)} will keep up with --learn_every={sizes[0].learn_every}")
    return int(learners)


def _check_goes_on(settings: Settings, spec, ticks) -> None:
    """Raises UserError if a run that is to be resumed has reached its limits already."""
    played_s, episodes = summaries.played_s(ticks), len(summaries.episode_returns(ticks))
    for name, so_far in (("duration_s", played_s), ("max_ticks", len(ticks)), ("max_episodes", episodes)):
        limit = getattr(settings, name)
        if limit is not None and so_far >= limit - 1 / spec.rate_hz:
            raise UserError(
                f"the run has reached its --{name}={limit:g}: raise it to go on, e.g. --{name}={2 * limit:g}"
            )


class _Run:
    """A run in progress. `summary` is there when `play` has returned, `fatal` says what ended it if it failed."""

    def __init__(
        self, assembly: Assembly, board: Board, descriptor: int, folder, display: Display, past, earlier, page
    ):
        """Args: past, earlier: the checkpoint a resumed run goes on from, and its records until then; else None. page: a Door."""
        self._assembly, self._board, self._descriptor = assembly, board, descriptor
        self._folder, self._display = folder, display
        self._recorder, self._window = Recorder(board, folder, earlier), Window()
        if past:
            self._window.add(earlier)
        self._updates_before = self._window.updates
        self._events = Events(folder, past and past.tick + 1, len(self._window.returns))
        self._turn_lock = threading.Lock()  # the kernel's lock does not tell the threads of a process apart
        self._checkpointer = None
        if assembly.settings.checkpoint_every_s:
            self._checkpointer = Checkpointer(
                assembly,
                board,
                board.observations,
                folder,
                self._recorder,
                self._hold_turns,
                describe(assembly, summaries.versions()),
                past,
            )
        self._film, self._page = None, page
        self._incarnations = [0] * len(assembly.processes)
        self._early_deaths = [0] * len(assembly.processes)
        self._children: list[Child] = []
        self._given_up = set()  # numbers of processes that are not started any more
        self._failures = []
        self._stop_reason = None
        self._started = None
        self._finished = False  # the environment has reached a limit
        self.fatal = None
        self.summary = None

    def stop(self, reason: str) -> None:
        """Ends the run soon. Safe in a signal handler."""
        self._stop_reason = self._stop_reason or reason

    def play(self, began: float) -> None:
        """Args: began: when the user asked for the run, time.monotonic()."""
        (self._folder / "logs").mkdir(exist_ok=True)
        try:
            for process in self._assembly.processes:
                self._children.append(self._spawn(process))
            self._wait_until_ready()
            startup_s = time.monotonic() - began
            if not self._over:
                self._film = self._begin_film()
                self._board.start_ns[0] = now_ns() + LEAD_NS
                self._board.control[0] = RUNNING
                self._started = time.monotonic()
                self._report_priority()
                if not self._board.ready[self._assembly.learners].all():
                    self._display.say(
                        "the learner is still compiling; it comes in before there is anything to learn from"
                    )
                self._watch()
        finally:
            self._board.control[0] = STOPPING
            self._end_processes()
        self._window.add(self._recorder.drain())
        self._end_film()
        if self._checkpointer and self._started:
            self._display.waiting("Writing the last checkpoint …")
            self._checkpointer.last(died=self.fatal is not None)
            self._report_checkpoints()
        seconds = time.monotonic() - self._started if self._started else 0.0
        self._events.write(self._window)
        self._events.close()
        self.summary = summarise(
            self._assembly,
            self._recorder.close(self._assembly.settings.trace_seconds),
            self._folder,
            failures=self._failures,
            records_lost=self._recorder.lost,
            ended_by=self.fatal or self._stop_reason or "its limits",
            realtime_priority=bool(self._board.realtime[0] > 0),
            startup_s=startup_s,
            seconds=seconds,
        )
        write_json(self._folder / "summary.json", self.summary)

    def _begin_film(self) -> video.Film | None:
        settings, spec = self._assembly.settings, self._assembly.spec
        if settings.video is None:
            return None
        note = "inference emulated" if settings.emulated_inference_ms else ""
        painter = Painter(spec.picture_shape, spec.action_names, spec.rate_hz, note)
        first_tick = int(self._board.tick_head[0])
        return video.Film(self._board, spec.rate_hz, pathlib.Path(settings.video), painter, first_tick)

    def _end_film(self) -> None:
        if self._film is None:
            return
        self._display.waiting("Finishing the film …")
        self._film.close()
        if error := self._film.error():
            self._fail("film", error)
        else:
            lacking = f"; {self._film.repeated} ticks of it repeat the picture before" if self._film.repeated else ""
            self._display.say(f"the film is {self._assembly.settings.video}{lacking}")

    @property
    def _over(self) -> bool:
        return self._stop_reason is not None or self.fatal is not None

    def _spawn(self, process) -> Child:
        number = process.number
        page = self._page if process.role == "page" else None
        text = messages.write(self._assembly, process, self._descriptor, self._incarnations[number], page)
        log = self._folder / "logs" / f"{process.name.replace(' ', '-')}.log"
        self._board.heartbeat_ns[number] = now_ns()  # until it beats by itself, this is when it was started
        descriptors = (self._descriptor, *([page.listener.fileno()] if page else []))
        return Child(process, text, descriptors, log)

    def _wait_until_ready(self) -> None:
        patient_until = time.monotonic() + SLOW_START_S
        needed = self._assembly.awaited
        while not self._over and not self._board.ready[needed].all():
            self._window.add(self._recorder.drain())
            if self._window.updates > self._updates_before:
                self._display.waiting(f"Learning from demonstrations: {self._window.updates} updates so far …")
            else:
                ready = int(self._board.ready[needed].sum())
                self._display.waiting(f"Warming up {ready} of {len(needed)} processes …")
            for child in (self._children[number] for number in needed):
                number = child.place.number
                if child.exit_status() is not None:
                    self._fail_to_start(child, child.reason())
                elif (silent_s := (now_ns() - int(self._board.heartbeat_ns[number])) / 1e9) > self._patience_s(number):
                    self._fail_to_start(child, f"gave no sign of life for {silent_s:.1f} s")
            late = [self._children[number].place.name for number in needed if not self._board.ready[number]]
            if late and time.monotonic() > patient_until:
                self._display.say(f"still waiting for {', '.join(late[:5])}: compiling a large network takes minutes")
                patient_until = math.inf
            time.sleep(0.005)

    def _fail_to_start(self, child: Child, reason: str) -> None:
        self._record_failure(child, reason, replaced=False)
        self.fatal = f"{child.place.name} {reason} while starting"

    def _report_priority(self) -> None:
        if self._board.realtime[0] < 0:
            self._display.say("no right to real-time priority (SCHED_FIFO): expect more lateness under load")

    def _watch(self) -> None:
        show_at = events_at = time.monotonic()
        every_s = self._assembly.settings.checkpoint_every_s
        save_at = time.monotonic() + every_s if self._checkpointer else math.inf
        if self._checkpointer:
            self._checkpointer.warm_up()
        while not self._over and not self._finished:
            time.sleep(LOOK_S)
            self._window.add(self._recorder.drain())
            for number, child in enumerate(self._children):
                self._look_after(number, child)
            if self._board.stop_wanted[0]:
                self.stop("the stop button of the page")
            self._pass_turn_of_the_dead()
            now = time.monotonic()
            if now >= save_at:
                save_at = now + every_s
                self._checkpointer.begin()
            self._report_checkpoints()
            if now >= show_at:
                show_at = now + SHOW_S
                self._display.show(self._window, now - self._started, self._fraction(now - self._started))
            if now >= events_at:
                events_at = now + EVENTS_S
                self._events.write(self._window)

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

    def _report_checkpoints(self) -> None:
        if self._checkpointer and (error := self._checkpointer.error()):
            self._fail("checkpoint", error)

    def _fail(self, what: str, error: str) -> None:
        """Notes that something of the supervisor's own went wrong."""
        self._failures.append({**self._moment(), "process": what, "reason": error, "replaced": False, "traceback": ""})
        self._display.say(error)

    def _moment(self) -> dict:
        return {
            "tick": int(self._board.tick_head[0]),
            "time_s": time.monotonic() - self._started if self._started else 0.0,
        }

    def _fraction(self, elapsed_s: float) -> float | None:
        settings = self._assembly.settings
        parts = [
            elapsed_s / settings.duration_s if settings.duration_s else None,
            self._window.ticks / settings.max_ticks if settings.max_ticks else None,
            len(self._window.returns) / settings.max_episodes if settings.max_episodes else None,
        ]
        return min(1.0, max((part for part in parts if part is not None), default=0.0))

    def _look_after(self, number: int, child: Child) -> None:
        """Sees whether a process has died or hangs, and replaces it. The environment cannot be; the page can be spared."""
        if number in self._given_up:
            return
        status, reason = child.exit_status(), None
        if status == 0 and child.place.role == "environment":
            self._finished = True
        elif status is not None:
            reason = child.reason()
        elif (silent_s := (now_ns() - int(self._board.heartbeat_ns[number])) / 1e9) > self._patience_s(number):
            child.kill()
            child.wait(GRACE_S)
            reason = f"gave no sign of life for {silent_s:.1f} s"
        if reason is None:
            return
        self._early_deaths[number] = 0 if self._board.ready[number] else self._early_deaths[number] + 1
        replaceable = child.place.role != "environment" and self._early_deaths[number] < MOST_EARLY_DEATHS
        self._record_failure(child, reason, replaced=replaceable)
        if not replaceable and child.place.role == "page":
            self._given_up.add(number)
        elif not replaceable:
            self.fatal = f"{child.place.name} {reason}"
        if not replaceable:
            return
        self._clear_place(child.place)
        self._incarnations[number] += 1
        self._children[number] = self._spawn(child.place)

    def _patience_s(self, number: int) -> float:
        """How long a process may be silent: while it starts, it imports and compiles."""
        if not self._board.ready[number]:
            return prepare.STARTUP_TIMEOUT_S
        return self._assembly.settings.hang_timeout_s + PATIENCE * int(self._board.expected_ns[number]) / 1e9

    def _clear_place(self, place) -> None:
        """Its process is dead, so for once the supervisor writes its fields."""
        self._board.ready[place.number] = 0
        self._board.pin[place.number] = 0
        for worker in place.workers:
            self._board.idle[worker] = 0

    def _record_failure(self, child: Child, reason: str, replaced: bool) -> None:
        self._failures.append(
            {
                "process": child.place.name,
                "reason": reason,
                **self._moment(),
                "replaced": replaced,
                "traceback": child.output(),
            }
        )
        self._display.say(f"{child.place.name} {reason}" + ("; replaced" if replaced else ""))
        if child.output():
            self._display.say(child.output())

    def _end_processes(self) -> None:
        deadline = time.monotonic() + GRACE_S
        for child in self._children:
            if not child.wait(max(0.0, deadline - time.monotonic())):
                child.kill()
                child.wait(GRACE_S)
                if not self._board.ready[child.place.number]:
                    _forget_unfinished()


def _forget_unfinished() -> None:
    """A process that is killed while it compiles may leave half a program where JAX keeps them, and JAX would not mend it."""
    for file in fast.cache_folder().glob("*"):
        with suppress(FileNotFoundError):
            if file.is_file() and time.time() - file.stat().st_mtime < 2 * GRACE_S:
                file.unlink()


@contextmanager
def _core(assembly: Assembly):
    """Keeps the supervisor off the inference workers' cores while the run goes on."""
    before = os.sched_getaffinity(0)
    busy = {process.core for process in assembly.processes if process.role not in ("environment", "page")}
    free = set(assembly.settings.core_list()) - busy - {assembly.processes[0].core}
    os.sched_setaffinity(0, free or {assembly.processes[0].core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
