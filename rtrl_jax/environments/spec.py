"""What the rest of the system needs to know about an environment."""

from typing import Any, NamedTuple

from rtrl_jax.actions import Actions, Vector
from rtrl_jax.settings import LARGEST_GRID


class Spec(NamedTuple):
    observation_shape: tuple[int, ...]  # [height, width, channels] for images and grids, [features] for vectors
    observation_dtype: str  # "uint8" or "float32"
    actions: Actions  # how many there are, or the `Vector` that each of them is
    default_action: (
        Any  # β, what acts while no decision is ready; `actions` if it is none of the numbers that an agent can choose
    )
    rate_hz: float | None  # ticks a second; None if the environment does not say
    learning_rate: float  # the paper's for this kind of game
    picture_shape: tuple[int, int, int] | None = (
        None  # of what `picture()` returns, [height, width, 3]; None: it has none
    )
    action_names: tuple[str, ...] = ()  # what the actions are called; none if they are only numbered
    why_not_saved: str | None = None  # why a checkpoint leaves it out; None: it can be saved, or does not offer to
    # What observations are to a network: (x − offset) / divisor, for each number on the last axis, or one for all of them.
    offset: tuple[float, ...] = ()  # (): 0
    divisor: tuple[float, ...] = ()  # (): pixels from 0 to 255 if it is an image of bytes, else 1
    measured: tuple[bool, ...] = (True,)  # which of these numbers running statistics can be of: none of a one-hot code
    symbols: bool = False  # whether an image's numbers name things, and are no brightness
    observed_as: str = ""  # in words, where the shape does not say all: how it was made of what the world gives

    @property
    def is_continuous(self) -> bool:
        """Whether actions are vectors of real numbers."""
        return isinstance(self.actions, Vector) and not self.actions.whole

    @property
    def is_image(self) -> bool:
        """Whether its neighbours on the first two axes are neighbours in the world."""
        return len(self.observation_shape) == 3

    @property
    def is_small(self) -> bool:
        """Whether it is an image in which there is nothing to be pooled."""
        return self.is_image and max(self.observation_shape[:2]) <= LARGEST_GRID

    @property
    def is_picture(self) -> bool:
        """Whether a person can look at what is seen."""
        return self.has_pixels and not self.symbols and self.observation_shape[2] in (1, 3)

    @property
    def has_pixels(self) -> bool:
        """Whether it is an image whose bytes go from 0 to 255."""
        return self.is_image and self.observation_dtype == "uint8" and not self.divisor
