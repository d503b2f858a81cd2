"""The rules of battling and catching through the real emulator: values are put where Pokémon has them, into a ROM of our own.

Pokémon's ROMs cannot be here. Our title screen leaves that region of RAM alone, so a test can stand in for the game.
"""

import numpy as np
import pytest

from rtrl_jax.environments import imported, pokemon, tetris
from rtrl_jax.environments.gameboy import Console, GameBoy, Variable
from rtrl_jax.environments.homebrew import rom

RAM = imported.all_facts()["pokemon-blue"].ram
NOTHING = 6


def state(**values) -> bytes:
    """A save state with these values at Pokémon Blue's addresses."""
    console = Console(rom("duel"))
    console.step(frames=60)
    for name, value in values.items():
        console.write(RAM[name], value)
    saved = console.save()
    console.close()
    return saved


BATTLE = {"own_hp_0": 20, "own_hp_1": 300, "foe_hp_0": 15, "foe_hp_1": 25}
CATCH = {"in_battle": 1, "box_count": 3, "owned_2": 0b0100}


@pytest.fixture
def game():
    """Makes a game of a setting with save states that hold these values; one at a time."""
    games = []

    def make(setting, *encounters):
        states = [state(**values) for values in encounters]
        games.append(GameBoy(pokemon.rules(rom("duel"), RAM, setting, states)))
        games[0].reset(seed=0)
        return games[0]

    yield make
    for made in games:
        made.close()


def frame(game, **changes):
    """One frame in which the game changes these values: (reward, whether the encounter is over)."""
    for name, value in changes.items():
        game.console.write(RAM[name], value)
    _, reward, terminated, truncated = game.step(NOTHING)
    assert not truncated
    return reward, terminated


def test_the_documented_addresses_are_read_as_documented(game):
    battle = game("battles", BATTLE)
    assert battle._values == {
        f"{side}_hp_{i}": BATTLE.get(f"{side}_hp_{i}", 0) for side in ("own", "foe") for i in range(6)
    }
    assert battle.console.read(RAM["own_hp_1"]) == 300  # big-endian, two bytes
    assert (RAM["own_hp_1"].address, RAM["foe_hp_1"].address) == (53612 + 44, 55461 + 44)


# What the public disassemblies' symbols say: Yellow's lie one below Red's and Blue's.
SYMBOLS = {
    "pokemon-red": (0xD163, 0xD16C, 0xD057, 0xD8A5, 0xD2F7, 0xD309, 0xDA80),
    "pokemon-blue": (0xD163, 0xD16C, 0xD057, 0xD8A5, 0xD2F7, 0xD309, 0xDA80),
    "pokemon-yellow": (0xD162, 0xD16B, 0xD056, 0xD8A4, 0xD2F6, 0xD308, 0xDA7F),
}


@pytest.mark.parametrize("colour", SYMBOLS)
def test_addresses_are_those_of_the_disassemblies(colour):
    ram = imported.all_facts()[colour].ram
    looked_at = ("party_size", "own_hp_0", "in_battle", "foe_hp_0", "owned_0", "owned_18", "box_count")
    assert tuple(ram[name].address for name in looked_at) == SYMBOLS[colour]
    for side in ("own", "foe"):
        hp = [ram[f"{side}_hp_{i}"].address for i in range(6)]
        assert np.diff(hp).tolist() == [44] * 5
    assert np.diff([ram[f"owned_{i}"].address for i in range(19)]).tolist() == [1] * 18


def test_a_foe_that_falls_in_yellow_is_seen_where_yellow_has_it():
    ram = imported.all_facts()["pokemon-yellow"].ram
    game = GameBoy(pokemon.rules(rom("duel"), ram, "battles", [state()]))
    game.reset(seed=0)
    for hp in (30, 0):
        game.console.write(Variable(0xD16B, ">u2"), 9)
        game.console.write(Variable(0xD8A4, ">u2"), hp)
        reward, over = game.step(NOTHING)[1:3]
    assert (reward, over) == (1, True)
    game.close()


def test_a_foe_that_falls_is_worth_1_and_one_s_own_minus_1(game):
    battle = game("battles", BATTLE)
    assert frame(battle, foe_hp_0=3) == (0, False)
    assert frame(battle, foe_hp_0=0) == (1, False)
    assert frame(battle) == (0, False)
    assert frame(battle, own_hp_0=0) == (-1, False)


def test_hp_that_rises_is_worth_nothing_and_falling_again_is(game):
    battle = game("battles", BATTLE)
    assert frame(battle, foe_hp_0=0) == (1, False)
    assert frame(battle, foe_hp_0=12) == (0, False)
    assert frame(battle, foe_hp_0=0) == (1, False)


def test_two_that_fall_on_one_frame(game):
    battle = game("battles", BATTLE)
    assert frame(battle, foe_hp_0=0, own_hp_0=0) == (0, False)
    assert frame(battle, foe_hp_1=0, own_hp_1=5) == (1, True)
    assert battle.progress.wins == 1


