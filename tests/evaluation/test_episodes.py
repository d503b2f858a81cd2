"""One episode: what acts in each tick, what the network is asked, and that its random numbers are its own."""

import numpy as np
import pytest
from evaluation.worlds import NOTHING, Recorder

from rtrl_jax.board.ring import Stacking, join_stack, stacked_ticks
from rtrl_jax.environments import library, players
from rtrl_jax.evaluation.episodes import Job, Player, Rules, play
from rtrl_jax.evaluation.schedule import NEVER, asynchronous, sequential
from rtrl_jax.pending import UNTOLD, Pending

ALONE, JOB = Stacking(), Job(seed=3, number=7)


def answer(episode, policy):
    """Plays it through with a policy of the observation; returns (Episode, what was asked)."""
    asked, action = [], None
    while True:
        try:
            observation, seed = episode.send(action)
        except StopIteration as ended:
            return ended.value, asked
        asked.append((observation, seed))
        action = policy(observation)


def run(schedule, length=12, epsilon=0.0, stacking=ALONE, most_ticks=1000, job=JOB, pattern=()):
    world, rules = Recorder(length), Rules(Player(schedule, epsilon, pattern), stacking, most_ticks)
    episode, asked = answer(play(world, job, rules), lambda o: int(o[-1]) % 5)
    return episode, asked, world


