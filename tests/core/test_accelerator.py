"""A card gets a copy of each version of the parameters, and only one. Here the CPU plays the card."""

import os
import time
from contextlib import contextmanager

import jax
import numpy as np
import pytest

from rtrl_jax.core import accelerator
from rtrl_jax.errors import UserError
from rtrl_jax.realtime import watch


class Snapshots:
    """One slot that is refilled in place."""

    def __init__(self):
        self.version, self.slot = 0, np.zeros(1 << 16, np.float32)

    @contextmanager
    def pinned(self):
        yield self.version, {"kernel": self.slot}


def test_each_version_is_copied_once():
    on_board = Snapshots()
    copies = accelerator.Copies(on_board, accelerator.find("cpu:0"))
    with copies.pinned() as (version, first):
        assert (version, float(first["kernel"][0])) == (0, 0)
    with copies.pinned() as (_, again):
        assert again["kernel"] is first["kernel"]
    on_board.slot += 1
    on_board.version = 1
    assert float(first["kernel"][0]) == 0  # not a view of the board
    with copies.pinned() as (version, second):
        assert (version, float(second["kernel"][0])) == (1, 1)


@pytest.mark.parametrize("name", ["gpu", "gpu:0", "cpu:7", "cpu:x", "abacus", ""])
def test_a_device_that_is_not_there_is_said_in_a_line(name):
    if any(one.platform == "gpu" for one in jax.devices()) and name.startswith("gpu"):
        pytest.skip("there is a card here")
    with pytest.raises(UserError, match="--device="):
        accelerator.find(name)


def test_processes_that_use_the_card_leave_room_on_it_for_each_other():
    assert accelerator.environment("cpu")["JAX_PLATFORMS"] == "cpu"
    assert accelerator.environment("gpu:1") == {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def test_what_a_killed_process_was_just_keeping_of_a_compiled_program_is_forgotten(tmp_path, monkeypatch):
    monkeypatch.setenv("RTRL_CACHE", str(tmp_path))
    for name in ("whole", "half"):
        (tmp_path / name).write_text("program")
    os.utime(tmp_path / "whole", (time.time() - 60,) * 2)
    watch._drop_half_compiled()
    assert [file.name for file in tmp_path.iterdir()] == ["whole"]
