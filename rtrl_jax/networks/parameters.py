"""Parameters before and around training: their shapes, their number, their first values, and the width for a given number."""

import functools
import math

import flax.linen as nn
import jax
import numpy as np

from rtrl_jax import networks
from rtrl_jax.networks.heads import LAST, SIGMA_0
from rtrl_jax.pending import Seen


def shapes(network: nn.Module, observation_shape: tuple[int, ...], dtype: str):
    """The parameter tree with a `jax.ShapeDtypeStruct` at each leaf; computes nothing."""
    observation = jax.ShapeDtypeStruct((1, *observation_shape), dtype)
    if network.heads.pending is not None:
        told = network.heads.pending.nothing(1)
        told = jax.ShapeDtypeStruct(told.shape, told.dtype)
        observation = Seen(observation, told, observation if network.heads.pending.reflex else None)
    keys = {"params": jax.random.key(0), "noise": jax.random.key(0)}
    return jax.eval_shape(lambda x: network.init(keys, x), observation)["params"]


def count(tree) -> int:
    """How many numbers a parameter tree (or tree of shapes) holds."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def initialise(tree, seed: int, how: str = "lecun", zero_head: bool = False):
    """First values for a tree of shapes, as numpy arrays.

    Args:
      how: lecun, kernels normal of variance 1/p for p inputs and biases zero, as Flax has it; or pytorch, both uniform in
        ±1/√p, as that has it for dense layers and convolutions.
      zero_head: the last layer begins at zero, of a noisy one the means.

    In noisy layers of p inputs (Fortunato et al. 2018) the means are uniform in ±1/√p and the deviations SIGMA_0/√p.
    These are the distributions of the modules' own initialisers, without compiling them: that takes five seconds at start-up.
    """
    rng = np.random.default_rng([seed, 1])
    spread = 0.87962566103423978  # standard deviation of a normal truncated at two

    def first_value(path, leaf):
        name = path[-1].key
        layer = functools.reduce(lambda node, step: node[step.key], path[:-1], tree)
        if name == "scale":  # of a normalisation
            return np.ones(leaf.shape, np.float32)
        if zero_head and len(path) > 1 and path[-2].key.endswith(LAST) and not name.startswith("sigma_"):
            return np.zeros(leaf.shape, np.float32)
        if name.startswith(("mu_", "sigma_")):
            bound = 1 / math.sqrt(layer["mu_kernel"].shape[0])
            if name.startswith("sigma_"):
                return np.full(leaf.shape, SIGMA_0 * bound, np.float32)
            return rng.uniform(-bound, bound, leaf.shape).astype(np.float32)
        if how == "pytorch" and "kernel" in layer:
            bound = 1 / math.sqrt(math.prod(layer["kernel"].shape[:-1]))
            return rng.uniform(-bound, bound, leaf.shape).astype(np.float32)
        if name != "kernel":
            return np.zeros(leaf.shape, np.float32)
        values = rng.standard_normal(leaf.shape, np.float32)
        while (outside := np.abs(values) > 2).any():
            values[outside] = rng.standard_normal(int(outside.sum()), np.float32)
        return values * np.float32(math.sqrt(1 / math.prod(leaf.shape[:-1])) / spread)

    return jax.tree_util.tree_map_with_path(first_value, tree)


# The paper's names for its sizes (section 5 and Appendix A). They are rounded: "1M" has 0.90 M (15 layers) and 0.92 M (30).
PAPER_WIDTHS = {
    "resnet15": {55e3: 1 / 16, 1e6: 1, 10e6: 7, 100e6: 29, 1e9: 98},
    "resnet30": {70e3: 1 / 16, 1e6: 0.75, 10e6: 4.75, 100e6: 18.5, 1e9: 63},
}


def width_for(wanted: float, name: str, actions: int, observation_shape: tuple[int, ...], dtype: str) -> float:
    """The width k of the paper's network of that size, else the one that comes closest to `wanted` parameters.

    Widths are multiples of 1/16 below 2, of 1/4 below 16 and of 1 from there on, so that numbers of filters stay round.
    """
    if wanted in PAPER_WIDTHS.get(name, ()):
        return PAPER_WIDTHS[name][wanted]
    widths = [i / 16 for i in range(1, 32)] + [i / 4 for i in range(8, 64)] + list(range(16, 257))

    def parameters(width: float) -> int:
        return count(shapes(networks.build(name, actions, width), observation_shape, dtype))

    low, high = 0, len(widths) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if parameters(widths[middle]) <= wanted else (low, middle)
    return min(widths[low], widths[high], key=lambda width: abs(parameters(width) - wanted))


def parse_count(text: str) -> float:
    """'1M' -> 1e6; also K, B and plain numbers. Raises ValueError."""
    scale = {"K": 1e3, "M": 1e6, "B": 1e9}.get(text[-1:].upper())
    number = float(text[:-1]) * scale if scale else float(text)
    if not number > 0 or not math.isfinite(number):
        raise ValueError(text)
    return number
