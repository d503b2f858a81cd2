"""What it takes to act with a checkpoint: its parameters and its manifest."""

import pathlib
from typing import NamedTuple

import numpy as np

from rtrl_jax.checkpoints import store


class Policy(NamedTuple):
    manifest: dict  # see `writer.describe`, with `tick` and `updates`
    leaves: list[np.ndarray]  # parameters in the order of jax.tree.leaves


def load_policy(path: pathlib.Path) -> Policy:
    """Reads a checkpoint, or the newest of a run's folder. Raises UserError if there is none or it is damaged."""
    checkpoint = store.find(pathlib.Path(path))
    manifest = store.read_manifest(checkpoint)
    return Policy(manifest, store.read_leaves(checkpoint)["parameters"])
