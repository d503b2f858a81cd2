"""What a checkpoint puts back: the replay, priorities and counters, also into a ring of another size."""

import dataclasses
import json
import types
from contextlib import nullcontext

import numpy as np
import pytest
from acts import Played

from rtrl_jax import UserError
from rtrl_jax.board.records import OUTCOME, TICK, UPDATE
from rtrl_jax.checkpoints import replay, restoring, store
from rtrl_jax.replay.index import Index
from rtrl_jax.replay.sum_tree import SumTree, nodes_for
from rtrl_jax.replay.transitions import Horizon
from rtrl_jax.settings import Settings


def play(played, ticks, episode_length=50):
    """Ticks with the frame and the action of their number; the action of tick n came from observation n − 1."""
    for _ in range(ticks):
        tick = played.board.observations.newest + 1
        start = tick - tick % episode_length
        last = tick % episode_length == episode_length - 1
        played.publish(
            tick, tick - 1 if tick > start else -1, start, action=tick, terminated=last, frame=np.float32(tick)
        )


def saved(tmp_path, played, everything=True):
    board = played.board
    reached = replay.Reached.of(board.observations.newest, played.keeper.save())
    listed = replay.Files(tmp_path, board.acts).update(reached.acts, everything=everything, over=True)
    return (
        {"reached": list(reached), "replay": listed},
        replay.latest(board, reached, played.stacking),
        played.keeper.save(),
    )


def restored(tmp_path, saved, transitions, **how):
    manifest, arrays, keeper = saved
    played = Played(transitions, **how)
    replay.read(store.folder_of(tmp_path) / "0", manifest, arrays, played.board)
    played.keeper.restore(keeper)
    return played


def index_of(played):
    index = Index(played.acts, Horizon(0.99))
    index.ingest()
    return index


def check(index):
    """That each transition that is there is one that was: frames and actions are numbered by ticks."""
    batch = index.gather(index.since(0))
    assert (batch.observation[:, 0] == batch.action - 1).all(), "a transition that never was"
    assert (batch.next_observation[:, 0] == batch.action).all()
    assert (batch.discount == np.where(batch.action % 50 == 49, 0, np.float32(0.99))).all()
    return batch.action.tolist()


def test_a_file_stays_as_an_earlier_checkpoint_lists_it_while_nothing_acts(tmp_path):
    played = Played(1000)
    play(played, 60)
    files = replay.Files(tmp_path, played.board.acts)
    first = list(files.update(played.acts.head, everything=True, over=True))
    path = store.folder_of(tmp_path) / "replay" / first[-1][0]
    written = path.stat().st_mtime_ns
    assert files.update(played.acts.head, everything=True, over=True) == first
    assert path.stat().st_mtime_ns == written


