"""What each process of a run does: get ready, meet the others at the barrier, run its loops."""

import gc
import os
import pathlib
import time
from functools import partial
from typing import NamedTuple

import numpy as np

from rtrl_jax import latency
from rtrl_jax.board import segment
from rtrl_jax.board.bell import Bell
from rtrl_jax.board.layout import RUNNING, WAITING, WARM_UP_INFERENCES, Board
from rtrl_jax.board.ring import Observations, Ring
from rtrl_jax.drivers import message as messages
from rtrl_jax.drivers.assembly import Assembly, Process
from rtrl_jax.drivers.wall import drive, now_ns

FIFO_PRIORITY = 50
UNCOUNTED_INFERENCES = 3  # the first ones after compiling are slower


class Place(NamedTuple):
    """A process's view of the run."""

    assembly: Assembly
    process: Process
    incarnation: int
    board: Board
    board_fd: int
    observations: Observations

    def generator(self, purpose: int, number: int = 0) -> np.random.Generator:
        """A random generator of its own for each purpose, worker and incarnation."""
        return np.random.default_rng([self.assembly.settings.seed, purpose, number, self.incarnation])

    @property
    def tau_m_ns(self) -> int:
        return round(1e9 / self.assembly.spec.rate_hz)


EXPLORATION, SAMPLING, LATENCY = 2, 3, 4  # purposes of random generators; 1 is the parameters' first values


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
        Observations(board.tick_head, board.tick_rows, board.frames),
    )
    {"environment": _environment, "inference": _inference, "learner": _learner, "agent": _agent}[place.process.role](
        place
    )


def _environment(place: Place) -> None:
    from rtrl_jax import environments
    from rtrl_jax.stagger import Ticket
    from rtrl_jax.workers.environment import Limits, environment_loop

    board, settings, spec = place.board, place.assembly.settings, place.assembly.spec
    environment = environments.make(
        settings.environment, rate_hz=settings.rate_hz, default_action_index=settings.default_action_index
    )
    first_frame = environment.reset(settings.seed)  # before the start: seeding may load a game anew
    _meet(place)
    dispatcher = None
    if settings.interaction == "async" and settings.stagger == "ticket":
        playout = int(settings.playout) if str(settings.playout).isdecimal() else settings.playout
        dispatcher = Ticket(place.assembly.inference_workers, playout=playout)
        for tau in board.warm_up_ns.ravel().tolist():
            dispatcher.observe(int(np.ceil(tau / place.tau_m_ns)), used_network=True)
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
    )
    board.realtime[0] = _take_right_of_way()
    _drive(place, [loop])
    environment.close()


def _take_right_of_way() -> int:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(FIFO_PRIORITY))
    except PermissionError:
        return -1
    return 1


def _inference(place: Place) -> None:
    from rtrl_jax import stagger
    from rtrl_jax.workers.inference import staggered, ticketed
    from rtrl_jax.workers.mailbox import Mailbox

    board, settings = place.board, place.assembly.settings
    workers = place.process.workers
    snapshots, act = _network(place)
    emulate = _emulation(place)
    algorithm = None
    if settings.stagger != "ticket":
        algorithm = stagger.make(settings.stagger, board.stagger, quantile=settings.stagger_quantile)
        if settings.tau_initial_ms is not None and workers[0] == 0 and place.incarnation == 0:
            algorithm.start_from(settings.tau_initial_ms / 1e3)
    _warm_up(place, snapshots, act, emulate)
    _meet(place)

    loops = []
    for worker in workers:
        mailbox = Mailbox(board, worker, now_ns)
        policy = _policy(place, snapshots, act, worker)
        if algorithm is None:
            loops.append(ticketed(mailbox, policy))
        else:
            loops.append(
                staggered(
                    mailbox,
                    place.observations,
                    policy,
                    algorithm,
                    start_ns=int(board.start_ns[0]),
                    tau_m_ns=place.tau_m_ns,
                    lock=partial(segment.exclusive, place.board_fd),
                    joined_late=place.incarnation > 0,
                )
            )
    _drive(place, loops, emulate=emulate)


def _learner(place: Place) -> None:
    from rtrl_jax.workers.learning import learner_loop

    learner = int(place.process.name.split()[-1])
    learning = _learning(place, learner)
    _meet(place, makes_cycles=True)
    updates = Ring(place.board.update_head[learner : learner + 1], place.board.update_rows[learner])
    start_ns = int(place.board.start_ns[0])
    _drive(place, [learner_loop(learner, learning, place.observations, updates, start_ns=start_ns)])


def _agent(place: Place) -> None:
    from rtrl_jax.workers.mailbox import Mailbox
    from rtrl_jax.workers.sequential import sequential

    board, settings = place.board, place.assembly.settings
    snapshots, act = _network(place)
    emulate = _emulation(place)
    learning = _learning(place, 0) if settings.learner_workers else None
    _warm_up(place, snapshots, act, emulate)
    _meet(place, makes_cycles=learning is not None)
    loop = sequential(
        Mailbox(board, 0, now_ns),
        place.observations,
        _policy(place, snapshots, act, 0),
        learning,
        Ring(board.update_head[:1], board.update_rows[0]),
        learn_first=settings.interaction == "sequential_learn_first",
        start_ns=int(board.start_ns[0]),
    )
    _drive(place, [loop], emulate=emulate)


