"""The Game Boy games by their environments' names."""

from rtrl_jax.environments import duel, pokemon, stacks, tetris
from rtrl_jax.environments.gameboy import GameBoy


def game(name: str) -> GameBoy:
    """Args: name: one of `environments.GAME_BOY`. Raises UserError if its ROM is the user's own and not here."""
    family, _, setting = name.partition("/")
    if family != "gameboy":
        return GameBoy(pokemon.game(family, setting))
    if setting == "tetris":
        return GameBoy(tetris.game())
    if setting == "stacks":
        return GameBoy(stacks.game())
    return GameBoy(duel.game(setting.removeprefix("duel-")))
