"""How many workers it takes: N_I* and N_L* against τ and against parameters, for every way of staggering (Figures 7 and 8).

rtrl-scaling --out=results/scaling                         stated times, in virtual time; goes on where it was cut off
rtrl-scaling --parts=times,networks --out=results/scaling  networks measured anew, on an idle machine, and played
rtrl-scaling --parts=machines --out=results/scaling        72 to 600 workers on 2 to 20 machines with a network between
rtrl-scaling --parts=table                                 the table of docs/semantics.md, played anew
"""

import pathlib
import time

from absl import flags

from rtrl_jax import latency
from rtrl_jax.core import folder as folders
from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command
from rtrl_jax.telemetry import files

PARTS = {
    "workers": "N_I* against stated times",
    "learners": "N_L* against stated times",
    "constancy": "inaction, delay and its spread against how times vary",
    "times": "network times of this machine, measured anew",
    "networks": "N_I* and N_L* of the networks in the folder's times.csv",
    "machines": "N_I* of 72 to 600 workers on 2 to 20 machines",
    "table": "the table of docs/semantics.md, printed",
}
DEFAULT = ("workers", "learners", "constancy")
OUT = flags.DEFINE_string("out", None, "folder for the tables; rows that it holds already are kept")
WHICH = flags.DEFINE_list("parts", list(DEFAULT), "; ".join(f"{name}: {what}" for name, what in PARTS.items()))
SEEDS = flags.DEFINE_integer("seeds", 5, "seeds of each setting in which something is random", 1, 100)
NETWORK = flags.DEFINE_string(
    "network_ms", "lognormal:0.8,0.3", f"of machines: what a message there and an answer back take: {latency.FORMS}"
)
QUICK = flags.DEFINE_bool("quick", False, "a few small settings: to see that it works")
QUICK_MOST = 6  # workers; those that explore and never wait need 25, and finding that takes longer than all else


def main() -> None:
    parts = WHICH.value
    if not parts or not set(parts) <= set(PARTS) or len(set(parts)) < len(parts):
        raise UserError(f"--parts={','.join(parts)}: give one or more of {', '.join(PARTS)}, each once")
    if not OUT.value and parts != ["table"]:
        raise UserError("say where the results go: --out=FOLDER")
    latency.parse(NETWORK.value, "network_ms")
    out = None
    if OUT.value:
        out = files.check_folder(OUT.value, goes_on=True)
    if "networks" in parts and "times" not in parts and not (out / "times.csv").exists():
        raise UserError(f"--parts=networks plays what was measured, and {out} has no times.csv: --parts=times,networks")
    if out:
        folders.make(out, flag="--out")
    for part in PARTS:  # in this order, as networks need times
        if part in parts:
            _DO[part](out)


def _workers(out: pathlib.Path) -> None:
    from rtrl_jax.studies import scaling

    few = {"ticks": (3 * scaling.FITS,), "varying": (), "most": QUICK_MOST} if QUICK.value else {}
    _complete(out / "workers.csv", scaling.Point, scaling.against_tau(range(SEEDS.value), **few))


def _learners(out: pathlib.Path) -> None:
    from rtrl_jax.studies import learners

    few = {"kinds": ("constant",), "ticks": (5,)} if QUICK.value else {}
    _complete(out / "learners.csv", learners.LearnerPoint, learners.against_tau(range(SEEDS.value), **few))


def _constancy(out: pathlib.Path) -> None:
    from rtrl_jax.studies import constancy

    few = {"cvs": (), "ways": ("ticket",)} if QUICK.value else {}
    _complete(out / "constancy.csv", constancy.Row, constancy.tasks(range(SEEDS.value), **few))


def _times(out: pathlib.Path) -> None:
    from rtrl_jax.studies import measured
    from rtrl_jax.studies.rows import as_csv
    from rtrl_jax.telemetry.summary import machine, versions

    few = {"sizes": ("55K",), "batches": (8,)} if QUICK.value else {}
    found = measured.times(**few, say=_say)
    files.write_text(out / "times.csv", as_csv(measured.Time._fields, found))
    files.write_json(out / "times.json", {"machine": machine(), "versions": versions()})


def _networks(out: pathlib.Path) -> None:
    from rtrl_jax.studies import constancy, learners, measured, scaling

    times, seeds = measured.read(out / "times.csv"), range(SEEDS.value)
    workers, updates = measured.inferences(times), measured.updates(times)
    for name, kind, tasks in (
        ("network-workers", scaling.Point, scaling.of_networks(workers, seeds)),
        ("network-learners", learners.LearnerPoint, learners.of_networks(updates)),
        ("network-constancy", constancy.Row, constancy.of_network(measured.largest(times), seeds)),
    ):
        _complete(out / f"{name}.csv", kind, tasks, only=True)


def _machines(out: pathlib.Path) -> None:
    from rtrl_jax.studies import machines

    places = ((2, 4),) if QUICK.value else machines.PLACES
    _complete(out / "machines.csv", machines.Row, machines.tasks(NETWORK.value, range(SEEDS.value), places))


def _table(out: pathlib.Path | None) -> None:
    from rtrl_jax.studies import semantics_table

    ticks = 2000 if QUICK.value else semantics_table.TICKS
    text = semantics_table.as_markdown([cell() for cell in semantics_table.cells(ticks)])
    print(
        f"Fraction of ticks left to β (mean delay in ticks) in {ticks:,} ticks [what the design's simulation gave]\n\n{text}"
    )
    if out:
        files.write_text(out / "table.md", text)


def _complete(path: pathlib.Path, kind: type, tasks: list, only: bool = False) -> None:
    from rtrl_jax.studies import rows

    began = time.monotonic()
    rows.complete(path, kind, tasks, _say, only)
    print(f"{path}: {len(tasks)} rows, {time.monotonic() - began:.0f} s", flush=True)


def _say(text: str) -> None:
    print(text, flush=True)


_DO = {
    "workers": _workers,
    "learners": _learners,
    "constancy": _constancy,
    "times": _times,
    "networks": _networks,
    "machines": _machines,
    "table": _table,
}


def command() -> int:
    return run_command(main)
