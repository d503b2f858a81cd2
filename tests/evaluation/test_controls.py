"""Open-loop controls: what there is to beat, and that the best of many is told by episodes that did not choose it."""

import itertools

import pytest

from rtrl_jax.environments import Spec
from rtrl_jax.errors import UserError
from rtrl_jax.evaluation import controls
from rtrl_jax.evaluation.controls import Control
from rtrl_jax.evaluation.episodes import Episode
from rtrl_jax.evaluation.tournament import FRESH, Tournament

PAD = Spec((1,), "float32", 3, 3, 50.0, 1e-3, action_names=("A", "LEFT", "DOWN"))
NUMBERED = PAD._replace(action_names=())


@pytest.mark.parametrize(
    ("policy", "spec", "found"),
    [
        ("constant:DOWN", PAD, (2,)),
        ("constant:down", PAD, (2,)),
        ("constant:1", PAD, (1,)),
        ("alternate:DOWN,A", PAD, (2, 0)),
        ("alternate: 2, LEFT", PAD, (2, 1)),
        ("alternate:2,0", NUMBERED, (2, 0)),
        ("random", PAD, ()),
        ("noop", PAD, ()),
        ("controls", PAD, ()),
    ],
)
def test_actions_by_name_and_by_number(policy, spec, found):
    assert controls.pattern(policy, "it", spec) == found


@pytest.mark.parametrize(
    ("policy", "spec", "says"),
    [
        (
            "constant:DWN",
            PAD,
            r"it has no action DWN; did you mean DOWN\? \(it has 3, numbered from 0: A, LEFT, DOWN\)",
        ),
        ("alternate:A,3", PAD, "no action 3"),
        ("constant:A", NUMBERED, r"no action A \(it has 3, numbered from 0\)"),
    ],
)
def test_a_button_that_the_game_lacks(policy, spec, says):
    with pytest.raises(UserError, match=says):
        controls.pattern(policy, "it", spec)


def test_all_of_them():
    asynchronous = controls.every(PAD, gaps=False)
    assert [tuple(control) for control in asynchronous if len(control.pattern) == 1] == [
        ("constant:A", 1, (0,)),
        ("constant:LEFT", 1, (1,)),
        ("constant:DOWN", 1, (2,)),
    ]
    assert [tuple(control) for control in asynchronous if len(control.pattern) == 2] == [
        (name, hold, actions)
        for hold in (1, 4)
        for name, actions in (
            ("alternate:A,LEFT", (0, 1)),
            ("alternate:A,DOWN", (0, 2)),
            ("alternate:LEFT,DOWN", (1, 2)),
        )
    ]
    assert asynchronous[-3:] == [Control("random", 1), Control("random", 4), Control("noop", 1)]
    assert len(controls.every(PAD, gaps=True)) == len(asynchronous) + 3  # each button at four ticks too
    assert controls.every(NUMBERED, gaps=False)[-4].name == "alternate:1,2"


@pytest.mark.parametrize("encounters", [1, 2, 20, 40, 295])
def test_few_episodes_are_from_all_over_the_game_and_many_of_each_encounter_alike(encounters):
    fresh = controls.first_round(controls.every(PAD, gaps=False), encounters)
    met = sorted(number % encounters for number in fresh.numbers)
    assert max([b - a for a, b in itertools.pairwise(met)], default=0) <= max(1, encounters // 2)
    everything = controls._numbers(0, 3 * encounters, encounters)
    assert sorted(everything) == list(range(3 * encounters))


def test_the_best_of_all_is_played_anew():
    """A game of chance in which one control is better than the others, by less than chance makes of a few episodes."""
    entered = controls.every(PAD, gaps=False)
    better = next(place for place, control in enumerate(entered) if control.name == "alternate:A,DOWN")
    asked = {}

    def play(jobs, name):
        asked[name] = jobs
        for seed, number, player in jobs:
            luck = 0.0 if name == FRESH else 0.4 * ((number * 7 + player) % 3)
            value = (player == better) + luck + 0.1 * (entered[player].name == "random")
            yield Episode(seed, number, value, 10, 0, True, 0, None, 0, player)

    tournament = Tournament(entered, 1, [0, 4], 5)
    tournament.play(play)
    assert list(asked) == ["round 1", "round 2", FRESH]
    assert len(asked["round 1"]) == 9 * 3
    assert len(asked["round 2"]) == 3 * 6
    episodes = [{(job.seed, job.number) for job in jobs} for jobs in asked.values()]
    assert not episodes[0] & episodes[1]
    assert not (episodes[0] | episodes[1]) & episodes[2]
    assert episodes[2] == {(seed, number) for seed in (0, 4) for number in range(5)}
    last = tournament.last_round()
    assert [control.name for control, _ in last] == ["alternate:A,DOWN", "random", "random", "noop"]
    assert [len(played) for _, played in last] == [10] * 4
    rows = tournament.table()
    assert [row["round"] for row in rows] == ["round 1"] * 9 + ["round 2"] * 3 + [FRESH] * 4
    assert (rows[-4]["policy"], rows[-4]["mean"], rows[-4]["mean_low"]) == ("alternate:A,DOWN", 1.0, 1.0)
    assert (
        next(row["mean"] for row in rows if row["policy"] == "alternate:A,DOWN") > 1.0
    )  # where luck helped to choose it


def test_one_that_is_interrupted_has_nothing_to_beat():
    def play(jobs, name):
        for number, job in enumerate(jobs):
            if name == FRESH and number == 5:
                raise KeyboardInterrupt
            yield Episode(job.seed, job.number, 0.0, 100, 0, True, 0, None, 0, job.player)

    tournament = Tournament(controls.every(PAD, gaps=False), 1, [0], 5)
    with pytest.raises(KeyboardInterrupt):
        tournament.play(play)
    assert {row["round"] for row in tournament.table()} == {"round 1", "round 2"}
    assert sum(len(played) for _, played in tournament.last_round()) == 5
