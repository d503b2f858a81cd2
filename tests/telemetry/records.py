"""Records of a made-up run: workers that take 2.5 ticks each, two learners, β now and then."""

import numpy as np

from rtrl_jax.board.records import APPLIED, OUTCOME, STALE, TICK, UPDATE

MS = 1_000_000
TAU_M = 10 * MS


def records(count: int = 200, workers: int = 3, sessions: int = 1, origin: int = 5_000 * MS) -> dict[str, np.ndarray]:
    """One decision and β on every tenth tick, an update every fourth. Each tick is 10 ms; a late one in every fifty."""
    ticks, decisions, updates = np.zeros(count, TICK), np.zeros(count, OUTCOME), np.zeros(count // 4, UPDATE)
    numbers = np.arange(count)
    ticks["tick"], ticks["lateness_ns"] = numbers, np.where(numbers % 50 == 7, MS, 20_000)
    ticks["session"] = numbers * sessions // count
    ticks["boundary_ns"] = origin + numbers * TAU_M + ticks["lateness_ns"] + ticks["session"] * 1000 * MS
    ticks["published_ns"] = ticks["boundary_ns"] + MS // 2
    ticks["is_default"] = (numbers % 10 == 0) | (numbers < 3)
    ticks["obs_tick"] = np.where(ticks["is_default"], -1, numbers - 3)
    ticks["worker"] = np.where(ticks["is_default"], -1, (numbers - 3) % workers)
    ticks["decisions"] = np.cumsum(~ticks["is_default"])
    ticks["terminated"] = numbers % 60 == 59
    ticks["playout"] = 3
    made = decisions["decision"]
    made["obs_tick"], made["worker"], made["greedy"] = numbers, numbers % workers, numbers % 7 > 0
    made["start_ns"] = ticks["published_ns"] + MS // 10
    made["end_ns"] = made["start_ns"] + 25 * MS
    made["registered_ns"] = made["end_ns"] + MS // 2
    acts = np.minimum(numbers + 3, count - 1)
    applied = (acts == numbers + 3) & ~ticks["is_default"][acts]
    decisions["status"] = np.where(applied, APPLIED, STALE)
    decisions["apply_tick"] = np.where(applied, acts, -1)
    each = np.arange(len(updates))
    updates["learner"], updates["applied_version"], updates["gradient_version"] = (
        each % 2,
        each,
        np.maximum(each - 1, 0),
    )
    updates["start_ns"] = origin + each * 4 * TAU_M + MS
    updates["computed_ns"] = updates["start_ns"] + 40 * MS
    updates["turn_ns"] = updates["computed_ns"] + 5 * MS
    updates["end_ns"] = updates["turn_ns"] + 2 * MS
    updates["loss"] = np.where(each == 0, np.nan, 0.5)
    return {"ticks": ticks, "decisions": decisions, "updates": updates}
