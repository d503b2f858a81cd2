"""The timing that a checkpoint is evaluated with: that of its run, unless a flag says otherwise, and then that is said aloud."""

import dataclasses
import math
import pathlib
import zipfile
import zlib
from typing import NamedTuple

from rtrl_jax import stagger
from rtrl_jax.checkpoints import store
from rtrl_jax.core.accelerator import IN_PLACE
from rtrl_jax.environments import saving
from rtrl_jax.evaluation.settings import ROUNDING, Evaluation
from rtrl_jax.settings import Settings
from rtrl_jax.telemetry.recorder import read_back

ANSWERS = 1000  # of the network, the last before the checkpoint, whose delay counts


class Timing(NamedTuple):
    """How a run acted."""

    delay: int | None  # in ticks; None: it is not known
    source: str  # where that is known from, if it was measured; "" if the run was told
    inaction: str  # as --inaction
    default_action: str  # as --default_action
    epsilon: float  # what its exploration ends with; 0 for a noisy agent that was told nothing else
    action_every: int = 1  # ticks that a decision acted for


def settings_of(manifest: dict) -> Settings:
    """Of the run, but that what it computed on an accelerator is computed here."""
    return dataclasses.replace(Settings(**manifest["settings"]), device=IN_PLACE)


def of_run(checkpoint: pathlib.Path, manifest: dict) -> Timing:
    """Args: checkpoint: its folder, or its run's."""
    settings = settings_of(manifest)
    delay, source = _delay(store.find(checkpoint), settings, manifest["tick"])
    inaction = "sequential" if settings.is_sequential else "async"
    return Timing(delay, source, inaction, settings.default_action, settings.epsilons[1], settings.action_hold)


def _delay(checkpoint: pathlib.Path, settings: Settings, tick: int) -> tuple[int | None, str]:
    """In ticks, and where it is known from."""
    if settings.cadence:
        return settings.cadence.lag, _unlike(settings)
    if settings.delay is not None:
        return settings.delay, ""
    tickets = not settings.is_sequential and stagger.by_name(settings.stagger).hands_out_tickets
    if tickets and settings.playout_ticks:
        return settings.playout_ticks, ""
    if tickets and settings.playout_ticks is None and (playout := _playout(checkpoint)):
        return playout, "its playout at the checkpoint"
    if mean := _mean_delay(checkpoint.absolute().parent.parent, tick):
        return max(
            1, math.ceil(mean - ROUNDING)
        ), f"its network's actions came {mean:.2f} ticks late on average, rounded up"
    return None, ""


def _unlike(settings: Settings) -> str:
    """What of the run's --accounting an evaluation of the same delay does not have."""
    period, lag, zero_frames = settings.cadence
    others = ["no zero frames"] if zero_frames else []
    if settings.is_sequential and period != lag:
        others.append(f"an action in every {lag} ticks, not {period}")
    return f"evaluation differs from --accounting={settings.accounting}: {'; '.join(others)}" if others else ""


def _playout(checkpoint: pathlib.Path) -> int | None:
    try:
        ticket = saving.decode((checkpoint / "environment").read_bytes())["ticket"]
        return int(ticket["playout"]) or None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _mean_delay(run: pathlib.Path, tick: int) -> float | None:
    """Of the last actions of its network until that tick, by its records; exploratory ones take no time."""
    try:
        rows = read_back(run)["decisions"]
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile, zlib.error):
        return None
    acted = rows[rows["decision"]["greedy"] & (rows["apply_tick"] >= 0) & (rows["apply_tick"] <= tick)][-ANSWERS:]
    return float((acted["apply_tick"] - acted["decision"]["obs_tick"]).mean()) if len(acted) else None


def resolved(settings: Evaluation, run: Timing | None) -> Evaluation:
    """With every value that was left to the run, or to what stands in where there is none."""
    if run is None:
        run = Timing(None, "", "async", "noop", 1.0)
    own = settings.delay is not None or settings.inference_ms is not None
    return dataclasses.replace(
        settings,
        delay=settings.delay if own else run.delay or 1,
        inaction=settings.inaction or run.inaction,
        default_action=settings.default_action or run.default_action,
        action_every=settings.action_every or run.action_every,
        epsilon=run.epsilon if settings.epsilon == "run" else float(settings.epsilon),
    )


def overrides(settings: Evaluation, run: Timing | None, rate_hz: float) -> list[str]:
    """Which flags make it another timing than the run's, each with what the run had. Args: rate_hz: of the environment."""
    if run is None:
        return []
    found = []
    had = "not known" if run.delay is None else run.delay
    for name in ("delay", "inference_ms"):
        given = getattr(settings, name)
        if given is not None and settings.delay_ticks(rate_hz) != run.delay:
            found.append(f"--{name}={given} (the run's delay is {had})")
    for name in ("inaction", "default_action", "action_every"):
        given, had = getattr(settings, name), getattr(run, name)
        if given not in (None, had):
            found.append(f"--{name}={given} (the run: {had})")
    return found


def notice(settings: Evaluation, run: Timing | None) -> str | None:
    """A line that says where the delay is known from, if that was measured or is not known at all."""
    if run is None or settings.delay is not None or settings.inference_ms is not None:
        return None
    if run.delay is None:
        return "the run's delay is not known, as no records beside its checkpoint show its network act: delay 1, or say --delay"
    return f"delay {run.delay}, as in the run: {run.source}" if run.source else None
