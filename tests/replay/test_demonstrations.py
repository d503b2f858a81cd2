"""Demonstrations: written, read back, refused when damaged, delayed as the agent is, and learned from."""

import numpy as np
import pytest

from rtrl_jax import UserError
from rtrl_jax.board.ring import Stacking
from rtrl_jax.pending import UNTOLD, Pending
from rtrl_jax.replay import demonstrations
from rtrl_jax.replay.acts import Accounting
from rtrl_jax.replay.index import Index
from rtrl_jax.replay.transitions import Horizon
from rtrl_jax.replay.uniform import UniformReplay
from rtrl_jax.replay.union import UnionReplay

SHAPE = (84, 84, 1)


def example():
    """Two episodes, of six and four ticks; frame n is full of n, the reward of tick n is n."""
    frames = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, *SHAPE), np.uint8)
    actions = np.array([-1, 2, -1, 3, 1, 0, -1, 5, 4, -1], np.int32)
    ends = np.array([0, 0, 0, 0, 0, 1, 0, 0, 0, 2], np.uint8)
    return frames, actions, np.arange(10, dtype=np.float32), ends


def transitions(delay, **how):
    """(obs_tick, next_tick, action, reward, discount, apply_tick), from the frames: they are full of their ticks."""
    acts, horizon = acts_of(example(), delay, **how), Horizon(0.5)
    index = Index(acts, horizon)
    index.ingest()
    keys = index.since(0)
    found = index.gather(keys)
    ticks = [frames[:, 0, 0, 0].astype(int) for frames in (found.observation, found.next_observation)]
    columns = *ticks, found.action, found.reward, found.discount, acts.rows(keys)["apply_tick"]
    return list(zip(*(column.tolist() for column in columns), strict=True))


def acts_of(columns, delay, **how):
    return demonstrations.as_acts(dict(zip(demonstrations.ARRAYS, columns, strict=True)), delay, **how)


def test_without_delay_beyond_one_tick():
    assert transitions(1) == [
        (0, 2, 2, 3.0, 0.5, 1),
        (2, 3, 3, 3.0, 0.5, 3),
        (3, 4, 1, 4.0, 0.5, 4),
        (4, 5, 0, 5.0, 0.0, 5),
        (6, 7, 5, 7.0, 0.5, 7),
        (7, 9, 4, 17.0, 0.5, 8),
    ]


def test_an_agent_is_told_what_the_demonstrator_did_while_it_would_have_thought():
    acts = acts_of(example(), 3, pending=Pending("late", 3, "onehot", 7), default_action=6)
    rows = acts.rows(np.arange(acts.head))
    assert rows["obs_tick"].tolist() == [0, 1, 2]
    assert rows["told"].tolist() == [
        [UNTOLD, 2, 6],
        [UNTOLD, 6, 3],
        [UNTOLD, 3, 1],
    ]  # where nothing was pressed stands β
    assert rows["next_told"].tolist() == [[UNTOLD, 6, 3], [UNTOLD, 3, 1], [UNTOLD] * 3]


def test_observations_are_as_old_as_the_agent_s_will_be_and_never_of_the_episode_before():
    assert transitions(3) == [
        (0, 1, 3, 3.0, 0.5, 3),
        (1, 2, 1, 4.0, 0.5, 4),
        (2, 5, 0, 5.0, 0.0, 5),
    ]


def test_their_discount_is_counted_as_the_agent_s_is():
    assert [row[3] for row in transitions(1, accounting=Accounting(discount=0.5))] == [
        1 + 2 / 2,
        3.0,
        4.0,
        5.0,
        7.0,
        8 + 9 / 2,
    ]


def test_the_paper_s_code_s_next_observation_is_theirs_too():
    assert [row[1] for row in transitions(3, accounting=Accounting(undelayed_next=True))] == [3, 4, 5]


def test_stacks_of_theirs_stay_within_an_episode():
    acts = acts_of(example(), 1, stacking=Stacking(3))
    numbers = np.arange(acts.head)
    assert acts.rows(numbers)["frames"].tolist() == [[0, 0, 0], [0, 1, 2], [1, 2, 3], [2, 3, 4], [6, 6, 6], [6, 6, 7]]


