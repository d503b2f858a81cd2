"""Transitions over n decisions: by hand, and against the definition written out tick by tick."""

import numpy as np
import pytest
from acts import acts_of, as_ring, transitions
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrl_jax.actions import Vector
from rtrl_jax.board.layout import ENVIRONMENT_BYTES
from rtrl_jax.board.records import GOES_ON, TERMINATED, TICK, TRUNCATED
from rtrl_jax.environments import saving
from rtrl_jax.pending import Pending
from rtrl_jax.replay.acts import ActBuilder
from rtrl_jax.replay.index import Index
from rtrl_jax.replay.transitions import Horizon


def record(rows):
    """Args: rows: of (whether a decision acted, reward, how it went on), one a tick. An action is its tick."""
    ticks, start = np.zeros(len(rows), TICK), 0
    for tick, (acts, reward, end) in enumerate(rows):
        row = ticks[tick]
        row["tick"], row["episode_start"], row["reward"] = tick, start, reward
        row["is_default"], row["obs_tick"], row["action"] = not acts, max(tick - 2, start) if acts else -1, tick
        row["terminated"], row["truncated"] = end == TERMINATED, end == TRUNCATED
        start = tick + 1 if end else start
    return ticks


def by_definition(ticks, gamma, per_tick, n):
    """All transitions of the record, without any state: each looked for from its decision on."""
    found = []
    for i, began in enumerate(ticks):
        if began["is_default"]:
            continue
        value, factor, decisions, closed = 0.0, 1.0, 0, None
        for row in ticks[i:]:
            if not row["is_default"]:
                if decisions:
                    factor = gamma ** (row["tick"] - began["tick"]) if per_tick else gamma**decisions
                if decisions == n:
                    closed = (row["obs_tick"], factor)
                    break
                decisions, latest = decisions + 1, row
            within = row["tick"] - latest["tick"] if per_tick else 0
            value += factor * gamma**within * row["reward"]
            if row["terminated"] or row["truncated"]:
                later = gamma ** (row["tick"] + 1 - began["tick"]) if per_tick else gamma**decisions
                closed = (row["tick"], 0.0 if row["terminated"] else later)
                break
        if closed is not None:
            next_tick, discount = closed
            found.append((began["obs_tick"], next_tick, began["action"], value, discount, began["tick"]))
    return found


ROWS = st.lists(
    st.tuples(st.booleans(), st.integers(-3, 3), st.sampled_from([GOES_ON] * 8 + [TERMINATED, TRUNCATED])), max_size=60
)


@settings(max_examples=200, deadline=None)
@given(ROWS, st.integers(1, 5), st.booleans())
def test_any_record_gives_what_the_definition_says(rows, n, per_tick):
    ticks = record(rows)
    found = transitions(ticks, Horizon(0.9, per_tick, n))
    expected = by_definition(ticks, 0.9, per_tick, n)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-6, abs=1e-6)


#           0: β         1: acts      2: β         3: acts      4: acts      5: acts, end
EPISODE = [(0, 1.0, 0), (1, 2.0, 0), (0, 4.0, 0), (1, 8.0, 0), (1, 16.0, 0), (1, 32.0, TERMINATED)]


def test_three_decisions_by_hand():
    assert transitions(record(EPISODE), Horizon(0.5, n=3)) == [
        (0, 3, 1, 6 + 8 / 2 + 16 / 4, 0.125, 1),  # decisions at 1, 3 and 4; the one at 5 came from observation 3
        (1, 5, 3, 8 + 16 / 2 + 32 / 4, 0.0, 3),
        (2, 5, 4, 16 + 32 / 2, 0.0, 4),
        (3, 5, 5, 32.0, 0.0, 5),
    ]


def test_three_decisions_by_hand_per_tick_and_truncated():
    rows = [*EPISODE[:-1], (1, 32.0, TRUNCATED)]
    assert transitions(record(rows), Horizon(0.5, per_tick=True, n=3)) == [
        (0, 3, 1, 2 + 4 / 2 + 8 / 4 + 16 / 8, 0.5**4, 1),  # 3 is two ticks after 1, 4 three and 5 four
        (1, 5, 3, 8 + 16 / 2 + 32 / 4, 0.5**3, 3),
        (2, 5, 4, 16 + 32 / 2, 0.5**2, 4),
        (3, 5, 5, 32.0, 0.5, 5),
    ]


