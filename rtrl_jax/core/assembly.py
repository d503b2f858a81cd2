"""The layout of a run: its processes, on which core each is, and how large the board is."""

import math
import pathlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from rtrl_jax import actions, stagger, topology
from rtrl_jax.board import snapshots
from rtrl_jax.board.layout import Board, Dimensions
from rtrl_jax.board.snapshots import Leaf, arrange
from rtrl_jax.core.accelerator import IN_PLACE
from rtrl_jax.core.model import Model
from rtrl_jax.environments import Spec
from rtrl_jax.replay import demonstrations
from rtrl_jax.replay.sum_tree import nodes_for
from rtrl_jax.settings import Settings
from rtrl_jax.stagger.announcements import COLUMNS
from rtrl_jax.workers.learner import NOT_BEGUN

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
    role: str  # environment, inference, learner, agent (both, for the sequential baselines), bridge or page
    core: int = 0  # of its machine
    niceness: int = 0
    workers: tuple[int, ...] = ()  # inference workers it runs
    learner: int | None = None  # which of the learners it is
    crew: int | None = (
        None  # which of the crews it belongs to, that share another machine; None: it is on the environment's
    )

    @property
    def uses_networks(self) -> bool:
        return self.role not in ("environment", "bridge", "page")


@dataclass(frozen=True)
class Assembly:
    """All that a process needs to take its place in a run."""

    model: Model
    processes: tuple[Process, ...]
    inference_workers: int  # N_I
    learner_workers: int  # N_L; in parallel learning, how many batches its one learner takes at once
    dimensions: Dimensions
    leaves: tuple[Leaf, ...]  # of the parameters, in the order of jax.tree.leaves
    optimiser_leaves: tuple[Leaf, ...]  # of the optimiser's state
    prepared_leaves: tuple[Leaf, ...]  # of what the model's plan adds to a snapshot
    session: int = 0  # 0, or how often the run has been resumed
    machines: tuple[str, ...] = ()  # of each crew, the name of the one where it begins

    @property
    def settings(self) -> Settings:
        return self.model.settings

    @property
    def snapshot_leaves(self) -> tuple[Leaf, ...]:
        """All that lies in a slot, in order."""
        return self.leaves + self.prepared_leaves

    @property
    def spec(self) -> Spec:
        return self.model.spec

    @cached_property
    def process_of_worker(self) -> list[int]:
        """For each inference worker, the number of its process."""
        found = {worker: process.number for process in self.processes for worker in process.workers}
        return [found[worker] for worker in range(self.inference_workers)]

    @cached_property
    def rung_for_worker(self) -> list[int]:
        """For each inference worker, the number of the process whose bell the environment rings for it."""
        crews = {number: process.crew for number, process in enumerate(self.processes)}
        return [self.bridge if crews[number] is not None else number for number in self.process_of_worker]

    @property
    def bridge(self) -> int | None:
        """The number of the process that keeps other machines in step, if there are any."""
        return next((process.number for process in self.processes if process.role == "bridge"), None)

    @property
    def elsewhere(self) -> dict[str, str]:
        """The machine of each worker and learner whose crew began on another, e.g. {"worker 1": "b", "learner 0": "b"}."""
        crews = {f"worker {number}": self.processes[of].crew for number, of in enumerate(self.process_of_worker)}
        crews |= {f"learner {number}": self.processes[of].crew for number, of in enumerate(self.learners)}
        return {name: self.machines[crew] for name, crew in crews.items() if crew is not None}

    @property
    def learners_crew(self) -> int | None:
        """The crew that the learners belong to; None if they are on the environment's machine."""
        return next((process.crew for process in self.processes if process.role == "learner"), None)

    def crew(self, number: int) -> list[Process]:
        """The processes of a crew, in order."""
        return [process for process in self.processes if process.crew == number]

    @property
    def learners(self) -> list[int]:
        """For each learner, the number of its process."""
        return [process.number for process in self.processes if process.learner is not None]

    @property
    def awaited(self) -> list[int]:
        """Numbers of the processes that the first boundary waits for: not the page, and not always learners.

        A learner compiles for seconds. If that is over before there is anything to learn from nobody need wait: it comes in
        later, as one does that takes another's place. It must not compile on a core that inference keeps busy.
        """
        compiling_s = COMPILING_S + COMPILING_S_A_NUMBER * self.parameter_count * self.batch_size
        soon = self.settings.learn_start / self.spec.rate_hz < compiling_s
        at_once = soon or self.session > 0 or self.settings.demonstrations is not None
        busy = {process.core for process in self.processes if process.workers and process.crew is None}

        def is_awaited(process: Process) -> bool:
            return process.role != "learner" or at_once or (process.crew is None and process.core in busy)

        return [process.number for process in self.processes if process.role != "page" and is_awaited(process)]

    @property
    def batch_size(self) -> int:
        """Of an update. The parallel baseline makes one of N_L batches, and that as many times less often."""
        return self.settings.batch_size * self._at_once

    @property
    def learn_every(self) -> int:
        """Ticks or decisions, as --learn_per says, for each update."""
        return self.settings.learn_every * self._at_once

    @property
    def _at_once(self) -> int:
        return self.learner_workers if self.settings.learning == "parallel" else 1

    @property
    def parameter_count(self) -> int:
        return sum(leaf.size for leaf in self.leaves)


