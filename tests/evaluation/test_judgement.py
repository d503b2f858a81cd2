"""An agent has learned when it beats the best control by its interval, and is compared with controls that were played alike."""

import csv

import pytest

from rtrl_jax.errors import UserError
from rtrl_jax.evaluation import judgement

PLAYED = {
    "rate_hz": 60.0,
    "delay": 1,
    "interaction": "async",
    "default_action": "noop",
    "default_action_index": 0,
    "environment_kwargs": "{}",
    "sticky_actions": 0.0,
    "noop_starts": 30,
    "frame_skip": 1,
    "press_frames": None,
    "most_ticks": 4000,
}
HERE = {"environment": "atari/Boxing", **PLAYED}


def write(path, *rows):
    """Args: rows: (round, policy, mean)."""
    with open(path, "w", newline="") as file:
        writer = None
        for name, policy, mean in rows:
            interval = {"mean": mean, "mean_low": mean - 1, "mean_high": mean + 1}
            row = {
                "environment": "atari/Boxing",
                "round": name,
                "policy": policy,
                "action_every": 4,
                **interval,
                **PLAYED,
            }
            row["delay"] = "" if policy == "noop" else 1
            writer = writer or csv.DictWriter(file, list(row))
            writer.writeheader() if file.tell() == 0 else None
            writer.writerow(row)
    return str(path)


def row(mean, low):
    return {"environment": "atari/Boxing", "mean": mean, "mean_interval": (low, 2 * mean - low)}


def test_the_best_on_fresh_episodes_is_to_be_beaten_by_the_interval(tmp_path):
    path = write(
        tmp_path / "c.csv",
        ("round 1", "constant:A", 9.0),
        ("fresh", "random", 2.0),
        ("fresh", "constant:A", 1.0),
        ("fresh", "noop", 0),
    )
    best = judgement.to_beat(path, HERE)
    assert (best["policy"], best["mean"]) == ("random", 2.0)
    assert not judgement.beats((1.9, 8.0), best)
    assert judgement.beats((2.1, 8.0), best)
    assert judgement.says(row(5, 1.5), best) == (
        "atari/Boxing: 5 (1.5…8.5) does not beat the best control, random at 4 tick(s) an action, 2 (1…3)"
    )
    assert judgement.says(row(5, 2.5), best).endswith(
        "beats the best control, random at 4 tick(s) an action, 2 (1…3) (their intervals overlap)"
    )
    assert judgement.says(row(5, 4), best).endswith("beats the best control, random at 4 tick(s) an action, 2 (1…3)")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("delay", 2),
        ("noop_starts", 0),
        ("interaction", "sequential"),
        ("most_ticks", 5),
        ("default_action_index", 1),
        ("environment_kwargs", '{"difficulty": 2}'),
    ],
)
def test_controls_that_were_played_otherwise_are_no_measure(tmp_path, name, value):
    path = write(tmp_path / "c.csv", ("fresh", "random", 2.0), ("fresh", "noop", 0.0))
    with pytest.raises(UserError, match=f"were played with {name} {PLAYED[name]}, and here it is {value}"):
        judgement.to_beat(path, {**HERE, name: value})


def test_files_that_are_none(tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    for path, says in ((tmp_path / "none.csv", "cannot be read"), (tmp_path / "other.csv", "cannot be read")):
        with pytest.raises(UserError, match=says):
            judgement.read(str(path))
    path = write(tmp_path / "c.csv", ("round 1", "random", 2.0))
    with pytest.raises(UserError, match="is no controls"):
        judgement.read(path)
    path = write(tmp_path / "c.csv", ("fresh", "random", 2.0))
    with pytest.raises(UserError, match="no controls of atari/Pong"):
        judgement.to_beat(path, {**HERE, "environment": "atari/Pong"})
