"""From a checkpoint to greedy actions for a batch of observations."""

import jax
import numpy as np

from rtrl_jax import networks
from rtrl_jax.agents.agent import Agent
from rtrl_jax.agents.variant import Variant, variant_of
from rtrl_jax.checkpoints import Policy
from rtrl_jax.environments import Spec
from rtrl_jax.errors import UserError
from rtrl_jax.networks import parameters, runtime
from rtrl_jax.settings import Settings


def agent_of(manifest: dict) -> Agent:
    """The agent whose parameters a checkpoint holds."""
    return _variant(manifest).make(_network(manifest).apply)


def _variant(manifest: dict) -> Variant:
    return variant_of(Settings(**manifest["settings"]))


def _network(manifest: dict):
    there, scale = manifest["network"], manifest["settings"].get("input_scale", "unit")
    return networks.build(there["name"], manifest["actions"], there["width"], _variant(manifest).heads(), scale)


def frame_stack(manifest: dict) -> int:
    """Frames that the network sees at once."""
    return int(manifest["settings"].get("frame_stack", 1))


def version(manifest: dict) -> list:
    """What tells one checkpoint of a run from another."""
    return [manifest["tick"], manifest["updates"]]


def check_fit(policy: Policy, environment: str, spec: Spec) -> None:
    """Raises UserError if the policy does not fit the environment, or its parameters are not those of its network."""
    manifest = policy.manifest
    trained_on, shape = manifest["environment"], tuple(manifest["observation_shape"])
    if manifest["actions"] != spec.actions:
        raise UserError(
            f"the checkpoint has {manifest['actions']} actions ({trained_on}) and {environment} has {spec.actions}: "
            "evaluate it elsewhere"
        )
    if shape != tuple(spec.observation_shape):
        raise UserError(
            f"the checkpoint takes observations of {list(shape)} ({trained_on}) and {environment} has "
            f"{list(spec.observation_shape)}: evaluate it elsewhere"
        )
    wanted = [leaf.shape for leaf in jax.tree.leaves(_shapes(manifest, spec.observation_dtype))]
    if wanted != [leaf.shape for leaf in policy.leaves]:
        raise UserError("the checkpoint's parameters are not those of the network it names: it is damaged")


def batched_actions(policy: Policy, dtype: str):
    """The policy as a compiled function of batches, which should all have the same size.

    Returns:
      ([B, *shape, depth * c] observations, [B] uint32 seeds) -> [B] int actions, as numpy arrays. A row's action
      does not depend on what is in the other rows.
    """
    runtime.configure()
    tree = _shapes(policy.manifest, dtype)
    values = jax.device_put(jax.tree.unflatten(jax.tree.structure(tree), policy.leaves))
    act = jax.jit(jax.vmap(agent_of(policy.manifest).act, in_axes=(None, 0, 0)))
    return lambda observations, seeds: np.asarray(act(values, observations, seeds))


def _shapes(manifest: dict, dtype: str):
    *shape, channels = manifest["observation_shape"]
    return parameters.shapes(_network(manifest), (*shape, channels * frame_stack(manifest)), dtype)
