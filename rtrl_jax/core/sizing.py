"""How many of everything a run has: N_I*, N_L*, transitions and observations kept."""

import math
from typing import NamedTuple

import numpy as np

from rtrl_jax import actions, memory, stagger
from rtrl_jax.board.layout import BRIM
from rtrl_jax.board.records import act_dtype, layouts
from rtrl_jax.core.model import Model
from rtrl_jax.environments import Spec
from rtrl_jax.errors import UserError
from rtrl_jax.settings import LEAST_CAPACITY, MOST_LEARNERS, MOST_WORKERS, Settings

PAPER_CAPACITY, SHARE_OF_MEMORY = 1_000_000, 0.25  # transitions kept, unless told otherwise
LOOKED_BACK_S = 10.0  # how far back observations are there, at a high rate
SHARE_OF_OBSERVATIONS = 1 / 64  # of memory, at most, for those beyond the fewest
EPISODE = (
    256  # acts in one, at least, that there is room for the last observation of, and for a zero frame if it has one
)
COPIES, LEARNING_COPIES = 3, 6  # of the parameters, in the supervisor at the start; in a learner
LAYERS_KEPT = 16  # a gradient keeps about so many times the width's worth of its batch
WHOLE_LEARNER = 0.05  # N_L* is not raised for less


def inference_workers_needed(settings: Settings, tau_ticks: np.ndarray) -> int:
    """N_I* for inference times in ticks (paper Remark 2), by their stagger algorithm. Raises UserError."""
    if settings.is_sequential:
        return 1
    needed = stagger.n_star(settings.stagger, tau_ticks, quantile=settings.stagger_quantile)
    if (settings.head_is_late or settings.action_hold > 1) and stagger.by_name(settings.stagger).hands_out_tickets:
        # A worker is occupied until its late head may run, in the last tick before the decision acts: for D ticks in all. And
        # where actions are held, one that is begun too late for want of a worker leaves a gap.
        playout = settings.playout_ticks
        needed = max(needed, stagger.playout_for(tau_ticks) if playout is None else playout)
    return _at_most(MOST_WORKERS, "inference_workers", math.ceil(needed / settings.action_hold))


def learners_needed(settings: Settings, tau_l_ticks: float, tau_i_ticks: float = 1.0) -> int:
    """N_L*: the least number of learners that keep up with --learn_every (paper section 5.3). Raises UserError.

    Args: tau_i_ticks: between two decisions that act, for --learn_per=decision; at least 1, which asks for the most learners.
    """
    ticks = settings.learn_every * (tau_i_ticks if settings.learn_unit == "decision" else 1.0)
    return _at_most(MOST_LEARNERS, "learner_workers", max(1, math.ceil(tau_l_ticks / ticks - WHOLE_LEARNER)))


def _at_most(most: int, flag: str, number: int) -> int:
    if number > most:
        raise UserError(f"--{flag}: times as long as these ask for {number}, and the most is {most}")
    return number


class Kept(NamedTuple):
    """How much of what was seen is on the board, by the names `assemble` has for it."""

    capacity: int  # the newest observations: for inference, the longest delay and whoever follows the run's record
    transitions: int  # decisions that acted
    kept_frames: int  # their frames


def kept(settings: Settings, spec: Spec, least_observations: int = 0, transitions: int | None = None) -> Kept:
    """What to keep: as many transitions as asked for, else all that the run can make, within the paper's million and memory.

    Args: least_observations: keep so many, whatever else. transitions: just so many, as a run had that goes on; None: choose.
    """
    each = _frames_each(settings)
    transitions = transitions or settings.replay_capacity or _default_transitions(settings, spec, each)
    frames = (
        transitions * each + _frames_besides(settings, transitions, each) + BRIM + 2 * (1 + settings.stacking.reach)
    )
    return Kept(max(least_observations, _observations(settings, spec)), transitions, frames)


