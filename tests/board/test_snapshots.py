"""Snapshot slots: zero-copy for readers, committed by a flip, never refilled while pinned."""

import mmap

import numpy as np
import pytest
from board.hammer import DIMENSIONS, LEAVES, SHAPES

from rtrl_jax.board import snapshots
from rtrl_jax.board.layout import Board, size


@pytest.fixture
def board():
    board = Board(DIMENSIONS, mmap.mmap(-1, size(DIMENSIONS)))
    board.latest[0] = -1
    return board


def filled(value):
    return [np.full(shape, value, np.float32) for shape in SHAPES]


def reader(board, process):
    return snapshots.Reader(board, process, lambda slot: snapshots.views(LEAVES, slot))


def test_a_pinned_slot_is_left_alone_and_the_newest_is_found(board):
    publisher = snapshots.Publisher(board, LEAVES)
    publisher.publish(filled(0), 0)
    with reader(board, 1).pinned() as (version, arrays):
        for new in range(1, 20):
            assert publisher.publish(filled(new), new)
        assert version == 0
        assert all((array == 0).all() for array in arrays)
        with reader(board, 2).pinned() as (newest, others):
            assert newest == 19
            assert all((array == 19).all() for array in others)


def test_the_oldest_slot_is_filled_so_that_a_reader_has_time_to_pin_the_newest(board):
    publisher, filled_slots = snapshots.Publisher(board, LEAVES), []
    for version in range(1, 9):
        publisher.publish(filled(version), version)
        filled_slots.append(int(board.latest[0]))
    assert filled_slots == 2 * [0, 1, 2, 3]


def test_with_every_slot_in_use_nothing_is_published_and_nothing_is_lost(board):
    publisher = snapshots.Publisher(board, LEAVES)
    publisher.publish(filled(0), 0)
    board.pin[:3] = [1, 2, 3]
    assert publisher.publish(filled(1), 1)  # the fourth slot
    assert not publisher.publish(filled(2), 2)
    assert reader(board, 3).newest_version() == 1


def test_a_crash_before_the_flip_leaves_the_version_before_it_whole(board):
    publisher = snapshots.Publisher(board, LEAVES)
    publisher.publish(filled(7), 7)
    with pytest.raises(ValueError, match="broadcast"):
        publisher.publish([*filled(8)[:-1], np.zeros((2, 2), np.float32)], 8)
    with reader(board, 1).pinned() as (version, arrays):
        assert version == 7
        assert all((array == 7).all() for array in arrays)


def test_a_crash_before_the_flip_leaves_optimiser_and_target_whole(board, monkeypatch):
    publisher = snapshots.Publisher(board, LEAVES, LEAVES)
    publisher.publish(filled(7), 7, filled(70), target=True)
    copied, copy = [], snapshots._copy

    def crash(targets, sources):
        copy(targets, sources)
        copied.append(len(targets))
        if len(copied) == 4:  # parameters, prepared, optimiser, target
            raise MemoryError

    monkeypatch.setattr(snapshots, "_copy", crash)
    with pytest.raises(MemoryError):
        publisher.publish(filled(8), 8, filled(80), target=True)
    version, target = publisher.target()
    assert version == 7
    assert all((array == 7).all() for array in target)
    assert all((array == 70).all() for array in publisher.optimiser())


def test_jax_reads_a_slot_in_place(board):
    import jax

    view = snapshots.views(LEAVES, board.slots[2])[1]
    array = jax.device_put(view, may_alias=True)
    assert array.unsafe_buffer_pointer() == view.ctypes.data
    double = jax.jit(lambda x: x * 2)
    view[:] = 3
    assert (np.asarray(double(array)) == 6).all()
    view[:] = 5
    assert (np.asarray(double(array)) == 10).all()


def test_a_reader_that_is_overtaken_between_looking_and_pinning_looks_again(board, monkeypatch):
    """The publisher refills the very slot just before the pin is written: the pin alone would come too late."""
    publisher = snapshots.Publisher(board, LEAVES)
    publisher.publish(filled(0), 0)

    def overtake():
        monkeypatch.setattr(snapshots, "fence", lambda: None)
        pin, board.pin[1] = int(board.pin[1]), 0  # as if it had not been written yet
        for version in range(1, 6):
            publisher.publish(filled(version), version)
        board.pin[1] = pin

    monkeypatch.setattr(snapshots, "fence", overtake)
    with reader(board, 1).pinned() as (version, arrays):
        assert version == 5
        assert int(board.pin[1]) == int(board.latest[0]) + 1
        assert all((array == 5).all() for array in arrays)


def test_what_is_prepared_is_committed_with_its_parameters(board):
    publisher = snapshots.Publisher(board, LEAVES[:-1], prepared_leaves=LEAVES[-1:])
    for version in range(20):
        assert publisher.publish(filled(version)[:-1], version, prepared=filled(version)[-1:])
        with reader(board, 1).pinned() as (seen, arrays):
            assert seen == version
            assert all((array == version).all() for array in arrays)
