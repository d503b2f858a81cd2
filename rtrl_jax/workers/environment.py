"""The environment's loop: at every boundary latch, step, publish, and only then bookkeeping. Nothing here ever waits for an
agent.

Boundary n is due at start + n·τ_M, an absolute instant, so lateness never adds up. One tick too many is made up at once;
after a longer overrun the grid moves by whole ticks, which are counted as slipped, instead of being rushed through.

A new episode begins at the boundary after the one that ended: the reset takes the place of that boundary's step, so
every observation, the last of an episode too, has a tick of its own.
"""

from typing import Any, NamedTuple

from rtrl_jax import actions
from rtrl_jax.board.bell import Bell
from rtrl_jax.board.lifecycle import is_running
from rtrl_jax.board.records import Tick
from rtrl_jax.board.saved_state import SavedState
from rtrl_jax.telemetry.progress import Limits
from rtrl_jax.workers.arbiter import Arbiter
from rtrl_jax.workers.dispatch import Dispatch
from rtrl_jax.workers.effects import NextBoundary

MOST_MADE_UP = 1  # ticks
NEARLY = 0.05  # of a tick: a duration that so little is missing from is over


class Beginning(NamedTuple):
    """Where a run begins, or goes on."""

    first_frame: Any  # of the reset that came before the start
    last: Any = None  # the TICK record after which it goes on; None for a new run
    session: int = 0  # how often it has been resumed
    played_ns: int = 0  # how long it had gone on until then
    on_the_grid: bool = False  # in virtual time boundaries stay where they would have been


class Unsettled(NamedTuple):
    """What the environment's process has taken in or handed out and not settled yet."""

    arbiter: Arbiter
    handed_at: dict[int, int]  # observation -> tick at which its ticket was handed out

    @classmethod
    def nothing(cls) -> "Unsettled":
        return cls(Arbiter(), {})


class Wakes(NamedTuple):
    """Whose bells are rung at a boundary."""

    workers: list[int]  # for each inference worker the number of its process: when it gets a ticket
    everyone: tuple[int, ...] = ()  # processes: always


