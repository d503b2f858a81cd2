"""Sticky actions, no-op starts, skipped frames: what reaches the game, and that saving and restoring keeps their chance."""

import numpy as np
import pytest
from evaluation.worlds import NOTHING, Recorder

from rtrl_jax import environments
from rtrl_jax.environments import saving
from rtrl_jax.environments.wrappers import CutOff, FrameSkip, NoopStarts, Shuffled, Sticky, wrapped


def play(world, actions):
    return [world.step(action)[1:] for action in actions]


def test_nothing_around_what_is_asked_nothing_of():
    world = Recorder(3)
    assert wrapped(world, 0.0, 0, 1) is world


def test_sticky_actions_repeat_what_was_done_as_often_as_they_should():
    inner = Recorder(10_000)
    world = Sticky(inner, 0.25)
    world.reset(0)
    wanted = [n % 5 for n in range(4000)]
    play(world, wanted)
    did = inner.actions
    stuck = [n for n in range(4000) if did[n] != wanted[n]]
    assert all(did[n] == (did[n - 1] if n else NOTHING) for n in stuck)
    assert len(stuck) / 4000 == pytest.approx(0.25, abs=0.03)
    world.reset()
    world.step(4)
    assert inner.actions[0] in (4, NOTHING)  # nothing sticks across episodes


def test_no_op_starts():
    inner = Recorder(1000)
    world, starts = NoopStarts(inner, 30), []
    for seed in (0, *[None] * 400):
        frame = world.reset(seed)
        starts.append(len(inner.actions))
        assert set(inner.actions) == {NOTHING}
        assert frame[0] == starts[-1]
    assert (min(starts), max(starts)) == (1, 30)
    short = NoopStarts(Recorder(1), 30)  # over at once: it begins anew
    assert short.reset(0)[0] == 0


def test_what_no_op_starts_begin_anew_is_the_encounter_that_was_asked_for():
    class Encounters(Recorder):
        def reset(self, seed=None, encounter=0):
            self.encounter = encounter
            return super().reset(seed)

    inner = Encounters(1)  # over at once
    NoopStarts(inner, 30).reset(0, encounter=2)
    assert inner.encounter == 2


def test_skipped_frames_hold_the_action_and_add_up_what_it_earned():
    inner = Recorder(10)
    world = FrameSkip(inner, 4)
    assert world.spec.rate_hz == inner.spec.rate_hz / 4
    world.reset(0)
    assert play(world, [3, 1, 2]) == [(1 + 2 + 3 + 4.0, False, False), (26.0, False, False), (9 + 10.0, True, False)]
    assert inner.actions == [3] * 4 + [1] * 4 + [2] * 2


def test_only_a_frame_that_is_seen_is_drawn():
    """The last of a tick, and the one an episode ends with: both are what drawing every frame gives, and so is all else."""
    drawn, seen = [], []

    class Sparing(Recorder):
        def skip(self, action):
            frame, reward, terminated, truncated = super().step(action)
            return frame if terminated else None, reward, terminated, truncated

        def step(self, action):
            drawn.append(len(self.actions))
            return super().step(action)

    for kind in (Recorder, Sparing):
        world = FrameSkip(Sticky(kind(10), 0.5), 4, 2)
        world.reset(3)
        seen.append([world.step(action) for action in (1, 2, 3)])
    assert seen[0] == seen[1]
    assert drawn == [3, 7]


