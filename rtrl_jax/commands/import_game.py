"""Brings a Game Boy game that you own into the data folder, with the paper's save states, and says what is missing.

rtrl-import-game --rom=Pokemon_Blue.gb --states=realtime_rl/custom_integrations
rtrl-import-game --list
"""

import pathlib

from absl import flags
from rich.console import Console
from rich.table import Table

from rtrl_jax.environments import imported, importing
from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command

ROM = flags.DEFINE_string("rom", None, "the ROM's file")
STATES = flags.DEFINE_string("states", None, "a folder with the paper's save states, anywhere below it")
LIST = flags.DEFINE_bool("list", False, "show which games there are and which are ready")


def main() -> None:
    if LIST.value:
        show_games()
        return
    if ROM.value is None:
        raise UserError("name the ROM: --rom=FILE (or --list to see which games there are)")
    rom = pathlib.Path(ROM.value).expanduser()
    facts = importing.recognise(rom)
    states = {}
    if STATES.value is not None:
        states = importing.find_states(pathlib.Path(STATES.value).expanduser(), facts)
        importing.check_states(rom, states, facts)
    importing.store(facts, rom, states)
    print(f"{facts.title} is in {facts.folder}")
    for setting, counts in facts.settings.items():
        print(
            f"{setting}: {len(facts.imported_states(setting))} of {counts['count']} save states{_missing(facts, setting)}"
        )


def _missing(facts, setting: str) -> str:
    there = {path.stem for path in facts.imported_states(setting)}
    missing = [name for name in facts.state_names(setting) if name not in there]
    if not missing:
        return ""
    return f"; missing {', '.join(missing[:5])}" + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")


def show_games() -> None:
    table = Table(title="Game Boy games", title_justify="left")
    for column in ("environment", "game", "ROM", "save states", "note"):
        table.add_column(column)
    for name, game in (("duel-battles", "Duel"), ("duel-catching", "Duel"), ("stacks", "Stacks")):
        table.add_row(f"gameboy/{name}", game, "in the box", "in the box", "ours, free")
    for facts in imported.all_facts().values():
        for setting, counts in facts.settings.items():
            name = f"{facts.name}/{setting}" if facts.name != "tetris" else "gameboy/tetris"
            rom = "imported" if facts.rom_path.exists() else "missing"
            states = f"{len(facts.imported_states(setting))} of {counts['count']}"
            table.add_row(name, facts.title, rom, states, facts.note)
    Console().print(table)


def command() -> int:
    return run_command(main)
