"""A checkpoint is evaluated with the delay, the interaction, β and, if asked, the ε of its run; what is otherwise is said."""

import json

import numpy as np
import pytest

from rtrl_jax.board.records import OUTCOME
from rtrl_jax.environments import saving
from rtrl_jax.errors import UserError
from rtrl_jax.evaluation import timing
from rtrl_jax.evaluation.settings import Evaluation
from rtrl_jax.evaluation.timing import Timing

TICK = 500


def checkpoint(tmp_path, **settings):
    """A folder that looks like one, and its manifest."""
    folder = tmp_path / "checkpoints" / "000000000500"
    folder.mkdir(parents=True)
    manifest = {"settings": settings, "tick": TICK}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder, manifest


def write_decisions(run, rows):
    """Args: rows: (obs_tick, apply_tick, greedy)."""
    decisions = np.zeros(len(rows), OUTCOME)
    for row, (obs_tick, apply_tick, greedy) in zip(decisions, rows, strict=True):
        row["decision"]["obs_tick"], row["apply_tick"], row["decision"]["greedy"] = obs_tick, apply_tick, greedy
    decisions.tofile(run / "decisions.raw")
    for kind in ("ticks", "updates"):
        (run / f"{kind}.raw").write_bytes(b"")


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"delay": 4}, Timing(4, "", "async", "noop", 0.05)),
        ({"delay": 4, "interaction": "sequential"}, Timing(4, "", "sequential", "noop", 0.05)),
        ({"delay": 2, "default_action": "repeat", "epsilon_end": 0.2}, Timing(2, "", "async", "repeat", 0.2)),
        (
            {"delay": 3, "interaction": "sequential", "accounting": "reference"},
            Timing(
                13,  # a decision is from three of its like before, in every four ticks, and acts in the next tick
                "evaluation differs from --accounting=reference: no zero frames; an action in every 13 ticks, not 4",
                "sequential",
                "noop",
                0.05,
            ),
        ),
        ({"delay": 3, "accounting": "lag,period"}, Timing(4, "", "async", "noop", 0.05)),
        ({"delay": 3, "accounting": "units"}, Timing(3, "", "async", "noop", 0.05)),
        ({"playout": "7", "agent": "rainbow"}, Timing(7, "", "async", "noop", 0.0)),
        ({"interaction": "sequential_learn_first"}, Timing(None, "", "sequential", "noop", 0.05)),
        ({}, Timing(None, "", "async", "noop", 0.05)),
    ],
)
def test_as_the_run_was_told(tmp_path, settings, found):
    assert timing.of_run(*checkpoint(tmp_path, **settings)) == found


def test_a_run_by_the_wall_clock_has_the_playout_of_its_checkpoint(tmp_path):
    folder, manifest = checkpoint(tmp_path)
    (folder / "environment").write_bytes(saving.encode({"environment": None, "ticket": {"playout": 3}}))
    assert timing.of_run(folder, manifest)[:2] == (3, "its playout at the checkpoint")


def test_without_tickets_it_is_what_its_network_s_actions_took_rounded_up(tmp_path):
    folder, manifest = checkpoint(tmp_path, stagger="expected_time")
    explored, too_late, after = (30, 31, False), (31, -1, True), (510, 519, True)
    write_decisions(tmp_path, [(10, 12, True), (20, 23, True), explored, too_late, (40, 42, True), after])
    delay, source = timing.of_run(folder, manifest)[:2]
    assert (delay, source) == (3, "its network's actions came 2.33 ticks late on average, rounded up")


RUN = Timing(4, "its playout at the checkpoint", "sequential", "repeat", 0.2)


def test_what_is_left_to_the_run():
    settings = timing.resolved(Evaluation(checkpoint="it"), RUN)
    assert (settings.delay, settings.inaction, settings.default_action) == (4, "sequential", "repeat")
    assert settings.epsilon == 0.0  # greedily, unless asked otherwise
    assert timing.resolved(Evaluation(checkpoint="it", epsilon="run"), RUN).epsilon == 0.2
    alone = timing.resolved(Evaluation(policy="random", environments="atari/Boxing"), None)
    assert (alone.delay, alone.inaction, alone.default_action) == (1, "async", "noop")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({}, []),
        ({"delay": 4, "inaction": "sequential", "default_action": "repeat"}, []),
        ({"inference_ms": 65.0}, []),
        ({"delay": 1}, ["--delay=1 (the run's delay is 4)"]),
        ({"inference_ms": 5.0}, ["--inference_ms=5.0 (the run's delay is 4)"]),
        (
            {"inaction": "async", "default_action": "noop"},
            ["--inaction=async (the run: sequential)", "--default_action=noop (the run: repeat)"],
        ),
    ],
)
def test_flags_come_first_and_are_said(flags, says):
    settings = Evaluation(checkpoint="it", **flags)
    assert timing.overrides(settings, RUN, 60.0) == says
    resolved = timing.resolved(settings, RUN)
    assert {name: getattr(resolved, name) for name in flags} == flags


def test_where_the_delay_comes_from_is_said():
    assert timing.notice(Evaluation(), RUN) == "delay 4, as in the run: its playout at the checkpoint"
    assert timing.notice(Evaluation(delay=1), RUN) is None
    assert timing.notice(Evaluation(), RUN._replace(source="")) is None
    assert "is not known" in timing.notice(Evaluation(), RUN._replace(delay=None))


@pytest.mark.parametrize("epsilon", ["greedy", "-0.1", "1.1", "nan"])
def test_a_wrong_epsilon(epsilon):
    with pytest.raises(UserError, match=f"--epsilon={epsilon}: give a number between 0 and 1, or run"):
        Evaluation(checkpoint="it", epsilon=epsilon).check()
