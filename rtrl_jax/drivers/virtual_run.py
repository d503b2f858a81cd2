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
from functools import cache

import numpy as np

from rtrl_jax import latency, stagger
from rtrl_jax.board import segment
from rtrl_jax.board.layout import JUDGED_ROWS, RUNNING, STOPPING, UPDATE_ROWS, WARM_UP_INFERENCES, Board, size
from rtrl_jax.board.ring import Observations, Ring
from rtrl_jax.checkpoints import store
from rtrl_jax.checkpoints.writer import Checkpointer, describe
from rtrl_jax.drivers import baselines, charges, measure, prepare, run_folder, shorthand
from rtrl_jax.drivers.assembly import Assembly, assemble
from rtrl_jax.drivers.child import ONE_THREAD
from rtrl_jax.drivers.place import LATENCY, Place
from rtrl_jax.drivers.run_summary import summarise
from rtrl_jax.drivers.signals import signals_to
from rtrl_jax.drivers.virtual import Clock, drive
from rtrl_jax.replay import demonstrations
from rtrl_jax.settings import Settings, as_flagfile
from rtrl_jax.telemetry.files import write_json, write_text
from rtrl_jax.telemetry.live import Window
from rtrl_jax.telemetry.recorder import Recorder
from rtrl_jax.telemetry.summary import versions
from rtrl_jax.telemetry.tensorboard import Events
from rtrl_jax.telemetry.terminal import Display
from rtrl_jax.workers.effects import Apply, Infer, Learn, WaitBell
from rtrl_jax.workers.environment import Limits, environment_loop
from rtrl_jax.workers.inference import staggered, ticketed
from rtrl_jax.workers.learning import learner_loop
from rtrl_jax.workers.mailbox import Mailbox
from rtrl_jax.workers.sequential import sequential
from rtrl_jax.workers.turns import Turns

SAMPLES = 2000  # inference times that N is chosen by
MEASURED_INFERENCES, UNCOUNTED = 64, 3
DRAIN_TICKS = 1024  # between two looks of the recorder, unless its rings fill up before
SHOW_S, EVENTS_S = 0.5, 2.0
LOOK_TICKS = 16  # between two looks at the wall clock
NEVER = 1 << 62


def play(settings: Settings, folder: pathlib.Path, began: float) -> dict:
    """Runs what `settings` describe and returns the summary. See `rtrl_jax.run`."""
    os.environ.update(ONE_THREAD)  # JAX has computed nothing yet: a run is one core's work, and repeats to the byte
    spec = prepare.look_at(settings)
    settings = shorthand.spell_out(settings, spec.rate_hz)
    network, width, tree = prepare.size_network(settings, spec)
    if settings.demonstrations is not None:
        settings = dataclasses.replace(settings, demonstrations=str(pathlib.Path(settings.demonstrations).absolute()))
        demonstrations.read(pathlib.Path(settings.demonstrations), spec.observation_shape, spec.actions)
    traces = _read_traces(settings)
    with Display(f"{settings.environment}, virtual time", settings.display == "auto") as display:
        training = prepare.first_state(settings, spec, tree)
        assembly = _assemble(settings, spec, network, width, training, traces, display)
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


def _read_traces(settings: Settings) -> dict[str, charges.Trace]:
    traces = {}
    for flag in ("inference_latency_ms", "learning_latency_ms"):
        text = str(getattr(settings, flag) or "")
        if text.startswith(latency.TRACE):
            traces[flag] = charges.read_trace(text, flag)
    return traces


