"""The real loops without a network in virtual time: from a world and stated inference times to the record of every tick.

The driver is that of virtual runs, on a private board. Times are in ticks, so that a τ of 9.99 is 9.99 ticks.
"""

import itertools
import mmap
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rtrl_jax import stagger as staggers
from rtrl_jax.board.layout import JUDGED, JUDGED_ROWS, RUNNING, Board, Dimensions, size
from rtrl_jax.board.ring import Observations, Ring
from rtrl_jax.drivers.virtual import Clock, drive
from rtrl_jax.environments.protocol import Environment
from rtrl_jax.environments.spec import Spec
from rtrl_jax.stagger.announcements import COLUMNS
from rtrl_jax.workers.environment import Limits, environment_loop
from rtrl_jax.workers.inference import staggered, ticketed
from rtrl_jax.workers.mailbox import Choice, Mailbox
from rtrl_jax.workers.sequential import sequential

INTERACTIONS = ("sequential", "max_time", "expected_time", "none", "ticket")
WARM_UP = 16  # inferences of each worker that tell the ticket dispatcher what to expect, as in a real run

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
    records: np.ndarray  # TICK [ticks], see board.layout
    decisions: np.ndarray  # JUDGED, in the order in which they were judged


def simulate(
    environment,
    policy: Callable[[np.ndarray], int],
    tau: Tau,
    *,
    interaction: str,
    workers: int,
    ticks: int,
    seed: int = 0,
    playout: int | str = "auto",
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
      playout: D in ticks, auto or off, of tickets.
      quantile: for max_time, 0 for the paper's maximum, else that of the bounded variant.
      tau_initial: for max_time, an estimate in ticks that it begins with.
      watch: called after every boundary with the board and the tick.
    """
    if interaction not in INTERACTIONS:
        raise ValueError(f"interaction={interaction!r}: one of {', '.join(INTERACTIONS)}")
    if interaction == "sequential" and workers != 1:
        raise ValueError(f"workers={workers}: sequential interaction has one")
    spec, rng, clock = environment.spec, np.random.default_rng(seed), Clock()
    board = private_board(workers, ticks + 1, spec=spec)
    observations = Observations(board.tick_head, board.tick_rows, board.frames)
    dispatcher = _dispatcher(workers, tau, rng, playout) if interaction == "ticket" else None
    tau_m_ns, number = 1e9 / spec.rate_hz, itertools.count()
    under_way: dict[int, float] = {}  # by loop, how long its inference takes, in ticks

    def thinking(worker: int):
        def choose(obs_tick):
            under_way[worker + 1], greedy = tau(rng, next(number))
            return Choice(policy(board.frames[obs_tick]), greedy, 0)

        return choose

    world = environment_loop(
        environment,
        environment.reset(seed),
        board,
        observations,
        clock.now_ns,
        dispatcher,
        rate_hz=spec.rate_hz,
        default_action=spec.default_action,
        repeat=False,
        limits=Limits(None, ticks, None),
        groups=[worker + 1 for worker in range(workers)],
        listeners=[1] if interaction == "sequential" else (),
    )
    table = _table(interaction, board, quantile, tau_initial and tau_initial * tau_m_ns / 1e9)
    boxes = [Mailbox(board, worker, clock.now_ns) for worker in range(workers)]
    agents = [_agent(interaction, box, board, observations, thinking, table, round(tau_m_ns)) for box in boxes]
    judged, parts, taken = Ring(board.judged_head, board.judged_rows), [np.empty(0, JUDGED)], 0

    def take_in():
        nonlocal taken
        parts.append(judged.read(taken)[1])
        taken += len(parts[-1])

    def running() -> bool:
        watch(board, observations.newest)
        if int(board.judged_head[0]) - taken > JUDGED_ROWS // 2:
            take_in()
        return True

    board.control[0] = RUNNING
    drive(
        [world, *agents],
        clock=clock,
        bells=board.bell[:, 0],
        charge=lambda loop, effect, choice: round(under_way.pop(loop) * tau_m_ns),
        running=running,
    )
    take_in()
    return Played(observations.ticks.read(0)[1], np.concatenate(parts))


def private_board(workers: int, capacity: int = 4096, processes: int | None = None, spec: Spec | None = None) -> Board:
    """A board in this process's memory. Args: processes: default: one for each worker and the environment's."""
    spec = spec or Counter().spec
    dimensions = Dimensions(
        capacity, spec.observation_shape, spec.observation_dtype, workers, COLUMNS, 1, processes or workers + 1, 1, 64
    )
    return Board(dimensions, mmap.mmap(-1, size(dimensions)))


def _dispatcher(workers: int, tau: Tau, rng, playout: int | str) -> staggers.Ticket:
    dispatcher = staggers.Ticket(workers, playout=playout)
    for _ in range(WARM_UP * workers):
        ticks, network = tau(rng, 1)
        dispatcher.observe(int(np.ceil(ticks)), network)
    return dispatcher


def _table(interaction: str, board: Board, quantile: float, tau_initial_s: float | None):
    if interaction in ("sequential", "ticket"):
        return None
    table = staggers.make(interaction, board.stagger, quantile=quantile)
    if tau_initial_s:
        table.start_from(tau_initial_s)
    return table


def _agent(interaction: str, box: Mailbox, board: Board, observations, thinking, table, tau_m_ns: int):
    choose = thinking(box.worker)
    if interaction == "sequential":
        updates = Ring(board.update_head, board.update_rows[0])
        return sequential(box, observations, choose, None, updates, learn_first=False, learn_every=1, start_ns=0)
    if interaction == "ticket":
        return ticketed(box, choose)
    workers = len(board.decision_head)
    return staggered(box, observations, choose, table, workers=workers, start_ns=0, tau_m_ns=tau_m_ns)
