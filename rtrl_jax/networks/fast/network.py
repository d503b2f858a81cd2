"""The paper's ResNets once more, on the same parameters as the Flax module, with each convolution computed as a plan says."""

import flax.linen as nn
import jax.numpy as jnp

from rtrl_jax.networks.fast import convolution, native
from rtrl_jax.networks.fast.plan import Plan
from rtrl_jax.networks.fast.pooling import pool
from rtrl_jax.networks.fast.stage import stage
from rtrl_jax.networks.heads import HIDDEN, Heads, answer
from rtrl_jax.networks.hidden import SOWN
from rtrl_jax.networks.inputs import STATISTICS, scaled, standardised
from rtrl_jax.networks.resnet import POOLING_STRIDES, ResNet
from rtrl_jax.pending import parts

WIDE = 1024  # inputs of a dense layer that is worth preparing: what it costs is reading its kernel


class _LastLayers(nn.Module):
    """The last layers alone; the names of their parameters are those in the whole network."""

    actions: int
    heads: Heads

    @nn.compact
    def __call__(self, features, seen):
        return answer(features, seen, self.actions, HIDDEN, self.heads)


def acting(network: ResNet, plan: Plan):
    """A function like `network.apply`, for snapshots: whose convolutions have "prepared" where they have been prepared."""

    def convolve(layer: int, own, x, *others, after=convolution.add_all, padded: bool = True, rectify: bool = False):
        filters = own["prepared" if layer in plan.prepared else "kernel"]
        how = {"rectify": rectify, "outputs": own["bias"].shape[0]}
        return convolution.convolve(x, filters, padded, plan.acting[layer], after, *others, **how)

    def pair(layer: int, one, two, x):
        y = convolve(layer, one, x, one["bias"], after=convolution.biased_relu, rectify=True)
        return convolve(layer + 1, two, y, two["bias"], x), y

    return _apply(network, plan, convolve, pair)


def learning(network: ResNet, plan: Plan):
    """A function like `network.apply`, for batches, with fast gradients."""

    def convolve(layer: int, own, x, *others, padded: bool = True, rectify: bool = False):
        return convolution.differentiable(padded, plan.learning[layer], rectify, x, own["kernel"], *others)

    def pair(layer: int, one, two, x):
        # Each takes the positive part of what it gets, so that its gradient can be masked in passing.
        y = convolve(layer, one, x, one["bias"], rectify=True)
        return convolve(layer + 1, two, y, two["bias"], x, rectify=True), y

    return _apply(network, plan, convolve, pair)


def kernels(parameters, plan: Plan) -> list:
    """Of a tree of parameters, what `prepare` takes."""
    return [parameters[name]["kernel"] for name in _prepared_layers(parameters, plan)]


def prepare(kernels: list, plan: Plan) -> list:
    """The arrays that a snapshot holds for `acting` besides the parameters: of numpy if the kernels are."""
    ways = [plan.acting[layer] for layer in plan.prepared]
    ways += [convolution.DIRECT] * (len(kernels) - len(ways))
    return [convolution.prepare(kernel, way, plan.dtype) for kernel, way in zip(kernels, ways, strict=True)]


def with_prepared(parameters, prepared: list, plan: Plan):
    """The tree that `acting` takes, of a snapshot's two parts."""
    tree = dict(parameters)
    for name, array in zip(_prepared_layers(parameters, plan), prepared, strict=True):
        tree[name] = {"bias": tree[name]["bias"], "prepared": array}
    return tree


def _prepared_layers(parameters, plan: Plan) -> list[str]:
    """Names of the convolutions whose filters are prepared, and of dense layers after them if those multiply short numbers."""
    found = [f"Conv_{layer}" for layer in plan.prepared]
    if plan.dtype != "float32" and convolution.DIRECT in plan.acting:
        shapes = {name: own["kernel"].shape for name, own in parameters.items() if "kernel" in own}
        wide = sorted(name for name, shape in shapes.items() if len(shape) == 2 and shape[0] >= WIDE)
        found += [
            name for name in wide if name == "trunk" or "trunk" not in shapes
        ]  # after a trunk comes a head, which Flax computes
    return found


def _dense(call, arguments, names, context):
    """A layer after the convolutions; what Flax asks instead of it."""
    layer = context.module
    if not (isinstance(layer, nn.Dense) and layer.has_variable("params", "prepared")):
        return call(*arguments, **names)
    (x,), own = arguments, layer.variables["params"]
    return native.dense(x, own["prepared"], own["bias"])


def _apply(network: ResNet, plan: Plan, convolve, pair):
    """Args:
    convolve: (layer, its parameters, x, padded=) -> its convolution, without bias.
    pair: (layer, its parameters, the next one's, x) -> (x after a residual pair, what its second relu takes).
    """
    order = (0, 3, 1, 2) if plan.planes else (1, 2, 0, 3)
    back = (0, 2, 3, 1) if plan.planes else (2, 0, 1, 3)
    channels = order.index(3)
    head = _LastLayers(network.actions, network.heads)

    def look(observation, statistics=None):
        x = scaled(observation.transpose(order), network.inputs, channels)
        return standardised(x, statistics, network.inputs, channels)

    def apply(variables, observation, mutable=False, **generators):
        observation, all_seen = parts(observation)
        parameters, layer, relus = variables["params"], 0, []  # what each relu takes
        own = [parameters[f"Conv_{number}"] for number in range(len(plan.acting))]
        x = stage(look)(observation, *([parameters[STATISTICS]] if network.inputs.measured else []))
        for stride in POOLING_STRIDES[network.blocks]:
            x = convolve(layer, own[layer], x, padded=False)
            x = _pool(x, own[layer]["bias"], stride, plan.planes)
            for first in (layer + 1, layer + 3):
                before, (x, between) = x, pair(first, own[first], own[first + 1], x)
                relus += [before, between]
            layer += 5
        relus.append(x)
        x = nn.relu(x).transpose(back)
        last_layers = {name: own for name, own in parameters.items() if not name.startswith(("Conv_", STATISTICS))}
        with nn.intercept_methods(_dense):
            found = head.apply(
                {"params": last_layers}, x.reshape(x.shape[0], -1), all_seen, mutable=mutable, **generators
            )
        if not mutable:
            return found
        found, seen = found
        channels_last = [jnp.moveaxis(x, 1, -1) if plan.planes else x for x in relus]
        return found, {SOWN: {"head": seen[SOWN], "convolutions": [nn.relu(x) for x in channels_last]}}

    return apply


def _pool(x, bias, stride: int, planes: bool):
    if planes:
        return pool(x, bias.reshape(1, -1, 1, 1), stride, (2, 3))
    height, width, batch, channels = x.shape
    y = pool(x.reshape(height, width, -1), jnp.tile(bias, batch).reshape(1, 1, -1), stride, (0, 1))
    return y.reshape(*y.shape[:2], batch, channels)
