"""Draws pictures from run folders and results: timelines, learning curves, return against delay or size, N* and histograms.

rtrl-plot --runs=runs/one,runs/two --first_tick=200 --ticks=16 --out=timeline.png
rtrl-plot --kind=learning --runs=ours=runs/a0,runs/a1,none=runs/b0,runs/b1 --out=learning
rtrl-plot --kind=delay --results=runs/eval1,runs/eval2,more.csv
"""

import pathlib

from absl import flags

from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command
from rtrl_jax.sweeps import place
from rtrl_jax.telemetry import files

KINDS = {
    "timeline": "which worker thought when, and which tick its action acted on; --runs",
    "learning": "return against ticks or time, mean and 95 % interval over seeds; --runs",
    "delay": "return against delay; --results",
    "parameters": "return against the network's size; --results",
    "workers": "N* against inference time and size; --results, a table of tau_ticks, parameters, algorithm, workers, obtained",
    "diagnostics": "Q and its target, |TD|, the gradient's norm and inactive units against updates; --runs",
    "histograms": "delays and inference times; --runs",
}
KIND = flags.DEFINE_enum("kind", "timeline", list(KINDS), "; ".join(f"{name}: {what}" for name, what in KINDS.items()))
RUNS = flags.DEFINE_list(
    "runs",
    None,
    "run folders, or a sweep's for all its runs. timeline: a panel for each. Else label=folder begins a group of seeds; without "
    "labels, runs that differ by nothing but the seed make one",
)
RESULTS = flags.DEFINE_list(
    "results", None, "folders of evaluations, runs or sweeps, their summary.json files, or .csv tables"
)
TITLES = flags.DEFINE_multi_string("title", None, "timeline: a title for each panel; else one. Default: what is found")
FIRST_TICK = flags.DEFINE_integer("first_tick", 100, "timeline: first tick to show", lower_bound=0)
TICKS = flags.DEFINE_integer("ticks", 16, "timeline: ticks to show", lower_bound=1)
X = flags.DEFINE_enum("x", "ticks", ["ticks", "time"], "learning: against what")
WINDOW = flags.DEFINE_integer("window", 20, "learning: episodes that a point is the mean of", lower_bound=1)
RETURN_COLUMN = flags.DEFINE_string("return_column", "return", "delay and parameters: the table's column of returns")
OUT = flags.DEFINE_string(
    "out", None, "picture to write, .png or .svg; without an ending both. Default: the kind, as .png"
)
OVERWRITE = flags.DEFINE_bool("overwrite", False, "write over a picture that is there")


def main() -> None:
    kind = KIND.value
    needs = "results" if kind in ("delay", "parameters", "workers") else "runs"
    given = {"runs": RUNS.value, "results": RESULTS.value}
    if not given[needs]:
        example = "runs/one,runs/two" if needs == "runs" else "results/one.csv"
        raise UserError(f"--kind={kind} is drawn from --{needs}: name one or more, e.g. --{needs}={example}")
    if kind == "workers" and len(RESULTS.value) > 1:
        raise UserError(f"--kind={kind} is drawn from one table: --results={RESULTS.value[0]}")
    runs = place.expanded(RUNS.value or [], labelled=kind != "timeline")
    results = place.expanded(RESULTS.value or [], labelled=False)
    titles = TITLES.value
    panels = len(runs) if kind == "timeline" else 1
    if titles and len(titles) != panels:
        raise UserError(
            f"--title was given {len(titles)} times for {panels} {'runs' if kind == 'timeline' else 'picture'}"
        )
    out = _out(pathlib.Path(OUT.value or f"{kind}.png"))

    figure = _draw(kind, runs, results, titles)
    if titles and kind != "timeline":
        figure.suptitle(titles[0])

    from rtrl_jax.plots import style

    print(f"wrote {', '.join(map(str, style.save(figure, out)))}")


def _out(out: pathlib.Path) -> pathlib.Path:
    if out.suffix not in (".png", ".svg", ""):
        raise UserError(f"--out={out}: it should end in .png or .svg, or in neither for both")
    for path in [out] if out.suffix else [out.with_name(out.name + ending) for ending in (".png", ".svg")]:
        files.check_file(path, overwrite=OVERWRITE.value, instead=", or add --overwrite")
    return out.expanduser()


def _draw(kind: str, runs: list[str], results: list[str], titles: list[str] | None):
    from rtrl_jax.plots import against, diagnostics, histograms, learning, sources, timeline, workers

    if kind == "timeline":
        return timeline.draw([sources.load(run) for run in runs], titles, FIRST_TICK.value, TICKS.value)
    if kind == "learning":
        return learning.draw(sources.group(runs), X.value, WINDOW.value)
    if kind == "diagnostics":
        return diagnostics.draw(sources.group(runs))
    if kind == "histograms":
        return histograms.draw(sources.group(runs))
    if kind == "workers":
        return workers.draw(workers.read(results[0]))
    series = place.series(RESULTS.value, against.NO_SERIES[kind])
    return against.draw(against.read(results, kind, RETURN_COLUMN.value, series), kind)


def command() -> int:
    return run_command(main)