@pytest.mark.parametrize("capacity", [1000, 500, 4000])
@pytest.mark.parametrize("ticks", [690, 2325])
def test_the_replay_comes_back_and_nothing_else_and_goes_on(tmp_path, capacity, ticks):
    before = Played(1000, kept_frames=1100)
    play(before, ticks)
    after = restored(tmp_path, saved(tmp_path, before), capacity, kept_frames=capacity + capacity // 10)
    had, has = check(index_of(before)), check(index_of(after))
    assert len(had) == (675 if ticks == 690 else 1000)
    assert has == had[-capacity:]
    head = after.acts.head
    for one in (before, after):  # an act is open, and the next observation leads on from it
        play(one, 60)
    going_on, goes_on = check(index_of(before)), check(index_of(after))
    grown = after.acts.head - head
    assert after.acts.head == before.acts.head
    assert goes_on[-200:] == going_on[-200:]
    assert len(goes_on) == min(capacity, len(has) + grown)


@pytest.mark.parametrize("how", [{}, {"depth": 4}, {"depth": 4, "stride": 5}], ids=str)
def test_without_the_replay_only_the_last_frames_are_there(tmp_path, how):
    before = Played(1000, kept_frames=1100, capacity=1000, **how)
    play(before, 725)
    after = restored(tmp_path, saved(tmp_path, before, everything=False), 1000, capacity=900, **how)
    assert len(index_of(after)) == 0
    assert after.board.observations.stack(724, before.stacking)[..., 0] == 724 - before.stacking.reach
    play(after, 2)  # the act that was open is completed
    play(before, 2)
    one, other = (
        index_of(played).gather(np.array([after.acts.head - 2, after.acts.head - 1])) for played in (before, after)
    )
    np.testing.assert_array_equal(one.observation, other.observation)
    np.testing.assert_array_equal(one.next_observation, other.next_observation)
    # Saved again, in full: what was never there does not come into being.
    later = tmp_path / "later"
    again = restored(later, saved(later, after), 1000, **how)
    assert len(index_of(again)) == 2


def test_files_are_shared_and_small_ones_grow(tmp_path):
    played = Played(40_000)
    play(played, 10_001, episode_length=10**6)
    files = replay.Files(tmp_path, played.acts)
    first = files.update(9_999, everything=True, over=False)
    play(played, 500, episode_length=10**6)
    second = files.update(10_499, everything=True, over=False)
    assert [item[1:3] for item in first] == [[0, 8192], [8192, 9_999]]
    assert [item[1:3] for item in second] == [[0, 8192], [8192, 10_499]]
    assert first[0] == second[0]
    files.prune([{"replay": second}])
    assert len(list((store.folder_of(tmp_path) / "replay").iterdir())) == 2


def test_what_may_be_overwritten_while_it_is_saved_is_left_out(tmp_path):
    played = Played(1000, kept_frames=1010)
    play(played, 3000)
    files = replay.Files(tmp_path, played.acts)
    end = played.acts.head
    (item,) = files.update(end, everything=True, over=False)
    oldest = played.acts.rows(np.array([item[1]]))["frames"][0, 0]
    assert oldest == played.board.kept.head - 1010 + 125 + 1
    assert item[2] == end


def test_an_episode_cut_off_by_a_resumption_stays_cut(tmp_path):
    played = Played(1000)
    play(played, 120)  # the third episode would end at 149
    after = restored(tmp_path, saved(tmp_path, played), 1000)
    after.keeper.cut(119)
    again = tmp_path / "again"
    rows = restored(again, saved(again, after), 1000).acts.rows(np.arange(117))
    assert rows["ended"].tolist() == [0] * 48 + [1] + [0] * 48 + [1] + [0] * 18 + [2]
    assert rows[-1]["ticks"] == 1


def test_priorities_find_their_transitions_in_a_tree_of_another_size():
    board = types.SimpleNamespace(
        priorities=np.zeros(nodes_for(900)),
        largest_priority=np.zeros(1),
        priorities_entered=np.zeros(1, np.int64),
        act_rows=np.zeros(900),
        act_first=np.array([640]),
    )
    before = np.zeros(nodes_for(400) // 2)
    acts = np.arange(601, 1001)
    before[acts % 400] = acts
    manifest = {"act_rows": 400, "largest_priority": 7.0, "priorities_entered": 1001}
    restoring._restore_priorities(board, before, manifest, 999)
    tree = SumTree(board.priorities)
    held = np.arange(999 - 400 + 64, 999)
    assert (tree.get(held % 900) == held).all()
    assert tree.get(np.array([999 % 900, 1000 % 900])).tolist() == [0, 0], "of acts that will be played anew"
    assert (board.largest_priority[0], board.priorities_entered[0]) == (7.0, 999)
    assert tree.total == tree.get(np.arange(900)).sum() == held.sum()


def write(run, tick, **manifest):
    store.write(run, {"tick": tick, **manifest}, {"parameters": [np.ones(3, np.float32)]}, {}, {})


def test_the_newest_are_kept_and_the_half_deleted_are_no_checkpoints(tmp_path):
    for tick in (5, 17, 100):
        write(tmp_path, tick)
    (store.folder_of(tmp_path) / "000000000200.partial").mkdir()
    store.prune(tmp_path, keep=2)
    assert [path.name for path in store.whole(tmp_path)] == ["000000000017", "000000000100"]
    assert len(list(store.folder_of(tmp_path).iterdir())) == 2


def test_a_manifest_that_was_changed_by_hand_is_damaged(tmp_path):
    write(tmp_path, 5, updates=3)
    (checkpoint,) = store.whole(tmp_path)
    assert store.read_manifest(checkpoint)["updates"] == 3
    path = checkpoint / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "updates": 4}))
    with pytest.raises(UserError, match="damaged"):
        store.read_manifest(checkpoint)
    path.write_text('{"format": 3, "files": {}}')
    with pytest.raises(UserError, match="damaged"):
        store.read_manifest(checkpoint)


@pytest.mark.parametrize(
    ("before", "given", "is_refused"),
    [
        ({}, {"reward_clipping": "sign"}, True),
        ({}, {"discount_per": "tick"}, True),
        ({"discount_per": "tick"}, {"gamma": 0.9}, True),
        ({}, {"gamma": 0.9}, False),
        ({"reward_clipping": "sign"}, {"reward_clipping": "sign"}, False),
    ],
)
def test_what_the_spans_of_the_replay_are_summed_up_in_stays(tmp_path, monkeypatch, before, given, is_refused):
    write(tmp_path, 99, updates=20, learners=1, settings=dataclasses.asdict(Settings(**before)))
    monkeypatch.setattr(restoring, "_read_back", lambda run: recorded(100, 100, 20))
    (name,) = given
    with pytest.raises(UserError, match=f"--{name}=.*leave it out") if is_refused else nullcontext():
        assert getattr(restoring.open_run(tmp_path, given)[1], name) == given[name]


def test_a_run_of_an_earlier_version_is_told_so_whatever_its_records_are(tmp_path):
    write(tmp_path, 5, format=1)
    with pytest.raises(UserError, match=r"has format 1, of another version of rtrl_jax, .*start a new run"):
        restoring.open_run(tmp_path, {})


def recorded(ticks, decided, updates):
    """Records as far as they were written: of so many ticks, of the decisions that acted until one, of so many updates."""
    rows = {
        "ticks": np.zeros(ticks, TICK),
        "decisions": np.zeros(decided, OUTCOME),
        "updates": np.zeros(updates, UPDATE),
    }
    rows["ticks"]["tick"], rows["decisions"]["apply_tick"] = np.arange(ticks), np.arange(decided)
    rows["ticks"]["is_default"][:1], rows["ticks"]["decisions"] = True, np.arange(ticks)
    rows["updates"]["applied_version"] = np.arange(updates)
    return rows


@pytest.mark.parametrize(
    ("ticks", "decided", "updates", "covered"),
    [
        (100, 100, 20, True),
        (151, 148, 33, True),
        (99, 100, 20, False),  # ticks.raw is short
        (0, 0, 0, False),
        (100, 99, 20, False),  # decisions.raw is: the action of tick 99 came from nowhere
        (100, 100, 19, True),  # the learner died before it had written its update down
        (100, 100, 18, False),  # updates.raw is short
    ],
)
def test_a_checkpoint_is_covered_by_records_that_reach_as_far(ticks, decided, updates, covered):
    manifest = {"tick": 99, "updates": 20, "learners": 1}
    assert restoring._is_covered(recorded(ticks, decided, updates), manifest) is covered
