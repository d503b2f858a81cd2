"""N_L*, the least number of round-robin learners that leaves less than 1 % of the updates unmade, in virtual time (Figure 8).

The real learners' loops, turns and schedule; what a gradient is does not matter here, so it is nothing.
"""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from rtrl_jax.board import lifecycle, segment, snapshots
from rtrl_jax.board.layout import size
from rtrl_jax.core import loops
from rtrl_jax.core.assembly import Process, begin_board, lay_board
from rtrl_jax.core.context import Context
from rtrl_jax.core.model import Model
from rtrl_jax.settings import Settings
from rtrl_jax.studies import latencies
from rtrl_jax.studies.latencies import Latency
from rtrl_jax.studies.rows import Task
from rtrl_jax.studies.scaling import ALLOWED, FITS, SEEDS, least
from rtrl_jax.virtual_time.drive import Clock, drive
from rtrl_jax.virtual_time.simulate import Counter, Tau
from rtrl_jax.workers.effects import Learn
from rtrl_jax.workers.environment import Beginning
from rtrl_jax.workers.learner import Learner, Program

LEAST_UPDATES, CYCLES = 800, 12
MOST = 512  # learners
LEARN_EVERY = 5  # ticks, as the paper has it for the Game Boy
TAUS = tuple(n * FITS for n in (1, 5, 20, 80, 320, 1280)) + tuple(n + 0.5 for n in (2, 10, 40, 160, 640))
LATENCIES = {
    "constant": latencies.constant,
    "gamma-0.1": lambda ticks: latencies.gamma(ticks, 0.1),
    "gamma-0.5": lambda ticks: latencies.gamma(ticks, 0.5),
}
NEVER, LONG_AGO = 1 << 62, -(1 << 40)


class LearnerPoint(NamedTuple):
    """One setting and its N_L*; None where no number up to the cap is enough, or none was tried."""

    latency: str  # of `LATENCIES`, or "network": as measured
    parameters: int | None
    batch_size: int | None
    learn_every: int
    tau_ticks: float  # mean time of an update, τ_L/τ_M
    seed: int
    searched: bool
    learners: int | None
    ceil: int  # ⌈τ_L/(learn_every τ_M)⌉
    unlearned: float | None  # share of the updates due that were not made, with so many learners
    cap: int

    KEY = 6


class _Nothing:
    """A replay that always has something to learn from, which is nothing."""

    ingested = 1

    def __len__(self):
        return 1

    def ingest(self):
        pass

    def sample_with_keys(self, rng, count):
        return None, None

    def settle(self, keys, errors):
        pass


