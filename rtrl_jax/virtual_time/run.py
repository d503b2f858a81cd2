"""A run in virtual time: the loops of a wall-clock run in this one process, and the same run folder at the end.

The network computes every action and every update for real; only the time they are charged is made up.
"""

import os
import pathlib
import threading
import time
import traceback
from contextlib import contextmanager, nullcontext
from functools import partial

import numpy as np

from rtrl_jax import latency
from rtrl_jax.agents.variant import for_actions
from rtrl_jax.board import lifecycle, segment
from rtrl_jax.board.layout import BRIM, OUTCOME_ROWS, UPDATE_ROWS, WARM_UP_INFERENCES, Board, size
from rtrl_jax.checkpoints import restoring, store
from rtrl_jax.checkpoints.replay import Reached
from rtrl_jax.checkpoints.writer import UnderWay
from rtrl_jax.core import acting, learning, loops, preparation
from rtrl_jax.core import folder as folders
from rtrl_jax.core.assembly import Assembly, begin_board, commit
from rtrl_jax.core.context import LATENCY, Context
from rtrl_jax.core.one_thread import ONE_THREAD
from rtrl_jax.core.output import Output
from rtrl_jax.core.signals import signals_to
from rtrl_jax.core.sizing import kept
from rtrl_jax.environments import Spec
from rtrl_jax.errors import DivergedError
from rtrl_jax.settings import Settings
from rtrl_jax.settings_forms import as_flagfile
from rtrl_jax.telemetry.files import write_text
from rtrl_jax.telemetry.summary import ITS_LIMITS
from rtrl_jax.telemetry.terminal import Display
from rtrl_jax.virtual_time import aliases, costs, keeping, sizing
from rtrl_jax.virtual_time.drive import Clock, Driver
from rtrl_jax.workers.environment import Unsettled
from rtrl_jax.workers.learner import Learner

DRAIN_TICKS = 1024  # between two looks of the recorder, unless its rings fill up before
SHOW_S = 0.5
LOOK_TICKS = 16  # between two looks at the wall clock


def play(settings: Settings, began: float, past: restoring.Past | None = None) -> dict:
    """Runs what `settings` describe and returns the summary. See `rtrl_jax.run`.

    Args:
      began: when the user asked for it, time.monotonic().
      past: the checkpoint that it goes on from, in the folder that the settings name.
    """
    os.environ.update(ONE_THREAD)  # JAX has computed nothing yet: a run is one core's work, and repeats to the byte
    spec = preparation.probe(settings)
    settings = aliases.spell_out(for_actions(settings, spec.actions, settings.environment), spec.rate_hz)
    settings.check()
    remarks: list[str] = []
    model = preparation.prepare(settings, spec, remarks.append)
    settings = model.settings
    folder = pathlib.Path(settings.run_dir) if past else folders.choose(settings.run_dir, settings.environment)
    traces = costs.read_traces(settings)
    earlier = saved = None
    if past:
        earlier, saved = restoring.read_records(folder, past), keeping.read(past)
        restoring.check_goes_on(settings, spec.rate_hz, earlier["ticks"])
    with Display(f"{settings.environment}, virtual time", settings.display == "auto") as display:
        assembly = sizing.assemble_for(model, traces, *_numbers_and_session(past, settings, spec))
        if past:
            restoring.check_fits(past, assembly)
        else:
            folders.make(folder)
        board = begin_board(assembly, model.first_state(), segment.private(size(assembly.dimensions)))
        with preparation.writing_to(folder), nullcontext() if past else store.locked(folder), _on_cores(settings):
            if past:
                restoring.restore(past, assembly, board, partial(commit, board, assembly))
                keeping.restore_board(board, saved)
                restoring.forget_uncovered(past)
                display.say(f"going on at tick {past.tick + 1} with {past.manifest['updates']} updates made")
                if why_not := past.why_not_exact:
                    display.say(f"what follows is not what an uninterrupted run would have done: {why_not}")
            write_text(folder / "flags.txt", as_flagfile(settings))
            for remark in remarks:
                display.say(remark)
            if spec.why_not_saved:
                display.say(f"this world cannot be saved: {spec.why_not_saved}")
            display.say(f"virtual time, in this process alone; the run is in {folder}")
            run = _Run(assembly, board, folder, display, traces, past, earlier, saved)
            with signals_to(run.stop):
                return run.play(began)


