"""Several processes at once on one board: no reader may ever see a torn observation, record or snapshot."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from board.hammer import DIMENSIONS, LEAVES, READERS, SHAPES, attach

from rtrl_jax.board import snapshots
from rtrl_jax.board.layout import size

HAMMER = str(pathlib.Path(__file__).with_name("hammer.py"))
SECONDS = "4"


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


def test_snapshots_are_never_torn_and_never_go_backwards(board_file):
    board = attach(board_file)
    board.latest[0] = -1
    assert snapshots.Publisher(board, LEAVES).publish([np.zeros(shape, np.float32) for shape in SHAPES], 0)
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
