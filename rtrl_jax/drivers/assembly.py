"""From settings to the processes of a run: which there are, on which core, and how large the board is."""

import math
from dataclasses import dataclass

from rtrl_jax.agents import parts
from rtrl_jax.board.layout import Dimensions
from rtrl_jax.board.snapshots import Leaf, arrange
from rtrl_jax.environments import Spec
from rtrl_jax.replay.sum_tree import nodes_for
from rtrl_jax.settings import Settings
from rtrl_jax.stagger.announcements import COLUMNS

PAGE_NICENESS = 19
LEARNER_NICENESS = 19  # at niceness 0 three busy learners made the environment late by 6.7 ms, at 19 by 0.16 ms (p99)
FEWEST_SLOTS, MOST_SLOTS = 4, 32  # one newest, one being written, the rest for slow readers
PICTURES_S, FEWEST_PICTURES, MOST_PICTURES = 2.0, 16, 256  # how far one who looks at them may fall behind
COMPILING_S, COMPILING_S_A_NUMBER = 10.0, 3e-8  # until a learner has made two updates, and by parameters times batch
SLOT_MEMORY = 256 << 20  # bytes beyond which there are not more than the fewest


@dataclass(frozen=True)
class Process:
    """One process of a run. Its number is its place on the board (heartbeat, pin, bell)."""

    number: int
    name: str
    role: str  # environment, inference, learner, agent (both, for the sequential baselines) or page
    core: int
    niceness: int = 0
    workers: tuple[int, ...] = ()  # inference workers it runs

    @property
    def uses_networks(self) -> bool:
        return self.role not in ("environment", "page")


@dataclass(frozen=True)
class Assembly:
    """All that a process needs to take its place in a run."""

    settings: Settings
    spec: Spec
    network: str
    width: float
    inference_workers: int
    processes: tuple[Process, ...]
    learner_workers: int  # N_L
    leaves: tuple[Leaf, ...]  # of the parameters, in the order of jax.tree.leaves
    optimiser_leaves: tuple[Leaf, ...]  # of the optimiser's state
    session: int  # 0, or how often the run has been resumed
    dimensions: Dimensions
    plan: tuple | None = None  # how the network convolves, a `networks.fast.Plan`; None: as Flax does
    prepared_leaves: tuple[Leaf, ...] = ()  # of what that plan adds to a snapshot

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
    def learners(self) -> list[int]:
        """For each learner, the number of its process."""
        roles = ("learner", "agent") if self.dimensions.learners else ()
        return [process.number for process in self.processes if process.role in roles]

    @property
    def awaited(self) -> list[int]:
        """Numbers of the processes that the first boundary waits for: not the page, and not always learners.

        A learner compiles for seconds. If that is over before there is anything to learn from nobody need wait: it comes in
        later, as one does that takes another's place. It must not compile on a core that inference keeps busy.
        """
        compiling_s = COMPILING_S + COMPILING_S_A_NUMBER * self.parameter_count * self.batch_size
        soon = self.settings.learn_start / self.spec.rate_hz < compiling_s
        at_once = soon or self.session > 0 or self.settings.demonstrations is not None
        busy = {process.core for process in self.processes if process.workers}

        def is_awaited(process: Process) -> bool:
            return process.role != "learner" or at_once or process.core in busy

        return [process.number for process in self.processes if process.role != "page" and is_awaited(process)]

    @property
    def batch_size(self) -> int:
        """Of an update. The parallel baseline makes one of N_L batches, and that as many times less often."""
        return self.settings.batch_size * self._at_once

    @property
    def learn_every(self) -> int:
        """Ticks for each update."""
        return self.settings.learn_every * self._at_once

    @property
    def _at_once(self) -> int:
        return self.learner_workers if self.settings.learning == "parallel" else 1

    @property
    def parameter_count(self) -> int:
        return sum(leaf.size for leaf in self.leaves)


