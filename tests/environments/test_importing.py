"""Importing games: recognised by hash, all or nothing. A ROM of ours stands in for one of the user's."""

import gzip
import hashlib
import json
import os
import pathlib
import subprocess
import sys

import pytest
from conftest import ROOT

from rtrl_jax import UserError, environments
from rtrl_jax.environments import duel, imported, importing
from rtrl_jax.environments.homebrew import rom

ROM = pathlib.Path(rom("duel"))


@pytest.fixture
def known(tmp_path, monkeypatch):
    """A world in which our Duel is the user's Pokémon Blue, with three save states."""
    facts = json.loads((imported.FACTS / "pokemon-blue.json").read_text())
    with open(rom("duel"), "rb") as file:
        facts["sha256"] = hashlib.sha256(file.read()).hexdigest()
    facts["settings"] = {"battles": {"states": "Squirt_B", "count": 3}, "catching": {"states": "Squirt_C", "count": 1}}
    facts["plausible"] = {"party_size": [0, 0]}  # as it is in Duel
    (tmp_path / "games").mkdir()
    (tmp_path / "games" / "pokemon-blue.json").write_text(json.dumps(facts))
    monkeypatch.setattr(imported, "FACTS", tmp_path / "games")
    monkeypatch.setenv("RTRL_DATA", str(tmp_path / "data"))
    states = tmp_path / "checkout" / "PokemonBlue_Battles"
    states.mkdir(parents=True)
    for i in (1, 2, 3):
        (states / f"Squirt_B{i}.state").write_bytes(gzip.compress(duel.states("battles")[i]))
    return tmp_path


def bring_in(folder):
    facts = importing.recognise(ROM)
    states = importing.find_states(folder, facts)
    importing.check_states(ROM, states, facts)
    importing.store(facts, ROM, states)
    return facts


def test_what_is_imported_can_be_played_and_what_is_missing_is_known(known):
    facts = bring_in(known / "checkout")
    assert len(facts.imported_states("battles")) == 3
    assert facts.imported_states("catching") == []
    game = environments.make("pokemon-blue/battles")
    assert game.reset(seed=0).shape == (84, 84, 1)
    game.close()
    with pytest.raises(UserError, match="the save states"):
        environments.make("pokemon-blue/catching")
    (known / "checkout" / "PokemonBlue_Battles" / "Squirt_B2.state").unlink()
    assert len(bring_in(known / "checkout").imported_states("battles")) == 3, "what was there stays"


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: data[: len(data) // 2], "not a whole save state"),
        (lambda data: b"not gzip", "not a whole save state"),
        (lambda data: gzip.compress(gzip.decompress(data)[:-7]), "not of this game"),
        (lambda data: gzip.compress(b"\0" * (2 << 20)), "too large"),
        (lambda data: gzip.compress(b"\0" * len(gzip.decompress(data))), "Squirt_B2.state brings the emulator down"),
    ],
    ids=["truncated", "no gzip", "foreign", "a bomb", "rubbish of the right size"],
)
def test_a_bad_state_imports_nothing(known, damage, says):
    path = known / "checkout" / "PokemonBlue_Battles" / "Squirt_B2.state"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=says):
        bring_in(known / "checkout")
    assert not (known / "data").exists()


def test_a_state_whose_values_cannot_be_this_game_s_imports_nothing(known):
    path = known / "games" / "pokemon-blue.json"
    path.write_text(
        path.read_text().replace('"plausible": {"party_size": [0, 0]}', '"plausible": {"party_size": [1, 6]}')
    )
    with pytest.raises(UserError, match="its party_size is 0"):
        bring_in(known / "checkout")
    assert not (known / "data").exists()


def test_an_import_that_fails_at_the_last_moment_leaves_what_was_there(known, monkeypatch):
    facts = bring_in(known / "checkout")
    before = sorted(path.name for path in facts.folder.rglob("*"))
    rename = pathlib.Path.rename

    def fail(path, target):
        if path.name.startswith(".") and "retired" not in path.name:
            raise OSError("no")
        return rename(path, target)

    monkeypatch.setattr(pathlib.Path, "rename", fail)
    with pytest.raises(OSError, match="no"):
        bring_in(known / "checkout")
    assert sorted(path.name for path in facts.folder.rglob("*")) == before
    assert [path.name for path in imported.data_folder().iterdir()] == ["pokemon-blue"]


def command(*flags, data):
    environment = {**os.environ, "RTRL_DATA": str(data)}
    return subprocess.run(
        [sys.executable, str(ROOT / "launch" / "import_game.py"), *flags],
        capture_output=True,
        text=True,
        env=environment,
    )


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--rom=/no/such/file"], "cannot be read"),
        ([f"--rom={ROOT}/README.md"], "no ROM of a game we know"),
        ([f"--rom={ROOT}"], "cannot be read"),
        ([], "name the ROM"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_imported(tmp_path, flags, says):
    done = command(*flags, data=tmp_path / "data")
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_the_list_shows_what_is_ready(tmp_path):
    done = command("--list", data=tmp_path)
    assert done.returncode == 0
    assert "Stacks" in done.stdout
    assert "missing" in done.stdout


def test_without_the_rom_one_line_says_how_to_import_it_and_what_to_try_meanwhile(launch, tmp_path):
    environment = {**os.environ, "RTRL_DATA": str(tmp_path)}
    done = launch(f"--flagfile={ROOT}/configs/pokemon.flags", f"--run_dir={tmp_path}/run", env=environment)
    assert done.returncode == 2
    assert "launch/import_game.py --rom=FILE" in done.stderr
    assert "gameboy/duel-battles" in done.stderr
    assert done.stderr.count("\n") == 1
