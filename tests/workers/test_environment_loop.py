"""The environment's loop on a simulated clock: a trace worked out by hand, lateness, slipping, episodes and limits."""

import numpy as np
import pytest
from acts import transitions
from simulation import Counter, private_board

from rtrl_jax.board.layout import RUNNING
from rtrl_jax.board.records import APPLIED, OVERWRITTEN, STALE
from rtrl_jax.replay.acts import Accounting
from rtrl_jax.replay.index import Index
from rtrl_jax.replay.keeper import Keeper
from rtrl_jax.replay.transitions import Horizon
from rtrl_jax.workers.effects import NextBoundary
from rtrl_jax.workers.environment import Beginning, Limits, Wakes, environment_loop
from rtrl_jax.workers.mailbox import Choice, Mailbox


class Bench:
    """Drives the loop boundary by boundary; between them the test registers decisions as workers would."""

    def __init__(
        self,
        workers=2,
        limits=Limits(None, None, None),  # noqa: B008
        repeat=False,
        episode_length=None,
        tau_m=100,
        discount=1.0,
    ):
        self.board = private_board(workers, capacity=64, transitions=64)
        self.board.control[0] = RUNNING
        self.board.start_ns[0] = 1000
        self.now = 1000
        self.tau_m = tau_m
        self.observations = self.board.observations
        self.mailboxes = [Mailbox(self.board, worker, lambda: self.now) for worker in range(workers)]
        world = Counter(episode_length, rate_hz=1e9 / tau_m)
        world.spec = world.spec._replace(default_action=9)
        self.loop = environment_loop(
            world,
            Beginning(np.zeros(1, np.float32)),
            self.board,
            lambda: self.now,
            wakes=Wakes(list(range(workers))),
            limits=limits,
            repeat=repeat,
            keeper=Keeper(self.board, accounting=Accounting(discount)),
        )
        self.wanted = next(self.loop)

    def boundary(self, late=0):
        """Lets the next boundary come, `late` nanoseconds after it is due."""
        assert isinstance(self.wanted, NextBoundary)
        self.now = self.wanted.due_ns + late
        self.wanted = self.loop.send(self.now)

    def decide(self, worker, obs_tick, action):
        self.mailboxes[worker].register(obs_tick, Choice(action, True, 0), self.now, self.now)

    def column(self, name):
        return self.observations.ticks.read(0)[1][name].tolist()

    def kept(self, horizon=Horizon(0.5)):  # noqa: B008
        """The transitions on the board, as `acts.transitions` gives them, but for frames in place of ticks."""
        index = Index(self.board.acts, horizon)
        index.ingest()
        keys = index.since(0)
        found = index.gather(keys)
        columns = found.observation[:, 0], found.next_observation[:, 0], found.action, found.reward, found.discount
        applied = self.board.acts.rows(keys)["apply_tick"]
        return list(zip(*(column.tolist() for column in (*columns, applied)), strict=True))

    def statuses(self):
        rows = self.board.outcome_rows[: int(self.board.outcome_head[0])]
        return {int(row["decision"]["action"]): int(row["status"]) for row in rows}


def test_a_trace_worked_out_by_hand():
    """Episode of five steps. Actions are numbered 1, 2, … in the order they are decided; β is 9."""
    bench = Bench(episode_length=5)
    bench.boundary()  # tick 0: reset
    bench.decide(0, obs_tick=0, action=1)
    bench.boundary()  # tick 1: 1 acts, delay 1
    bench.boundary()  # tick 2: nothing is ready
    bench.decide(0, obs_tick=1, action=2)
    bench.decide(1, obs_tick=2, action=3)
    bench.boundary()  # tick 3: 3 acts (newer), 2 is overwritten
    bench.decide(0, obs_tick=1, action=4)
    bench.boundary()  # tick 4: 4 is stale, β acts
    bench.decide(1, obs_tick=4, action=5)
    bench.boundary()  # tick 5: 5 acts, the fifth step: the episode ends
    bench.decide(0, obs_tick=5, action=6)
    bench.boundary()  # tick 6: reset; 6 is of the episode that is over
    bench.decide(0, obs_tick=6, action=7)
    bench.boundary()  # tick 7: 7 acts in the new episode
    bench.decide(0, obs_tick=7, action=8)
    bench.boundary()  # tick 8: 8 acts

    assert bench.column("action") == [9, 1, 9, 3, 9, 5, 9, 7, 8]
    assert bench.column("is_default") == [True, False, True, False, True, False, True, False, False]
    assert bench.column("obs_tick") == [-1, 0, -1, 2, -1, 4, -1, 6, 7]
    assert bench.column("worker") == [-1, 0, -1, 1, -1, 1, -1, 0, 0]
    assert bench.column("reward") == [0, 1, 1, 1, 1, 1, 0, 1, 1]
    assert bench.column("terminated") == [False] * 5 + [True] + [False] * 3
    assert bench.column("episode") == [0] * 6 + [1] * 3
    assert bench.column("episode_start") == [0] * 6 + [6] * 3
    assert bench.statuses() == {
        1: APPLIED,
        2: OVERWRITTEN,
        3: APPLIED,
        4: STALE,
        5: APPLIED,
        6: STALE,
        7: APPLIED,
        8: APPLIED,
    }

    expected = [
        (0, 2, 1, 2.0, 0.5, 1),  # rewards of ticks 1 and 2, until 3 acted on observation 2
        (2, 4, 3, 2.0, 0.5, 3),  # ticks 3 and 4
        (4, 5, 5, 1.0, 0.0, 5),  # tick 5, terminal
        (6, 7, 7, 1.0, 0.5, 7),  # tick 7, in the new episode
    ]
    assert transitions(bench.observations.ticks.read(0)[1], Horizon(0.5)) == expected
    assert bench.kept() == [*expected[:3], (0, 1, 7, 1.0, 0.5, 7)]  # frames are numbers of steps since the reset


