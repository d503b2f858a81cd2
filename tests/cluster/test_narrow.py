"""Snapshots that are sent as bfloat16: half the bytes, and actions by the same values but for its rounding."""

import asyncio
import socket

import jax
import numpy as np
import pytest

from rtrl_jax.board import segment
from rtrl_jax.board.layout import size
from rtrl_jax.board.snapshots import Leaf, views
from rtrl_jax.cluster import narrow
from rtrl_jax.core.assembly import assemble, begin_board, by_cores
from rtrl_jax.core.model import Model
from rtrl_jax.environments import Spec
from rtrl_jax.settings import Settings

SPEC = Spec((36, 36, 1), "uint8", 6, 0, 60.0, 1 / 255)
ROUNDING = 2.0**-8  # of a number


def sent(dtype):
    """(assembly, a slot, the same where it has come, bytes that were sent) of a network with random parameters."""
    settings = Settings(cores="0", cluster="auto", snapshot_dtype=dtype)
    model = Model(settings, SPEC, "nature", 0.25)
    numbers = {"inference_workers": 1, "learner_workers": 0, "capacity": 4096}
    assembly = assemble(model, by_cores(settings, 1, 0, crews=(1,)), **numbers)
    slot = begin_board(assembly, model.first_state(), segment.private(size(assembly.dimensions))).slots[0]
    there, counted = np.full_like(slot, 255), []

    async def over():
        ends = socket.socketpair()
        for end in ends:
            end.setblocking(False)
        with ends[0], ends[1]:
            parts = narrow.of(assembly)
            await asyncio.gather(narrow.pour(ends[0], slot, parts), narrow.fill(ends[1], there, parts))
            counted.append(sum(part.sent for part in parts))
            with pytest.raises(BlockingIOError):
                ends[1].recv(1)  # nothing is left over

    asyncio.run(over())
    return assembly, slot, there, counted[0]


def values(assembly, slot, frames):
    """Of each action."""
    model = assembly.model
    tree = jax.tree.unflatten(model.structure, [np.array(view) for view in views(assembly.leaves, slot)])
    return np.asarray(model.module.apply({"params": tree}, frames))


def test_as_they_are_they_arrive_to_the_bit():
    _, slot, there, count = sent("float32")
    assert count == len(slot)
    np.testing.assert_array_equal(there, slot)


def test_as_bfloat16_they_take_half_the_bytes_and_act_within_its_rounding():
    assembly, slot, there, count = sent("bfloat16")
    assert len(slot) / 2 < count < 0.55 * len(slot)
    frames = np.random.default_rng(0).integers(0, 256, (32, *SPEC.observation_shape), np.uint8)
    for exact, rounded in zip(
        views(assembly.snapshot_leaves, slot), views(assembly.snapshot_leaves, there), strict=True
    ):
        if exact.ndim == 1:  # running means among them, of which a rounded one would be a deviation off
            np.testing.assert_array_equal(rounded, exact)
        np.testing.assert_allclose(rounded, exact, rtol=ROUNDING)
    before, after = values(assembly, slot, frames), values(assembly, there, frames)
    assert 0 < np.abs(after - before).max() < 4 * ROUNDING * np.abs(before).max()


def test_vectors_and_what_is_shorter_already_are_sent_as_they_are():
    stretches = narrow.of(_Told())
    assert stretches == [narrow.Stretch(0, 64, True), narrow.Stretch(64, 192), narrow.Stretch(192, 256, True)]
    assert [stretch.sent for stretch in stretches] == [32, 128, 32]


class _Told:
    """As much of an assembly as is asked."""

    class settings:  # noqa: N801
        snapshot_dtype = "bfloat16"

    class dimensions:  # noqa: N801
        snapshot_bytes = 256

    snapshot_leaves = (Leaf((4, 4), 0), Leaf((9,), 64), Leaf((5, 5), 128, "bfloat16"), Leaf((2, 2), 192))
