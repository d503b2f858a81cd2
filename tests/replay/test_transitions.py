"""Transitions over n decisions: by hand, and against the definition written out tick by tick."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrl_jax.board.records import TICK
from rtrl_jax.replay.transitions import TransitionBuilder

GOES_ON, TERMINATED, TRUNCATED = range(3)


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
                decisions += 1
            value += factor * row["reward"]
            if row["terminated"] or row["truncated"]:
                later = gamma ** (row["tick"] + 1 - began["tick"]) if per_tick else gamma**decisions
                closed = (row["tick"], 0.0 if row["terminated"] else later)
                break
        if closed is not None:
            next_tick, discount = closed
            found.append(
                (began["obs_tick"], next_tick, began["episode_start"], began["action"], value, discount, began["tick"])
            )
    return found


ROWS = st.lists(
    st.tuples(st.booleans(), st.integers(-3, 3), st.sampled_from([GOES_ON] * 8 + [TERMINATED, TRUNCATED])), max_size=60
)


@settings(max_examples=200, deadline=None)
@given(ROWS, st.integers(1, 5), st.booleans(), st.lists(st.integers(0, 60), max_size=6))
def test_any_record_in_any_portions_gives_what_the_definition_says(rows, n, per_tick, cuts):
    ticks = record(rows)
    builder = TransitionBuilder(0.9, per_tick, n)
    found = [
        row for portion in np.split(ticks, sorted(min(c, len(rows)) for c in cuts)) for row in builder.feed(portion)
    ]
    expected = by_definition(ticks, 0.9, per_tick, n)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert tuple(one) == pytest.approx(other, rel=1e-6, abs=1e-6)


#           0: β         1: acts      2: β         3: acts      4: acts      5: acts, end
EPISODE = [(0, 1.0, 0), (1, 2.0, 0), (0, 4.0, 0), (1, 8.0, 0), (1, 16.0, 0), (1, 32.0, TERMINATED)]


def test_three_decisions_by_hand():
    found = TransitionBuilder(0.5, n=3).feed(record(EPISODE)).tolist()
    assert found == [
        (0, 3, 0, 1, 6 + 8 / 2 + 16 / 4, 0.125, 1),  # decisions at 1, 3 and 4; the one at 5 came from observation 3
        (1, 5, 0, 3, 8 + 16 / 2 + 32 / 4, 0.0, 3),
        (2, 5, 0, 4, 16 + 32 / 2, 0.0, 4),
        (3, 5, 0, 5, 32.0, 0.0, 5),
    ]


def test_three_decisions_by_hand_per_tick_and_truncated():
    rows = [*EPISODE[:-1], (1, 32.0, TRUNCATED)]
    found = TransitionBuilder(0.5, per_tick=True, n=3).feed(record(rows)).tolist()
    assert found == [
        (0, 3, 0, 1, 6 + 8 / 4 + 16 / 8, 0.5**4, 1),  # 3 is two ticks after 1, 4 three and 5 four
        (1, 5, 0, 3, 8 + 16 / 2 + 32 / 4, 0.5**3, 3),
        (2, 5, 0, 4, 16 + 32 / 2, 0.5**2, 4),
        (3, 5, 0, 5, 32.0, 0.5, 5),
    ]


def test_a_truncation_discounts_by_the_decisions_there_were():
    rows = [*EPISODE[:-1], (1, 32.0, TRUNCATED)]
    assert TransitionBuilder(0.5, n=3).feed(record(rows))["discount"].tolist() == [0.125, 0.125, 0.25, 0.5]


def test_what_is_open_is_lost_with_the_ticks_that_are_missing():
    ticks = record([(1, 1.0, 0)] * 8)
    builder = TransitionBuilder(0.5, n=2)
    builder.feed(ticks[:4])
    builder.forget()
    assert builder.feed(ticks[6:]).tolist() == []


@pytest.mark.parametrize(
    ("clipping", "seen"), [("none", [5, -0.5, 0.25]), ("sign", [1, -1, 1]), ("unit", [1, -0.5, 0.25])]
)
def test_rewards_are_clipped_tick_by_tick_whatever_the_portions(clipping, seen):
    ticks = record([(True, 5, GOES_ON), (False, -0.5, GOES_ON), (False, 0.25, GOES_ON), (True, -3, TERMINATED)])
    last = {"none": -3, "sign": -1, "unit": -1}[clipping]
    for cut in range(4):
        builder = TransitionBuilder(0.5, clipping=clipping)
        found = np.concatenate([builder.feed(ticks[:cut]), builder.feed(ticks[cut:])])
        assert found["reward"].tolist() == [sum(seen), last]
    assert ticks["reward"].tolist() == [5, -0.5, 0.25, -3]  # which the score is made of
