"""Plays our ROMs to where each encounter begins and stores the save states. `make` in this folder calls it."""

import numpy as np

from rtrl_jax.environments import duel, stacks
from rtrl_jax.environments.homebrew import FOLDER


def main() -> None:
    made = {"stacks": stacks.make_states()} | {f"duel-{setting}": duel.make_states(setting) for setting in duel.MODES}
    for name, states in made.items():
        np.savez_compressed(
            FOLDER / f"{name}.npz", states=np.stack([np.frombuffer(state, np.uint8) for state in states])
        )
        print(f"{name}: {len(states)} save states")


if __name__ == "__main__":
    main()