def assemble(
    settings: Settings,
    spec: Spec,
    network: str,
    width: float,
    training: tuple[list, list],
    fast: tuple[tuple | None, list] = (None, []),
    *,
    inference_workers: int,
    learner_workers: int,
    capacity: int,
    session: int = 0,
) -> Assembly:
    """Lays a run out.

    Args:
      training: leaves (or their shapes) of the parameters and of the optimiser's state, in the order of jax.tree.leaves.
      fast: the plan (or None) and the shapes of what it adds to a snapshot.
      capacity: observations kept.
    """
    learners = min(1, learner_workers) if settings.learning == "parallel" else learner_workers
    processes = lay_out(settings, inference_workers, learners)
    plan, prepared = fast
    (_, parameters_size), (optimiser_leaves, optimiser_size) = (arrange(part) for part in training)
    leaves, size = arrange([*training[0], *prepared])
    dimensions = Dimensions(
        capacity=capacity,
        observation_shape=spec.observation_shape,
        observation_dtype=spec.observation_dtype,
        inference_workers=inference_workers,
        stagger_columns=COLUMNS,
        learners=learners,
        processes=len(processes),
        snapshot_slots=min(max(FEWEST_SLOTS, min(MOST_SLOTS, SLOT_MEMORY // size)), len(processes) + 1)
        if learners
        else 1,
        snapshot_bytes=size,
        prepared_bytes=size - parameters_size,
        optimiser_bytes=optimiser_size if learners else 0,
        pictures=pictures_kept(settings, spec),
        picture_shape=spec.picture_shape or (0, 0, 3),
        priority_nodes=nodes_for(capacity) if learners and parts.choose(settings).prioritised else 0,
    )
    return Assembly(
        settings,
        spec,
        network,
        width,
        inference_workers,
        tuple(processes),
        learner_workers,
        tuple(leaves[: len(training[0])]),
        tuple(optimiser_leaves),
        session,
        dimensions,
        plan,
        tuple(leaves[len(training[0]) :]),
    )


def pictures_kept(settings: Settings, spec: Spec) -> int:
    """Pictures on the board: none, unless somebody wants to see them."""
    if (settings.video is None and settings.page is None) or spec.picture_shape is None:
        return 0
    return min(MOST_PICTURES, max(FEWEST_PICTURES, math.ceil(PICTURES_S * spec.rate_hz)))


def lay_out(settings: Settings, inference_workers: int, learners: int) -> list[Process]:
    """Processes and their cores: the environment has the first, inference the others, learners what is left.

    With too few cores the first learner shares the environment's, which has the right of way there, rather than slow inference.
    The page comes last, where one more learner would be.
    """
    cores = settings.core_list()
    first, others = cores[0], cores[1:] or cores[:1]
    processes = [Process(0, "environment", "environment", first)]
    if settings.interaction != "async":
        processes.append(Process(1, "agent", "agent", others[0], workers=(0,)))
        return [*processes, *_page(settings, 2, (others[1:] or [first])[0])]
    # Workers of one process share a card, which would make those of several wait for each other all the same.
    share = settings.workers_per_process if settings.device == "cpu" else inference_workers
    groups = math.ceil(inference_workers / share)
    for group in range(groups):
        workers = tuple(range(group * share, min((group + 1) * share, inference_workers)))
        name = f"inference {workers[0]}" + (f"-{workers[-1]}" if len(workers) > 1 else "")
        processes.append(Process(len(processes), name, "inference", others[group % len(others)], workers=workers))
    # The rest, then the environment's own, then those of inference: niceness keeps learners from being in the way.
    spare = others[groups:] or [first, *others[:groups]]
    for learner in range(learners):
        core = spare[learner % len(spare)]
        processes.append(Process(len(processes), f"learner {learner}", "learner", core, LEARNER_NICENESS))
    return [*processes, *_page(settings, len(processes), spare[learners % len(spare)])]


def _page(settings: Settings, number: int, core: int) -> list[Process]:
    return [] if settings.page is None else [Process(number, "page", "page", core, PAGE_NICENESS)]


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
