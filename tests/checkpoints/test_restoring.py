"""What a checkpoint puts back: the replay, priorities and counters, also into a ring of another size."""

import json
import types

import numpy as np
import pytest

from rtrl_jax import UserError
from rtrl_jax.board.records import TICK
from rtrl_jax.board.ring import Observations
from rtrl_jax.checkpoints import replay, restoring, store
from rtrl_jax.replay.sum_tree import SumTree, nodes_for
from rtrl_jax.replay.transitions import TransitionBuilder
from rtrl_jax.replay.uniform import UniformReplay


def ring(capacity):
    return Observations(np.zeros(1, np.int64), np.zeros(capacity, TICK), np.zeros((capacity, 1), np.float32))


def play(observations, ticks, episode_length=50):
    """Ticks with the frame and the action of their number; the action of tick n came from observation n − 1."""
    for _ in range(ticks):
        tick = observations.newest + 1
        row = np.zeros((), TICK)
        start = tick - tick % episode_length
        row["tick"], row["episode"], row["episode_start"] = tick, tick // episode_length, start
        row["obs_tick"], row["action"], row["is_default"] = tick - 1, tick, tick == start
        row["terminated"] = tick % episode_length == episode_length - 1
        observations.publish(np.full(1, tick, np.float32), row)


def saved(tmp_path, observations, **how):
    files = replay.Files(tmp_path, observations, 1)
    listed = files.update(observations.newest, **{"everything": True, "over": True, **how})
    return {"tick": observations.newest, "replay": listed}


def restored(tmp_path, manifest, capacity):
    observations = ring(capacity)
    replay.read(store.folder_of(tmp_path) / "0", manifest, observations)
    observations.ticks._head[0] = manifest["tick"] + 1
    return observations


def transitions(observations):
    index = UniformReplay(observations, TransitionBuilder(0.99), 1)
    index.ingest()
    return index


@pytest.mark.parametrize("capacity", [1000, 500, 4000])
@pytest.mark.parametrize("played", [700, 2300])
def test_the_replay_comes_back_and_nothing_else(tmp_path, capacity, played):
    before = ring(1000)
    play(before, played)
    after = restored(tmp_path, saved(tmp_path, before), capacity)
    had, has = transitions(before), transitions(after)
    kept = min(capacity, 1000, played)
    assert kept * 0.7 < len(has) <= len(had)
    assert len(has) > len(had) - 135 or capacity < 1000
    batch = has.sample(np.random.default_rng(0), 3000)
    assert (batch.observation[:, 0] == batch.action - 1).all(), "a transition that never was"
    assert (batch.observation[:, 0] > played - 1 - kept).all()


def test_without_the_replay_only_the_last_frames_are_there(tmp_path):
    before = ring(1000)
    play(before, 700)
    after = restored(tmp_path, saved(tmp_path, before, everything=False), 1000)
    assert len(transitions(after)) <= 1
    assert after.stack(699, 4)[..., -1] == 699
    # Saved again, in full: what was never there does not come into being.
    later = tmp_path / "later"
    again = restored(later, saved(later, after), 1000)
    assert len(transitions(again)) == len(transitions(after))


def test_files_are_shared_and_small_ones_grow(tmp_path):
    observations = ring(40_000)
    play(observations, 10_000)
    files = replay.Files(tmp_path, observations, 1)
    first = files.update(9_999, everything=True, over=False)
    play(observations, 500)
    second = files.update(10_499, everything=True, over=False)
    assert [item[1:3] for item in first] == [[0, 8192], [8192, 10_000]]
    assert [item[1:3] for item in second] == [[0, 8192], [8192, 10_500]]
    assert first[0] == second[0]
    files.prune([{"replay": second}])
    assert len(list((store.folder_of(tmp_path) / "replay").iterdir())) == 2


def test_an_episode_cut_off_by_a_resumption_stays_cut(tmp_path):
    observations = ring(1000)
    play(observations, 120)  # the third episode would end at 149
    manifest = saved(tmp_path, observations)
    after = restored(tmp_path, manifest, 1000)
    row = after.ticks.rows[119].copy()
    row["tick"], row["episode"], row["episode_start"], row["obs_tick"], row["action"] = 120, 3, 120, -1, 0
    row["is_default"] = True
    after.publish(np.full(1, 120, np.float32), row)
    again = tmp_path / "again"
    twice = restored(again, {**saved(again, after), "tick": 120}, 1000)
    assert twice.ticks.rows["truncated"][119]
    assert not twice.ticks.rows["truncated"][118]


def test_priorities_find_their_transitions_in_a_tree_of_another_size():
    board = types.SimpleNamespace(
        priorities=np.zeros(nodes_for(900)), largest_priority=np.zeros(1), priorities_entered=np.zeros(1, np.int64)
    )
    before = np.zeros(nodes_for(400) // 2)
    ticks = np.arange(601, 1001)
    before[ticks % 400] = ticks
    manifest = {"tick": 998, "capacity": 400, "largest_priority": 7.0, "priorities_entered": 1001}
    restoring._restore_priorities(board, before, manifest, 900)
    tree = SumTree(board.priorities)
    assert (tree.get(np.arange(602, 999) % 900) == np.arange(602, 999)).all()
    assert tree.get(np.array([999 % 900, 1000 % 900])).tolist() == [0, 0], "of ticks that will be played anew"
    assert (board.largest_priority[0], board.priorities_entered[0]) == (7.0, 999)
    assert tree.total == tree.get(np.arange(900)).sum()


def write(run, tick, **manifest):
    store.write(run, {"tick": tick, **manifest}, {"parameters": {"0": np.ones(3, np.float32)}}, {}, {})


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
    path.write_text('{"format": 1, "files": {}}')
    with pytest.raises(UserError, match="damaged"):
        store.read_manifest(checkpoint)
