"""Prints how long a bare jitted DQN update takes, in milliseconds: k = 1, batch 16, one thread, nothing else around it."""

import os
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import numpy as np

from rtrl_jax import networks
from rtrl_jax.agents import agent as agents
from rtrl_jax.agents import dqn
from rtrl_jax.networks import parameters

module = networks.build("resnet15", 18)
values = parameters.initialise(parameters.shapes(module, (84, 84, 1), "uint8"), 0)
optimiser = agents.make_optimiser(1e-5, 10.0)
update = jax.jit(agents.update(dqn.make(module.apply), optimiser, 10_000), donate_argnums=0)
frames, numbers = np.random.default_rng(0).integers(256, size=(16, 84, 84, 1), dtype=np.uint8), np.ones(16, np.float32)
batch = agents.Batch(frames, np.zeros(16, np.int32), numbers, numbers, frames, numbers)
state, times = agents.init(values, optimiser), []
for _ in range(40):
    began = time.perf_counter()
    state, _, _ = jax.block_until_ready(update(state, batch, np.uint32(0)))
    times.append(time.perf_counter() - began)
print(1e3 * float(np.median(times[5:])))
