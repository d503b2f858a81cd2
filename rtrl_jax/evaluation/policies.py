"""From a checkpoint to greedy actions: of one observation at a time, or of a batch."""

from dataclasses import replace

import jax
import numpy as np

from rtrl_jax import actions
from rtrl_jax.checkpoints import Policy
from rtrl_jax.core import model as models
from rtrl_jax.core.model import Model
from rtrl_jax.environments import Spec
from rtrl_jax.errors import UserError
from rtrl_jax.evaluation.timing import settings_of
from rtrl_jax.networks import fast, runtime


def model_of(manifest: dict, spec: Spec) -> Model:
    """The model whose parameters a checkpoint holds. It convolves as in the run, whose settings say how, if this machine can."""
    there = manifest["network"]
    model = Model(settings_of(manifest), spec, there["name"], there["width"])
    try:
        return models.planned(model)
    except UserError:  # the same values by other ways, but for rounding
        return models.planned(replace(model, settings=replace(model.settings, plan=None)))


def version(manifest: dict) -> list:
    """What tells one checkpoint of a run from another."""
    return [manifest["tick"], manifest["updates"]]


def check_fit(policy: Policy, environment: str, spec: Spec) -> None:
    """Raises UserError if the policy does not fit the environment, or its parameters are not those of its network."""
    manifest = policy.manifest
    trained_on, shape = manifest["environment"], tuple(manifest["observation_shape"])
    before = actions.from_plain(manifest["actions"])
    if before != spec.actions:
        raise UserError(
            f"the checkpoint has {actions.words(before)} ({trained_on}) and {environment} has {actions.words(spec.actions)}: "
            "evaluate it elsewhere"
        )
    if shape != tuple(spec.observation_shape):
        raise UserError(
            f"the checkpoint takes observations of {list(shape)} ({trained_on}) and {environment} has "
            f"{list(spec.observation_shape)}: evaluate it elsewhere"
        )
    wanted = [leaf.shape for leaf in jax.tree.leaves(model_of(manifest, spec).shapes)]
    if wanted != [leaf.shape for leaf in policy.leaves]:
        raise UserError("the checkpoint's parameters are not those of the network it names: it is damaged")


def batched_actions(policy: Policy, model: Model, rows: int):
    """The policy as a function of batches of that many rows.

    A batch of one is computed as a run acts, with filters prepared; more rows as a run learns, which takes half the time
    a row; more rows of a noisy agent one after another, since each has noise of its own.

    Returns:
      ([rows, *shape, depth * c] observations or `Seen`, [rows] uint32 seeds) -> [rows] actions, as numpy arrays. A row's
      action does not depend on what is in the other rows, nor on which row it is.
    """
    runtime.configure()
    values = jax.device_put(jax.tree.unflatten(model.structure, policy.leaves))
    if model.fast and (rows == 1 or model.variant.noisy):
        prepared = [jax.device_put(np.asarray(array)) for array in model.prepare(values)]
        tree, act = fast.with_prepared(values, prepared, model.fast), jax.jit(model.acting_agent().act)

        def one_by_one(observations, seeds):
            each = [jax.tree.map(lambda leaf, row=row: leaf[row], observations) for row in range(rows)]
            return np.array(
                [np.asarray(act(tree, observation, seed)) for observation, seed in zip(each, seeds, strict=True)]
            )

        return one_by_one
    agent = model.variant.make(_in_batches(fast.learning(model.module, model.fast))) if model.fast else None
    agent = agent or model.learning_agent()
    act = jax.jit(jax.vmap(agent.act, in_axes=(None, 0, 0)))
    return lambda observations, seeds: np.asarray(act(values, observations, seeds))


def _in_batches(apply):
    """A function like `apply` that `jax.vmap` gives the whole batch at once, which fast networks are made for."""

    @jax.custom_batching.custom_vmap
    def answer(parameters, observation):
        return apply({"params": parameters}, observation)

    @answer.def_vmap
    def answer_all(rows, batched, parameters, observations):  # [rows, 1, *shape]; the parameters are the same for all
        del rows, batched
        return apply({"params": parameters}, jax.tree.map(lambda leaf: leaf[:, 0], observations))[:, None], True

    return lambda variables, observation: answer(variables["params"], observation)