def _numbers_and_session(
    past: restoring.Past | None, settings: Settings, spec: Spec
) -> tuple[sizing.Numbers | None, int]:
    """Going on as if nothing had happened is no new session."""
    if past is None:
        return None, 0
    manifest = past.manifest
    numbers = sizing.Numbers(
        manifest["inference_workers"], manifest["learner_workers"], _transitions(manifest, settings, spec)
    )
    return numbers, manifest["session"] + (past.why_not_exact is not None)


def _transitions(manifest: dict, settings: Settings, spec: Spec) -> int:
    """As many as the run has kept, whatever memory there is here; more if a higher limit asks for it and none has been lost."""
    before = manifest["act_rows"] - BRIM
    same_limits = all(getattr(settings, name) == manifest["settings"][name] for name in restoring.LIMITS)
    if same_limits or Reached(*manifest["reached"]).acts > before:
        return before
    return max(before, kept(settings, spec).transitions)


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

    def __init__(
        self,
        assembly: Assembly,
        board: Board,
        folder: pathlib.Path,
        display: Display,
        traces,
        past: restoring.Past | None = None,
        earlier: dict | None = None,
        saved: dict | None = None,
    ):
        """Args: past, earlier, saved: the checkpoint it goes on from, its records until then, what was under way; or None."""
        self._assembly, self._settings, self._board = assembly, assembly.settings, board
        self._folder, self._display, self._traces = folder, display, traces
        self._clock = Clock()
        self._commits = threading.Lock()  # a checkpoint's thread copies while nobody commits an update
        self._past, self._saved = past, saved
        self._output = Output(
            assembly,
            board,
            folder,
            display,
            self._lock,
            show_every_s=SHOW_S,
            past=past,
            earlier=earlier,
            under_way=lambda: self._under_way,
        )
        self._world: loops.World | None = None
        self._parts: keeping.Parts | None = None
        self._measured = keeping.Measured(np.zeros(1), 0)
        self._under_way: UnderWay | None = None  # as of the last state that the environment left
        self._is_left = False  # whether it has just left one
        self._stop_reason = None
        self._look_at = 0
        self._note_drained()

    def stop(self, reason: str) -> None:
        """Ends the run soon. Safe in a signal handler."""
        self._stop_reason = self._stop_reason or reason

    def _lock(self):
        return self._commits

    def play(self, began: float) -> dict:
        board, fatal, died, started = self._board, None, False, time.monotonic()
        board.ready[:] = 1
        lifecycle.start(board, 0)
        self._display.waiting("Compiling …")
        try:
            self._parts = self._wire()
            started = time.monotonic()
            self._output.start()
            self._parts.driver.run(self._running)
        except DivergedError as error:
            fatal = str(error)
            self._output.fail("run", f"the run {fatal}")
        except (Exception, KeyboardInterrupt, SystemExit) as error:  # of the user's own environment, most likely
            fatal, died = f"died: {type(error).__name__}: {error}", True
            self._output.fail("run", fatal, trace=traceback.format_exc())
        lifecycle.stop(board)
        ended_by = fatal or self._stop_reason or ITS_LIMITS
        summary = self._output.close(died=died, ended_by=ended_by, startup_s=started - began)
        if self._world:
            self._world.environment.close()
        if fatal:
            raise RuntimeError(f"the run {fatal}; what was recorded is in {self._folder}")
        if self._output.end_is_lost:
            raise RuntimeError(
                f"the run has ended without a checkpoint of its end; what was recorded is in {self._folder}"
            )
        return summary

    def _wire(self) -> keeping.Parts:
        assembly, settings, board, saved = self._assembly, self._settings, self._board, self._saved
        contexts = [Context(assembly, process, board) for process in assembly.processes]
        clock = loops.Clock(self._clock.now_ns, turn_lock=self._lock)
        self._world = loops.open_world(contexts[0], on_the_grid=saved is not None)
        if saved:
            self._measured = keeping.Measured(*saved["measured"])
        network, is_measured = None, str(settings.inference_latency_ms) == latency.MEASURED
        if settings.policy == "agent" or is_measured:
            network = acting.network(contexts[1])
            to_measure = sizing.MEASURED_INFERENCES if is_measured and not saved else 0
            times = acting.time_inferences(contexts[1], network, to_measure)
            self._measured = self._measured._replace(inferences_ns=times) if to_measure else self._measured
        progress = costs.Progress(partial(contexts[1].generator, LATENCY))
        charged = costs.of_run(
            settings, self._traces, assembly.inference_workers, self._measured.inferences_ns, progress
        )
        if not saved:
            self._warm_up(contexts[0], charged)
        learners = self._learners([contexts[number] for number in assembly.learners])
        if str(settings.learning_latency_ms) == latency.MEASURED:
            if not saved:
                update_ns = int(board.expected_ns[assembly.learners].max(initial=0))
                self._measured = self._measured._replace(update_ns=update_ns)
            charged = charged._replace(learning=lambda learner: (self._measured.update_ns, 0))

        unsettled = Unsettled.nothing()
        running = [loops.environment(contexts[0], clock, self._world, unsettled, self._keep)]
        agent_learns = loops.agent_learns(settings)
        for worker, context in enumerate(contexts[1 : 1 + assembly.inference_workers]):
            policy = acting.policy(context, network, worker)
            own = learners[0] if learners and agent_learns else None
            running.append(loops.agent(context, clock, policy, worker, own))
        if not agent_learns:
            for number, learner in zip(assembly.learners, learners, strict=True):
                running.append(loops.learning(contexts[number], clock, learner))
        charge = costs.charge(charged, settings, 1 + assembly.inference_workers, progress)
        driver = Driver(running, clock=self._clock, bells=board.bell[:, 0], charge=charge)
        if saved:
            keeping.restore_unsettled(unsettled, saved)
            progress.restore(saved["progress"])
            driver.restore(saved["driver"])
        return keeping.Parts(driver, progress, unsettled, learners)

    def _learners(self, contexts: list[Context]) -> list[Learner]:
        if self._saved is None:
            learners = []
            for context in contexts:
                learners.append(learning.learner(context, self._lock))
                if context.process.learner == 0:
                    learning.pretrain(context, learners[0], self._clock.now_ns, self._drain_if_full)
            return learners
        states = (
            self._saved["learners"] if self._past.manifest["settings"]["checkpoint_replay"] else [None] * len(contexts)
        )
        return [learning.learner(context, self._lock, state) for context, state in zip(contexts, states, strict=True)]

    def _keep(self) -> None:
        """Keeps what is under way, as the environment leaves its state; `_running` or the end of the run saves it."""
        self._under_way = keeping.keep(self._board, self._parts, self._measured)
        self._is_left = True

    def _drain_if_full(self) -> None:
        board = self._board
        if (
            int(board.tick_head[0]) - self._drained >= DRAIN_TICKS
            or int(board.outcome_head[0]) - self._outcomes > OUTCOME_ROWS // 2
            or int(board.update_head.max()) - self._updates > UPDATE_ROWS // 2
        ):
            self._note_drained()
            self._output.take_in()

    def _note_drained(self) -> None:
        board = self._board
        self._drained, self._outcomes = int(board.tick_head[0]), int(board.outcome_head[0])
        self._updates = int(board.update_head.max())

    def _warm_up(self, context: Context, charged: costs.Costs) -> None:
        """Leaves inference times on the board, from which the first playout delay is taken."""
        workers, learners = self._assembly.inference_workers, self._assembly.dimensions.learners
        rng = context.generator(LATENCY, workers + learners)
        times = charged.sample(rng, workers * WARM_UP_INFERENCES)
        self._board.warm_up_ns[:] = np.maximum(times, 1).reshape(workers, WARM_UP_INFERENCES)

    def _running(self) -> bool:
        tick = int(self._board.tick_head[0])
        self._drain_if_full()
        if tick >= self._look_at:
            self._look_at = tick + LOOK_TICKS
            self._output.look(played_s=self._clock.ns / 1e9)
        if self._is_left:
            self._is_left = False
            self._output.save()
        return self._stop_reason is None
