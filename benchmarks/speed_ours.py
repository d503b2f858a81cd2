"""Our side of benchmarks/speed.py: one inference and one update, as a worker and a learner compute them, without the rest.

python benchmarks/speed_ours.py WHAT DEPTH K SECONDS prints JSON: the fast path in
32, 16 and 8 bits where it has them, and the plain Flax network beside it.
"""

import json
import os
import sys

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["OMP_NUM_THREADS"] = "1"

import jax
import numpy as np
from median import median_ms

from rtrl_jax import networks
from rtrl_jax.agents import agent as agents
from rtrl_jax.agents import dqn
from rtrl_jax.networks import fast, parameters, runtime

SHAPE, ACTIONS, BATCH = (84, 84, 1), 6, 16


def medians_ms(steps: dict, seconds: float) -> dict[str, float]:
    """Of functions one after another, as PyTorch's configurations are: in turn they would empty each other's caches."""
    return {name: median_ms(step, seconds) for name, step in steps.items()}


def inference(network, plan, values):
    frame = np.random.default_rng(0).integers(256, size=SHAPE, dtype=np.uint8)
    short = [fast.choose(network, SHAPE, BATCH, dtype) for dtype in ("bfloat16", "int8")]
    trees = {"plain": (values, network.apply)}
    for name, chosen in [("fast", plan), *[(chosen.dtype, chosen) for chosen in short if chosen.prepared]]:
        prepared = fast.prepare(fast.kernels(values, chosen), chosen)
        trees[name] = (fast.with_prepared(values, prepared, chosen), fast.acting(network, chosen))

    def step(values, apply):
        act, values = jax.jit(dqn.make(apply).act), jax.device_put(values)
        return lambda: int(act(values, frame, np.uint32(0)))

    return {name: step(*pair) for name, pair in trees.items()}


def update(network, plan, values):
    frames, numbers = (
        np.random.default_rng(0).integers(256, size=(BATCH, *SHAPE), dtype=np.uint8),
        np.ones(BATCH, np.float32),
    )
    batch = agents.Batch(frames, np.zeros(BATCH, np.int32), numbers, numbers, frames, numbers)
    optimiser = agents.make_optimiser(1e-4, 10.0)
    values = jax.device_put(values)
    state = optimiser.init(values)
    descend = jax.jit(agents.apply_gradients(optimiser))
    prepare = jax.jit(lambda values: fast.prepare(fast.kernels(values, plan), plan))

    def step(apply, finish):
        gradient = jax.jit(agents.gradients(dqn.make(apply)))

        def whole():
            slope, loss, _ = gradient(values, values, batch, np.uint32(0))
            moved, *_ = descend(values, state, slope)
            return jax.block_until_ready((finish(moved), loss))

        return whole

    return {"plain": step(network.apply, lambda moved: moved), "fast": step(fast.learning(network, plan), prepare)}


def _origin(network) -> str:
    return "measured" if fast.measured(network, SHAPE, BATCH, "float32") else "by rule"


def main() -> None:
    what, depth, k, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
    runtime.configure()
    network = networks.build(f"resnet{depth}", ACTIONS, k)
    plan = fast.choose(network, SHAPE, BATCH)
    values = parameters.initialise(parameters.shapes(network, SHAPE, "uint8"), 0)
    found = medians_ms({"inference": inference, "update": update}[what](network, plan, values), seconds)
    plain, quick = found.pop("plain"), found.pop("fast")
    every = {"float32": quick, **found}
    print(json.dumps({"ms": quick, "all": every, "plain_ms": plain, "jax": jax.__version__, "plan": _origin(network)}))


main()
