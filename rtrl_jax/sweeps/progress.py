"""How far a run has come, as its folder tells while its process plays."""

import os
import pathlib

import numpy as np

from rtrl_jax.settings import Settings
from rtrl_jax.telemetry.progress import Limits
from rtrl_jax.telemetry.recorder import action_layout
from rtrl_jax.telemetry.tail import kinds

RAW = "ticks.raw"


class Progress:
    """Of one run. `look` costs a read of the last row."""

    def __init__(self, folder: pathlib.Path, settings: Settings):
        self._raw = folder / RAW
        self._limits = Limits(settings.duration_s, settings.max_ticks, settings.max_episodes)

    def look(self) -> tuple[str, float]:
        """What it has done in words, and which share of it is over."""
        last = self._last()
        if last is None:
            return "", 0.0
        ticks, episodes = int(last["tick"]) + 1, int(last["episode"])
        played_s = (int(last["boundary_ns"]) - self._began_ns) / 1e9
        return self._limits.words(played_s, ticks, episodes), self._limits.fraction(played_s, ticks, episodes) or 0.0

    def _last(self) -> np.void | None:
        try:
            dtype = kinds(action_layout(self._raw.parent))["ticks"]
            with open(self._raw, "rb") as file:
                whole = os.fstat(file.fileno()).st_size // dtype.itemsize
                if not whole:
                    return None
                self._began_ns = int(np.frombuffer(file.read(dtype.itemsize), dtype)[0]["boundary_ns"])
                file.seek((whole - 1) * dtype.itemsize)
                return np.frombuffer(file.read(dtype.itemsize), dtype)[0]
        except (OSError, IndexError, ValueError):  # it has not begun, or ends just now
            return None
