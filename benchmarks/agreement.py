"""Holds the fast path against the plain network on real frames and writes results/agreement.json and results/agreement.md.

python benchmarks/agreement.py                 all widths and both depths, in ten minutes
python benchmarks/agreement.py --k=1 --frames=200

The networks are untrained, with random biases; those of the outputs are then moved so that each action is worth as much as
the others on average. So every action is the greedy one somewhere, and values lie closer together than those of trained networks.
"""

import itertools
import pathlib
import sys

import jax
import numpy as np
import report
from absl import flags
from report import Goal

from rtrl_jax import environments, networks
from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command
from rtrl_jax.networks import fast, parameters, runtime

FRAMES = {0.0625: 2000, 1: 2000, 7: 1000, 29: 100}  # of 100 none may differ
K = flags.DEFINE_list("k", list(map(str, FRAMES)), "widths")
DEPTH = flags.DEFINE_list("depth", ["15", "30"], "layers")
COUNT = flags.DEFINE_integer("frames", None, "how many; default: 2000 at k = 1, 100 at k = 29")
OUT = flags.DEFINE_string("out", "results", "folder for the results")
SHAPE, ACTIONS, BATCH = (84, 84, 1), 6, 16
DTYPES = ("float32", "bfloat16", "int8")
GAMES = ("gameboy/duel-battles", "atari/Boxing")
SAME, APART = "greedy actions that agree", "values' largest error, of the largest value"
GOALS = {
    f"{what}, {depth} layers, k = {k:g}, {dtype}": Goal("", goal if dtype == "float32" else None, how, "%")
    for depth in (15, 30)
    for k in FRAMES
    for dtype in DTYPES
    for what, goal, how in ((SAME, 99.9, "at least"), (APART, 0.01, "at most"))
    if dtype == "float32" or k >= 1  # the thinnest network has no products
}


def main() -> None:
    runtime.configure()
    for depth, k in itertools.product(DEPTH.value, K.value):
        if depth not in ("15", "30") or k not in map(str, FRAMES):
            raise UserError(f"--depth={depth} --k={k}: there are 15 and 30 layers, and {', '.join(map(str, FRAMES))}")
    found = {}
    for depth in DEPTH.value:
        for k in map(float, K.value):
            print(f"{depth} layers, k = {k:g} …", file=sys.stderr, flush=True)
            for name, value in compare(depth, k, COUNT.value or FRAMES[k]).items():
                found.setdefault(name, []).append(value)
    title = "The fast path against the plain network, on real frames"
    print(report.write(pathlib.Path(OUT.value), "agreement", title, report.rows(found, GOALS), GOALS, 1, __doc__))


def compare(depth: str, k: float, count: int) -> dict[str, float]:
    network = networks.build(f"resnet{depth}", ACTIONS, k)
    rng = np.random.default_rng(0)
    values = parameters.initialise(parameters.shapes(network, SHAPE, "uint8"), 0)
    values = jax.tree.map(lambda a: a + 0.1 * rng.standard_normal(a.shape, np.float32) * (a.ndim == 1), values)
    images = np.concatenate([frames(game, count // len(GAMES)) for game in GAMES])
    plain = _values_of(network.apply, values, images)
    offset = plain.mean(0)
    found = {}
    for dtype in DTYPES:
        plan = fast.by_rule(network, SHAPE, dtype)
        if dtype != "float32" and not plan.prepared:
            continue
        prepared = fast.prepare(fast.kernels(values, plan), plan)
        quick = _values_of(fast.acting(network, plan), fast.with_prepared(values, prepared, plan), images)
        name = f"{{}}, {depth} layers, k = {k:g}, {dtype}"
        same = (quick - offset).argmax(1) == (plain - offset).argmax(1)
        found[name.format(SAME)] = 100 * float(same.mean())
        found[name.format(APART)] = 100 * float(np.abs(quick - plain).max() / np.abs(plain).max())
    return found


def frames(game: str, count: int) -> np.ndarray:
    """One in ten of a random player's."""
    environment, rng, kept = environments.make(game), np.random.default_rng(0), []
    frame = environment.reset(seed=0)
    while len(kept) < count:
        for _ in range(10):
            frame, _, ended, _ = environment.step(int(rng.integers(environment.spec.actions)))
            frame = environment.reset() if ended else frame
        kept.append(frame.copy())
    environment.close()
    return np.stack(kept)


def _values_of(apply, values, images) -> np.ndarray:
    variables, one = jax.device_put({"params": values}), jax.jit(apply)
    return np.concatenate([one(variables, image[None]) for image in images])


if __name__ == "__main__":
    sys.exit(run_command(main))
