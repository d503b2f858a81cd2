"""A process that plays episodes, begun by `pool`: several side by side, with one batch of inference for
all that wait for it.

Lines of JSON: the first on standard input says what is played (`Work`). Then each line that the process writes, a finished
episode or null, asks for one more, and the answer is a job or null if there is none left.
"""

import json
import os
import pathlib
import signal
import sys
from time import perf_counter
from typing import NamedTuple

from rtrl_jax.core.one_thread import ONE_THREAD, die_with
from rtrl_jax.errors import UserError
from rtrl_jax.pending import Seen

# Rows in every batch where games can be played side by side, those that stand for no episode too: the last bits of a network's
# output can depend on the number.
SLOTS = 4
NICENESS = 10  # a run in real time, and whoever works at this machine, have the right of way


class Work(NamedTuple):
    """What all the processes of an evaluation need to know. Plain values only."""

    environment: str
    options: dict  # for `environments.make`
    checkpoint: str | None  # None: no decision needs a network
    version: list | None  # tick and updates of that checkpoint: a run that goes on writes newer ones
    players: list  # `episodes.Player`s, one for each number that a job may name
    stacking: list  # fields of `board.ring.Stacking`
    pending: list  # and of `pending.Pending`: what the agent is told
    most_ticks: int
    repeat: bool  # whether the last action stays in force where β would act
    rows: int  # of each batch of inference
    side_by_side: int  # episodes at a time in one process, at most as many


def main() -> None:
    message = json.loads(sys.stdin.readline())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when an evaluation ends
    die_with(message["parent"])
    os.sched_setaffinity(0, {message["core"]})
    os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    os.environ.update({**ONE_THREAD, "JAX_PLATFORMS": "cpu"})
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what an environment prints is no answer

    work = Work(**message["work"])
    environments, choose = _prepare(work)

    def ask(episode, inferring_s, playing_s):
        answers.write(json.dumps([episode, inferring_s, playing_s]) + "\n")
        return json.loads(sys.stdin.readline() or "null")

    play_all(environments, work, choose, ask)


def play_all(environments: list, work: Work, choose, ask) -> None:
    """Plays one episode in each environment at a time until no job is left.

    Args:
      choose: (observations [n, ...], seeds [n]) -> actions [n].
      ask: (finished episode as a list, or None, seconds of inference since the start, seconds in all) -> the next job as a
        list, or None.
    """
    import numpy as np

    from rtrl_jax.actions import value
    from rtrl_jax.evaluation.episodes import Job, play

    rules = _rules(work)
    games, observations, seeds = {}, None, np.zeros(work.rows, np.uint32)
    began, inferring_s = perf_counter(), 0.0

    def advance(slot: int, action, job) -> None:
        """Until the slot's episode waits for an action. Begins another when it ends, while there is one."""
        nonlocal observations
        while job or slot in games:
            if job:
                job = Job(*job)
                games[slot], action = play(environments[slot], job, rules[job.player]), None
            try:
                observation, seeds[slot] = games[slot].send(action)
            except StopIteration as ended:
                del games[slot]
                job = ask(list(ended.value), inferring_s, perf_counter() - began)
                continue
            if observations is None:
                room = [np.zeros((work.rows, *leaf.shape), leaf.dtype) for leaf in _leaves(observation)]
                observations = Seen(*room) if isinstance(observation, Seen) else room[0]
            for rows, leaf in zip(_leaves(observations), _leaves(observation), strict=True):
                rows[slot] = leaf
            return

    for slot in range(len(environments)):
        advance(slot, None, ask(None, inferring_s, perf_counter() - began))
    while games:
        began_to_infer = perf_counter()
        chosen = choose(observations, seeds)
        inferring_s += perf_counter() - began_to_infer
        for slot in list(games):
            advance(slot, value(chosen[slot]), None)


def _leaves(observation) -> tuple:
    """The arrays of an observation, or of a batch of them."""
    return observation.arrays() if isinstance(observation, Seen) else (observation,)


def _rules(work: Work) -> list:
    """Of each player."""
    from rtrl_jax.actions import from_plain
    from rtrl_jax.board.ring import Stacking
    from rtrl_jax.evaluation.episodes import Player, Rules
    from rtrl_jax.evaluation.schedule import Schedule
    from rtrl_jax.pending import Pending

    players = [Player(Schedule(*schedule), epsilon, tuple(pattern)) for schedule, epsilon, pattern in work.players]
    stacking, pending = Stacking(*work.stacking), Pending(*work.pending)
    pending = pending._replace(actions=from_plain(pending.actions))
    return [Rules(player, stacking, work.most_ticks, work.repeat, pending) for player in players]


def _prepare(work: Work):
    """The environments, and what chooses actions in them."""
    from rtrl_jax import environments

    made = [environments.make(work.environment, **work.options) for _ in range(work.side_by_side)]
    if work.checkpoint is None:
        return made, None
    import numpy as np

    from rtrl_jax.checkpoints import load_policy
    from rtrl_jax.evaluation import policies

    policy = load_policy(pathlib.Path(work.checkpoint))
    if policies.version(policy.manifest) != work.version:
        raise UserError("the run has written a newer checkpoint meanwhile: name one of its checkpoints")
    model = policies.model_of(policy.manifest, made[0].spec)
    choose = policies.batched_actions(policy, model, work.rows)
    choose(model.blank(work.rows), np.zeros(work.rows, np.uint32))  # compiles
    return made, choose
