"""What each process of a run does: get ready, meet the others at the barrier, run its loops."""

import gc
import os
import time
from functools import partial

import numpy as np

from rtrl_jax import latency
from rtrl_jax.board import segment
from rtrl_jax.board.bell import Bell
from rtrl_jax.board.layout import RUNNING, WAITING, WARM_UP_INFERENCES, Board
from rtrl_jax.drivers import message as messages
from rtrl_jax.drivers.place import LATENCY, Place
from rtrl_jax.drivers.wall import LONGEST_SPIN_NS, drive, now_ns
from rtrl_jax.stagger import announcements

FIFO_PRIORITY = 50
UNCOUNTED_INFERENCES = 3  # the first ones after compiling are slower
SAMPLE_S = 5.0  # of a process that only measures itself


def perform(message: dict) -> None:
    """Takes the place that the message names, until the run ends."""
    assembly = messages.read_assembly(message)
    board = Board(assembly.dimensions, segment.attach(message["board_fd"]))
    place = Place(
        assembly,
        assembly.processes[message["place"]],
        message["incarnation"],
        board,
        message["board_fd"],
        board.observations,
    )
    roles = {
        "environment": _environment,
        "inference": _inference,
        "learner": _learner,
        "agent": _agent,
        "inference sampler": _inference_sampler,
        "update sampler": _update_sampler,
        "page": partial(_page, message),
    }
    roles[place.process.role](place)


def _environment(place: Place) -> None:
    from rtrl_jax import environments
    from rtrl_jax.environments import saving
    from rtrl_jax.stagger import Ticket
    from rtrl_jax.workers.environment import Limits, environment_loop

    board, settings, spec = place.board, place.assembly.settings, place.assembly.spec
    environment = environments.make(
        settings.environment, rate_hz=settings.rate_hz, default_action_index=settings.default_action_index
    )
    saved = _saved(board)
    resumed = place.observations.ticks.rows[(int(board.tick_head[0]) - 1) % place.observations.capacity].copy()
    first_frame = environment.reset(settings.seed + place.assembly.session)  # before the start: it may load a game anew
    if saved["environment"] is not None:
        environment.restore(saved["environment"])
    board.realtime[0] = _take_right_of_way()
    _meet(place, makes_cycles=True)  # the environment is the user's code
    dispatcher = None
    if settings.interaction == "async" and settings.stagger == "ticket":
        playout = int(settings.playout) if str(settings.playout).isdecimal() else settings.playout
        dispatcher = Ticket(place.assembly.inference_workers, playout=playout)
        for tau in board.warm_up_ns.ravel().tolist():
            dispatcher.observe(int(np.ceil(tau / place.tau_m_ns)), used_network=True)
        if saved["ticket"] is not None:
            dispatcher.restore(saved["ticket"], next_tick=int(resumed["tick"]) + 1)

    loop = environment_loop(
        environment,
        first_frame,
        board,
        place.observations,
        now_ns,
        dispatcher,
        rate_hz=spec.rate_hz,
        default_action=spec.default_action,
        repeat=settings.default_action == "repeat",
        limits=Limits(settings.duration_s, settings.max_ticks, settings.max_episodes),
        groups=place.assembly.groups,
        listeners=[process.number for process in place.assembly.processes if process.role == "agent"],
        save=partial(saving.whole_state, environment, dispatcher) if settings.checkpoint_every_s else None,
        picture=environment.picture if place.assembly.dimensions.pictures else None,
        session=place.assembly.session,
        resumed=resumed if board.tick_head[0] else None,
        played_ns=int(board.played_ns[0]),
    )
    _drive(place, [loop], spin_ns=min(LONGEST_SPIN_NS, place.tau_m_ns // 10))
    environment.close()


def _saved(board: Board) -> dict:
    """The state of environment and dispatcher that a checkpoint has put on the board; nothing of both in a new run."""
    length = int(board.saved_bytes[0])
    if not board.tick_head[0] or length < 0:
        return {"environment": None, "ticket": None}
    from rtrl_jax.environments import saving

    return saving.decode(board.saved_environment[:length].tobytes())


def _take_right_of_way() -> int:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(FIFO_PRIORITY))
    except OSError:
        return -1
    return 1


def _inference(place: Place) -> None:
    from rtrl_jax import stagger
    from rtrl_jax.drivers import brain
    from rtrl_jax.workers.inference import staggered, ticketed
    from rtrl_jax.workers.mailbox import Mailbox

    board, settings = place.board, place.assembly.settings
    workers = place.process.workers
    snapshots, act = brain.network(place)
    emulate = _emulation(place)
    algorithm = None
    if settings.stagger != "ticket":
        algorithm = stagger.make(settings.stagger, board.stagger, quantile=settings.stagger_quantile)
        if settings.tau_initial_ms is not None and workers[0] == 0 and not board.stagger.any():
            algorithm.start_from(settings.tau_initial_ms / 1e3)
    _warm_up(place, snapshots, act, emulate)
    _meet(place)

    loops = []
    for worker in workers:
        mailbox = Mailbox(board, worker, now_ns)
        policy = brain.policy(place, snapshots, act, worker)
        if algorithm is None:
            loops.append(ticketed(mailbox, policy))
        else:
            loops.append(
                staggered(
                    mailbox,
                    place.observations,
                    policy,
                    algorithm,
                    workers=place.assembly.inference_workers,
                    start_ns=int(board.start_ns[0]),
                    tau_m_ns=place.tau_m_ns,
                    lock=partial(segment.exclusive, place.board_fd),
                    paid=_paid(place, algorithm, worker),
                )
            )
    _drive(place, loops, emulate=emulate)


def _paid(place: Place, algorithm, worker: int) -> float:
    """What was announced before this process came is not its debt. After a resumption all come at once, and take their phases."""
    if place.incarnation > 0:
        return algorithm.owed(worker)
    if place.assembly.session > 0:
        return algorithm.owed(worker) - announcements.phase(place.board.stagger, worker)
    return 0.0


def _learner(place: Place) -> None:
    from rtrl_jax.drivers import brain
    from rtrl_jax.workers.learning import learner_loop
    from rtrl_jax.workers.turns import Turns

    board, learner = place.board, int(place.process.name.split()[-1])
    lock = partial(segment.exclusive, place.board_fd, segment.TURN)
    learning = brain.learning(place, learner, lock)
    updates = board.updates(learner)
    if learner == 0:
        brain.pretrain(place, learning, updates)
    _meet(place, makes_cycles=True)
    loop = learner_loop(
        learner,
        learning,
        Turns(board, lock, place.assembly.learners),
        place.observations,
        updates,
        learn_every=place.assembly.learn_every,
        start_ns=int(board.start_ns[0]),
    )
    _drive(place, [loop])


def _agent(place: Place) -> None:
    from rtrl_jax.drivers import brain
    from rtrl_jax.workers.mailbox import Mailbox
    from rtrl_jax.workers.sequential import sequential

    board, settings = place.board, place.assembly.settings
    snapshots, act = brain.network(place)
    emulate = _emulation(place)
    _warm_up(place, snapshots, act, emulate)
    updates = board.updates(0)
    learning = None
    if settings.learns:
        learning = brain.learning(place, 0, partial(segment.exclusive, place.board_fd, segment.TURN))
        brain.pretrain(place, learning, updates)
    _meet(place, makes_cycles=learning is not None)
    loop = sequential(
        Mailbox(board, 0, now_ns),
        place.observations,
        brain.policy(place, snapshots, act, 0),
        learning,
        updates,
        learn_first=settings.interaction == "sequential_learn_first",
        learn_every=place.assembly.learn_every,
        start_ns=int(board.start_ns[0]),
    )
    _drive(place, [loop], emulate=emulate)


def _page(message: dict, place: Place) -> None:
    """Shows the run to whoever looks. It is at no barrier, and the run does not end with it."""
    from rtrl_jax.page.live import show

    show(place, messages.read_door(message))


def _inference_sampler(place: Place) -> None:
    """Measures inferences, in the place of a worker, and then waits to be killed. See `drivers.measure`."""
    from rtrl_jax.drivers import brain

    snapshots, act = brain.network(place)
    blank = np.zeros(place.assembly.observation_shape, place.assembly.spec.observation_dtype)

    def once() -> None:
        with snapshots.pinned() as (_, parameters):
            int(act(parameters, blank, np.uint32(0)))

    _sample(place, once, UNCOUNTED_INFERENCES)


def _update_sampler(place: Place) -> None:
    """Measures updates, in the place of a learner."""
    from rtrl_jax.drivers import brain

    _sample(place, brain.update(place), uncounted=1)


def _sample(place: Place, once, uncounted: int) -> None:
    """Fills the row of samples: as many as it takes, but once there is one, for no longer than SAMPLE_S."""
    for _ in range(uncounted):
        once()
    gc.collect()
    end = now_ns() + round(SAMPLE_S * 1e9)
    for i in range(len(place.board.sample_ns)):
        began = now_ns()
        once()
        place.board.sample_ns[i] = now_ns() - began
        if now_ns() > end:
            break
    place.board.own_bytes[0] = _own_bytes()
    _meet(place)


def _own_bytes() -> int:
    """The most memory this process has had at a time, without what it shares with others (the board, libraries)."""
    with open("/proc/self/status") as file:
        kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in file) if "kB" in rest}
    return 1024 * (kib["VmHWM"] - kib["RssFile"] - kib["RssShmem"])


def _emulation(place: Place):
    """Loop number -> nanoseconds the next inference should take at least; None without emulation."""
    text = place.assembly.settings.emulated_inference_ms
    if text is None:
        return None
    draw = latency.parse(str(text))
    generators = [place.generator(LATENCY, worker) for worker in place.process.workers]
    return lambda number: round(draw(generators[number]) * 1e6)


def _warm_up(place: Place, snapshots, act, emulate) -> None:
    """Compiles and leaves a few inference times on the board, from which the first playout delay is taken."""
    blank = np.zeros(place.assembly.observation_shape, place.assembly.spec.observation_dtype)
    times = []
    for _ in range(UNCOUNTED_INFERENCES + WARM_UP_INFERENCES):
        began = now_ns()
        with snapshots.pinned() as (_, parameters):
            int(act(parameters, blank, np.uint32(0)))
        times.append(now_ns() - began)
        place.beat()
    place.beat(max(times[UNCOUNTED_INFERENCES:]))
    for number, worker in enumerate(place.process.workers):
        for i, measured in enumerate(times[UNCOUNTED_INFERENCES:]):
            place.board.warm_up_ns[worker, i] = max(measured, emulate(number)) if emulate else measured


def _meet(place: Place, makes_cycles: bool = False) -> None:
    """The barrier: ready, and waiting for the supervisor to start the run.

    Loops that make no reference cycles go on without the garbage collector, whose pauses come at any moment.
    """
    gc.collect()
    gc.freeze()
    if not makes_cycles:
        gc.disable()
    place.board.ready[place.process.number] = 1
    while place.board.control[0] == WAITING:
        place.beat()
        time.sleep(0.001)


def _drive(place: Place, loops, emulate=None, spin_ns: int = LONGEST_SPIN_NS) -> None:
    board = place.board
    drive(
        loops,
        bell=Bell(board.bell[place.process.number]),
        running=lambda: board.control[0] == RUNNING,
        beat=place.beat,
        emulate=emulate,
        spin_ns=spin_ns,
    )