def _frames_each(settings: Settings) -> int:
    """Frames that a transition brings with it which no other has: one, if decisions act in nearly every tick.

    An agent that blocks itself acts every so many ticks, so stacks of a few frames have none in common.
    """
    cadence = settings.cadence
    period = cadence.period if cadence else settings.delay
    if settings.action_hold > 1:
        period = settings.action_hold + (settings.delay - 1 if settings.is_sequential and settings.delay else 0)
    depth, stride = settings.stacking
    seldom = settings.is_sequential or settings.action_hold > 1
    if settings.reflex:  # keeps that of every tick
        return max(1, period or 1)
    apart = min(depth, period // math.gcd(period, stride) if period else depth) if seldom else 1
    leads_elsewhere = "next_obs" in settings.departures  # to another observation than the next act goes on from
    # Which a later one does go on from, and it is kept in that order, if all begin at the same zero frame.
    comes_up = cadence and cadence.zero_frames and (cadence.lag - 1) % cadence.period == 0
    if not leads_elsewhere or comes_up:
        return apart
    # Both go back in strides, each asking for what the other has left behind.
    return 2 * (depth if stride > 1 else apart)


def _frames_besides(settings: Settings, transitions: int, each: int) -> int:
    """What episodes take, and what is held from the act that leads to it until the one that goes on from it."""
    cadence = settings.cadence
    if cadence is None or not cadence.zero_frames:
        return transitions // EPISODE
    return 2 * transitions // EPISODE + cadence.lag // cadence.period * each


def _ticks(settings: Settings, spec: Spec) -> int | None:
    """How many the run can take; None if only its episodes end it."""
    ends = [settings.max_ticks, settings.duration_s and math.ceil(settings.duration_s * spec.rate_hz)]
    return min((end for end in ends if end is not None), default=None)


def _frame_bytes(spec: Spec) -> int:
    return math.prod(spec.observation_shape) * np.dtype(spec.observation_dtype).itemsize


def _act_bytes(settings: Settings, spec: Spec) -> int:
    return act_dtype(settings.frame_stack, settings.told, settings.reflex, actions.layout(spec.actions)).itemsize


def _tick_bytes(spec: Spec) -> int:
    """Of an observation and its record."""
    return _frame_bytes(spec) + layouts(actions.layout(spec.actions)).tick.itemsize


def _default_transitions(settings: Settings, spec: Spec, each: int) -> int:
    a_transition = each * _frame_bytes(spec) + _act_bytes(settings, spec)
    most = min(PAPER_CAPACITY, int(memory.total() * SHARE_OF_MEMORY / a_transition))
    run = _ticks(settings, spec)
    return max(LEAST_CAPACITY, 2 * settings.learn_start, most if run is None else min(run + BRIM, most))


def _observations(settings: Settings, spec: Spec) -> int:
    most = int(memory.total() * SHARE_OF_OBSERVATIONS / _tick_bytes(spec))
    looked_back = min(math.ceil(LOOKED_BACK_S * spec.rate_hz), most, (_ticks(settings, spec) or most) + BRIM)
    return max(LEAST_CAPACITY, looked_back, 2 * (settings.playout_ticks or 0), 2 * settings.stacking.reach)


def needed(model: Model) -> int:
    """Bytes that computing with the network takes, about: its copies and, if it learns, its updates."""
    settings, parameters = model.settings, 4 * model.parameter_count
    learners = max(1, settings.learner_count or 1)
    batch = 4 * math.prod(model.observation_shape) * settings.batch_size * LAYERS_KEPT * max(1.0, model.width)
    if settings.learning == "parallel":  # one learner, with batches so many times as large
        learning = LEARNING_COPIES * parameters + learners * batch
    else:
        learning = learners * (LEARNING_COPIES * parameters + batch)
    return int(COPIES * parameters + (learning if settings.learns else 0))


def kept_bytes(settings: Settings, spec: Spec) -> int:
    """Bytes that what is kept comes to once all of it is there."""
    has = kept(settings, spec)
    frames = has.kept_frames * _frame_bytes(spec) + has.transitions * _act_bytes(settings, spec)
    return frames + has.capacity * _tick_bytes(spec)


def check_room(model: Model) -> None:
    """Before anything is allocated: raises UserError if the network, or an update of it, is too large for this machine."""
    settings, room, takes = model.settings, memory.available(), needed(model)
    if takes > room:
        raise UserError(
            f"{model.parameter_count:,} parameters and batches of {settings.batch_size} observations of "
            f"{math.prod(model.observation_shape):,} numbers take about {takes / 2**30:.0f} GiB, "
            f"and {room / 2**30:.0f} are free: lower --width or --parameters, --batch_size, --frame_stack or --learner_workers"
        )
