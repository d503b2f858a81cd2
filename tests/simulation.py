"""The studies' simulation as tests want it: a counter to play, the run's statistics as well; and the sequential agent."""

import numpy as np

from rtrl_jax.board.layout import RUNNING
from rtrl_jax.board.records import UPDATE
from rtrl_jax.studies.latencies import constant, exploring, gamma, normal, outliers
from rtrl_jax.telemetry.summary import statistics
from rtrl_jax.virtual_time import simulate as studies
from rtrl_jax.virtual_time.simulate import Counter, private_board
from rtrl_jax.workers.effects import Infer, Learn, Timed, WaitBell
from rtrl_jax.workers.environment import Beginning, Limits, Wakes, environment_loop
from rtrl_jax.workers.mailbox import Choice, Mailbox
from rtrl_jax.workers.sequential import Sequential

__all__ = [
    "Counter",
    "constant",
    "exploring",
    "gamma",
    "normal",
    "outliers",
    "play_sequentially",
    "private_board",
    "simulate",
]

TICK_NS = 1000


def simulate(algorithm: str, workers: int, tau, *, ticks=20_000, episode_length=None, dead=None, **options):
    """Returns (statistics, tick records, decision records). Args: dead: (worker, tick) at which it stops for good."""

    def watch(board, tick):
        if dead and tick >= dead[1]:
            board.idle[dead[0]] = 0

    world = Counter(episode_length)
    played = studies.simulate(
        world, lambda frame: 0, tau, interaction=algorithm, workers=workers, ticks=ticks, watch=watch, **options
    )
    return statistics(*played, np.empty(0, UPDATE)), *played


def play_sequentially(
    inferences, ticks: int, *, episode_length=None, learning=None, updates=(), learn_first=False, capacity=None
):
    """Tick records of the real sequential agent beside the real environment loop.

    Args:
      inferences, updates: iterables, how many ticks each takes.
      learning: a stand-in for `Learner`, or None.
      capacity: ticks kept; default all.
    """
    board = private_board(1, capacity=capacity or ticks + 16)
    board.control[0] = RUNNING
    now, counter = [0], Counter(episode_length, rate_hz=1e9 / TICK_NS)
    lengths = {Infer: iter(inferences), Learn: iter(updates)}
    world = environment_loop(
        counter,
        Beginning(np.zeros(1, np.float32)),
        board,
        lambda: now[0],
        wakes=Wakes([1], everyone=(1,)),
        limits=Limits(max_ticks=ticks),
    )
    agent = Sequential(
        Mailbox(board, 0, lambda: now[0]),
        board,
        lambda obs_tick: Choice(1, True, 0),
        learning,
        learn_first=learn_first,
        learn_every=1,
        start_ns=0,
    )
    boundary, resume_at, answer = next(world), next(agent).until_ns, None
    try:
        while True:
            if resume_at is not None and resume_at < boundary.due_ns:
                now[0] = resume_at
                effect, answer = agent.send(answer or now[0]), None
                if isinstance(effect, WaitBell):
                    resume_at = None
                else:
                    resume_at = now[0] + round(TICK_NS * next(lengths[type(effect)]))
                    answer = Timed(effect.compute(), now[0], resume_at)
            else:
                now[0] = boundary.due_ns
                boundary = world.send(now[0])
                resume_at = now[0] if resume_at is None else resume_at
    except StopIteration:
        return board.observations.ticks.read(0)[1]
