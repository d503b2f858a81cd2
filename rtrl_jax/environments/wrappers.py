"""What can be put around any game: sticky actions, no-op starts and skipped frames, by which Atari is played elsewhere; also
encounters in any order, and an end to episodes that find none.

Their random numbers follow from the seed of `reset`, and are saved and restored with the game's state.
"""

import numpy as np

from rtrl_jax import actions
from rtrl_jax.environments.protocol import Environment

STICKY, NOOPS, ENCOUNTERS = 1, 2, 3  # purposes of random generators


class Wrapper(Environment):
    """A game that behaves as the one within."""

    def __init__(self, inner: Environment):
        self._inner, self.spec = inner, inner.spec

    def reset(self, seed: int | None = None, **which) -> np.ndarray:
        return self._inner.reset(seed, **which)

    def step(self, action: int):
        return self._inner.step(action)

    def skip(self, action: int):
        return self._inner.skip(action)

    def picture(self) -> np.ndarray:
        return self._inner.picture()

    def save(self) -> dict | None:
        inner = self._inner.save()
        return None if inner is None else {"inner": inner, **self._own()}

    def restore(self, saved: dict) -> None:
        self._inner.restore(saved["inner"])
        self._take(saved)

    def _own(self) -> dict:
        """What it has to save besides the game."""
        return {}

    def _take(self, saved: dict) -> None:
        """Goes on from that."""

    def close(self) -> None:
        self._inner.close()

    @property
    def progress(self):
        return self._inner.progress

    @property
    def encounters(self) -> int:
        return self._inner.encounters

    @property
    def lives(self) -> int | None:
        return self._inner.lives

    @property
    def not_finite(self):
        return self._inner.not_finite


class Sticky(Wrapper):
    """In each frame, with some probability, what was done in the last one is done again (Machado et al. 2018). β sticks too."""

    def __init__(self, inner: Environment, probability: float):
        super().__init__(inner)
        self._probability, self._done = probability, inner.spec.default_action
        self._rng = np.random.default_rng([0, STICKY])

    def reset(self, seed: int | None = None, **which) -> np.ndarray:
        if seed is not None:
            self._rng = np.random.default_rng([seed, STICKY])
        self._done = self.spec.default_action
        return super().reset(seed, **which)

    def step(self, action: int):
        return super().step(self._stuck(action))

    def skip(self, action: int):
        return super().skip(self._stuck(action))

    def _stuck(self, action: int) -> int:
        if self._rng.random() >= self._probability:
            self._done = action
        return self._done

    def _own(self) -> dict:
        return {"rng": self._rng.bit_generator.state, "done": actions.plain(self._done)}

    def _take(self, saved: dict) -> None:
        self._rng.bit_generator.state, self._done = saved["rng"], saved["done"]


class NoopStarts(Wrapper):
    """An episode begins after 1 to `most` frames of β (Mnih et al. 2015), drawn anew each time. Their rewards do not count."""

    def __init__(self, inner: Environment, most: int):
        super().__init__(inner)
        self._most, self._rng = most, np.random.default_rng([0, NOOPS])

    def reset(self, seed: int | None = None, **which) -> np.ndarray:
        if seed is not None:
            self._rng = np.random.default_rng([seed, NOOPS])
        frame = super().reset(seed, **which)
        for _ in range(int(self._rng.integers(1, self._most + 1))):
            frame, _, terminated, truncated = super().step(self.spec.default_action)
            if terminated or truncated:  # it cannot wait so long
                return super().reset(**which)
        return frame

    def _own(self) -> dict:
        return {"rng": self._rng.bit_generator.state}

    def _take(self, saved: dict) -> None:
        self._rng.bit_generator.state = saved["rng"]


class FrameSkip(Wrapper):
    """A tick is so many frames: the action is held, rewards are summed, and the last frame is seen."""

    def __init__(self, inner: Environment, frames: int, press_frames: int | None = None):
        """Args: press_frames: for how many of them the action is held before β takes its place; None for all."""
        super().__init__(inner)
        rate_hz = inner.spec.rate_hz
        self._frames, self._pressed = frames, frames if press_frames is None else press_frames
        self.spec = inner.spec._replace(rate_hz=rate_hz and rate_hz / frames)

    def step(self, action: int):
        total, last = 0.0, self._frames - 1
        for number in range(self._frames):
            done = action if number < self._pressed else self.spec.default_action
            frame, reward, terminated, truncated = (super().step if number == last else super().skip)(done)
            total += reward
            if terminated or truncated:
                break
        return frame, total, terminated, truncated

    def skip(self, action: int):
        return self.step(action)


class Shuffled(Wrapper):
    """Each episode is an encounter of its own, drawn anew, whether or not the one before was won."""

    def __init__(self, inner: Environment):
        super().__init__(inner)
        self._rng = np.random.default_rng([0, ENCOUNTERS])

    def reset(self, seed: int | None = None, encounter: int | None = None) -> np.ndarray:
        if seed is not None:
            self._rng = np.random.default_rng([seed, ENCOUNTERS])
        drawn = int(self._rng.integers(self.encounters))
        return super().reset(seed, encounter=drawn if encounter is None else encounter)

    def _own(self) -> dict:
        return {"rng": self._rng.bit_generator.state}

    def _take(self, saved: dict) -> None:
        self._rng.bit_generator.state = saved["rng"]


class CutOff(Wrapper):
    """An episode is truncated at its tick number `most`, if it has come so far."""

    def __init__(self, inner: Environment, most: int):
        super().__init__(inner)
        self._most, self._ticks = most, 0

    def reset(self, seed: int | None = None, **which) -> np.ndarray:
        self._ticks = 0
        return super().reset(seed, **which)

    def step(self, action: int):
        frame, reward, terminated, truncated = super().step(action)
        self._ticks += 1
        return frame, reward, terminated, truncated or (self._ticks >= self._most and not terminated)

    def skip(self, action: int):
        return self.step(action)

    def _own(self) -> dict:
        return {"ticks": self._ticks}

    def _take(self, saved: dict) -> None:
        self._ticks = saved["ticks"]


def wrapped(
    environment: Environment,
    sticky_actions: float = 0.0,
    noop_starts: int = 0,
    frame_skip: int = 1,
    press_frames: int | None = None,
    encounters: str = "in_order",
    episode_ticks: int | None = None,
) -> Environment:
    """With what is asked for around it; itself if nothing is."""
    if encounters == "random":
        environment = Shuffled(environment)
    if sticky_actions:
        environment = Sticky(environment, sticky_actions)
    if noop_starts:
        environment = NoopStarts(environment, noop_starts)
    if frame_skip > 1:
        environment = FrameSkip(environment, frame_skip, press_frames)
    return environment if episode_ticks is None else CutOff(environment, episode_ticks)
