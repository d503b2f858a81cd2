"""The board's layout: what lies where, and that nothing overlaps."""

import mmap

import numpy as np

from rtrl_jax.board.layout import ALIGNMENT, Board, Dimensions, fields, size
from rtrl_jax.core import sizing
from rtrl_jax.core.assembly import lay_board, one_each
from rtrl_jax.core.model import Model
from rtrl_jax.environments import Spec
from rtrl_jax.settings import Settings

DIMENSIONS = Dimensions(100, (84, 84, 1), "uint8", 3, 262, 1, 5, 4, 1000, transitions=50, kept_frames=70)


def test_every_field_has_one_writer_and_starts_at_a_cache_line():
    memory = mmap.mmap(-1, size(DIMENSIONS))
    start = np.frombuffer(memory, "u1").ctypes.data
    board = Board(DIMENSIONS, memory)
    end = start
    for field in fields(DIMENSIONS):
        view = getattr(board, field.name)
        assert field.writer
        assert view.shape == field.shape
        assert view.dtype == field.dtype
        assert view.ctypes.data % ALIGNMENT == 0
        assert view.ctypes.data >= end, f"{field.name} overlaps the field before it"
        end = view.ctypes.data + view.nbytes
    assert end <= start + size(DIMENSIONS)


def test_pictures_take_room_only_if_somebody_wants_them():
    filmed = DIMENSIONS.__class__(**{**DIMENSIONS.__dict__, "pictures": 8, "picture_shape": (144, 160, 3)})
    assert size(filmed) - size(DIMENSIONS) == 8 * 144 * 160 * 3


def test_a_million_transitions_take_at_most_7_2_gb_with_their_priorities_and_the_newest_observations():
    spec = Spec((84, 84, 1), "uint8", 6, 0, 60.0, 1e-5)
    chosen = Settings(replay_capacity=1_000_000, prioritised=True, inference_workers="16")
    model, processes = Model(chosen, spec, "resnet15", 1.0), one_each(16, 1)
    kept = sizing.kept(chosen, spec)._asdict()
    assembly = lay_board(model, processes, [np.zeros(1)], inference_workers=16, learner_workers=1, **kept)
    assert assembly.dimensions.priority_nodes == 1 << 21
    assert 7.19e9 < size(assembly.dimensions) <= 7.2e9
