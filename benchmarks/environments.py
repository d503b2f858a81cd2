"""Starts a run of each kind of environment and writes what happened to results/environments.md.

python benchmarks/environments.py                      all of it, in ten minutes; needs pip install '.[environments]'
python benchmarks/environments.py --only=Taxi,MinAtar  those whose names or kinds hold one of these words; others stay as they are

Each row is one run by the wall clock, with an environment process, an inference worker and a learner, from a checkpoint of which
it is then gone on with. That a world runs is not that its game is learned.
"""

import importlib.metadata
import json
import pathlib
import sys
import tempfile
from typing import NamedTuple

from absl import flags

import rtrl_jax
from rtrl_jax import UserError, actions, environments
from rtrl_jax.flags import run_command
from rtrl_jax.telemetry.files import write_text
from rtrl_jax.telemetry.summary import ITS_LIMITS, machine, versions

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "results" / "environments.md"
ONLY = flags.DEFINE_list("only", [], "words; only the environments whose names hold one of them")
PACKAGES = ("gymnasium", "ale-py", "mujoco", "box2d", "highway-env", "minatar", "minigrid")  # whose worlds are tried
RATE_HZ, TICKS, TICKS_MORE = 30, 120, 30  # of each run, whatever the world's own rate; after it has been resumed
# Small and soon: what is tried is the world. Learning begins at once, with few updates, since networks for images are slow.
SETTINGS = {"rate_hz": RATE_HZ, "learn_start": 20, "learn_every": 4, "width": 1 / 4, "batch_size": 8, "display": "none"}


class Tried(NamedTuple):
    kind: str
    environment: str
    kwargs: dict | None = None
    settings: dict | None = None  # other ones than `SETTINGS`


WORLDS = [
    Tried("classic control", "CartPole-v1"),
    Tried("classic control", "Acrobot-v1"),
    Tried("classic control", "MountainCar-v0"),
    Tried("classic control", "MountainCarContinuous-v0"),
    Tried("classic control", "Pendulum-v1"),
    Tried("Box2D", "LunarLander-v3"),
    Tried("Box2D", "LunarLander-v3", {"continuous": True}),
    Tried("Box2D", "BipedalWalker-v3"),
    Tried("Box2D, images", "CarRacing-v3"),
    Tried("Box2D, images", "CarRacing-v3", {"continuous": False}),
    Tried("toy text, Discrete", "Taxi-v4"),
    Tried("toy text, Discrete", "FrozenLake-v1"),
    Tried("toy text, Discrete", "CliffWalking-v1"),
    Tried("Tuple observations", "Blackjack-v1"),
    Tried("MuJoCo", "HalfCheetah-v5"),
    Tried("MuJoCo", "Hopper-v5"),
    Tried("MuJoCo, running statistics", "Humanoid-v5", None, {"normalise_observations": True}),
    Tried("MinAtar", "minatar.gym:BaseEnv", {"game": "breakout"}),
    Tried("MinAtar", "minatar.gym:BaseEnv", {"game": "seaquest"}),
    Tried("MiniGrid, Dict with a text", "minigrid:MiniGrid-Empty-5x5-v0"),
    Tried("MiniGrid, its image alone", "wrapped_worlds:minigrid_image"),
    Tried("highway-env", "highway_env:highway-fast-v0"),
    Tried("highway-env, images, channels first", "wrapped_worlds:highway_image"),
    Tried("highway-env, Dict observations", "highway_env:parking-v0"),
    Tried("highway-env, Tuple observations and actions", "highway_env:intersection-multi-agent-v0"),
    Tried("MultiDiscrete actions", "wrapped_worlds:in_choices", {"name": "BipedalWalker-v3"}),
    Tried("Atari through Gymnasium", "ale_py:ALE/Pong-v5"),
    Tried("Atari", "atari/Pong"),
    Tried("Game Boy", "gameboy/duel-battles"),
    Tried("toy", "toy/Inaction-v0"),
]


def main() -> None:
    sys.path.append(str(ROOT / "benchmarks"))
    worlds = [
        world
        for world in WORLDS
        if not ONLY.value or any(word.lower() in f"{world.environment} {world.kind}".lower() for word in ONLY.value)
    ]
    if not worlds:
        raise UserError(f"--only={','.join(ONLY.value)}: no environment's name holds that")
    rows = _read() if ONLY.value else {}
    for world in worlds:
        print(f"{_name(world)} …", file=sys.stderr, flush=True)
        rows[world.kind, _name(world)] = _cells(world)
    order = [(world.kind, _name(world)) for world in WORLDS]
    write_text(PAGE, text := _page([rows[which] for which in order if which in rows]))
    print(text)


