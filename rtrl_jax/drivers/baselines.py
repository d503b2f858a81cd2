"""What --policy=random and --policy=noop do in an inference worker's place. No network, so no JAX."""

from rtrl_jax.drivers.place import EXPLORATION, Place
from rtrl_jax.workers.policy import one_action, random_actions


def make(place: Place, worker: int):
    """The policy of one inference worker: observation tick -> Choice."""
    if place.assembly.settings.policy == "noop":
        return one_action(place.assembly.spec.default_action)
    return random_actions(place.assembly.spec.actions, *place.lasting_generator(EXPLORATION, worker))
