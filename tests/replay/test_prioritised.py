"""Prioritised replay: the tree, frequencies and weights, what is entered and cleared when, and a writer in another process."""

import json
import subprocess
import sys

import numpy as np
import pytest
import shared_tree
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_tree import CAPACITY, ROWS, Shared, attach, publish, ring

from rtrl_jax.replay.prioritised import EPSILON
from rtrl_jax.replay.sum_tree import SumTree, nodes_for
from rtrl_jax.replay.transitions import Horizon
from rtrl_jax.replay.uniform import UniformReplay
from rtrl_jax.replay.union import UnionReplay

NONE = (np.empty(0, np.int64), np.empty(0))


@pytest.mark.parametrize(("capacity", "nodes"), [(1, 2), (2, 4), (3, 8), (4, 8), (5, 16), (1 << 20, 1 << 21)])
def test_a_tree_has_at_least_as_many_leaves_as_asked_for(capacity, nodes):
    assert nodes_for(capacity) == nodes


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.lists(st.tuples(st.integers(0, 39), st.integers(0, 9)), min_size=1, max_size=80))
def test_the_tree_finds_what_a_cumulative_sum_finds(capacity, changes):
    tree, plain = SumTree(np.zeros(nodes_for(capacity))), np.zeros(capacity)
    for leaf, value in changes:
        tree.set(np.array([leaf % capacity]), np.array([float(value)]))
        plain[leaf % capacity] = value
    assert tree.total == plain.sum()
    values = np.arange(plain.sum())
    assert tree.find(values).tolist() == np.searchsorted(np.cumsum(plain), values, side="right").tolist()


def test_transitions_are_drawn_in_proportion_to_their_priorities():
    acts, shared = ring(), Shared()
    replay = shared.replay(acts, exponent=0.7)
    publish(acts, 10)
    replay.ingest()
    keys = np.arange(10)
    errors = np.arange(10) ** 2 / 10
    replay.settle(keys, errors)
    rng, size = np.random.default_rng(0), 20
    counts = np.zeros(10)
    for _ in range(1000):
        np.add.at(counts, replay.sample_with_keys(rng, size)[1], 1)
    priorities = (errors + EPSILON) ** 0.7
    expected = 20_000 * priorities / priorities.sum()
    assert counts.sum() == 20_000
    # Strata make the draws more even than independent ones, of which 27.9 would be the 0.1 % point.
    assert ((counts - expected) ** 2 / np.maximum(expected, 1)).sum() < 27.9


def test_a_transition_without_any_error_can_still_be_drawn():
    acts, shared = ring(), Shared()
    replay = shared.replay(acts)
    publish(acts, 2)
    replay.ingest()
    replay.settle(np.array([0, 1]), np.array([0.0, 1.0]))
    _, keys = replay.sample_with_keys(np.random.default_rng(0), 1000)
    assert (keys == 0).mean() == pytest.approx(0.06, abs=0.02)  # (10⁻⁶)^0.2 of the other's


def test_importance_weights_by_hand():
    acts, shared = ring(), Shared()
    replay = shared.replay(acts, exponent=1.0, importance=0.5)
    publish(acts, 2)
    replay.ingest()
    replay.settle(np.array([0, 1]), np.array([1.0, 4.0]) - EPSILON)
    batch, keys = replay.sample_with_keys(np.random.default_rng(0), 100)
    assert set(keys.tolist()) == {0, 1}
    # N = 2, P = 1/5 and 4/5: (2/5)^-1/2 and (8/5)^-1/2, of which the second is half the first.
    np.testing.assert_allclose(batch.weight, np.where(keys == 0, 1.0, 0.5), rtol=1e-6)
    assert batch.weight.dtype == np.float32
    assert (batch.action == keys).all()


