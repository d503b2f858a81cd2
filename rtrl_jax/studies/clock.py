"""The real loops on a simulated clock: one function, from an environment, a policy and inference times to the ticks' record.

An event queue in one process: no learning, no waiting, the same result for the same seed. At an instant that is a boundary
the environment comes first, so an inference that takes a whole number of ticks just misses the last of them.
"""

import heapq
import itertools
import mmap
from collections.abc import Callable

import numpy as np

from rtrl_jax import stagger
from rtrl_jax.board.layout import RUNNING, Board, Dimensions, size
from rtrl_jax.board.ring import Observations, Ring
from rtrl_jax.stagger.announcements import COLUMNS
from rtrl_jax.workers.effects import Infer, NextBoundary, Timed, WaitBell
from rtrl_jax.workers.environment import Limits, environment_loop
from rtrl_jax.workers.inference import staggered, ticketed
from rtrl_jax.workers.mailbox import Choice, Mailbox
from rtrl_jax.workers.sequential import sequential

INTERACTIONS = ("sequential", "max_time", "expected_time", "none", "ticket")
WARM_UP = 16  # inferences of each worker that tell the ticket dispatcher what to expect, as in a real run
ENVIRONMENT, WORKERS = 0, 1  # who comes first at the same instant


def simulate(
    environment,
    policy: Callable[[np.ndarray], int],
    draw: Callable[[np.random.Generator], float],
    *,
    interaction: str,
    workers: int,
    ticks: int,
    seed: int,
) -> np.ndarray:
    """Plays `environment` for so many ticks and returns their records, TICK [ticks] (see `board.layout`).

    Args:
      environment: as `environments.make` returns it; the caller closes it.
      policy: observation -> action.
      draw: random generator -> seconds that an inference takes.
      interaction: one of `INTERACTIONS`. "sequential" has one worker.
    """
    if interaction not in INTERACTIONS:
        raise ValueError(f"interaction={interaction!r}: one of {', '.join(INTERACTIONS)}")
    if interaction == "sequential" and workers != 1:
        raise ValueError(f"workers={workers}: sequential interaction has one")
    rng, spec = np.random.default_rng(seed), environment.spec
    board = _private_board(spec, workers, capacity=ticks + 1)
    observations = Observations(board.tick_head, board.tick_rows, board.frames)
    dispatcher = _dispatcher(workers, draw, rng, spec.rate_hz) if interaction == "ticket" else None
    clock = [0]

    def now_ns():
        return clock[0]

    def choose(obs_tick):
        return Choice(policy(board.frames[obs_tick]), True, 0)

    agents = _agents(interaction, board, observations, choose, workers, spec.rate_hz, now_ns)
    world = environment_loop(
        environment,
        environment.reset(seed),
        board,
        observations,
        now_ns,
        dispatcher,
        rate_hz=spec.rate_hz,
        default_action=spec.default_action,
        repeat=False,
        limits=Limits(None, ticks, None),
        groups=[worker + 1 for worker in range(workers)],
        listeners=[1] if interaction == "sequential" else (),
    )
    board.control[0] = RUNNING
    _play([world, *agents], board.bell, clock, lambda: round(draw(rng) * 1e9))
    return observations.ticks.read(0)[1]


def _private_board(spec, workers: int, capacity: int) -> Board:
    dimensions = Dimensions(
        capacity, spec.observation_shape, spec.observation_dtype, workers, COLUMNS, 1, workers + 1, 1, 64
    )
    return Board(dimensions, mmap.mmap(-1, size(dimensions)))


def _dispatcher(workers: int, draw, rng, rate_hz: float) -> stagger.Ticket:
    dispatcher = stagger.Ticket(workers)
    for _ in range(WARM_UP * workers):
        dispatcher.observe(int(np.ceil(draw(rng) * rate_hz)), used_network=True)
    return dispatcher


def _agents(interaction, board, observations, choose, workers, rate_hz, now_ns) -> list:
    boxes = [Mailbox(board, worker, now_ns) for worker in range(workers)]
    if interaction == "sequential":
        updates = Ring(board.update_head, board.update_rows[0])
        return [sequential(boxes[0], observations, choose, None, updates, learn_first=False, learn_every=1, start_ns=0)]
    if interaction == "ticket":
        return [ticketed(box, choose) for box in boxes]
    algorithm, tau_m_ns = stagger.make(interaction, board.stagger), round(1e9 / rate_hz)
    return [
        staggered(box, observations, choose, algorithm, workers=workers, start_ns=0, tau_m_ns=tau_m_ns) for box in boxes
    ]


def _play(loops: list, bells: np.ndarray, clock: list[int], tau_ns: Callable[[], int]) -> None:
    """Runs the loops until the first of them, the environment's, ends. Loop n listens to bell n."""
    order = itertools.count()
    events, listening = [], {}  # (instant, rank, order, loop, answer); loop -> rings it had heard

    def schedule(number, effect):
        if isinstance(effect, WaitBell):
            listening[number] = int(bells[number, 0])
            return
        answer = None
        if isinstance(effect, Infer):
            at = clock[0] + tau_ns()
            answer = Timed(effect.compute(), clock[0], at)
        else:
            at = max(clock[0], effect.due_ns if isinstance(effect, NextBoundary) else effect.until_ns)
        rank = ENVIRONMENT if number == 0 else WORKERS
        heapq.heappush(events, (at, rank, next(order), number, answer))

    for number, loop in enumerate(loops):
        schedule(number, next(loop))
    while True:
        clock[0], _, _, number, answer = heapq.heappop(events)
        try:
            effect = loops[number].send(answer or clock[0])
        except StopIteration:
            return
        schedule(number, effect)
        if number == 0:
            for listener in [n for n, heard in listening.items() if heard != bells[n, 0]]:
                del listening[listener]
                heapq.heappush(events, (clock[0], WORKERS, next(order), listener, None))
