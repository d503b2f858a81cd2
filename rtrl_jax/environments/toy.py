"""Worlds small enough for their regret to be known: the two of the proofs of Theorem 1, and a family from certain to random.

Importing this registers them with Gymnasium, whose `make` takes p and states as keywords:

    toy/Inaction-v0   the proof of Equation 3: what is left to β is lost
    toy/Delay-v0      the proof of Equation 4: a cycle in which each step stays with probability p or moves on
    toy/Chain-v0      each step moves on with probability p, else to any other state: p = 1 is deterministic, though nothing
                      in it stands still, p = 1/states is uniformly random, and p_minimax = p in between

`registered` takes p in the name as well: toy/delay-0.9, toy/chain-0.5. The best reward is 1 a tick, episodes do not end,
and action 0 is β's: it never earns anything.
"""

import gymnasium
from gymnasium import spaces

from rtrl_jax.errors import UserError, nearest

RATE_HZ = 50
STATES = 64
FAMILIES = ("delay", "chain")
NAMES = ("toy/Inaction-v0", "toy/Delay-v0", "toy/Chain-v0")


class Inaction(gymnasium.Env):
    """Two states; any action leads to state 0, which pays 1, and β to state 1, which pays nothing (B.2, Equation 3)."""

    metadata = {"render_modes": [], "render_fps": RATE_HZ}  # noqa: RUF012 - Gymnasium's name and kind

    def __init__(self):
        self.observation_space, self.action_space = spaces.Discrete(2), spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._state = 0
        return self._state, {}

    def step(self, action):
        reward = float(self._state == 0)
        self._state = int(action == 0)
        return self._state, reward, False, False, {}


class Cycle(gymnasium.Env):
    """n states in a cycle and an action for each: i + 1 pays 1 in state i. What it does next depends on no action.

    It takes `move(random generator) -> how far round the cycle` for a step.
    """

    metadata = {"render_modes": [], "render_fps": RATE_HZ}  # noqa: RUF012

    def __init__(self, states: int, move):
        self._states, self._move = states, move
        self.observation_space, self.action_space = spaces.Discrete(states), spaces.Discrete(states + 1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._state = int(self.np_random.integers(self._states))
        return self._state, {}

    def step(self, action):
        reward = float(action == self._state + 1)
        self._state = (self._state + self._move(self.np_random)) % self._states
        return self._state, reward, False, False, {}


def delay(p: float = 0.9, states: int = STATES) -> Cycle:
    """The proof's cycle (B.2, Equation 4): stay with probability p, else move on. p_minimax = max(p, 1 − p)."""
    _check(p, states, least=0.0)
    return Cycle(states, lambda rng: int(rng.random() >= p))


def chain(p: float = 0.9, states: int = STATES) -> Cycle:
    """Move on with probability p, else to any of the other states. p_minimax = p.

    Seen from where it was expected to be, it stays with probability p and else is anywhere: so the loss that Equation 4
    ascribes to the proof's cycle is exact here, in the limit of many states (`theory.chain_loss`).
    """
    _check(p, states, least=1 / states)

    def move(rng) -> int:
        return 1 if rng.random() < p else 1 + int(rng.integers(1, states))

    return Cycle(states, move)


def registered(name: str) -> str:
    """The Gymnasium id of `toy/…`, registered if p is in the name. Raises UserError if there is no such world."""
    family, dash, p = name.removeprefix("toy/").partition("-")
    if name in NAMES:
        return name
    known = nearest(name, [*NAMES, *(f"toy/{family}-0.9" for family in FAMILIES)])
    if family not in FAMILIES or not dash:
        raise UserError(f"no environment {name!r}: there are {', '.join(NAMES)}, toy/delay-P and toy/chain-P{known}")
    try:
        value = float(p)
        {"delay": delay, "chain": chain}[family](value)
    except ValueError:
        raise UserError(f"no environment {name!r}: {p!r} is no probability that it can have{known}") from None
    _register(name, f"{__name__}:{family}", p=value)
    return name


def _check(p: float, states: int, least: float) -> None:
    if states < 2:
        raise ValueError(f"states={states}: there must be two at least")
    if not least <= p <= 1:
        raise ValueError(f"p={p} must lie between {least:g} and 1")


def _register(name: str, entry_point: str, **keywords) -> None:
    if name not in gymnasium.registry:
        gymnasium.register(name, entry_point=entry_point, kwargs=keywords)


for _name, _entry_point in zip(NAMES, ("Inaction", "delay", "chain"), strict=True):
    _register(_name, f"{__name__}:{_entry_point}")
