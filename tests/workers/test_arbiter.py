"""Which decision acts, and what becomes of the others."""

import numpy as np

from rtrl_jax.board.records import APPLIED, DECISION, OVERWRITTEN, STALE
from rtrl_jax.workers.arbiter import Arbiter


def decision(obs_tick, worker=0):
    record = np.zeros((), DECISION)
    record["obs_tick"], record["worker"] = obs_tick, worker
    return record


def latch(arbiter, tick, episode_start=0):
    chosen, verdicts = arbiter.latch(tick, episode_start)
    found = {(int(v.decision["obs_tick"]), int(v.decision["worker"])): (v.status, v.apply_tick) for v in verdicts}
    return (None if chosen is None else int(chosen["obs_tick"])), found


def test_nothing_ready_leaves_the_tick_to_the_default_action():
    assert latch(Arbiter(), 5) == (None, {})


def test_the_newest_observation_wins_not_the_last_writer():
    arbiter = Arbiter()
    for obs_tick in (3, 5, 4):
        arbiter.submit(decision(obs_tick), 6)
    chosen, verdicts = latch(arbiter, 6)
    assert chosen == 5
    assert verdicts == {(5, 0): (APPLIED, 6), (3, 0): (OVERWRITTEN, -1), (4, 0): (OVERWRITTEN, -1)}


def test_a_decision_older_than_one_that_has_acted_is_stale():
    arbiter = Arbiter()
    arbiter.submit(decision(5), 6)
    latch(arbiter, 6)
    arbiter.submit(decision(4), 7)
    assert latch(arbiter, 7) == (None, {(4, 0): (STALE, -1)})


def test_a_second_decision_from_the_same_observation_may_act_at_a_later_boundary():
    arbiter = Arbiter()
    arbiter.submit(decision(5, worker=0), 6)
    latch(arbiter, 6)
    arbiter.submit(decision(5, worker=1), 7)
    assert latch(arbiter, 7) == (5, {(5, 1): (APPLIED, 7)})


def test_two_decisions_from_one_observation_at_one_boundary_act_once():
    arbiter = Arbiter()
    arbiter.submit(decision(5, worker=0), 6)
    arbiter.submit(decision(5, worker=1), 6)
    chosen, verdicts = latch(arbiter, 6)
    assert chosen == 5
    assert sorted(status for status, _ in verdicts.values()) == [APPLIED, OVERWRITTEN]
    assert latch(arbiter, 7) == (None, {})


def test_playout_holds_an_early_answer_and_lets_a_late_one_act_unless_a_newer_has():
    arbiter = Arbiter()
    arbiter.submit(decision(1), 5)
    assert latch(arbiter, 4) == (None, {})
    assert latch(arbiter, 5)[0] == 1
    arbiter.submit(decision(2), 8)  # due at 6, but it comes at 8
    assert latch(arbiter, 8)[0] == 2


def test_a_decision_from_an_episode_that_is_over_is_stale():
    arbiter = Arbiter()
    arbiter.submit(decision(9), 11)
    assert latch(arbiter, 11, episode_start=10) == (None, {(9, 0): (STALE, -1)})


def test_what_still_waits_at_the_end_is_stale():
    arbiter = Arbiter()
    arbiter.submit(decision(9), 20)
    assert [(int(v.decision["obs_tick"]), v.status) for v in arbiter.close()] == [(9, STALE)]
