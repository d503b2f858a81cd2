"""The package as it is installed: built into a wheel, put into a new environment, and played from an empty folder."""

import json
import os
import pathlib
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile

import pytest
from conftest import ROOT

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def pip(*words) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bin_folder(wheel, tmp_path_factory) -> pathlib.Path:
    """Of an environment that has the wheel, and everything it needs from the one that runs the tests."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    pip("--python", folder / "bin" / "python", "install", "--no-deps", "--no-index", wheel)
    (packages,) = folder.glob("lib/python*/site-packages")
    packages.joinpath("what_it_needs.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin"


def test_all_that_is_not_code_is_in_the_wheel(wheel):
    there = set(zipfile.ZipFile(wheel).namelist())
    for folder, inside in (
        ("configs", "configs"),
        ("rtrl_jax/environments", "environments"),
        ("rtrl_jax/page", "page"),
    ):
        paths = [path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        assert paths
        missing = {f"rtrl_jax/{inside}/{path.relative_to(ROOT / folder)}" for path in paths} - there
        assert not missing
    assert "rtrl_jax/environments/homebrew/duel.gb" in there
    assert "rtrl_jax/page/static/run.html" in there
    assert "rtrl_jax/networks/fast/native.cpp" in there


def test_it_plays_from_an_empty_folder(bin_folder, tmp_path):
    def say(name, *words):
        command = [bin_folder / name, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=ENVIRONMENT)

    where = say("python", "-c", "import rtrl_jax; print(rtrl_jax.__file__)").stdout
    assert str(bin_folder.parent) in where
    done = say("rtrl-run", "--flagfile=duel", "--duration_s=3", "--run_dir=played")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["played"]
    summary = json.loads((tmp_path / "played" / "summary.json").read_text())
    assert summary["environment"] == "gameboy/duel-battles"
    assert summary["ended_by"] == "its limits"
    assert summary["ticks"] >= 100  # of 180
    assert not summary["failures"]

    done = say("rtrl-run", "--flagfile=duell")
    assert done.returncode == 2
    assert "duel-catching" in done.stderr


def test_every_program_is_installed(bin_folder):
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert {path.name for path in bin_folder.glob("rtrl-*")} == set(scripts)