def environment_loop(
    environment,
    begin: Beginning,
    board,
    now_ns,
    dispatcher=None,
    *,
    wakes: Wakes,
    limits: Limits = Limits(),  # noqa: B008
    repeat: bool = False,
    save=None,
    picture=None,
    keeper=None,
    unsettled: Unsettled | None = None,
    late: bool = False,
    hold: int = 1,
):
    """Runs `environment` in real time, at its own rate.

    Args:
      environment: see `environments.Environment`.
      board: the shared memory, of whose observations and outcomes this loop is the writer.
      now_ns: the clock.
      dispatcher: a `Ticket`, or None if the workers choose their observations themselves.
      limits: when to stop.
      repeat: True if the last action stays in force, in place of β, until another is ready.
      save: () -> bytes, at most ENVIRONMENT_BYTES, the state of the environment and the dispatcher, for a checkpoint.
      keeper: a `replay.keeper.Keeper`, which makes of each tick what is replayed; None where nothing is.
      picture: () -> [height, width, 3] uint8, what a person sees, for the board's ring; None if nobody looks.
      unsettled: what there is of it when the loop begins; None: nothing.
      late: whether workers have late heads.
      hold: ticks that a decision acts for, unless another comes or the episode ends.
    """
    tau_m, default_action = 1e9 / environment.spec.rate_hz, environment.spec.default_action
    arbiter, handed_at = unsettled or Unsettled.nothing()
    dispatch = Dispatch(board, dispatcher, wakes.workers, handed_at, late_tick_ns=tau_m if late else None)
    saved = SavedState(board)
    bells = [Bell(word) for word in board.bell]
    origin = int(board.start_ns[0])
    slipped_in_all = episode = episode_start = tick = first_tick = decisions = 0
    last_action, fresh, seen_not_finite = default_action, True, (0, 0)
    in_force, held_until = None, 0
    if begin.last is not None:
        fresh = bool(begin.last["terminated"] or begin.last["truncated"])
        tick, episode = int(begin.last["tick"]) + 1, int(begin.last["episode"]) + fresh
        first_tick = 0 if begin.on_the_grid else tick
        episode_start, last_action = int(begin.last["episode_start"]), actions.value(begin.last["action"])
        decisions = int(begin.last["decisions"])
        in_force, held_until = begin.last, _first_of_decision(board, tick - 1) + hold
    board.picture_head[0] = tick
    while is_running(board):
        due = origin + round((tick - first_tick + slipped_in_all) * tau_m)
        boundary = yield NextBoundary(due)
        if boundary is None:  # the run ends
            break
        lateness = boundary - due
        slipped = int(lateness // tau_m) if lateness >= (1 + MOST_MADE_UP) * tau_m else 0
        slipped_in_all += slipped

        for decision, due_tick in dispatch.collect(tick):
            arbiter.submit(decision, due_tick)
        chosen, outcomes = arbiter.latch(tick, dispatch.oldest(episode_start if not fresh else tick))
        if chosen is not None:
            in_force, held_until = chosen, tick + hold
            decisions += 1
        elif fresh or tick >= held_until:
            in_force, held_until = None, 0
        is_default = in_force is None
        action = (last_action if repeat else default_action) if is_default else actions.value(in_force["action"])
        if fresh:
            action, episode_start = default_action, tick
            frame = begin.first_frame if tick == 0 else environment.reset()
            reward, terminated, truncated = 0.0, False, False
        else:
            frame, reward, terminated, truncated = environment.step(action)
        last_action = action
        if environment.not_finite != seen_not_finite:
            board.not_finite[:] = seen_not_finite = environment.not_finite
        encounter, wins, losses, attempts = environment.progress
        record = Tick(
            tick=tick,
            boundary_ns=boundary,
            lateness_ns=lateness,
            published_ns=now_ns(),
            obs_tick=-1 if is_default else in_force["obs_tick"],
            episode_start=episode_start,
            decisions=decisions,
            reward=reward,
            action=action,
            worker=-1 if is_default else in_force["worker"],
            episode=episode,
            slipped=slipped,
            encounter=encounter,
            wins=wins,
            losses=losses,
            attempts=attempts,
            playout=dispatch.playout,
            session=begin.session,
            is_default=is_default,
            terminated=terminated,
            truncated=truncated,
        )
        board.observations.publish(frame, record)
        fresh = terminated or truncated
        woken = dispatch.hand_out(tick, episode_start, over=fresh)
        for process in woken:  # a ticket does not wait
            bells[process].ring()
        if keeper:
            keeper.tick(record, held=chosen is None)
        for process in wakes.everyone:
            if process not in woken:
                bells[process].ring()

        for outcome in outcomes:
            board.outcomes.append(outcome)
        if picture:
            board.shown.append(picture())
        if save and saved.is_wanted:
            saved.put(tick, save())
        episode += fresh
        tick += 1
        next_due = begin.played_ns + (tick - first_tick + slipped_in_all) * tau_m
        if _is_over(limits, tick, episode, next_due + NEARLY * tau_m):
            break
    if save:
        saved.put(tick - 1, save())
    for decision, due_tick in dispatch.collect(tick):
        arbiter.submit(decision, due_tick)
    for outcome in arbiter.close():
        board.outcomes.append(outcome)


def _first_of_decision(board, tick: int) -> int:
    """The tick in which the decision began to act that `tick` has; before all that there are if `tick` has none."""
    rows, capacity = board.observations.ticks.rows, board.observations.capacity
    row, first = rows[tick % capacity], tick
    if row["is_default"]:
        return -(1 << 62)
    while first > 0 and tick - first < capacity // 2 and rows[(first - 1) % capacity]["decisions"] == row["decisions"]:
        first -= 1
    return first


def _is_over(limits: Limits, ticks: int, episodes: int, next_due_ns: float) -> bool:
    return bool(
        (limits.max_ticks and ticks >= limits.max_ticks)
        or (limits.max_episodes and episodes >= limits.max_episodes)
        or (limits.duration_s and next_due_ns >= limits.duration_s * 1e9)
    )
