"""Which way each convolution of a network is computed: by rules that held where this was measured, or as measured here."""

import json
import os
import pathlib
from typing import NamedTuple

import jax
import jaxlib

from rtrl_jax.networks.fast import native
from rtrl_jax.networks.fast.convolution import (
    ACTING_WAYS,
    DIRECT,
    FUSED,
    GRADIENT_WAYS,
    OWN,
    PLANES,
    PREPARED_WAYS,
    WAYS,
    WINOGRAD,
)
from rtrl_jax.networks.fast.machine import cache_folder, processor_name
from rtrl_jax.networks.resnet import LEAST, POOLING_STRIDES, ResNet

PLANES_UP_TO = 4  # filters
SHIFTS_UP_TO = 4  # inputs
DIRECT_UP_TO = {"float32": 15, "bfloat16": 64, "int8": 1 << 30}  # inputs; beyond them Winograd saves more
# Inputs, by instructions: with AVX-512 XLA multiplies large matrices better.
FUSED_UP_TO = {"avx512f": 64, "avx2": 224}
REVISION = 4  # of the ways' code: with another, what was measured counts no more
MOST_PREPARED = 2 << 30  # bytes of each snapshot: transformed filters are 1.8 (F2) or 4 (F4) times the kernels


class Shape(NamedTuple):
    """Of a convolution's input, and how many outputs it has."""

    size: int  # rows and columns
    inputs: int
    outputs: int
    padded: bool


class Plan(NamedTuple):
    acting: tuple[str, ...]  # for each convolution its way, one image at a time
    learning: tuple[tuple[str, str, str], ...]  # for batches: of the convolution, its input's gradient, its kernel's
    dtype: str = "float32"  # of Winograd's and our own products in acting

    @property
    def planes(self) -> bool:
        """Whether channels come before rows."""
        return self.acting[0] == PLANES

    @property
    def prepared(self) -> list[int]:
        """The convolutions whose filters are transformed in advance."""
        return [layer for layer, way in enumerate(self.acting) if way in PREPARED_WAYS]


def shapes(network: ResNet, observation_shape) -> list[Shape]:
    """Of all convolutions. Args: observation_shape: [size, size, channels]."""
    size, _, channels = observation_shape
    found = []
    for block, stride in enumerate(POOLING_STRIDES[network.blocks]):
        filters = max(1, int((16 if block == 0 else 32) * network.width))
        found.append(Shape(size, channels, filters, False))
        size, channels = (size - 2 - 3) // stride + 1, filters
        found += [Shape(size, filters, filters, True)] * 4
    return found


def choose(network, observation_shape, batch_size: int, dtype: str = "float32") -> Plan | None:
    """What was measured on this machine if something was, else by rule; None, as Flax does, for networks that are not the
    paper's, and for images that are not square, or so small that blocks are padded.
    """
    if not isinstance(network, ResNet) or observation_shape[0] != observation_shape[1]:
        return None
    if min(shape.size for shape in shapes(network, observation_shape) if not shape.padded) < LEAST:
        return None
    kept = measured(network, observation_shape, batch_size, dtype)
    return kept[0] if kept else by_rule(network, observation_shape, dtype)


def by_rule(network: ResNet, observation_shape, dtype: str = "float32") -> Plan:
    """A good plan for any width, unmeasured."""
    found = shapes(network, observation_shape)
    if max(shape.outputs for shape in found) <= PLANES_UP_TO:  # sums over whole planes are the only way worth trying
        return Plan((PLANES,) * len(found), ((PLANES,) * 3,) * len(found), dtype)
    acting = tuple(_acting(shape, dtype) for shape in found)
    return Plan(within_memory(acting, found, dtype), tuple(_learning(shape) for shape in found), dtype)


def within_memory(acting: tuple[str, ...], found: list[Shape], dtype: str) -> tuple[str, ...]:
    """The same, or with smaller filters where all together would be too large for a snapshot.

    The last give way first: their images are the smallest and their filters the largest.
    """
    acting = list(acting)
    for layer in reversed(range(len(acting))):
        for smaller in ("F2", "xla"):
            if acting[layer] in WINOGRAD and _prepared_bytes(acting, found, dtype) > MOST_PREPARED:
                acting[layer] = smaller
    return tuple(acting)


