"""The one place where the loops of a run are wired, whatever the clock that drives them."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np

from rtrl_jax import stagger
from rtrl_jax.core.context import Context
from rtrl_jax.core.preparation import make_environment
from rtrl_jax.environments import saving
from rtrl_jax.pending import Pending
from rtrl_jax.replay.acts import Accounting
from rtrl_jax.replay.keeper import Keeper
from rtrl_jax.replay.transitions import Horizon
from rtrl_jax.stagger import announcements
from rtrl_jax.workers.environment import Beginning, Limits, Unsettled, Wakes, environment_loop
from rtrl_jax.workers.inference import Staggered, Ticketed
from rtrl_jax.workers.learner import Learner, LearnerLoop
from rtrl_jax.workers.mailbox import Choice, Mailbox
from rtrl_jax.workers.policy import TwoParts
from rtrl_jax.workers.sequential import Sequential
from rtrl_jax.workers.turns import Turns


class Clock(NamedTuple):
    """What differs between the clocks. A lock is () -> context manager; in one process nobody else announces anything."""

    now_ns: Callable[[], int]
    turn_lock: Callable = nullcontext  # within it nobody else commits an update
    announcing_lock: Callable = nullcontext  # within it nobody else announces an inference time
    announced: Callable[[Any], Any] = lambda algorithm: algorithm  # where it is told to a table on another machine
    decided: Callable[[], None] = lambda: None  # called when a decision has been registered


class World(NamedTuple):
    """An environment that is ready to begin, or to go on."""

    environment: Any
    begin: Beginning
    ticket: dict | None  # state of the dispatcher that a checkpoint has kept
    replay: dict | None = None  # that of the keeper


def open_world(context: Context, on_the_grid: bool = False) -> World:
    """Makes the environment and resets it, or puts it back to where a checkpoint left it. Args: on_the_grid: see `Beginning`."""
    board, settings, session = context.board, context.settings, context.assembly.session
    environment = make_environment(settings)
    first_frame = environment.reset(settings.seed + session)  # before the start: it may load a game anew
    last, saved = None, {"environment": None, "ticket": None}
    if newest := int(board.tick_head[0]):
        last = board.observations.ticks.rows[(newest - 1) % board.observations.capacity].copy()
        if (length := int(board.saved_bytes[0])) >= 0:
            saved = saving.decode(board.saved_environment[:length].tobytes())
    if saved["environment"] is not None:
        environment.restore(saved["environment"])
    begin = Beginning(first_frame, last, session, int(board.played_ns[0]), on_the_grid)
    return World(environment, begin, saved["ticket"], saved.get("replay"))


def environment(
    context: Context,
    clock: Clock,
    world: World,
    unsettled: Unsettled | None = None,
    saving_too: Callable[[], None] = lambda: None,
):
    """The environment's loop. To be called once inference workers have warmed up.

    Args:
      unsettled: see `environment_loop`.
      saving_too: called when the environment's state is saved.
    """
    assembly, settings = context.assembly, context.settings
    dispatcher = _dispatcher(context)
    if dispatcher and world.ticket is not None:
        dispatcher.restore(world.ticket, None if world.begin.on_the_grid else int(world.begin.last["tick"]) + 1)
    waiting = [assembly.process_of_worker[0]] if settings.is_sequential and dispatcher is None else []
    bridge = [] if assembly.bridge is None else [assembly.bridge]
    rung = [] if agent_learns(settings) or assembly.learners_crew is not None else assembly.learners
    everyone = tuple(dict.fromkeys([*waiting, *bridge, *rung]))
    keeper = _keeper(context, world)

    def save() -> bytes:
        saving_too()
        return saving.whole_state(world.environment, dispatcher, context.spec.why_not_saved, keeper)

    return environment_loop(
        world.environment,
        world.begin,
        context.board,
        clock.now_ns,
        dispatcher,
        wakes=Wakes(assembly.rung_for_worker, everyone),
        limits=Limits(settings.duration_s, settings.max_ticks, settings.max_episodes),
        repeat=settings.repeats_last_action,
        save=save if settings.checkpoint_every_s else None,
        picture=world.environment.picture if assembly.dimensions.pictures else None,
        keeper=keeper,
        unsettled=unsettled,
        late=settings.head_is_late,
        hold=settings.action_hold,
    )


def _keeper(context: Context, world: World) -> Keeper | None:
    """What keeps the acts that are replayed; None on a board that has no room for any."""
    last = world.begin.last
    if not context.assembly.dimensions.transitions:
        return None
    keeper = Keeper(context.board, context.settings.stacking, accounting(context), context.model.pending or Pending())
    if world.replay is not None:
        keeper.restore(world.replay)
    if last is not None and last["truncated"]:
        keeper.cut(int(last["tick"]))
    return keeper


def horizon(context: Context) -> Horizon:
    """How far transitions reach, and how they discount."""
    settings = context.settings
    return Horizon(
        settings.gamma,
        per_tick=settings.discount_per == "tick",
        n=context.model.variant.n_steps,
        one_step=context.model.variant.one_step,
        through_done="bootstrap" in settings.departures,
    )


def accounting(context: Context) -> Accounting:
    """What is made of the ticks between two decisions that act."""
    settings = context.settings
    return Accounting(
        discount=horizon(context).within_span,
        undelayed_next="next_obs" in settings.departures,
        clipping=settings.reward_clipping,
    )


def _dispatcher(context: Context):
    """What hands out tickets; None where workers choose their observations themselves."""
    settings, board = context.settings, context.board
    if settings.cadence:
        return stagger.Fixed(settings.cadence)
    if settings.is_sequential or not stagger.by_name(settings.stagger).hands_out_tickets:
        return None
    workers = context.assembly.inference_workers
    dispatcher = stagger.make_dispatcher(
        settings.stagger,
        workers,
        playout=settings.playout_ticks,
        exploring_counts=settings.exploring_takes_time,
        waits=settings.head_is_late,
        every=settings.action_hold,
    )
    dispatcher.warm_up(np.ceil(board.warm_up_ns.ravel() / (1e9 / context.spec.rate_hz)).astype(int).tolist())
    return dispatcher


def agent_learns(settings) -> bool:
    """Whether inference and learning block each other, in one loop."""
    return settings.is_sequential and settings.cadence is None and settings.learning_schedule in (None, "asynchronous")


def agent(
    context: Context,
    clock: Clock,
    policy: Callable[[int], Choice] | TwoParts,
    worker: int,
    learner: Learner | None = None,
):
    """The loop of one inference worker; of a sequential agent, which may learn as well."""
    settings, board, assembly = context.settings, context.board, context.assembly
    policy, head = policy if isinstance(policy, TwoParts) else (policy, None)
    mailbox, start_ns = Mailbox(board, worker, clock.now_ns, clock.decided), int(board.start_ns[0])
    if settings.is_sequential and settings.cadence is None:
        return Sequential(
            mailbox,
            board,
            policy,
            learner,
            learn_first=settings.learns_first,
            learn_every=assembly.learn_every,
            per=settings.learn_unit,
            start_ns=start_ns,
            head=head,
            hold=settings.action_hold,
        )
    if settings.is_sequential or stagger.by_name(settings.stagger).hands_out_tickets:
        return Ticketed(mailbox, policy, 1 if settings.cadence else 0, observations=board.observations, head=head)
    algorithm = clock.announced(stagger.make(settings.stagger, board.stagger, quantile=settings.stagger_quantile))
    return Staggered(
        mailbox,
        board.observations,
        policy,
        algorithm,
        workers=assembly.inference_workers,
        start_ns=start_ns,
        tau_m_ns=context.tau_m_ns,
        lock=clock.announcing_lock,
        paid=_paid(context, algorithm, worker),
        head=head,
    )


def _paid(context: Context, algorithm, worker: int) -> float:
    """What was announced before this process came is not its debt. After a resumption all come at once, and take their phases."""
    if context.incarnation > 0:
        return algorithm.owed(worker)
    if context.assembly.session > 0:
        return algorithm.owed(worker) - announcements.phase(context.board.stagger, worker)
    return 0.0


def learning(context: Context, clock: Clock, learner: Learner):
    """The loop of one learner."""
    board, assembly = context.board, context.assembly
    return LearnerLoop(
        context.process.learner,
        learner,
        Turns(board, clock.turn_lock, assembly.learners),
        board,
        learn_every=assembly.learn_every,
        per=context.settings.learn_unit,
        start_ns=int(board.start_ns[0]),
    )
