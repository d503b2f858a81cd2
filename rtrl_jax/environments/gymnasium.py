"""Any Gymnasium environment whose actions can be carried (`gymnasium_actions`); how its observations are seen says `view`.

One that has save() -> dict of plain values, bytes or arrays of numbers, and restore(dict), can be saved; restore gets
lists where there were tuples. What it gives that is no finite number becomes 0 and is counted.
"""

import numpy as np
from gymnasium import wrappers
from gymnasium.wrappers import TimeLimit

from rtrl_jax.environments import gymnasium_actions
from rtrl_jax.environments.making import OLD, made
from rtrl_jax.environments.protocol import Environment
from rtrl_jax.environments.spec import Spec
from rtrl_jax.environments.view import view
from rtrl_jax.errors import UserError
from rtrl_jax.settings import FASTEST_HZ, SLOWEST_HZ

STATELESS = (  # wrappers that have nothing to be saved
    wrappers.TransformObservation,
    wrappers.TransformAction,
    wrappers.TransformReward,
    wrappers.OrderEnforcing,
    wrappers.PassiveEnvChecker,
    wrappers.RecordEpisodeStatistics,
    wrappers.RepeatAction,
    wrappers.HumanRendering,
)
LARGEST = float(np.finfo(np.float32).max)  # which learning counts in


def _rate(metadata) -> float | None:
    """Ticks a second, if its metadata has a number of them that a run can have."""
    rate = metadata.get("render_fps") if isinstance(metadata, dict) else None
    return rate if isinstance(rate, int | float) and SLOWEST_HZ <= rate <= FASTEST_HZ else None  # nor NaN


class Gymnasium(Environment):
    """Args: name: see `making`. keywords: what else it is to be given. kind, size: see `view`."""

    def __init__(
        self, name: str, keywords: dict | None = None, kind: str = "auto", size: tuple[int, int] | None = None
    ):
        self._name, self._environment = name, made(name, keywords or {})
        action_space = self._environment.action_space
        try:
            actions = gymnasium_actions.of(action_space)
            self._view = view(self._environment.observation_space, kind, size)
        except (UserError, ValueError) as error:
            self.close()
            raise UserError(f"gymnasium/{name}: {error}") from None
        self._as_it_takes_them = gymnasium_actions.converter(action_space)
        self._picture = None
        rate, nothing = _rate(self._environment.metadata), gymnasium_actions.nothing(actions)
        self.spec = Spec(actions=actions, default_action=nothing, rate_hz=rate, learning_rate=1e-3, **self._view.fields)

    def reset(self, seed: int | None = None):
        try:
            found = self._environment.reset(seed=seed)
        except TypeError as error:
            if "seed" in str(error):
                raise UserError(f"gymnasium/{self._name} {OLD}") from None
            raise
        if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], dict)):
            raise UserError(f"gymnasium/{self._name} {OLD}")
        return self._frame(found[0])

    def step(self, action):
        try:
            observation, reward, terminated, truncated, _ = self._environment.step(self._as_it_takes_them(action))
        except ValueError as error:
            if "unpack" in str(error):
                raise UserError(f"gymnasium/{self._name} {OLD}") from None
            raise
        reward = self._number(reward)
        if not -LARGEST <= reward <= LARGEST:  # nor is NaN
            reward, self.not_finite = 0.0, self.not_finite._replace(rewards=self.not_finite.rewards + 1)
        return self._frame(observation), reward, bool(terminated), bool(truncated)

    def _number(self, reward) -> float:
        try:
            return float(reward)
        except (TypeError, ValueError):
            if np.size(reward) == 1 and np.ndim(reward):  # many give an array of one
                return self._number(np.ravel(reward)[0])
        raise UserError(
            f"gymnasium/{self._name}: a reward is no number but of type {type(reward).__name__}: give one number"
        )

    def picture(self) -> np.ndarray:
        """The last observation in full, if it is a picture: [height, width, 3] uint8."""
        picture = self._picture if self._picture.ndim == 3 else self._picture[..., None]
        return np.broadcast_to(picture, self.spec.picture_shape)

    def save(self) -> dict | None:
        inner = self._environment.unwrapped
        if not (hasattr(inner, "save") and hasattr(inner, "restore")):
            return None
        for wrapper in self._wrappers():
            if not isinstance(wrapper, (TimeLimit, *STATELESS)):
                raise ValueError(f"its wrapper {type(wrapper).__name__} may have a state of its own")
        return {"environment": inner.save(), "steps": [wrapper._elapsed_steps for wrapper in self._time_limits()]}

    def restore(self, saved: dict) -> None:
        self._environment.reset()
        self._environment.unwrapped.restore(saved["environment"])
        for wrapper, steps in zip(self._time_limits(), saved["steps"], strict=True):
            wrapper._elapsed_steps = steps

    def _time_limits(self) -> list[TimeLimit]:
        return [wrapper for wrapper in self._wrappers() if isinstance(wrapper, TimeLimit)]

    def _wrappers(self) -> list:
        """From the outermost on."""
        found, environment = [], self._environment
        while environment is not environment.unwrapped:
            found.append(environment)
            environment = environment.env
        return found

    def close(self) -> None:
        self._environment.close()

    def _frame(self, observation) -> np.ndarray:
        self._picture = observation
        try:
            frame = self._view.of(observation)
        except UserError as error:
            raise UserError(f"gymnasium/{self._name}: {error}") from None
        if frame.dtype == np.float32 and not np.isfinite(frame).all():
            frame = np.nan_to_num(frame, nan=0.0, posinf=0.0, neginf=0.0)
            self.not_finite = self.not_finite._replace(observations=self.not_finite.observations + 1)
        return frame
