"""Which agent the settings name, and in which variant: DQN has none of Rainbow's parts, Rainbow all, and each can be set alone;
SAC is for actions that are vectors of real numbers.

JAX is imported only by who makes the agent: every process of a run knows its variant, the environment's too.
"""

import dataclasses
import math
from typing import NamedTuple

from rtrl_jax.actions import MOST_COMBINATIONS, Actions, Vector
from rtrl_jax.errors import UserError

RAINBOW_LEARNING_RATE = 1e-4  # the paper's (Appendix A.3)
SAC_LEARNING_RATE = 3e-4  # Haarnoja et al. 2018b, appendix D; so are the numbers of SAC below
VALUES = {"batch_size": 16, "learn_every": 4, "target_every": 10_000, "target_rate": 1.0, "gradient_clip": 10.0}
SOFT = {"batch_size": 256, "learn_every": 1, "target_every": 1, "target_rate": 0.005}
# What SAC has none of.
OF_VALUES = ("double_q", "dueling", "noisy", "shared_layer", "categorical", "action_gap", "one_step_loss")


class Variant(NamedTuple):
    double_q: bool = False
    prioritised: bool = False
    dueling: bool = False
    noisy: bool = False
    support: tuple[float, float, int] | None = None  # least value, largest value, atoms; None without a distribution
    n_steps: int = 1
    one_step: bool = False  # whether the loss of one step is added to that of n
    action_gap: float = 0.0
    shared_layer: bool = False
    normalisation: str = "none"
    actions: Actions = 0  # of the environment
    sac: bool = False
    target_entropy: float | None = None  # of SAC

    def heads(self, pending=None):
        """What the network needs for them: `networks.Heads`. Args: pending: what it is told besides, a `Pending`, or None."""
        from rtrl_jax.networks import Heads

        atoms = self.support[2] if self.support else 1
        return Heads(self.dueling, self.noisy, atoms, self.shared_layer, self.normalisation, pending)

    def make(self, apply):
        """The `Agent`. Args: apply: of a network with these heads."""
        from rtrl_jax.agents import dqn, joint, rainbow, sac

        if self.sac:
            return sac.make(apply, self.actions, self.target_entropy)
        if isinstance(self.actions, Vector):
            return joint.over_combinations(self._replace(actions=0).make(apply), self.actions)
        if self.double_q or self.noisy or self.support or self.one_step or self.action_gap:
            parts = {"double_q": self.double_q, "noisy": self.noisy, "support": self.support}
            return rainbow.make(apply, **parts, one_step=self.one_step, action_gap=self.action_gap)
        return dqn.make(apply)


def for_actions(settings, actions: Actions, environment: str):
    """The settings with an agent that fits these actions, and with its numbers where none are given. Raises UserError.

    Args: settings: `rtrl_jax.settings.Settings`. Those that this returned are returned as they are.
    """
    continuous = isinstance(actions, Vector) and not actions.whole
    agent = settings.agent if settings.agent != "auto" else "sac" if continuous else "dqn"
    if settings.policy == "agent":
        _check(settings, agent, actions, environment)
    numbers = SOFT if agent == "sac" else VALUES
    missing = {name: number for name, number in numbers.items() if getattr(settings, name) is None}
    return dataclasses.replace(settings, agent=agent, **missing)


def _check(settings, agent: str, actions: Actions, environment: str) -> None:
    continuous = isinstance(actions, Vector) and not actions.whole
    if continuous and agent != "sac":
        raise UserError(
            f"--agent={agent} has values for a list of actions, and those of {environment} are vectors of {actions.size} "
            "real numbers: leave it out, or give --agent=sac"
        )
    if agent == "sac" and not continuous:
        raise UserError(
            f"--agent=sac is for vectors of real numbers, and the actions of {environment} are a choice: leave it out, or give "
            "--agent=dqn"
        )
    if isinstance(actions, Vector) and actions.whole and math.prod(actions.choices) > MOST_COMBINATIONS:
        raise UserError(
            f"{environment} has {math.prod(actions.choices):,} combinations of actions, and --agent={agent} has a value for "
            f"each: up to {MOST_COMBINATIONS:,} will do; wrap it so that it has fewer"
        )
    if agent != "sac" and settings.target_entropy is not None:
        raise UserError(
            f"--target_entropy={settings.target_entropy:g} belongs to --agent=sac, which --agent={agent} is not"
        )
    if agent == "sac" and (given := [name for name in OF_VALUES if getattr(settings, name)]):
        raise UserError(f"--{given[0]} is a part of agents of values, which --agent=sac is none of: leave it out")


def variant_of(settings, actions: Actions = 0) -> Variant:
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
        action_gap=settings.action_gap,
        shared_layer=chosen(settings.shared_layer, everything),
        normalisation=settings.normalisation,
        actions=actions,
        sac=settings.agent == "sac",
        target_entropy=settings.target_entropy,
    )


def learning_rate(settings, spec) -> float:
    """What was asked for, else the paper's: Rainbow's, or the one for this kind of game."""
    of_agents = {"rainbow": RAINBOW_LEARNING_RATE, "sac": SAC_LEARNING_RATE}
    return settings.learning_rate or of_agents.get(settings.agent, spec.learning_rate)
