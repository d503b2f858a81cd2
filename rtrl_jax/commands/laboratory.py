"""Return against delay, for agents that learn in small worlds written in JAX: many seeds in minutes, no real time.

rtrl-laboratory --environment=catch --delays=1,2,4,8,16 --interactions=async,sequential --seeds=10 --out=FOLDER
"""

import csv
import io
import time
from functools import partial

from absl import flags

from rtrl_jax.core import folder as folders
from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command

ENVIRONMENT = flags.DEFINE_list("environment", ["catch"], "one or more of catch, breakout, chain; a panel for each")
DELAYS = flags.DEFINE_list(
    "delays", ["1", "2", "4", "8", "16"], "inference times in ticks (an answer within a tick: 1)"
)
INTERACTIONS = flags.DEFINE_list("interactions", ["async", "sequential"], "async, sequential, or both")
SEEDS = flags.DEFINE_integer("seeds", 10, "agents trained for each point; the intervals are over them", lower_bound=1)
STEPS = flags.DEFINE_integer("steps", 100_000, "ticks of learning for each agent", 2000, 100_000_000)
SPREAD = flags.DEFINE_float(
    "spread",
    0.0,
    "inference times vary uniformly by this share of their mean; async agents then play out late enough for 99.5 % of them",
    lower_bound=0.0,
    upper_bound=0.9,
)
OUT = flags.DEFINE_string("out", None, "folder for the tables and the picture, new or empty")
LONGEST = 1000  # ticks


def main() -> None:
    if not OUT.value:
        raise UserError("say where the results go: --out=FOLDER, new or empty")
    if SPREAD.value != SPREAD.value:
        raise UserError(f"--spread={SPREAD.value}: a number from 0 to 0.9")
    out = folders.choose(OUT.value, "", flag="--out")
    delays = _delays()

    from rtrl_jax.laboratory import figure, learn, study, worlds
    from rtrl_jax.telemetry import files
    from rtrl_jax.telemetry.summary import machine, versions

    names = _chosen("environment", ENVIRONMENT.value, worlds.WORLDS)
    interactions = _chosen("interactions", INTERACTIONS.value, study.INTERACTIONS)
    folders.make(out, flag="--out")
    settings = learn.Settings(steps=STEPS.value)
    began = time.monotonic()
    rows = study.run(
        names, delays, interactions, SEEDS.value, settings, SPREAD.value, progress=partial(print, flush=True)
    )
    seconds = time.monotonic() - began
    table = study.summarise(rows)
    print(study.as_text(table))

    files.write_text(out / "runs.csv", _csv([row._asdict() for row in rows]))
    files.write_text(out / "laboratory.csv", _csv(table))
    report = {
        "seconds": round(seconds, 1),
        "seeds": SEEDS.value,
        "spread": SPREAD.value,
        "settings": settings._asdict(),
    }
    report |= {"machine": machine(), "versions": versions(), "table": table}
    files.write_json(out / "laboratory.json", report)
    picture = figure.draw(table)
    for ending in ("png", "svg"):
        files.write_atomically(
            out / f"laboratory.{ending}",
            lambda file, ending=ending: picture.savefig(file, format=ending, dpi=150),
        )
    print(f"{seconds:.0f} s; wrote {', '.join(sorted(str(path) for path in out.iterdir()))}")


def _delays() -> list[int]:
    try:
        delays = [int(text) for text in DELAYS.value]
        if not delays or min(delays) < 1 or max(delays) > LONGEST or len(set(delays)) < len(delays):
            raise ValueError
    except ValueError:
        raise UserError(
            f"--delays={','.join(DELAYS.value)}: give different whole numbers of ticks from 1 to {LONGEST}, e.g. 1,2,4"
        ) from None
    return sorted(delays)


def _chosen(flag: str, values: list[str], known) -> list[str]:
    if not values or len(set(values)) < len(values) or not set(values) <= set(known):
        raise UserError(f"--{flag}={','.join(values)}: give one or more of {', '.join(known)}, each once")
    return values


def _csv(table: list[dict]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, table[0].keys(), lineterminator="\n")
    writer.writeheader()
    for row in table:
        writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})
    return text.getvalue()


def command() -> int:
    return run_command(main)
