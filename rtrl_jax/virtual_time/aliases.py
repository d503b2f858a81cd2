"""What the short ways into virtual time stand for, spelled out in settings that the run then follows."""

import dataclasses
import math

from rtrl_jax.errors import UserError
from rtrl_jax.settings import Settings

WITHIN_A_TICK = 0.5  # an inference of delay D ends halfway between boundaries D − 1 and D


def spell_out(settings: Settings, rate_hz: float) -> Settings:
    """Replaces --delay and --learning_schedule by what they stand for; what is spelled out already stays as it is.

    Raises:
      UserError: something that --delay decides has been set otherwise.
    """
    tau_m_ms = 1e3 / rate_hz
    meant = {"clock": "virtual"}
    if settings.delay is not None:
        ticks, workers = settings.delay, 1
        if settings.cadence:
            ticks = 1  # what acts in the next tick is decided in this one
        elif not settings.is_sequential:
            workers = math.ceil(settings.delay / settings.action_hold)
            meant |= {"stagger": "ticket", "playout": str(settings.delay)}
        meant |= {
            "inference_latency_ms": f"{(ticks - WITHIN_A_TICK) * tau_m_ms:.6f}",
            "inference_workers": str(workers),
        }
        if settings.learns and settings.learning_schedule is None:
            meant["learning_schedule"] = f"every:{settings.learn_every}"
    for name, value in meant.items():
        given, default = getattr(settings, name), Settings.__dataclass_fields__[name].default
        if name != "clock" and str(given) != value and given != default:
            raise UserError(f"--delay={settings.delay} makes --{name} {value}: leave it out")
    settings = dataclasses.replace(settings, **meant)
    if settings.scheduled_period is not None:
        settings = _scheduled(settings, settings.scheduled_period)
    return settings


def _scheduled(settings: Settings, period: int) -> Settings:
    """One learner that takes no time, in every `period` ticks or decisions."""
    if settings.learning_latency_ms is not None and str(settings.learning_latency_ms) != "0":
        raise UserError("--learning_latency_ms is for learners that take time: --learning_schedule=asynchronous")
    if str(settings.learner_workers) not in ("0", "1", "auto"):
        raise UserError(f"--learning_schedule=every:{period} needs one learner: leave --learner_workers at 1")
    learners = "1" if settings.learner_workers == "auto" else settings.learner_workers
    return dataclasses.replace(
        settings, learner_workers=learners, learn_every=0 if settings.learn_every == 0 else period
    )
