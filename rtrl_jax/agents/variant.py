"""Which variant of an agent the settings name: DQN has none of Rainbow's parts, Rainbow all, and each can be set on its own.

JAX is imported only by who makes the agent: every process of a run knows its variant, the environment's too.
"""

from typing import NamedTuple

RAINBOW_LEARNING_RATE = 1e-4  # the paper's (Appendix A.3)


class Variant(NamedTuple):
    double_q: bool = False
    prioritised: bool = False
    dueling: bool = False
    noisy: bool = False
    support: tuple[float, float, int] | None = None  # least value, largest value, atoms; None without a distribution
    n_steps: int = 1
    one_step: bool = False  # whether the loss of one step is added to that of n
    shared_layer: bool = False
    normalisation: str = "none"

    def heads(self, pending=None):
        """What the network needs for them: `networks.Heads`. Args: pending: what it is told besides, a `Pending`, or None."""
        from rtrl_jax.networks import Heads

        atoms = self.support[2] if self.support else 1
        return Heads(self.dueling, self.noisy, atoms, self.shared_layer, self.normalisation, pending)

    def make(self, apply):
        """The `Agent`. Args: apply: of a network with these heads."""
        from rtrl_jax.agents import dqn, rainbow

        if self.double_q or self.noisy or self.support or self.one_step:
            parts = {"double_q": self.double_q, "noisy": self.noisy, "support": self.support}
            return rainbow.make(apply, **parts, one_step=self.one_step)
        return dqn.make(apply)


def variant_of(settings) -> Variant:
    """Args: settings: anything with the fields `agent`, `double_q`, … of `rtrl_jax.settings.Settings`."""
    everything = settings.agent == "rainbow"

    def chosen(value, default):
        return default if value is None else value

    support = (float(settings.value_min), float(settings.value_max), settings.atoms)
    return Variant(
        double_q=chosen(settings.double_q, everything),
        prioritised=chosen(settings.prioritised, everything),
        dueling=chosen(settings.dueling, everything),
        noisy=chosen(settings.noisy, everything),
        support=support if chosen(settings.categorical, everything) else None,
        n_steps=chosen(settings.n_steps, 3 if everything else 1),
        one_step=settings.one_step_loss,
        shared_layer=chosen(settings.shared_layer, everything),
        normalisation=settings.normalisation,
    )


def learning_rate(settings, spec) -> float:
    """What was asked for, else the paper's: Rainbow's, or the one for this kind of game."""
    return settings.learning_rate or (RAINBOW_LEARNING_RATE if settings.agent == "rainbow" else spec.learning_rate)
