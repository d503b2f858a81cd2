"""From one board through the disk to another: nothing that a run goes on with is lost on the way."""

from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest

from rtrl_jax.board import segment, snapshots
from rtrl_jax.board.layout import JUDGED, STOPPING, TICK, UPDATE, size
from rtrl_jax.board.ring import Observations
from rtrl_jax.checkpoints import restoring, store
from rtrl_jax.checkpoints.writer import Checkpointer, describe
from rtrl_jax.drivers import prepare
from rtrl_jax.drivers.assembly import assemble
from rtrl_jax.environments import Spec, saving
from rtrl_jax.replay.sum_tree import SumTree
from rtrl_jax.settings import Settings
from rtrl_jax.workers import randomness

SPEC = Spec((3,), "float32", 2, 0, 50.0, 1e-3)
PARAMETERS = [np.zeros((3, 4), np.float32), np.zeros(4, np.float32)]
OPTIMISER = [np.zeros((), np.int32), np.zeros((3, 4), np.float32)]


class NoRecorder:
    complete_until_ns = 1 << 62


def new_board(workers=2, **settings):
    chosen = Settings(network="mlp", prioritised=True, stagger="max_time", fast=False, **settings)
    training = ([leaf.copy() for leaf in PARAMETERS], [leaf.copy() for leaf in OPTIMISER])
    assembly = assemble(chosen, SPEC, "mlp", 1.0, training, inference_workers=workers, learner_workers=2, capacity=4096)
    return assembly, prepare.begin_board(assembly, training, segment.private(size(assembly.dimensions)))


def played(board, ticks=300):
    observations = Observations(board.tick_head, board.tick_rows, board.frames)
    for tick in range(ticks):
        row = np.zeros((), TICK)
        row["tick"], row["obs_tick"], row["is_default"] = tick, tick - 1, tick == 0
        observations.publish(np.full(3, tick, np.float32), row)
    return observations


def filled(leaves, number):
    return [np.full(leaf.shape, number, leaf.dtype) for leaf in leaves]


@pytest.fixture
def saved(tmp_path):
    """The board of a run in which everything has a value of its own, and the folder of its checkpoint."""
    assembly, board = new_board()
    publisher = snapshots.Publisher(board, assembly.leaves, assembly.optimiser_leaves)
    assert publisher.publish(filled(PARAMETERS, 40), 40, filled(OPTIMISER, 41), target=True)
    assert publisher.publish(filled(PARAMETERS, 57), 57, filled(OPTIMISER, 58))
    observations = played(board)
    board.turn[0], board.due_tick[0] = 57, 280
    SumTree(board.priorities).set(np.arange(300), np.arange(300.0))
    board.largest_priority[0], board.priorities_entered[0] = 299.0, 290
    board.stagger[:] = np.random.default_rng(0).random(board.stagger.shape)
    for row in range(len(board.random_states)):
        randomness.note(np.random.default_rng(row), board.random_states[row])
    state = saving.encode({"environment": {"console": b"\x00\xff", "level": 3}, "ticket": {"playout": 7}})
    board.saved_environment[: len(state)] = np.frombuffer(state, np.uint8)
    board.saved_bytes[0], board.saved_tick[0], board.control[0] = len(state), 299, STOPPING
    checkpointer = Checkpointer(
        assembly, board, observations, tmp_path, NoRecorder(), nullcontext, describe(assembly, {})
    )
    checkpointer.last()
    assert checkpointer.error() is None
    return board, tmp_path


def restored(folder, **how):
    assembly, board = new_board(**how)
    checkpoint = store.find(folder)
    past = restoring.Past(checkpoint, store.read_manifest(checkpoint))
    restoring.check_fits(past, assembly)
    restoring.restore(past, assembly, board, partial(prepare.commit, board, assembly))
    return assembly, board


def test_everything_comes_back(saved):
    before, folder = saved
    assembly, board = restored(folder)
    publisher = snapshots.Publisher(board, assembly.leaves, assembly.optimiser_leaves)
    newest = snapshots.views(assembly.leaves, board.slots[board.latest[0]])
    target_version, target = publisher.target()
    assert int(board.slot_version[board.latest[0]]) == 57
    assert all((leaf == 57).all() for leaf in newest)
    assert all((leaf == 58).all() for leaf in publisher.optimiser())
    assert target_version == 40
    assert all((leaf == 40).all() for leaf in target)
    assert (board.due_tick[0], board.largest_priority[0], board.priorities_entered[0]) == (280, 299.0, 290)
    np.testing.assert_array_equal(board.priorities, before.priorities)
    np.testing.assert_array_equal(board.stagger, before.stagger)
    np.testing.assert_array_equal(board.random_states, before.random_states)
    assert board.tick_head[0] == 300
    np.testing.assert_array_equal(board.frames[:300], before.frames[:300])
    np.testing.assert_array_equal(board.tick_rows[:300], before.tick_rows[:300])
    state = saving.decode(board.saved_environment[: board.saved_bytes[0]].tobytes())
    assert state == {"environment": {"console": b"\x00\xff", "level": 3}, "ticket": {"playout": 7}}


def test_a_generator_goes_on_where_it_was(saved):
    _, folder = saved
    _, board = restored(folder)
    generator = np.random.default_rng(99)
    randomness.restore(generator, board.random_states[1])
    assert generator.random() == np.random.default_rng(1).random()


def test_with_another_number_of_workers_learners_keep_their_random_numbers_and_phases_begin_anew(saved):
    before, folder = saved
    _, board = restored(folder, workers=3)
    np.testing.assert_array_equal(board.random_states[:2], before.random_states[:2])
    assert not board.random_states[2].any(), "a new worker took somebody's random numbers"
    np.testing.assert_array_equal(board.random_states[3:], before.random_states[2:])
    assert not board.stagger.any()


def test_after_a_reboot_the_old_records_lie_before_the_new_ones():
    records = {
        "ticks": np.zeros(3, TICK),
        "decisions": np.zeros(2, JUDGED),
        "updates": np.zeros(2, UPDATE),
    }
    records["ticks"]["boundary_ns"] = [1000, 2000, 3000]
    records["ticks"]["lateness_ns"] = 5
    records["decisions"]["decision"]["end_ns"] = 2500
    records["updates"]["end_ns"] = 2600
    restoring._shift(records, by_ns=-2900)
    assert records["ticks"]["boundary_ns"].tolist() == [-1900, -900, 100]
    assert (records["ticks"]["lateness_ns"] == 5).all()
    assert (records["decisions"]["decision"]["end_ns"] == -400).all()
    assert (records["updates"]["end_ns"] == -300).all()
