"""What an evaluation leaves behind and shows: a line for each episode, a row for each environment, a table in the terminal."""

import csv
import io
import pathlib
from collections.abc import Sequence

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from rtrl_jax.evaluation import scores
from rtrl_jax.evaluation.episodes import Episode
from rtrl_jax.evaluation.references import human_normalised
from rtrl_jax.telemetry.files import write_json, write_text

WIDE = 120  # where there is no terminal to fit into


def row(environment: str, episodes: Sequence[Episode], **facts) -> dict:
    """The figures of one environment. Args: episodes: at least one. facts: what else the row is to say."""
    returns = np.array([episode.episode_return for episode in episodes])
    figures = scores.figures(returns)
    ticks = sum(episode.ticks for episode in episodes)
    played = [episode.won for episode in episodes if episode.won is not None]
    interval = [human_normalised(environment, value) for value in figures["mean_interval"]]
    return {
        "environment": environment,
        **facts,
        "episodes": len(episodes),
        **figures,
        "human_normalised": human_normalised(environment, figures["mean"]),
        "human_normalised_interval": None if interval[0] is None else interval,
        "wins": float(np.mean(played)) if played else None,
        "ticks_mean": ticks / len(episodes),
        "terminated": float(np.mean([episode.terminated for episode in episodes])),
        "inaction": sum(episode.default_ticks for episode in episodes) / ticks,
    }


def alike(environment: str, policy: str, episodes: Sequence[Episode]) -> str | None:
    """A warning if nothing in them was left to chance, so that many say no more than one."""
    if policy == "noop" or len(episodes) < 3 or len({episode.encounter for episode in episodes}) > 1:
        return None
    if len({(episode.episode_return, episode.ticks) for episode in episodes}) > 1:
        return None
    return (
        f"warning: all episodes of {policy} in {environment} are alike, as nothing there is left to chance: their interval "
        "says nothing"
    )


def together(played: dict[str, list[Episode]]) -> dict | None:
    """Human-normalised figures of all environments, None unless there are several and all their references are known."""
    games = [
        human_normalised(name, np.array([episode.episode_return for episode in episodes]))
        for name, episodes in played.items()
    ]
    if len(games) < 2 or any(game is None for game in games):
        return None
    return scores.together(games)


def write(folder: pathlib.Path, entries: Sequence, summary: dict) -> None:
    """Writes episodes.csv, summary.csv, controls.csv if there were any, and, with all there is to know, summary.json.

    Each is whole or as it was. Args: entries: with `environment`, `policy`, `action_every` and `episodes`.
    """
    lines = [
        {"environment": entry.environment, "policy": entry.policy, "action_every": entry.action_every, **_line(episode)}
        for entry in entries
        for episode in sorted(entry.episodes)
    ]
    write_text(folder / "episodes.csv", _csv(lines))
    write_text(folder / "summary.csv", _csv([_flat(row) for row in summary["rows"]]))
    if summary["controls"]:
        rows = [{"environment": name, **row} for name, table in summary["controls"].items() for row in table]
        write_text(folder / "controls.csv", _csv(rows))
    write_json(folder / "summary.json", summary)


def _line(episode: Episode) -> dict:
    return {name: value for name, value in episode._asdict().items() if name != "player"}


def _flat(row: dict) -> dict:
    """Intervals become two columns."""
    flat = {}
    for name, value in row.items():
        if name.endswith("_interval"):
            low, high = value or (None, None)
            flat |= {f"{name.removesuffix('_interval')}_low": low, f"{name.removesuffix('_interval')}_high": high}
        else:
            flat[name] = value
    return flat


def _csv(rows: list[dict]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def show(rows: list[dict], overall: dict | None) -> None:
    """Prints the table."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDE)
    with_wins = any(row["wins"] is not None for row in rows)
    with_policies = len({row["policy"] for row in rows}) > 1
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), caption=_caption(overall), caption_justify="left")
    table.add_column("environment", overflow="fold")
    if with_policies:
        table.add_column("policy, held for ticks", overflow="fold")
    for column in ("n", "mean", "median", "IQM", "human", *("won",) * with_wins, "delay", "inaction"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        wins = (_percent(row["wins"]),) if with_wins else ()
        policies = (f"{row['policy']}, {row['action_every']}",) if with_policies else ()
        table.add_row(
            row["environment"],
            *policies,
            str(row["episodes"]),
            f"{_number(row['mean'])}\n{_span(row['mean_interval'])}",
            _number(row["median"]),
            f"{_number(row['iqm'])}\n{_span(row['iqm_interval'])}",
            _percent(row["human_normalised"]),
            *wins,
            "–" if row["delay"] is None else str(row["delay"]),
            _percent(row["inaction"]),
        )
    console.print(table)


def binding(summary: dict) -> str | None:
    """Whether inference or the environment takes the time, as a sentence."""
    share = summary["inference_share"]
    if share is None:
        return None
    larger, what = max((share, "inference"), (1 - share, "the environment"))
    return f"bound by {what}, {larger:.0%} of the time; {summary['ticks_per_s']:,.0f} ticks a second"


def to_beat(summary: dict) -> list[str]:
    """Which control of each game is the best, as sentences; none if none were played."""
    found = []
    for name, table in (summary["controls"] or {}).items():
        rows = [row for row in summary["rows"] if row["environment"] == name]
        if rows:
            best = max(rows, key=lambda row: row["mean"])
            tried = len({(row["policy"], row["action_every"]) for row in table})
            found.append(
                f"to beat in {name}: {best['policy']}, {best['action_every']} tick(s) an action, "
                f"{_number(best['mean'])} ({_span(best['mean_interval'])}), the best of {tried} controls"
            )
    return found


def _caption(overall: dict | None) -> str:
    explained = "n episodes; below mean and IQM their 95 % bootstrap intervals over episodes; human: 0 % random, 100 % a person."
    if overall is None:
        return explained
    low, high = overall["iqm_interval"]
    return f"Together, human-normalised: IQM {overall['iqm']:.1%} ({low:.1%} – {high:.1%}). {explained}"


def _number(value: float) -> str:
    return f"{value:.{0 if abs(value) >= 1000 else 1 if abs(value) >= 10 else 2}f}"


def _span(interval) -> str:
    return "…".join(map(_number, interval))


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
