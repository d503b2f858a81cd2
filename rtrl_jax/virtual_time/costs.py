"""What computations cost in virtual time: drawn from a distribution, measured on this machine, or those of a recorded run."""

import pathlib
import zipfile
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rtrl_jax import latency
from rtrl_jax.board.records import completed, inference_ns
from rtrl_jax.errors import UserError
from rtrl_jax.settings import Settings
from rtrl_jax.workers.effects import HEAD, TRUNK, Apply, Infer, Learn

EXPLORING_NS = 20_000  # an action that needs no network, as long as it takes by the wall clock
HEAD_NS = 100_000  # a late head, of what its inference takes in all; or all of it, if that is less


class Costs(NamedTuple):
    """All in nanoseconds."""

    sample: Callable[[np.random.Generator, int], np.ndarray]  # n inference times, to choose N and a first delay by
    inference: Callable[[int, bool], int]  # (worker, whether the network was needed) -> what its next one takes
    learning: Callable[[int], tuple[int, int]]  # learner -> (its next gradient, its next update's application)


class Progress:
    """How far a run's charges have come: what the next ones depend on besides the settings. `state` and `restore` keep it."""

    def __init__(self, generator: Callable[[int], np.random.Generator]):
        """Args: generator: number -> the random generator of that worker or learner, new."""
        self._new, self._generators = generator, {}
        self.met: dict[tuple, int] = {}  # by whose they are, how many times of a recorded run have been used
        self.applying: dict[int, int] = {}  # by loop, what the application of its present update takes
        self.heads: dict[int, int] = {}  # by loop, what the late head of its present inference takes

    def generator(self, number: int) -> np.random.Generator:
        if number not in self._generators:
            self._generators[number] = self._new(number)
        return self._generators[number]

    def next_of(self, times: np.ndarray, *whose) -> int:
        """Each of the times in its turn, and from the beginning when they run out."""
        number = self.met.get(whose, 0)
        self.met[whose] = number + 1
        return int(times[number % len(times)])

    def state(self) -> dict:
        generators = {number: generator.bit_generator.state for number, generator in self._generators.items()}
        return {
            "generators": generators,
            "met": dict(self.met),
            "applying": dict(self.applying),
            "heads": dict(self.heads),
        }

    def restore(self, saved: dict) -> None:
        for number, state in saved["generators"].items():
            self.generator(number).bit_generator.state = state
        self.met |= saved["met"]
        self.applying |= saved["applying"]
        self.heads |= saved["heads"]


class Trace(NamedTuple):
    """A recorded run's times, each array in the order in which its worker met them."""

    network: list[np.ndarray]  # by inference worker
    exploring: list[np.ndarray]
    gradients: list[np.ndarray]  # by learner
    applying: list[np.ndarray]


def read_traces(settings: Settings) -> dict[str, Trace]:
    """The recorded runs whose times are replayed, by the flag that names them. Raises UserError."""
    traces = {}
    for flag in ("inference_latency_ms", "learning_latency_ms"):
        text = str(getattr(settings, flag) or "")
        if text.startswith(latency.TRACE) and (settings.learns or flag == "inference_latency_ms"):
            traces[flag] = read_trace(text, flag)
    return traces


def of_run(
    settings: Settings, traces: dict[str, Trace], workers: int, measured_ns: np.ndarray, progress: Progress
) -> Costs:
    """What a run's computations cost; an update that is to be measured nothing, until that is done.

    Args:
      workers: N_I. After the inference workers' generators come those of the learners.
      measured_ns: inference times, for `--inference_latency_ms=measured`.
    """
    flag = "learning_latency_ms"
    if str(settings.inference_latency_ms) == latency.MEASURED:
        sample, inference = measured_inference(measured_ns, progress.generator)
    else:
        sample, inference = stated_inference(settings, traces, progress)
    if flag in traces:
        return Costs(sample, inference, traced_learning(traces[flag], progress))
    text = str(settings.learning_latency_ms or 0)
    text = "0" if text == latency.MEASURED else text
    return Costs(sample, inference, drawn_learning(text, flag, lambda learner: progress.generator(workers + learner)))


def stated_inference(settings: Settings, traces: dict[str, Trace], progress: Progress):
    """(sample, inference) of `Costs`, unless they are to be measured."""
    flag = "inference_latency_ms"
    if flag in traces:
        return traced_inference(traces[flag], progress)
    return drawn_inference(str(settings.inference_latency_ms or 0), flag, progress.generator)