def test_asynchronous_delay():
    episode, _, world = run(asynchronous(3))
    assert world.actions == [NOTHING, NOTHING, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    assert episode.default_ticks == 2
    assert episode == (3, 7, 78.0, 12, 2, True, 0, None, 0, 0)


def test_sequential_delay():
    _, asked, world = run(sequential(3))
    assert world.actions == [NOTHING, NOTHING, 0, NOTHING, NOTHING, 3, NOTHING, NOTHING, 1, NOTHING, NOTHING, 4]
    assert [int(observation[0]) for observation, _ in asked] == [0, 3, 6, 9]


def told(kind, schedule, *, length=4, repeat=False):
    """What each decision is told, by the observation it is made from, and what acted."""
    world = Recorder(12)
    rules = Rules(Player(schedule, 0.0), ALONE, 1000, repeat, Pending(kind, length, "onehot", 10))
    _, asked = answer(play(world, JOB, rules), lambda seen: int(seen.observation[-1]) % 5)
    return {int(seen.observation[-1]): seen.told.tolist() for seen, _ in asked}, world.actions


def test_a_late_head_is_told_what_was_done_since_its_observation():
    found, acted = told("late", asynchronous(3))
    assert acted == [NOTHING, NOTHING, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4]  # as without
    none = UNTOLD
    assert [found[m] for m in range(4)] == [
        [none, none, NOTHING, NOTHING],
        [none, none, NOTHING, 0],
        [none, none, 0, 1],
        [none, none, 1, 2],
    ]
    assert list(found) == list(range(10))  # from the last ones nothing acts any more
    assert told("late", asynchronous(1))[0][5] == [none] * 4
    assert told("late", sequential(3))[0] == {m: [none, none, NOTHING, NOTHING] for m in (0, 3, 6, 9)}
    assert told("late", sequential(3), repeat=True)[0][6] == [none, none, 3, 3]


def test_a_reflex_sees_what_there_is_before_its_decision_acts():
    world, rules = (
        Recorder(12),
        Rules(Player(asynchronous(3), 0.0), Stacking(2, 1), 1000, False, Pending("late", 2, reflex=True)),
    )
    _, asked = answer(play(world, JOB, rules), lambda seen: 1)
    found = {int(seen.observation[-1]): seen.newest.tolist() for seen, _ in asked}
    assert [found[m] for m in range(4)] == [[1, 2], [2, 3], [3, 4], [4, 5]]


def test_history_is_what_was_done_until_the_observation():
    found, _ = told("history", asynchronous(3), length=2)
    assert [found[m] for m in range(6)] == [
        [UNTOLD] * 2,
        [UNTOLD, NOTHING],
        [NOTHING] * 2,
        [NOTHING, 0],
        [0, 1],
        [1, 2],
    ]


def test_the_last_action_stays_in_force_where_the_run_had_it_so():
    world, rules = Recorder(12), Rules(Player(sequential(3), 0.0), Stacking(), 1000, repeat=True)
    episode, _ = answer(play(world, JOB, rules), lambda o: int(o[-1]) % 5)
    assert world.actions == [NOTHING, NOTHING, 0, 0, 0, 3, 3, 3, 1, 1, 1, 4]
    assert episode.default_ticks == 8


def test_an_action_held_for_four_ticks():
    _, asked, world = run(asynchronous(1, hold=4))
    assert world.actions == [0] * 4 + [4] * 4 + [3] * 4
    assert [int(observation[0]) for observation, _ in asked] == [0, 4, 8]


def test_an_episode_shorter_than_the_delay_is_left_to_the_default_action():
    episode, _, world = run(asynchronous(70))
    assert world.actions == [NOTHING] * 12
    assert episode.default_ticks == episode.ticks == 12


def test_doing_nothing_asks_nothing():
    episode, asked, world = run(NEVER)
    assert (world.actions, asked, episode.default_ticks) == ([NOTHING] * 12, [], 12)


def test_random_play_asks_nothing_and_holds_its_actions():
    _, asked, world = run(asynchronous(1, hold=4), length=400, epsilon=1.0)
    assert asked == []
    by_decision = np.reshape(world.actions, (-1, 4))
    assert (by_decision == by_decision[:, :1]).all()
    assert set(world.actions) == set(range(5))


def test_a_pattern_asks_nothing_and_holds_its_actions():
    for schedule, acted in (
        (asynchronous(1), [4, 2] * 6),
        (asynchronous(1, hold=4), [4] * 4 + [2] * 4 + [4] * 4),
        (asynchronous(3), [NOTHING] * 2 + [4, 2] * 5),
        (sequential(2), [NOTHING, 4, NOTHING, 2] * 3),
    ):
        episode, asked, world = run(schedule, epsilon=1.0, pattern=(4, 2))
        assert (world.actions, asked) == (acted, [])
    assert episode.default_ticks == 6


def test_exploration_happens_as_often_as_it_should():
    _, asked, world = run(asynchronous(1), length=4000, epsilon=0.25, most_ticks=4000)
    assert len(asked) / len(world.actions) == pytest.approx(0.75, abs=0.025)


def test_cut_off():
    episode, _, world = run(asynchronous(1), length=50, most_ticks=9)
    assert (episode.ticks, episode.terminated, len(world.actions)) == (9, False, 9)
    assert run(asynchronous(1), length=9, most_ticks=9)[0].terminated


@pytest.mark.parametrize("stacking", [Stacking(4), Stacking(3, 2), Stacking(2, 20)])
def test_frames_are_stacked_as_in_a_run(stacking):
    frames = np.arange(12, dtype=np.float32)[:, None]
    _, asked, _ = run(asynchronous(1), stacking=stacking)
    for tick, (observation, _) in enumerate(asked):
        assert observation.tolist() == join_stack(frames[stacked_ticks(tick, 0, stacking)], 1).tolist()
    assert asked[5][0].tolist() == [max(0, 5 - back * stacking.stride) for back in range(stacking.depth)][::-1]


def test_random_numbers_belong_to_the_episode():
    def trace(job):
        _, asked, world = run(asynchronous(2), length=200, epsilon=0.5, job=job)
        return world.seeds, world.actions, [seed for _, seed in asked]

    assert trace(JOB) == trace(JOB)
    others = [trace(Job(3, 8)), trace(Job(4, 7))]
    assert all(part != own for other in others for part, own in zip(other, trace(JOB), strict=True))


def test_a_game_of_encounters_takes_them_in_turn_and_says_whether_it_was_won():
    world = library.game("gameboy/duel-battles")
    rules = Rules(Player(NEVER, 0.0), Stacking(), most_ticks=30)
    for number, encounter in ((1, 1), (41, 1), (5, 5), (0, 0)):
        episode, _ = answer(play(world, Job(0, number), rules), None)
        assert (episode.encounter, episode.won, episode.terminated) == (encounter, False, False)
        assert world.progress.encounter == encounter
    player = players.duel_player()
    rules = Rules(Player(asynchronous(1), 0.0), Stacking(), most_ticks=100_000)
    episode, _ = answer(play(world, Job(0, 40), rules), lambda observation: player(world.console))
    assert (episode.encounter, episode.won, episode.terminated) == (0, True, True)
    world.close()
