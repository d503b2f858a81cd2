"""Which way each convolution of a network is computed: by rules that held where this was measured, or as measured here."""

from typing import NamedTuple

from rtrl_jax.networks.fast.convolution import PLANES, WINOGRAD
from rtrl_jax.networks.resnet import POOLING_STRIDES, ResNet

PLANES_UP_TO = 4  # filters


class Shape(NamedTuple):
    """Of a convolution's input, and how many outputs it has."""

    size: int  # rows and columns
    inputs: int
    outputs: int
    padded: bool


class Plan(NamedTuple):
    acting: tuple[str, ...]  # for each convolution its way, one image at a time
    learning: tuple[tuple[str, str, str], ...]  # for batches: of the convolution, its input's gradient, its kernel's

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


def by_rule(network: ResNet, observation_shape) -> Plan:
    """A good plan for any width, unmeasured."""
    found = shapes(network, observation_shape)
    if max(shape.outputs for shape in found) <= PLANES_UP_TO:
        return Plan((PLANES,) * len(found), ((PLANES,) * 3,) * len(found))
    return Plan(tuple(_acting(shape) for shape in found), tuple(_learning(shape) for shape in found))


def _acting(shape: Shape) -> str:
    if shape.inputs <= 4:
        return "shifts" if shape.outputs < 64 else "xla"
    if shape.outputs < 16:
        return "xla"
    if shape.size > 20 and shape.inputs < 32:
        return "xla"
    return "F4" if shape.size > 10 or shape.inputs < 64 else "F2"


def _learning(shape: Shape) -> tuple[str, str, str]:
    if shape.inputs <= 4:
        return ("shifts" if shape.outputs < 64 else "xla", "xla", "xla" if shape.outputs < 64 else "patches")
    if shape.outputs < 16 or (shape.size > 20 and shape.inputs < 32):
        return ("xla", "xla", "xla")
    if shape.inputs < 64:
        return ("F4", "F4", "xla")
    return ("F4", "F4", "F4")
