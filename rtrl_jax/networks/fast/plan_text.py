"""A plan as text that a flag can hold, such as `shifts/shifts/xla/xla,F4:14`.

Commas are between convolutions, in their order. Of each it has the way in acting, and the three in learning (itself, its input's
gradient, its filters'), or one word if all four are the same; after a colon, how many such convolutions follow each other.
"""

import itertools

from rtrl_jax.networks.fast.convolution import ACTING_WAYS, FUSED, GRADIENT_WAYS, OWN, PLANES
from rtrl_jax.networks.fast.plan import PLANES_UP_TO, SHIFTS_UP_TO, Plan, Shape, is_sound, runs_here, shapes
from rtrl_jax.networks.resnet import ResNet

MOST_DIGITS = 3  # of a count
EXAMPLE = "shifts/shifts/xla/xla,F4:14"


def write(plan: Plan) -> str:
    """The shortest text that `read` reads as this plan, but for its dtype."""
    layers = [(acting, *learning) for acting, learning in zip(plan.acting, plan.learning, strict=True)]
    parts = []
    for ways, alike in itertools.groupby(layers):
        count = len(list(alike))
        parts.append((ways[0] if len(set(ways)) == 1 else "/".join(ways)) + (f":{count}" if count > 1 else ""))
    return ",".join(parts)


def read(text: str, network: ResNet, observation_shape, dtype: str = "float32") -> Plan:
    """Raises ValueError, with what is wrong as words, if it is no plan, or not one for this network."""
    layers = []
    for part in text.split(","):
        words, colon, count = part.partition(":")
        count = count if colon else "1"
        ways = tuple(words.split("/"))
        ways = 4 * ways if len(ways) == 1 else ways
        if len(ways) != 4 or not (count.isdecimal() and len(count) <= MOST_DIGITS):
            raise ValueError(f"it should look like {EXAMPLE}")
        for way in ways:
            if way not in (*ACTING_WAYS, PLANES):
                raise ValueError(f"no way to convolve is called {way!r}: there are {', '.join((*ACTING_WAYS, PLANES))}")
        layers += [ways] * int(count)
    found = shapes(network, observation_shape)
    if len(layers) != len(found):
        raise ValueError(f"it is for {len(layers)} convolutions, and this network has {len(found)}")
    plan = Plan(tuple(ways[0] for ways in layers), tuple(ways[1:] for ways in layers), dtype)
    if not is_sound(plan, len(found)):
        raise ValueError(
            f"{PLANES} is for all convolutions or for none, {' and '.join(OWN)} for acting alone, products of int8 are not "
            f"Winograd's, {FUSED} multiplies float32, and filters' gradients are {', '.join(GRADIENT_WAYS)}"
        )
    _check_shapes(plan, found)
    if not runs_here(plan):
        raise ValueError(f"{' and '.join(OWN)} need a C++ compiler and a processor that multiplies {dtype}")
    return plan


def _check_shapes(plan: Plan, found: list[Shape]) -> None:
    if plan.planes and max(shape.outputs for shape in found) > PLANES_UP_TO:
        raise ValueError(f"{PLANES} is for networks of at most {PLANES_UP_TO} filters")
    for layer, (shape, ways) in enumerate(zip(found, zip(plan.acting, plan.learning, strict=True), strict=True)):
        if "shifts" in (ways[0], *ways[1]) and shape.inputs > SHIFTS_UP_TO:
            raise ValueError(f"shifts is for at most {SHIFTS_UP_TO} inputs, and convolution {layer} has {shape.inputs}")