def _read() -> dict[tuple[str, str], list[str]]:
    """The rows of the page as it is, by kind and name."""
    lines = PAGE.read_text().splitlines() if PAGE.exists() else []
    rows = [line[2:-2].split(" | ") for line in lines if line.startswith("| ")][1:]
    return {(row[0], row[1]): row for row in rows}


def _name(world: Tried) -> str:
    return world.environment + (f" {json.dumps(world.kwargs)}" if world.kwargs else "")


def _cells(world: Tried) -> list[str]:
    try:
        spec = _spec(world)
    except UserError as error:
        tried = "not tried: " if "not installed" in str(error) else "refused before the start: "
        return [world.kind, _name(world), "", "", f"{tried}{error}"]
    does = actions.words(spec.actions)
    sees = happened = ""
    try:
        first, last = _play(world)
        sees = f"{last['observation']['sees']}; {last['network']['name']}, {last['learning']['agent']}"
        happened = _happened(first, last)
    except (UserError, RuntimeError) as error:
        happened = f"failed: {error}"
    return [world.kind, _name(world), sees, does, happened]


def _spec(world: Tried) -> environments.Spec:
    made = environments.make(world.environment, kwargs=world.kwargs, rate_hz=RATE_HZ)
    made.close()
    return made.spec


def _play(world: Tried) -> tuple[dict, dict]:
    """The summaries of a run, and of the same once it has been resumed."""
    with tempfile.TemporaryDirectory() as folder:
        run = f"{folder}/run"
        its = {"environment": world.environment, "environment_kwargs": world.kwargs, "run_dir": run}
        first = rtrl_jax.run(**SETTINGS | its | (world.settings or {}), max_ticks=TICKS)
        if first["ended_by"] != ITS_LIMITS:
            raise KeyboardInterrupt
        return first, rtrl_jax.resume(run, max_ticks=TICKS + TICKS_MORE)


def _happened(first: dict, last: dict) -> str:
    """In words, of the summaries before and after resuming."""
    updates, loss = last["learning"]["updates"], last["learning"]["loss"]
    notes = [f"{last['ticks']} ticks, {updates} updates"]
    if not updates or loss is None:
        notes.append("**nothing was learned from**" if not updates else "**a loss that is no number**")
    if last["ticks"] <= first["ticks"] or last["sessions"] != 2:
        notes.append("**not resumed**")
    if bad := sum(last["not_finite"].values()):
        notes.append(f"{bad} rewards or observations that were no numbers")
    if last["failures"]:
        notes.append(f"{len(last['failures'])} failures, the first: {last['failures'][0]['reason']}")
    if last["slipped_ticks"]:
        notes.append(f"{last['slipped_ticks']} ticks given up: it is too slow for its rate here")
    return "ran and was resumed: " + "; ".join(notes)


def _page(rows: list[list[str]]) -> str:
    installed = []
    for package in PACKAGES:
        try:
            installed.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            installed.append(f"{package} not installed, so not tried")
    found, running = machine(), versions()
    head = ["kind", "environment", "what is seen; network, agent", "actions", "what happened"]
    lines = [
        "# Environments that were tried",
        "",
        "Made by `python benchmarks/environments.py`, which starts each of them; nothing here was written by hand. A row is a "
        f"run of {TICKS} ticks by the wall clock, {RATE_HZ} a second whatever the world's own rate, with its own process, an "
        f"inference worker and a learner; then the same run is resumed from its checkpoint for {TICKS_MORE} ticks more. Networks "
        f"and batches are small (`--width={SETTINGS['width']:g} --batch_size={SETTINGS['batch_size']} "
        f"--learn_start={SETTINGS['learn_start']} --learn_every={SETTINGS['learn_every']}`). That a world runs is not that its "
        "game is learned.",
        "",
        f"{', '.join(installed)}. {found['cores']} cores; Python {running['python']}, jax {running['jax']}.",
        "",
        f"| {' | '.join(head)} |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    sys.exit(run_command(main))
