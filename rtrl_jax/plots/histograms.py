"""How delays and inference times are distributed: a row of two histograms for each group of runs."""

import numpy as np

from rtrl_jax.board.records import begins, inference_ns
from rtrl_jax.errors import UserError
from rtrl_jax.plots import style
from rtrl_jax.plots.sources import Group

BINS = 60
MOST_LETTERS = 34  # of a label; beside it is a note
SHOWN = 0.999  # of the inference times; the rest is counted in words


def draw(groups: list[Group]):
    """A figure. Raises UserError if nothing was ever decided."""
    data = [(_short(group.name or group.label), *distributions(group)) for group in groups]
    emulated = any(run.summary["inference"]["emulated"] for group in groups for run in group.runs)
    figure, axes = style.panels(
        len(data), 2, width=9.5, height=1.2 + 2.1 * len(data), title=finding(data), sharex="col"
    )
    most_delay = max(int(np.quantile(delay, SHOWN)) for _, delay, _ in data)
    most_tau = max(float(np.quantile(tau, SHOWN)) for _, _, tau in data)
    least_tau = min(float(tau.min()) for _, _, tau in data)
    bins = np.linspace(least_tau, most_tau, BINS) if most_tau > least_tau else 10
    for (left, right), (label, delay, tau) in zip(axes, data, strict=True):
        values, counts = np.unique(delay[delay <= most_delay], return_counts=True)
        left.bar(values, 100 * counts / len(delay), width=0.8, color=style.COLOURS[0])
        right.hist(tau, bins=bins, weights=np.full(len(tau), 100 / len(tau)), color=style.COLOURS[5])
        left.set_title(label, loc="left", fontsize=9.5)
        left.set_ylabel("share of actions (%)")
        right.set_ylabel("share of inferences (%)")
        _note(right, f"p50 {np.median(tau):.3g}, p99 {np.quantile(tau, 0.99):.3g}, max {tau.max():.3g} ms")
        _note(left, f"p50 {np.median(delay):g}, p99 {np.quantile(delay, 0.99):g}, max {delay.max():g} ticks")
    axes[-1, 0].set_xlabel("delay from observation to action (ticks)")
    axes[-1, 0].xaxis.get_major_locator().set_params(integer=True)
    axes[-1, 1].set_xlabel(r"inference time $\tau_\theta$ (ms" + (", emulated)" if emulated else ")"))
    return figure


def _short(label: str) -> str:
    return label if len(label) <= MOST_LETTERS else f"{label[:MOST_LETTERS]}…"


def _note(axes, text: str) -> None:
    axes.set_title(text, loc="right", fontsize=8, color=style.REFERENCE)


def distributions(group: Group) -> tuple[np.ndarray, np.ndarray]:
    """(delays of applied decisions in ticks, network inference times in ms) of all its runs."""
    delays, times = [], []
    for run in group.runs:
        acted = begins(run.ticks) if "decisions" in run.ticks else ~run.ticks["is_default"]
        delays.append((run.ticks["tick"] - run.ticks["obs_tick"])[acted])
        network = run.decisions["greedy"]
        times.append(inference_ns(run.decisions)[network] / 1e6)
    delay, tau = np.concatenate(delays), np.concatenate(times)
    if not len(delay) or not len(tau):
        raise UserError(f"{group.label}: the network decided nothing in it, so there is nothing to draw")
    return delay, tau


def finding(data: list[tuple]) -> str:
    """What the histograms show, in a sentence."""
    parts = []
    for label, delay, tau in data[:3]:
        values, counts = np.unique(delay, return_counts=True)
        common, share = values[counts.argmax()], counts.max() / len(delay)
        parts.append(
            f"{label}: {share:.0%} of the actions are {common} tick{'s' * int(common > 1)} old; "
            f"inference takes {tau.mean():.3g} ± {tau.std():.2g} ms"
        )
    return "\n".join(parts)
