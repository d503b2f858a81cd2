"""The records on the board, each a NamedTuple whose fields are numpy's types and so also the layout of its rows.

A row is written as `rows[i] = Tick(...)` and read as an element of a structured array with the same names. The field `action` is
an int32 where actions are discrete, else the sub-array that `rtrl_jax.actions` says.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from rtrl_jax.actions import NUMBER
from rtrl_jax.pending import told_layout


class Tick(NamedTuple):
    """What happened at a boundary, and how far the environment's process had come."""

    tick: np.int64
    boundary_ns: np.int64  # when the boundary was taken, CLOCK_MONOTONIC
    lateness_ns: np.int64  # after the instant it was due
    published_ns: np.int64  # when its observation was ready to be read
    obs_tick: np.int64  # the observation the action came from; -1 where the default action acted
    episode_start: np.int64  # first tick of this tick's episode
    decisions: np.int64  # that have acted since the run began, this tick's included
    reward: np.float64
    action: np.int32
    worker: np.int32  # -1 where the default action acted
    episode: np.int32
    slipped: np.int32  # ticks given up before this one because the process was overrun
    encounter: np.int32  # being played, from 0; with the three below: how far the player had come after this tick
    wins: np.int32
    losses: np.int32
    attempts: np.int32
    playout: np.int32  # playout delay D in force, in ticks; 0 without playout
    session: np.int32  # 0 until the run is resumed for the first time
    is_default: np.bool_
    terminated: np.bool_
    truncated: np.bool_


def begins(ticks):
    """In which of TICK records, in order, a decision begins to act: not where one is held, nor β acts."""
    return ~ticks["is_default"] & (np.diff(ticks["decisions"], prepend=-1) != 0)


class Decision(NamedTuple):
    """One inference, and the action that came of it."""

    worker: np.int32
    action: np.int32
    obs_tick: np.int64
    start_ns: np.int64
    end_ns: np.int64
    registered_ns: np.int64  # when the environment process could first see it
    version: np.int64  # of the parameters; with a late head those of the trunk
    greedy: np.bool_
    trunk_end_ns: np.int64 = 0  # with a late head: when the trunk was done,
    head_start_ns: np.int64 = 0  # and when the head began; otherwise both are `end_ns`
    told_tick: np.int64 = -1  # the newest tick whose action the head was told; -1 without a late head


APPLIED, OVERWRITTEN, STALE = 0, 1, 2


def inference_ns(decisions):
    """τ_θ of DECISION records: trunk and head together, without the wait between them, which is no inference."""
    waited = decisions["head_start_ns"] - decisions["trunk_end_ns"]
    return decisions["end_ns"] - decisions["start_ns"] - waited


def completed(decisions: dict) -> dict:
    """Columns of decisions.npz, with those that runs of before had no late head for."""
    end = decisions["end_ns"]
    return {"trunk_end_ns": end, "head_start_ns": end, "told_tick": np.full(len(end), -1)} | decisions


class Outcome(NamedTuple):
    """What became of a decision."""

    decision: Decision
    status: np.int32  # APPLIED, OVERWRITTEN or STALE
    apply_tick: np.int64  # -1 unless applied


class Update(NamedTuple):
    """One step of learning."""

    learner: np.int32
    loss: np.float32
    start_ns: np.int64
    computed_ns: np.int64  # when its gradient was there and the wait for the turn began
    turn_ns: np.int64  # when the turn had come
    end_ns: np.int64
    gradient_version: np.int64  # the parameters the gradient was taken at
    applied_version: np.int64  # the parameters it was applied to
    gradient_norm: np.float32 = math.nan  # global, before any clip
    q: np.float32 = math.nan  # mean over its batch: value of the action taken,
    target_q: np.float32 = math.nan  # what it is drawn to,
    td_error: np.float32 = math.nan  # and the size of the difference
    inactive: np.float32 = (
        math.nan
    )  # share of the hidden units that its batch leaves at zero; measured now and then, else NaN
    inactive_channels: np.float32 = math.nan  # the same of the units in convolutions


GOES_ON, TERMINATED, TRUNCATED = 0, 1, 2  # how a span ended
FRAMES, EYES = ("frames", "next_frames"), ("newest", "next_newest")


class Act(NamedTuple):
    """A decision that acted, and its span: the ticks from then on until the next one acted or the episode ended.

    Its row holds more columns, see `act_dtype`.
    """

    apply_tick: np.int64  # n_i, the first tick of the span
    obs_tick: np.int64  # m_i, the observation it was decided from
    reward: (
        np.float64
    )  # of the span, discounted to its first tick if the discount is counted by ticks, else the plain sum
    action: np.int32
    ticks: np.int32  # length of the span
    ended: np.int8  # GOES_ON if the next decision ended it; TERMINATED or TRUNCATED if the episode's end did


def act_dtype(depth: int, told: int = 0, reflex: bool = False, action: np.dtype = NUMBER) -> np.dtype:
    """The layout of an `Act` with the numbers of its kept frames, `depth` of them stacked, oldest first.

    `frames` are what it was decided from, `next_frames` what a transition that ends with its span leads to. Where agents are told
    actions, at most so many, `told` are those of the one, `next_told` of the other, as in `rtrl_jax.pending`; `newest` and
    `next_newest` are numbers of the frames that a reflex saw. `action` is the layout of one.
    """
    numbers, eyes = ([(name, np.int64, (depth,)) for name in names] for names in (FRAMES, EYES))
    more = [(name, told_layout(told, action)) for name in ("told", "next_told")] if told else []
    return np.dtype([*numbers, *_columns(Act, action), *more, *(eyes if reflex else [])], align=True)


def frames_named(rows: np.ndarray) -> list[np.ndarray]:
    """Of rows of `act_dtype`, each column of numbers of kept frames: [..., depth]."""
    return [rows[name] for name in (*FRAMES, *EYES) if name in rows.dtype.names]


def _columns(record: type, action: np.dtype) -> list[tuple]:
    kinds = {"action": action}
    if record is Outcome:
        kinds["decision"] = _dtype(Decision, action)
    return [(name, kinds.get(name, kind)) for name, kind in record.__annotations__.items()]


def _dtype(record: type, action: np.dtype = NUMBER) -> np.dtype:
    return np.dtype(_columns(record, action), align=True)


class Layouts(NamedTuple):
    """Of the records that have an action in them."""

    tick: np.dtype
    decision: np.dtype
    outcome: np.dtype


@functools.cache
def layouts(action: np.dtype) -> Layouts:
    """Args: action: the layout of one, see `rtrl_jax.actions`."""
    return Layouts(*(_dtype(record, action) for record in (Tick, Decision, Outcome)))


TICK, DECISION, OUTCOME = layouts(NUMBER)  # where actions are discrete
UPDATE = _dtype(Update)
