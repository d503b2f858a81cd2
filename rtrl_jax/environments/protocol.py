"""What an environment is: the parts that each has, and those that one may have, with what stands in where it has not.

Every environment here declares `Environment`, and so inherits what stands in; nobody has to ask whether a part is there.
It knows nothing of real time; `workers.environment` does.
"""

from typing import NamedTuple, Protocol

import numpy as np

from rtrl_jax.environments.spec import Spec


class Progress(NamedTuple):
    """How far a player has come through a game's encounters. All 0 for environments that have none."""

    encounter: int = 0  # the one being played, from 0
    wins: int = 0
    losses: int = 0
    attempts: int = 0

    def after(self, won: bool, encounters: int) -> "Progress":
        """Encounters advance only when won, and wrap at the end."""
        return self._replace(
            encounter=(self.encounter + won) % encounters, wins=self.wins + won, losses=self.losses + (not won)
        )


class NotFinite(NamedTuple):
    """In how many steps and resets something was NaN or infinite, and 0 was put in its place."""

    rewards: int = 0
    observations: int = 0


class Environment(Protocol):
    """One player's world, a step a tick.

    Each has `spec`, `reset`, `step` and `close`. The others are optional; what stands here is what stands in:

      progress, encounters   one encounter, and no progress through it
      lives                  None
      not_finite             none: for those whose values can only be numbers
      picture                none, and then spec.picture_shape is None
      skip                   a step
      save, restore          cannot be saved: a resumed run begins a new episode

    A Gymnasium environment of the user's own may bring save() -> dict and restore(dict); see `gymnasium` in this folder.
    """

    spec: Spec
    progress: Progress = Progress()  # after the last step
    encounters: int = 1  # how many the game has; with several, reset takes `encounter` too, the one to begin with
    lives: int | None = None  # that the player has left; None if there is no such thing
    not_finite: NotFinite = NotFinite()  # since it was made

    def reset(self, seed: int | None = None) -> np.ndarray:
        """Begins an episode. Args: seed: of all random numbers from now on; None goes on with those there are.

        Returns:
          The first observation, spec.observation_shape of spec.observation_dtype, all of it finite.
        """
        ...

    def step(self, action) -> tuple[np.ndarray, float, bool, bool]:
        """One tick. Args: action: from 0 to spec.actions − 1, or spec.default_action; of a `Vector` [size] numbers.

        Returns:
          (observation as of reset, reward, whether the episode terminated, whether it was truncated). The reward is finite. After
          either of the last two comes a reset.
        """
        ...

    def skip(self, action) -> tuple[np.ndarray | None, float, bool, bool]:
        """`step` where nobody will look at the observation, which may then be None unless the episode ends with it."""
        return self.step(action)

    def close(self) -> None:
        """Gives back what it holds. Nothing may be called afterwards."""
        ...

    def picture(self) -> np.ndarray:
        """What a person sees after the last step: spec.picture_shape ([height, width, 3]) uint8."""
        raise NotImplementedError("it has no picture: spec.picture_shape is None")

    def save(self) -> dict | None:
        """All that `restore` needs to go on as if nothing had happened, in what `saving.encode` takes; None: it cannot.

        May raise whatever the environment's own code raises; `saving.whole_state` lives with that.
        """
        return None

    def restore(self, saved: dict) -> None:
        """Goes on from what `save` returned, in this process or another; tuples have become lists meanwhile."""
        raise NotImplementedError("it cannot be saved")
