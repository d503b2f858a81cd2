"""Games whose ROMs are the user's own: what we know of each (`games/*.json`), and where imported ones lie.

The data folder is $RTRL_DATA, by default ~/.local/share/rtrl_jax; a game has a folder in it with the ROM and its save states.
"""

import gzip
import json
import os
import pathlib
import zlib
from typing import NamedTuple

from rtrl_jax.environments.gameboy import Variable
from rtrl_jax.errors import UserError

FACTS = pathlib.Path(__file__).parent / "games"
FREE = {"tetris": "gameboy/stacks", "battles": "gameboy/duel-battles", "catching": "gameboy/duel-catching"}


class Facts(NamedTuple):
    """What is known of a game without having it."""

    name: str
    title: str
    sha256: str
    rom: str  # file name
    settings: dict  # setting -> {"states": prefix of the save states' names, "count": how many there are}
    first_state: int  # the number of the first one
    plausible: dict  # RAM variable -> [least, most] in every one of its save states
    note: str
    ram: dict[str, Variable]

    def state_names(self, setting: str) -> list[str]:
        numbers = range(self.first_state, self.first_state + self.settings[setting]["count"])
        return [f"{self.settings[setting]['states']}{number}" for number in numbers]

    @property
    def folder(self) -> pathlib.Path:
        return data_folder() / self.name

    @property
    def rom_path(self) -> pathlib.Path:
        return self.folder / self.rom

    def imported_states(self, setting: str) -> list[pathlib.Path]:
        """Those that are there, in order."""
        paths = [self.folder / "states" / f"{name}.state" for name in self.state_names(setting)]
        return [path for path in paths if path.exists()]


def data_folder() -> pathlib.Path:
    return pathlib.Path(os.environ.get("RTRL_DATA") or pathlib.Path.home() / ".local" / "share" / "rtrl_jax")


def all_facts() -> dict[str, Facts]:
    """Every game we know of, by name."""
    found = {}
    for path in sorted(FACTS.glob("*.json")):
        facts = json.loads(path.read_text())
        ram = {name: Variable(*place) for name, place in facts.pop("ram").items()}
        found[path.stem] = Facts(name=path.stem, ram=ram, **facts)
    return found


def ready(name: str, setting: str) -> tuple[Facts, list[bytes]]:
    """A game's facts and the save states of a setting. Raises UserError, with the way to import it, if it is not here."""
    facts = all_facts()[name]
    paths = facts.imported_states(setting)
    if not facts.rom_path.exists() or not paths:
        what = "the ROM" if not facts.rom_path.exists() else "the save states"
        raise UserError(
            f"{facts.title} needs {what}, which you must own: python launch/import_game.py --rom=FILE --states=FOLDER "
            f"brings them in; meanwhile {FREE[setting]} is free"
        )
    try:
        return facts, [gzip.decompress(path.read_bytes()) for path in paths]
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{facts.folder} is damaged ({error}): import {facts.title} again") from None
