"""Round-robin learning: one learner is plain DQN number for number, several are SGD with delay N_L − 1, and turns are safe."""

import math
import mmap
from contextlib import contextmanager, nullcontext
from functools import partial
from types import SimpleNamespace

import jax
import numpy as np
import optax
import pytest

from rtrl_jax.agents import agent as agents
from rtrl_jax.agents import dqn
from rtrl_jax.board import snapshots
from rtrl_jax.board.layout import Board, Dimensions, size
from rtrl_jax.errors import DivergedError
from rtrl_jax.workers.effects import Apply, Learn, Timed, WaitBell
from rtrl_jax.workers.learner import INACTIVE_EVERY, NOT_BEGUN, Learner, LearnerLoop, Program, record
from rtrl_jax.workers.turns import Turns


class Batches:
    """A stand-in for a replay: batch number n is drawn from seed n, for every learner the next one in turn."""

    def __init__(self, number, step=1, draw=lambda seed: None):
        self.number, self._step, self._draw = number, step, draw
        self.settled = []

    def __len__(self):
        return 100

    ingested = 100

    def ingest(self):
        pass

    def sample_with_keys(self, rng, size):
        batch, keys = self._draw(self.number), self.number
        self.number += self._step
        return batch, keys

    def settle(self, keys, errors):
        self.settled.append(keys)


def make_board(parameters, optimiser_state, learners, processes=None):
    leaves, span = snapshots.arrange(jax.tree.leaves(parameters))
    optimiser_leaves, optimiser_span = snapshots.arrange(jax.tree.leaves(optimiser_state))
    processes = processes or learners + 1
    dimensions = Dimensions(4096, (1,), "float32", 1, 262, learners, processes, 8, span, optimiser_span)
    board = Board(dimensions, mmap.mmap(-1, size(dimensions)))
    board.latest[0], board.due_at[0] = -1, NOT_BEGUN
    publisher = snapshots.Publisher(board, leaves, optimiser_leaves)
    initial = [np.asarray(leaf) for leaf in jax.tree.leaves(parameters)]
    assert publisher.publish(initial, 0, [np.asarray(x) for x in jax.tree.leaves(optimiser_state)], target=True)
    return board, leaves, optimiser_leaves


def make_learning(
    board, leaves, optimiser_leaves, program, replay, process=1, target_every=10**9, rng=None, note=lambda: None
):
    return Learner(
        replay,
        program,
        snapshots.Publisher(board, leaves, optimiser_leaves),
        snapshots.Reader(board, process, partial(snapshots.views, leaves)),
        board,
        batch_size=16,
        target_every=target_every,
        learn_start=1,
        rng=rng or np.random.default_rng(0),
        note=note,
        lock=nullcontext,
    )


def linear(variables, x):
    p = variables["params"]
    return jax.nn.relu(x @ p["w1"]) @ p["w2"]


def problem(seed):
    rng = np.random.default_rng(seed)
    return agents.Batch(
        rng.normal(size=(16, 5)).astype(np.float32),
        rng.integers(0, 3, 16).astype(np.int32),
        rng.normal(size=16).astype(np.float32),
        np.full(16, 0.9, np.float32),
        rng.normal(size=(16, 5)).astype(np.float32),
        np.ones(16, np.float32),
    )


