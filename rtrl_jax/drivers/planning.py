"""Planning for this machine: looks at the environment, measures (or takes, or extrapolates) τ_θ and τ_L, lays out memory."""

import dataclasses
import math
import os
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import numpy as np
import psutil

from rtrl_jax import environments, networks, planner
from rtrl_jax.agents import parts
from rtrl_jax.agents.agent import make_optimiser
from rtrl_jax.board.layout import OPTIMISER_SLOTS, TARGET_SLOTS, size
from rtrl_jax.drivers import measure, prepare
from rtrl_jax.drivers.assembly import assemble
from rtrl_jax.errors import UserError
from rtrl_jax.networks import parameters
from rtrl_jax.planner import Facts, Timing
from rtrl_jax.planner_settings import Planning
from rtrl_jax.settings import MOST_LEARNERS, MOST_WORKERS, Settings
from rtrl_jax.studies.expected import inaction_and_delays

LARGEST = 300e6  # parameters of a network that is measured itself
LONGEST_UPDATE_S = 60.0  # likewise
UPDATE_IN_INFERENCES = 6  # an update of one transition takes about as long as so many inferences
COPIES = 16  # of the parameters while an update is measured: slots, targets, optimisers, gradient, results
SHARE_OF_FREE_MEMORY = 0.6
DRAWS = 4096  # of a stated inference time
# Sizes from which is extrapolated: the largest has so much work, the others a third, a ninth and so on.
INFERENCE_RUNG, INFERENCE_RUNGS = (50e9, 100e6), 4  # floating-point operations and parameters
UPDATE_RUNG, UPDATE_RUNGS = (300e9, 40e6), 3  # operations of the batch's inferences
STEP = 3.0
OTHER_PROCESSES = 400 << 20  # the environment's and the supervisor's, together
ASSUMED_OWN = {"inference": 200 << 20, "learner": 300 << 20}  # without the parameters, where nothing was measured
LEARNER_COPIES = 6  # gradient, parameters, two of Adam's, target, and room for one more


class Size(NamedTuple):
    """A network of some width."""

    width: float
    tree: object  # of parameter shapes
    count: int
    flops: float  # of an inference


class Cost(NamedTuple):
    timing: Timing
    own_bytes: float  # of the process
    own_how: str


def make(planning: Planning, say=lambda line: None) -> dict:
    """Measures and plans. Args: say: told what is going on, a line at a time.

    Raises:
      UserError: there is no such environment, or no such network for it.
    """
    settings = planning.run_settings()
    spec = prepare.look_at(settings)
    network, width, tree = prepare.size_network(settings, spec)
    sizes = partial(size_of, settings, spec, network)
    this = Size(width, tree, parameters.count(tree), sizes(width).flops)
    inference = _inference(planning, settings, spec, network, this, sizes, say)
    update = _update(planning, settings, spec, network, this, sizes, inference, say) if planning.learn_every else None
    facts = Facts(
        spec.rate_hz,
        inference.timing,
        update.timing if update else None,
        planning.learn_every,
        planning.core_count,
        planning.p_minimax,
    )
    say("Simulating …")
    expect = lru_cache(lambda way, workers, _: inaction_and_delays(way, workers, facts.tau_ticks))
    memory = partial(_memory, settings, spec, network, this, inference, update)
    plan = planner.plan(facts, lambda way, workers, tau: expect(way, workers, len(tau)), memory)
    for way, figures in plan["ways"].items():
        figures["flags"] = flags(planning, spec, way, figures["given_cores"])
    plan["obtained"]["memory"] = (
        "computed from the board's layout; processes: inference "
        f"{inference.own_how}" + (f", learner {update.own_how}" if update else "") + ", others stated"
    )
    return {
        "environment": planning.environment,
        "network": {"name": network, "width": width, "parameters": this.count, "flop": this.flops},
        "agent": planning.agent,
        "batch_size": planning.batch_size,
        **plan,
        "command": " ".join(["python launch/run.py", *plan["ways"]["ticket"]["flags"]]),
    }


