"""Return against delay, for agents that learn in small worlds written in JAX: many seeds in minutes, no real time.

rtrl-laboratory --environment=catch --delays=1,2,4,8,16 --arms=async,late,sequential --seeds=10 --out=FOLDER
"""

import csv
import io
import itertools
import json
import pathlib
import time
from functools import partial

from absl import flags

from rtrl_jax.core import folder as folders
from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command

ENVIRONMENT = flags.DEFINE_list(
    "environment",
    ["catch"],
    "one or more of catch, breakout, chain; with pgx also minatar-asterix, minatar-breakout, minatar-freeway, "
    "minatar-seaquest, minatar-space_invaders; a panel for each",
)
DELAYS = flags.DEFINE_list(
    "delays", ["1", "2", "4", "8", "16"], "inference times in ticks (an answer within a tick: 1)"
)
ARMS = flags.DEFINE_list(
    "arms",
    ["async", "sequential"],
    "async, sequential; late: a head that is told the actions under way, before the decision acts, newest: and decides at every "
    "tick; history: told the actions up to the observation; hold: a decision acts for as long as one takes; oracle: no delay",
)
SEEDS = flags.DEFINE_integer("seeds", 10, "agents trained for each point; the intervals are over them", lower_bound=1)
STEPS = flags.DEFINE_integer("steps", 100_000, "ticks of learning for each agent", 2000, 100_000_000)
SPREAD = flags.DEFINE_float(
    "spread",
    0.0,
    "inference times vary uniformly by this share of their mean; async agents then play out late enough for 99.5 % of them",
    lower_bound=0.0,
    upper_bound=0.9,
)
CV = flags.DEFINE_float(
    "cv", 0.0, "they are gamma distributed with this coefficient of variation, e.g. 0.5; not with --spread", 0.0, 2.0
)
WORKERS = flags.DEFINE_enum(
    "workers",
    "enough",
    ["enough", "needed", "half", "one"],
    "of asynchronous agents: as many as are ever needed, N*, half of it, or one",
)
ENCODING = flags.DEFINE_enum(
    "encoding", "onehot", ["onehot", "counts", "recurrent"], "how the head is told the actions under way"
)
DISCOUNT_PER = flags.DEFINE_enum("discount_per", "decision", ["decision", "tick"], "what γ = 0.99 is counted by")
OUT = flags.DEFINE_string(
    "out", None, "folder for the tables and the picture, new or empty; or of the same study, which then goes on"
)
LONGEST = 1000  # ticks


def main() -> None:
    if not OUT.value:
        raise UserError("say where the results go: --out=FOLDER, new or empty")
    if SPREAD.value != SPREAD.value:
        raise UserError(f"--spread={SPREAD.value}: a number from 0 to 0.9")
    if CV.value and SPREAD.value:
        raise UserError(
            f"--spread={SPREAD.value} and --cv={CV.value} say differently how inference times vary: give one"
        )
    delays = _delays()

    from rtrl_jax.laboratory import figure, learn, study
    from rtrl_jax.telemetry import files
    from rtrl_jax.telemetry.summary import machine, versions

    names = _chosen("environment", ENVIRONMENT.value, study.NAMES)
    arms = _chosen("arms", ARMS.value, study.ARMS)
    settings = learn.Settings(steps=STEPS.value, per_tick=DISCOUNT_PER.value == "tick")
    circumstances = study.Circumstances(SPREAD.value, CV.value, WORKERS.value, ENCODING.value)
    for name in names:
        study.world(name)  # or a line that says what is missing
    definition = {
        "environments": names,
        "arms": arms,
        "delays": delays,
        "seeds": SEEDS.value,
        "circumstances": circumstances._asdict(),
        "settings": settings._asdict(),
    }
    out, before = _begin(definition)
    began, rows = time.monotonic(), [study.Measured(**row) for row in before["rows"]]
    for name, arm in itertools.product(names, arms):
        if any((row.environment, row.interaction) == (name, arm) for row in rows):
            continue
        rows += study.run(name, arm, delays, SEEDS.value, settings, circumstances, progress=partial(print, flush=True))
        before["seconds"], began = before["seconds"] + time.monotonic() - began, time.monotonic()
        files.write_json(out / "study.json", {**before, "rows": [row._asdict() for row in rows]})
    table = study.summarise(rows)
    print(study.as_text(table))

    files.write_text(out / "runs.csv", _csv([row._asdict() for row in rows]))
    files.write_text(out / "laboratory.csv", _csv(table))
    report = {"seconds": round(before["seconds"], 1), **definition, "machine": machine(), "versions": versions()}
    files.write_json(out / "laboratory.json", report | {"table": table})
    picture = figure.draw(table)
    for ending in ("png", "svg"):
        files.write_atomically(
            out / f"laboratory.{ending}",
            lambda file, ending=ending: picture.savefig(file, format=ending, dpi=150),
        )
    (out / "study.json").unlink()
    print(f"{before['seconds']:.0f} s; wrote {', '.join(sorted(str(path) for path in out.iterdir()))}")


def _begin(definition: dict) -> tuple[pathlib.Path, dict]:
    """The folder, and what there is of the same study in it; it is begun if there is nothing yet. Raises UserError."""
    from rtrl_jax.telemetry import files

    begun = {"definition": json.loads(files.as_json(definition)), "seconds": 0.0, "rows": []}
    kept = pathlib.Path(OUT.value).expanduser() / "study.json"
    try:
        found = json.loads(kept.read_text())
        there = found["definition"], found["seconds"], found["rows"]
    except FileNotFoundError:
        out = folders.choose(OUT.value, "", flag="--out")
        folders.make(out, flag="--out")
        files.write_json(out / "study.json", begun)
        return out, begun
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"--out={OUT.value}: {kept} cannot be read ({error}): name another folder") from None
    if there[0] != begun["definition"]:
        differ = [name for name, value in begun["definition"].items() if there[0].get(name) != value]
        raise UserError(f"--out={OUT.value} holds a study with other {', '.join(differ)}: name another folder")
    print(f"going on with {len(there[2])} agents done", flush=True)
    return kept.parent, found


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
