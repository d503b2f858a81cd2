"""A run in virtual time: the loops of a wall-clock run in this one process, and the same run folder at the end.

The network computes every action and every update for real; only the time they are charged is made up.
"""

import os
import pathlib
import threading
import time
import traceback
from contextlib import contextmanager

import numpy as np

from rtrl_jax import latency
from rtrl_jax.board import lifecycle, segment
from rtrl_jax.board.layout import OUTCOME_ROWS, UPDATE_ROWS, WARM_UP_INFERENCES, Board, size
from rtrl_jax.checkpoints import store
from rtrl_jax.core import acting, learning, loops, preparation
from rtrl_jax.core import folder as folders
from rtrl_jax.core.assembly import Assembly, begin_board
from rtrl_jax.core.context import LATENCY, Context
from rtrl_jax.core.one_thread import ONE_THREAD
from rtrl_jax.core.output import Output
from rtrl_jax.core.signals import signals_to
from rtrl_jax.settings import Settings, as_flagfile
from rtrl_jax.telemetry.files import write_text
from rtrl_jax.telemetry.terminal import Display
from rtrl_jax.virtual_time import aliases, costs, sizing
from rtrl_jax.virtual_time.drive import Clock, drive

DRAIN_TICKS = 1024  # between two looks of the recorder, unless its rings fill up before
SHOW_S = 0.5
LOOK_TICKS = 16  # between two looks at the wall clock


def play(settings: Settings, began: float) -> dict:
    """Runs what `settings` describe and returns the summary. See `rtrl_jax.run`."""
    os.environ.update(ONE_THREAD)  # JAX has computed nothing yet: a run is one core's work, and repeats to the byte
    spec = preparation.probe(settings)
    settings = aliases.spell_out(settings, spec.rate_hz)
    settings.check()
    remarks: list[str] = []
    model = preparation.prepare(settings, spec, remarks.append)
    settings = model.settings
    folder = folders.choose(settings.run_dir, settings.environment)
    traces = costs.read_traces(settings)
    with Display(f"{settings.environment}, virtual time", settings.display == "auto") as display:
        assembly = sizing.assemble_for(model, traces)
        board = begin_board(assembly, model.first_state(), segment.private(size(assembly.dimensions)))
        folders.make(folder)
        write_text(folder / "flags.txt", as_flagfile(settings))
        for remark in remarks:
            display.say(remark)
        if spec.why_not_saved:
            display.say(f"this world cannot be saved: {spec.why_not_saved}")
        display.say(f"virtual time, in this process alone; the run is in {folder}")
        with preparation.writing_to(folder), store.locked(folder), _on_cores(settings):
            run = _Run(assembly, board, folder, display, traces)
            with signals_to(run.stop):
                return run.play(began)


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
        self._commits = threading.Lock()  # a checkpoint's thread copies while nobody commits an update
        self._output = Output(assembly, board, folder, display, self._lock, show_every_s=SHOW_S)
        self._world: loops.World | None = None
        self._stop_reason = None
        self._look_at = self._drained = self._outcomes = self._updates = 0

    def stop(self, reason: str) -> None:
        """Ends the run soon. Safe in a signal handler."""
        self._stop_reason = self._stop_reason or reason

    def _lock(self):
        return self._commits

    def play(self, began: float) -> dict:
        board, fatal, started = self._board, None, time.monotonic()
        board.ready[:] = 1
        lifecycle.start(board, 0)
        self._display.waiting("Compiling …")
        try:
            running, charge = self._wire()
            started = time.monotonic()
            self._output.start()
            drive(running, clock=self._clock, bells=board.bell[:, 0], charge=charge, running=self._running)
        except (Exception, KeyboardInterrupt, SystemExit) as error:  # of the user's own environment, most likely
            fatal = f"died: {type(error).__name__}: {error}"
            self._output.fail("run", fatal, trace=traceback.format_exc())
        lifecycle.stop(board)
        ended_by = fatal or self._stop_reason or "its limits"
        summary = self._output.close(died=fatal is not None, ended_by=ended_by, startup_s=started - began)
        if self._world:
            self._world.environment.close()
        if fatal:
            raise RuntimeError(f"the run {fatal}; what was recorded is in {self._folder}")
        if self._output.end_is_lost:
            raise RuntimeError(
                f"the run has ended without a checkpoint of its end; what was recorded is in {self._folder}"
            )
        return summary

    def _wire(self):
        """Returns (loops by the number of their place, their `charge` for `drive`)."""
        assembly, settings, board = self._assembly, self._settings, self._board
        contexts = [Context(assembly, process, board) for process in assembly.processes]
        clock = loops.Clock(self._clock.now_ns, turn_lock=self._lock)
        self._world = loops.open_world(contexts[0])
        network, measured_ns = None, np.zeros(1)
        is_measured = str(settings.inference_latency_ms) == latency.MEASURED
        if settings.policy == "agent" or is_measured:
            network = acting.network(contexts[1])
            measured_ns = acting.time_inferences(contexts[1], network, sizing.MEASURED_INFERENCES if is_measured else 0)
        charged = costs.of_run(settings, self._traces, contexts[1], measured_ns)
        self._warm_up(contexts[0], charged)
        learners = [self._learner(contexts[number]) for number in assembly.learners]
        if str(settings.learning_latency_ms) == latency.MEASURED:
            update_ns = int(board.expected_ns[assembly.learners].max(initial=0))
            charged = charged._replace(learning=lambda learner: (update_ns, 0))

        running = [loops.environment(contexts[0], clock, self._world)]
        agent_learns = loops.agent_learns(settings)
        for worker, context in enumerate(contexts[1 : 1 + assembly.inference_workers]):
            policy = acting.policy(context, network, worker)
            own = learners[0] if learners and agent_learns else None
            running.append(loops.agent(context, clock, policy, worker, own))
        if not agent_learns:
            for number, learner in zip(assembly.learners, learners, strict=True):
                running.append(loops.learning(contexts[number], clock, learner))
        return running, costs.charge(charged, settings, first_learner=1 + assembly.inference_workers)

    def _learner(self, context: Context):
        learner = learning.learner(context, self._lock)
        if context.process.learner == 0:
            learning.pretrain(context, learner, self._clock.now_ns)
        return learner

    def _warm_up(self, context: Context, charged: costs.Costs) -> None:
        """Leaves inference times on the board, from which the first playout delay is taken."""
        workers, learners = self._assembly.inference_workers, self._assembly.dimensions.learners
        rng = context.generator(LATENCY, workers + learners)
        times = charged.sample(rng, workers * WARM_UP_INFERENCES)
        self._board.warm_up_ns[:] = np.maximum(times, 1).reshape(workers, WARM_UP_INFERENCES)

    def _running(self) -> bool:
        board, tick = self._board, int(self._board.tick_head[0])
        full = (
            int(board.outcome_head[0]) - self._outcomes > OUTCOME_ROWS // 2
            or int(board.update_head.max()) - self._updates > UPDATE_ROWS // 2
        )
        if full or tick - self._drained >= DRAIN_TICKS:
            self._drained, self._outcomes = tick, int(board.outcome_head[0])
            self._updates = int(board.update_head.max())
            self._output.take_in()
        if tick >= self._look_at:
            self._look_at = tick + LOOK_TICKS
            self._output.look(played_s=self._clock.ns / 1e9)
        return self._stop_reason is None
