"""Whether what was evaluated is better than the controls: by the lower end of its 95 % interval, at the same timing.

An agent *learns* a game when each of at least three training seeds is, evaluated greedily.
"""

import csv
import pathlib

from rtrl_jax.errors import UserError
from rtrl_jax.evaluation.tournament import FRESH

# What must be the same for scores to be comparable.
ALIKE = (
    "rate_hz",
    "delay",
    "interaction",
    "default_action",
    "default_action_index",
    "environment_kwargs",
    "sticky_actions",
    "noop_starts",
    "frame_skip",
    "press_frames",
    "most_ticks",
)


def read(path: str) -> list[dict]:
    """The controls of a controls.csv that were played on fresh episodes. Raises UserError."""
    try:
        with open(pathlib.Path(path).expanduser(), newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["round"] == FRESH]
        for row in rows:
            row["mean"], row["mean_interval"] = float(row["mean"]), (float(row["mean_low"]), float(row["mean_high"]))
        wanting = [name for name in ("environment", "policy", "action_every", *ALIKE) if rows and name not in rows[0]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"--against={path} cannot be read as a controls.csv ({' '.join(str(error).split())})") from None
    if wanting or not rows:
        raise UserError(f"--against={path} is no controls.csv: --policy=controls makes one")
    return rows


def to_beat(path: str, facts: dict) -> dict:
    """The best of the controls of a game. Raises UserError if there is none that was played alike.

    Args: facts: `environment` and, under the names of `ALIKE`, how it is played.
    """
    rows = [row for row in read(path) if row["environment"] == facts["environment"]]
    if not rows:
        raise UserError(f"--against={path} has no controls of {facts['environment']}: play them with --policy=controls")
    for name in ALIKE:
        had = {row[name] for row in rows if (name, row[name]) != ("delay", "")}  # doing nothing has none
        if had != {_text(facts[name])}:
            raise UserError(
                f"--against={path}: its controls of {facts['environment']} were played with {name} {', '.join(sorted(had))}, "
                f"and here it is {_text(facts[name])}"
            )
    return max(rows, key=lambda row: row["mean"])


def _text(value) -> str:
    """As the csv module writes it."""
    return "" if value is None else str(value)


def beats(interval: tuple[float, float], control: dict) -> bool:
    """Whether all of an interval lies above a control's mean."""
    return interval[0] > control["mean"]


def says(row: dict, control: dict) -> str:
    """The verdict as a sentence. Args: row: of `table.row`."""
    low, high = row["mean_interval"]
    own, other = (
        f"{row['mean']:.3g} ({low:.3g}…{high:.3g})",
        "{:.3g} ({:.3g}…{:.3g})".format(control["mean"], *control["mean_interval"]),
    )
    verdict = "beats" if beats((low, high), control) else "does not beat"
    apart = " (their intervals overlap)" if verdict == "beats" and low <= control["mean_interval"][1] else ""
    return (
        f"{row['environment']}: {own} {verdict} the best control, {control['policy']} at {control['action_every']} tick(s) an "
        f"action, {other}{apart}"
    )