def test_one_learner_is_plain_dqn_number_for_number():
    rng = np.random.default_rng(1)
    parameters = {name: rng.normal(size=s).astype(np.float32) for name, s in {"w1": (5, 8), "w2": (8, 3)}.items()}
    agent, optimiser = dqn.make(linear), agents.make_optimiser(1e-2, 10.0)
    structure, state_structure = jax.tree.structure(parameters), jax.tree.structure(optimiser.init(parameters))

    def gradient(online, target, batch, seed):
        slope, loss, said = agents.gradients(agent)(
            jax.tree.unflatten(structure, online), jax.tree.unflatten(structure, target), batch, seed
        )
        return jax.tree.leaves(slope), (loss, said.q, said.target_q, said.td_error), said.errors

    def descend(online, state, slope):
        moved, state, norm = agents.apply_gradients(optimiser)(
            jax.tree.unflatten(structure, online),
            jax.tree.unflatten(state_structure, state),
            jax.tree.unflatten(structure, slope),
        )
        return jax.tree.leaves(moved), jax.tree.leaves(state), norm

    board, leaves, optimiser_leaves = make_board(parameters, optimiser.init(parameters), 1)
    program = Program(jax.jit(gradient), jax.jit(descend))
    learning = make_learning(board, leaves, optimiser_leaves, program, Batches(0, draw=problem), target_every=4)

    state, step = agents.init(parameters, optimiser), jax.jit(agents.update(agent, optimiser, 4))
    for number in range(13):
        found, applied = learning.step()
        state, loss, _ = step(state, problem(number), np.uint32(0))
        assert applied.version == number
        assert found.figures.loss == float(loss)
        newest = snapshots.views(leaves, board.slots[board.latest[0]])
        for mine, theirs in zip(newest, jax.tree.leaves(state.parameters), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def quadratic(rate):
    """Loss (θ − b)²/2 with a b of its own for each batch: its gradient is θ − b."""

    def gradient(online, target, batch, seed):
        return [online[0] - np.float32(batch)], np.zeros(4), np.zeros(1)

    def descend(online, state, slope):
        return [online[0] - np.float32(rate) * slope[0]], state, abs(slope[0])

    return Program(gradient, descend)


@pytest.mark.parametrize("learners", [1, 2, 3, 5])
def test_several_learners_are_sgd_with_delay_n_minus_1(learners):
    """All take a gradient at once at the start, then each takes its next right after it has applied one."""
    rate, rounds = 0.1, 40
    b = np.random.default_rng(2).normal(size=1000).astype(np.float32)
    board, leaves, optimiser_leaves = make_board([np.zeros((), np.float32)], optax.sgd(rate).init(0.0), learners)
    board.ready[:] = 1
    board.tick_head[0] = 4000  # far ahead: learners are always behind their schedule
    turns = Turns(board, nullcontext, list(range(1, learners + 1)))
    board.due_at[0] = 0
    rings, loops = [], []
    for j in range(learners):
        batches = Batches(j, step=learners, draw=lambda n: b[n])
        learning = make_learning(board, leaves, optimiser_leaves, quadratic(rate), batches, process=j + 1)
        rings.append(board.updates(j))
        loop = LearnerLoop(j, learning, turns, board, learn_every=1, start_ns=0)
        loops.append([loop, next(loop), 0])
    # The clock: a gradient takes 100, applying nothing; learners are served in the order of their instants.
    clock = 0
    while board.turn[0] < rounds:
        loops.sort(key=lambda entry: entry[2])
        entry = loops[0]
        loop, effect, clock = entry
        if isinstance(effect, Learn):
            entry[1], entry[2] = loop.send(Timed(effect.compute(), clock, clock + 100)), clock + 100
        elif isinstance(effect, Apply):
            entry[1] = loop.send(Timed(effect.compute(), clock, clock))
        else:
            entry[1] = loop.send(clock)
            entry[2] = clock + (1 if isinstance(effect, WaitBell) else 0)

    theta = [np.float32(0)]
    for t in range(rounds):
        stale = theta[max(0, t - (learners - 1))]
        theta.append(theta[-1] - np.float32(rate) * (stale - b[t]))
    newest = snapshots.views(leaves, board.slots[board.latest[0]])[0]
    assert float(newest) == pytest.approx(float(theta[rounds]), abs=1e-6)
    updates = np.sort(np.concatenate([ring.read(0)[1] for ring in rings]), order="applied_version")[:rounds]
    assert updates["applied_version"].tolist() == list(range(rounds))
    assert updates["learner"].tolist() == [t % learners for t in range(rounds)]
    delays = updates["applied_version"] - updates["gradient_version"]
    assert delays[learners:].tolist() == [learners - 1] * (rounds - learners)
    assert board.due_at[0] == rounds


def three_turns():
    board, *_ = make_board([np.zeros(1, np.float32)], (), 3)
    board.ready[:] = 1
    return board, Turns(board, nullcontext, [1, 2, 3])


def test_turns_go_round_and_nobody_applies_out_of_turn():
    _, turns = three_turns()
    order = []
    for _ in range(6):
        assert turns.take((turns.holder() + 1) % 3, lambda: order.append("wrong") or True) is None
        holder = turns.holder()
        turns.take(holder, lambda holder=holder: order.append(holder) or True)
    assert order == [0, 1, 2, 0, 1, 2]
    assert [turns.until(learner) for learner in range(3)] == [0, 1, 2]


def test_an_update_without_room_keeps_the_turn():
    _, turns = three_turns()
    assert turns.take(0, lambda: None) is None
    assert turns.holder() == 0


def test_the_turn_is_passed_on_by_the_bell_of_whoever_has_it_next():
    board, turns = three_turns()
    turns.take(0, lambda: True)
    assert board.bell[:, 0].tolist() == [0, 0, 1, 0]


def test_whose_turn_it_is_is_looked_at_and_passed_on_under_the_lock():
    board, _ = three_turns()

    @contextmanager
    def lock():
        board.turn[0] = 0  # another learner has passed it on, just before
        yield
        assert turns.holder() == 1

    turns = Turns(board, lock, [1, 2, 3])
    board.turn[0] = 2
    assert turns.take(0, lambda: True)


def test_the_turn_skips_learners_that_are_not_ready_and_stays_if_none_is():
    board, turns = three_turns()
    board.ready[2] = 0
    turns.pass_on()
    assert (turns.holder(), turns.holder_process()) == (2, 3)
    board.ready[:] = 0
    turns.pass_on()
    assert turns.holder() == 2


def test_an_update_that_fails_leaves_the_turn_and_the_parameters_as_they_were():
    board, turns = three_turns()
    before = int(board.latest[0])

    def fails():
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        turns.take(0, fails)
    assert (turns.holder(), int(board.latest[0])) == (0, before)


def test_the_schedule_begins_with_enough_transitions_and_asks_for_one_update_every_few_ticks():
    board, leaves, optimiser_leaves = make_board([np.zeros((), np.float32)], (), 1)
    replay = Batches(0, draw=lambda n: np.float32(0))
    learning = make_learning(board, leaves, optimiser_leaves, quadratic(0.1), replay)
    replay.ingested = 0
    assert not learning.due(10, 4)
    replay.ingested = 1
    assert not learning.due(10, 4, turns_before=1)  # only who has the turn begins
    assert learning.due(10, 4)
    made = []
    for tick in range(10, 50):
        while learning.due(tick, 4):
            learning.step()
            learning.scheduled(4)
            made.append(tick)
    assert made == list(range(10, 50, 4))
    assert replay.settled == list(range(10)), "each batch has its errors noted"


def test_whoever_has_the_turn_later_begins_so_many_updates_later():
    board, leaves, optimiser_leaves = make_board([np.zeros((), np.float32)], (), 3)
    learning = make_learning(board, leaves, optimiser_leaves, quadratic(0.1), Batches(0))
    board.due_at[0] = 10
    begins = [min(tick for tick in range(40) if learning.due(tick, 4, turns_before=turns)) for turns in range(3)]
    assert begins == [10, 14, 18]


def test_a_slow_reader_of_every_slot_makes_learning_wait():
    board, leaves, optimiser_leaves = make_board([np.zeros((), np.float32)], (), 1, processes=12)
    learning = make_learning(board, leaves, optimiser_leaves, quadratic(0.1), Batches(0, draw=lambda n: np.float32(1)))
    board.pin[2:10] = np.arange(1, 9)
    assert not learning.can_apply()
    board.pin[2] = 0
    board.pin[3] = 0
    assert learning.can_apply()


def test_an_update_that_finds_no_room_after_all_is_applied_later_and_counted_once():
    board, leaves, optimiser_leaves = make_board([np.zeros((), np.float32)], (), 1, processes=12)
    board.ready[:], board.due_at[0], board.tick_head[0] = 1, 0, 1
    replay = Batches(0, draw=lambda n: np.float32(1))
    learning = make_learning(board, leaves, optimiser_leaves, quadratic(0.1), replay)
    turns = Turns(board, nullcontext, [1])
    updates = board.updates(0)
    loop = LearnerLoop(0, learning, turns, board, learn_every=4, start_ns=0)
    next(loop)
    computation = loop.send(0)
    apply = loop.send(Timed(computation.compute(), 0, 1))
    board.pin[2:10] = np.arange(1, 9)
    assert apply.compute() is None
    assert (board.due_at[0], updates.head, replay.settled) == (0, 0, [])
    assert isinstance(loop.send(Timed(None, 1, 1)), WaitBell)
    board.pin[2:10] = 0
    apply = loop.send(2)
    applied = apply.compute()
    assert applied.version == 0
    loop.send(Timed(applied, 2, 2))
    assert (board.due_at[0], updates.head, replay.settled) == (4, 1, [0])


def test_the_target_of_a_gradient_stays_as_it_is_while_others_commit_new_ones():
    board, leaves, optimiser_leaves = make_board([np.zeros((), np.float32)], (), 2)
    publisher, seen = snapshots.Publisher(board, leaves, optimiser_leaves), []

    def gradient(online, target, batch, seed):
        for version in (1, 2):
            assert publisher.publish([np.float32(version)], version, target=True)
        seen.append(float(target[0]))
        return [], np.zeros(4), None

    make_learning(board, leaves, optimiser_leaves, Program(gradient, None), Batches(0)).gradients()
    assert seen == [0]


def test_what_inference_needs_is_prepared_from_the_parameters_that_are_committed_with_it():
    board, leaves, optimiser_leaves = make_board([np.zeros((), np.float32)], (), 1)
    prepared, program = [], quadratic(0.5)._replace(prepare=lambda parameters: prepared.append(*parameters) or ())
    learning = make_learning(board, leaves, optimiser_leaves, program, Batches(0, draw=lambda n: np.float32(1)))
    learning.step()
    assert prepared == snapshots.views(leaves, board.slots[board.latest[0]]) == [0.5]


def test_inactive_units_are_counted_now_and_then_by_version_whoever_counts():
    board, leaves, optimiser_leaves = make_board([np.zeros((), np.float32)], (), 1)
    program = Program(
        lambda online, target, batch, seed: ([np.float32(1)], (0.5, 1.0, 2.0, 3.0), np.zeros(1)),
        lambda online, state, slope: ([online[0] - slope[0]], state, np.float32(7)),
        inactive=lambda online, observation, seed: (observation, float(online[0])),
    )
    replay = Batches(0, draw=lambda n: SimpleNamespace(observation=0.25))
    first, second = (make_learning(board, leaves, optimiser_leaves, program, replay) for _ in range(2))
    made = [
        (first if number < INACTIVE_EVERY + 6 else second).step() for number in range(2 * INACTIVE_EVERY + 2)
    ]  # the second takes the first's place
    rows = [record(0, *one, 1, 2, 3, 4) for one in made]
    counted = [row.applied_version for row in rows if not np.isnan(row.inactive)]
    assert counted == [0, INACTIVE_EVERY, 2 * INACTIVE_EVERY]
    assert [rows[version].inactive_channels for version in counted] == [-version for version in counted]
    one = rows[INACTIVE_EVERY]
    assert one[6:] == (INACTIVE_EVERY, INACTIVE_EVERY, 7.0, 1.0, 2.0, 3.0, 0.25, -INACTIVE_EVERY)
    assert (one.loss, one.start_ns, one.end_ns) == (0.5, 1, 4)


def test_the_generator_s_state_is_noted_when_a_batch_has_been_drawn():
    board, leaves, optimiser_leaves = make_board([np.zeros((), np.float32)], (), 1)
    rng, noted = np.random.default_rng(0), []
    options = {"rng": rng, "note": lambda: noted.append(rng.bit_generator.state)}
    replay = Batches(0, draw=lambda n: np.float32(0))
    learning = make_learning(board, leaves, optimiser_leaves, quadratic(0.1), replay, **options)
    learning.gradients()
    assert noted == [rng.bit_generator.state]


@pytest.mark.parametrize(
    ("loss", "gradient", "says"),
    [
        (math.nan, 1.0, "its loss is nan"),
        (1.0, math.inf, "the norm of its gradient is inf"),
        (1.0, 0.0, "it leads to parameters that are no finite numbers"),
    ],
)
def test_what_is_no_number_is_never_committed(loss, gradient, says):
    program = Program(
        lambda parameters, target, batch, seed: ([np.full(2, gradient, np.float32)], [loss, 0, 0, 0], [0.0]),
        lambda parameters, optimiser, grads: ([jax.numpy.reciprocal(grads[0])], optimiser, np.float32(grads[0].max())),
    )
    board, leaves, optimiser_leaves = make_board([np.ones(2, np.float32)], [np.zeros(1, np.float32)], 1)
    replay = Batches(0)
    learner = make_learning(board, leaves, optimiser_leaves, program, replay, target_every=1)
    before = bytes(board.slots), bytes(board.targets), bytes(board.optimisers), int(board.latest[0])
    with pytest.raises(DivergedError, match=f"diverged: update 1 was not made, since {says}; a lower --learning_rate"):
        learner.apply(learner.gradients())
    assert (bytes(board.slots), bytes(board.targets), bytes(board.optimisers), int(board.latest[0])) == before
    assert replay.settled == []


def test_each_gradient_has_a_seed_of_its_own():
    seeds = []

    def gradient(parameters, target, batch, seed):
        seeds.append(int(seed))
        return [np.zeros(2, np.float32)], [0.0] * 4, [0.0]

    board, leaves, optimiser_leaves = make_board([np.zeros(2, np.float32)], [np.zeros(1, np.float32)], 1)
    learner = make_learning(board, leaves, optimiser_leaves, Program(gradient, None), Batches(0))
    for _ in range(20):
        learner.gradients()
    assert len(set(seeds)) == 20
