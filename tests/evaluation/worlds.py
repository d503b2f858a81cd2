"""Worlds for tests of evaluation: one that records what is done to it, and a checkpoint on disk."""

import pathlib

import numpy as np

from rtrl_jax.checkpoints import store
from rtrl_jax.environments import Environment, Spec

NOTHING = 9  # the recorder's β


class Recorder(Environment):
    """Its frames are the number of the observation; it keeps the actions and ends after `length` ticks."""

    def __init__(self, length: int):
        self.spec = Spec((1,), "float32", 5, NOTHING, 50.0, 1e-3)
        self._length = length
        self.actions, self.seeds = [], []

    def reset(self, seed: int | None = None):
        self.seeds.append(seed)
        self.actions = []
        return np.zeros(1, np.float32)

    def step(self, action: int):
        self.actions.append(action)
        n = len(self.actions)
        return np.full(1, n, np.float32), float(n), n == self._length, False

    def close(self) -> None:
        pass


def write_checkpoint(folder: pathlib.Path, environment: str, *, name="mlp", width=1.0, frame_stack=1, seed=0, **other):
    """A checkpoint of a network that has learned nothing."""
    import jax

    from rtrl_jax import environments, networks
    from rtrl_jax.networks import parameters

    made = environments.make(environment)
    spec = made.spec
    made.close()
    *shape, channels = spec.observation_shape
    module = networks.build(name, spec.actions, width)
    tree = parameters.shapes(module, (*shape, channels * frame_stack), spec.observation_dtype)
    manifest = {
        "environment": environment,
        "tick": 1000,
        "updates": 10,
        "settings": {"frame_stack": frame_stack},
        "network": {"name": name, "width": width, "dueling": False, "noisy": False, "atoms": 1},
        "observation_shape": spec.observation_shape,
        "actions": spec.actions,
        **other,
    }
    leaves = jax.tree.leaves(parameters.initialise(tree, seed))
    store.write(folder, manifest, {"parameters": leaves}, {}, {})
    return folder