def _prepared_bytes(acting, found: list[Shape], dtype: str) -> int:
    places = {way: (m + 2) ** 2 for way, m in WINOGRAD.items()} | {DIRECT: 9, FUSED: 36}
    return sum(
        4 // native.IN_WORD[dtype] * places[way] * shape.inputs * shape.outputs
        for way, shape in zip(acting, found, strict=True)
        if way in PREPARED_WAYS
    )


def _acting(shape: Shape, dtype: str) -> str:
    if shape.inputs <= SHIFTS_UP_TO:
        return "shifts" if shape.outputs < 64 else "xla"
    if shape.inputs <= DIRECT_UP_TO[dtype] and native.is_supported(dtype):
        return DIRECT
    if dtype == "float32" and native.is_supported(dtype) and shape.inputs <= FUSED_UP_TO[native.instructions(dtype)]:
        return FUSED
    if shape.outputs < 16 or dtype == "int8":
        return "xla"
    if dtype == "bfloat16":  # with F4 a hundredth of the values is lost, and as fast as with F2
        return "F2"
    # A small image does not repay reading larger filters.
    return "F4" if shape.size > 10 or shape.inputs < 512 else "F2"


def _learning(shape: Shape) -> tuple[str, str, str]:
    if shape.inputs <= SHIFTS_UP_TO:
        return ("shifts" if shape.outputs < 64 else "xla", "xla", "xla" if shape.outputs < 64 else "patches")
    return ("F4", "F4", "F4")


def _file(network: ResNet, observation_shape, batch_size: int, dtype: str) -> pathlib.Path:
    """Named after all that the choice depends on."""
    shape = "x".join(map(str, (*observation_shape, batch_size)))
    machine = f"{processor_name()}-{jax.__version__}-{jaxlib.__version__}-{REVISION}"
    return cache_folder() / "plans" / f"{network.blocks}blocks-{network.width:g}-{shape}-{dtype}-{machine}.json"


def measured(network: ResNet, observation_shape, batch_size: int, dtype: str) -> tuple[Plan, list] | None:
    """What `keep` has kept, if it can be read: (plan, times)."""
    try:
        stored = json.loads(_file(network, observation_shape, batch_size, dtype).read_text())
        plan = Plan(tuple(stored["acting"]), tuple(map(tuple, stored["learning"])), dtype)
        times = stored["times"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    layers = len(shapes(network, observation_shape))
    return (plan, times) if is_sound(plan, layers) and runs_here(plan) and len(times) == layers else None


def is_sound(plan: Plan, layers: int) -> bool:
    """Whether it has ways that there are, for so many convolutions."""
    if len(plan.acting) != layers or len(plan.learning) != layers:
        return False
    if PLANES in plan.acting:
        return set(plan.acting) == {PLANES} and set(plan.learning) == {(PLANES,) * 3}
    known = all(way in ACTING_WAYS for way in plan.acting) and not (
        (plan.dtype == "int8" and set(plan.acting) & {*WINOGRAD}) or (plan.dtype != "float32" and FUSED in plan.acting)
    )
    return known and all(a in WAYS and b in WAYS and c in GRADIENT_WAYS for a, b, c in plan.learning)


def runs_here(plan: Plan) -> bool:
    """Whether this machine has what its ways want."""
    return not set(plan.acting) & {*OWN} or native.is_supported(plan.dtype)


def keep(plan: Plan, times: list, network: ResNet, observation_shape, batch_size: int) -> pathlib.Path:
    """Makes it the plan of this network on this machine. Args: times: of `measure`."""
    path = _file(network, observation_shape, batch_size, plan.dtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps({"acting": plan.acting, "learning": plan.learning, "times": times}))
    partial.replace(path)  # another run may be reading it
    return path