@pytest.mark.parametrize(
    ("name", "observation"),
    [("gameboy/duel-battles", "auto"), ("gameboy/duel-battles", "image"), ("atari/Boxing", "auto")],
)
def test_all_is_the_same_whether_or_not_every_frame_was_drawn(name, observation):
    played = []
    for skips in (False, True):
        world = environments.make(name, observation=observation)
        world.reset(0)
        told = [(world.skip if skips and number % 60 else world.step)(number // 20 % 6) for number in range(1201)]
        played.append(told)
        world.close()
    for number, (one, other) in enumerate(zip(*played, strict=True)):
        assert one[1:] == other[1:]
        if number % 60 == 0:
            np.testing.assert_array_equal(one[0], other[0])


def test_a_press_ends_within_its_tick():
    inner = Recorder(10)
    world = FrameSkip(inner, 4, press_frames=1)
    world.reset(0)
    assert play(world, [3, 3]) == [(1 + 2 + 3 + 4.0, False, False), (26.0, False, False)]
    assert inner.actions == [3, NOTHING, NOTHING, NOTHING] * 2


def test_a_menu_hears_each_press_and_a_held_button_once():
    moved = {}
    for press_frames in (None, 2):
        world = environments.make("gameboy/duel-catching", frame_skip=4, press_frames=press_frames)
        world.reset(0, encounter=0)
        buttons = dict(zip(world.spec.action_names, range(world.spec.actions), strict=True))
        play(world, [buttons["A"]] * 60)
        pictures = [world.step(buttons["A"])[0] for _ in range(60)]
        moved[press_frames] = len({picture.tobytes() for picture in pictures})
        world.close()
    assert moved[None] < moved[2], moved


def test_an_episode_is_cut_off_at_its_tick_unless_it_ends_there():
    for length, ends in (
        (3, [(False, False), (False, False), (True, False)]),
        (9, [(False, False)] * 2 + [(False, True)]),
    ):
        world = CutOff(Recorder(length), 3)
        for seed in (0, None):
            world.reset(seed)
            assert [ended for _, *ended in play(world, [0, 0, 0])] == [list(two) for two in ends]


def test_encounters_come_in_an_order_of_the_seed_s_and_neither_wins_nor_losses_change_it():
    class Encounters(Recorder):
        encounters = 7

        def reset(self, seed=None, encounter=None):
            self.encounter = encounter
            return super().reset(seed)

    def drawn(seed):
        world, met = Shuffled(Encounters(1)), []
        for reset in (seed, *[None] * 200):
            world.reset(reset)
            met.append(world._inner.encounter)
        return met

    assert drawn(3) == drawn(3) != drawn(4)
    assert set(drawn(3)) == set(range(7))
    world = Shuffled(Encounters(1))
    world.reset(3, encounter=5)  # as evaluation has it
    assert world._inner.encounter == 5


def test_a_game_s_progress_goes_on_through_encounters_in_any_order():
    world = environments.make("gameboy/duel-battles", encounters="random", episode_ticks=2)
    world.reset(0)
    met = [world.progress.encounter]
    for _ in range(5):
        assert [world.step(0)[3] for _ in range(2)] == [False, True]
        world.reset()
        met.append(world.progress.encounter)
    assert len(set(met)) > 2
    assert world.progress == (met[-1], 0, 0, 6)
    world.close()


@pytest.mark.parametrize("name", ["atari/Boxing", "gameboy/duel-catching"])
def test_saved_and_restored_it_goes_on_as_if_nothing_had_happened(name):
    how = {
        "sticky_actions": 0.25,
        "noop_starts": 30,
        "frame_skip": 3,
        "press_frames": 2,
        "rate_hz": 15.0,
        "episode_ticks": 40,
    }
    if name == "gameboy/duel-catching":
        how["encounters"] = "random"
    world = environments.make(name, **how)
    assert world.spec.rate_hz == 15
    actions = np.random.default_rng(0).integers(world.spec.actions, size=60).tolist()
    world.reset(7)
    play(world, actions[:30])
    saved = saving.decode(saving.encode(world.save()))
    after = [world.step(action) for action in actions[30:]]
    assert [truncated for *_, truncated in after].index(True) == 9
    world.reset()
    begun = world.step(0)[0]
    world.restore(saved)
    for action, (frame, *others) in zip(actions[30:], after, strict=True):
        again, *more = world.step(action)
        assert (again == frame).all()
        assert more == others
    world.reset()
    assert (world.step(0)[0] == begun).all()
    world.close()


def test_a_seed_decides_it_all():
    def trace(seed):
        inner = Recorder(1000)
        world = wrapped(inner, 0.5, 30, 1)
        world.reset(seed)
        play(world, [n % 5 for n in range(50)])
        return inner.actions

    assert trace(3) == trace(3) != trace(4)


def test_what_cannot_be_saved_is_not_saved_wrapped_either():
    assert wrapped(Recorder(3), 0.5, 3, 2).save() is None
