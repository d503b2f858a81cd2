"""What lies where on the board, and who writes it.

The layout is a pure function of a run's dimensions, so every process computes the same one.
"""

import math
import mmap
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rtrl_jax.board.records import UPDATE, act_dtype, layouts
from rtrl_jax.board.ring import Acts, Observations, Ring

ALIGNMENT = 64  # a cache line, and what XLA needs to use memory in place

WAITING, RUNNING, STOPPING = 0, 1, 2  # values of the control word

DECISIONS_A_WORKER = 1024  # between two boundaries: a worker makes at most 20 a tick
OUTCOME_ROWS = 1 << 16  # between two looks of the recorder
UPDATE_ROWS = 1 << 13
WARM_UP_INFERENCES = 16
ENVIRONMENT_BYTES = 1 << 20  # the most that an environment's state may take
BRIM = 64  # a ring is never read at its brim
OPTIMISER_SLOTS = TARGET_SLOTS = 2
RANDOM_WORDS = 6


@dataclass(frozen=True)
class Dimensions:
    """Everything the layout depends on."""

    capacity: int  # observations in their ring, in ticks
    observation_shape: tuple[int, ...]
    observation_dtype: str
    inference_workers: int
    stagger_columns: int
    learners: int
    processes: int
    snapshot_slots: int
    snapshot_bytes: int
    optimiser_bytes: int = 0
    priority_nodes: int = 0  # of the sum tree of a prioritised replay
    demonstration_nodes: int = 0  # of that of its demonstrations
    samples: int = 0  # times that a process which only measures itself takes at most; none in a run
    pictures: int = 0  # kept of what a person sees, one a tick; 0 unless somebody wants to see them
    picture_shape: tuple[int, int, int] = (0, 0, 3)
    prepared_bytes: int = 0  # of a snapshot: what only inference needs
    transitions: int = 0  # decisions that acted which the replay holds; 0 where nobody replays any
    kept_frames: int = 0  # of theirs
    frame_stack: int = 1  # frames in an observation as the network sees it
    told: int = 0  # most actions that an agent is told
    reflex: bool = False  # whether its head sees the newest observation too
    action_dtype: str = "int32"
    action_shape: tuple[int, ...] = ()
    crews: int = 0  # of inference workers on other machines

    @property
    def action(self) -> np.dtype:
        """The layout of one, see `rtrl_jax.actions`."""
        return np.dtype((self.action_dtype, self.action_shape))

    @property
    def act_rows(self) -> int:
        """Rows in the ring of acts."""
        return self.transitions + BRIM if self.transitions else 0


class Field(NamedTuple):
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    writer: str


