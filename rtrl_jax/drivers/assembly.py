"""From settings to the processes of a run: which there are, on which core, and how large the board is."""

import math
from dataclasses import dataclass

from rtrl_jax.board.layout import Dimensions
from rtrl_jax.board.snapshots import Leaf, arrange
from rtrl_jax.environments import Spec
from rtrl_jax.settings import Settings
from rtrl_jax.stagger.announcements import COLUMNS

LEARNER_NICENESS = 19  # at niceness 0 three busy learners made the environment late by 6.7 ms, at 19 by 0.16 ms (p99)
MOST_SLOTS = 4  # one newest, one being written, two for slow readers


@dataclass(frozen=True)
class Process:
    """One process of a run. Its number is its place on the board (heartbeat, pin, bell)."""

    number: int
    name: str
    role: str  # environment, inference, learner or agent (both, for the sequential baselines)
    core: int
    niceness: int = 0
    workers: tuple[int, ...] = ()  # inference workers it runs


@dataclass(frozen=True)
class Assembly:
    """All that a process needs to take its place in a run."""

    settings: Settings
    spec: Spec
    network: str
    width: float
    inference_workers: int
    processes: tuple[Process, ...]
    leaves: tuple[Leaf, ...]  # of the parameters, in the order of jax.tree.leaves
    dimensions: Dimensions

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """What the network sees: frames stacked on the last axis."""
        *shape, channels = self.spec.observation_shape
        return (*shape, channels * self.settings.frame_stack)

    @property
    def groups(self) -> list[int]:
        """For each inference worker, the number of its process."""
        return [
            process.number
            for worker in range(self.inference_workers)
            for process in self.processes
            if worker in process.workers
        ]

    @property
    def parameter_count(self) -> int:
        return sum(leaf.size for leaf in self.leaves)


def assemble(settings: Settings, spec: Spec, network: str, width: float, shapes, inference_workers: int) -> Assembly:
    """Lays a run out. `shapes`: of the parameters, in the order of jax.tree.leaves."""
    processes = lay_out(settings, inference_workers)
    leaves, size = arrange(shapes)
    dimensions = Dimensions(
        capacity=settings.replay_capacity,
        observation_shape=spec.observation_shape,
        observation_dtype=spec.observation_dtype,
        inference_workers=inference_workers,
        stagger_columns=COLUMNS,
        learners=settings.learner_workers,
        processes=len(processes),
        snapshot_slots=min(MOST_SLOTS, len(processes) + 1) if settings.learner_workers else 1,
        snapshot_bytes=size,
    )
    return Assembly(settings, spec, network, width, inference_workers, tuple(processes), tuple(leaves), dimensions)


def lay_out(settings: Settings, inference_workers: int) -> list[Process]:
    """Processes and their cores: the environment has the first, inference the others, learners what is left.

    With too few cores learners share the environment's, which has the right of way there, rather than slow inference.
    """
    cores = settings.core_list()
    first, others = cores[0], cores[1:] or cores[:1]
    processes = [Process(0, "environment", "environment", first)]
    if settings.interaction != "async":
        return [*processes, Process(1, "agent", "agent", others[0], workers=(0,))]
    share = settings.workers_per_process
    groups = math.ceil(inference_workers / share)
    for group in range(groups):
        workers = tuple(range(group * share, min((group + 1) * share, inference_workers)))
        name = f"inference {workers[0]}" + (f"-{workers[-1]}" if len(workers) > 1 else "")
        processes.append(Process(len(processes), name, "inference", others[group % len(others)], workers=workers))
    spare = others[groups:]
    for learner in range(settings.learner_workers):
        core = spare[learner % len(spare)] if spare else first
        processes.append(Process(len(processes), f"learner {learner}", "learner", core, LEARNER_NICENESS))
    return processes


def crowding(assembly: Assembly) -> str | None:
    """A warning when inference processes must share cores."""
    busy = [process for process in assembly.processes if process.workers]
    cores = {process.core for process in busy}
    if len(busy) <= len(cores):
        return None
    total = len(assembly.settings.core_list())
    return (
        f"{len(busy)} inference processes share {len(cores)} of {total} cores: "
        "they slow each other down, so expect more inaction than with a core for each"
    )
