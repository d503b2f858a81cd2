"""Two Game Boy games of our own, in C: Duel and Stacks. `make` in this folder builds the ROMs and save states beside it."""

import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).parent


def rom(name: str) -> str:
    """Path of a game's ROM."""
    return str(FOLDER / f"{name}.gb")


def stored_states(name: str) -> list[bytes]:
    """The save states that lie beside the ROMs under a name, in order."""
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as stored:
        return [row.tobytes() for row in stored["states"]]