def test_a_truncation_discounts_by_the_decisions_there_were():
    rows = [*EPISODE[:-1], (1, 32.0, TRUNCATED)]
    found = transitions(record(rows), Horizon(0.5, n=3))
    assert [row[4] for row in found] == [0.125, 0.125, 0.25, 0.5]


def test_one_step_of_the_same_decisions_by_hand():
    rows, horizon = acts_of(record(EPISODE)), Horizon(0.5, n=3, one_step=True)
    index = Index(as_ring(rows, np.arange(7.0)[:, None]), horizon)
    index.ingest()
    found = index.gather(index.since(0))
    assert found.reward.tolist() == [14.0, 24.0, 32.0, 32.0]
    assert found.one_step.reward.tolist() == [6.0, 8.0, 16.0, 32.0]
    assert found.one_step.discount.tolist() == [0.5, 0.5, 0.5, 0.0]
    assert found.one_step.next_observation[:, 0].tolist() == [1, 2, 3, 5]


def test_the_last_acts_are_open_unless_their_episode_is_over():
    ticks = record([(1, 1.0, 0)] * 6)
    assert [row[-1] for row in transitions(ticks, Horizon(0.5, n=3))] == [0, 1, 2]
    ticks = record([(1, 1.0, 0)] * 3 + [(1, 1.0, TERMINATED)] + [(1, 1.0, 0)] * 2)
    assert [row[-1] for row in transitions(ticks, Horizon(0.5, n=3))] == [0, 1, 2, 3]


def test_a_decision_whose_observation_is_gone_makes_no_act_and_ends_the_one_before():
    builder = ActBuilder(lambda ticks, oldest: None if 3 in ticks else ticks)
    rows = []
    for tick, obs_tick in enumerate((None, 0, None, None, None, 3, None, 6, 7)):
        rows += builder.tick(tick, obs_tick, 0, tick, 1.0, GOES_ON)
    #                frames, leads to, acts, from, reward, action, ticks, ended
    assert rows == [([0], [4], 1, 0, 4.0, 1, 4, TRUNCATED), ([6], [7], 7, 6, 1.0, 7, 1, GOES_ON)]


def test_what_is_kept_of_long_actions_fits_the_board_and_goes_on_as_it_was():
    size = 64
    pending = Pending("history", 4, "onehot", Vector((-1.0,) * size, (1.0,) * size))

    def builder():
        return ActBuilder(lambda ticks, oldest: ticks, pending=pending)

    first, second, rng = builder(), builder(), np.random.default_rng(0)
    for tick in range(9000):
        first.tick(tick, tick - 2, -1, rng.uniform(-1, 1, size).astype(np.float32), 0.0, GOES_ON)
    kept = saving.encode(first.save())
    assert len(kept) < ENVIRONMENT_BYTES / 2
    second.restore(saving.decode(kept))
    for tick in range(9000, 9010):
        rows = [one.tick(tick, tick - 2, -1, np.full(size, 0.5, np.float32), 0.0, GOES_ON) for one in (first, second)]
        assert [str(row) for row in rows[0]] == [str(row) for row in rows[1]]
        assert rows[0]


@pytest.mark.parametrize(
    ("clipping", "seen"),
    [("none", [5, -0.5, 0.25]), ("sign", [1, -1, 1]), ("unit", [1, -0.5, 0.25]), ("gains", [5, 0, 0.25])],
)
def test_rewards_are_clipped_tick_by_tick(clipping, seen):
    ticks = record([(True, 5, GOES_ON), (False, -0.5, GOES_ON), (False, 0.25, GOES_ON), (True, -3, TERMINATED)])
    last = {"none": -3, "sign": -1, "unit": -1, "gains": 0}[clipping]
    found = transitions(ticks, Horizon(0.5), clipping=clipping)
    assert [row[3] for row in found] == [sum(seen), last]
    assert ticks["reward"].tolist() == [5, -0.5, 0.25, -3]  # which the score is made of
