"""Q-networks as Flax modules: the paper's ResNets in any width, the Nature CNN, and an MLP for vectors."""

from typing import NamedTuple

import flax.linen as nn

from rtrl_jax.networks.mlp import MLP
from rtrl_jax.networks.nature import Nature
from rtrl_jax.networks.resnet import ResNet


class Heads(NamedTuple):
    dueling: bool = False
    noisy: bool = False
    atoms: int = 1


NAMES = ("resnet15", "resnet30", "nature", "mlp")


def build(name: str, actions: int, width: float = 1.0, heads: Heads = Heads()) -> nn.Module:
    """The network `name` with one output for each action. `width` is the paper's k (Nature and MLP scale likewise)."""
    if name == "mlp":
        return MLP(actions, width)
    if name == "nature":
        return Nature(actions, width)
    return ResNet(actions, width, blocks={"resnet15": 3, "resnet30": 6}[name])
