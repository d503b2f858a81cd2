"""Pokémon Blue, Red and Yellow: battles and catching, from the user's own ROM and the paper's save states (section 5.1).

Where its figures lie in RAM is in `games/pokemon-*.json`; what they are worth is in `encounters`, which Duel shares.
"""

from rtrl_jax.environments import imported
from rtrl_jax.environments.encounters import judge_battle, judge_catch
from rtrl_jax.environments.gameboy import Console, Game


def game(name: str, setting: str) -> Game:
    """Args: name: "pokemon-blue", "pokemon-red" or "pokemon-yellow". setting: "battles" or "catching"."""
    facts, states = imported.ready(name, setting)
    return rules(str(facts.rom_path), facts.ram, setting, states)


def rules(rom: str, ram: dict, setting: str, states: list[bytes]) -> Game:
    """The game with these save states as its encounters."""
    wanted = ("own_hp_", "foe_hp_") if setting == "battles" else ("in_battle", "box_count", "owned_")
    looked_at = {name: variable for name, variable in ram.items() if name.startswith(wanted)}

    def begin(console: Console, encounter: int, rng) -> None:
        console.restore(states[encounter])

    return Game(rom, looked_at, begin, judge_battle if setting == "battles" else judge_catch, len(states))
