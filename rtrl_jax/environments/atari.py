"""Every game of the Arcade Learning Environment as `NoFrameskip-v4` has it: a frame a step, no sticky actions."""

import ale_py
import gymnasium
import numpy as np

from rtrl_jax.environments.frames import SIDE, small_grey
from rtrl_jax.environments.protocol import Environment
from rtrl_jax.environments.spec import Spec
from rtrl_jax.errors import UserError, nearest

gymnasium.register_envs(ale_py)
ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)


def games() -> list[str]:
    """Names of all games, e.g. 'Boxing'."""
    return sorted(name[4:-3] for name in gymnasium.registry if name.startswith("ALE/") and name.endswith("-v5"))


class Atari(Environment):
    """84x84x1 grey frames at 60 Hz; action 0 is β, the game's own minimal action set."""

    def __init__(self, game: str):
        known = games()
        if game not in known:
            raise UserError(f"no Atari game {game!r}{nearest(game, known)} (there are {len(known)})")
        # The v4 ids exist for 62 games only; these arguments give the same for all.
        self._game = gymnasium.make(
            f"ALE/{game}-v5",
            obs_type="grayscale",
            frameskip=1,
            repeat_action_probability=0.0,
            full_action_space=False,
            disable_env_checker=True,
        )
        screen = (*self._console.getScreenDims(), 3)
        names = tuple(self._game.unwrapped.get_action_meanings())
        self.spec = Spec((SIDE, SIDE, 1), "uint8", len(names), 0, 60.0, 1e-5, screen, names, observed_as="grey")

    def reset(self, seed: int | None = None):
        return small_grey(self._game.reset(seed=seed)[0])

    def step(self, action: int):
        picture, reward, terminated, truncated, _ = self._game.step(action)
        return small_grey(picture), float(reward), bool(terminated), bool(truncated)

    def skip(self, action: int):
        picture, reward, terminated, truncated, _ = self._game.step(action)
        frame = small_grey(picture) if terminated or truncated else None
        return frame, float(reward), bool(terminated), bool(truncated)

    def picture(self) -> np.ndarray:
        """The screen in colour: [210, 160, 3] uint8 in most games."""
        return self._console.getScreenRGB()

    def save(self) -> dict:
        """All that `restore` needs to go on as if nothing had happened: the console, its random numbers, the frame count."""
        return {"console": bytes(self._console.cloneState(include_rng=True).serialize())}

    def restore(self, saved: dict) -> None:
        self._game.reset()
        self._console.restoreState(ale_py.ALEState(saved["console"]))

    @property
    def lives(self) -> int | None:
        return int(self._console.lives()) or None

    @property
    def _console(self) -> ale_py.ALEInterface:
        return self._game.unwrapped.ale

    def close(self) -> None:
        self._game.close()
