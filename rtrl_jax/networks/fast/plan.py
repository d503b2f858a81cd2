"""Which way each convolution of a network is computed: by rules that held where this was measured, or as measured here."""

import json
import os
import pathlib
import platform
from typing import NamedTuple

import jax
import jaxlib

from rtrl_jax.networks.fast.convolution import GRADIENT_WAYS, PLANES, WAYS, WINOGRAD
from rtrl_jax.networks.resnet import POOLING_STRIDES, ResNet

PLANES_UP_TO = 4  # filters
SHIFTS_UP_TO = 4  # inputs
REVISION = 1  # of the ways' code: with another, what was measured counts no more
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
    dtype: str = "float32"  # of Winograd's products in acting

    @property
    def planes(self) -> bool:
        """Whether channels come before rows."""
        return self.acting[0] == PLANES

    @property
    def prepared(self) -> list[int]:
        """The convolutions whose filters are transformed in advance."""
        return [layer for layer, way in enumerate(self.acting) if way in WINOGRAD]


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
    """What was measured on this machine if something was, else by rule; None for networks that are not the paper's."""
    if not isinstance(network, ResNet) or observation_shape[0] != observation_shape[1]:
        return None
    kept = measured(network, observation_shape, batch_size, dtype)
    return kept[0] if kept else by_rule(network, observation_shape, dtype)


def by_rule(network: ResNet, observation_shape, dtype: str = "float32") -> Plan:
    """A good plan for any width, unmeasured."""
    found = shapes(network, observation_shape)
    if max(shape.outputs for shape in found) <= PLANES_UP_TO:  # sums over whole planes are the only way worth trying
        return Plan((PLANES,) * len(found), ((PLANES,) * 3,) * len(found), dtype)
    acting = tuple(_acting(shape) for shape in found)
    if dtype == "bfloat16":  # with F4 a hundredth of the values is lost, and as fast as with F2
        acting = tuple("F2" if way == "F4" else way for way in acting)
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
    return sum(
        (2 if dtype == "bfloat16" else 4) * (WINOGRAD[way] + 2) ** 2 * shape.inputs * shape.outputs
        for way, shape in zip(acting, found, strict=True)
        if way in WINOGRAD
    )


def _acting(shape: Shape) -> str:
    if shape.inputs <= SHIFTS_UP_TO:
        return "shifts" if shape.outputs < 64 else "xla"
    if shape.outputs < 16:
        return "xla"
    return (
        "F4" if shape.size > 10 or shape.inputs < 512 else "F2"
    )  # a small image does not repay reading larger filters


def _learning(shape: Shape) -> tuple[str, str, str]:
    if shape.inputs <= SHIFTS_UP_TO:
        return ("shifts" if shape.outputs < 64 else "xla", "xla", "xla" if shape.outputs < 64 else "patches")
    return ("F4", "F4", "F4")


def cache_folder() -> pathlib.Path:
    """Where this machine's compiled programs and measured plans are kept."""
    return pathlib.Path(os.environ.get("RTRL_CACHE", pathlib.Path.home() / ".cache" / "rtrl_jax"))


def _file(network: ResNet, observation_shape, batch_size: int, dtype: str) -> pathlib.Path:
    """Named after all that the choice depends on."""
    shape = "x".join(map(str, (*observation_shape, batch_size)))
    machine = f"{_processor()}-{jax.__version__}-{jaxlib.__version__}-{REVISION}"
    return cache_folder() / "plans" / f"{network.blocks}blocks-{network.width:g}-{shape}-{dtype}-{machine}.json"


def _processor() -> str:
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else []
    found = {line.split(":")[0].strip(): line.split(":")[1].strip() for line in lines if ":" in line}
    name = "-".join(found.get(key, "") for key in ("model name", "cpu family", "model"))
    return "".join(letter if letter.isalnum() else "-" for letter in name)


def measured(network: ResNet, observation_shape, batch_size: int, dtype: str) -> tuple[Plan, list] | None:
    """What `keep` has kept, if it can be read: (plan, times)."""
    try:
        stored = json.loads(_file(network, observation_shape, batch_size, dtype).read_text())
        plan = Plan(tuple(stored["acting"]), tuple(map(tuple, stored["learning"])), dtype)
        times = stored["times"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    layers = len(shapes(network, observation_shape))
    return (plan, times) if is_sound(plan, layers) and len(times) == layers else None


def is_sound(plan: Plan, layers: int) -> bool:
    """Whether it has ways that there are, for so many convolutions."""
    if len(plan.acting) != layers or len(plan.learning) != layers:
        return False
    if PLANES in plan.acting:
        return set(plan.acting) == {PLANES} and set(plan.learning) == {(PLANES,) * 3}
    known = all(way in WAYS for way in plan.acting)
    return known and all(a in WAYS and b in WAYS and c in GRADIENT_WAYS for a, b, c in plan.learning)


def keep(plan: Plan, times: list, network: ResNet, observation_shape, batch_size: int) -> pathlib.Path:
    """Makes it the plan of this network on this machine. Args: times: of `measure`."""
    path = _file(network, observation_shape, batch_size, plan.dtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps({"acting": plan.acting, "learning": plan.learning, "times": times}))
    partial.replace(path)  # another run may be reading it
    return path