def flags(planning: Planning, spec: environments.Spec, way: str, figures: dict) -> list[str]:
    """Of launch/run.py, for a run as planned on the cores given."""
    chosen = [f"--environment={planning.environment}"]
    for name in ["rate_hz", "network", "width", "parameters", "frame_stack", "agent", "batch_size", "inference_dtype"]:
        value = getattr(planning, name)
        if value != getattr(Settings, name):
            chosen.append(f"--{name}={value}")
    learners = min(figures["learners"], MOST_LEARNERS)
    if way == "sequential":
        chosen.append("--interaction=sequential")
    else:
        workers = min(figures["inference_workers"], MOST_WORKERS)
        chosen += [f"--inference_workers={workers}", f"--stagger={way}"]
        if planning.inference_ms is not None and workers > 1:
            chosen.append(f"--workers_per_process={workers}")
    if planning.inference_ms is not None:
        chosen.append(f"--emulated_inference_ms={planning.inference_ms}")
    chosen.append(f"--learner_workers={learners}")
    if learners:
        chosen.append(f"--learn_every={planning.learn_every}")
    here = sorted(os.sched_getaffinity(0))
    if planning.core_count < len(here):
        chosen.append(f"--cores={','.join(map(str, here[: planning.core_count]))}")
    return chosen


def size_of(settings: Settings, spec: environments.Spec, network: str, width: float) -> Size:
    """Computes nothing but shapes; the work is XLA's own count for an inference."""
    module = networks.build(network, spec.actions, width, parts.choose(settings).heads())
    *shape, channels = spec.observation_shape
    observation = ((*shape, channels * settings.frame_stack), spec.observation_dtype)
    tree = parameters.shapes(module, *observation)
    one = jax.ShapeDtypeStruct((1, *observation[0]), observation[1])
    keys = {"noise": jax.random.key(0)}
    cost = jax.jit(lambda p, x: module.apply({"params": p}, x, rngs=keys)).lower(tree, one).cost_analysis()
    return Size(width, tree, parameters.count(tree), float(cost["flops"]))


def _inference(planning, settings, spec, network, this: Size, sizes, say) -> Cost:
    if planning.inference_ms is not None:
        own = ASSUMED_OWN["inference"] + 4 * this.count
        return Cost(
            Timing(planning.draws(DRAWS), "taken", f"from --inference_ms={planning.inference_ms}"), own, "stated"
        )
    fits = 4 * 4 * this.count < _room()
    if this.count <= LARGEST and fits:
        return _measured(measure.inferences, settings, spec, network, this, "an inference", say)
    large = this.count > LARGEST
    reason = f"above {LARGEST / 1e6:g} M parameters" if large else "too large for the memory free here"
    rungs = ladder(this, sizes, *INFERENCE_RUNG, INFERENCE_RUNGS)
    return _extrapolated(measure.inferences, settings, spec, network, this, rungs, reason, "an inference", say)


def _update(planning, settings, spec, network, this: Size, sizes, inference: Cost, say) -> Cost:
    if planning.update_ms is not None:
        own = ASSUMED_OWN["learner"] + 4 * LEARNER_COPIES * this.count
        return Cost(Timing(np.array([planning.update_ms]), "taken", "from --update_ms"), own, "stated")
    # A stated inference time may be another machine's: this one's own speed is told by the work then.
    tau_s = np.median(inference.timing.ms) / 1e3 if planning.inference_ms is None else this.flops / 100e9
    guess_s = UPDATE_IN_INFERENCES * planning.batch_size * tau_s
    reason = None
    if this.count > LARGEST:
        reason = f"above {LARGEST / 1e6:g} M parameters"
    elif guess_s > LONGEST_UPDATE_S:
        reason = f"it would take about {guess_s:.0f} s"
    elif 4 * COPIES * this.count > _room():
        reason = "too large for the memory free here"
    if reason is None:
        return _measured(measure.updates, settings, spec, network, this, "an update", say)
    work, count = UPDATE_RUNG
    rungs = ladder(this, sizes, work / planning.batch_size, count, UPDATE_RUNGS)
    return _extrapolated(measure.updates, settings, spec, network, this, rungs, reason, "an update", say)


