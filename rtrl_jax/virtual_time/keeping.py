"""What a checkpoint of a run in virtual time has besides: all that is under way, so that the run goes on to the byte.

On the board every field that is not kept elsewhere in the checkpoint, and that the run depends on, is `BOARD`'s (`not_finite`,
for one, counts anew); in the process it is what has a `state`.
"""

from typing import NamedTuple

import numpy as np

from rtrl_jax.checkpoints import store
from rtrl_jax.checkpoints.restoring import Past
from rtrl_jax.checkpoints.writer import UnderWay
from rtrl_jax.errors import UserError
from rtrl_jax.virtual_time import packing
from rtrl_jax.virtual_time.costs import Progress
from rtrl_jax.virtual_time.drive import Driver
from rtrl_jax.workers.environment import Unsettled
from rtrl_jax.workers.learner import Learner

BOARD = (
    "bell",
    "outcome_head",
    "ticket_count",
    "ticket_obs",
    "answered",
    "idle",
    "decision_head",
    "decision_taken",
    "warm_up_ns",
    "turn",
    "update_head",
)


class Parts(NamedTuple):
    """What has a state of its own."""

    driver: Driver
    progress: Progress
    unsettled: Unsettled
    learners: list[Learner]


class Measured(NamedTuple):
    """Times of this machine, taken before the start, for what is charged as measured."""

    inferences_ns: np.ndarray
    update_ns: int


def keep(board, parts: Parts, measured: Measured) -> UnderWay:
    """Copies all of it. Between two events, or in the environment's loop when it has done its tick."""
    recorded = {
        "ticks": int(board.tick_head[0]),
        "decisions": int(board.outcome_head[0]),
        "updates": int(board.update_head.sum()),
    }
    state = {
        "board": {name: getattr(board, name) for name in BOARD},
        "driver": parts.driver.state(),
        "progress": parts.progress.state(),
        "arbiter": parts.unsettled.arbiter.state(),
        "handed_at": parts.unsettled.handed_at,
        "learners": [learner.state() for learner in parts.learners],
        "measured": tuple(measured),
    }
    return UnderWay({"recorded": recorded}, *packing.pack(state), _oldest(board, state))


def _oldest(board, state: dict) -> int:
    """The oldest observation that something under way was decided from: when that acts, its frame is wanted once more."""
    found = [int(board.tick_head[0])]
    found += [int(decision["obs_tick"]) for _, _, decision in state["arbiter"]["waiting"]]
    found += board.ticket_obs[board.ticket_count != board.answered].tolist()
    found += [loop["obs_tick"] for loop in state["driver"]["loops"] if loop.get("obs_tick", -1) >= 0]
    return min(found)


def read(past: Past) -> dict:
    """The state that was kept. Raises UserError if it cannot be read."""
    try:
        return packing.unpack(*store.read_under_way(past.checkpoint))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"checkpoint {past.checkpoint} cannot be read ({' '.join(str(error).split())})") from None


def restore_board(board, saved: dict) -> None:
    for name in BOARD:
        getattr(board, name)[:] = saved["board"][name]


def restore_unsettled(unsettled: Unsettled, saved: dict) -> None:
    unsettled.arbiter.restore(saved["arbiter"])
    unsettled.handed_at.update(saved["handed_at"])
