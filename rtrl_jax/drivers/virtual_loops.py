"""The loops of a run in virtual time, the same as a wall-clock run's, and what their computations are charged."""

import time
from functools import cache, partial

import numpy as np

from rtrl_jax import latency, stagger
from rtrl_jax.board.layout import WARM_UP_INFERENCES
from rtrl_jax.drivers import baselines, charges
from rtrl_jax.drivers.place import LATENCY, Place
from rtrl_jax.drivers.virtual_assembly import stated_inference
from rtrl_jax.workers.effects import Apply, Infer, Learn, WaitBell
from rtrl_jax.workers.environment import Limits, environment_loop
from rtrl_jax.workers.inference import staggered, ticketed
from rtrl_jax.workers.learning import learner_loop
from rtrl_jax.workers.mailbox import Mailbox
from rtrl_jax.workers.sequential import sequential
from rtrl_jax.workers.turns import Turns

MEASURED_INFERENCES, UNCOUNTED = 64, 3
NEVER = 1 << 62


class Loops:
    """Builds them, once."""

    def __init__(self, assembly, board, observations, clock, lock, traces):
        """Args:
        lock: () -> context manager that keeps a checkpoint's thread and learners apart.
        traces: see `virtual_assembly.read_traces`.
        """
        self._assembly, self._settings, self._board = assembly, assembly.settings, board
        self._observations, self._clock, self._lock, self._traces = observations, clock, lock, traces
        self._environment = None

    def build(self):
        """Returns (loops by the number of their place, their `charge` for `virtual.drive`)."""
        from rtrl_jax import environments

        settings, board, assembly = self._settings, self._board, self._assembly
        environment = self._environment = environments.make(
            settings.environment, rate_hz=settings.rate_hz, default_action_index=settings.default_action_index
        )
        first_frame = environment.reset(settings.seed)
        places = [Place(assembly, process, 0, board, -1, self._observations) for process in assembly.processes]
        snapshots = act = None
        if settings.policy == "agent":
            from rtrl_jax.drivers import brain

            snapshots, act = brain.network(places[1])
            measured_ns = _time_inference(places[1], snapshots, act)
        costs = self._costs(places, measured_ns if settings.policy == "agent" else np.zeros(1))
        self._warm_up(places[1], costs)
        learnings = [self._learning(places[number], learner) for learner, number in enumerate(assembly.learners)]
        if str(settings.learning_latency_ms) == latency.MEASURED:
            update_ns = int(board.expected_ns[assembly.learners].max(initial=0))
            costs = costs._replace(learning=lambda learner: (update_ns, 0))

        dispatcher = self._dispatcher()
        loops = [self._environment_loop(environment, first_frame, dispatcher)]
        policies = []
        for worker in range(assembly.inference_workers):
            if act is None:
                policies.append(baselines.make(places[1 + worker], worker))
            else:
                policies.append(brain.policy(places[1 + worker], snapshots, act, worker))
        loops += self._inference_loops(policies, learnings, dispatcher)
        if not self._agent_learns:
            loops += self._learner_loops(learnings)
        return loops, self._charge(costs)

    def close(self) -> None:
        """Closes the environment, if there is one yet."""
        if self._environment:
            self._environment.close()

    @property
    def _agent_learns(self) -> bool:
        """Whether inference and learning block each other."""
        in_turns = self._settings.learning_schedule in (None, "asynchronous")
        return self._settings.interaction != "async" and in_turns

    def _dispatcher(self):
        settings, board = self._settings, self._board
        if settings.accounting == "reference":
            return stagger.Fixed(settings.delay, settings.delay**2)
        if settings.interaction != "async" or settings.stagger != "ticket":
            return None
        playout = int(settings.playout) if str(settings.playout).isdecimal() else settings.playout
        dispatcher = stagger.Ticket(self._assembly.inference_workers, playout=playout)
        tau_m_ns = 1e9 / self._assembly.spec.rate_hz
        for ticks in np.ceil(board.warm_up_ns.ravel() / tau_m_ns).astype(int).tolist():
            dispatcher.observe(ticks, used_network=True)
        return dispatcher

    def _environment_loop(self, environment, first_frame, dispatcher):
        from rtrl_jax.environments import saving

        settings, spec, assembly = self._settings, self._assembly.spec, self._assembly

        waiting = [1] if settings.interaction != "async" and dispatcher is None else []
        return environment_loop(
            environment,
            first_frame,
            self._board,
            self._observations,
            self._clock.now_ns,
            dispatcher,
            rate_hz=spec.rate_hz,
            default_action=spec.default_action,
            repeat=settings.default_action == "repeat",
            limits=Limits(settings.duration_s, settings.max_ticks, settings.max_episodes),
            groups=assembly.groups,
            listeners=waiting + ([] if self._agent_learns else assembly.learners),
            save=partial(saving.whole_state, environment, dispatcher) if settings.checkpoint_every_s else None,
        )

    def _inference_loops(self, policies, learnings, dispatcher):
        settings, board, assembly = self._settings, self._board, self._assembly
        mailboxes = [Mailbox(board, worker, self._clock.now_ns) for worker in range(assembly.inference_workers)]
        if dispatcher is not None:
            return [ticketed(mailbox, policy) for mailbox, policy in zip(mailboxes, policies, strict=True)]
        if settings.interaction != "async":
            loop = sequential(
                mailboxes[0],
                self._observations,
                policies[0],
                learnings[0] if learnings and self._agent_learns else None,
                board.updates(0),
                learn_first=settings.interaction == "sequential_learn_first",
                learn_every=assembly.learn_every,
                start_ns=0,
            )
            return [loop]
        algorithm = stagger.make(settings.stagger, board.stagger, quantile=settings.stagger_quantile)
        if settings.tau_initial_ms is not None:
            algorithm.start_from(settings.tau_initial_ms / 1e3)
        return [
            staggered(
                mailbox,
                self._observations,
                policy,
                algorithm,
                workers=assembly.inference_workers,
                start_ns=0,
                tau_m_ns=round(1e9 / assembly.spec.rate_hz),
            )
            for mailbox, policy in zip(mailboxes, policies, strict=True)
        ]

    def _learning(self, place: Place, learner: int):
        from rtrl_jax.drivers import brain

        board = self._board
        learning = brain.learning(place, learner, self._lock)
        if learner == 0:
            updates = board.updates(0)
            brain.pretrain(place, learning, updates, self._clock.now_ns)
        return learning

    def _learner_loops(self, learnings):
        board, assembly = self._board, self._assembly
        turns = Turns(board, self._lock, assembly.learners)
        return [
            learner_loop(
                learner,
                learning,
                turns,
                self._observations,
                board.updates(learner),
                learn_every=assembly.learn_every,
                start_ns=0,
                idle=lambda now: WaitBell(now + NEVER),  # nothing falls due but at a boundary
            )
            for learner, learning in enumerate(learnings)
        ]

    def _costs(self, places, measured_ns: np.ndarray) -> charges.Charges:
        settings, workers = self._settings, self._assembly.inference_workers
        of_worker = cache(lambda worker: places[1].generator(LATENCY, worker))
        of_learner = cache(lambda learner: places[1].generator(LATENCY, workers + learner))
        if str(settings.inference_latency_ms) == latency.MEASURED:
            sample, inference = charges.measured_inference(measured_ns, of_worker)
        else:
            sample, inference = stated_inference(settings, self._traces, of_worker)
        text, flag = str(settings.learning_latency_ms or 0), "learning_latency_ms"
        if flag in self._traces:
            learning = charges.traced_learning(self._traces[flag])
        else:
            learning = charges.drawn_learning("0" if text == latency.MEASURED else text, flag, of_learner)
        return charges.Charges(sample, inference, learning)

    def _warm_up(self, place: Place, costs: charges.Charges) -> None:
        """Leaves inference times on the board, from which the first playout delay is taken."""
        rng = place.generator(LATENCY, self._assembly.inference_workers + self._assembly.dimensions.learners)
        shape = (self._assembly.inference_workers, WARM_UP_INFERENCES)
        self._board.warm_up_ns[:] = np.maximum(costs.sample(rng, shape[0] * shape[1]), 1).reshape(shape)

    def _charge(self, costs: charges.Charges):
        """See `virtual.drive`. With --delay every decision takes the same, the exploratory ones too."""
        always, first_learner = self._settings.delay is not None, 1 + self._assembly.inference_workers
        applying: dict[int, int] = {}

        def charge(number: int, effect, value) -> int:
            if isinstance(effect, Infer):
                return costs.inference(number - 1, always or value.greedy)
            if isinstance(effect, Learn):
                gradient, applying[number] = costs.learning(max(0, number - first_learner))
                return gradient if number >= first_learner else gradient + applying[number]
            return applying[number] if isinstance(effect, Apply) else 0

        return charge


def _time_inference(place: Place, snapshots, act) -> np.ndarray:
    """Compiles, and returns how long inferences take on this machine: nanoseconds [MEASURED_INFERENCES]."""
    blank = np.zeros(place.assembly.observation_shape, place.assembly.spec.observation_dtype)
    counted = MEASURED_INFERENCES if str(place.assembly.settings.inference_latency_ms) == latency.MEASURED else 0
    times = []
    for _ in range(UNCOUNTED + counted):
        began = time.perf_counter_ns()
        with snapshots.pinned() as (_, parameters):
            int(act(parameters, blank, np.uint32(0)))
        times.append(time.perf_counter_ns() - began)
    return np.array(times[UNCOUNTED:] or [0])
