"""Measures regret a second against Theorem 1, for sequential and staggered interaction, in worlds whose best policy is known.

rtrl-regret --out=results/regret
"""

import csv
import json
import pathlib

from absl import flags

from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command
from rtrl_jax.telemetry import files

OUT = flags.DEFINE_string("out", None, "folder for the table and the picture, new or empty")
TICKS = flags.DEFINE_integer("ticks", 8000, "simulated ticks of each run", lower_bound=400)
SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2", "3", "4"], "seeds; the intervals are over them")


def main() -> None:
    seeds = _seeds()
    if not OUT.value:
        raise UserError("say where the results go: --out=FOLDER, new or empty")
    out = files.check_folder(OUT.value)

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


def command() -> int:
    return run_command(main)
