"""How many workers it takes: N_I* and N_L* against τ and against parameters, for every way of staggering (Figures 7 and 8).

rtrl-scaling --out=results/scaling
rtrl-scaling --table      the table of docs/semantics.md, played anew
"""

import json
import pathlib
import sys
import time
from collections.abc import Callable
from functools import partial

from absl import flags
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rtrl_jax.core import folder as folders
from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command

OUT = flags.DEFINE_string("out", None, "folder for the tables and the pictures, new or empty")
TABLE = flags.DEFINE_bool("table", False, "only the table of docs/semantics.md, printed, and written where --out says")
QUICK = flags.DEFINE_bool("quick", False, "a few small settings, and nothing measured: to see that it works")
TIMES = flags.DEFINE_string("times", None, "take network times from this scaling.json instead of measuring them")
LEARN_EVERY = flags.DEFINE_integer("learn_every", 5, "ticks for each update", lower_bound=1)
REALTIME = flags.DEFINE_bool("realtime", True, "some points by real runs as well, of six seconds each")

TAUS = (1, 2, 4, 8, 16, 64, 256, 600)  # inference, in ticks
LEARNING_TAUS = (1, 5, 20, 80, 320, 1280)
EMULATED_TAUS = (3.5, 7.5)  # ticks
QUICK_MOST = 6  # workers; those that explore and never wait need 25, and finding that takes longer than all else


def main() -> None:
    if not OUT.value and not TABLE.value:
        raise UserError("say where the results go: --out=FOLDER, new or empty")
    out = folders.choose(OUT.value, "", flag="--out") if OUT.value else None
    stated = _stated_times()
    if out:
        folders.make(out, flag="--out")
    if TABLE.value:
        _table(out)
    else:
        _study(out, stated)


def _table(out: pathlib.Path | None) -> None:
    from rtrl_jax.studies import semantics_table
    from rtrl_jax.telemetry import files

    ticks = 2000 if QUICK.value else semantics_table.TICKS
    cells, complete = _all("table", semantics_table.cells(ticks))
    text = semantics_table.as_markdown(cells)
    print(
        f"Fraction of ticks left to β (mean delay in ticks) in {ticks:,} ticks [what the design's simulation gave]\n\n{text}"
    )
    if out:
        files.write_text(out / "table.md", text)
    if not complete:
        raise KeyboardInterrupt


def _study(out: pathlib.Path, stated: list | None) -> None:
    from rtrl_jax.studies import learners, measured, scaling, variance

    began = time.monotonic()
    found: dict[str, list] = {"points": [], "learners": [], "variance": [], "times": []}
    taus, learning_taus = ((1, 3), (1, 5)) if QUICK.value else (TAUS, LEARNING_TAUS)
    times: Callable[[], list] = (lambda: stated) if stated is not None else partial(measured.times)
    kinds = ("constant",) if QUICK.value else tuple(scaling.LATENCIES)
    stages = [
        ("times", "network times", lambda: [times] if stated is not None or not QUICK.value else []),
        ("points", "N_I* by network", lambda: _of_networks(found["times"])),
        ("learners", "N_L* by network", lambda: _updates_of_networks(found["times"])),
        ("points", "real time", lambda: _in_real_time(found["times"])),
        ("learners", "N_L*", lambda: _updates(learners, learning_taus)),
        (
            "variance",
            "variance",
            lambda: variance.rows((0.0, 0.3), 1, ("max_time", "ticket")) if QUICK.value else variance.rows(),
        ),
        ("points", "N_I*", lambda: scaling.against_tau(taus, kinds, QUICK_MOST if QUICK.value else None)),
    ]
    complete = True
    for kind, name, tasks in stages:
        results, complete = _all(name, tasks())
        found[kind] += [row for part in results for row in (part if isinstance(part, list) else [part])]
        if not complete:
            break
    _write(out, found, time.monotonic() - began, complete)
    if not complete:
        print("interrupted: what was finished is written", file=sys.stderr)
        raise KeyboardInterrupt


def _of_networks(times: list) -> list[Callable]:
    from rtrl_jax.studies import scaling

    def one(algorithm, epsilon, network):
        ticks = network.ticks()
        return scaling.find(
            algorithm,
            lambda rng, number: (float(ticks[rng.integers(len(ticks))]), True),
            epsilon=epsilon,
            latency="measured",
            obtained="virtual" if network.how == "measured" else "virtual, extrapolated τ",
            tau_ticks=network.mean_ticks,
            parameters=network.parameters,
        )

    return [
        partial(one, algorithm, epsilon, network)
        for network in times
        if network.batch_size == 0
        for epsilon in (0.0, 0.5)
        for algorithm in scaling.ALGORITHMS
        if not (epsilon and algorithm in ("none", "expected_time") and network.mean_ticks > 8)
    ]


