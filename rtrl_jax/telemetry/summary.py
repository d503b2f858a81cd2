"""The figures of a run, computed from its records. `statistics` is pure; everything that is shown or stored comes from it."""

import importlib.metadata
import math
import platform

import numpy as np
import psutil

from rtrl_jax.board.records import APPLIED, OVERWRITTEN, STALE, begins, inference_ns

PROGRESS = ("encounter", "wins", "losses", "attempts")
ITS_LIMITS = "its limits"  # what `ended_by` says of a run that has reached them
LATE_MS = 0.5  # a boundary later than this counts as late
DIAGNOSTICS = ("gradient_norm", "q", "target_q", "td_error", "inactive", "inactive_channels")
LAST = 0.1  # of a run's updates and actions: where it stands at its end


def statistics(ticks: np.ndarray, decisions: np.ndarray, updates: np.ndarray, last: float = LAST) -> dict:
    """The measured part of summary.json; None where there was nothing to measure.

    Args:
      ticks, decisions, updates: TICK, OUTCOME and UPDATE records (see `board.layout`), in order.
      last: the share of updates and actions that figures of the end are over.
    """
    lateness = ticks["lateness_ns"] / 1e6
    acting = ticks[begins(ticks)]
    acted = acting["tick"]
    delay = (acted - acting["obs_tick"]).astype(float)
    interaction = np.diff(acted).astype(float)
    made = decisions["decision"]
    tau = inference_ns(made) / 1e6
    network = tau[made["greedy"]]
    explored = _explored(decisions)
    returns = episode_returns(ticks)
    return {
        "measured_rate_hz": _rate(ticks),
        "ticks": len(ticks),
        "late_ticks": int((lateness > LATE_MS).sum()),
        "slipped_ticks": int(ticks["slipped"].sum()),
        "lateness_ms": {"p50": _quantile(lateness, 0.5), "p99": _quantile(lateness, 0.99), "max": _most(lateness)},
        "inaction": _mean(ticks["is_default"]),
        "delay": {"mean": _mean(delay), "p50": _quantile(delay, 0.5), "p99": _quantile(delay, 0.99)},
        "interaction_ticks": {
            "mean": _mean(interaction),
            "std": float(interaction.std()) if len(interaction) else None,
        },
        "inference": {
            "tau_mean_ms": _mean(tau),
            "tau_p99_ms": _quantile(tau, 0.99),
            "tau_max_ms": _most(tau),
            "tau_network_ms": _mean(network),
            **_late_head(decisions),
            "greedy": _mean(made["greedy"]),
            "exploratory": _mean(explored),
            "exploratory_last": _mean(_end(explored, last)),
            "applied": int((decisions["status"] == APPLIED).sum()),
            "overwritten": int((decisions["status"] == OVERWRITTEN).sum()),
            "stale": int((decisions["status"] == STALE).sum()),
        },
        "learning": {
            "updates": len(updates),
            "updates_per_s": _updates_per_s(ticks, updates),
            "delay_mean": _mean(updates["applied_version"] - updates["gradient_version"]),
            "loss": _mean(updates["loss"][-100:]),
            **_diagnostics(updates, last),
        },
        "progress": {name: int(ticks[name][-1]) if len(ticks) else 0 for name in PROGRESS},
        "episodes": {
            "count": len(returns),
            "return_mean": _mean(returns),
            "return_last": float(returns[-1]) if len(returns) else None,
            "return_unfinished": float(ticks["reward"].sum() - returns.sum()),
        },
    }


def _late_head(decisions: np.ndarray) -> dict:
    """None where there is none. `told_all` is the share of its actions, of those that acted, that knew of all before them."""
    made = decisions["decision"]
    late = made["told_tick"] >= 0
    head, waited = ((made[end] - made[start])[late] / 1e6 for end, start in _PARTS)
    acted = decisions["status"] == APPLIED
    knew = (made["told_tick"] >= decisions["apply_tick"] - 1)[late & acted]
    return {
        "head_p50_ms": _quantile(head, 0.5),
        "head_p99_ms": _quantile(head, 0.99),
        "head_wait_mean_ms": _mean(waited),
        "told_all": _mean(knew),
    }


