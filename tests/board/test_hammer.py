"""Several processes at once on one board: no reader may ever see a torn observation, record or snapshot."""

import json
import os
import pathlib
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
from board.hammer import DIMENSIONS, LEARNERS, LEAVES, READERS, SHAPES, attach

from rtrl_jax.board import segment, snapshots
from rtrl_jax.board.layout import size
from rtrl_jax.workers.turns import Turns

HAMMER = str(pathlib.Path(__file__).with_name("hammer.py"))
SECONDS = "2"


@pytest.fixture
def board_file(tmp_path):
    path = tmp_path / "board"
    path.write_bytes(b"")
    os.truncate(path, size(DIMENSIONS))
    return str(path)


def hammer(*roles):
    started = [
        subprocess.Popen([sys.executable, HAMMER, role, path, SECONDS, *rest], stdout=subprocess.PIPE, text=True)
        for role, path, *rest in roles
    ]
    return [json.loads(process.communicate(timeout=60)[0]) for process in started]


def test_observations_and_their_records_are_never_torn(board_file):
    written, *readers = hammer(
        ("write_observations", board_file), *[("read_observations", board_file) for _ in range(READERS)]
    )
    assert written["written"] > 10_000
    for reader in readers:
        assert reader["torn"] == 0
        assert reader["seen"] > 1000
        assert reader["rows"] > 10_000
    assert sum(reader["gone"] for reader in readers) > 0, "the test never came near the edge of the ring"


def test_transitions_are_whole_up_to_the_brink_of_what_is_overwritten(board_file):
    written, *readers = hammer(("write_acts", board_file), *[("read_acts", board_file) for _ in range(READERS)])
    assert written["written"] > 600  # ten times round
    for reader in readers:
        assert reader["torn"] == 0
    assert sum(reader["seen"] for reader in readers) > 50
    assert sum(reader["gone"] for reader in readers) > 0, "the test never came near the edge of the rings"


def begun(board_file):
    """A board with version 0 on it: every number 0."""
    board = attach(os.open(board_file, os.O_RDWR))
    board.latest[0] = -1
    zeros = [np.zeros(shape, np.float32) for shape in SHAPES]
    assert snapshots.Publisher(board, LEAVES, LEAVES).publish(zeros, 0, zeros, target=True)
    return board


def test_a_learner_killed_at_any_moment_forfeits_its_turn_and_half_applies_nothing(board_file):
    board, descriptor = begun(board_file), os.open(board_file, os.O_RDWR)
    lock = partial(segment.exclusive, descriptor, segment.TURN)
    turns = Turns(board, lock, list(range(1, LEARNERS + 1)))
    publisher = snapshots.Publisher(board, LEAVES, LEAVES)

    def start(learner):
        return subprocess.Popen(
            [sys.executable, HAMMER, "take_turns", board_file, "120", str(learner)], stdout=subprocess.DEVNULL
        )

    def version():
        return int(board.slot_version[board.latest[0]])

    def goes_on():
        before, deadline = version(), time.monotonic() + 20
        while version() < before + 30:
            assert time.monotonic() < deadline, "nobody takes a turn"
            pass_turn_of_the_dead()
            time.sleep(0.001)

    def pass_turn_of_the_dead():
        """What the supervisor does at every look."""
        with lock():
            if not board.ready[turns.holder_process()]:
                turns.pass_on()

    rng, processes, killed_at_their_turn = np.random.default_rng(0), [start(j) for j in range(LEARNERS)], 0
    try:
        goes_on()
        for _ in range(12):
            learner = int(rng.integers(LEARNERS))
            time.sleep(rng.uniform(0, 0.02))
            processes[learner].kill()
            processes[learner].wait()
            board.ready[learner + 1], board.pin[learner + 1] = 0, 0
            killed_at_their_turn += turns.holder() == learner
            goes_on()
            with lock():
                whole, (target_version, target) = version(), publisher.target()
                newest = snapshots.views(LEAVES, board.slots[board.latest[0]])
                assert all((array == whole).all() for array in [*newest, *publisher.optimiser()])
                assert all((array == target_version).all() for array in target)
                assert whole - target_version <= 5
            processes[learner] = start(learner)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert killed_at_their_turn > 0, "no kill met a turn"


def test_snapshots_are_never_torn_and_never_go_backwards(board_file):
    board = begun(board_file)
    published, *readers = hammer(
        ("publish", board_file),
        *[("read_snapshots", board_file, str(process + 1)) for process in range(READERS)],
    )
    assert published["published"] > 1000
    for reader in readers:
        assert reader["torn"] == 0
        assert reader["backwards"] == 0
        assert reader["seen"] > 1000
    assert (board.pin == 0).all()