def charge(costs: Costs, settings: Settings, first_learner: int, progress: Progress) -> Callable:
    """See `virtual_time.drive`. With --delay or --explore_cost=network exploratory decisions are charged like all others.

    Args: first_learner: the number of the first learner's loop; inference workers have those from 1 on.
    """
    always, applying = settings.exploring_takes_time, progress.applying

    def charged(number: int, effect, value) -> int:
        if isinstance(effect, Infer):
            if effect.part == HEAD:
                return progress.heads[number]
            took = costs.inference(number - 1, always or value.greedy)
            progress.heads[number] = min(HEAD_NS, took) if effect.part == TRUNK and value.greedy else 0
            return took - progress.heads[number]
        if isinstance(effect, Learn):
            gradient, applying[number] = costs.learning(max(0, number - first_learner))
            return gradient if number >= first_learner else gradient + applying[number]
        return applying[number] if isinstance(effect, Apply) else 0

    return charged


def read_trace(text: str, flag: str) -> Trace:
    """Args: text: "trace:RUN". Raises UserError if that is no finished run, or one without inferences."""
    folder = pathlib.Path(text.removeprefix(latency.TRACE)).expanduser()
    try:
        with (
            np.load(folder / "decisions.npz", allow_pickle=False) as decisions,
            np.load(folder / "updates.npz", allow_pickle=False) as updates,
        ):
            order = np.argsort(decisions["start_ns"], kind="stable")
            worker, greedy = decisions["worker"][order], decisions["greedy"][order]
            took = inference_ns(completed(dict(decisions)))[order]
            if not len(took):
                raise ValueError("it made no decision")
            learner, gradient = updates["learner"], updates["computed_ns"] - updates["start_ns"]
            applying = updates["end_ns"] - updates["turn_ns"]
            if (
                min(map(np.min, (took, worker))) < 0
                or min(part.min(initial=0) for part in (learner, gradient, applying)) < 0
            ):
                raise ValueError("it has negative times")
            if worker.dtype.kind != "i" or len(took) != len(decisions["end_ns"]):
                raise ValueError("its columns do not fit together")
    except (OSError, ValueError, KeyError, EOFError, TypeError, IndexError, zlib.error, zipfile.BadZipFile) as error:
        raise UserError(f"--{flag}={text}: {folder} holds no run to replay ({' '.join(str(error).split())})") from None
    if flag == "learning_latency_ms" and not len(learner):
        raise UserError(f"--{flag}={text}: that run made no update, so it has no times to replay")
    workers, learners = range(int(worker.max()) + 1), range(int(learner.max(initial=-1)) + 1)
    return Trace(
        [took[(worker == w) & greedy] for w in workers],
        [took[(worker == w) & ~greedy] for w in workers],
        [gradient[learner == j] for j in learners],
        [applying[learner == j] for j in learners],
    )


def drawn_inference(text: str, flag: str, generator: Callable[[int], np.random.Generator]):
    """(sample, inference) of `Costs` for a stated time. Args: generator: worker -> its random generator."""
    draw = latency.parse(text, flag)

    def sample(rng, n):
        return np.array([1e6 * draw(rng) for _ in range(n)])

    def inference(worker: int, greedy: bool) -> int:
        return round(1e6 * draw(generator(worker))) if greedy else EXPLORING_NS

    return sample, inference


def measured_inference(times_ns: np.ndarray, generator: Callable[[int], np.random.Generator]):
    """The same for times that were measured: each inference takes one of them, drawn at random."""

    def inference(worker: int, greedy: bool) -> int:
        return int(times_ns[generator(worker).integers(len(times_ns))]) if greedy else EXPLORING_NS

    return lambda rng, n: times_ns[rng.integers(len(times_ns), size=n)], inference


def traced_inference(trace: Trace, progress: Progress):
    """The same for a recorded run: worker by worker, each time in its turn, and from the beginning when they run out."""
    pool = np.concatenate(trace.network)
    pool = pool if len(pool) else np.concatenate(trace.exploring)

    def inference(worker: int, greedy: bool) -> int:
        times = (trace.network if greedy else trace.exploring)[worker % len(trace.network)]
        if not len(times):
            times = pool if greedy else np.array([EXPLORING_NS])
        return progress.next_of(times, "inference", worker, greedy)

    return lambda rng, n: pool[rng.integers(len(pool), size=n)], inference


def drawn_learning(text: str, flag: str, generator: Callable[[int], np.random.Generator]):
    """`Costs.learning` for a stated time, which is all the gradient's."""
    draw = latency.parse(text, flag)
    return lambda learner: (round(1e6 * draw(generator(learner))), 0)


def traced_learning(trace: Trace, progress: Progress):
    """`Costs.learning` of a recorded run, learner by learner."""

    def learning(learner: int) -> tuple[int, int]:
        gradients, applying = (part[learner % len(part)] for part in (trace.gradients, trace.applying))
        return progress.next_of(gradients, "gradient", learner), progress.next_of(applying, "application", learner)

    return learning
