"""Finds the fastest way of each convolution by trying all of them on this machine: seconds at k = 1, minutes at k = 29."""

import time

import jax
import numpy as np

from rtrl_jax.networks.fast import convolution
from rtrl_jax.networks.fast.plan import PLANES_UP_TO, Plan, Shape, by_rule, shapes
from rtrl_jax.networks.resnet import ResNet


def measure(network: ResNet, observation_shape, seconds: float = 0.1) -> tuple[Plan, list[dict[str, float]]]:
    """Only the ways of acting are chosen so; those of learning stay the rule's.

    Args:
      seconds: for each way of each different convolution.

    Returns:
      (plan, for each convolution the milliseconds of each way).
    """
    rule, found = by_rule(network, observation_shape), shapes(network, observation_shape)
    if max(shape.outputs for shape in found) <= PLANES_UP_TO:
        return rule, [{} for _ in found]
    times = {shape: _times_ms(shape, seconds) for shape in set(found)}
    best = tuple(min(times[shape], key=times[shape].get) for shape in found)
    return Plan(best, rule.learning), [times[shape] for shape in found]


def _times_ms(shape: Shape, seconds: float) -> dict[str, float]:
    rng = np.random.default_rng(0)
    x = jax.device_put(rng.standard_normal((1, shape.size, shape.size, shape.inputs), np.float32))
    kernel = rng.standard_normal((3, 3, shape.inputs, shape.outputs), np.float32)
    ways = [way for way in convolution.WAYS if way != "shifts" or shape.inputs <= 4]
    steps = {way: _step(x, kernel, shape.padded, way) for way in ways}
    times = {way: [] for way in ways}
    end = time.perf_counter() + seconds * len(ways)
    while not times[ways[0]] or time.perf_counter() < end:
        for way in ways:
            began = time.perf_counter()
            jax.block_until_ready(steps[way]())
            times[way].append(1e3 * (time.perf_counter() - began))
    return {way: min(taken) for way, taken in times.items()}  # what disturbs only makes it longer


def _step(x, kernel, padded: bool, way: str):
    prepared = jax.device_put(convolution.prepare(kernel, way))
    compiled = jax.jit(lambda x, prepared: convolution.convolve(x, prepared, padded, way))
    jax.block_until_ready(compiled(x, prepared))
    return lambda: compiled(x, prepared)
