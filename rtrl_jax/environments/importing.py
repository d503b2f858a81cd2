"""Bringing a game of the user's own into the data folder: all of it or nothing.

The ROM is recognised by its SHA-256. Each save state is unpacked, loaded into the emulator with that ROM, and looked at.
"""

import gzip
import hashlib
import json
import pathlib
import shutil
import subprocess
import tempfile
import zlib

from rtrl_jax import processes
from rtrl_jax.environments.imported import Facts, all_facts, data_folder
from rtrl_jax.errors import UserError

LARGEST_ROM = 8 << 20
LARGEST_STATE = 1 << 20  # unpacked


def recognise(rom: pathlib.Path) -> Facts:
    """Which game a file is. Raises UserError if it is none that we know of."""
    try:
        if rom.stat().st_size > LARGEST_ROM:
            raise UserError(f"--rom={rom} is far too large for a Game Boy ROM")
        digest = hashlib.sha256(rom.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"--rom={rom} cannot be read ({error.strerror})") from None
    for facts in all_facts().values():
        if facts.sha256 == digest:
            return facts
    raise UserError(f"--rom={rom} is no ROM of a game we know (its SHA-256 is {digest}); --list shows which we do")


def find_states(folder: pathlib.Path, facts: Facts) -> dict[str, bytes]:
    """The game's save states anywhere below a folder, by name, unpacked. Raises UserError if one is damaged or there is none."""
    if not folder.is_dir():
        raise UserError(f"--states={folder} is not a folder")
    wanted = {name for setting in facts.settings for name in facts.state_names(setting)}
    found = {}
    for path in sorted(folder.rglob("*.state")):
        if path.stem in wanted and path.stem not in found:
            found[path.stem] = unpack(path)
    if not found:
        raise UserError(f"--states={folder} holds no save state of {facts.title} (such as {min(wanted)}.state)")
    return found


def unpack(path: pathlib.Path) -> bytes:
    try:
        with gzip.open(path) as file:
            state = file.read(LARGEST_STATE + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(
            f"{path} is not a whole save state ({' '.join(str(error).split())}): nothing was imported"
        ) from None
    if len(state) > LARGEST_STATE:
        raise UserError(f"{path} is too large for a save state")
    return state


def check_states(rom: pathlib.Path, states: dict[str, bytes], facts: Facts) -> None:
    """Loads every state into the emulator. Raises UserError at the first that is not of this game.

    In a process of its own, since rubbish of the right size can bring the emulator down.
    """
    with tempfile.TemporaryDirectory() as folder:
        copied = pathlib.Path(folder, facts.rom)  # the emulator goes by the ending
        shutil.copyfile(rom, copied)
        for name, state in states.items():
            pathlib.Path(folder, name).write_bytes(state)
        plausible = [[name, *facts.ram[name], *bounds] for name, bounds in facts.plausible.items()]
        question = {"rom": str(copied), "plausible": plausible, "states": list(states)}
        command = processes.command("rtrl_jax.environments.state_check")
        done = subprocess.run(command, input=json.dumps(question), capture_output=True, text=True)
    last = (done.stdout.splitlines() or [""])[-1]
    if done.returncode != 0:
        reason = (
            last if done.returncode == 1 and last else f"{last or next(iter(states))}.state brings the emulator down"
        )
        raise UserError(f"{reason}; it is not of this game, and nothing was imported")


def store(facts: Facts, rom: pathlib.Path, states: dict[str, bytes]) -> None:
    """Puts the game into the data folder, beside what was there, and then in its place."""
    data_folder().mkdir(parents=True, exist_ok=True)
    fresh = pathlib.Path(tempfile.mkdtemp(prefix=f".{facts.name}-", dir=data_folder()))
    retired = facts.folder.with_name(f"{fresh.name}-retired")
    try:
        if facts.folder.exists():
            shutil.copytree(facts.folder, fresh, dirs_exist_ok=True)
        shutil.copyfile(rom, fresh / facts.rom)
        (fresh / "states").mkdir(exist_ok=True)
        for name, state in states.items():
            (fresh / "states" / f"{name}.state").write_bytes(gzip.compress(state, mtime=0))
        fresh.chmod(0o755)
        if facts.folder.exists():
            facts.folder.rename(retired)
        fresh.rename(facts.folder)
    except BaseException:
        if retired.exists() and not facts.folder.exists():
            retired.rename(facts.folder)
        raise
    finally:
        for leftover in (fresh, retired):
            shutil.rmtree(leftover, ignore_errors=True)