def _network(place: Place):
    """The reader of snapshots, and the compiled function from (parameters, observation) to an action."""
    import jax

    from rtrl_jax import networks
    from rtrl_jax.agents import dqn
    from rtrl_jax.board import snapshots

    _configure_jax()
    network = networks.build(place.assembly.network, place.assembly.spec.actions, place.assembly.width)
    structure = jax.tree.structure(_shapes(place.assembly))

    def wrap(slot):
        views = snapshots.views(place.assembly.leaves, slot)
        arrays = [jax.device_put(view, may_alias=True) for view in views]
        aliased = all(a.unsafe_buffer_pointer() == v.ctypes.data for a, v in zip(arrays, views, strict=True))
        # An array that is a copy would never see an update; jit copies the views at each call instead.
        return jax.tree.unflatten(structure, arrays if aliased else views)

    reader = snapshots.Reader(place.board, place.process.number, wrap)
    return reader, jax.jit(dqn.greedy_action(network.apply))


def _shapes(assembly: Assembly):
    from rtrl_jax import networks
    from rtrl_jax.networks import parameters

    network = networks.build(assembly.network, assembly.spec.actions, assembly.width)
    return parameters.shapes(network, assembly.observation_shape, assembly.spec.observation_dtype)


def _configure_jax() -> None:
    import jax

    folder = pathlib.Path(os.environ.get("RTRL_CACHE", pathlib.Path.home() / ".cache" / "rtrl_jax"))
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # a hand-over to another thread costs more than it hides


def _policy(place: Place, snapshots, act, worker: int):
    from rtrl_jax.agents.exploration import linear
    from rtrl_jax.workers.policy import epsilon_greedy

    settings = place.assembly.settings
    return epsilon_greedy(
        place.observations,
        snapshots,
        act,
        linear(settings.epsilon_start, settings.epsilon_end, settings.epsilon_steps),
        actions=place.assembly.spec.actions,
        frame_stack=settings.frame_stack,
        rng=place.generator(EXPLORATION, worker),
    )


def _learning(place: Place, learner: int):
    import jax
    import numpy as np

    from rtrl_jax import networks
    from rtrl_jax.agents import dqn
    from rtrl_jax.board import snapshots
    from rtrl_jax.replay.transitions import TransitionBuilder
    from rtrl_jax.replay.uniform import UniformReplay
    from rtrl_jax.workers.learning import Learning

    _configure_jax()
    assembly, settings, spec = place.assembly, place.assembly.settings, place.assembly.spec
    network = networks.build(assembly.network, spec.actions, assembly.width)
    structure = jax.tree.structure(_shapes(assembly))
    optimiser = dqn.make_optimiser(settings.learning_rate or spec.learning_rate, settings.gradient_clip)
    update = jax.jit(dqn.update(network.apply, optimiser, settings.target_every), donate_argnums=0)

    reader = snapshots.Reader(place.board, place.process.number, partial(snapshots.views, assembly.leaves))
    with reader.pinned() as (version, views):
        first = jax.tree.unflatten(structure, [view.copy() for view in views])

    def fresh_state():
        return dqn.init(first, optimiser)._replace(updates=np.int32(version))

    # Compiled and timed on a state that is thrown away, so that the run neither waits for it nor takes it for a hang.
    shape = (settings.batch_size, *assembly.observation_shape)
    blank = dqn.Batch(
        np.zeros(shape, spec.observation_dtype),
        np.zeros(settings.batch_size, np.int32),
        np.zeros(settings.batch_size, np.float32),
        np.zeros(settings.batch_size, np.float32),
        np.zeros(shape, spec.observation_dtype),
    )
    state, _ = update(fresh_state(), blank)
    began = now_ns()
    jax.block_until_ready(update(state, blank))
    _beat(place, now_ns() - began)

    builder = TransitionBuilder(settings.gamma, per_tick=settings.discount_per == "tick")
    return Learning(
        UniformReplay(place.observations, builder, settings.frame_stack),
        fresh_state(),
        update,
        snapshots.Publisher(place.board, assembly.leaves),
        learn_every=settings.learn_every,
        batch_size=settings.batch_size,
        learn_start=settings.learn_start,
        rng=place.generator(SAMPLING, learner),
    )


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
            int(act(parameters, blank))
        times.append(now_ns() - began)
        _beat(place, 0)
    _beat(place, max(times[UNCOUNTED_INFERENCES:]))
    for number, worker in enumerate(place.process.workers):
        for i, measured in enumerate(times[UNCOUNTED_INFERENCES:]):
            place.board.warm_up_ns[worker, i] = max(measured, emulate(number)) if emulate else measured


def _beat(place: Place, step_ns: int) -> None:
    number = place.process.number
    place.board.heartbeat_ns[number] = now_ns()
    if step_ns > place.board.expected_ns[number]:
        place.board.expected_ns[number] = step_ns


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
        _beat(place, 0)
        time.sleep(0.001)


def _drive(place: Place, loops, emulate=None) -> None:
    board = place.board
    drive(
        loops,
        bell=Bell(board.bell[place.process.number]),
        running=lambda: board.control[0] == RUNNING,
        beat=partial(_beat, place),
        emulate=emulate,
    )
