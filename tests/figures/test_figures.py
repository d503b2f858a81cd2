"""The pages and pictures of results/ are those of the tables that are committed there, and their commands can be run."""

import re
import shlex
from pathlib import Path

import pytest
from absl import flags
from conftest import ROOT
from PIL import Image

from rtrl_jax import flagfiles
from rtrl_jax.figures import catalogue, pages, tables
from rtrl_jax.flags import define_flags
from rtrl_jax.settings import Settings
from rtrl_jax.sweeps import grid
from rtrl_jax.virtual_time import aliases

RESULTS = ROOT / "results"
PAPER = sorted((RESULTS / "paper").glob("*.md"))
TEMPLATES = {path.name: path.read_text() for path in sorted((RESULTS / catalogue.TEMPLATES).glob("*.md"))}
# What a template may say in figures among its findings: settings of the studies, which no run decides.
SETTINGS = {
    "README.md": {"0.5", "1", "2", "50", "60"},
    "figure7.md": {"0", "0.1", "0.5", "8", "8.5", "16", "300", "½"},
    "figure8.md": {"0.1", "0.5"},
    "constant-delay.md": {"9.5", "12", "60", "2,000"},
    "curves.md": {"95"},
    "machines.md": set(),
    "stacks.md": {"1", "30", "2,500"},
    "regret.md": {"0.9", "8", "8.5", "32", "50", "½"},
}

REFERENCE = re.compile(
    r"(Algorithm|Equation|Remark|Figure|footnote|section)s? [A\d]+[ab]?((,| and|, Equation) [A\d]+[ab]?)*",
    re.IGNORECASE,
)


@pytest.mark.parametrize("name", catalogue.PAGES)
def test_making_a_page_again_changes_nothing(name):
    facts = catalogue.PAGES[name].facts(RESULTS)
    made = pages.fill(Path(name).name, TEMPLATES[Path(name).name], facts)
    assert made == (RESULTS / name).read_text(), f"make figures, or mend {name}'s template"


def test_every_template_is_a_page():
    assert set(TEMPLATES) == {Path(name).name for name in catalogue.PAGES}


@pytest.mark.parametrize("name", TEMPLATES)
def test_what_was_found_stands_in_a_template_as_names_of_facts(name):
    text = pages.PLACE.sub("", TEMPLATES[name])
    text = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", "", text, flags=re.DOTALL)
    if name != "README.md":
        text = re.split("## (?:Left out|Verdict)", text.split("## What came out")[1])[0]
    else:
        text = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    text = REFERENCE.sub("", text)
    text = re.sub(r"\b\d+M\b", "", text)  # sizes of the paper's networks
    told = set(re.findall(r"½|\d[\d,]*(?:\.\d+)?", text))
    assert {one.rstrip(",") for one in told} <= SETTINGS[name]


@pytest.mark.parametrize("name", catalogue.PICTURES)
def test_every_picture_was_drawn_from_the_tables_as_they_are(name):
    picture = catalogue.PICTURES[name]
    if all((RESULTS / source).exists() for source in picture.sources):
        assert Image.open(RESULTS / name).text[catalogue.DIGEST] == catalogue.digest(RESULTS, picture.sources), name
    else:
        assert not (RESULTS / name).exists()


@pytest.mark.parametrize("page", PAPER, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    waiting = {name for name, one in catalogue.PICTURES.items() if not all((RESULTS / s).exists() for s in one.sources)}
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if f"paper/{link}" not in waiting:
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


@pytest.mark.parametrize("page", PAPER, ids=lambda page: page.name)
def test_every_page_is_in_the_table_and_says_how_it_is_decided(page):
    text = page.read_text()
    if page.name == "README.md":
        return
    assert f"({page.name})" in (RESULTS / "paper" / "README.md").read_text()
    assert "## Claim" in text
    assert "late-head" in page.name or "contrast" in text.lower()


@pytest.mark.parametrize("page", PAPER, ids=lambda page: page.name)
def test_its_sweeps_could_begin(page, monkeypatch):
    for line in re.findall(r"^python launch/sweep\.py (.*)$", page.read_text(), re.MULTILINE):
        common, grids, seeds = _read(shlex.split(line), monkeypatch)
        assert grid.seeds(seeds) == [0, 1, 2]
        for cell in grid.cells(grids):
            settings = Settings(**{**common, **cell.values})
            settings.check()
            aliases.spell_out(settings, rate_hz=59.7275 / settings.frame_skip).check()


def _read(words, monkeypatch):
    """(settings, grids, seeds) of a sweep's command line."""
    values = flags.FlagValues()
    monkeypatch.setattr(flags, "FLAGS", values)
    for kind in ("string", "integer", "float", "bool", "enum"):
        define = getattr(flags, f"DEFINE_{kind}")
        original = getattr(define, "original", define)
        bound = _bound(original, values)
        monkeypatch.setattr(flags, f"DEFINE_{kind}", bound)
    define_flags(Settings)
    flags.DEFINE_integer("evaluate_episodes", 0, "")
    flags.DEFINE_integer("evaluate_max_ticks", 0, "")
    flags.DEFINE_string("seeds", None, "")
    flags.DEFINE_string("out", None, "")
    grids = [word.removeprefix("--grid=") for word in words if word.startswith("--grid=")]
    values(flagfiles.with_paths(["sweep", *(word for word in words if not word.startswith("--grid="))]))
    return {name: values[name].value for name in Settings.__dataclass_fields__}, grids, values["seeds"].value


def _bound(original, values):
    def define(*args, **kwargs):
        return original(*args, **{"flag_values": values, **kwargs})

    define.original = original
    return define


def test_slopes():
    line = tables.slope([1, 10, 100, 1000], [2, 20, 200, 2000])
    assert (line.slope, line.half) == (pytest.approx(1), pytest.approx(0, abs=1e-6))
    assert line.is_linear
    assert not tables.slope([1, 10, 100, 1000], [1, 4, 90, 1500]).is_linear
    assert tables.slope([1, 1, 2], [1, 1, 2]) is None


def test_a_mean_says_its_interval_over_seeds_and_none_where_there_is_none():
    rows = [{"y": 1.0}, {"y": 2.0}, {"y": 3.0}]
    assert tables.mean(rows, "y").text() == "2.00 (-0.48 … 4.48)"
    assert tables.mean(rows[:1], "y").text() == "1.00"
    assert tables.mean([*rows, {"y": None}], "y") is None


def test_a_page_asks_for_what_is_a_fact():
    assert pages.fill("a.md", "it is {{this}}", {"this": "1.5"}).endswith("it is 1.5")
    with pytest.raises(KeyError):
        pages.fill("a.md", "it is {{that}}", {"this": "1.5"})
