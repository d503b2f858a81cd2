"""From one board through the disk to another: nothing that a run goes on with is lost on the way."""

import shutil
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
from acts import as_tick

from rtrl_jax.board import segment, snapshots
from rtrl_jax.board.layout import STOPPING, size
from rtrl_jax.board.records import OUTCOME, TICK, UPDATE
from rtrl_jax.checkpoints import replay, restoring, store
from rtrl_jax.checkpoints.writer import Checkpointer, describe
from rtrl_jax.core.assembly import begin_board, by_cores, commit, lay_board
from rtrl_jax.core.model import Model
from rtrl_jax.environments import Spec, saving
from rtrl_jax.errors import UserError
from rtrl_jax.pending import Pending
from rtrl_jax.replay import demonstrations
from rtrl_jax.replay.keeper import Keeper
from rtrl_jax.replay.sum_tree import SumTree
from rtrl_jax.settings import Settings
from rtrl_jax.workers import randomness
from rtrl_jax.workers.learner import NOT_BEGUN

SPEC = Spec((3,), "float32", 2, 0, 50.0, 1e-3)
PARAMETERS = [np.zeros((3, 4), np.float32), np.zeros(4, np.float32)]
OPTIMISER = [np.zeros((), np.int32), np.zeros((3, 4), np.float32)]


class NoRecorder:
    complete_until_ns = 1 << 62

    def sync(self):
        pass


def new_board(workers=2, learners=2, **settings):
    chosen = Settings(**{"network": "mlp", "prioritised": True, "stagger": "max_time", "fast": False, **settings})
    training = ([leaf.copy() for leaf in PARAMETERS], [leaf.copy() for leaf in OPTIMISER])
    numbers = {"inference_workers": workers, "learner_workers": learners, "capacity": 4096}
    numbers |= {"transitions": 4096, "kept_frames": 4200}
    model, processes = Model(chosen, SPEC, "mlp", 1.0), by_cores(chosen, workers, learners)
    assembly = lay_board(model, processes, training[0], optimiser=training[1], **numbers)
    return assembly, begin_board(assembly, training, segment.private(size(assembly.dimensions)))


def played(board, ticks=300, pending=Pending()):  # noqa: B008
    observations, board.keeper = board.observations, Keeper(board, pending=pending)
    for tick in range(ticks):
        row = np.zeros((), TICK)
        row["tick"], row["obs_tick"], row["is_default"], row["decisions"] = tick, tick - 1, tick == 0, tick // 10
        observations.publish(np.full(3, tick, np.float32), row)
        board.keeper.tick(as_tick(row))


def filled(leaves, number):
    return [np.full(leaf.shape, number, leaf.dtype) for leaf in leaves]


def make_checkpointer(assembly, board, folder, past=None):
    board.control[0] = STOPPING
    manifest = describe(assembly, {})
    return Checkpointer(assembly, board, folder, NoRecorder(), nullcontext, manifest, past)


def save(assembly, board, folder, past=None):
    checkpointer = make_checkpointer(assembly, board, folder, past)
    checkpointer.last()
    assert checkpointer.error() is None


def leave_state(board, state):
    data = saving.encode({**state, "replay": board.keeper.save()})
    board.saved_environment[: len(data)] = np.frombuffer(data, np.uint8)
    board.saved_bytes[0], board.saved_tick[0] = len(data), 299


def save_full(folder, **settings):
    """The board of a run in which everything has a value of its own, saved in the folder."""
    assembly, board = new_board(**settings)
    publisher = snapshots.Publisher(board, assembly.leaves, assembly.optimiser_leaves)
    assert publisher.publish(filled(PARAMETERS, 40), 40, filled(OPTIMISER, 41), target=True)
    assert publisher.publish(filled(PARAMETERS, 57), 57, filled(OPTIMISER, 58))
    played(board, pending=assembly.model.pending or Pending())
    board.turn[0], board.due_at[0] = 57, 280
    SumTree(board.priorities).set(np.arange(298), np.arange(298.0))
    board.largest_priority[0], board.priorities_entered[0] = 299.0, 290
    board.stagger[:] = np.random.default_rng(0).random(board.stagger.shape)
    for row in range(len(board.random_states)):
        randomness.note(np.random.default_rng(row), board.random_states[row])
    leave_state(board, {"environment": {"console": b"\x00\xff", "level": 3}, "ticket": {"playout": 7}})
    save(assembly, board, folder)
    return board


@pytest.fixture
def saved(tmp_path):
    """(board, folder)"""
    return save_full(tmp_path), tmp_path


def past_of(folder):
    checkpoint = store.find(folder)
    return restoring.Past(checkpoint, store.read_manifest(checkpoint))


def restored(folder, **how):
    assembly, board = new_board(**how)
    past = past_of(folder)
    restoring.check_fits(past, assembly)
    restoring.restore(past, assembly, board, partial(commit, board, assembly))
    return assembly, board


def test_a_checkpoint_of_an_agent_that_is_told_other_actions_does_not_fit(tmp_path):
    """Shapes do not tell: those of late and history are the same, and of any length where actions are counted."""
    save_full(tmp_path, pending="late", pending_length=4, pending_encoding="counts")
    same = {"pending": "late", "pending_length": 4, "pending_encoding": "counts"}
    restored(tmp_path, **same)
    for other in ({"pending": "history"}, {"pending_length": 5}, {"pending_encoding": "recurrent"}, {"reflex": True}):
        with pytest.raises(UserError, match="told other actions: --pending=late, --pending_length=4"):
            restored(tmp_path, **(same | other))


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
    assert (board.due_at[0], board.largest_priority[0], board.priorities_entered[0]) == (280, 299.0, 290)
    np.testing.assert_array_equal(board.priorities, before.priorities)
    np.testing.assert_array_equal(board.stagger, before.stagger)
    np.testing.assert_array_equal(board.random_states, before.random_states)
    assert (board.tick_head[0], board.saved_tick[0]) == (300, 299)
    assert (board.act_head[0], board.act_first[0], board.kept_head[0]) == (298, 0, 299)
    np.testing.assert_array_equal(board.act_rows[:298], before.act_rows[:298])
    np.testing.assert_array_equal(board.kept_frames[:299], before.kept_frames[:299])
    np.testing.assert_array_equal(board.frames[240:300], before.frames[240:300])
    np.testing.assert_array_equal(board.tick_rows[240:300], before.tick_rows[240:300])
    state = saving.decode(board.saved_environment[: board.saved_bytes[0]].tobytes())
    assert state.pop("replay") == before.keeper.save()
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


def test_another_way_of_staggering_begins_anew(saved):
    _, folder = saved
    assert not restored(folder, stagger="expected_time")[1].stagger.any()


def test_without_the_replay_nothing_is_owed_and_no_transition_has_a_priority(tmp_path):
    save_full(tmp_path, checkpoint_replay=False)
    _, board = restored(tmp_path)
    assert board.due_at[0] == NOT_BEGUN
    assert not board.priorities.any()
    assert board.priorities_entered[0] == 0
    assert board.act_first[0] == board.act_head[0] == 298, "acts are numbered on, but none is there"


def test_what_is_due_by_ticks_says_nothing_of_decisions(saved):
    _, folder = saved
    _, board = restored(folder, learn_per="decision")
    assert board.due_at[0] == board.observations.count("decision") + 1 == 30


def test_a_session_without_learners_keeps_what_was_learned_and_owes_nothing(saved, tmp_path):
    _, folder = saved
    between = tmp_path / "between"
    shutil.copytree(store.folder_of(folder) / "replay", store.folder_of(between) / "replay")  # which is shared
    save(*restored(folder, learners=0), between, past_of(folder))
    assembly, board = restored(between)
    publisher = snapshots.Publisher(board, assembly.leaves, assembly.optimiser_leaves)
    target_version, target = publisher.target()
    assert (board.slot_version[board.latest[0]], target_version) == (57, 40)
    assert all((leaf == 40).all() for leaf in target)
    assert all((leaf == 58).all() for leaf in publisher.optimiser())
    assert board.due_at[0] == 300


