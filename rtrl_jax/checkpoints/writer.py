"""Makes checkpoints while a run goes on, in a thread of the supervisor: copies from the board, then writes at leisure.

The environment is asked for its state and leaves it on the board after a boundary, in its bookkeeping; learners wait, for
the milliseconds of a copy, only if they want to apply an update just then. Nobody waits for the disk.
"""

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import queue
import threading
import time
import weakref
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rtrl_jax import heap
from rtrl_jax.board import snapshots
from rtrl_jax.board.layout import STOPPING
from rtrl_jax.board.saved_state import SavedState
from rtrl_jax.checkpoints import replay, store
from rtrl_jax.environments import saving

ANSWER_S, ANSWER_TICKS = 5.0, 3  # the environment answers at its next boundary
TRAINING_S = 60.0  # for learners on another machine to tell what they have come to
NICENESS = 19
MOST_WORDS = 300  # letters of what somebody else's error says


class UnderWay(NamedTuple):
    """What a run in virtual time goes on with besides what is on the board, as of the state that the environment left."""

    words: dict  # for the manifest
    data: bytes
    arrays: dict[str, np.ndarray]
    oldest: int  # observation that a decision under way was made from


class Checkpointer:
    def __init__(
        self,
        assembly,
        board,
        folder: pathlib.Path,
        recorder,
        hold_turns,
        manifest: dict,
        past=None,
        under_way: Callable[[], UnderWay] | None = None,
    ):
        """Args:
        recorder: the run's; a checkpoint is whole only when the record until then is on disk as well.
        hold_turns: () -> context manager within which no learner applies an update.
        manifest: what is the same in every checkpoint of this run, see `describe`.
        past: the `restoring.Past` that the run goes on from, if it does.
        under_way: of a run in virtual time, which stands still while `make` makes a checkpoint; None: the run goes on.
        """
        self._assembly, self._board, self._folder, self._hold = assembly, board, folder, hold_turns
        self._recorder = recorder
        self._manifest, self._under_way = manifest, under_way
        listed = past.manifest["replay"] if past else ()
        self._replay = replay.Files(folder, board.acts, listed)
        # Nobody learns now: what was learned with before is kept for a later session that does.
        self._kept = past.learning_state() if past and not board.dimensions.learners else None
        self._reader = snapshots.Publisher(
            board, assembly.leaves, assembly.optimiser_leaves if board.dimensions.learners else ()
        )
        self._jobs = None  # of the thread that writes; begun late, as it inherits the cores of whoever begins it
        self._idle = threading.Event()
        self._idle.set()
        self._has_written = False
        self._error = self._said = None

    def begin(self) -> None:
        """Starts one, unless one is still being written; in virtual time, asks for the state that `make` needs."""
        if self._idle.is_set():
            if not self._learners_are_elsewhere:
                SavedState(self._board).ask()
            if self._under_way is None:
                self._start(ask=True)

    def make(self) -> None:
        """One of the state that the environment has just left. Nobody goes on until it is written."""
        self._start(ask=False)

    def last(self, died: bool = False) -> bool:
        """One more, of the end: processes are gone, and the environment's has left its state. Waits until it is written.

        Args:
          died: whether the environment's is known to have left none.

        Returns:
          Whether the run can go on from where it ended: False if the end is lost, and `error` says why unless it `died`.
        """
        while not self._idle.wait(0.02):
            self._recorder.drain()  # which it may be waiting for
        if not self._board.tick_head[0]:
            return True
        if died:
            return False
        if self._board.saved_tick[0] != self._board.tick_head[0] - 1:
            self._error = "there is no checkpoint of the end, since the environment could not leave its state"
            return False
        self._start(ask=False)
        self._idle.wait()
        if self._has_written and (lost := self._updates_untold()):
            self._error = (
                f"the last {lost} updates are not in the checkpoint: the learners' machine did not tell its end"
            )
        return self._has_written

    def _updates_untold(self) -> int:
        """How many updates there were, that this machine knows of, since learners elsewhere told their whole state."""
        board = self._board
        if not self._learners_are_elsewhere:
            return 0
        versions = board.slot_version[[int(board.latest[0]), int(board.training_told[1])]].tolist()
        return versions[0] - versions[1]

    def _start(self, ask: bool) -> None:
        self._has_written = False
        self._idle.clear()
        if self._under_way:  # all wait for it: not in a thread of the lowest priority
            self._run(ask)
        else:
            self._do(functools.partial(self._run, ask))

    def _do(self, job) -> None:
        if self._jobs is None:
            self._jobs = _begin_thread(self)
        self._jobs.put(job)

    def error(self) -> str | None:
        """What went wrong since the last call, if something did."""
        error, self._error = self._error, None
        return error

    def _run(self, ask: bool) -> None:
        try:
            self._has_written = self._write(ask)
        except Exception as error:
            with contextlib.suppress(OSError):  # of a disk that takes nothing any more
                store.clear(self._folder)
                self._replay.clear()
            said = " ".join(str(error).split())[:MOST_WORDS]
            self._error = f"a checkpoint could not be written ({type(error).__name__}: {said})"
        finally:
            self._idle.set()

    @property
    def _learners_are_elsewhere(self) -> bool:
        return self._assembly.learners_crew is not None

    def _write(self, ask: bool) -> bool:
        if self._learners_are_elsewhere and ask:
            if not self._hear_of_training():
                return False
            SavedState(self._board).ask()
        environment = self._environment_state(ask)
        if environment is None:
            return False
        reached, state = environment
        board, assembly = self._board, self._assembly
        with self._hold():
            training, words = self._training()
            arrays = {"random_states": board.random_states.copy(), "stagger": board.stagger.copy()}
            if board.priorities.size:
                arrays["priorities"] = board.priorities[len(board.priorities) // 2 :].copy()
            if board.demonstration_priorities.size:
                half = len(board.demonstration_priorities) // 2
                arrays["demonstration_priorities"] = board.demonstration_priorities[half:].copy()
        files, oldest = {"environment": state}, None
        if self._under_way:
            under_way, data, more, oldest = self._under_way()
            words |= under_way
            files[store.UNDER_WAY] = data
            arrays |= {store.UNDER_WAY + name: array for name, array in more.items()}
        settings = assembly.settings
        looked_back = max(settings.told, settings.action_hold)
        arrays |= replay.latest(board, reached, settings.stacking, oldest, looked_back)
        copied_ns = time.monotonic_ns() if ask else 0
        manifest = {
            **self._manifest,
            "tick": reached.tick,
            "reached": list(reached),
            "session": assembly.session,
            **words,
            "replay": self._replay.update(reached.acts, assembly.settings.checkpoint_replay, over=not ask),
        }
        while self._recorder.complete_until_ns < copied_ns:
            time.sleep(0.02)
        self._recorder.sync()  # a power cut must not leave a checkpoint that the records do not cover
        store.write(self._folder, manifest, training, arrays, files)
        store.prune(self._folder, assembly.settings.checkpoint_keep)
        self._replay.prune([json.loads((path / "manifest.json").read_text()) for path in store.whole(self._folder)])
        return True

    def _hear_of_training(self) -> bool:
        """Asks learners on another machine for their state, and waits until it is on the board.

        False if the run has ended, or they do not tell it: then the checkpoint before stays the newest.
        """
        board, until = self._board, time.monotonic() + TRAINING_S
        board.training_wanted[0] += 1
        while board.training_told[0] < board.training_wanted[0]:
            if board.control[0] == STOPPING:
                return False  # `last` makes it
            if time.monotonic() > until:
                self._error = "a checkpoint was given up: the learners' machine did not tell their state"
                return False
            time.sleep(0.005)
        return True

    def _environment_state(self, ask: bool) -> tuple[replay.Reached, bytes] | None:
        """(how far it had come, its state with the dispatcher's and the keeper's); None if the run has ended meanwhile."""
        board, saved = self._board, SavedState(self._board)
        deadline = time.monotonic() + max(ANSWER_S, ANSWER_TICKS / self._assembly.spec.rate_hz)
        while True:
            answered = not ask or not saved.is_wanted
            if answered and (found := saved.read()):
                tick, state = found
                decoded = saving.decode(state)
                cannot = decoded["environment"] is None
                if (reason := decoded.get("cannot_be_saved")) and reason not in (
                    self._said,
                    self._assembly.spec.why_not_saved,
                ):
                    self._said = reason
                    self._error = f"checkpoints are without the world from now on, which cannot be saved: {reason}"
                self._manifest = {**self._manifest, "resumes_at_new_episode": cannot}
                return replay.Reached.of(tick, decoded["replay"]), state
            if ask and board.control[0] == STOPPING:
                return None  # `last` makes it
            if time.monotonic() > deadline:
                self._error = "a checkpoint was given up: the environment did not answer"
                return None
            time.sleep(0.002)

    def _training(self) -> tuple[dict, dict]:
        """The newest training state, copied: (leaves, counters). No learner applies meanwhile."""
        board = self._board
        slot, turn, due_at = int(board.latest[0]), int(board.turn[0]), int(board.due_at[0])
        if (
            self._learners_are_elsewhere
        ):  # parameters may be newer than the rest, which was told with those in this slot
            slot, turn, due_at = board.training_told[1:].tolist()
        found = {"parameters": _copied(snapshots.views(self._assembly.leaves, board.slots[slot]))}
        if self._under_way and self._assembly.prepared_leaves:  # made anew they could differ in their last bits
            found["prepared"] = _copied(snapshots.views(self._assembly.prepared_leaves, board.slots[slot]))
        words = {
            "updates": int(board.slot_version[slot]),
            "turn": turn,
            "due_at": due_at,
        }
        if board.dimensions.learners:
            words["target_version"], target = self._reader.target(slot)
            words["largest_priority"] = float(board.largest_priority[0])
            words["priorities_entered"] = int(board.priorities_entered[0])
            words["demonstrations_entered"] = int(board.demonstrations_entered[0])
            found |= {"target": _copied(target), "optimiser": _copied(self._reader.optimiser(slot))}
        elif self._kept:
            found |= self._kept.leaves
            words["target_version"] = self._kept.target_version
        return found, words


def _begin_thread(owner) -> queue.SimpleQueue:
    """A queue of functions that one thread calls in turn, for as long as `owner` lives.

    One thread, and not one for each checkpoint: malloc would give each a heap of its own, and keeps what is freed in it. That was
    several megabytes a checkpoint.
    """
    jobs = queue.SimpleQueue()
    threading.Thread(target=_work, args=(jobs,), name="checkpoints", daemon=True).start()
    weakref.finalize(owner, jobs.put, None)
    return jobs


def _work(jobs: queue.SimpleQueue) -> None:
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
    while (job := jobs.get()) is not None:
        job()
        del job  # it knows its owner
        heap.trim()


def _copied(leaves) -> list[np.ndarray]:
    return [leaf.copy() for leaf in leaves]


def describe(assembly, versions: dict) -> dict:
    """The part of the manifest that says what kind of run this is. Enough for `policy` to act with it."""
    variant = assembly.model.variant
    return {
        "environment": assembly.settings.environment,
        "settings": dataclasses.asdict(assembly.settings),
        "network": {
            "name": assembly.model.network,
            "width": assembly.model.width,
            "plan": assembly.settings.plan,
            "dueling": variant.dueling,
            "noisy": variant.noisy,
            "atoms": variant.support[2] if variant.support else 1,
        },
        "observation_shape": list(assembly.spec.observation_shape),
        "observation_dtype": assembly.spec.observation_dtype,
        "actions": assembly.spec.actions,
        "parameter_shapes": [list(leaf.shape) for leaf in assembly.leaves],
        "inference_workers": assembly.inference_workers,
        "learners": assembly.dimensions.learners,
        "learner_workers": assembly.learner_workers,
        "act_rows": assembly.dimensions.act_rows,
        "versions": versions,
    }
