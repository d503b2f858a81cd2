"""What README and docs/ say is there: pages, pictures, headings, files, flags, columns; and what they show can be run."""

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from rtrl_jax import flagfiles
from rtrl_jax.telemetry import tail
from rtrl_jax.telemetry.recorder import columns

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MOST_WORDS = 1000  # of the README
COMMAND = re.compile(r"^(?:python launch/(\w+)\.py|rtrl-([\w-]+))(.*)$", re.MULTILINE)
FLAG = re.compile(r"--(\w+)(?:=(\S+))?")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """Without its code blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def links(page: Path) -> list[str]:
    """Targets of its links and pictures within the project."""
    found = re.findall(r'\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"', prose(page))
    return [one or other for one, other in found if "://" not in (one or other)]


def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_and_picture_is_there(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name(page)} links to {link}"
        assert not anchor or anchor in anchors(target), f"{name(page)} links to {link}, and there is no such heading"


def test_every_page_is_reached_from_the_readme():
    reached, waiting = set(), [PAGES[0]]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            targets = [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]
            waiting += [target for target in targets if target in PAGES]
    assert reached == set(PAGES)


def test_the_readme_is_short():
    assert len(PAGES[0].read_text().split()) <= MOST_WORDS


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_named_is_there(page):
    places = "rtrl_jax|launch|benchmarks|configs|tests|docs|results"
    made = re.findall(r"<!-- \w+: (\S+) -->\n```python", page.read_text())  # by following a recipe
    for path in re.findall(rf"`((?:{places})/[\w./-]+)`", prose(page)):
        assert (ROOT / path).exists() or path in made, f"{name(page)} names {path}"


@cache
def flags_of(program: str) -> dict[str, list[str]]:
    """The flags of launch/<program>.py, and what each may be ([] if anything)."""
    command = [sys.executable, ROOT / "launch" / f"{program}.py", "--helpfull"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    found = re.findall(r"^\s+(?:-\S,)?--(?:\[no\])?(\w+):(?: <([^>\n]*\|[^>\n]*)>:)?", shown, re.MULTILINE)
    return {flag: choices.split("|") if choices else [] for flag, choices in found}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_has_the_flags_it_is_given(page):
    text = re.sub(r"<!-- \w+: run -->\n```.*?```", "", page.read_text(), flags=re.DOTALL)  # after a recipe's changes
    for launched, installed, arguments in COMMAND.findall(text):
        program = launched or installed.replace("-", "_")
        known = flags_of(program)
        for flag, value in FLAG.findall(arguments.split("#")[0]):
            assert flag in known, f"{name(page)}: {program} has no --{flag}"
            assert not known[flag] or value in known[flag], f"{name(page)}: {program} has no --{flag}={value}"
            if flag == "flagfile" and not value.startswith("RUN"):
                assert (ROOT / value).is_file() or value in flagfiles.names(), f"{name(page)}: {value}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_flag_in_the_text_is_one_of_some_command(page):
    known = {"help", "helpfull"} | {flag for path in (ROOT / "launch").glob("*.py") for flag in flags_of(path.stem)}
    for flag in re.findall(r"`--(\w+)[^`]*`", prose(page)):
        assert flag in known, f"{name(page)} speaks of --{flag}"


@pytest.mark.parametrize("kind", tail.KINDS)
def test_every_column_is_documented_and_no_other(kind):
    page = (ROOT / "docs" / "run-folder.md").read_text()
    table = page.split(f"`{kind}.npz`:\n\n")[1].split("\n\n")[0]
    documented = [column for row in table.splitlines() for column in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(documented) == sorted(columns(np.empty(0, tail.KINDS[kind])))


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A folder with a small run in runs/staggered."""
    folder = tmp_path_factory.mktemp("docs")
    flags = [
        "--environment=toy/Inaction-v0",
        "--delay=2",
        "--policy=random",
        "--max_ticks=50",
        "--run_dir=runs/staggered",
    ]
    command = [sys.executable, ROOT / "launch" / "run.py", *flags]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    return folder


def test_every_field_of_the_summary_is_documented_and_no_other(played):
    summary = json.loads((played / "runs" / "staggered" / "summary.json").read_text())
    section = (ROOT / "docs" / "run-folder.md").read_text().split("## summary.json")[1].split("\n## ")[0]
    rows = [row.split("|") for row in section.splitlines() if row.startswith("| `")]
    documented = {field: row[3] for row in rows for field in re.findall(r"`(\w+)`", row[1])}
    assert sorted(documented) == sorted(summary)
    for field in (
        "lateness_ms",
        "delay",
        "interaction_ticks",
        "inference",
        "learning",
        "progress",
        "observation",
        "episodes",
        "network",
    ):
        assert sorted(re.findall(r"`(\w+)`", documented[field])) == sorted(summary[field]), field


@pytest.mark.parametrize("page", ["docs/run-folder.md", "docs/guides/planning.md"])
def test_what_it_shows_in_python_runs(page, played):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [sys.executable, "-c", block],
            cwd=played,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout
