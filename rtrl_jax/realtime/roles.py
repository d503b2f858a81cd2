"""What each process of a run does: get ready, meet the others at the barrier, run its loops."""

import gc
import os
import time
from contextlib import suppress
from functools import partial

import numpy as np

from rtrl_jax import latency
from rtrl_jax.board import lifecycle, segment
from rtrl_jax.board.bell import Bell
from rtrl_jax.board.layout import WAITING, WARM_UP_INFERENCES, Board
from rtrl_jax.core import loops
from rtrl_jax.core.context import LATENCY, Context
from rtrl_jax.realtime import message as messages
from rtrl_jax.realtime.drive import LONGEST_SPIN_NS, drive, now_ns
from rtrl_jax.realtime.rehearsal import Rehearsals, may_rehearse
from rtrl_jax.stagger.free import Free

ENVIRONMENT = 0  # its number
FIFO_PRIORITY = 50
# A world that takes so much of its ticks, in the mean over so many, overruns them; one long reset does not.
MOST_OF_A_TICK, SMOOTHING, LONGEST_COUNTED = 0.95, 1 / 16, 2
SAMPLE_S = 5.0  # of a process that only measures itself
UNCOUNTED_SAMPLES = 3  # the first steps after compiling are slower


def perform(message: dict) -> None:
    """Takes the place that the message names, until the run ends."""
    assembly = messages.read_assembly(message)
    board = Board(assembly.dimensions, segment.attach(message["board_fd"]))
    process = messages.read_process(message)
    context = Context(assembly, process, board, message["incarnation"], message["board_fd"])
    roles = {
        "environment": _environment,
        "inference": _inference,
        "learner": _learner,
        "agent": _agent,
        "inference sampler": _inference_sampler,
        "update sampler": _update_sampler,
        "bridge": partial(_bridge, message),
        "page": partial(_page, message),
    }
    roles[process.role](context)


def _clock(context: Context) -> loops.Clock:
    clock = loops.Clock(
        now_ns,
        turn_lock=partial(segment.exclusive, context.board_fd, segment.TURN),
        announcing_lock=partial(segment.exclusive, context.board_fd),
    )
    if context.process.crew is None:
        return clock
    from rtrl_jax.cluster.announcing import Distant

    told = Bell(context.board.bell[ENVIRONMENT]).ring  # of the bridge, which is here in the environment's place
    own = Bell(context.board.bell[context.process.number])

    def announced(algorithm):
        return algorithm if isinstance(algorithm, Free) else Distant(algorithm, context.board, own, told)

    return clock._replace(decided=told, announced=announced)


def _environment(context: Context) -> None:
    world = loops.open_world(context)
    context.board.realtime[0] = _take_right_of_way()
    _meet(context, makes_cycles=True)  # the environment is the user's code
    spin_ns = min(LONGEST_SPIN_NS, context.tau_m_ns // 10)
    _drive(context, [_giving_way(context, loops.environment(context, _clock(context), world))], spin_ns=spin_ns)
    context.board.over[0] = 1
    world.environment.close()


def _giving_way(context: Context, loop):
    """The environment's loop, which gives up its right of way once a tick's work takes longer than a tick in the mean.

    With it, a world too slow for its rate would leave nothing of the core to the supervisor and a learner there.
    """
    effect, mean_ns, tick_ns = next(loop), 0.0, 1e9 / context.spec.rate_hz
    while True:
        instant = yield effect
        began = now_ns()
        try:
            effect = loop.send(instant)
        except StopIteration:
            return
        took = now_ns() - began
        context.beat(took)
        mean_ns += (min(took, LONGEST_COUNTED * tick_ns) - mean_ns) * SMOOTHING
        if mean_ns > MOST_OF_A_TICK * tick_ns:
            if context.board.realtime[0] > 0:
                context.board.realtime[0] = 0
                with suppress(OSError):  # the flag stays, since it takes a privilege to clear it
                    os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
            context.board.overrun_ns[0] = round(mean_ns)


def _take_right_of_way() -> int:
    """What the environment itself starts, a game's own process, does not inherit it."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(FIFO_PRIORITY))
    except OSError:
        return -1
    return 1


def _inference(context: Context) -> None:
    from rtrl_jax.core import acting

    network, emulate = acting.network(context), _emulation(context)
    _warm_up(context, network, emulate)
    _meet(context)
    workers = context.process.workers
    policies = [acting.policy(context, network, worker) for worker in workers]
    clock = _clock(context)
    agents = [loops.agent(context, clock, policy, worker) for policy, worker in zip(policies, workers, strict=True)]
    _drive(context, agents, emulate=emulate, rehearsals=_rehearsals(context, network))


def _rehearsals(context: Context, network) -> Rehearsals | None:
    from rtrl_jax.core import acting

    if not may_rehearse(context):
        return None
    board, (worker,) = context.board, context.process.workers
    once = acting.rehearsal(context, network)
    expected_ns = int(np.median(board.warm_up_ns[worker]))
    return Rehearsals(once, board.observations, context.tau_m_ns, board.rehearsed[worker], expected_ns)


def _learner(context: Context) -> None:
    from rtrl_jax.core import learning

    clock = _clock(context)
    learner = learning.learner(context, clock.turn_lock)
    if context.process.learner == 0:
        learning.pretrain(context, learner, now_ns)
    _meet(context, makes_cycles=True)
    _drive(context, [loops.learning(context, clock, learner)])


def _agent(context: Context) -> None:
    from rtrl_jax.core import acting, learning

    clock, network, emulate = _clock(context), acting.network(context), _emulation(context)
    _warm_up(context, network, emulate)
    learner = None
    if context.process.learner is not None:
        learner = learning.learner(context, clock.turn_lock)
        learning.pretrain(context, learner, now_ns)
    _meet(context, makes_cycles=learner is not None)
    policy = acting.policy(context, network, 0)
    _drive(context, [loops.agent(context, clock, policy, 0, learner)], emulate=emulate)


def _page(message: dict, context: Context) -> None:
    """Shows the run to whoever looks. It is at no barrier, and the run does not end with it."""
    from rtrl_jax.page.live import show

    show(context, messages.read_listener(message))


def _bridge(message: dict, context: Context) -> None:
    """Keeps the boards of other machines in step with this one."""
    from rtrl_jax.cluster.home import keep_in_step

    keep_in_step(context, messages.read_listener(message))


def _inference_sampler(context: Context) -> None:
    """Measures inferences, in the place of a worker, and then waits to be killed. See `realtime.measure`."""
    from rtrl_jax.core import acting

    _sample(context, acting.blank_inference(context, acting.network(context)), UNCOUNTED_SAMPLES)


def _update_sampler(context: Context) -> None:
    """Measures updates, in the place of a learner."""
    from rtrl_jax.core import learning

    _sample(context, learning.blank_update(context), uncounted=1)


def _sample(context: Context, once, uncounted: int) -> None:
    """Fills the row of samples: as many as it takes, but once there is one, for no longer than SAMPLE_S."""
    for _ in range(uncounted):
        once()
    gc.collect()
    end, board = now_ns() + round(SAMPLE_S * 1e9), context.board
    for i in range(len(board.sample_ns)):
        began = now_ns()
        once()
        board.sample_ns[i] = now_ns() - began
        if now_ns() > end:
            break
    board.own_bytes[0] = _own_bytes()
    _meet(context)


def _own_bytes() -> int:
    """The most memory this process has had at a time, without what it shares with others (the board, libraries)."""
    with open("/proc/self/status") as file:
        kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in file) if "kB" in rest}
    return 1024 * (kib["VmHWM"] - kib["RssFile"] - kib["RssShmem"])


def _emulation(context: Context):
    """(Loop number, whether the action is the network's) -> nanoseconds the inference should take at least; or None."""
    text = context.settings.emulated_inference_ms
    if text is None:
        return None
    draw, always = latency.parse(str(text)), context.settings.exploring_takes_time
    generators = [context.generator(LATENCY, worker) for worker in context.process.workers]
    return lambda number, greedy: round(draw(generators[number]) * 1e6) if greedy or always else 0


def _warm_up(context: Context, network, emulate) -> None:
    """Compiles and leaves a few inference times on the board, from which the first playout delay is taken."""
    from rtrl_jax.core import acting

    times = acting.time_inferences(context, network, WARM_UP_INFERENCES, after=lambda took_ns: context.beat())
    context.beat(int(times.max()))
    for number, worker in enumerate(context.process.workers):
        for i, measured in enumerate(times.tolist()):
            context.board.warm_up_ns[worker, i] = max(measured, emulate(number, True)) if emulate else measured


def _meet(context: Context, makes_cycles: bool = False) -> None:
    """The barrier: ready, and waiting for the supervisor to start the run.

    Loops that make no reference cycles go on without the garbage collector, whose pauses come at any moment.
    """
    gc.collect()
    gc.freeze()
    if not makes_cycles:
        gc.disable()
    lifecycle.set_ready(context.board, context.process.number)
    while context.board.control[0] == WAITING:
        context.beat()
        time.sleep(0.001)


def _drive(context: Context, running_loops, emulate=None, spin_ns: int = LONGEST_SPIN_NS, rehearsals=None) -> None:
    board = context.board
    drive(
        running_loops,
        bell=Bell(board.bell[context.process.number]),
        running=lambda: lifecycle.is_running(board),
        beat=context.beat,
        emulate=emulate,
        spin_ns=spin_ns,
        rehearsals=rehearsals,
    )
