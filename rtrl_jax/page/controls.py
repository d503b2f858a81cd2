"""From what a person presses to an action: a game's buttons, the keys for them, and which action some of them make together."""

import numpy as np

from rtrl_jax.actions import Vector
from rtrl_jax.environments import Spec

GAME_BOY = ("A", "B", "UP", "DOWN", "LEFT", "RIGHT")
JOYSTICK = ("UP", "DOWN", "LEFT", "RIGHT", "FIRE")
KEYS = {
    "UP": ("ArrowUp",),
    "DOWN": ("ArrowDown",),
    "LEFT": ("ArrowLeft",),
    "RIGHT": ("ArrowRight",),
    "A": ("KeyX",),
    "B": ("KeyZ", "KeyY"),  # Y is where Z is on a German keyboard
    "FIRE": ("Space", "KeyX"),
}
NOTHING = "NOOP"


def split(name: str) -> tuple[str, ...]:
    """The buttons that make up an action: UPRIGHTFIRE is three. A name that is none of these is one button."""
    if name == NOTHING:
        return ()
    rest, found = name, []
    while rest and (button := next((b for b in JOYSTICK if rest.startswith(b)), None)):
        found.append(button)
        rest = rest[len(button) :]
    return (name,) if rest else tuple(found)


class Sliders:
    """For actions that are vectors: two buttons for each number, to its least and to its most; without either it is β's.

    `keys` maps each button to codes of keys, as browsers name them: arrows for the first two numbers, digits for others.
    """

    def __init__(self, actions: Vector, default_action):
        self._actions, self._default = actions, np.asarray(default_action, np.float32)
        self.buttons = tuple(f"{place}{sign}" for place in range(actions.size) for sign in "-+")
        codes = iter(("ArrowLeft", "ArrowRight", "ArrowDown", "ArrowUp", *(f"Digit{digit}" for digit in range(1, 10))))
        self.keys = {button: (next(codes, "Digit0"),) for button in self.buttons}

    def action(self, held: list[str]) -> np.ndarray:
        """[size]. Args: held: buttons, in the order they were pressed; the last one counts."""
        found = self._default.copy()
        for button in held:
            place = int(button[:-1])
            found[place] = (self._actions.low if button[-1] == "-" else self._actions.high)[place]
        return found


def controls_of(spec: Spec):
    """The `Controls` or the `Sliders` of an environment."""
    if isinstance(spec.actions, Vector):
        return Sliders(spec.actions, spec.default_action)
    return Controls(spec.actions, spec.action_names, spec.default_action)


class Controls:
    """A game's buttons. `keys` maps each to codes of keys, as browsers name them."""

    def __init__(self, actions: int, names: tuple[str, ...], default_action: int):
        names = names or tuple(str(number) for number in range(actions))
        self._default = default_action
        self._actions = {
            frozenset(split(name)): number for number, name in enumerate(names) if number != default_action
        }
        self.buttons = tuple(dict.fromkeys(button for name in names for button in split(name)))
        if names[0].isdecimal():
            self.buttons = tuple(name for number, name in enumerate(names) if number != default_action)
        digits = iter(range(1, 10))
        self.keys = {
            button: KEYS.get(button)
            or ((f"Digit{button}",) if button in "0123456789" else (f"Digit{next(digits, 0)}",))
            for button in self.buttons
        }

    def action(self, held: list[str]) -> int:
        """The action that most of the held buttons make together, and of such the one with what was pressed last; else β.

        Args: held: buttons, in the order they were pressed.
        """
        best, found = (0, -1), self._default
        for buttons, number in self._actions.items():
            if buttons and buttons <= set(held):
                rank = (len(buttons), max(held.index(button) for button in buttons))
                if rank > best:
                    best, found = rank, number
        return found


class Held:
    """What is being pressed, by anybody. A press shorter than a tick counts for one."""

    def __init__(self, buttons: tuple[str, ...]):
        self._buttons = buttons
        self._down: dict[tuple, None] = {}  # (who, button), in order
        self._tapped: list[str] = []

    def press(self, who, button: str) -> None:
        """Raises ValueError for what is no button."""
        if button not in self._buttons:
            raise ValueError("no such button")
        self._down.pop((who, button), None)
        self._down[who, button] = None
        self._tapped.append(button)

    def release(self, who, button: str) -> None:
        self._down.pop((who, button), None)

    def release_all(self, who) -> None:
        for key in [key for key in self._down if key[0] is who]:
            del self._down[key]

    def take(self) -> list[str]:
        """What counts at this tick, in the order it was pressed. Taps are forgotten then."""
        held = list(dict.fromkeys([*self._tapped, *(button for _, button in self._down)]))
        self._tapped.clear()
        return held
