"""Sizing a run in virtual time: how many workers and learners, from the times that their computations are charged."""

import dataclasses
import math

import numpy as np

from rtrl_jax import latency
from rtrl_jax.drivers import charges, measure, prepare
from rtrl_jax.drivers.assembly import Assembly, assemble
from rtrl_jax.errors import UserError
from rtrl_jax.settings import MOST_LEARNERS, MOST_WORKERS, Settings
from rtrl_jax.telemetry.terminal import Display

SAMPLES = 2000  # inference times that N is chosen by
MOST_KEPT = 2_000_000  # observations


def read_traces(settings: Settings) -> dict[str, charges.Trace]:
    """The recorded runs whose times are replayed, by the flag that names them."""
    traces = {}
    for flag in ("inference_latency_ms", "learning_latency_ms"):
        text = str(getattr(settings, flag) or "")
        if text.startswith(latency.TRACE) and (settings.learns or flag == "inference_latency_ms"):
            traces[flag] = charges.read_trace(text, flag)
    return traces


def put_together(settings: Settings, spec, network: str, width: float, training, traces, display: Display) -> Assembly:
    """Every worker has a place on the board of its own; the sequential agent has the one of inference worker 0."""
    if settings.interaction != "async":
        workers = 1
    elif str(settings.inference_workers) != "auto":
        workers = int(settings.inference_workers)
    elif str(settings.inference_latency_ms) == latency.MEASURED:
        display.waiting("Measuring the inference time …")
        workers = measure.enough_workers(settings, spec, network, width, training)
    else:
        sample, _ = stated_inference(settings, traces, lambda worker: None)
        tau_ns = sample(np.random.default_rng(settings.seed), SAMPLES)
        workers = prepare.n_star(settings, np.maximum(tau_ns, 1) * spec.rate_hz / 1e9)
    if settings.accounting == "reference":
        workers = 2 * settings.delay + 2  # those of the episode before are busy for as long again
        _check_reference(settings)
    learners = _how_many_learn(settings, traces, spec, network, width, training)
    check_number("inference_workers", workers, MOST_WORKERS)
    check_number("learner_workers", learners, MOST_LEARNERS)
    alone = dataclasses.replace(settings, interaction="async", workers_per_process=1, device="cpu")
    least = 3 * settings.delay**2 if settings.accounting == "reference" else 0
    assembly = assemble(
        alone,
        spec,
        network,
        width,
        training,
        fast=prepare.choose_plan(settings, spec, network, width),
        inference_workers=workers,
        learner_workers=learners,
        capacity=max(prepare.capacity(settings, spec), least),
    )
    return dataclasses.replace(assembly, settings=settings)


def _check_reference(settings: Settings) -> None:
    if settings.interaction == "sequential_learn_first":
        raise UserError(
            "--accounting=reference is of --interaction=sequential: the order of learning makes no difference"
        )
    if 3 * settings.delay**2 > MOST_KEPT:
        raise UserError(
            f"--accounting=reference keeps three times --delay², {3 * settings.delay**2} observations: give a smaller --delay"
        )


def check_number(flag: str, number: int, most: int) -> None:
    """Raises UserError if --flag=auto asks for more than there can be."""
    if number > most:
        raise UserError(f"--{flag}: times as long as these ask for {number}, and the most is {most}")


def _how_many_learn(settings: Settings, traces, spec, network: str, width: float, training) -> int:
    """N_L, or N_L* of the time that an update is charged."""
    if not settings.learns:
        return 0
    if str(settings.learner_workers) != "auto":
        return int(settings.learner_workers)
    flag = "learning_latency_ms"
    text = str(settings.learning_latency_ms or 0)
    if settings.interaction != "async":
        return 1
    if text == latency.MEASURED:
        return measure.enough_learners(settings, spec, network, width, training)
    if flag in traces:
        took_ns = np.concatenate(traces[flag].gradients or [np.zeros(1)])
    else:
        rng = np.random.default_rng(settings.seed)
        draw = charges.drawn_learning(text, flag, lambda learner: rng)
        took_ns = np.array([draw(0)[0] for _ in range(SAMPLES)])
    each = took_ns.mean() * spec.rate_hz / 1e9 / settings.learn_every
    return max(1, math.ceil(each - prepare.WHOLE_TICK))


def stated_inference(settings: Settings, traces, generator):
    """(sample, inference) of `Charges`, unless they are to be measured."""
    flag = "inference_latency_ms"
    if flag in traces:
        return charges.traced_inference(traces[flag])
    return charges.drawn_inference(str(settings.inference_latency_ms or 0), flag, generator)