def _updates_of_networks(times: list) -> list[Callable]:
    from rtrl_jax.studies import latencies, learners

    return [
        partial(
            learners.find,
            latencies.constant(network.mean_ticks),
            tau_ticks=network.mean_ticks,
            learn_every=LEARN_EVERY.value,
            latency="measured mean",
            obtained="virtual" if network.how == "measured" else "virtual, extrapolated τ",
            parameters=network.parameters,
            batch_size=network.batch_size,
        )
        for network in times
        if network.batch_size
    ]


def _updates(learners, taus) -> list[Callable]:
    from rtrl_jax.studies import scaling

    return [
        partial(
            learners.find,
            scaling.LATENCIES[kind](tau * scaling.FITS),
            tau_ticks=tau * scaling.FITS,
            learn_every=LEARN_EVERY.value,
            latency=kind,
            obtained="virtual",
        )
        for kind in ("constant", "normal", "gamma")
        for tau in taus
    ]


def _in_real_time(times: list) -> list[Callable]:
    from rtrl_jax.studies import measured

    if QUICK.value or not REALTIME.value:
        return []
    real = [
        partial(measured.wall, "ticket", parameters=name, mean=network)
        for name, network in zip(("55K", "1M"), [t for t in times if t.batch_size == 0], strict=False)
    ]
    return real + [
        partial(measured.wall, algorithm, emulated_ticks=tau)
        for algorithm in ("max_time", "ticket")
        for tau in EMULATED_TAUS
    ]


def _all(name: str, tasks: list[Callable]) -> tuple[list, bool]:
    """Results of the tasks, and whether all were done: Ctrl-C ends them early."""
    results = []
    if not tasks:
        return results, True
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            for task in progress.track(tasks, description=name):
                results.append(task())
    except KeyboardInterrupt:
        return results, False
    return results, True


def _write(out: pathlib.Path, found: dict, seconds: float, complete: bool) -> None:
    from rtrl_jax.studies import scaling, scaling_figure, scaling_report
    from rtrl_jax.telemetry import files
    from rtrl_jax.telemetry.summary import machine, versions

    points, learners, variance = found["points"], found["learners"], found["variance"]
    fits = scaling.fits(points) + scaling_report.learner_fits(learners)
    files.write_text(out / "scaling.csv", scaling_report.as_csv([p._asdict() for p in points]))
    files.write_text(out / "learners.csv", scaling_report.as_csv([p._asdict() for p in learners]))
    files.write_text(out / "variance.csv", scaling_report.as_csv([row._asdict() for row in variance]))
    files.write_text(out / "fits.csv", scaling_report.as_csv(fits))
    files.write_text(out / "table.md", scaling_report.as_markdown(points, learners, fits))
    report = {"seconds": round(seconds, 1), "complete": complete, "seed": 0, "learn_every": LEARN_EVERY.value}
    report |= {"machine": machine(), "versions": versions(), "times": [t._asdict() for t in found["times"]]}
    files.write_json(out / "scaling.json", report)
    figures = {}
    if any(p.parameters is None for p in points):
        figures["workers-by-time"] = lambda: scaling_figure.against_tau(points)
    if any(p.parameters is not None for p in points):
        figures["by-parameters"] = lambda: scaling_figure.against_parameters(points, learners)
    if any(p.parameters is None for p in learners):
        figures["learners-by-time"] = lambda: scaling_figure.against_learning_time(learners)
    if variance:
        figures["variance"] = lambda: scaling_figure.against_variance(variance)
    for name, draw in figures.items():
        picture = draw()
        for ending in ("png", "svg"):
            files.write_atomically(
                out / f"{name}.{ending}",
                lambda file, ending=ending, picture=picture: picture.savefig(file, format=ending, dpi=130),
            )
    print(f"{seconds:.0f} s; wrote {', '.join(sorted(str(path) for path in out.iterdir()))}")


def _stated_times() -> list | None:
    if TIMES.value is None:
        return None
    from rtrl_jax.studies.measured import Time

    try:
        rows = json.loads(pathlib.Path(TIMES.value).read_text())["times"]
        times = [Time(**row) for row in rows]
        if not times or not all(time.ms for time in times):
            raise ValueError("it has no times")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"--times={TIMES.value} is no scaling.json of this study ({error})") from None
    return times


def command() -> int:
    return run_command(main)
