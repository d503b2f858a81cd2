"""Learning, as the learners' loop and the sequential agent's do it: when an update is due, its gradient, and applying it.

A learner computes a gradient on the newest parameters it sees, waits for its turn, and applies the gradient to the newest
parameters there are then. Between two updates nothing that matters is in a learner's own memory: parameters, target and
optimiser are on the board, committed by one flip, so a learner may die at any moment.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from rtrl_jax.board.records import Update
from rtrl_jax.errors import DivergedError
from rtrl_jax.workers.effects import Apply, Learn, Sleep, Timed, WaitBell
from rtrl_jax.workers.inference import LOOK_AGAIN_NS
from rtrl_jax.workers.steps import Loop

LOOK_AT_TURN_NS = 1_000_000  # two may ring a learner at once, and then a ring can be missed
NOT_BEGUN = -1
INACTIVE_EVERY = (
    128  # updates between two in which inactive units are counted, in a fifth to a quarter of an update's time
)


class Figures(NamedTuple):
    """What an update's batch says of learning, under the names that `Update` has for it."""

    loss: float
    q: float
    target_q: float
    td_error: float
    inactive: float = math.nan
    inactive_channels: float = math.nan


class Gradients(NamedTuple):
    grads: Any  # leaves, of the parameters' shapes
    figures: Figures
    version: int  # of the parameters it was taken at
    keys: Any  # of the batch's transitions in the replay
    errors: Any  # [B] their sizes


class Applied(NamedTuple):
    version: int  # of the parameters that a gradient was applied to
    gradient_norm: float


class Program(NamedTuple):
    """An agent's two halves of an update, compiled. Trees are flattened to lists of arrays."""

    gradients: Callable  # (parameters, target, batch, seed) -> (grads, the first four of Figures, errors)
    apply_gradients: Callable  # (parameters, optimiser leaves, grads) -> (parameters, optimiser leaves, gradient norm)
    prepare: Callable = lambda parameters: ()  # parameters -> what a snapshot holds for inference besides
    inactive: Callable | None = None  # (parameters, observations, seed) -> the last two of Figures
    toward: Callable | None = (
        None  # (parameters, target) -> target, a step closer to them; None: it becomes a copy of them
    )


class Learner:
    """What one learner learns with, and how it makes an update."""

    def __init__(
        self,
        replay,
        program: Program,
        publisher,
        snapshots,
        board,
        *,
        batch_size,
        target_every,
        learn_start,
        rng,
        note,
        lock,
    ):
        """Args:
        replay: see `replay`.
        publisher, snapshots: `board.snapshots.Publisher` and `Reader`; the reader hands out parameters.
        target_every: updates between two steps of the target network.
        learn_start: transitions before the first update.
        note: notes the generator's state when a batch has been drawn.
        lock: () -> context manager that keeps others from committing.
        """
        self._replay, self._program, self._publisher, self._snapshots = replay, program, publisher, snapshots
        self._board, self._lock, self._rng, self._note = board, lock, rng, note
        self._batch_size, self._target_every, self._learn_start = batch_size, target_every, max(learn_start, 1)
        self._target_version, self._target = None, None

    def due(self, count: int, learn_every: int, turns_before: int = 0) -> bool:
        """Whether the schedule asks for an update now, of the learner whose turn comes after `turns_before` others.

        Args: count: ticks or decisions so far; `learn_every` of them make an update due.
        """
        self._replay.ingest()
        if not len(self._replay):
            return False
        began = int(self._board.due_at[0])
        if began == NOT_BEGUN:
            if turns_before == 0 and self._replay.ingested >= self._learn_start:
                self._board.due_at[0] = count
                return True
            return False
        return began + turns_before * learn_every <= count

    def scheduled(self, learn_every: int) -> None:
        """The update that was due has been made. In one's turn only."""
        if (
            self._board.due_at[0] != NOT_BEGUN
        ):  # one that was under way in a run resumed without its replay counts for nothing
            self._board.due_at[0] += learn_every

    def can_apply(self) -> bool:
        """False while slow readers hold every slot."""
        return self._publisher.has_room()

    def state(self):
        """What is not on the board: how far its replay has come. Its copy of the target is made anew when it is needed."""
        return self._replay.state()

    def restore(self, saved) -> None:
        """Goes on from there, to the letter."""
        self._replay.restore(saved)

    def pretrain(self, steps: int, record: Callable[[Gradients, Applied], None], wait: Callable[[], None]) -> None:
        """Updates on what is in the replay before the run begins; they do not count for the schedule.

        Args:
          record: called after each.
          wait: called while others, warming up, hold every slot.
        """
        self._replay.ingest()
        for _ in range(steps if len(self._replay) else 0):  # with too long a delay no action is left to learn from
            while not self.can_apply():
                wait()
            record(*self.step())

    def step(self) -> tuple[Gradients, Applied]:
        """A whole update, for an agent that learns alone."""
        found = self.gradients()
        with self._lock():  # a checkpoint may be copied at any moment
            return found, self.apply(found)

    def gradients(self) -> Gradients:
        """On a batch from the replay, at the newest parameters."""
        batch, keys = self._replay.sample_with_keys(self._rng, self._batch_size)
        seed = np.uint32(self._rng.integers(2**32))
        self._note()
        self._refresh_target()
        with self._snapshots.pinned() as (version, parameters):
            grads, numbers, errors = self._program.gradients(parameters, self._target, batch, seed)
            # Waits, as the snapshot is pinned no longer than this block. One array, as each that is fetched takes its time.
            figures, errors = Figures(*np.asarray(numbers).tolist()), np.asarray(errors)
            if self._program.inactive and version % INACTIVE_EVERY == 0:
                shares = self._program.inactive(parameters, batch.observation, seed)
                figures = Figures(*figures[:4], *map(float, shares))
        return Gradients(grads, figures, version, keys, errors)

    def apply(self, found: Gradients) -> Applied | None:
        """Commits the update, in one's turn. Returns None if slow readers held every slot after all.

        Raises:
          DivergedError: it has come to what is no finite number. Nothing has changed.
        """
        with self._snapshots.pinned() as (version, parameters):
            *moved, norm = self._program.apply_gradients(parameters, self._publisher.optimiser(), found.grads)
            parts = (*moved, self._program.prepare(moved[0]))
            parameters, optimiser, prepared = ([np.asarray(leaf) for leaf in leaves] for leaves in parts)
        norm = float(np.asarray(norm))  # quicker than JAX's own float
        _check(version + 1, found.figures.loss, norm, parameters)
        target = self._moved_target(parameters) if (version + 1) % self._target_every == 0 else False
        if not self._publisher.publish(parameters, version + 1, optimiser, target=target, prepared=prepared):
            return None
        self._replay.settle(found.keys, found.errors)
        return Applied(version, norm)

    def _moved_target(self, parameters: list) -> list | bool:
        """The target network after a step, as `Publisher.publish` takes it."""
        if self._program.toward is None:
            return True
        return [np.asarray(leaf) for leaf in self._program.toward(parameters, self._publisher.target()[1])]

    def _refresh_target(self) -> None:
        # A copy of one's own: the slot is refilled at every second change of the target, maybe during a gradient.
        slot = self._board.slot_target[self._board.latest[0]]
        if self._target_version == int(self._board.target_version[slot]):
            return
        with self._lock():
            self._target_version, target = self._publisher.target()
            self._target = [leaf.copy() for leaf in target]


