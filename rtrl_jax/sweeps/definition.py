"""What a sweep is: settings, cells and seeds; and its folder, which holds one sweep and no other."""

import contextlib
import dataclasses
import json
import os
import pathlib
from typing import NamedTuple

from rtrl_jax.agents.variant import for_actions
from rtrl_jax.core import preparation, sizing
from rtrl_jax.core.accelerator import IN_PLACE
from rtrl_jax.core.folder import make
from rtrl_jax.environments import Spec, fresh
from rtrl_jax.errors import UserError
from rtrl_jax.evaluation import world
from rtrl_jax.evaluation.settings import Evaluation
from rtrl_jax.settings import Settings
from rtrl_jax.sweeps.grid import Cell
from rtrl_jax.sweeps.place import FILE, Place, name_of, of
from rtrl_jax.telemetry import files
from rtrl_jax.virtual_time import aliases, costs

FORMAT = 1
OF_A_WORLD = ("environment", "is_virtual", "checkpoint_every_s", *world.FLAGS)
A_PROCESS = 500 << 20  # bytes: the interpreter, JAX and what it has compiled
ITS_OWN = ("display", "cores")  # settings that make no other sweep of it


class Played(NamedTuple):
    """How the last checkpoint of each run is evaluated."""

    episodes: int = 0  # 0: not at all
    most_ticks: int = 0  # longer episodes are cut off

    def evaluation(self, settings: Settings, where: Place, cores: str | None = None) -> Evaluation:
        """Of a run with these settings: greedily, as it acted; what needs no checkpoint in the world that the run had."""
        what = {"checkpoint": str(where.run)}
        if settings.policy != "agent":
            names = ("policy", "default_action", *world.FLAGS)
            what = {"environments": settings.environment, **{name: getattr(settings, name) for name in names}}
            what |= {"delay": settings.delay, "inaction": "sequential" if settings.is_sequential else "async"}
        return Evaluation(
            **what,
            epsilon="0",
            episodes=self.episodes,
            seeds=str(settings.seed),
            max_ticks_per_episode=self.most_ticks,
            cores=cores,
            out=str(where.evaluation),
        )


class Run(NamedTuple):
    """One cell with one seed."""

    name: str  # of its folder
    cell: Cell
    seed: int


class Sweep(NamedTuple):
    settings: Settings  # what all runs have in common
    cells: list[Cell]
    seeds: list[int]
    played: Played = Played()

    def runs(self) -> list[Run]:
        """All of them, every cell with the first seed first."""
        return [Run(name_of(cell.name, seed), cell, seed) for seed in self.seeds for cell in self.cells]

    def settings_of(self, run: Run, folder: pathlib.Path | None = None) -> Settings:
        run_dir = None if folder is None else str(folder)
        return dataclasses.replace(self.settings, **run.cell.values, seed=run.seed, run_dir=run_dir)

    @property
    def is_virtual(self) -> bool:
        """Whether no run needs the wall clock."""
        return all(self.settings_of(run).is_virtual for run in self.runs())

    def check(self) -> int:
        """Raises UserError if one of its runs cannot be. Returns how many bytes the largest takes, about."""
        specs, most = {}, 0
        for cell in self.cells:
            settings = preparation.checked(self.settings_of(Run("", cell, self.seeds[0])))
            if self.played.episodes:
                if not settings.checkpoint_every_s:
                    raise UserError("--evaluate_episodes plays checkpoints: leave out --checkpoint_every_s=0")
                self.played.evaluation(settings, of(pathlib.Path(), cell.name)).check()
                fresh.check(settings.environment)  # its processes are new ones
            its = tuple(getattr(settings, name) for name in OF_A_WORLD)
            if its not in specs:
                specs[its] = preparation.probe(settings)
            most = max(most, _look_at(settings, specs[its]))
        return most

    def as_dict(self) -> dict:
        """What sweep.json holds."""
        given = {
            item.name: value
            for item in dataclasses.fields(Settings)
            if (value := getattr(self.settings, item.name)) != item.default and item.name not in ITS_OWN
        }
        return {
            "format": FORMAT,
            "settings": given,
            "cells": {cell.name: cell.values for cell in self.cells},
            "seeds": self.seeds,
            "evaluate": self.played._asdict(),
        }


def _look_at(settings: Settings, spec: Spec) -> int:
    """What the run itself would find out before it begins, so that it is found out before the sweep does. Returns bytes."""
    if settings.is_virtual:
        settings = aliases.spell_out(for_actions(settings, spec.actions, settings.environment), spec.rate_hz)
        settings.check()
        costs.read_traces(settings)
    if settings.device != IN_PLACE:  # an accelerator is for the runs: whoever looks for it holds its memory
        return A_PROCESS + sizing.kept_bytes(settings, spec)
    model = preparation.prepare(settings, spec)
    return A_PROCESS + sizing.needed(model) + sizing.kept_bytes(model.settings, spec)


def check_folder(out: pathlib.Path, sweep: Sweep) -> None:
    """Raises UserError if the folder holds another sweep, or something else; writes nothing."""
    file = out / FILE
    if not file.exists():
        half = out / f"{FILE}.partial"  # of one that was killed before its first run
        if not (out.is_dir() and os.listdir(out) == [half.name]):
            files.check_folder(out)
        return
    try:
        there = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}): name another folder with --out") from None
    if there != (mine := json.loads(files.as_json(sweep.as_dict()))):
        raise UserError(f"--out={out} holds another sweep ({_difference(there, mine)}): name another folder")


def _difference(there, mine) -> str:
    """Where two of them differ first, in words."""
    if not isinstance(there, dict):
        return "of an unknown format"
    for part in ("format", "seeds", "evaluate", "cells"):
        if there.get(part) != mine[part]:
            had, has = there.get(part), mine[part]
            if part == "cells":
                had, has = (", ".join(one) if isinstance(one, dict) else one for one in (had, has))
            return f"its {part}: {had}; here {has}"
    had, has = there.get("settings") or {}, mine["settings"]
    name = next(name for name in (*had, *has) if had.get(name) != has.get(name))
    words = ["not given" if name not in one else f"{one[name]}" for one in (had, has)]
    return f"its --{name}: {words[0]}; here {words[1]}"


@contextlib.contextmanager
def opened(out: pathlib.Path, sweep: Sweep):
    """The folder, made if need be, for this process alone. Raises UserError as `check_folder`, or if one works in it now."""
    from rtrl_jax.checkpoints import store

    check_folder(out, sweep)
    make(out, flag="--out")
    with store.locked(out, flag="--out", what="a sweep"):
        check_folder(out, sweep)  # another may have been quicker
        if not (out / FILE).exists():
            files.write_json(out / FILE, sweep.as_dict())
        yield
