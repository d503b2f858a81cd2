"""Checkpoints, as far as evaluation needs them: the policy in a folder of manifest.json and parameters.npz."""

import json
import pathlib
import zipfile
from typing import NamedTuple

import numpy as np

from rtrl_jax.errors import UserError


class Policy(NamedTuple):
    """What plays: enough to build its network again, and its parameters."""

    manifest: dict  # environment, network, observation_shape (of one frame), actions, settings, tick, updates
    leaves: list[np.ndarray]  # in the order of jax.tree.leaves


def load_policy(path: pathlib.Path) -> Policy:
    """Raises UserError if there is no checkpoint, or none that can be read."""
    try:
        manifest = json.loads((path / "manifest.json").read_text())
        with np.load(path / "parameters.npz", allow_pickle=False) as arrays:
            return Policy(manifest, [arrays[f"{i:06d}"] for i in range(len(arrays))])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        raise UserError(f"--checkpoint={path}: there is no checkpoint that can be read") from None