def assemble(
    model: Model,
    processes: list[Process],
    *,
    inference_workers: int,
    learner_workers: int,
    capacity: int,
    transitions: int = 0,
    kept_frames: int = 0,
    session: int = 0,
) -> Assembly:
    """Lays a run out.

    Args:
      processes: of `by_cores` or `one_each`.
      capacity, transitions, kept_frames: see `sizing.Kept`; without transitions nothing can be learned.
    """
    import jax

    shapes = [jax.tree.leaves(tree) for tree in (model.shapes, model.prepared_shapes, model.optimiser_shapes)]
    return lay_board(
        model,
        processes,
        *shapes,
        inference_workers=inference_workers,
        learner_workers=learner_workers,
        capacity=capacity,
        transitions=transitions,
        kept_frames=kept_frames,
        session=session,
    )


def lay_board(
    model,
    processes,
    parameters,
    prepared=(),
    optimiser=(),
    *,
    inference_workers,
    learner_workers,
    capacity,
    transitions=0,
    kept_frames=0,
    session=0,
) -> Assembly:
    """The same for parameters, prepared arrays and an optimiser's state of any shapes."""
    learners = sum(process.learner is not None for process in processes)
    leaves, size = arrange([*parameters, *prepared])
    optimiser_leaves, optimiser_size = arrange(optimiser)
    action = actions.layout(model.spec.actions)
    slots = min(max(FEWEST_SLOTS, min(MOST_SLOTS, SLOT_MEMORY // max(1, size))), len(processes) + 1)
    slots += any(
        process.crew is not None for process in processes if process.learner is not None
    )  # `training_told` pins one
    dimensions = Dimensions(
        capacity=capacity,
        observation_shape=model.spec.observation_shape,
        observation_dtype=model.spec.observation_dtype,
        inference_workers=inference_workers,
        stagger_columns=COLUMNS,
        learners=learners,
        processes=len(processes),
        crews=len({process.crew for process in processes} - {None}),
        snapshot_slots=slots if learners else 1,
        snapshot_bytes=size,
        prepared_bytes=size - arrange(parameters)[1],
        optimiser_bytes=optimiser_size if learners else 0,
        pictures=pictures_kept(model.settings, model.spec),
        picture_shape=model.spec.picture_shape or (0, 0, 3),
        transitions=transitions,
        kept_frames=kept_frames,
        frame_stack=model.settings.frame_stack,
        told=model.settings.told,
        reflex=model.settings.reflex,
        action_dtype=action.base.name,
        action_shape=action.shape,
    )
    if learners and model.variant.prioritised and transitions:
        dimensions = replace(dimensions, priority_nodes=nodes_for(dimensions.act_rows))
        if model.settings.demonstrations is not None:
            shown = demonstrations.length(pathlib.Path(model.settings.demonstrations))
            dimensions = replace(dimensions, demonstration_nodes=nodes_for(shown + 1))
    return Assembly(
        model=model,
        processes=tuple(processes),
        inference_workers=inference_workers,
        learner_workers=learner_workers,
        dimensions=dimensions,
        leaves=tuple(leaves[: len(parameters)]),
        optimiser_leaves=tuple(optimiser_leaves),
        prepared_leaves=tuple(leaves[len(parameters) :]),
        session=session,
    )


def pictures_kept(settings: Settings, spec: Spec) -> int:
    """Pictures on the board: none, unless somebody wants to see them."""
    if (settings.video is None and settings.page is None) or spec.picture_shape is None:
        return 0
    return min(MOST_PICTURES, max(FEWEST_PICTURES, math.ceil(PICTURES_S * spec.rate_hz)))


def by_cores(
    settings: Settings,
    inference_workers: int,
    learner_workers: int,
    crews: tuple[int, ...] = (),
    learners_crew: int | None = None,
) -> list[Process]:
    """Processes and their cores: the environment has the first, inference the others, learners what is left.

    With too few cores the first learner shares the environment's, which has the right of way there, rather than slow inference.
    The page comes last, where one more learner would be.

    Args:
      crews: how many of the workers each crew has; the others are on this machine. Which cores theirs have is seen there.
      learners_crew: the crew that the learners belong to, if they are not on this machine.
    """
    cores = settings.core_list()
    first, others = cores[0], cores[1:] or cores[:1]
    learners = min(1, learner_workers) if settings.learning == "parallel" else learner_workers
    processes = [Process(0, "environment", "environment", first)]
    if settings.is_sequential:
        learner = 0 if learners else None
        processes.append(Process(1, "agent", "agent", others[0], workers=(0,), learner=learner))
        return [*processes, *_page(settings, 2, (others[1:] or [first])[0])]
    here = inference_workers - sum(crews)
    groups = inference_processes(settings, here)
    share = math.ceil(here / groups) if settings.device != IN_PLACE else settings.workers_per_process
    for group, workers in enumerate(_shared_out(range(here), share)):
        core = others[group % len(others)]
        processes.append(Process(len(processes), _name(workers), "inference", core, workers=workers))
    # The rest, then the environment's own, then those of inference: niceness keeps learners from being in the way.
    spare = others[groups:] or [first, *others[:groups]]
    learners_here = learners if learners_crew is None else 0
    for learner in range(learners):
        core = spare[learner % len(spare)] if learners_here else 0
        name, number = f"learner {learner}", len(processes)
        processes.append(Process(number, name, "learner", core, LEARNER_NICENESS, learner=learner, crew=learners_crew))
    if crews:
        core = (others[groups + learners_here :] or [first])[0]
        processes.append(Process(len(processes), "bridge", "bridge", core))
    for crew, size in enumerate(crews):
        begin = here + sum(crews[:crew])
        for workers in _shared_out(range(begin, begin + size), share):
            processes.append(Process(len(processes), _name(workers), "inference", workers=workers, crew=crew))
    return [*processes, *_page(settings, len(processes), spare[learners_here % len(spare)])]


def _shared_out(workers: range, share: int) -> list[tuple[int, ...]]:
    return [tuple(workers[begin : begin + share]) for begin in range(0, len(workers), share)]


def _name(workers: tuple[int, ...]) -> str:
    return f"inference {workers[0]}" + (f"-{workers[-1]}" if len(workers) > 1 else "")


def inference_processes(settings: Settings, inference_workers: int) -> int:
    """How many processes so many workers take.

    Those of one process share an accelerator, which would make those of several wait for each other all the same.
    """
    return math.ceil(inference_workers / settings.workers_per_process) if settings.device == IN_PLACE else 1


def learners_that_fit(settings: Settings, inference_workers: int) -> int:
    """How many learners `by_cores` gives a core that is neither inference's nor another learner's; at least 1."""
    return max(1, len(settings.core_list()) - 1 - inference_processes(settings, inference_workers))


def cores_beside(settings: Settings, learners: int) -> int:
    """Cores of this machine for inference, once the environment and each learner has one."""
    return max(0, len(settings.core_list()) - 1 - (min(1, learners) if settings.learning == "parallel" else learners))


def _page(settings: Settings, number: int, core: int) -> list[Process]:
    return [] if settings.page is None else [Process(number, "page", "page", core, PAGE_NICENESS)]


def one_each(inference_workers: int, learners: int) -> list[Process]:
    """The same for virtual time, where nothing has a core: a place on the board for every loop, learners and agents alike."""
    workers = range(inference_workers)
    return [
        Process(0, "environment", "environment"),
        *(Process(1 + worker, f"inference {worker}", "inference", workers=(worker,)) for worker in workers),
        *(Process(1 + len(workers) + n, f"learner {n}", "learner", learner=n) for n in range(learners)),
    ]


def crowding(assembly: Assembly) -> str | None:
    """A warning when inference processes must share cores, or learners theirs with them."""
    busy = [process for process in assembly.processes if process.workers and process.crew is None]
    cores = {process.core for process in busy}
    total, granted = len(assembly.settings.core_list()), topology.granted()
    if granted is not None and granted < min(total, len(assembly.processes)):
        return (
            f"a control group grants {granted:g} cores' time to {total} cores, and whoever has used it up is held up for "
            "tens of milliseconds: raise the limit, or expect late ticks"
        )
    learners = [process for process in assembly.processes if process.role == "learner" and process.crew is None]
    starving = [process.name for process in learners if process.core in cores]
    if len(busy) > len(cores):
        return (
            f"{len(busy)} inference processes share {len(cores)} of {total} cores: "
            "they slow each other down, so expect more inaction than with a core for each"
        )
    if starving and total > 1:
        return (
            f"{', '.join(starving)} must share a core with inference, which has the right of way, and all others wait for "
            "its turns: give fewer --learner_workers"
        )
    return None


def begin_board(assembly: Assembly, training: tuple[list, list], memory) -> Board:
    """A board in memory that is all zeros, with version 0 of the parameters on it. Args: training: see `Model.first_state`."""
    board = Board(assembly.dimensions, memory)
    board.latest[0] = -1
    board.due_at[0], board.saved_tick[0] = NOT_BEGUN, -1
    commit(board, assembly, *training, version=0, target=True)
    settings = assembly.settings
    if settings.tau_initial_ms is not None:  # before the first worker looks what it owes
        tau_s = settings.tau_initial_ms / 1e3
        stagger.make(settings.stagger, board.stagger, quantile=settings.stagger_quantile, tau_initial_s=tau_s)
    return board


def commit(board: Board, assembly: Assembly, parameters, optimiser, *, version: int, target: bool, prepared=()) -> None:
    """Puts a training state on the board, before the start. Args: prepared: what the plan adds, if that is known already."""
    learns = bool(assembly.dimensions.learners)
    if not learns:
        board.latest[0] = -1  # there is one slot, and nobody reads it yet
    if assembly.prepared_leaves and not prepared:
        import jax

        prepared = assembly.model.prepare(jax.tree.unflatten(assembly.model.structure, parameters))
    publisher = snapshots.Publisher(
        board, assembly.leaves, assembly.optimiser_leaves if learns else (), assembly.prepared_leaves
    )
    parameters = [np.asarray(leaf) for leaf in parameters]
    if not publisher.publish(
        parameters, version, optimiser if learns else (), target=target and learns, prepared=prepared
    ):
        raise RuntimeError("no snapshot slot is free before the start")
