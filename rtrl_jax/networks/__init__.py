"""Q-networks as Flax modules: the paper's ResNets in any width, the Nature CNN, and an MLP for vectors."""

import flax.linen as nn

from rtrl_jax.networks.heads import HIDDEN, VALUES, Head, Heads
from rtrl_jax.networks.mlp import LAYERS, MLP, units_of
from rtrl_jax.networks.nature import Nature
from rtrl_jax.networks.resnet import ResNet

NAMES = ("resnet15", "resnet30", "nature", "mlp")


def build(name: str, actions: int, width: float = 1.0, heads: Heads = VALUES, input_scale: str = "unit") -> nn.Module:
    """The network `name`. `width` is the paper's k (Nature and MLP scale likewise); `input_scale` is of pixels, see `inputs`.

    It answers with values [batch, actions], or with logits [batch, actions, atoms] where `heads` has more than one atom.
    """
    if name == "mlp":
        return MLP(actions, width, heads)
    if name == "nature":
        return Nature(actions, width, heads, input_scale)
    return ResNet(actions, width, heads, {"resnet15": 3, "resnet30": 6}[name], input_scale)


def head_of(network: nn.Module) -> Head:
    """The head of a network that falls into a trunk and one, as a module by itself."""
    if isinstance(network, MLP):
        return Head(network.actions, units_of(network.width), network.heads, LAYERS)
    return Head(network.actions, HIDDEN, network.heads)
