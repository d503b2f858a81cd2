"""What is drawn and written from which tables: the one list of the pictures and pages of results/."""

import functools
import hashlib
import pathlib
from collections.abc import Callable
from typing import NamedTuple

from rtrl_jax.figures import (
    constancy,
    costs,
    curves,
    laboratory,
    late_game,
    learned,
    learners,
    machines,
    networks,
    regret,
    tables,
    workers,
)

DIGEST = "Tables"  # what the pictures' metadata call the digest of the tables they were drawn from


def digest(results: pathlib.Path, sources: tuple[str, ...]) -> str:
    """Of tables."""
    together = hashlib.sha256()
    for source in sources:
        together.update((results / source).read_bytes())
    return together.hexdigest()


class Picture(NamedTuple):
    sources: tuple[str, ...]  # tables, in results/; without one of them it is not drawn
    draw: Callable  # (folder of results) -> figure


def _drawn(draw: Callable, *sources: str) -> Picture:
    """A picture whose `draw` takes the rows of each of its tables."""
    return Picture(sources, lambda results: draw(*(tables.read(results / source) for source in sources)))


def _learned(game: learned.Game) -> Picture:
    return _drawn(functools.partial(learned.draw, game), *game.tables)


NETWORKS = tuple(f"scaling/{name}" for name in networks.FILES)
PICTURES: dict[str, Picture] = {
    "paper/figure7.png": _drawn(workers.draw, "scaling/workers.csv"),
    "paper/figure8.png": _drawn(learners.draw, "scaling/learners.csv"),
    "paper/figures7b-8b.png": Picture(NETWORKS, lambda results: networks.draw(results / "scaling")),
    "paper/constant-delay.png": _drawn(constancy.draw, "scaling/constancy.csv"),
    "regret/regret.png": _drawn(regret.draw, "regret/runs.csv"),
    "paper/regret.png": _drawn(regret.draw_rest, "regret/runs.csv", "regret/learning.csv"),
    "laboratory/laboratory.png": _drawn(laboratory.draw_plain, "laboratory/runs.csv"),
    "late_head/laboratory.png": _drawn(laboratory.draw_late, "late_head/laboratory-runs.csv"),
    "late_head/laboratory-300k.png": _drawn(
        laboratory.draw_longer, "late_head/laboratory-runs.csv", "late_head/laboratory-300k-runs.csv"
    ),
    "late_head/stacks.png": _drawn(late_game.draw, *late_game.SOURCES),
    "learning_curves/curves.png": _drawn(curves.draw, "learning_curves/curves.csv"),
    "learning_curves/stacks.png": _learned(learned.STACKS),
    "learning_curves/stacks-realtime.png": _learned(learned.REALTIME),
    "learning_curves/battles.png": _learned(learned.BATTLES),
}


class Page(NamedTuple):
    sources: tuple[str, ...]  # tables, in results/; without one of them its facts are not known
    find: Callable[[pathlib.Path], dict[str, str]]  # folder of results -> facts

    def facts(self, results: pathlib.Path) -> dict[str, str]:
        is_there = all((results / source).exists() for source in self.sources)
        return self.find(results) if is_there else tables.NotRun()


def _told(find: Callable, *sources: str) -> Page:
    """A page whose `find` takes the rows of each of its tables."""
    return Page(sources, lambda results: find(*(tables.read(results / source) for source in sources)))


def _with_networks(page: Page) -> Page:
    return Page(page.sources, lambda results: page.find(results) | networks.facts(results / "scaling"))


def _constancy(results: pathlib.Path) -> dict[str, str]:
    names = ("constancy.csv", "network-constancy.csv")  # there may be none of the second yet
    return constancy.facts(*(tables.read(results / "scaling" / name) for name in names))


WORKERS = _told(workers.facts, "scaling/workers.csv")
LEARNERS = _told(learners.facts, "scaling/learners.csv")
CONSTANCY = Page(("scaling/constancy.csv",), _constancy)
REGRET = _told(regret.facts, "regret/runs.csv", "regret/learning.csv")


def _claims(results: pathlib.Path) -> dict[str, str]:
    pages = {"workers": WORKERS, "learners": LEARNERS, "constancy": CONSTANCY, "regret": REGRET}
    found = {name: page.facts(results) for name, page in pages.items()} | {
        "networks": networks.facts(results / "scaling")
    }
    known = {f"{name}_{fact}": text for name, facts in found.items() for fact, text in facts.items()}
    known |= costs.by_table(results)
    return known if all(found.values()) else tables.NotRun(known)


PAGES: dict[str, Page] = {  # made from the templates of their names
    "paper/figure7.md": _with_networks(WORKERS),
    "paper/figure8.md": _with_networks(LEARNERS),
    "paper/constant-delay.md": CONSTANCY,
    "paper/regret.md": REGRET,
    "paper/README.md": Page((), _claims),
    "scaling/machines.md": _told(machines.facts, "scaling/machines.csv"),
    "late_head/stacks.md": _told(late_game.facts, *late_game.SOURCES),
    "learning_curves/curves.md": _told(curves.facts, "learning_curves/curves.csv"),
}
TEMPLATES = "paper/templates"
