"""The paper's ResNets once more, on the same parameters as the Flax module, with each convolution computed as a plan says."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from rtrl_jax.networks.fast import convolution
from rtrl_jax.networks.fast.plan import Plan
from rtrl_jax.networks.fast.stage import stage
from rtrl_jax.networks.heads import Heads, action_values
from rtrl_jax.networks.resnet import POOLING_STRIDES, ResNet, max_pool


class _Head(nn.Module):
    """The last layers alone; the names of their parameters are those in the whole network."""

    actions: int
    heads: Heads

    @nn.compact
    def __call__(self, features):
        return action_values(features, self.actions, 512, self.heads)


def acting(network: ResNet, plan: Plan):
    """A function like `network.apply`, for snapshots: whose convolutions have "prepared" where they have been prepared."""

    def convolve(parameters, x, layer: int, padded: bool):
        filters = parameters["prepared" if layer in plan.prepared else "kernel"]
        return convolution.convolve(x, filters, padded, plan.acting[layer])

    return _apply(network, plan, convolve)


def learning(network: ResNet, plan: Plan):
    """A function like `network.apply`, for batches, with fast gradients."""

    def convolve(parameters, x, layer: int, padded: bool):
        return convolution.differentiable(padded, plan.learning[layer])(x, parameters["kernel"])

    return _apply(network, plan, convolve)


def kernels(parameters, plan: Plan) -> list:
    """Of a tree of parameters, what `prepare` takes."""
    return [parameters[f"Conv_{layer}"]["kernel"] for layer in plan.prepared]


def prepare(kernels: list, plan: Plan) -> list:
    """The arrays that a snapshot holds for `acting` besides the parameters: of numpy if the kernels are."""
    return [
        convolution.prepare(kernel, plan.acting[layer]) for layer, kernel in zip(plan.prepared, kernels, strict=True)
    ]


def with_prepared(parameters, prepared: list, plan: Plan):
    """The tree that `acting` takes, of a snapshot's two parts."""
    tree = dict(parameters)
    for layer, array in zip(plan.prepared, prepared, strict=True):
        tree[f"Conv_{layer}"] = {"bias": tree[f"Conv_{layer}"]["bias"], "prepared": array}
    return tree


def _apply(network: ResNet, plan: Plan, convolve):
    bias_shape = (-1, 1, 1) if plan.planes else (-1,)
    head = _Head(network.actions, network.heads)

    def apply(variables, observation: jax.Array, **generators):
        parameters = variables["params"]
        layers = iter(range(len(plan.acting)))

        def layer(x, padded: bool = True):
            number = next(layers)
            own = parameters[f"Conv_{number}"]
            return convolve(own, x, number, padded), own["bias"].reshape(bias_shape)

        x = stage(lambda pixels: pixels.astype(jnp.float32) / 255)(observation)
        x = jnp.moveaxis(x, 3, 1) if plan.planes else x
        for stride in POOLING_STRIDES[network.blocks]:
            x, bias = layer(x, padded=False)
            axes = (2, 3) if plan.planes else (1, 2)
            x = _pool(x, stride, axes)
            x = stage(jnp.add)(x, bias)  # the largest stays the largest
            for _ in range(2):
                y, bias = layer(stage(nn.relu)(x))
                y, last = layer(stage(_biased_relu)(y, bias))
                x = stage(_add)(x, y, last)
        x = jnp.moveaxis(nn.relu(x), 1 if plan.planes else 3, 3)
        last_layers = {name: own for name, own in parameters.items() if not name.startswith("Conv_")}
        return head.apply({"params": last_layers}, x.reshape(x.shape[0], -1), **generators)

    return apply


def _biased_relu(x, bias):
    return nn.relu(x + bias)


def _add(x, y, bias):
    return x + y + bias


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _pool(x, stride, axes):
    return stage(partial(max_pool, stride=stride, axes=axes))(x)


def _remember(x, stride, axes):
    return _pool(x, stride, axes), x


def _pool_backward(stride, axes, x, dy):
    # All of it anew from x: autodiff would keep two masks of numbers for each maximum.
    return (stage(lambda x, dy: jax.vjp(partial(max_pool, stride=stride, axes=axes), x)[1](dy)[0])(x, dy),)


_pool.defvjp(_remember, _pool_backward)