def _assemble(settings: Settings, spec, network: str, width: float, training, traces, display: Display) -> Assembly:
    """Every worker has a place on the board of its own; the sequential agent has the one of inference worker 0."""
    if settings.interaction != "async":
        workers = 1
    elif str(settings.inference_workers) != "auto":
        workers = int(settings.inference_workers)
    elif str(settings.inference_latency_ms) == latency.MEASURED:
        display.waiting("Measuring the inference time …")
        workers = measure.enough_workers(settings, spec, network, width, training)
    else:
        sample, _ = _stated_inference(settings, traces, lambda worker: None)
        tau_ns = sample(np.random.default_rng(settings.seed), SAMPLES)
        workers = prepare.n_star(settings, np.maximum(tau_ns, 1) * spec.rate_hz / 1e9)
    if settings.accounting == "reference":
        workers = 2 * settings.delay + 2  # those of the episode before are busy for as long again
    learners = _how_many_learn(settings, traces, spec, network, width, training)
    alone = dataclasses.replace(settings, interaction="async", workers_per_process=1)
    least = 3 * settings.delay**2 if settings.accounting == "reference" else 0
    assembly = assemble(
        alone,
        spec,
        network,
        width,
        training,
        inference_workers=workers,
        learner_workers=learners,
        capacity=max(prepare.capacity(settings, spec), least),
    )
    return dataclasses.replace(assembly, settings=settings)


def _how_many_learn(settings: Settings, traces, spec, network: str, width: float, training) -> int:
    """N_L, or N_L* of the time that an update is charged."""
    if not settings.learns:
        return 0
    if str(settings.learner_workers) != "auto":
        return int(settings.learner_workers)
    flag = "learning_latency_ms"
    text = str(settings.learning_latency_ms or 0)
    if settings.interaction != "async":
        return 1
    if text == latency.MEASURED:
        return measure.enough_learners(settings, spec, network, width, training)
    if flag in traces:
        took_ns = np.concatenate(traces[flag].gradients or [np.zeros(1)])
    else:
        rng = np.random.default_rng(settings.seed)
        draw = charges.drawn_learning(text, flag, lambda learner: rng)
        took_ns = np.array([draw(0)[0] for _ in range(SAMPLES)])
    each = took_ns.mean() * spec.rate_hz / 1e9 / settings.learn_every
    return max(1, math.ceil(each - prepare.WHOLE_TICK))


def _stated_inference(settings: Settings, traces, generator):
    """(sample, inference) of `Charges`, unless they are to be measured."""
    flag = "inference_latency_ms"
    if flag in traces:
        return charges.traced_inference(traces[flag])
    return charges.drawn_inference(str(settings.inference_latency_ms or 0), flag, generator)