@pytest.mark.parametrize(("sooner", "wins"), [("foe", 1), ("own", 0)])
def test_both_sides_gone_on_one_frame_is_decided_by_the_last_reward_before(game, sooner, wins):
    battle = game("battles", {"own_hp_0": 9, "own_hp_1": 9, "foe_hp_0": 9, "foe_hp_1": 9})
    other = "own" if sooner == "foe" else "foe"
    frame(battle, **{f"{other}_hp_0": 0})
    assert frame(battle, **{f"{sooner}_hp_0": 0})[0] == (1 if wins else -1)
    assert frame(battle, own_hp_1=0, foe_hp_1=0) == (0, True)
    assert battle.progress.wins == wins


def test_an_encounter_is_repeated_until_it_is_won_and_the_last_is_followed_by_the_first(game):
    battle = game("battles", BATTLE, {**BATTLE, "foe_hp_1": 0})
    assert frame(battle, own_hp_0=0, own_hp_1=0) == (-2, True)
    assert battle.progress == (0, 0, 1, 1)
    battle.reset()
    frame(battle, foe_hp_0=0)
    assert frame(battle, foe_hp_1=0) == (1, True)
    assert battle.progress == (1, 1, 1, 2)
    battle.reset()
    assert battle._values["foe_hp_1"] == 0, "the second save state"
    assert frame(battle, foe_hp_0=0) == (1, True)
    assert battle.progress == (0, 2, 1, 3)


@pytest.mark.parametrize(
    "catch",
    [{"box_count": 4}, {"owned_2": 0b0101}, {"owned_18": 0b1000_0000}, {"box_count": 4, "owned_3": 1}],
    ids=["to the box", "a new kind", "the last byte", "both on one frame"],
)
def test_a_catch_is_worth_1_once_however_it_shows(game, catch):
    wild = game("catching", CATCH, CATCH)
    assert frame(wild, **catch) == (1, False)
    assert frame(wild, box_count=5, owned_4=1) == (0, False)
    assert frame(wild, in_battle=0) == (0, True)
    assert wild.progress == (1, 1, 0, 1)


def test_a_catch_on_the_frame_that_ends_the_battle_counts(game):
    wild = game("catching", CATCH)
    assert frame(wild, box_count=4, in_battle=0) == (1, True)
    assert wild.progress.wins == 1


def test_a_battle_that_ends_without_a_catch_costs_1_and_is_repeated(game):
    wild = game("catching", CATCH, CATCH)
    assert frame(wild, in_battle=0) == (-1, True)
    assert wild.progress == (0, 0, 1, 1)


def test_a_lost_last_encounter_is_repeated_not_wrapped(game):
    wild = game("catching", CATCH, CATCH)
    frame(wild, box_count=4, in_battle=0)
    wild.reset()
    assert frame(wild, in_battle=0) == (-1, True)
    assert wild.progress == (1, 1, 1, 2)
    wild.reset()
    assert frame(wild, box_count=4, in_battle=0) == (1, True)
    assert wild.progress == (0, 2, 1, 3)


def test_a_catch_with_a_full_party_shows_in_the_box_alone(game):
    wild = game("catching", {**CATCH, "party_size": 6})
    assert frame(wild, box_count=4) == (1, False)
    assert wild.console.read(RAM["party_size"]) == 6


@pytest.mark.parametrize("change", [{"box_count": 2}, {"box_count": 5}, {"owned_2": 0b0000}])
def test_what_is_no_catch(game, change):
    assert frame(game("catching", CATCH), **change) == (0, False)


TETRIS = imported.all_facts()["tetris"].ram


@pytest.fixture
def falling_blocks():
    """Tetris's rules over the title of a ROM of ours, which START leaves as it leaves Tetris's menu."""
    game = GameBoy(tetris.rules(rom("duel"), TETRIS, state()))
    yield game
    game.close()


def test_tetris_is_begun_from_its_menu_after_a_random_wait_and_ends_when_it_is_no_longer_played(falling_blocks):
    first = falling_blocks.reset(seed=0)
    assert first.std() > 0
    assert (falling_blocks.reset(seed=0) == first).all()
    console = falling_blocks.console
    console.write(TETRIS["phase"], 0)
    # Little-endian BCD, three bytes: 001234.
    for address, value in ((49312, 0x34), (49313, 0x12), (49314, 0x00)):
        console.write(Variable(address), value)
    assert falling_blocks.step(NOTHING)[1:] == (1234, False, False)
    console.write(Variable(49313), 0x20)
    assert falling_blocks.step(NOTHING)[1:] == (800, False, False)
    console.write(TETRIS["phase"], 13)
    assert falling_blocks.step(NOTHING)[1:] == (0, True, False)
    assert falling_blocks.progress.losses == 1


def test_tetris_counts_nothing_that_happened_before_it_began(falling_blocks):
    falling_blocks.reset(seed=1)
    falling_blocks.console.write(Variable(49312), 0x99)
    falling_blocks.reset()
    assert falling_blocks.step(NOTHING)[1] == 0
