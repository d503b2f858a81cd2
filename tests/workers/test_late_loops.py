"""The late head in the loops: a run worked out by hand, tick by tick, and what a head is told while the world goes on."""

import numpy as np
import pytest

from rtrl_jax.board import lifecycle
from rtrl_jax.board.records import APPLIED, OVERWRITTEN, STALE
from rtrl_jax.pending import UNTOLD, Pending
from rtrl_jax.stagger import Ticket
from rtrl_jax.virtual_time.drive import Clock, drive
from rtrl_jax.virtual_time.simulate import Counter, private_board
from rtrl_jax.workers.effects import HEAD
from rtrl_jax.workers.environment import Beginning, Limits, Wakes, environment_loop
from rtrl_jax.workers.inference import Ticketed
from rtrl_jax.workers.mailbox import Choice, Features, Mailbox

TICK_NS = 1000
BETA = Counter().spec.default_action
HEAD_NS = 50
D, WORKERS = 3, 3
PENDING = Pending("late", length=4, actions=100)
SLOW, EXPLORED = 4, 6  # the observations whose trunk takes 3.4 ticks; and that no network decides from


def play(ticks=16, *, repeat=False, episode_length=10, dispatcher=None, trunk_ticks=1.5, workers=WORKERS):
    """(tick records, outcomes by observation, what each head was told). The decision from observation m is action 10 + m."""
    board, clock, told = private_board(workers), Clock(), {}

    def trunk(obs_tick):
        return Choice(50, False, 0) if obs_tick == EXPLORED else Features(np.full(2, obs_tick, np.float32), 0, 7)

    def head(features, obs_tick, newest):
        assert features.values.tolist() == [obs_tick] * 2
        told[obs_tick] = board.observations.told(PENDING, obs_tick, newest).tolist()
        return Choice(10 + obs_tick, True, features.version)

    def charge(number, effect, value):
        if effect.part == HEAD:
            return HEAD_NS
        if not value.greedy:
            return 1
        return round((3.4 if value.values[0] == SLOW else trunk_ticks) * TICK_NS)

    counter = Counter(episode_length, rate_hz=1e9 / TICK_NS)
    world = environment_loop(
        counter,
        Beginning(counter.reset()),
        board,
        clock.now_ns,
        dispatcher or Ticket(workers, playout=D),
        wakes=Wakes([1 + worker for worker in range(workers)]),
        limits=Limits(max_ticks=ticks),
        repeat=repeat,
        late=True,
    )
    lifecycle.start(board, 0)
    agents = [
        Ticketed(Mailbox(board, worker, clock.now_ns), trunk, observations=board.observations, head=head)
        for worker in range(workers)
    ]
    drive([world, *agents], clock=clock, bells=board.bell[:, 0], charge=charge, running=lambda: True)
    outcomes = {int(one["decision"]["obs_tick"]): one for one in board.outcomes.read(0)[1]}
    return board.observations.ticks.read(0)[1], outcomes, told


def test_a_run_by_hand():
    """Three workers, D = 3: the head of observation m runs when tick m + 2 is there, and is told what acted in m + 1 and m + 2.

    The trunk of observation 4 is there only at 7.4: nothing is due in tick 7, and its action, which is meant for tick 8, is
    overwritten there by the one from 5. The episode ends in tick 10 and the next begins with tick 11.
    """
    ticks, outcomes, told = play()
    assert ticks["action"].tolist()[:11] == [BETA, BETA, BETA, 10, 11, 12, 13, BETA, 15, 50, 17]
    assert ticks["is_default"].tolist()[:11] == [True] * 3 + [False] * 4 + [True] + [False] * 3
    assert told[0] == [UNTOLD, UNTOLD, BETA, BETA]
    assert told[1] == [UNTOLD, UNTOLD, BETA, 10]
    assert told[2] == [UNTOLD, UNTOLD, 10, 11]
    assert told[3] == [UNTOLD, UNTOLD, 11, 12]
    assert told[4] == [UNTOLD, 12, 13, BETA]  # in tick 7 β acted in its place
    assert told[5] == [UNTOLD, UNTOLD, 13, BETA]
    assert EXPLORED not in told
    assert told[7] == [UNTOLD, UNTOLD, 15, 50]
    assert (outcomes[4]["status"], outcomes[5]["status"], outcomes[5]["apply_tick"]) == (OVERWRITTEN, APPLIED, 8)
    # With its episode over in tick 10 a head does not wait for tick 11, and what it decides is stale.
    assert ticks["terminated"].nonzero()[0].tolist() == [10]
    assert {m: outcomes[m]["status"] for m in (8, 9)} == {8: STALE, 9: STALE}
    assert outcomes[9]["decision"]["told_tick"] == 10
    assert ticks["action"].tolist()[11:] == [BETA, BETA, BETA, 21, 22]
    assert told[11] == [UNTOLD, UNTOLD, BETA, BETA]  # nothing of the episode before


def test_when_the_head_begins_and_what_is_recorded_of_it():
    _, outcomes, _ = play()
    made = {m: outcome["decision"] for m, outcome in outcomes.items()}
    assert (made[0]["start_ns"], made[0]["trunk_end_ns"], made[0]["head_start_ns"], made[0]["end_ns"]) == (
        0,
        1500,
        2000,
        2050,
    )
    assert (made[4]["trunk_end_ns"], made[4]["head_start_ns"], made[4]["told_tick"]) == (
        7400,
        7400,
        7,
    )  # nothing to wait for
    assert (made[6]["trunk_end_ns"], made[6]["head_start_ns"], made[6]["told_tick"]) == (6001, 6001, -1)  # it explored
    acted = [one for one in outcomes.values() if one["status"] == APPLIED and one["decision"]["told_tick"] >= 0]
    assert all(one["decision"]["told_tick"] == one["apply_tick"] - 1 for one in acted)


def test_an_action_that_is_repeated_is_told_as_what_it_was():
    ticks, _, told = play(repeat=True)
    assert ticks["action"].tolist()[6:9] == [13, 13, 15]
    assert told[4] == [UNTOLD, 12, 13, 13]
    assert told[5] == [UNTOLD, UNTOLD, 13, 13]


@pytest.mark.parametrize("trunk_ticks", [0.5, 1.5, 2.5])
def test_waiting_does_not_raise_the_delay_but_occupies_workers(trunk_ticks):
    """So D follows from trunk and head alone, and can fall; N* is D."""
    dispatcher = Ticket(4)
    dispatcher.warm_up([4] * 8)
    ticks, *_ = play(16_000, dispatcher=dispatcher, episode_length=None, trunk_ticks=trunk_ticks, workers=4)
    assert dispatcher.playout == np.ceil(trunk_ticks + HEAD_NS / TICK_NS)
    assert dispatcher.mean_ticks == pytest.approx(dispatcher.playout, abs=0.1)
    assert not ticks["is_default"][20:].any()
    assert (ticks["tick"] - ticks["obs_tick"])[-100:].tolist() == [dispatcher.playout] * 100
