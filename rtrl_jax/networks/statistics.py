"""Running statistics of what is seen: each update moves them by its batch, in the same program that moves the parameters.

Who writes: the learner with the turn, as it writes parameters. Who reads: whoever pins a snapshot. So nothing is shared that was
not shared before, and nothing can tear: statistics and parameters are committed by one flip (`board.snapshots`). The replay keeps
observations as they were; a gradient is taken with the statistics of before and of its own batch, for the online and the target
network alike, and carries the batch's, in their places in its tree, to whoever applies it. With several learners each batch is
so counted once, in the order of updates, and a virtual run repeats to the byte.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from rtrl_jax.networks.inputs import STATISTICS, Inputs, scaled
from rtrl_jax.pending import parts

MOST = float(1 << 20)  # observations: what is older counts less and less


def moments(observation, inputs: Inputs) -> dict:
    """Of a batch [B, …]: mean and variance [numbers on the last axis], count [1], B."""
    x = scaled(parts(observation)[0], inputs)
    others = tuple(range(x.ndim - 1))
    return {"mean": x.mean(others), "variance": x.var(others), "count": jnp.full(1, x.shape[0], jnp.float32)}


def merged(before: dict, more: dict) -> dict:
    """Of two samples the moments of both together (Chan, Golub and LeVeque 1979), of which `MOST` count at most."""
    count = before["count"] + more["count"]
    share, apart = more["count"] / count, more["mean"] - before["mean"]
    variance = before["variance"] + share * (more["variance"] - before["variance"]) + share * (1 - share) * apart**2
    return {"mean": before["mean"] + share * apart, "variance": variance, "count": jnp.minimum(count, MOST)}


def changed(tree: dict, change: Callable[[dict], dict]) -> dict:
    """The tree with other statistics wherever it has some. Args: change: those that were there -> others."""
    return {
        name: change(leaf) if name == STATISTICS else changed(leaf, change) if isinstance(leaf, dict) else leaf
        for name, leaf in tree.items()
    }


def found(tree: dict) -> dict | None:
    """The first statistics in a tree: all that there are count the same observations."""
    for name, leaf in tree.items():
        if name == STATISTICS:
            return leaf
        if isinstance(leaf, dict) and (deeper := found(leaf)) is not None:
            return deeper
    return None


def gradients(plain: Callable, inputs: Inputs) -> Callable:
    """`agents.agent.gradients` of an agent whose network has statistics; as it is if it has none."""
    if not inputs.measured:
        return plain

    def compute(parameters, target_parameters, batch, seed):
        its = moments(batch.observation, inputs)
        parameters = changed(parameters, lambda before: merged(before, its))
        target_parameters = changed(target_parameters, lambda _: found(parameters))
        grads, *said = plain(parameters, target_parameters, batch, seed)
        return changed(grads, lambda _: its), *said

    return compute


def apply_gradients(plain: Callable, inputs: Inputs) -> Callable:
    """`agents.agent.apply_gradients` likewise."""
    if not inputs.measured:
        return plain

    def apply(parameters, optimiser_state, grads):
        its = found(grads)
        grads = changed(
            grads, lambda leaf: jax.tree.map(jnp.zeros_like, leaf)
        )  # the optimiser leaves them where they are
        parameters, *rest = plain(parameters, optimiser_state, grads)
        return changed(parameters, lambda before: merged(before, its)), *rest

    return apply
