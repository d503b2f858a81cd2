"""A training state on its way between two boards: parameters, optimiser, target network, and what else learners go on from.

The environment's board tells the learners' machine where to begin. From there the newest parameters come back all the time, and
a whole state whenever a checkpoint is to be made; and at the end. The bridge beside the environment keeps the slot of the last
whole state pinned, so that a checkpoint finds it however far parameters have come meanwhile.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rtrl_jax.board.layout import Board
from rtrl_jax.board.records import UPDATE
from rtrl_jax.board.snapshots import Mirror
from rtrl_jax.cluster import wire
from rtrl_jax.replay.sum_tree import SumTree

BEGINNING, FINAL = 0, 1 << 62  # in place of a wish: what learners begin with, and what they end with
TYPES = {"priorities": np.dtype("f8"), "random_states": np.dtype("u8"), "updates": UPDATE}
TOLD_AGAIN = 256  # records of updates of each learner that come with a state, should they not have come yet
NO_ROOM_S = 0.001  # until a slot that readers hold is looked at again
WORDS = ("turn", "due_at", "largest_priority", "priorities_entered")


class State(NamedTuple):
    """Copies, or views while nobody commits."""

    values: dict
    arrays: dict[str, np.ndarray]
    parts: list[np.ndarray]  # bytes of the parameters' slot, the optimiser's and the target's


def state(board: Board, slot: int, keep: Callable = np.copy) -> State:
    """Of the snapshot in a slot. Nobody may commit meanwhile. Args: keep: what is done with the bytes."""
    optimiser, target = int(board.slot_optimiser[slot]), int(board.slot_target[slot])
    words = {name: getattr(board, name)[0].item() for name in WORDS}
    versions = {"version": int(board.slot_version[slot]), "target_version": int(board.target_version[target])}
    firsts, updates = last_updates(board, [max(0, int(head) - TOLD_AGAIN) for head in board.update_head])
    arrays = {
        "priorities": board.priorities[len(board.priorities) // 2 :].copy(),
        "random_states": board.random_states[board.dimensions.inference_workers :].copy(),
        "updates": updates,
    }
    parts = [keep(part) for part in (board.slots[slot], board.optimisers[optimiser], board.targets[target])]
    return State({**words, **versions, "first_updates": firsts}, arrays, parts)


def last_updates(board: Board, since: list[int]) -> tuple[list[int], np.ndarray]:
    """Records of updates: (for each learner the number of the first, those of all learners)."""
    found = [board.updates(learner).read(first) for learner, first in enumerate(since)]
    return [first for first, _ in found], np.concatenate([rows for _, rows in found])


async def send(link, what: State, wish: int) -> None:
    """Args: wish: the one that it fulfils, BEGINNING or FINAL."""
    head = wire.pack({**what.values, "wish": wish, "sizes": [len(part) for part in what.parts]}, what.arrays)
    await asyncio.get_running_loop().sock_sendall(link, head)
    for part in what.parts:
        await wire.pour(link, part)


async def receive(link, board: Board, draws: bool = False) -> tuple[dict, dict, int]:
    """Takes in what `send`, or `send_parameters`, has sent, and commits it; returns (values, arrays, slot).

    Args:
      draws: whether learners here draw by the priorities. Else only a checkpoint reads them, which wants no sums of a million:
        half a second in which a bridge would pass on nothing.

    Raises:
      WireError: it is of another size than the board's.
    """
    values, arrays = await wire.receive(wire.exactly(link), TYPES)
    mirror, whole = Mirror(board), "wish" in values
    optimiser, target = mirror.spare()
    while (slot := mirror.room()) is None:
        await asyncio.sleep(NO_ROOM_S)
    places = [board.slots[slot], *([board.optimisers[optimiser], board.targets[target]] if whole else [])]
    if values["sizes"] != [len(place) for place in places]:
        raise wire.WireError(f"a training state of {values['sizes']} bytes")
    for place in places:
        await wire.fill(link, memoryview(place))
    board.turn[0], board.due_at[0] = values["turn"], values["due_at"]
    if whole:
        board.target_version[target] = values["target_version"]
        board.largest_priority[0], board.priorities_entered[0] = (
            values["largest_priority"],
            values["priorities_entered"],
        )
        board.random_states[board.dimensions.inference_workers :] = arrays["random_states"]
        if draws and len(arrays["priorities"]):
            SumTree(board.priorities).set(np.arange(len(arrays["priorities"])), arrays["priorities"])
        elif len(arrays["priorities"]):
            board.priorities[len(board.priorities) // 2 :] = arrays["priorities"]
    mirror.commit(slot, values["version"], (optimiser, target) if whole else None)
    return values, arrays, slot


async def send_parameters(link, board: Board, version: int, slot: np.ndarray) -> None:
    """The parameters alone. Args: slot: pinned."""
    values = {"version": version, "turn": int(board.turn[0]), "due_at": int(board.due_at[0]), "sizes": [len(slot)]}
    await asyncio.get_running_loop().sock_sendall(link, wire.pack(values))
    await wire.pour(link, slot)


def append_updates(board: Board, firsts: list[int], rows: np.ndarray, offset_ns: int, now_ns: int) -> None:
    """Those that are not there yet. Args: offset_ns: of the clock by which they are timed, ahead of ours."""
    for learner, first in enumerate(firsts):
        ring = board.updates(learner)
        for row in rows[rows["learner"] == learner][max(0, ring.head - first) :]:
            row = row.copy()
            for name in ("start_ns", "computed_ns", "turn_ns", "end_ns"):
                row[name] = min(int(row[name]) - offset_ns, now_ns)
            ring.append(row)
