"""A game as a person sees it: its screen in colour in place of the paper's small grey picture (--observation=image)."""

import numpy as np
from gymnasium import spaces

from rtrl_jax.environments.protocol import Environment
from rtrl_jax.environments.view import view
from rtrl_jax.environments.wrappers import Wrapper


class Screen(Wrapper):
    """Args: size: (rows, columns) of what is seen; None: those of the screen, 96 at most."""

    def __init__(self, inner: Environment, size: tuple[int, int] | None):
        super().__init__(inner)
        self._view = view(spaces.Box(0, 255, inner.spec.picture_shape, np.uint8), "image", size)
        self.spec = inner.spec._replace(**self._view.fields)

    def reset(self, seed: int | None = None, **which) -> np.ndarray:
        super().reset(seed, **which)
        return self._view.of(self._inner.picture())

    def step(self, action: int):
        _, reward, terminated, truncated = super().skip(action)
        return self._view.of(self._inner.picture()), reward, terminated, truncated

    def skip(self, action: int):
        return self.step(action)
