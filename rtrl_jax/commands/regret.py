"""Measures regret a second against Theorem 1, for sequential and staggered interaction, in worlds whose best policy is known.

rtrl-regret --out=results/regret
"""

import csv
import json
import os
import pathlib

from absl import flags

from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command

OUT = flags.DEFINE_string("out", None, "folder for the table and the picture, new or empty")
TICKS = flags.DEFINE_integer("ticks", 8000, "simulated ticks of each run", lower_bound=400)
SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2", "3", "4"], "seeds; the intervals are over them")


def main() -> None:
    seeds, out = _seeds(), _folder()

    from rtrl_jax.studies import regret, regret_figure
    from rtrl_jax.telemetry.summary import machine, versions

    out.mkdir(parents=True, exist_ok=True)
    rows = regret.run(TICKS.value, seeds, progress=print)
    table = regret.summarise(rows)
    _write(out / "runs.csv", [row._asdict() for row in rows])
    _write(out / "regret.csv", table)
    report = {"ticks": TICKS.value, "seeds": seeds, "machine": machine(), "versions": versions()}
    (out / "regret.json").write_text(json.dumps(report, indent=1) + "\n")
    figure = regret_figure.draw(table)
    for ending in ("png", "svg"):
        figure.savefig(out / f"regret.{ending}", dpi=150)
    print(f"wrote {', '.join(sorted(str(path) for path in out.iterdir()))}")


def _write(path: pathlib.Path, table: list[dict]) -> None:
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, table[0].keys(), lineterminator="\n")
        writer.writeheader()
        for row in table:
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})


def _seeds() -> list[int]:
    try:
        seeds = [int(text) for text in SEEDS.value]
        if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
            raise ValueError
    except ValueError:
        raise UserError(f"--seeds={','.join(SEEDS.value)}: give different whole numbers from 0, e.g. 0,1,2") from None
    return seeds


def _folder() -> pathlib.Path:
    if not OUT.value:
        raise UserError("say where the results go: --out=FOLDER, new or empty")
    out = pathlib.Path(OUT.value).expanduser()
    if out.exists() and not out.is_dir():
        raise UserError(f"--out={out} is a file: name a new folder")
    if out.exists() and any(out.iterdir()):
        raise UserError(f"--out={out} already holds something: name a new folder (nothing was overwritten)")
    nearest = next(parent for parent in (out, *out.absolute().parents) if parent.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"--out={out} cannot be made: {nearest} is no folder that you may write to")
    return out


def command() -> int:
    return run_command(main)
