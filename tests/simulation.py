"""The virtual driver on loops without a network: a private board, a counter to play, inference times from a function.

Times are in ticks of one second, so that a τ of 9.99 is 9.99 ticks.
"""

import itertools
import mmap
from collections.abc import Callable

import numpy as np

from rtrl_jax import stagger as staggers
from rtrl_jax.board.layout import RUNNING, Board, Dimensions, size
from rtrl_jax.board.ring import Observations, Ring
from rtrl_jax.drivers.virtual import Clock, drive
from rtrl_jax.stagger.announcements import COLUMNS
from rtrl_jax.telemetry.summary import statistics
from rtrl_jax.workers.environment import Limits, environment_loop
from rtrl_jax.workers.inference import staggered, ticketed
from rtrl_jax.workers.mailbox import Choice, Mailbox

TICK_NS = 1_000_000_000


class Counter:
    """An environment whose frame is the number of steps since the reset."""

    progress = (0, 0, 0, 0)

    def __init__(self, episode_length: int | None = None):
        self._length, self._steps = episode_length, 0

    def reset(self, seed=None):
        self._steps = 0
        return np.zeros(1, np.float32)

    def step(self, action):
        self._steps += 1
        ended = self._steps == self._length
        return np.full(1, self._steps, np.float32), 1.0, ended, False

    def close(self):
        pass


def private_board(workers: int, capacity: int = 4096, processes: int | None = None) -> Board:
    dimensions = Dimensions(capacity, (1,), "float32", workers, COLUMNS, 1, processes or workers + 1, 1, 64)
    return Board(dimensions, mmap.mmap(-1, size(dimensions)))


def simulate(
    algorithm: str,
    workers: int,
    tau: Callable[[np.random.Generator, int], tuple[float, bool]],
    *,
    ticks: int = 20_000,
    playout="auto",
    quantile: float = 0.0,
    tau_initial: float | None = None,
    episode_length: int | None = None,
    dead: tuple[int, int] | None = None,
    seed: int = 0,
):
    """Runs the loops and returns (statistics, tick records, decision records).

    Args:
      tau: (generator, number of the inference) -> (ticks it takes, whether the network was needed).
      dead: (worker, tick) at which that worker stops for good.
    """
    board = private_board(workers, capacity=ticks + 16)
    observations = Observations(board.tick_head, board.tick_rows, board.frames)
    clock = Clock()
    rng = np.random.default_rng(seed)
    inferences = itertools.count()
    dispatcher = table = None
    if algorithm == "ticket":
        dispatcher = staggers.Ticket(workers, playout=playout)
        warm_up = np.random.default_rng(seed + 1)
        for _ in range(16 * workers):
            ticks_taken, network = tau(warm_up, 1)
            dispatcher.observe(int(np.ceil(ticks_taken)), network)
    else:
        table = staggers.make(algorithm, board.stagger, quantile=quantile)
        if tau_initial:
            table.start_from(tau_initial)

    def charge(number, effect, choice):
        return round(lengths.pop(number) * TICK_NS)

    lengths = {}  # of inferences under way, by loop

    def timed(worker):
        def policy(obs_tick):
            lengths[worker + 1], greedy = tau(rng, next(inferences))
            return Choice(0, greedy, 0)

        return policy

    board.control[0] = RUNNING
    judged, rows, taken = Ring(board.judged_head, board.judged_rows), [], [0]

    def take_in():
        rows.append(judged.read(taken[0])[1])
        taken[0] += len(rows[-1])

    def running():
        if dead and observations.newest >= dead[1]:
            board.idle[dead[0]] = 0
        take_in()
        return True

    loops = [
        environment_loop(
            Counter(episode_length),
            np.zeros(1, np.float32),
            board,
            observations,
            clock.now_ns,
            dispatcher,
            rate_hz=1.0,
            default_action=1,
            repeat=False,
            limits=Limits(None, ticks, None),
            groups=[worker + 1 for worker in range(workers)],
        )
    ]
    for worker in range(workers):
        mailbox = Mailbox(board, worker, clock.now_ns)
        if dispatcher:
            loops.append(ticketed(mailbox, timed(worker)))
        else:
            loops.append(
                staggered(mailbox, observations, timed(worker), table, workers=workers, start_ns=0, tau_m_ns=TICK_NS)
            )
    drive(loops, clock=clock, bells=board.bell[:, 0], charge=charge, running=running)
    take_in()
    records, decisions = observations.ticks.read(0)[1], np.concatenate(rows)
    return statistics(records, decisions, board.update_rows[0][:0]), records, decisions


def constant(ticks):
    return lambda rng, number: (ticks, True)


def normal(mean, sd):
    return lambda rng, number: (max(0.05, rng.normal(mean, sd)), True)


def gamma(mean, cv):
    return lambda rng, number: (rng.gamma(cv**-2, mean * cv**2), True)


def exploring(ticks, probability):
    def draw(rng, number):
        return (0.05, False) if rng.random() < probability else (ticks, True)

    return draw


def outliers(ticks, outlier, every=None):
    """One outlier at the 1,000th inference, or one in `every`."""
    return lambda rng, number: (outlier if (number % every == every - 1 if every else number == 1000) else ticks, True)
