"""How many of everything a run has: N_I*, N_L*, observations kept."""

import math

import numpy as np

from rtrl_jax import memory, stagger
from rtrl_jax.board.records import TICK
from rtrl_jax.core.model import Model
from rtrl_jax.environments import Spec
from rtrl_jax.errors import UserError
from rtrl_jax.settings import LEAST_CAPACITY, MOST_LEARNERS, MOST_WORKERS, Settings

PAPER_CAPACITY, SHARE_OF_MEMORY = 1_000_000, 0.25  # observations kept, unless told otherwise
BRIM = 64  # a ring is never read at its brim
COPIES, LEARNING_COPIES = 3, 6  # of the parameters, in the supervisor at the start; in a learner
LAYERS_KEPT = 16  # a gradient keeps about so many times the width's worth of its batch
WHOLE_LEARNER = 0.05  # N_L* is not raised for less


def inference_workers_needed(settings: Settings, tau_ticks: np.ndarray) -> int:
    """N_I* for inference times in ticks (paper Remark 2), by their stagger algorithm. Raises UserError."""
    if settings.is_sequential:
        return 1
    needed = stagger.n_star(settings.stagger, tau_ticks, quantile=settings.stagger_quantile)
    return _at_most(MOST_WORKERS, "inference_workers", needed)


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


def capacity(settings: Settings, spec: Spec) -> int:
    """Observations to keep: what was asked for, else all that the run can make, within the paper's million and memory."""
    if settings.replay_capacity is not None:
        return settings.replay_capacity
    a_tick = math.prod(spec.observation_shape) * np.dtype(spec.observation_dtype).itemsize + TICK.itemsize
    most = min(PAPER_CAPACITY, int(memory.total() * SHARE_OF_MEMORY / a_tick))
    ends = [settings.max_ticks, settings.duration_s and math.ceil(settings.duration_s * spec.rate_hz)]
    run = min((end for end in ends if end is not None), default=most)
    least = max(LEAST_CAPACITY, 2 * settings.learn_start, 2 * (settings.playout_ticks or 0))
    return max(least, min(run + BRIM, most))


def check_room(model: Model) -> None:
    """Before anything is allocated: raises UserError if the network, or an update of it, is too large for this machine."""
    settings, room = model.settings, memory.available()
    parameters = 4 * model.parameter_count
    learners = max(1, settings.learner_count or 1)
    batch = 4 * math.prod(model.observation_shape) * settings.batch_size * LAYERS_KEPT * max(1.0, model.width)
    if settings.learning == "parallel":  # one learner, with batches so many times as large
        learning = LEARNING_COPIES * parameters + learners * batch
    else:
        learning = learners * (LEARNING_COPIES * parameters + batch)
    needed = COPIES * parameters + (learning if settings.learns else 0)
    if needed > room:
        raise UserError(
            f"{model.parameter_count:,} parameters and batches of {settings.batch_size} observations of "
            f"{math.prod(model.observation_shape):,} numbers take about {needed / 2**30:.0f} GiB, "
            f"and {room / 2**30:.0f} are free: lower --width or --parameters, --batch_size, --frame_stack or --learner_workers"
        )