def test_discount_per_tick_counts_the_ticks_between_decisions_and_within_a_span():
    bench = Bench(discount=0.5)
    bench.boundary()
    bench.decide(0, 0, 1)
    for _ in range(3):
        bench.boundary()  # 1 acts at tick 1; β at 2 and 3
    bench.decide(0, 3, 2)
    bench.boundary()  # 2 acts at tick 4
    assert bench.kept(Horizon(0.5, per_tick=True)) == [(0, 3, 1, 1 + 1 / 2 + 1 / 4, 0.125, 1)]


def test_a_truncated_episode_bootstraps_from_its_last_observation():
    bench = Bench()
    bench.boundary()
    bench.decide(0, 0, 1)
    bench.boundary()
    bench.boundary()
    rows = bench.observations.ticks.read(0)[1]
    rows["truncated"][2] = True
    assert transitions(rows, Horizon(0.5)) == [(0, 2, 1, 2.0, 0.5, 1)]


def test_deadlines_are_absolute_so_lateness_never_adds_up():
    bench = Bench()
    for late in (0, 30, 99, 50, 0):
        bench.boundary(late)
    assert bench.column("lateness_ns") == [0, 30, 99, 50, 0]
    assert bench.column("boundary_ns") == [1000, 1130, 1299, 1350, 1400]
    assert bench.column("slipped") == [0] * 5


def test_a_tick_too_late_is_made_up_at_once():
    bench = Bench()
    bench.boundary()
    bench.boundary(late=130)
    bench.boundary(late=30)
    bench.boundary()
    assert bench.column("slipped") == [0] * 4
    assert bench.column("boundary_ns") == [1000, 1230, 1230, 1300]


def test_after_an_overrun_the_clock_moves_on_and_counts_what_it_gave_up():
    bench = Bench()
    bench.boundary()
    bench.boundary(late=230)  # two whole ticks and a bit
    bench.boundary()
    assert bench.column("slipped") == [0, 2, 0]
    assert bench.column("boundary_ns") == [1000, 1330, 1400]


@pytest.mark.parametrize(("repeat", "expected"), [(False, [9, 4, 9, 9]), (True, [9, 4, 4, 4])])
def test_the_default_action_is_the_no_op_or_the_last_action(repeat, expected):
    bench = Bench(repeat=repeat)
    bench.boundary()
    bench.decide(0, 0, 4)
    for _ in range(3):
        bench.boundary()
    assert bench.column("action") == expected
    assert bench.column("is_default") == [True, False, True, True]


@pytest.mark.parametrize(
    ("limits", "ticks"),
    [(Limits(None, 7, None), 7), (Limits(None, None, 2), 10), (Limits(500e-9, None, None), 5)],
)
def test_a_run_ends_at_its_limit(limits, ticks):
    bench = Bench(limits=limits, episode_length=4)
    for _ in range(ticks - 1):
        bench.boundary()
    with pytest.raises(StopIteration):
        bench.boundary()
    assert len(bench.column("action")) == ticks  # an episode is a reset and four steps


def test_when_the_run_is_stopped_every_decision_gets_its_verdict():
    bench = Bench()
    bench.boundary()
    bench.decide(0, 0, 1)
    with pytest.raises(StopIteration):
        bench.loop.send(None)
    assert bench.statuses() == {1: STALE}