def ladder(this: Size, sizes, most_flops: float, most_parameters: float, rungs: int) -> list[Size]:
    """Smaller sizes of the same network, largest first. Work and parameters go with the square of the width.

    Args: sizes: width -> Size.
    """
    share = min(most_flops / this.flops, most_parameters / this.count, 1 / STEP)
    widths = [this.width * math.sqrt(share / STEP**rung) for rung in range(rungs)]
    smaller = {size.count: size for size in (sizes(max(1 / 16, round(width * 16) / 16)) for width in widths)}
    if len(smaller) < 2:
        raise UserError(
            "the network is too large to be measured here and too small to extrapolate to: free some memory"
        )
    return list(smaller.values())


def _measured(take, settings, spec, network, this: Size, what: str, say) -> Cost:
    say(f"Measuring {what} of the network with {this.count:,} parameters …")
    sample = take(settings, spec, network, this.width, prepare.first_state(settings, spec, this.tree))
    note = f"{len(sample.tau_ns)} on this machine, after warm-up"
    return Cost(Timing(sample.tau_ns / 1e6, "measured", note), sample.own_bytes, "measured")


def _extrapolated(take, settings, spec, network, this: Size, rungs, reason: str, what: str, say) -> Cost:
    costs = [_measured(take, settings, spec, network, rung, what, say) for rung in rungs]
    medians = [float(np.median(cost.timing.ms)) for cost in costs]
    law = planner.power_law([(rung.flops, median) for rung, median in zip(rungs, medians, strict=True)])
    # Its distribution is the largest measured size's, scaled.
    ms = costs[0].timing.ms / medians[0] * law.at(this.flops)
    own = planner.line([(rung.count, cost.own_bytes) for rung, cost in zip(rungs, costs, strict=True)], this.count)
    return Cost(Timing(ms, "extrapolated", f"{reason}; {law}"), own, "extrapolated")


def _room() -> float:
    return SHARE_OF_FREE_MEMORY * psutil.virtual_memory().available


def _memory(settings, spec, network, this: Size, inference: Cost, update: Cost | None, way, workers, learners) -> dict:
    """Bytes of a long run: what is on the board, once for all processes, and what each process has of its own."""
    sequential = way == "sequential"
    settings = dataclasses.replace(
        settings, interaction="sequential" if sequential else "async", learner_workers=str(learners)
    )
    shapes = jax.tree.leaves(this.tree)
    state = jax.tree.leaves(jax.eval_shape(make_optimiser(1e-3, settings.gradient_clip).init, this.tree))
    capacity = prepare.capacity(settings, spec)
    numbers = {"inference_workers": workers, "learner_workers": learners, "capacity": capacity}
    board = assemble(
        settings,
        spec,
        network,
        this.width,
        (shapes, state),
        fast=prepare.choose_plan(settings, spec, network, this.width),
        **numbers,
    ).dimensions
    own_update = update.own_bytes if learners else 0.0
    agent = max(inference.own_bytes, own_update)
    own = {
        "inference_processes": 0 if sequential else workers * inference.own_bytes,
        "learner_processes": 0 if sequential else learners * own_update,
        "agent_process": agent if sequential else 0,
        "other_processes": OTHER_PROCESSES,
    }
    on_board = {
        "parameters": board.snapshot_slots * board.snapshot_bytes,
        "target": TARGET_SLOTS * board.snapshot_bytes if learners else 0,
        "optimiser": OPTIMISER_SLOTS * board.optimiser_bytes,
        "replay": size(board) - size(dataclasses.replace(board, capacity=0, priority_nodes=0)),
    }
    rest = size(board) - sum(on_board.values())
    parts = {name: round(value) for name, value in {**on_board, "rest_of_board": rest, **own}.items()}
    return {
        **parts,
        "total": sum(parts.values()),
        "observations_kept": capacity,
        "parameter_slots": board.snapshot_slots,
    }
