"""Our own games through the real emulator: that they can be played, lost, won, saved and told apart from luck."""

import hashlib
import shutil
import subprocess

import numpy as np
import pytest

from rtrl_jax.environments import GAME_BOY, duel, make, players
from rtrl_jax.environments.gameboy import ACTIONS, Console, Variable
from rtrl_jax.environments.homebrew import FOLDER, rom

NOTHING = len(ACTIONS)


@pytest.fixture
def play():
    """Makes a game by name; one at a time."""
    games = []

    def start(name):
        games.append(make(name))
        return games[-1]

    yield start
    for game in games:
        game.close()


def episode(game, player, most=60_000):
    """Return and length of one attempt."""
    total = 0.0
    for frames in range(1, most + 1):
        _, reward, ended, _ = game.step(player(game.console))
        total += reward
        if ended:
            return total, frames
    return total, most


@pytest.mark.parametrize("name", [name for name in GAME_BOY if "duel" in name or "stacks" in name])
def test_frames_rate_actions_and_the_same_game_for_the_same_seed(play, name):
    game = play(name)
    assert game.spec.rate_hz == 59.7275
    assert (game.spec.actions, game.spec.default_action) == (6, NOTHING)
    seen = []
    for seed in (5, 5, 6):
        rng = np.random.default_rng(0)
        frames = [game.reset(seed)] + [game.step(int(rng.integers(6)))[0] for _ in range(1500)]
        assert frames[0].shape == (84, 84, 1)
        seen.append(np.stack(frames))
    assert (seen[0] == seen[1]).all()
    assert (seen[0] != seen[2]).any()
    assert len(np.unique(seen[0][0])) > 3


@pytest.mark.parametrize("name", ["gameboy/duel-battles", "gameboy/duel-catching", "gameboy/stacks"])
def test_a_saved_game_goes_on_exactly(play, name):
    game = play(name)
    game.reset(seed=1)
    actions = np.random.default_rng(0).integers(7, size=1200).tolist()

    def go_on(actions):
        found = []
        for action in actions:
            frame, reward, ended, _ = game.step(action)
            found.append((frame.tobytes(), reward, ended, game.progress))
            if ended:
                found.append(game.reset().tobytes())
        return found

    go_on(actions[:600])
    saved = game.save()
    first = go_on(actions[600:])
    game.restore(saved)
    assert go_on(actions[600:]) == first


def test_waiting_loses_stacks(play):
    game = play("gameboy/stacks")
    game.reset(seed=0)
    total, frames = episode(game, lambda console: NOTHING)
    assert total == 0
    assert frames < 60_000
    assert game.progress.losses == 1


def test_waiting_costs_nothing_in_duel(play):
    game = play("gameboy/duel-battles")
    before = game.reset(seed=0)
    for _ in range(3000):
        frame, reward, ended, _ = game.step(NOTHING)
        assert (reward, ended) == (0, False)
    assert (frame == before).all()


def test_a_competent_player_of_stacks_leaves_a_random_one_far_behind(play):
    game = play("gameboy/stacks")
    scores = {}
    for name, player in (
        ("random", players.random_player(np.random.default_rng(0))),
        ("good", players.stacks_player()),
    ):
        scores[name] = []
        for seed in range(3):
            game.reset(seed)
            scores[name].append(episode(game, player, most=15_000)[0])
    assert min(scores["good"]) > 10 * max(scores["random"])


@pytest.mark.parametrize(("setting", "share"), [("battles", 0.8), ("catching", 0.6)])
def test_a_competent_player_of_duel_wins_more_and_sooner_than_a_random_one(play, setting, share):
    game = play(f"gameboy/duel-{setting}")
    found = {}
    for name, player in (("random", players.random_player(np.random.default_rng(0))), ("good", players.duel_player())):
        game.reset(seed=0)
        for _ in range(20_000):
            if game.step(player(game.console))[2]:
                game.reset()
        found[name] = game.progress
    good, random = found["good"], found["random"]
    assert good.wins > 1.5 * random.wins
    assert good.wins / (good.wins + good.losses) > share
    assert random.wins / (random.wins + random.losses) < share - 0.25


@pytest.mark.parametrize(("setting", "encounters"), [("battles", 40), ("catching", 20)])
def test_encounters_get_harder(setting, encounters):
    states = duel.states(setting)
    assert len(states) == encounters
    assert len({hashlib.sha256(state).hexdigest() for state in states}) == encounters
    console = Console(rom("duel"))
    levels, sizes = [], []
    for state in states:
        console.restore(state)
        levels.append(console.read(Variable(0xC03E)))
        sizes.append(console.read(Variable(0xC01A)))
    console.close()
    assert levels == sorted(levels)
    assert levels[-1] > levels[0] + 5
    assert set(sizes) == ({1, 2, 3} if setting == "battles" else {1})


def test_stacks_speeds_up_until_nobody_can_keep_up(play):
    game = play("gameboy/stacks")
    game.reset(seed=0)
    for address, value in ((0xC012, 200), (0xC011, 20)):  # 200 lines are level 20
        game.console.write(Variable(address), value)
    at_top_speed = episode(game, players.stacks_player())[1]
    game.reset(seed=0)
    from_the_start = episode(game, players.stacks_player(), most=20_000)[1]
    assert at_top_speed < 3000
    assert from_the_start > 4 * at_top_speed


@pytest.mark.parametrize("name", ["duel", "stacks"])
def test_the_rom_is_what_its_source_makes_to_the_byte(tmp_path, name):
    if shutil.which("sdcc") is None:
        pytest.skip("needs Debian's sdcc to build the ROMs anew")
    folder = tmp_path / "homebrew"
    shutil.copytree(FOLDER, folder)
    (folder / f"{name}.gb").unlink()
    subprocess.run(["make", "-C", str(folder), f"{name}.gb"], check=True, capture_output=True)
    assert (folder / f"{name}.gb").read_bytes() == (FOLDER / f"{name}.gb").read_bytes()