def test_who_has_never_learned_begins_with_its_own_parameters_as_the_target(tmp_path):
    assembly, board = new_board(learners=0)
    commit(board, assembly, filled(PARAMETERS, 3), (), version=0, target=False)
    played(board)
    leave_state(board, {"environment": {}, "ticket": None})
    save(assembly, board, tmp_path)
    assembly, board = restored(tmp_path)
    _, target = snapshots.Publisher(board, assembly.leaves, assembly.optimiser_leaves).target()
    assert all((leaf == 3).all() for leaf in target)
    assert board.due_at[0] == NOT_BEGUN


def test_an_environment_that_cannot_be_saved_had_its_episode_cut_off(tmp_path):
    assembly, board = new_board()
    played(board)
    leave_state(board, {"environment": None, "ticket": None})
    save(assembly, board, tmp_path)
    _, board = restored(tmp_path)
    assert np.flatnonzero(board.tick_rows["truncated"][:300]).tolist() == [299]
    records = {"ticks": np.zeros(400, TICK), "decisions": np.zeros(0, OUTCOME), "updates": np.zeros(0, UPDATE)}
    records["ticks"]["tick"] = np.arange(400)
    ticks = restoring.cut(records, past_of(tmp_path))["ticks"]
    assert np.flatnonzero(ticks["truncated"]).tolist() == [299] == [len(ticks) - 1]


@pytest.mark.parametrize(("where", "name"), [(store, "write_arrays"), (replay, "_write_arrays")])
def test_what_cannot_be_written_is_told_and_leaves_nothing_half_written(tmp_path, monkeypatch, where, name):
    assembly, board = new_board()
    played(board)
    leave_state(board, {"environment": {}, "ticket": None})
    checkpointer = make_checkpointer(assembly, board, tmp_path)

    def full(*arguments):
        raise OSError("no space left")

    with monkeypatch.context() as disk:
        disk.setattr(where, name, full)
        checkpointer.last()
    assert "could not be written (OSError: no space left)" in checkpointer.error()
    assert not list(tmp_path.rglob("*.partial"))
    checkpointer.last()
    assert checkpointer.error() is None
    assert len(store.whole(tmp_path)) == 1


def test_of_the_records_stays_what_was_before_the_checkpoint(saved):
    _, folder = saved
    records = {"ticks": np.zeros(310, TICK), "decisions": np.zeros(3, OUTCOME), "updates": np.zeros(60, UPDATE)}
    records["ticks"]["tick"] = np.arange(310)
    records["decisions"]["decision"]["obs_tick"], records["decisions"]["apply_tick"] = [298, 299, 300], [299, 300, -1]
    records["updates"]["applied_version"] = np.arange(60)
    kept = restoring.cut(records, past_of(folder))
    assert [len(kept[kind]) for kind in ("ticks", "decisions", "updates")] == [300, 1, 57]
    assert not kept["ticks"]["truncated"].any()


def test_after_a_reboot_the_old_records_lie_before_the_new_ones():
    records = {
        "ticks": np.zeros(3, TICK),
        "decisions": np.zeros(2, OUTCOME),
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


def test_priorities_of_demonstrations_are_kept_and_those_of_others_begin_anew(tmp_path):
    for name, ticks in (("shown", 10), ("longer", 40)):
        arrays = np.zeros((ticks, 84, 84, 1), np.uint8), *(np.zeros(ticks) for _ in range(3))
        demonstrations.write(tmp_path / name, *arrays)
    folder, shown = tmp_path / "run", str(tmp_path / "shown")
    assembly, board = new_board(demonstrations=shown)
    assert len(board.demonstration_priorities) == 2 * 16  # leaves for ten acts and the ring's brim
    SumTree(board.demonstration_priorities).set(np.arange(10), np.arange(10.0))
    board.demonstrations_entered[0], board.largest_priority[0] = 10, 9.0
    played(board)
    leave_state(board, {"environment": None, "ticket": {}})
    save(assembly, board, folder)
    _, after = restored(folder, demonstrations=shown)
    np.testing.assert_array_equal(after.demonstration_priorities, board.demonstration_priorities)
    assert (after.demonstrations_entered[0], after.largest_priority[0]) == (10, 9.0)
    _, other = restored(folder, demonstrations=str(tmp_path / "longer"))
    assert not other.demonstration_priorities.any()
    assert other.demonstrations_entered[0] == 0
