"""Duel, our own game of turn-based battles (homebrew/duel.c): 40 battles and 20 wild creatures to catch, in order.

Waiting loses nothing in it, as in Pokémon, whose rules for rewards it shares (see `pokemon`).
"""

from functools import cache

from rtrl_jax.environments.encounters import judge_battle, judge_catch
from rtrl_jax.environments.gameboy import Console, Game, Variable
from rtrl_jax.environments.homebrew import rom, stored_states

SEED = Variable(0xC000, "<u2")
WANTED_MODE, ENCOUNTER, PHASE, IN_BATTLE = (Variable(0xC010 + i) for i in range(4))
MODES = {"battles": (2, 40), "catching": (1, 20)}  # the game's number for it, and how many encounters there are
MENU = 2  # a phase
TEAM = 3


def game(setting: str) -> Game:
    """Args: setting: "battles" or "catching"."""
    if setting == "battles":
        ram = {f"own_hp_{i}": Variable(0xC020 + 2 * i, "<u2") for i in range(TEAM)}
        ram |= {f"foe_hp_{i}": Variable(0xC026 + 2 * i, "<u2") for i in range(TEAM)}
    else:
        ram = {"in_battle": IN_BATTLE, "box_count": Variable(0xC016), "owned_0": Variable(0xC017)}

    def begin(console: Console, encounter: int, rng) -> None:
        console.restore(states(setting)[encounter])
        console.write(SEED, int(rng.integers(1, 1 << 16)))

    return Game(rom("duel"), ram, begin, judge_battle if setting == "battles" else judge_catch, MODES[setting][1])


@cache
def states(setting: str) -> list[bytes]:
    """The save states of a setting's encounters, in order: each at the first choice of a move."""
    return stored_states(f"duel-{setting}")


def make_states(setting: str) -> list[bytes]:
    """Plays the ROM from power-on to the first menu of each encounter. What `make states` stores."""
    mode, encounters = MODES[setting]
    console = Console(rom("duel"))
    console.step(frames=60)
    title, found = console.save(), []
    for encounter in range(encounters):
        console.restore(title)
        console.write(ENCOUNTER, encounter)
        console.write(WANTED_MODE, mode)
        while console.read(PHASE) != MENU:
            console.step("A")
            console.step(frames=3)
        console.step(frames=10)
        found.append(console.save())
    console.close()
    return found
