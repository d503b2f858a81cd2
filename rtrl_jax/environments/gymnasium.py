"""Any Gymnasium environment with discrete actions. Pictures become 84x84x1 grey; everything else a float32 vector.

One that has save() -> dict of plain values, bytes or arrays of numbers, and restore(dict), can be saved; restore gets
lists where there were tuples. What it gives that is no finite number becomes 0 and is counted.
"""

import json

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit

from rtrl_jax.environments.frames import SIDE, small_grey
from rtrl_jax.environments.protocol import Environment
from rtrl_jax.environments.spec import Spec, nearest
from rtrl_jax.errors import UserError

gymnasium.logger.min_level = gymnasium.logger.ERROR  # what is wrong is said once, by us
LARGEST = float(np.finfo(np.float32).max)  # which learning counts in


class Gymnasium(Environment):
    """Args: name: as `gymnasium.make` takes it. keywords: what else it is to be given."""

    def __init__(self, name: str, keywords: dict | None = None):
        self._environment = _make(name, keywords or {})
        action_space, space = self._environment.action_space, self._environment.observation_space
        if not isinstance(action_space, spaces.Discrete):
            self.close()
            raise UserError(
                f"gymnasium/{name} has {type(action_space).__name__} actions: only discrete ones are supported; "
                "wrap it so that it takes one of a list of actions"
            )
        self._first_action = int(action_space.start)
        self._space = space
        self._is_image = (
            isinstance(space, spaces.Box)
            and space.dtype == np.uint8
            and (len(space.shape) == 2 or (len(space.shape) == 3 and space.shape[-1] in (1, 3)))
        )
        if self._is_image:
            shape, dtype = (SIDE, SIDE, 1), "uint8"
        elif wrong := _no_numbers(space):
            self.close()
            raise UserError(f"gymnasium/{name}: {wrong}")
        else:
            shape, dtype = spaces.flatten_space(space).shape, "float32"
        rate = self._environment.metadata.get("render_fps")
        screen = (*space.shape[:2], 3) if self._is_image else None
        self._picture = None
        self.spec = Spec(shape, dtype, int(action_space.n), 0, rate, 1e-3, screen)

    def reset(self, seed: int | None = None):
        return self._frame(self._environment.reset(seed=seed)[0])

    def step(self, action: int):
        observation, reward, terminated, truncated, _ = self._environment.step(action + self._first_action)
        reward = float(reward)
        if not -LARGEST <= reward <= LARGEST:  # nor is NaN
            reward, self.not_finite = 0.0, self.not_finite._replace(rewards=self.not_finite.rewards + 1)
        return self._frame(observation), reward, bool(terminated), bool(truncated)

    def picture(self) -> np.ndarray:
        """The last observation in full, if it is an image: [height, width, 3] uint8."""
        picture = self._picture if self._picture.ndim == 3 else self._picture[..., None]
        return np.broadcast_to(picture, self.spec.picture_shape)

    def save(self) -> dict | None:
        inner = self._environment.unwrapped
        if not (hasattr(inner, "save") and hasattr(inner, "restore")):
            return None
        return {"environment": inner.save(), "steps": [wrapper._elapsed_steps for wrapper in self._time_limits()]}

    def restore(self, saved: dict) -> None:
        self._environment.reset()
        self._environment.unwrapped.restore(saved["environment"])
        for wrapper, steps in zip(self._time_limits(), saved["steps"], strict=True):
            wrapper._elapsed_steps = steps

    def _time_limits(self) -> list[TimeLimit]:
        found, environment = [], self._environment
        while environment is not environment.unwrapped:
            if isinstance(environment, TimeLimit):
                found.append(environment)
            environment = environment.env
        return found

    def close(self) -> None:
        self._environment.close()

    def _frame(self, observation) -> np.ndarray:
        if self._is_image:
            self._picture = observation
            return small_grey(observation)
        vector = np.asarray(spaces.flatten(self._space, observation), np.float32)
        if not np.isfinite(vector).all():
            vector = np.nan_to_num(vector, nan=0.0, posinf=0.0, neginf=0.0)
            self.not_finite = self.not_finite._replace(observations=self.not_finite.observations + 1)
        return vector


def _make(name: str, keywords: dict):
    try:
        return gymnasium.make(name, disable_env_checker=True, **keywords)
    except gymnasium.error.UnregisteredEnv:
        known = nearest(name, [known for known in gymnasium.registry if "/" not in known])
        raise UserError(
            f"no Gymnasium environment {name!r}{known or '; gymnasium.pprint_registry() lists them'}"
        ) from None
    except ImportError as error:  # also gymnasium's own DependencyNotInstalled and a module: part that is not there
        raise UserError(f"gymnasium/{name} needs something that is not installed: {_one_line(error)}") from None
    except Exception as error:
        if not keywords and not isinstance(error, gymnasium.error.Error | TypeError | ValueError):
            raise
        given = f" with --environment_kwargs={json.dumps(keywords, default=str)}" if keywords else ""
        raise UserError(f"gymnasium/{name} cannot be made{given}: {_one_line(error)}") from None


def _no_numbers(space: spaces.Space, field: str = "") -> str | None:
    """What part of these observations cannot be made into a vector, and what would help; None if all can."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        found = (_no_numbers(part, f"{field}.{name}" if field else str(name)) for name, part in parts)
        return next(filter(None, found), None)
    try:
        if space.is_np_flattenable:
            return None
    except NotImplementedError:  # a kind of space of its own, such as MiniGrid's mission
        pass
    kind = type(space).__name__
    if not field:
        return f"its observations ({kind}) cannot be made into a vector"
    return (
        f"the field {field!r} of its observations ({kind}) cannot be made into numbers: leave it out, with "
        "gymnasium.wrappers.FilterObservation or a wrapper of its own, in an environment that a module of yours registers"
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
