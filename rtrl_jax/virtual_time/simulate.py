"""The real loops without a network in virtual time: from a world and stated inference times to the record of every tick.

The driver is that of virtual runs, on a private board. Times are in ticks, so that a τ of 9.99 is 9.99 ticks.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rtrl_jax import stagger
from rtrl_jax.board import lifecycle, segment
from rtrl_jax.board.layout import BRIM, OUTCOME_ROWS, WARM_UP_INFERENCES, Board, Dimensions, size
from rtrl_jax.board.records import OUTCOME
from rtrl_jax.core import loops
from rtrl_jax.core.assembly import begin_board, lay_board, one_each
from rtrl_jax.core.context import Context
from rtrl_jax.core.model import Model
from rtrl_jax.environments.protocol import Environment
from rtrl_jax.environments.spec import Spec
from rtrl_jax.settings import Settings
from rtrl_jax.stagger.announcements import COLUMNS
from rtrl_jax.virtual_time.drive import Clock, drive
from rtrl_jax.workers.environment import Beginning
from rtrl_jax.workers.mailbox import Choice

INTERACTIONS = ("sequential", *stagger.NAMES)

Tau = Callable[[np.random.Generator, int], tuple[float, bool]]
"""(generator, number of the inference) -> (ticks it takes, whether the network was needed)."""


class Counter(Environment):
    """A world in which there is nothing to do: its frame is the number of steps since the reset."""

    def __init__(self, episode_length: int | None = None, rate_hz: float = 1.0):
        self.spec = Spec((1,), "float32", 2, 1, rate_hz, 0.0)
        self._length, self._steps = episode_length, 0

    def reset(self, seed=None):
        self._steps = 0
        return np.zeros(1, np.float32)

    def step(self, action):
        self._steps += 1
        return np.full(1, self._steps, np.float32), 1.0, self._steps == self._length, False

    def close(self):
        pass


class Played(NamedTuple):
    records: np.ndarray  # TICK [ticks], see board.records
    decisions: np.ndarray  # OUTCOME, in the order in which their fate was settled


def simulate(
    environment,
    policy: Callable[[np.ndarray], int],
    tau: Tau,
    *,
    interaction: str,
    workers: int,
    ticks: int,
    seed: int = 0,
    playout: int | None = None,
    quantile: float = 0.0,
    tau_initial: float | None = None,
    watch: Callable[[Board, int], None] = lambda board, tick: None,
) -> Played:
    """Plays `environment` for so many ticks. The same arguments give the same result.

    Args:
      environment: as `environments.make` returns it, or a `Counter`; the caller closes it.
      policy: observation -> action.
      tau: see `Tau`.
      interaction: one of `INTERACTIONS`. "sequential" has one worker.
      playout: D of tickets, in ticks; 0 for none, None for automatic.
      quantile: for max_time, 0 for the paper's maximum, else that of the bounded variant.
      tau_initial: an estimate in ticks that algorithms begin with which make one.
      watch: called after every boundary with the board and the tick.
    """
    if interaction != "sequential" and interaction not in stagger.ALGORITHMS:
        raise ValueError(f"interaction={interaction!r}: one of {', '.join(INTERACTIONS)}")
    if interaction == "sequential" and workers != 1:
        raise ValueError(f"workers={workers}: sequential interaction has one")
    spec, rng, clock = environment.spec, np.random.default_rng(seed), Clock()
    tau_m_ns, number = 1e9 / spec.rate_hz, itertools.count()
    settings = Settings(
        interaction="sequential" if interaction == "sequential" else "async",
        stagger="ticket" if interaction == "sequential" else interaction,
        stagger_quantile=quantile,
        tau_initial_ms=tau_initial * tau_m_ns / 1e6 if tau_initial else None,
        playout={None: "auto", 0: "off"}.get(playout, str(playout)),
        max_ticks=ticks,
        learner_workers="0",
        checkpoint_every_s=0.0,
    )
    model, nothing = Model(settings, spec, "mlp", 1.0), [np.zeros(1, np.float32)]
    numbers = {"inference_workers": workers, "learner_workers": 0, "capacity": ticks + 1}
    assembly = lay_board(model, one_each(workers, 0), nothing, **numbers)
    board = begin_board(assembly, (nothing, []), segment.private(size(assembly.dimensions)))
    contexts = [Context(assembly, process, board) for process in assembly.processes]
    if interaction != "sequential" and stagger.by_name(interaction).hands_out_tickets:
        board.warm_up_ns[:] = (_warm_up(tau, rng, workers) - 0.5) * tau_m_ns
    under_way: dict[int, float] = {}  # by loop, how long its inference takes, in ticks

    def thinking(worker: int):
        def choose(obs_tick):
            under_way[worker + 1], greedy = tau(rng, next(number))
            return Choice(policy(board.frames[obs_tick]), greedy, 0)

        return choose

    parts, taken = [np.empty(0, OUTCOME)], 0

    def take_in():
        nonlocal taken
        parts.append(board.outcomes.read(taken)[1])
        taken += len(parts[-1])

    def running() -> bool:
        watch(board, board.observations.newest)
        if board.outcomes.head - taken > OUTCOME_ROWS // 2:
            take_in()
        return True

    lifecycle.start(board, 0)
    now = loops.Clock(clock.now_ns)
    world = loops.World(environment, Beginning(environment.reset(seed)), None)
    agents = [loops.agent(context, now, thinking(worker), worker) for worker, context in enumerate(contexts[1:])]
    drive(
        [loops.environment(contexts[0], now, world), *agents],
        clock=clock,
        bells=board.bell[:, 0],
        charge=lambda loop, effect, choice: round(under_way.pop(loop) * tau_m_ns),
        running=running,
    )
    take_in()
    return Played(board.observations.ticks.read(0)[1], np.concatenate(parts))


def _warm_up(tau: Tau, rng, workers: int) -> np.ndarray:
    """Whole ticks [workers, WARM_UP_INFERENCES] that the network's inferences take, as a real run meets them."""
    draws = (tau(rng, 1) for _ in itertools.count())
    network = (np.ceil(ticks) for ticks, used_network in draws if used_network)
    count = workers * WARM_UP_INFERENCES
    return np.maximum(np.fromiter(itertools.islice(network, count), float), 1).reshape(workers, -1)


def private_board(
    workers: int, capacity: int = 4096, processes: int | None = None, spec: Spec | None = None, transitions: int = 0
) -> Board:
    """A board in this process's memory. Args: processes: default: one for each worker and the environment's."""
    spec = spec or Counter().spec
    dimensions = Dimensions(
        capacity,
        spec.observation_shape,
        spec.observation_dtype,
        workers,
        COLUMNS,
        1,
        processes or workers + 1,
        1,
        64,
        transitions=transitions,
        kept_frames=transitions and transitions + BRIM,
    )
    return Board(dimensions, segment.private(size(dimensions)))