def fields(d: Dimensions) -> list[Field]:
    """The board's table of contents, in the order it lies in memory."""
    workers, learners = d.inference_workers, d.learners
    records = layouts(d.action)
    table = [
        ("control", (1,), "i8", "supervisor"),
        ("start_ns", (1,), "i8", "supervisor, before control says RUNNING"),
        ("heartbeat_ns", (d.processes,), "i8", "process p; the supervisor when it starts p"),
        ("expected_ns", (d.processes,), "i8", "process p: its longest step so far, which a heartbeat may take"),
        ("ready", (d.processes,), "i8", "process p: 1 once warm; the supervisor clears it when p is dead"),
        (
            "bell",
            (d.processes, 16),
            "u4",
            "environment; learners' bells: the learner with the turn, the supervisor for a dead one; the environment's, on "
            "the machine of a crew: its workers (see `bell`)",
        ),
        (
            "realtime",
            (1,),
            "i8",
            "environment: 1 while it runs with SCHED_FIFO, -1 if that was refused, 0 once it gave it up",
        ),
        (
            "overrun_ns",
            (1,),
            "i8",
            "environment: how long a tick's work takes, once that is more than there is time for",
        ),
        ("over", (1,), "i8", "environment: 1 once its loop has ended, as it should"),
        ("not_finite", (2,), "i8", "environment: rewards and observations that were no numbers, and became 0"),
        # The environment's record, and what became of decisions.
        ("tick_head", (1,), "i8", "environment"),
        ("tick_rows", (d.capacity,), records.tick, "environment"),
        ("frames", (d.capacity, *d.observation_shape), d.observation_dtype, "environment"),
        # The replay: decisions that acted, and the frames that they name by number.
        ("kept_head", (1,), "i8", "environment (the supervisor before the start)"),
        ("kept_frames", (d.kept_frames, *d.observation_shape), d.observation_dtype, "environment"),
        ("act_head", (1,), "i8", "environment (the supervisor before the start)"),
        ("act_rows", (d.act_rows,), act_dtype(d.frame_stack, d.told, d.reflex, d.action), "environment"),
        ("act_first", (1,), "i8", "supervisor, before the start: the first row that there is"),
        # What a person sees after each tick: that of tick n in row n % pictures, once picture_head is n + 1.
        ("picture_head", (1,), "i8", "environment"),
        ("pictures", (d.pictures, *d.picture_shape), "u1", "environment"),
        ("outcome_head", (1,), "i8", "environment"),
        ("outcome_rows", (OUTCOME_ROWS,), records.outcome, "environment"),
        # Tickets, from the environment to inference worker w, and its answers.
        ("ticket_count", (workers,), "i8", "environment"),
        ("ticket_obs", (workers,), "i8", "environment"),
        ("answered", (workers,), "i8", "worker w: how many of its tickets it has answered or given up"),
        ("idle", (workers,), "i8", "worker w: 1 while it takes tickets; the supervisor clears it when w is dead"),
        ("decision_head", (workers,), "i8", "worker w"),
        ("decision_rows", (workers, DECISIONS_A_WORKER), records.decision, "worker w"),
        ("decision_taken", (workers,), "i8", "environment"),
        ("stagger", (workers, d.stagger_columns), "f8", "worker w writes row w; the supervisor before the start"),
        ("rehearsed", (workers, 2), "i8", "worker w: how many rehearsals it has made, and nanoseconds they took"),
        ("warm_up_ns", (workers, WARM_UP_INFERENCES), "f8", "worker w, before it is ready"),
        # What a process that only measures itself finds out: how long its steps take, and what memory is its own.
        ("sample_ns", (d.samples,), "f8", "that process, before it is ready; 0 where it took no sample"),
        ("own_bytes", (1,), "i8", "that process, before it is ready"),
        # Parameters. A pin is the slot (plus one) that a reader is using; the supervisor clears those of the dead.
        ("pin", (d.processes,), "i8", "process p writes element p"),
        ("latest", (1,), "i8", "the learner with the turn (the supervisor before the start)"),
        ("slot_version", (d.snapshot_slots,), "i8", "the learner with the turn"),
        ("slots", (d.snapshot_slots, d.snapshot_bytes), "u1", "the learner with the turn"),
        # What else an update changes, committed with the snapshot that names its slots.
        ("slot_optimiser", (d.snapshot_slots,), "i8", "the learner with the turn"),
        ("slot_target", (d.snapshot_slots,), "i8", "the learner with the turn"),
        ("target_version", (TARGET_SLOTS,), "i8", "the learner with the turn"),
        (
            "targets",
            (TARGET_SLOTS, d.snapshot_bytes - d.prepared_bytes if learners else 0),
            "u1",
            "the learner with the turn",
        ),
        ("optimisers", (OPTIMISER_SLOTS, d.optimiser_bytes), "u1", "the learner with the turn"),
        ("turn", (1,), "i8", "the learner with the turn; the supervisor, under the same lock, if that one is dead"),
        (
            "due_at",
            (1,),
            "i8",
            "the learner with the turn: at which tick, or after which decision, the next update is due; -1 before the first",
        ),
        ("priorities", (d.priority_nodes,), "f8", "the learner with the turn"),
        ("largest_priority", (1,), "f8", "the learner with the turn"),
        ("priorities_entered", (1,), "i8", "the learner with the turn: acts that have been given one"),
        ("demonstration_priorities", (d.demonstration_nodes,), "f8", "the learner with the turn"),
        ("demonstrations_entered", (1,), "i8", "the learner with the turn: acts of theirs that have been given one"),
        ("stop_wanted", (1,), "i8", "page: 1 once somebody there wants the run to end"),
        # For checkpoints: the state of random generators, and of the environment when it was last asked for.
        ("random_states", (workers + learners, RANDOM_WORDS), "u8", "worker w row w, learner l row workers + l"),
        ("save_wanted", (1,), "i8", "supervisor: a number, one higher for each wish"),
        ("played_ns", (1,), "i8", "supervisor, before the start: how long the run has gone on in earlier sessions"),
        ("saved", (1,), "i8", "environment: the wish that was last fulfilled"),
        ("saved_tick", (1,), "i8", "environment"),
        ("saved_bytes", (1,), "i8", "environment"),
        ("saved_environment", (ENVIRONMENT_BYTES,), "u1", "environment"),
        # Crews on other machines, see `cluster`. On theirs the bridge there writes what here the environment and learners do.
        ("link", (d.crews, 4), "i8", "bridge, row c: `cluster.fields.Link`"),
        (
            "tau_told",
            (workers, 2),
            "f8",
            "worker w of a crew: how many inference times it has told, and the last, in seconds",
        ),
        # Learners on another machine: what of theirs a checkpoint here is to hold, see `cluster.training`.
        ("training_wanted", (1,), "i8", "supervisor: a number, one higher for each wish"),
        (
            "training_told",
            (4,),
            "i8",
            "bridge: the wish last fulfilled; the slot of those parameters, which it keeps pinned; their turn and due_at",
        ),
        (
            "tau_answer",
            (workers, 2),
            "f8",
            "bridge: of how many it has been told how long to hold its answer, and how long",
        ),
        ("update_head", (max(1, learners),), "i8", "learner l"),
        ("update_rows", (max(1, learners), UPDATE_ROWS), UPDATE, "learner l"),
    ]
    return [Field(name, shape, np.dtype(dtype), writer) for name, shape, dtype, writer in table]


