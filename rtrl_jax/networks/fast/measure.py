"""Finds the fastest way of each convolution by trying all of them on this machine: half a minute at k = 1, minutes at k = 29."""

import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from rtrl_jax.networks.fast import convolution, native
from rtrl_jax.networks.fast.plan import SHIFTS_UP_TO, Plan, Shape, by_rule, shapes, within_memory
from rtrl_jax.networks.resnet import ResNet

HOPELESS = 3  # times as slow as the fastest so far in a first look: not measured further
WITHOUT = {"bfloat16": ("F4",), "int8": ("F2", "F4")}  # ways that would lose too much
WORTH = 0.93  # of the time of the rule's way: what is hardly faster alone is no faster among the others


def measure(
    network: ResNet, observation_shape, batch_size: int, dtype: str, say=lambda line: None, seconds: float = 0.1
) -> tuple[Plan, list[list[dict[str, float]]]]:
    """Tries each way of each different convolution, of a network that has a choice (`Plan.planes` is not set).

    Args:
      say: told what is going on, a line at a time.
      seconds: for each way.

    Returns:
      (plan, for each convolution the milliseconds of each way: in acting, and of the three passes in learning).
    """
    found, rule = shapes(network, observation_shape), by_rule(network, observation_shape, dtype)
    times = {}
    for number, shape in enumerate(sorted(set(found), key=found.index)):
        say(f"Measuring convolution {number + 1} of {len(set(found))}: {shape.size}x{shape.size}x{shape.inputs} …")
        times[shape] = _times_ms(shape, batch_size, dtype, seconds)
    best = [
        [_best(*pair) for pair in zip((acting, *learning), times[shape], strict=True)]
        for acting, learning, shape in zip(rule.acting, rule.learning, found, strict=True)
    ]
    acting = within_memory(tuple(ways[0] for ways in best), found, dtype)
    return Plan(acting, tuple(tuple(ways[1:]) for ways in best), dtype), [times[shape] for shape in found]


def _best(of_rule: str, times: dict[str, float]) -> str:
    best = min(times, key=times.get, default=of_rule)
    return of_rule if of_rule in times and times[best] > WORTH * times[of_rule] else best


def _times_ms(shape: Shape, batch_size: int, dtype: str, seconds: float) -> list[dict[str, float]]:
    """Of each way, as it is used: with rectified inputs, bias and residual where the network has them."""
    rng = np.random.default_rng(0)
    size = shape.size if shape.padded else shape.size - 2

    def draw(*dimensions):
        return jnp.asarray(rng.standard_normal(dimensions, np.float32))

    kernel, turned = draw(3, 3, shape.inputs, shape.outputs), draw(3, 3, shape.outputs, shape.inputs)
    one, x = draw(shape.size, shape.size, 1, shape.inputs), draw(shape.size, shape.size, batch_size, shape.inputs)
    dy = draw(size, size, batch_size, shape.outputs)
    spread = dy if shape.padded else jnp.pad(dy, ((1, 1), (1, 1), (0, 0), (0, 0)))
    forward = [way for way in convolution.WAYS if way != "shifts" or shape.inputs <= SHIFTS_UP_TO]
    acting = [way for way in forward if dtype == "float32" or way not in WITHOUT[dtype]]
    if native.is_supported(dtype) and (dtype == "float32" or shape.inputs > SHIFTS_UP_TO):
        acting += [convolution.DIRECT] if dtype != "float32" else convolution.OWN
    # The gradient in the first layer's input is not asked for.
    backward = [way for way in convolution.WAYS if way != "shifts"] if shape.inputs > 4 else []

    def convolve(kernel, padded, kept, way, rectify, *others):
        prepared = convolution.prepare(kernel, way, kept)
        how = {"rectify": rectify, "outputs": kernel.shape[3]}
        return lambda x: convolution.convolve(x, prepared, padded, way, convolution.add_all, *others, **how)

    def convolved(image, kept):
        added = (draw(shape.outputs), draw(size, size, image.shape[2], shape.outputs)) if shape.padded else ()
        return lambda way: (convolve(kernel, shape.padded, kept, way, shape.padded, *added), image)

    return [
        _race({way: convolved(one, dtype)(way) for way in acting}, seconds),
        _race({way: convolved(x, "float32")(way) for way in forward}, seconds),
        _race({way: (convolve(turned, True, "float32", way, False, x), spread) for way in backward}, seconds),
        _race(
            {
                way: (
                    partial(convolution.filter_gradient, padded=shape.padded, way=way, rectify=shape.padded),
                    x,
                    dy,
                )
                for way in convolution.GRADIENT_WAYS
            },
            seconds,
        ),
    ]


def _race(ways: dict, seconds: float) -> dict[str, float]:
    """The least milliseconds of each. Args: ways: name -> (function, its arguments)."""
    steps, times = {}, {}
    for way, (function, *arguments) in ways.items():
        compiled = jax.jit(function).lower(*arguments).compile()
        steps[way] = partial(compiled, *arguments)
        times[way] = min(_once_ms(steps[way]) for _ in range(3))  # the first waits for memory
        if times[way] > HOPELESS * min(times.values()):
            del steps[way]
    end = time.perf_counter() + seconds * len(steps)
    while time.perf_counter() < end:
        for way, step in steps.items():
            times[way] = min(times[way], _once_ms(step))  # what disturbs only makes it longer
    return times


def _once_ms(step) -> float:
    began = time.perf_counter()
    jax.block_until_ready(step())
    return 1e3 * (time.perf_counter() - began)
