"""A worker's loop as steps that read from top to bottom: each takes what was waited for, and says what to wait for next.

Where a loop stands is then the name of a step and a few values, which a checkpoint of a run in virtual time keeps.
"""

from collections.abc import Callable
from typing import Any


class Loop:
    """What a driver runs: `next` begins it, `send` answers the effect that it waits for, as of a generator.

    A step is a method: (answer) -> (effect to wait for, step that takes its answer). `begin` is the first, without an answer.
    """

    KEPT: tuple[str, ...] = ()  # attributes that one step leaves for another

    _step: Callable[[Any], tuple]

    def begin(self) -> tuple:
        raise NotImplementedError

    def __next__(self):
        return self._wait(self.begin())

    def send(self, answer):
        return self._wait(self._step(answer))

    def _wait(self, found: tuple):
        effect, self._step = found
        return effect

    def state(self) -> dict:
        """Where it stands: the step that takes the answer it waits for, and the values that are kept."""
        return {"step": self._step.__name__, **{name: getattr(self, name) for name in self.KEPT}}

    def give_up(self) -> None:
        """Forgets the update that it was making, which diverged: `send` with an instant goes on, to another."""
        raise NotImplementedError

    def restore(self, saved: dict) -> None:
        """Stands where another did: `send` goes on from there. In place of `next`."""
        for name in self.KEPT:
            setattr(self, name, saved[name])
        self._step = getattr(self, saved["step"])
