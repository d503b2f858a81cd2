"""What the rest of the system needs to know about an environment, and how to suggest one for a misspelt name."""

import difflib
from typing import NamedTuple


class Spec(NamedTuple):
    observation_shape: tuple[int, ...]  # [84, 84, 1] for images, [features] for vectors
    observation_dtype: str  # "uint8" for images, "float32" for vectors
    actions: int
    default_action: int  # β, what acts while no decision is ready; `actions` if it is none that an agent can choose
    rate_hz: float | None  # ticks a second; None if the environment does not say
    learning_rate: float  # the paper's for this kind of game
    picture_shape: tuple[int, int, int] | None = (
        None  # of what `picture()` returns, [height, width, 3]; None: it has none
    )
    action_names: tuple[str, ...] = ()  # what the actions are called; none if they are only numbered

    @property
    def is_image(self) -> bool:
        return len(self.observation_shape) == 3


def nearest(name: str, known: list[str]) -> str:
    """'; did you mean …?' for the known name closest to `name`, or nothing if none is close."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f"; did you mean {by_lower[close[0]]}?" if close else ""
