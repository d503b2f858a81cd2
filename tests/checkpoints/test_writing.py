"""How checkpoints are written: in one thread, without a word from others when it fails, and telling when the end is lost."""

import gc
import json
import math
import subprocess
import sys
import threading

import numpy as np
import pytest
from checkpoints import test_round_trip as round_trip
from system.test_failures import wait_for

from rtrl_jax.board import snapshots
from rtrl_jax.board.layout import RUNNING
from rtrl_jax.checkpoints import store
from rtrl_jax.checkpoints.writer import Checkpointer

STATE = {"environment": {}, "ticket": None}


@pytest.fixture
def board():
    """(assembly, board) of a run of 300 ticks that has left its state."""
    assembly, one = round_trip.new_board()
    round_trip.played(one)
    round_trip.leave_state(one, STATE)
    return assembly, one


@pytest.fixture
def full_disk(tmp_path):
    """A file system of two megabytes."""
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("no right to mount a file system here")
    yield place
    subprocess.run(["umount", place], check=True)


def test_every_checkpoint_is_written_by_the_same_thread(tmp_path, board, monkeypatch):
    """A new thread for each would leave a heap of malloc's behind each time."""
    assembly, one = board
    checkpointer = round_trip.make_checkpointer(assembly, one, tmp_path)
    one.control[0] = RUNNING
    threads, write = [], store.write

    def note(*arguments):
        threads.append(threading.get_ident())
        write(*arguments)

    monkeypatch.setattr(store, "write", note)
    for number in range(1, 4):
        one.saved[0] = number
        checkpointer.begin()
        wait_for(lambda number=number: len(threads) == number)
        wait_for(lambda: one.save_wanted[0] == one.saved[0])
        wait_for(lambda: checkpointer._idle.is_set())
    assert checkpointer.last()
    assert checkpointer.error() is None
    assert len(threads) == 4
    assert len(set(threads)) == 1
    assert threading.get_ident() not in threads


def test_the_thread_ends_with_its_checkpointer(tmp_path, board):
    checkpointer = round_trip.make_checkpointer(*board, tmp_path)
    assert checkpointer.last()
    assert "checkpoints" in [thread.name for thread in threading.enumerate()]
    del checkpointer
    gc.collect()
    wait_for(lambda: "checkpoints" not in [thread.name for thread in threading.enumerate()])


def test_an_end_that_is_lost_is_told(tmp_path, board):
    assembly, one = board
    checkpointer = round_trip.make_checkpointer(assembly, one, tmp_path)
    assert not checkpointer.last(died=True)
    assert checkpointer.error() is None
    one.saved_tick[0] = 12
    assert not checkpointer.last()
    assert "could not leave its state" in checkpointer.error()
    assert not store.whole(tmp_path)
    one.saved_tick[0] = 299
    assert checkpointer.last()
    assert len(store.whole(tmp_path)) == 1
    one.tick_head[0] = 0
    assert checkpointer.last(), "where nothing was played, nothing is lost"


def test_updates_that_learners_elsewhere_have_not_told_are_told_of(tmp_path, board, monkeypatch):
    assembly, one = board
    monkeypatch.setattr(Checkpointer, "_learners_are_elsewhere", True)
    newest, other = int(one.latest[0]), 1 - int(one.latest[0])
    for told, says in ((newest, None), (other, "the last 7 updates are not in the checkpoint")):
        one.slot_version[other] = one.slot_version[newest] - 7
        one.training_told[:] = 1, told, 0, 0
        checkpointer = round_trip.make_checkpointer(assembly, one, tmp_path / str(told))
        assert checkpointer.last()
        said = checkpointer.error()
        assert said is None if says is None else says in said


def test_a_full_disk_is_one_line(full_disk, monkeypatch, capfd, caplog):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(round_trip, "PARAMETERS", [rng.random((200, 500), np.float32) for _ in range(12)])
    assembly, one = round_trip.new_board()
    round_trip.played(one)
    round_trip.leave_state(one, STATE)
    checkpointer = round_trip.make_checkpointer(assembly, one, full_disk)
    assert not checkpointer.last()
    error = checkpointer.error()
    assert error == "a checkpoint could not be written (OSError: [Errno 28] No space left on device)"
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert not store.whole(full_disk)
    assert not list(full_disk.rglob("*.partial"))
    subprocess.run(["mount", "-o", "remount,size=64m", full_disk], check=True)
    assert checkpointer.last()
    restored = store.read_leaves(store.find(full_disk))["parameters"]
    newest = snapshots.views(assembly.leaves, one.slots[one.latest[0]])
    for leaf, found in zip(newest, restored, strict=True):
        np.testing.assert_array_equal(found, leaf)


WRITE_MANY = """
import pathlib, sys
import numpy as np, psutil
from rtrl_jax import heap
from rtrl_jax.checkpoints import store
from rtrl_jax.checkpoints.writer import Checkpointer

def write(ticks):
    for tick in ticks:
        store.write(run, {"tick": tick}, leaves, {"a": np.arange(10)}, {"world": bytes(100)})
        store.prune(run, 2)
        heap.trim()
    return psutil.Process().memory_full_info().uss

heap.keep_little()
run, leaves = pathlib.Path(sys.argv[1]), {"parameters": [np.zeros(1000, np.float32) for _ in range(34)]}
before = write(range(20))
print(write(range(20, 120)) - before)
"""


def test_a_hundred_of_them_keep_no_memory(tmp_path):
    """A run makes one every so often for days. With orbax each left 45 KB behind."""
    grown = subprocess.run([sys.executable, "-c", WRITE_MANY, tmp_path], check=True, capture_output=True).stdout
    assert int(grown) < 1 << 20


def test_numbers_that_are_none_are_saved_too(tmp_path, board):
    """A run whose losses are NaN can be gone on with, for what that is worth."""
    assembly, one = board
    one.largest_priority[0] = math.nan
    checkpointer = round_trip.make_checkpointer(assembly, one, tmp_path)
    assert checkpointer.last()
    text = (store.find(tmp_path) / "manifest.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["largest_priority"] is None
    _, after = round_trip.restored(tmp_path)
    assert math.isnan(after.largest_priority[0])
