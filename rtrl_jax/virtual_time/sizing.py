"""Sizing a run in virtual time: how many workers and learners, from the times that their computations are charged."""

import dataclasses
import time
from typing import NamedTuple

import numpy as np

from rtrl_jax import latency
from rtrl_jax.board import segment
from rtrl_jax.board.layout import size
from rtrl_jax.core import sizing
from rtrl_jax.core.assembly import Assembly, assemble, begin_board, one_each
from rtrl_jax.core.context import Context
from rtrl_jax.core.model import Model
from rtrl_jax.errors import UserError
from rtrl_jax.settings import LEAST_CAPACITY
from rtrl_jax.virtual_time import costs

SAMPLES = 2000  # inference times that N is chosen by
MEASURED_INFERENCES, MEASURED_UPDATES = 64, 4
MOST_KEPT = 2_000_000  # observations


class Numbers(NamedTuple):
    """Of a run."""

    inference_workers: int
    learner_workers: int
    transitions: int | None = None  # kept; None: as many as `core.sizing` chooses


def assemble_for(
    model: Model, traces: dict[str, costs.Trace], numbers: Numbers | None = None, session: int = 0
) -> Assembly:
    """Every loop has a place on the board of its own; the sequential agent has the one of inference worker 0.

    Args:
      traces: see `costs.read_traces`.
      numbers: those of the run that goes on; None for a new one.

    Raises:
      UserError: times as stated ask for more than there can be.
    """
    settings, least = model.settings, 0
    if settings.cadence:
        least = 3 * settings.cadence.lag
        if least > MOST_KEPT:
            raise UserError(
                f"--accounting={settings.accounting} keeps three times as many observations as actions lag behind them, "
                f"{least}: give a smaller --delay"
            )
    workers, learners, transitions = numbers or _numbers(model, traces)
    return assemble(
        model,
        one_each(workers, min(1, learners) if settings.learning == "parallel" else learners),
        inference_workers=workers,
        learner_workers=learners,
        **sizing.kept(settings, model.spec, least, transitions)._asdict(),
        session=session,
    )


def _numbers(model: Model, traces: dict[str, costs.Trace]) -> Numbers:
    workers = _how_many_infer(model, traces)
    return Numbers(workers, _how_many_learn(model, traces, workers))


def _how_many_infer(model: Model, traces) -> int:
    settings = model.settings
    if settings.is_sequential:
        return 1
    if settings.inference_worker_count is not None:
        return settings.inference_worker_count
    return sizing.inference_workers_needed(settings, _inference_ticks(model, traces))


def _inference_ticks(model: Model, traces) -> np.ndarray:
    """Times that inferences are charged, as N is chosen by."""
    settings = model.settings
    if str(settings.inference_latency_ms) == latency.MEASURED:
        tau_ns = _measured_inferences(model)
    else:
        sample, _ = costs.stated_inference(settings, traces, costs.Progress(lambda worker: None))
        tau_ns = sample(np.random.default_rng(settings.seed), SAMPLES)
    return np.maximum(tau_ns, 1) * model.spec.rate_hz / 1e9


def _how_many_learn(model: Model, traces, workers: int) -> int:
    """N_L, or N_L* of the time that an update is charged. Args: workers: N_I, which says how often decisions come."""
    settings, flag = model.settings, "learning_latency_ms"
    if not settings.learns:
        return 0
    if settings.learner_count is not None:
        return settings.learner_count
    text = str(settings.learning_latency_ms or 0)
    if settings.is_sequential:
        return 1
    if text == latency.MEASURED:
        took_ns = _measured_updates(model)
    elif flag in traces:
        took_ns = np.concatenate(traces[flag].gradients or [np.zeros(1)])
    else:
        rng = np.random.default_rng(settings.seed)
        draw = costs.drawn_learning(text, flag, lambda learner: rng)
        took_ns = np.array([draw(0)[0] for _ in range(SAMPLES)])
    tau_i = 1.0
    if settings.learn_unit == "decision":
        tau_i = max(1.0, float(np.ceil(_inference_ticks(model, traces)).mean()) / workers)
    return sizing.learners_needed(settings, took_ns.mean() * model.spec.rate_hz / 1e9, tau_i)


def _alone(model: Model, learners: int) -> list[Context]:
    """The places of a run of one worker, on a board that nobody plays on."""
    alone = dataclasses.replace(model, settings=dataclasses.replace(model.settings, demonstrations=None))
    numbers = {"inference_workers": 1, "learner_workers": 1, "capacity": LEAST_CAPACITY}
    assembly = assemble(alone, one_each(1, learners), **numbers)
    board = begin_board(assembly, model.first_state(), segment.private(size(assembly.dimensions)))
    return [Context(assembly, process, board) for process in assembly.processes]


def _measured_inferences(model: Model) -> np.ndarray:
    from rtrl_jax.core import acting

    context = _alone(model, learners=0)[1]
    return acting.time_inferences(context, acting.network(context), MEASURED_INFERENCES)


def _measured_updates(model: Model) -> np.ndarray:
    from rtrl_jax.core import learning

    once, times = learning.blank_update(_alone(model, learners=1)[2]), []
    for _ in range(1 + MEASURED_UPDATES):
        began = time.monotonic_ns()
        once()
        times.append(time.monotonic_ns() - began)
    return np.array(times[1:])