def unlearned(learners: int, tau_l: Tau, learn_every: int, ticks: int, seed: int = 0) -> float:
    """Share of the updates due that are not made in the long run, counted over the second half of so many ticks.

    The learners begin far behind their schedule, so they work without pause, and what is left undone follows from how
    many updates they then make.

    Args: tau_l: time of an update, all of it the gradient's, as a virtual run takes it.
    """
    clock, rng, world = Clock(), np.random.default_rng(seed), Counter()
    contexts, leaves = _contexts(learners, learn_every, ticks)
    board, now = contexts[0].board, loops.Clock(clock.now_ns)
    no_figures, norm = (0.0, 0.0, 0.0, 0.0), 0.0
    program = Program(
        lambda *_: ([np.zeros(1, np.float32)], no_figures, None), lambda online, optimiser, grads: (online, [], norm)
    )

    def learner(context: Context) -> Learner:
        return Learner(
            _Nothing(),
            program,
            snapshots.Publisher(board, leaves),
            snapshots.Reader(board, context.process.number, partial(snapshots.views, leaves)),
            board,
            batch_size=1,
            target_every=NEVER,
            learn_start=1,
            rng=rng,
            note=lambda: None,
            lock=nullcontext,
        )

    lifecycle.start(board, 0)
    tick_ns = round(1e9 / world.spec.rate_hz)
    drive(
        [
            loops.environment(contexts[0], now, loops.World(world, Beginning(world.reset()), None)),
            *(loops.learning(context, now, learner(context)) for context in contexts[1:]),
        ],
        clock=clock,
        bells=board.bell[:, 0],
        charge=lambda loop, effect, value: round(tau_l(rng, 0)[0] * tick_ns) if isinstance(effect, Learn) else 0,
        running=lambda: True,
    )
    # By whole rounds, since learners that began together finish in bursts.
    ends = board.updates(0).read(0)[1]["end_ns"]
    ends = ends[ends >= ticks // 2 * tick_ns]
    if len(ends) < 2:
        raise ValueError(f"ticks={ticks}: too few for learner 0 to come round twice")
    made = learners * (len(ends) - 1) * tick_ns / float(ends[-1] - ends[0])  # updates a tick
    return max(0.0, 1 - made * learn_every)


def find(
    tau_l: Latency,
    *,
    learn_every: int,
    latency: str,
    seed: int = 0,
    parameters: int | None = None,
    batch_size: int | None = None,
    most: int = MOST,
) -> LearnerPoint:
    """N_L* of one setting. Nothing is tried where even the mean needs more than `most`."""
    ceil = max(1, math.ceil(tau_l.mean / learn_every))
    ticks = 2 * round(max(LEAST_UPDATES * learn_every, CYCLES * tau_l.mean))
    tried = cache(lambda learners: unlearned(learners, tau_l, learn_every, ticks, seed))
    found = least(lambda n: tried(n) < ALLOWED, ceil, most) if ceil <= most else None
    key = (latency, parameters, batch_size, learn_every, tau_l.mean, seed, ceil <= most)
    return LearnerPoint(*key, found, ceil, tried(found) if found else None, most)


def against_tau(
    seeds: Sequence[int] = SEEDS, kinds: Sequence[str] = tuple(LATENCIES), ticks: Sequence[float] = TAUS
) -> list[Task]:
    """What there is to find against τ_L, the first seed before the second."""
    return [
        Task(
            (kind, None, None, LEARN_EVERY, tau, seed),
            partial(find, LATENCIES[kind](tau), learn_every=LEARN_EVERY, latency=kind, seed=seed),
        )
        for seed in seeds
        for kind in kinds
        if kind != "constant" or seed == seeds[0]  # nothing in it is random
        for tau in ticks
    ]


def of_networks(updates: dict[tuple[int, int], Latency]) -> list[Task]:
    """The same for networks whose mean times were measured. Args: updates: times by number of parameters and batch size."""
    return [
        Task(
            ("network", parameters, batch, LEARN_EVERY, times.mean, 0),
            partial(
                find,
                latencies.constant(times.mean),
                learn_every=LEARN_EVERY,
                latency="network",
                parameters=parameters,
                batch_size=batch,
            ),
        )
        for (parameters, batch), times in updates.items()
    ]


def _contexts(learners: int, learn_every: int, ticks: int) -> tuple[list[Context], tuple]:
    """A run of nothing but an environment and learners, who find themselves far behind their schedule."""
    settings = Settings(
        learner_workers=str(learners), learn_every=learn_every, max_ticks=ticks, stagger="none", checkpoint_every_s=0.0
    )
    model, nothing = Model(settings, Counter().spec, "mlp", 1.0), [np.zeros(1, np.float32)]
    processes = [Process(0, "environment", "environment")]
    processes += [Process(1 + number, f"learner {number}", "learner", learner=number) for number in range(learners)]
    numbers = {"inference_workers": 0, "learner_workers": learners, "capacity": ticks + 1}
    assembly = lay_board(model, processes, nothing, **numbers)
    board = begin_board(assembly, (nothing, []), segment.private(size(assembly.dimensions)))
    board.due_at[0] = LONG_AGO
    board.ready[:] = 1
    return [Context(assembly, process, board) for process in processes], assembly.leaves
