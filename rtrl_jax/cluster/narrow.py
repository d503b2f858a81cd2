"""A snapshot on its way to another machine, as it is or as bfloat16: matrices of float32 then take half of the bytes.

Vectors are sent as they are, biases and running statistics, and so is what inference is given ready-made in another type.
Numbers are rounded, and widened again in their place, a chunk at a time, so that whoever sends has time for others in between.
"""

import itertools
import socket
from typing import NamedTuple

import ml_dtypes
import numpy as np

from rtrl_jax.cluster import wire
from rtrl_jax.core.assembly import Assembly

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


class Stretch(NamedTuple):
    """Of a slot, bytes begin … end - 1."""

    begin: int
    end: int
    narrowed: bool = False

    @property
    def sent(self) -> int:
        """Bytes that it takes on its way."""
        return (self.end - self.begin) // (2 if self.narrowed else 1)


def of(assembly: Assembly) -> list[Stretch]:
    """How a slot is sent, as --snapshot_dtype says."""
    size, leaves = assembly.dimensions.snapshot_bytes, assembly.snapshot_leaves
    if assembly.settings.snapshot_dtype != "bfloat16":
        return [Stretch(0, size)]
    ends = [*(leaf.offset for leaf in leaves[1:]), size]
    each = [
        Stretch(leaf.offset, end, leaf.dtype == "float32" and len(leaf.shape) > 1)
        for leaf, end in zip(leaves, ends, strict=True)
    ]
    grouped = [list(group) for _, group in itertools.groupby(each, key=lambda one: one.narrowed)]
    return [Stretch(group[0].begin, group[-1].end, group[0].narrowed) for group in grouped]


async def pour(link: socket.socket, slot: np.ndarray, parts: list[Stretch]) -> None:
    """Sends a slot. Args: slot: uint8 [bytes], pinned meanwhile."""
    for begin, end, narrowed in parts:
        if not narrowed:
            await wire.pour(link, slot[begin:end])
            continue
        for at in range(begin, end, wire.CHUNK):
            numbers = slot[at : min(at + wire.CHUNK, end)].view(np.float32)
            await wire.pour(link, numbers.astype(BFLOAT16).view(np.uint8))


async def fill(link: socket.socket, slot: np.ndarray, parts: list[Stretch]) -> None:
    """Receives it, in its place. Raises EOFError."""
    for begin, end, narrowed in parts:
        if not narrowed:
            await wire.fill(link, memoryview(slot[begin:end]))
            continue
        for at in range(begin, end, wire.CHUNK):
            numbers = slot[at : min(at + wire.CHUNK, end)].view(np.float32)
            come = np.empty(len(numbers), BFLOAT16)
            await wire.fill(link, memoryview(come.view(np.uint8)))
            numbers[:] = come