_PARTS = (("end_ns", "head_start_ns"), ("head_start_ns", "trunk_end_ns"))


def _explored(decisions: np.ndarray) -> np.ndarray:
    """Whether each action that acted was an exploratory one, in the order in which they acted."""
    acted = decisions[decisions["status"] == APPLIED]
    return ~acted["decision"]["greedy"][np.argsort(acted["apply_tick"], kind="stable")]


def _end(rows: np.ndarray, share: float) -> np.ndarray:
    return rows[len(rows) - math.ceil(share * len(rows)) :]


def _diagnostics(updates: np.ndarray, last: float) -> dict:
    """What learning looks like at the end; inactive units, which are measured now and then, at the beginning too."""
    end = _end(updates, last)
    counted = updates["inactive"][~np.isnan(updates["inactive"])]
    return {
        **{name: _mean(end[name]) for name in ("gradient_norm", "q", "target_q", "td_error")},
        "inactive": _newest_mean(end["inactive"], updates["inactive"]),
        "inactive_channels": _newest_mean(end["inactive_channels"], updates["inactive_channels"]),
        "inactive_first": float(counted[0]) if len(counted) else None,
    }


def _newest_mean(values: np.ndarray, earlier: np.ndarray) -> float | None:
    """The mean of those that were measured; if none was, the newest of `earlier`."""
    measured, before = values[~np.isnan(values)], earlier[~np.isnan(earlier)]
    return float(measured.mean()) if len(measured) else float(before[-1]) if len(before) else None


def _spans_s(ticks: np.ndarray) -> np.ndarray:
    """From the first to the last boundary of each session, in seconds."""
    begins = np.flatnonzero(np.diff(ticks["session"], prepend=-1))
    ends = np.append(begins[1:], len(ticks)) - 1
    return (ticks["boundary_ns"][ends] - ticks["boundary_ns"][begins]) / 1e9


def _rate(ticks: np.ndarray) -> float | None:
    if len(ticks) < 2 or not (seconds := _spans_s(ticks).sum()):
        return None
    return float((len(ticks) - len(_spans_s(ticks))) / seconds)


def _updates_per_s(ticks: np.ndarray, updates: np.ndarray) -> float:
    """From the first to the last update of each session."""
    if not len(ticks) or not len(updates):
        return 0.0
    begins = ticks["boundary_ns"][np.flatnonzero(np.diff(ticks["session"], prepend=-1))]
    session = np.maximum(np.searchsorted(begins, updates["end_ns"]) - 1, 0)
    first, count = np.unique(session, return_index=True)[1], np.unique(session, return_counts=True)[1]
    seconds = (updates["end_ns"][first + count - 1] - updates["end_ns"][first]).sum() / 1e9
    return float((count - 1).sum() / seconds) if seconds else 0.0


def played_s(ticks: np.ndarray) -> float:
    """How long a run has gone on, all its sessions together."""
    rate = _rate(ticks)
    return float(len(ticks) / rate) if rate else 0.0


def episode_returns(ticks: np.ndarray) -> np.ndarray:
    """Undiscounted return of each finished episode."""
    if not len(ticks):
        return np.empty(0)
    finished = int((ticks["terminated"] | ticks["truncated"]).sum())
    first = int(ticks["episode"][0])
    return np.bincount(ticks["episode"] - first, weights=ticks["reward"])[:finished]


def machine() -> dict:
    """The machine a figure was measured on."""
    return {
        "processor": _processor(),
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def versions() -> dict:
    """Of Python, of this package and of what computes."""
    packages = ("rtrl_jax", "jax", "jaxlib", "flax", "optax", "numpy", "gymnasium", "ale-py")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def _mean(values) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _most(values) -> float | None:
    return float(np.max(values)) if len(values) else None


def _quantile(values, q: float) -> float | None:
    return float(np.quantile(values, q)) if len(values) else None