def test_a_new_transition_has_the_largest_priority_there_has_been():
    acts, shared = ring(), Shared()
    replay = shared.replay(acts, exponent=1.0)
    replay.settle(*NONE)
    publish(acts, 2)
    replay.ingest()
    replay.settle(*NONE)
    assert [shared.leaf(k) for k in range(4)] == [1, 1, 0, 0]
    replay.settle(np.array([0, 1]), np.array([7.0, 0.5]))
    publish(acts, 1)
    replay.ingest()
    replay.settle(np.array([0]), np.array([2.0]))
    assert [shared.leaf(k) for k in range(4)] == pytest.approx([2, 0.5, 7, 0], abs=1e-5)
    assert shared.entered[0] == 3


def test_another_learner_with_the_turn_goes_on_where_the_first_stopped():
    acts, shared = ring(), Shared()
    first, second = shared.replay(acts), shared.replay(acts)
    publish(acts, 9)
    first.ingest()
    first.settle(np.array([3]), np.array([100.0]))
    second.settle(*NONE)  # which has taken in nothing yet, and must not undo anything
    assert shared.entered[0] == 9
    publish(acts, 10)
    second.ingest()
    second.settle(*NONE)
    assert shared.entered[0] == 19
    assert shared.leaf(3) == pytest.approx(100**0.2)
    assert [shared.leaf(k) for k in (2, 12)] == pytest.approx([1, 100**0.2])
    # The first one has not taken in what the second has entered: it draws from what it knows.
    assert first.sample_with_keys(np.random.default_rng(0), 500)[1].max() == 8


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2)), min_size=1, max_size=30))
def test_after_the_wrap_the_leaves_are_those_of_the_transitions_that_are_left(steps):
    acts, shared = ring(), Shared()
    learners = [shared.replay(acts, n=2) for _ in range(2)]
    rng = np.random.default_rng(0)
    for count, turn in steps:
        publish(acts, count)
        learners[0].ingest()
        learners[1].ingest()
        if turn < 2:
            keys = learners[turn].sample_with_keys(rng, 4)[1] if len(learners[turn]) else NONE[0]
            learners[turn].settle(keys, rng.random(len(keys)))
            # The newest act is open, as transitions have two.
            alive = np.arange(max(0, acts.head - CAPACITY), acts.head - 1)
            leaves = SumTree(shared.nodes).get(np.arange(ROWS))
            assert set(np.flatnonzero(leaves)) == set((alive % ROWS).tolist())
            assert shared.nodes[1] == pytest.approx(leaves.sum())
    if len(learners[0]):
        batch, keys = learners[0].sample_with_keys(rng, 200)
        assert (batch.observation[:, 0] == keys).all()
        assert (batch.action == keys).all()


def test_errors_of_what_has_been_overwritten_are_dropped():
    acts, shared = ring(), Shared()
    replay = shared.replay(acts)
    publish(acts, 20)
    replay.ingest()
    replay.settle(*NONE)
    publish(acts, CAPACITY)
    replay.ingest()
    replay.settle(np.array([5]), np.array([1e9]))
    assert shared.leaf(5) == 1.0  # that of transition 59
    assert shared.most[0] == 1.0


def test_an_empty_replay_says_so_and_an_empty_tree_draws_uniformly():
    acts, shared = ring(), Shared()
    replay = shared.replay(acts)
    with pytest.raises(ValueError, match="empty"):
        replay.sample(np.random.default_rng(0), 4)
    publish(acts, 10)
    replay.ingest()
    batch = replay.sample(np.random.default_rng(0), 200)
    assert set(batch.action.tolist()) == set(range(10))
    assert (batch.weight == 1).all()


