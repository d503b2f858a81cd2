"""The memory behind the board."""

import os
import stat
import subprocess
import sys

import pytest

from rtrl_jax import UserError
from rtrl_jax.board import segment


def test_it_has_no_name_is_private_and_is_shared_through_its_descriptor(tmp_path):
    before = set(os.listdir("/dev/shm"))
    descriptor, where = segment.create(100_000, tmp_path, "/dev/shm")
    try:
        assert where == "/dev/shm"
        assert set(os.listdir("/dev/shm")) == before
        assert stat.S_IMODE(os.fstat(descriptor).st_mode) == 0o600
        one, two = segment.attach(descriptor), segment.attach(descriptor)
        one[5] = 77
        assert two[5] == 77
    finally:
        os.close(descriptor)


def test_too_little_shared_memory_falls_back_to_the_run_folder(tmp_path):
    descriptor, where = segment.create(100_000, tmp_path, "/proc/no-such-place")
    os.close(descriptor)
    assert where == str(tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_room_anywhere_is_one_line_that_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match="lower --replay_capacity"):
        segment.create(1 << 50, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_lock_of_a_dead_process_is_free(tmp_path):
    descriptor, _ = segment.create(100_000, tmp_path)
    holder = (
        f"import os; from rtrl_jax.board.segment import exclusive; exclusive({descriptor}).__enter__(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", holder], pass_fds=[descriptor], check=True)
    entered = False
    with segment.exclusive(descriptor):
        entered = True
    os.close(descriptor)
    assert entered