def test_one_in_which_nobody_acts_in_time_holds_nothing():
    replay = UniformReplay(acts_of(example(), 100), Horizon(0.5))
    replay.ingest()
    assert len(replay) == 0


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "demonstrations.npz"
    demonstrations.write(path, *example())
    for name, expected in zip(demonstrations.ARRAYS, example(), strict=True):
        assert (demonstrations.read(path, SHAPE, 6)[name] == expected).all()
    assert [p.name for p in tmp_path.iterdir()] == ["demonstrations.npz"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda a: a.pop("rewards"), "cannot be read"),
        (lambda a: a.update(actions=a["actions"].astype(float)), "actions are not int32"),
        (lambda a: a.update(ends=a["ends"][:-1]), "ends are not uint8"),
        (lambda a: a.update(frames=a["frames"][:, :80]), "not (84, 84, 1)"),
        (lambda a: a.update(actions=a["actions"] + 5), "as this game's are"),
        (lambda a: a.update(actions=np.full(10, -1, np.int32)), "no action"),
        (lambda a: a.update(actions=np.array([{}] * 10, dtype=object)), "cannot be read"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, change, says):
    arrays = dict(zip(demonstrations.ARRAYS, example(), strict=True))
    change(arrays)
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UserError) as error:
        demonstrations.read(tmp_path / "bad.npz", SHAPE, 6)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


STACKS = demonstrations.Game("gameboy/stacks", ("A", "B", "LEFT", "UP", "RIGHT", "DOWN"))


def test_one_of_another_game_is_refused_though_its_shapes_fit(tmp_path):
    path = tmp_path / "stacks.npz"
    demonstrations.write(path, *example(), STACKS)
    said = []
    assert len(demonstrations.read(path, SHAPE, 6, STACKS, said.append)["frames"]) == 10
    assert len(demonstrations.read(path, SHAPE, 6)["frames"]) == 10
    for game, says in (
        (STACKS._replace(environment="gameboy/duel-battles"), "is of gameboy/stacks, not of gameboy/duel-battles"),
        (STACKS._replace(action_names=("A", "B")), "its actions are A, B, LEFT, UP, RIGHT, DOWN, not A, B as of"),
    ):
        with pytest.raises(UserError, match=says) as error:
            demonstrations.read(path, SHAPE, 6, game, said.append)
        assert "\n" not in str(error.value)
    assert said == []


def test_an_older_file_that_names_no_game_is_read_and_that_is_said(tmp_path):
    path, said = tmp_path / "older.npz", []
    np.savez(path, **dict(zip(demonstrations.ARRAYS, example(), strict=True)))
    assert len(demonstrations.read(path, SHAPE, 6, STACKS, said.append)["frames"]) == 10
    assert said == [f"{path} does not say which game it is of: it is taken for one of gameboy/stacks"]


def test_a_truncated_file_and_none_at_all(tmp_path):
    demonstrations.write(tmp_path / "whole.npz", *example())
    (tmp_path / "half.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:600])
    for name in ("half.npz", "none.npz"):
        with pytest.raises(UserError, match="cannot be read"):
            demonstrations.read(tmp_path / name, SHAPE, 6)


def test_a_union_draws_from_all_its_transitions_alike():
    parts = []
    for offset, delay in ((0, 1), (100, 1)):
        frames, actions, rewards, ends = example()
        arrays = dict(zip(demonstrations.ARRAYS, (frames + np.uint8(offset), actions, rewards, ends), strict=True))
        parts.append(UniformReplay(demonstrations.as_acts(arrays, delay), Horizon(0.9)))
    union = UnionReplay(parts)
    union.ingest()
    assert len(union) == union.ingested == 12
    drawn = union.sample(np.random.default_rng(0), 3000).observation[:, 0, 0, 0]
    values, counts = np.unique(drawn, return_counts=True)
    assert sorted(values.tolist()) == [0, 2, 3, 4, 6, 7, 100, 102, 103, 104, 106, 107]
    assert counts.min() > 150
