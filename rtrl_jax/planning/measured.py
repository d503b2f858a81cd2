"""Planning for this machine: looks at the environment, measures (or takes, or extrapolates) τ_θ and τ_L, lays out memory."""

import dataclasses
import math
import os
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import numpy as np

from rtrl_jax import memory
from rtrl_jax.board.layout import OPTIMISER_SLOTS, TARGET_SLOTS, size
from rtrl_jax.cluster import network
from rtrl_jax.cluster.joining import Cluster, not_installed
from rtrl_jax.core import model as models
from rtrl_jax.core import preparation, sizing
from rtrl_jax.core.assembly import assemble, by_cores
from rtrl_jax.core.model import Model
from rtrl_jax.environments import Spec
from rtrl_jax.errors import UserError
from rtrl_jax.planning import planner
from rtrl_jax.planning.expected import inaction_and_delays
from rtrl_jax.planning.planner import Facts, Timing
from rtrl_jax.planning.settings import Planning
from rtrl_jax.realtime import measure
from rtrl_jax.settings import MOST_LEARNERS, MOST_WORKERS, Settings

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

    model: Model
    count: int  # parameters
    flops: float  # of an inference


class Cost(NamedTuple):
    timing: Timing
    own_bytes: float  # of the process
    own_how: str


def make(planning: Planning, say=lambda line: None, cluster: Cluster | None = None) -> dict:
    """Measures and plans.

    Args:
      say: told what is going on, a line at a time.
      cluster: whose cores count too; the time of its slowest network is added to each inference.

    Raises:
      UserError: there is no such environment, or no such network for it.
    """
    settings = planning.run_settings()
    spec = preparation.probe(settings)
    this = size_of(models.choose(settings, spec))
    chosen = this.model.settings
    asked, planning = planning, dataclasses.replace(planning, agent=chosen.agent, batch_size=chosen.batch_size)
    inference = _inference(planning, this, say)
    update = _update(planning, this, inference, say) if planning.learn_every else None
    machines = []
    if cluster is not None:
        machines = _machines(cluster, spec, say)
        planning = dataclasses.replace(planning, cores=planning.core_count + sum(one["cores"] for one in machines))
        inference = inference._replace(timing=_with_network(inference.timing, machines))
    facts = Facts(
        spec.rate_hz,
        inference.timing,
        update.timing if update else None,
        planning.learn_every,
        planning.core_count,
        planning.p_minimax,
        settings.learn_unit,
    )
    say("Simulating …")
    expect = lru_cache(lambda way, workers, _: inaction_and_delays(way, workers, facts.tau_ticks))
    memory = partial(_memory, this, inference, update)
    plan = planner.plan(facts, lambda way, workers, tau: expect(way, workers, len(tau)), memory)
    for way, figures in plan["ways"].items():
        figures["flags"] = flags(asked, spec, way, figures["given_cores"])
    plan["layout"] = layout(settings, planning.core_count, plan["ways"]["ticket"]["given_cores"])
    plan["obtained"]["memory"] = (
        "computed from the board's layout; processes: inference "
        f"{inference.own_how}" + (f", learner {update.own_how}" if update else "") + ", others stated"
    )
    return {
        "environment": planning.environment,
        "network": {
            "name": this.model.network,
            "width": this.model.width,
            "parameters": this.count,
            "flop": this.flops,
        },
        "agent": planning.agent,
        "batch_size": planning.batch_size,
        **plan,
        **({"machines": machines} if cluster is not None else {}),
        "command": " ".join(["python launch/run.py", *plan["ways"]["ticket"]["flags"]]),
    }


def _machines(cluster: Cluster, spec: Spec, say) -> list[dict]:
    """The others of a cluster, and how long an observation takes there and an answer back. Raises UserError."""
    size, found = math.prod(spec.observation_shape) * np.dtype(spec.observation_dtype).itemsize, []
    for machine in cluster.others:
        say(f"Measuring the network to {machine} …")
        try:
            trips = network.round_trips(cluster, machine, size)
        except cluster.gone as error:
            if missing := not_installed(error):
                raise UserError(f"machine {machine}: {missing}; install the same on all") from None
            say(f"Machine {machine} is lost, and not counted.")
            continue
        if trips is None:
            raise UserError(
                f"machine {machine} does not reach {cluster.here.address}: open its ports, or leave out --cluster"
            )
        p50, p99 = np.quantile(trips, (0.5, 0.99)).tolist()
        found.append(
            {"machine": machine.name, "cores": machine.cores, "round_trip_p50_ms": p50, "round_trip_p99_ms": p99}
        )
    return found


def _with_network(timing: Timing, machines: list[dict]) -> Timing:
    """Inference as workers on the slowest to reach of these have it: a ticket's worker is occupied until its answer is there."""
    slowest = max((machine["round_trip_p50_ms"] for machine in machines), default=0.0)
    return timing._replace(ms=timing.ms + slowest, note=f"{timing.note}, and {slowest:.2f} ms of network")


def flags(planning: Planning, spec: Spec, way: str, figures: dict) -> list[str]:
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
        if planning.cluster_address is not None:
            chosen.append(f"--cluster={planning.cluster}")
        if planning.inference_ms is not None and workers > 1:
            chosen.append(f"--workers_per_process={workers}")
    if planning.inference_ms is not None:
        chosen.append(f"--emulated_inference_ms={planning.inference_ms}")
    chosen.append(f"--learner_workers={learners}")
    if learners:
        chosen.append(f"--learn_every={planning.learn_every}")
        if planning.learn_per != Settings.learn_per:
            chosen.append(f"--learn_per={planning.learn_per}")
    here = sorted(os.sched_getaffinity(0))
    if planning.core_count < len(here):
        chosen.append(f"--cores={','.join(map(str, here[: planning.core_count]))}")
    return chosen


