"""Measures regret a second against Theorem 1: inaction and delay in worlds whose best policy is known, and what learning costs.

rtrl-regret --out=results/regret      goes on where it was cut off
"""

from absl import flags

from rtrl_jax.core import folder as folders
from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command
from rtrl_jax.telemetry import files

PARTS = ("regret", "learning")
OUT = flags.DEFINE_string("out", None, "folder for the tables; rows that it holds already are kept")
WHICH = flags.DEFINE_list("parts", list(PARTS), "regret: inaction and delay (Equations 3 and 4); learning: Equation 2")
SEEDS = flags.DEFINE_integer("seeds", 5, "seeds of the runs; the intervals are over them", 1, 100)
QUICK = flags.DEFINE_bool("quick", False, "a few small settings: to see that it works")


def main() -> None:
    if not WHICH.value or not set(WHICH.value) <= set(PARTS) or len(set(WHICH.value)) < len(WHICH.value):
        raise UserError(f"--parts={','.join(WHICH.value)}: give one or more of {', '.join(PARTS)}, each once")
    if not OUT.value:
        raise UserError("say where the results go: --out=FOLDER")
    out = files.check_folder(OUT.value, goes_on=True)
    folders.make(out, flag="--out")

    from rtrl_jax.studies import learning_regret, regret, rows

    def say(text: str) -> None:
        print(text, flush=True)

    if "regret" in WHICH.value:
        todo = regret.tasks(range(SEEDS.value), **({"latencies": ("constant",), "most": 2} if QUICK.value else {}))
        rows.complete(out / "runs.csv", regret.Measured, todo, say)
    if "learning" in WHICH.value:
        todo = learning_regret.tasks(**({"seeds": 2, "horizons": (64, 128, 256)} if QUICK.value else {}))
        rows.complete(out / "learning.csv", learning_regret.Learned, todo, say)
    print(f"wrote {', '.join(sorted(str(path) for path in out.iterdir()))}")


def command() -> int:
    return run_command(main)
