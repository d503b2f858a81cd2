"""Two Game Boy games of our own, in C: Duel and Stacks. `make` in this folder builds the ROMs that lie beside it."""

import pathlib

FOLDER = pathlib.Path(__file__).parent


def rom(name: str) -> str:
    """Path of a game's ROM."""
    return str(FOLDER / f"{name}.gb")
