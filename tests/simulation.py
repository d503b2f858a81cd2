"""The real loops on a simulated clock: an event queue, a private board, inference times drawn from a distribution.

No process, no network. Times are in ticks of one second, so that a τ of 9.99 is 9.99 ticks.
"""

import heapq
import itertools
import mmap
from collections.abc import Callable

import numpy as np

from rtrl_jax import stagger as staggers
from rtrl_jax.board.layout import RUNNING, STOPPING, Board, Dimensions, size
from rtrl_jax.board.ring import Observations, Ring
from rtrl_jax.stagger.announcements import COLUMNS
from rtrl_jax.telemetry.summary import statistics
from rtrl_jax.workers.effects import Infer, NextBoundary, Timed, WaitBell
from rtrl_jax.workers.environment import Limits, environment_loop
from rtrl_jax.workers.inference import staggered, ticketed
from rtrl_jax.workers.mailbox import Choice, Mailbox

TICK_NS = 1_000_000_000
ENVIRONMENT_FIRST, WORKERS_AFTER = 0, 1  # at the same instant


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
    clock = [0]
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

    def policy(obs_tick):
        return Choice(0, True, 0)

    board.control[0] = RUNNING
    loops = [
        environment_loop(
            Counter(episode_length),
            np.zeros(1, np.float32),
            board,
            observations,
            lambda: clock[0],
            dispatcher,
            rate_hz=1.0,
            default_action=1,
            repeat=False,
            limits=Limits(None, ticks, None),
            groups=[worker + 1 for worker in range(workers)],
        )
    ]
    for worker in range(workers):
        mailbox = Mailbox(board, worker, lambda: clock[0])
        if dispatcher:
            loops.append(ticketed(mailbox, policy))
        else:
            loops.append(staggered(mailbox, observations, policy, table, workers=workers, start_ns=0, tau_m_ns=TICK_NS))

    order = itertools.count()
    queue, listening = [], {}  # events (instant, rank, order, loop, answer); bell counts seen by waiting loops

    def schedule(number, effect):
        rank = ENVIRONMENT_FIRST if isinstance(effect, NextBoundary) else WORKERS_AFTER
        if isinstance(effect, Infer):
            choice = effect.compute()
            length, greedy = tau(rng, next(inferences))
            end = clock[0] + round(length * TICK_NS)
            answer = Timed(choice._replace(greedy=greedy), clock[0], end)
            heapq.heappush(queue, (end, rank, next(order), number, answer))
        elif isinstance(effect, WaitBell):
            listening[number] = int(board.bell[number, 0])
        else:
            at = effect.due_ns if isinstance(effect, NextBoundary) else effect.until_ns
            heapq.heappush(queue, (max(at, clock[0]), rank, next(order), number, None))

    for number, loop in enumerate(loops):
        schedule(number, next(loop))
    judged, rows = Ring(board.judged_head, board.judged_rows), []
    while queue:
        clock[0], _, _, number, answer = heapq.heappop(queue)
        if dead and number == dead[0] + 1 and clock[0] >= dead[1] * TICK_NS:
            board.idle[dead[0]] = 0
            continue
        try:
            schedule(number, loops[number].send(answer or clock[0]))
        except StopIteration:
            board.control[0] = STOPPING
            break
        if number == 0:
            rows.append(judged.read(sum(map(len, rows)))[1])
            for listener in [n for n, count in listening.items() if count != board.bell[n, 0]]:
                del listening[listener]
                heapq.heappush(queue, (clock[0], WORKERS_AFTER, next(order), listener, None))
    rows.append(judged.read(sum(map(len, rows)))[1])
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
