"""The command line: help by topic, flagfiles by name, and a command for each program."""

import os
import subprocess
import sys
import tomllib

import pytest
from conftest import ROOT

from rtrl_jax import UserError, flagfiles
from rtrl_jax.settings import Settings
from rtrl_jax.settings_fields import groups

COMMANDS = sorted(path.stem for path in (ROOT / "rtrl_jax" / "commands").glob("*.py") if path.stem[0] != "_")


def say(name: str, *words: str, columns: int = 100, **kwargs):
    command = [sys.executable, str(ROOT / "launch" / f"{name}.py"), *words]
    environment = {**os.environ, "COLUMNS": str(columns)}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, **kwargs)


@pytest.mark.parametrize("columns", [50, 100])
def test_help_has_every_setting_under_its_heading_and_fits_the_terminal(columns):
    done = say("run", "--help", columns=columns)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    flags = [line.split()[0].replace("[no]", "").removeprefix("--") for line in lines if line.startswith("  --")]
    assert flags == ["resume", *(item.name for items in groups(Settings).values() for item in items)]
    assert [line for line in lines if line in groups(Settings)] == list(groups(Settings))
    assert max(len(line) for line in lines if not line.startswith(("  python", "Usage"))) <= columns
    words = " ".join(done.stdout.split())
    assert "gameboy/<game>, pokemon-<colour>/<setting>, atari/<Game>" in words
    assert "how inference is kept evenly spaced; one of ticket, max_time, expected_time, none; default ticket" in words
    assert "Ctrl-C, SIGTERM and SIGHUP end it in good order" in words
    assert f"python {ROOT}/launch/run.py --flagfile=boxing" in words


def test_help_into_a_pipe_that_nobody_reads_is_no_error():
    command = f"{sys.executable} {ROOT}/launch/run.py --help | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_program_is_a_command_with_help(name):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"][f"rtrl-{name.replace('_', '-')}"] == f"rtrl_jax.commands.{name}:command"
    done = say(name, "-?")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"\nUsage: python {ROOT}/launch/{name}.py" in done.stdout
    assert "\n  --" in done.stdout


def test_helpfull_is_the_list_by_module():
    done = say("run", "--helpfull")
    assert done.returncode == 0
    assert "--environment" in done.stdout
    assert "absl.app:" in done.stdout


def test_a_flagfile_by_its_name_from_any_folder(tmp_path):
    for words in (
        ["--flagfile=duel"],
        ["--flagfile", "duel"],
        ["-flagfile=duel"],
        ["--flagfile=duel", "--duration_s=9"],
    ):
        assert flagfiles.with_paths(["run", *words]) == [
            "run",
            *(word.replace("duel", str(ROOT / "configs" / "duel.flags")) for word in words),
        ]
    done = say("run", "--flagfile=duel", "--width=0", cwd=tmp_path)
    assert "--width=0.0: it must be" in done.stderr  # the flagfile has been read


def test_a_flagfile_in_a_folder_is_called_with_it(tmp_path, monkeypatch):
    name = "paper/figure6-boxing-dqn-async"
    assert name in flagfiles.names()
    assert flagfiles.find(name) == str(ROOT / "configs" / f"{name}.flags")
    with pytest.raises(UserError, match=r"did you mean paper/figure6-boxing-\w+\?"):
        flagfiles.find("paper/figure6-boxing")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "figure6-boxing-dqn-async").write_text("--width=2\n")
    assert flagfiles.find(name) == name  # a file that is there


def test_a_path_stays_what_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "duel").write_text("--width=2\n")
    for path in ("duel", "duel.flags", "configs/duel.flags", "/etc/duel", "", "."):
        assert flagfiles.with_paths(["run", f"--flagfile={path}"]) == ["run", f"--flagfile={path}"]
    assert flagfiles.with_paths(["run", "--", "--flagfile=boxing"]) == ["run", "--", "--flagfile=boxing"]
    assert flagfiles.with_paths(["run", "--flagfile"]) == ["run", "--flagfile"]


def test_an_unknown_name_is_one_line_with_what_is_meant_and_those_outside_folders():
    with pytest.raises(UserError) as error:
        flagfiles.find("duell")
    assert "\n" not in str(error.value)
    assert "did you mean duel?" in str(error.value)
    assert all(name in str(error.value) for name in flagfiles.names() if "/" not in name)
    assert "paper/…" in str(error.value)
    done = say("run", "--flagfile=duell")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_the_page_of_all_flags_is_that_of_the_code():
    done = subprocess.run(
        [sys.executable, str(ROOT / "launch" / "flags_table.py")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == (ROOT / "docs" / "flags.md").read_text(), "python launch/flags_table.py > docs/flags.md"
    assert all(f"| `--{name}` |" in done.stdout for name in Settings.__dataclass_fields__)
