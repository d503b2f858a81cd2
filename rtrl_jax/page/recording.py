"""A person's play as a demonstration: something for an agent to learn from first."""

import pathlib

import numpy as np

from rtrl_jax.actions import Actions, same
from rtrl_jax.errors import UserError
from rtrl_jax.replay import demonstrations
from rtrl_jax.telemetry import files

MOST_FRAMES = 108_000  # half an hour, 760 MB in memory


def check(path: str, spec) -> pathlib.Path:
    """The file to write. Raises UserError if it is there, cannot be, or nothing could be learned from it."""
    if not path.endswith(".npz"):
        raise UserError(f"--record={path}: it should end in .npz")
    if not spec.is_picture:
        raise UserError("--record: demonstrations are of games whose observations are pictures")
    return files.check_file(path, "--record").absolute()


class Recording:
    """Takes in tick after tick; `write` makes the file."""

    def __init__(self, default_action, environment: str = "", action_names: tuple[str, ...] = (), these: Actions = 0):
        """Args: these: the environment's actions, if they are vectors."""
        self._default, self._game = default_action, demonstrations.Game(environment, action_names)
        self._none = demonstrations.none(these)
        self._frames, self._actions, self._rewards, self._ends = [], [], [], []

    def __len__(self) -> int:
        return len(self._actions)

    def add(self, frame: np.ndarray, action, reward: float, terminated: bool, truncated: bool) -> None:
        """Args: action: in force at this tick."""
        if len(self) < MOST_FRAMES:
            self._frames.append(frame.copy())
            self._actions.append(self._none if same(action, self._default) else action)
            self._rewards.append(reward)
            self._ends.append(1 if terminated else 2 if truncated else 0)

    def write(self, path: pathlib.Path) -> str:
        """Writes the file, if there is anything to learn from, and says what was done."""
        pressed = int(demonstrations.there(np.asarray(self._actions)).sum()) if self._actions else 0
        if not pressed:
            return f"nothing was pressed, so {path} was not written"
        if not self._ends[-1]:
            self._ends[-1] = 2  # the recording breaks off here
        demonstrations.write(path, np.stack(self._frames), self._actions, self._rewards, self._ends, self._game)
        full = "; it was full, what came after is not in it" if len(self) == MOST_FRAMES else ""
        return f"wrote {path}: {len(self)} frames, {pressed} actions, {sum(self._rewards):g} points{full}"