class _Run:
    """A run in progress."""

    def __init__(self, assembly: Assembly, board: Board, folder: pathlib.Path, display: Display, traces):
        self._assembly, self._settings, self._board = assembly, assembly.settings, board
        self._folder, self._display, self._traces = folder, display, traces
        self._clock = Clock()
        self._observations = Observations(board.tick_head, board.tick_rows, board.frames)
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
        environment, loops, charge = self._build()
        startup_s, started = time.monotonic() - began, time.monotonic()
        self._started = self._show_at = self._events_at = started
        self._save_at = started + (self._settings.checkpoint_every_s or math.inf)
        fatal = None
        try:
            drive(loops, clock=self._clock, bells=board.bell[:, 0], charge=charge, running=self._running)
        except Exception as error:  # an environment of the user's own, most likely
            fatal = error
            self._fail("run", f"died: {type(error).__name__}: {error}", traceback.format_exc())
        board.control[0] = STOPPING
        seconds = time.monotonic() - started
        self._take_in()
        self._events.write(self._window)
        self._events.close()
        environment.close()
        if self._checkpointer:
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
            ended_by=self._failures[-1]["reason"] if fatal else self._stop_reason or "its limits",
            realtime_priority=False,
            startup_s=startup_s,
            seconds=seconds,
        )
        write_json(self._folder / "summary.json", summary)
        if fatal:
            raise RuntimeError(f"the run {summary['ended_by']}; what was recorded is in {self._folder}") from fatal
        return summary

    # ---------------------------------------------------------------- the loops

    def _build(self):
        """Returns (environment, loops by the number of their place, what computations cost)."""
        from rtrl_jax import environments

        settings, board, assembly = self._settings, self._board, self._assembly
        environment = environments.make(
            settings.environment, rate_hz=settings.rate_hz, default_action_index=settings.default_action_index
        )
        first_frame = environment.reset(settings.seed)
        places = [Place(assembly, process, 0, board, -1, self._observations) for process in assembly.processes]
        snapshots = act = None
        if settings.policy == "agent":
            from rtrl_jax.drivers import brain

            self._display.waiting("Compiling …")
            snapshots, act = brain.network(places[1])
            measured_ns = _time_inference(places[1], snapshots, act)
        costs = self._costs(places, measured_ns if settings.policy == "agent" else np.zeros(1))
        self._warm_up(places[1], costs)
        learnings = [self._learning(places[number], learner) for learner, number in enumerate(assembly.learners)]
        if str(settings.learning_latency_ms) == latency.MEASURED:
            update_ns = int(board.expected_ns[assembly.learners].max(initial=0))
            costs = costs._replace(learning=lambda learner: (update_ns, 0))

        dispatcher = self._dispatcher()
        loops = [self._environment_loop(environment, first_frame, dispatcher)]
        policies = []
        for worker in range(assembly.inference_workers):
            if act is None:
                policies.append(baselines.make(places[1 + worker], worker))
            else:
                policies.append(brain.policy(places[1 + worker], snapshots, act, worker))
        loops += self._inference_loops(policies, learnings, dispatcher)
        if not self._agent_learns:
            loops += self._learner_loops(learnings)
        return environment, loops, self._charge(costs)

    @property
    def _agent_learns(self) -> bool:
        """Whether inference and learning block each other."""
        in_turns = self._settings.learning_schedule in (None, "asynchronous")
        return self._settings.interaction != "async" and in_turns

    def _dispatcher(self):
        settings, board = self._settings, self._board
        if settings.accounting == "reference":
            return stagger.Fixed(settings.delay, settings.delay**2)
        if settings.interaction != "async" or settings.stagger != "ticket":
            return None
        playout = int(settings.playout) if str(settings.playout).isdecimal() else settings.playout
        dispatcher = stagger.Ticket(self._assembly.inference_workers, playout=playout)
        tau_m_ns = 1e9 / self._assembly.spec.rate_hz
        for ticks in np.ceil(board.warm_up_ns.ravel() / tau_m_ns).astype(int).tolist():
            dispatcher.observe(ticks, used_network=True)
        return dispatcher

    def _environment_loop(self, environment, first_frame, dispatcher):
        from rtrl_jax.environments import saving

        settings, spec, assembly = self._settings, self._assembly.spec, self._assembly

        def save() -> bytes:
            ticket = dispatcher.save() if dispatcher else None
            return saving.encode({"environment": environment.save(), "ticket": ticket})

        waiting = [1] if settings.interaction != "async" and dispatcher is None else []
        return environment_loop(
            environment,
            first_frame,
            self._board,
            self._observations,
            self._clock.now_ns,
            dispatcher,
            rate_hz=spec.rate_hz,
            default_action=spec.default_action,
            repeat=settings.default_action == "repeat",
            limits=Limits(settings.duration_s, settings.max_ticks, settings.max_episodes),
            groups=assembly.groups,
            listeners=waiting + ([] if self._agent_learns else assembly.learners),
            save=save if self._checkpointer else None,
        )

    def _inference_loops(self, policies, learnings, dispatcher):
        settings, board, assembly = self._settings, self._board, self._assembly
        mailboxes = [Mailbox(board, worker, self._clock.now_ns) for worker in range(assembly.inference_workers)]
        if dispatcher is not None:
            return [ticketed(mailbox, policy) for mailbox, policy in zip(mailboxes, policies, strict=True)]
        if settings.interaction != "async":
            loop = sequential(
                mailboxes[0],
                self._observations,
                policies[0],
                learnings[0] if learnings and self._agent_learns else None,
                Ring(board.update_head[:1], board.update_rows[0]),
                learn_first=settings.interaction == "sequential_learn_first",
                learn_every=assembly.learn_every,
                start_ns=0,
            )
            return [loop]
        algorithm = stagger.make(settings.stagger, board.stagger, quantile=settings.stagger_quantile)
        if settings.tau_initial_ms is not None:
            algorithm.start_from(settings.tau_initial_ms / 1e3)
        return [
            staggered(
                mailbox,
                self._observations,
                policy,
                algorithm,
                workers=assembly.inference_workers,
                start_ns=0,
                tau_m_ns=round(1e9 / assembly.spec.rate_hz),
            )
            for mailbox, policy in zip(mailboxes, policies, strict=True)
        ]

    def _learning(self, place: Place, learner: int):
        from rtrl_jax.drivers import brain

        board = self._board
        learning = brain.learning(place, learner, self._lock)
        if learner == 0:
            updates = Ring(board.update_head[:1], board.update_rows[0])
            brain.pretrain(place, learning, updates, self._clock.now_ns)
        return learning

    def _learner_loops(self, learnings):
        board, assembly = self._board, self._assembly
        turns = Turns(board, self._lock, assembly.learners)
        return [
            learner_loop(
                learner,
                learning,
                turns,
                self._observations,
                Ring(board.update_head[learner : learner + 1], board.update_rows[learner]),
                learn_every=assembly.learn_every,
                start_ns=0,
                idle=lambda now: WaitBell(now + NEVER),  # nothing falls due but at a boundary
            )
            for learner, learning in enumerate(learnings)
        ]

    # ---------------------------------------------------------------- what things cost

    def _costs(self, places, measured_ns: np.ndarray) -> charges.Charges:
        settings, workers = self._settings, self._assembly.inference_workers
        of_worker = cache(lambda worker: places[1].generator(LATENCY, worker))
        of_learner = cache(lambda learner: places[1].generator(LATENCY, workers + learner))
        if str(settings.inference_latency_ms) == latency.MEASURED:
            sample, inference = charges.measured_inference(measured_ns, of_worker)
        else:
            sample, inference = _stated_inference(settings, self._traces, of_worker)
        text, flag = str(settings.learning_latency_ms or 0), "learning_latency_ms"
        if flag in self._traces:
            learning = charges.traced_learning(self._traces[flag], flag)
        else:
            learning = charges.drawn_learning("0" if text == latency.MEASURED else text, flag, of_learner)
        return charges.Charges(sample, inference, learning)

    def _warm_up(self, place: Place, costs: charges.Charges) -> None:
        """Leaves inference times on the board, from which the first playout delay is taken."""
        rng = place.generator(LATENCY, self._assembly.inference_workers + self._assembly.dimensions.learners)
        shape = (self._assembly.inference_workers, WARM_UP_INFERENCES)
        self._board.warm_up_ns[:] = np.maximum(costs.sample(rng, shape[0] * shape[1]), 1).reshape(shape)

    def _charge(self, costs: charges.Charges):
        """See `virtual.drive`. With --delay every decision takes the same, the exploratory ones too."""
        always, first_learner = self._settings.delay is not None, 1 + self._assembly.inference_workers
        applying: dict[int, int] = {}

        def charge(number: int, effect, value) -> int:
            if isinstance(effect, Infer):
                return costs.inference(number - 1, always or value.greedy)
            if isinstance(effect, Learn):
                gradient, applying[number] = costs.learning(max(0, number - first_learner))
                return gradient if number >= first_learner else gradient + applying[number]
            return applying[number] if isinstance(effect, Apply) else 0

        return charge

    # ---------------------------------------------------------------- between boundaries

    def _running(self) -> bool:
        board, tick = self._board, int(self._board.tick_head[0])
        full = (
            int(board.judged_head[0]) - self._judged > JUDGED_ROWS // 2
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
            int(board.judged_head[0]),
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


def _time_inference(place: Place, snapshots, act) -> np.ndarray:
    """Compiles, and returns how long inferences take on this machine: nanoseconds [MEASURED_INFERENCES]."""
    blank = np.zeros(place.assembly.observation_shape, place.assembly.spec.observation_dtype)
    counted = MEASURED_INFERENCES if str(place.assembly.settings.inference_latency_ms) == latency.MEASURED else 0
    times = []
    for _ in range(UNCOUNTED + counted):
        began = time.perf_counter_ns()
        with snapshots.pinned() as (_, parameters):
            int(act(parameters, blank, np.uint32(0)))
        times.append(time.perf_counter_ns() - began)
    return np.array(times[UNCOUNTED:] or [0])