def layout(settings: Settings, core_count: int, figures: dict) -> dict[int, list[str]] | None:
    """Who would run on which of this machine's cores, by number; None if the plan is for more than it has."""
    cores = settings.core_list()[:core_count]
    if core_count > len(cores):
        return None
    here = dataclasses.replace(settings, cores=",".join(map(str, cores)))
    found: dict[int, list[str]] = {core: [] for core in cores}
    for process in by_cores(here, figures["inference_workers"], figures["learners"]):
        found[process.core].append(process.name)
    return found


def size_of(model: Model) -> Size:
    """Computes nothing but shapes; the work is XLA's own count for an inference."""
    one = jax.ShapeDtypeStruct((1, *model.observation_shape), model.spec.observation_dtype)
    keys = {"noise": jax.random.key(0)}
    apply = jax.jit(lambda p, x: model.module.apply({"params": p}, x, rngs=keys))
    return Size(model, model.parameter_count, float(apply.lower(model.shapes, one).cost_analysis()["flops"]))


def _in_width(model: Model, width: float) -> Size:
    return size_of(models.planned(models.with_width(model, width)))


def _inference(planning: Planning, this: Size, say) -> Cost:
    if planning.inference_ms is not None:
        own = ASSUMED_OWN["inference"] + 4 * this.count
        return Cost(
            Timing(planning.draws(DRAWS), "taken", f"from --inference_ms={planning.inference_ms}"), own, "stated"
        )
    fits = 4 * 4 * this.count < _room()
    if this.count <= LARGEST and fits:
        return _measured(measure.inferences, this, "an inference", say)
    large = this.count > LARGEST
    reason = f"above {LARGEST / 1e6:g} M parameters" if large else "too large for the memory free here"
    rungs = ladder(this, partial(_in_width, this.model), *INFERENCE_RUNG, INFERENCE_RUNGS)
    return _extrapolated(measure.inferences, this, rungs, reason, "an inference", say)


def _update(planning: Planning, this: Size, inference: Cost, say) -> Cost:
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
        return _measured(measure.updates, this, "an update", say)
    work, count = UPDATE_RUNG
    rungs = ladder(this, partial(_in_width, this.model), work / planning.batch_size, count, UPDATE_RUNGS)
    return _extrapolated(measure.updates, this, rungs, reason, "an update", say)


def ladder(this: Size, sizes, most_flops: float, most_parameters: float, rungs: int) -> list[Size]:
    """Smaller sizes of the same network, largest first. Work and parameters go with the square of the width.

    Args: sizes: width -> Size.
    """
    share = min(most_flops / this.flops, most_parameters / this.count, 1 / STEP)
    widths = [this.model.width * math.sqrt(share / STEP**rung) for rung in range(rungs)]
    smaller = {size.count: size for size in (sizes(max(1 / 16, round(width * 16) / 16)) for width in widths)}
    if len(smaller) < 2:
        raise UserError(
            "the network is too large to be measured here and too small to extrapolate to: free some memory"
        )
    return list(smaller.values())


def _measured(take, this: Size, what: str, say) -> Cost:
    say(f"Measuring {what} of the network with {this.count:,} parameters …")
    sample = take(this.model)
    note = f"{len(sample.tau_ns)} on this machine, after warm-up"
    return Cost(Timing(sample.tau_ns / 1e6, "measured", note), sample.own_bytes, "measured")


def _extrapolated(take, this: Size, rungs: list[Size], reason: str, what: str, say) -> Cost:
    costs = [_measured(take, rung, what, say) for rung in rungs]
    medians = [float(np.median(cost.timing.ms)) for cost in costs]
    law = planner.power_law([(rung.flops, median) for rung, median in zip(rungs, medians, strict=True)])
    # Its distribution is the largest measured size's, scaled.
    ms = costs[0].timing.ms / medians[0] * law.at(this.flops)
    own = planner.line([(rung.count, cost.own_bytes) for rung, cost in zip(rungs, costs, strict=True)], this.count)
    return Cost(Timing(ms, "extrapolated", f"{reason}; {law}"), own, "extrapolated")


def _room() -> float:
    return SHARE_OF_FREE_MEMORY * memory.available()


def _memory(this: Size, inference: Cost, update: Cost | None, way: str, workers: int, learners: int) -> dict:
    """Bytes of a long run: what is on the board, once for all processes, and what each process has of its own."""
    sequential = way == "sequential"
    settings = dataclasses.replace(
        this.model.settings, interaction="sequential" if sequential else "async", learner_workers=str(learners)
    )
    model = dataclasses.replace(this.model, settings=settings)
    kept = sizing.kept(settings, model.spec)
    numbers = {"inference_workers": workers, "learner_workers": learners, **kept._asdict()}
    board = assemble(model, by_cores(settings, workers, learners), **numbers).dimensions
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
        "target": TARGET_SLOTS * (board.snapshot_bytes - board.prepared_bytes) if learners else 0,
        "optimiser": OPTIMISER_SLOTS * board.optimiser_bytes,
        "replay": size(board) - size(dataclasses.replace(board, transitions=0, kept_frames=0, priority_nodes=0)),
    }
    rest = size(board) - sum(on_board.values())
    parts = {name: round(value) for name, value in {**on_board, "rest_of_board": rest, **own}.items()}
    return {
        **parts,
        "total": sum(parts.values()),
        "transitions_kept": kept.transitions,
        "parameter_slots": board.snapshot_slots,
    }
