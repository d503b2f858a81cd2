"""Game Boy games at 59.7275 frames a second, one emulator frame a step, in stable-retro's gambatte.

A game is data: where its figures lie in RAM, what they are worth, when an encounter is over, and the save states its
encounters begin from. `duel`, `stacks`, `pokemon` and `tetris` say that of each game; everything else is here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rtrl_jax.environments.frames import SIDE, small_grey
from rtrl_jax.environments.protocol import Environment, Progress
from rtrl_jax.environments.spec import Spec

RATE_HZ = 59.7275
BUTTONS = ("B", None, "SELECT", "START", "UP", "DOWN", "LEFT", "RIGHT", "A")  # in the emulator's order
ACTIONS = ("A", "B", "LEFT", "UP", "RIGHT", "DOWN")  # the paper's six; β, which presses nothing, comes after them

SCREEN = (144, 160, 3)


class Variable(NamedTuple):
    """Something in RAM."""

    address: int
    kind: str = "|u1"  # |u1, or u2, u3 and u4 behind > (big-endian) or <; d in place of u for binary-coded decimal


class Judgement(NamedTuple):
    """What a frame was worth, and how the encounter ended if it did."""

    reward: float
    won: bool | None = None  # None while it goes on


@dataclass(frozen=True)
class Game:
    """A game as data and pure functions.

    Attributes:
      rom: path of the ROM.
      ram: what the rules look at, by name.
      begin: (console, encounter, random generator) -> None, brings the console to the encounter's first frame.
      encounters: how many there are.
      judge: (values before, values after, notes) -> Judgement. Values are those of `ram`. `notes` is a dictionary that is empty
        when an encounter begins, for what a rule must remember, such as the sign of the last reward. Plain numbers only.
    """

    rom: str
    ram: dict[str, Variable]
    begin: Callable
    judge: Callable[[dict, dict, dict], Judgement]
    encounters: int = 1


class Console:
    """The emulator: buttons in, picture and RAM out. There can be one in a process."""

    def __init__(self, rom: str):
        import stable_retro

        self._emulator = stable_retro.RetroEmulator(rom)
        self._data = stable_retro.data.GameData()
        self._emulator.configure_data(self._data)
        self._masks = {name: np.eye(len(BUTTONS), dtype=np.uint8)[i] for i, name in enumerate(BUTTONS) if name}
        self._nothing = np.zeros(len(BUTTONS), np.uint8)
        self.step()

    def step(self, *buttons: str, frames: int = 1) -> None:
        """Holds `buttons` down for some frames."""
        mask = self._nothing
        for name in buttons:
            mask = mask | self._masks[name]
        for _ in range(frames):
            self._emulator.set_button_mask(mask, 0)
            self._emulator.step()

    def picture(self) -> np.ndarray:
        """[144, 160, 3] uint8."""
        return self._emulator.get_screen()

    def read(self, variable: Variable) -> int:
        return int(self._data.memory.extract(variable.address, variable.kind))

    def write(self, variable: Variable, value: int) -> None:
        self._data.memory.assign(variable.address, variable.kind, value)

    def save(self) -> bytes:
        """The whole state of the machine; `restore` brings it back exactly."""
        return self._emulator.get_state()

    def restore(self, state: bytes) -> None:
        self._emulator.set_state(state)

    def close(self) -> None:
        del self._emulator


class GameBoy(Environment):
    """Plays a game's encounters in order, each until it is won. An episode is one attempt."""

    def __init__(self, game: Game):
        self._game = game
        self.console = Console(game.rom)
        self._rng = np.random.default_rng(0)
        self._values, self._notes = {}, {}
        self.progress = Progress()
        actions = len(ACTIONS)  # β is none of them
        self.spec = Spec((SIDE, SIDE, 1), "uint8", actions, actions, RATE_HZ, 1e-3, SCREEN, ACTIONS, observed_as="grey")

    @property
    def encounters(self) -> int:
        """How many the game has."""
        return self._game.encounters

    def reset(self, seed: int | None = None, encounter: int | None = None) -> np.ndarray:
        """Begins the next attempt, at number `encounter` if that is given. A seed also goes back to the first encounter."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
            self.progress = Progress()
        if encounter is not None:
            self.progress = self.progress._replace(encounter=encounter)
        self._game.begin(self.console, self.progress.encounter, self._rng)
        self.console.step()  # a restored state shows its picture with the next frame
        self._values, self._notes = self._read(), {}
        self.progress = self.progress._replace(attempts=self.progress.attempts + 1)
        return small_grey(self.console.picture())

    def step(self, action: int):
        """Args: action: number in `ACTIONS`; one more is β."""
        _, reward, terminated, truncated = self.skip(action)
        return small_grey(self.console.picture()), reward, terminated, truncated

    def skip(self, action: int):
        """`step`, without the time that a picture takes."""
        self.console.step(*ACTIONS[action : action + 1])
        before, self._values = self._values, self._read()
        judgement = self._game.judge(before, self._values, self._notes)
        if judgement.won is not None:
            self.progress = self.progress.after(judgement.won, self._game.encounters)
        frame = None if judgement.won is None else small_grey(self.console.picture())
        return frame, judgement.reward, judgement.won is not None, False

    def picture(self) -> np.ndarray:
        """The screen as the console draws it: [144, 160, 3] uint8."""
        return self.console.picture()

    def save(self) -> dict:
        """All that `restore` needs to go on as if nothing had happened. Plain values and bytes."""
        return {
            "console": self.console.save(),
            "values": dict(self._values),
            "notes": dict(self._notes),
            "progress": tuple(self.progress),
            "rng": self._rng.bit_generator.state,
        }

    def restore(self, saved: dict) -> None:
        self.console.restore(saved["console"])
        self._values, self._notes = dict(saved["values"]), dict(saved["notes"])
        self.progress = Progress(*saved["progress"])
        self._rng.bit_generator.state = saved["rng"]

    def close(self) -> None:
        self.console.close()

    def _read(self) -> dict[str, int]:
        return {name: self.console.read(variable) for name, variable in self._game.ram.items()}
