"""Networks as Flax modules: the paper's ResNets in any width, the Nature CNN, a small one for grids, an MLP for vectors; an actor
with critics."""

import flax.linen as nn

from rtrl_jax.networks.actor_critic import UNITS, ActorCritic
from rtrl_jax.networks.grid import Grid
from rtrl_jax.networks.heads import HIDDEN, VALUES, Head, Heads
from rtrl_jax.networks.inputs import AS_THEY_ARE, PIXELS, Inputs
from rtrl_jax.networks.mlp import LAYERS, MLP, units_of
from rtrl_jax.networks.nature import Nature
from rtrl_jax.networks.resnet import ResNet
from rtrl_jax.pending import Pending

NAMES = ("resnet15", "resnet30", "nature", "grid", "mlp")


def build(
    name: str, actions: int, width: float = 1.0, heads: Heads = VALUES, inputs: Inputs | None = None
) -> nn.Module:
    """The network `name`.

    Args:
      width: the paper's k; the other networks scale likewise.
      inputs: what an observation's numbers are to it; None: pixels to ResNets and Nature, and as they are to the others.

    It answers with values [batch, actions], or with logits [batch, actions, atoms] where `heads` has more than one atom.
    """
    if inputs is None:
        inputs = AS_THEY_ARE if name in ("mlp", "grid") else PIXELS
    if heads.pending is not None and heads.pending.reflex:
        heads = heads._replace(newest=inputs)
    kinds = {"mlp": MLP, "grid": Grid, "nature": Nature}
    if name in kinds:
        return kinds[name](actions, width, heads, inputs=inputs)
    return ResNet(actions, width, heads, {"resnet15": 3, "resnet30": 6}[name], inputs)


def actor_critic(
    name: str, size: int, width: float = 1.0, heads: Heads = VALUES, inputs: Inputs | None = None
) -> ActorCritic:
    """For actions of so many numbers.

    Args:
      name: of the network whose trunk sees images; mlp where observations are vectors.
      inputs: see `build`.
    """
    units = max(1, int(UNITS * width))
    if heads.pending is not None and heads.pending.reflex:
        heads = heads._replace(newest=inputs or (AS_THEY_ARE if name in ("mlp", "grid") else PIXELS))
    if name == "mlp":
        return ActorCritic(size, units, heads, inputs=inputs or AS_THEY_ARE)
    trunk = Heads(pending=Pending())  # with which a network that is told nothing answers its trunk's features
    return ActorCritic(size, units, heads, build(name, 0, width, trunk, inputs))


def head_of(network: nn.Module) -> Head:
    """The head of a network that falls into a trunk and one, as a module by itself."""
    if isinstance(network, ActorCritic):
        return Head(2 * network.size, network.units, network.heads)
    if isinstance(network, MLP):
        return Head(network.actions, units_of(network.width), network.heads, LAYERS)
    if isinstance(network, Grid):
        return Head(network.actions, units_of(network.width), network.heads)
    return Head(network.actions, HIDDEN, network.heads)