def size(d: Dimensions) -> int:
    """Bytes the board takes."""
    return sum(_span(field) for field in fields(d))


def _span(field: Field) -> int:
    raw = math.prod(field.shape) * field.dtype.itemsize
    return -(-raw // ALIGNMENT) * ALIGNMENT


class Board:
    """Numpy views on one segment, an attribute for each field of the layout; and the rings that some of them make up."""

    def __init__(self, dimensions: Dimensions, memory: mmap.mmap):
        self.dimensions = dimensions
        offset = 0
        for field in fields(dimensions):
            view = np.frombuffer(memory, field.dtype, math.prod(field.shape), offset).reshape(field.shape)
            setattr(self, field.name, view)
            offset += _span(field)
        self.observations = Observations(self.tick_head, self.tick_rows, self.frames)
        acts, kept = Ring(self.act_head, self.act_rows), Ring(self.kept_head, self.kept_frames)
        self.kept = kept
        self.acts = Acts(acts, kept, self.act_first, dimensions.transitions)
        self.outcomes = Ring(self.outcome_head, self.outcome_rows)
        self.shown = Ring(self.picture_head, self.pictures)

    def decisions(self, worker: int) -> Ring:
        """What inference worker `worker` has decided."""
        return Ring(self.decision_head[worker : worker + 1], self.decision_rows[worker])

    def updates(self, learner: int) -> Ring:
        """What learner `learner` has done."""
        return Ring(self.update_head[learner : learner + 1], self.update_rows[learner])