def _check(update: int, loss: float, norm: float, parameters: list[np.ndarray]) -> None:
    """Raises DivergedError unless all are finite; then the optimiser's state is, too. Args: update: its number, from 1."""
    if not math.isfinite(loss):
        wrong = f"its loss is {loss}"
    elif not math.isfinite(norm):
        wrong = f"the norm of its gradient is {norm}"
    elif not all(np.isfinite(leaf).all() for leaf in parameters):
        wrong = "it leads to parameters that are no finite numbers"
    else:
        return
    raise DivergedError(
        f"diverged: update {update} was not made, since {wrong}; a lower --learning_rate or a --gradient_clip may help, by the "
        "wall clock with --resume too, or in a new run --reward_clipping or --normalise_observations"
    )


class LearnerLoop(Loop):
    """Updates whenever the schedule asks for it, as fast as its turns come while it lags behind.

    Nothing falls due but at a boundary, at which its bell is rung.
    """

    KEPT = ("computed",)

    def __init__(
        self, number: int, learner: Learner, turns, board, *, learn_every: int, per: str = "tick", start_ns: int
    ):
        """Args:
        number: which of the learners it is.
        turns: a `Turns`.
        learn_every: ticks or decisions, as `per` says, for each update, of any learner.
        """
        self._number, self._learner, self._turns, self._start_ns = number, learner, turns, start_ns
        self._learn_every, self._per = learn_every, per
        self._observations, self._updates = board.observations, board.updates(number)
        self.computed: Timed | None = None  # the `Gradients` of the update that is being made

    def begin(self):
        return Sleep(self._start_ns), self.look

    def look(self, now: int):
        count = self._observations.count(self._per)
        if not self._learner.due(count, self._learn_every, self._turns.until(self._number)):
            return WaitBell(now + LOOK_AGAIN_NS), self.look
        return Learn(self._learner.gradients), self.hold

    def hold(self, computed: Timed):
        self.computed = computed
        return self.wait_for_turn(computed.end_ns)

    def wait_for_turn(self, now: int):
        if self._turns.holder() != self._number or not self._learner.can_apply():
            return WaitBell(now + LOOK_AT_TURN_NS), self.wait_for_turn
        return self.application(), self.note

    def give_up(self) -> None:
        self.computed, self._step = None, self.look

    def application(self) -> Apply:
        return Apply(partial(self._turns.take, self._number, self._apply))

    def _apply(self) -> Applied | None:
        applied = self._learner.apply(self.computed.value)
        if applied is not None:
            self._learner.scheduled(self._learn_every)
        return applied

    def note(self, applied: Timed):
        if applied.value is None:
            return self.wait_for_turn(applied.end_ns)
        (found, start, computed), self.computed = self.computed, None
        self._updates.append(
            record(self._number, found, applied.value, start, computed, applied.start_ns, applied.end_ns)
        )
        return self.look(applied.end_ns)


def record(
    number: int, found: Gradients, applied: Applied, start_ns: int, computed_ns: int, turn_ns: int, end_ns: int
) -> Update:
    """Of an update by learner `number`."""
    return Update(
        learner=number,
        start_ns=start_ns,
        computed_ns=computed_ns,
        turn_ns=turn_ns,
        end_ns=end_ns,
        gradient_version=found.version,
        applied_version=applied.version,
        gradient_norm=applied.gradient_norm,
        **found.figures._asdict(),
    )