def test_a_union_hands_each_part_its_own_errors():
    acts, others, shared = ring(), ring(), Shared()
    part = shared.replay(acts, exponent=1.0)
    union = UnionReplay([UniformReplay(others, Horizon(0.9)), part])
    publish(acts, 10)
    publish(others, 30)
    union.ingest()
    union.settle(*NONE)
    batch, keys = union.sample_with_keys(np.random.default_rng(0), 400)
    assert (batch.action == keys // 2).all()
    assert (keys % 2).mean() == pytest.approx(0.25, abs=0.08)
    union.settle(keys, np.where(keys % 2 == 1, batch.action + 1, 1000.0))
    assert [shared.leaf(k) for k in range(10)] == pytest.approx(range(1, 11), rel=1e-4)
    assert shared.most[0] == pytest.approx(10, rel=1e-4)


def test_a_union_of_prioritised_parts_is_drawn_by_priority_and_weighed_as_one():
    """As one replay of both would be: the demonstrations' errors count like those of the run."""
    parts, rings, rng = [], [ring(), ring()], np.random.default_rng(0)
    shared, most = [Shared(), Shared()], np.zeros(1)
    for own, acts in zip(shared, rings, strict=True):
        own.most = most
        parts.append(own.replay(acts, exponent=1.0, importance=0.5))
    union = UnionReplay(parts, importance=0.5)
    for acts, count in zip(rings, (2, 3), strict=True):
        publish(acts, count)
    union.ingest()
    union.settle(*NONE)
    assert [part.mass for part in parts] == [2, 3], "what is new has the largest priority, here 1"
    # Keys 0 and 1 of the first part, 0 to 2 of the second.
    errors = {0: 1.0, 2: 4.0, 1: 2.0, 3: 2.0, 5: 7.0}
    union.settle(np.array(list(errors)), np.array(list(errors.values())) - EPSILON)
    counts, weights = dict.fromkeys(errors, 0), {}
    for _ in range(200):
        batch, keys = union.sample_with_keys(rng, 40)
        assert (batch.action == keys // 2).all()
        assert batch.weight.max() == 1
        for key, weight in zip(keys.tolist(), batch.weight.tolist(), strict=True):
            counts[key] += 1
            weights.setdefault(key, set()).add(round(weight, 5))
    for key, error in errors.items():
        assert counts[key] / 8000 == pytest.approx(error / 16, abs=0.02)
        # Relative to that of the rarest, which some batches do not have.
        assert round(error**-0.5, 5) in weights[key]


def test_a_part_that_has_nothing_yet_leaves_a_union_s_draws_to_the_others():
    acts, others = ring(), ring()
    union = UnionReplay([Shared().replay(acts), Shared().replay(others)], importance=0.6)
    with pytest.raises(ValueError, match="empty"):
        union.sample(np.random.default_rng(0), 4)
    publish(others, 5)
    union.ingest()
    _, keys = union.sample_with_keys(np.random.default_rng(0), 50)
    assert (keys % 2 == 1).all()


@pytest.mark.parametrize("writer", ["settles", "scribbles"])
def test_draws_are_right_while_another_process_writes(tmp_path, writer):
    """The writer goes round the ring all the time; or writes nonsense all over the tree, which no torn read can surpass."""
    path = tmp_path / "shared"
    path.write_bytes(bytes(1 << 20))
    process = subprocess.Popen(
        [sys.executable, shared_tree.__file__, str(path), writer], stdout=subprocess.PIPE, text=True
    )
    try:
        acts, shared = attach(path)
        replay, rng = shared.replay(acts, n=3), np.random.default_rng(0)
        drawn, newest = 0, set()
        while process.poll() is None or not drawn:
            replay.ingest()
            try:
                batch, keys = replay.sample_with_keys(rng, 16)
            except ValueError:
                continue
            drawn += 1
            newest.add(int(keys.max()))
            assert (batch.observation[:, 0] == keys).all()
            assert (batch.next_observation[:, 0] == keys + 3).all()
            assert (batch.action == keys).all()
            assert (batch.weight > 0).all()
            assert (batch.weight <= 1).all()
    finally:
        process.kill()
        written = json.loads(process.communicate()[0] or "0")
    assert drawn > 50
    assert len(newest) > 20
    assert written > acts.row_count
