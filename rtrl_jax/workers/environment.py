"""The environment's loop: at every boundary latch, step, publish, and only then bookkeeping. Nothing here ever waits for an
agent.

Boundary n is due at start + n·τ_M, an absolute instant, so lateness never adds up. One tick too many is made up at once;
after a longer overrun the grid moves by whole ticks, which are counted as slipped, instead of being rushed through.

A new episode begins at the boundary after the one that ended: the reset takes the place of that boundary's step, so
every observation, the last of an episode too, has a tick of its own.
"""

from typing import NamedTuple

import numpy as np

from rtrl_jax.board.bell import Bell
from rtrl_jax.board.layout import RUNNING
from rtrl_jax.workers.arbiter import Arbiter
from rtrl_jax.workers.effects import NextBoundary

MOST_MADE_UP = 1  # ticks


class Limits(NamedTuple):
    """When a run is over; None is never."""

    duration_s: float | None
    max_ticks: int | None
    max_episodes: int | None


def environment_loop(
    environment,
    first_frame,
    board,
    observations,
    now_ns,
    dispatcher=None,
    *,
    rate_hz,
    default_action,
    repeat,
    limits,
    groups,
    listeners=(),
    save=None,
    picture=None,
    session=0,
    resumed=None,
    played_ns=0,
):
    """Runs `environment` in real time.

    Args:
      environment: has reset() -> frame, step(action) -> (frame, reward, terminated, truncated) and `progress`.
      first_frame: of the reset that came before the start.
      board, observations: the shared memory and its ring of observations, of which this loop is the writer.
      now_ns: the clock.
      dispatcher: a `Ticket`, or None if the workers choose their observations themselves.
      rate_hz: boundaries a second.
      default_action: β.
      repeat: True if the last action stays in force, in place of β, until another is ready.
      limits: when to stop.
      groups: for each inference worker, the number of the process (bell) that runs it.
      listeners: processes to wake at every boundary.
      save: () -> bytes, at most ENVIRONMENT_BYTES, the state of the environment and the dispatcher, for a checkpoint.
      picture: () -> [height, width, 3] uint8, what a person sees, for the board's ring; None if nobody looks.
      session: how often the run has been resumed.
      resumed: the TICK record after which it goes on; None for a new run.
      played_ns: how long it had gone on until then.
    """
    tau_m = 1e9 / rate_hz
    arbiter, desk = Arbiter(), _Desk(board, dispatcher, groups)
    judged = board.outcomes
    pictures = board.shown
    bells = [Bell(word) for word in board.bell]
    origin = int(board.start_ns[0])
    slipped_in_all = episode = episode_start = first_tick = 0
    last_action, fresh = default_action, True
    if resumed is not None:
        fresh = bool(resumed["terminated"] or resumed["truncated"])
        first_tick, episode = int(resumed["tick"]) + 1, int(resumed["episode"]) + fresh
        episode_start, last_action = int(resumed["episode_start"]), int(resumed["action"])
    tick = first_tick
    board.picture_head[0] = first_tick
    while board.control[0] == RUNNING:
        due = origin + round((tick - first_tick + slipped_in_all) * tau_m)
        boundary = yield NextBoundary(due)
        if boundary is None:  # the run ends
            break
        lateness = boundary - due
        slipped = int(lateness // tau_m) if lateness >= (1 + MOST_MADE_UP) * tau_m else 0
        slipped_in_all += slipped

        for decision, due_tick in desk.collect(tick):
            arbiter.submit(decision, due_tick)
        chosen, verdicts = arbiter.latch(tick, episode_start if not fresh else tick)
        is_default = chosen is None
        action = int(chosen["action"]) if chosen is not None else (last_action if repeat else default_action)
        if fresh:
            action, episode_start = default_action, tick
            frame = first_frame if tick == 0 else environment.reset()
            reward, terminated, truncated = 0.0, False, False
        else:
            frame, reward, terminated, truncated = environment.step(action)
        last_action = action
        observations.publish(
            frame,
            (
                tick,
                boundary,
                lateness,
                now_ns(),
                -1 if is_default else chosen["obs_tick"],
                episode_start,
                reward,
                action,
                -1 if is_default else chosen["worker"],
                episode,
                slipped,
                *environment.progress,
                dispatcher.playout if dispatcher else 0,
                session,
                is_default,
                terminated,
                truncated,
            ),
        )
        fresh = terminated or truncated
        for process in desk.hand_out(tick, episode_start, over=fresh).union(listeners):
            bells[process].ring()

        for verdict in verdicts:
            judged.append((verdict.decision, verdict.status, verdict.apply_tick))
        if picture:
            pictures.append(picture())
        if save and board.save_wanted[0] != board.saved[0]:
            _put_down(board, tick, save)
        episode += fresh
        tick += 1
        if _over(limits, tick, episode, played_ns + boundary + tau_m - origin):
            break
    if save:
        _put_down(board, tick - 1, save)
    for decision, due_tick in desk.collect(tick):
        arbiter.submit(decision, due_tick)
    for verdict in arbiter.close():
        judged.append((verdict.decision, verdict.status, verdict.apply_tick))


def _put_down(board, tick: int, save) -> None:
    """Leaves the state after `tick` on the board. Its reader looks at `saved_tick` before and after copying."""
    wish, data = int(board.save_wanted[0]), save()
    board.saved_tick[0] = -1
    board.saved_environment[: len(data)] = np.frombuffer(data, np.uint8)
    board.saved_bytes[0] = len(data)
    board.saved_tick[0] = tick
    board.saved[0] = wish


def _over(limits: Limits, ticks: int, episodes: int, elapsed_ns: float) -> bool:
    return bool(
        (limits.max_ticks and ticks >= limits.max_ticks)
        or (limits.max_episodes and episodes >= limits.max_episodes)
        or (limits.duration_s and elapsed_ns >= limits.duration_s * 1e9)
    )


class _Desk:
    """Takes in the workers' decisions and hands out tickets."""

    def __init__(self, board, dispatcher, groups):
        self._board, self._dispatcher, self._groups = board, dispatcher, groups
        self._handed_at = {}  # observation -> tick at which its ticket was handed out

    def collect(self, tick: int):
        """Yields (decision, due tick) for everything registered since the last boundary."""
        board = self._board
        for worker in (board.decision_head != board.decision_taken).nonzero()[0].tolist():
            head, rows = int(board.decision_head[worker]), board.decision_rows[worker]
            for number in range(int(board.decision_taken[worker]), head):
                decision = rows[number % len(rows)].copy()
                yield decision, self._due(decision, tick)
            board.decision_taken[worker] = head

    def _due(self, decision, tick: int) -> int:
        if self._dispatcher is None:
            return tick
        obs_tick = int(decision["obs_tick"])
        taken = tick - self._handed_at.pop(obs_tick, tick - 1)
        self._dispatcher.observe(taken, used_network=bool(decision["greedy"]))
        return max(tick, obs_tick + self._dispatcher.playout)

    def hand_out(self, tick: int, episode_start: int, over: bool) -> set[int]:
        """Gives tickets to idle workers; returns the processes to wake. Nothing is decided on a finished episode."""
        if self._dispatcher is None or over:
            return set()
        board = self._board
        idle = ((board.ticket_count == board.answered) & (board.idle == 1)).nonzero()[0].tolist()
        woken = set()
        for worker, obs_tick in self._dispatcher.dispatch(tick, idle, episode_start):
            board.ticket_obs[worker] = obs_tick
            board.ticket_count[worker] += 1
            self._handed_at[obs_tick] = tick
            woken.add(self._groups[worker])
        return woken
