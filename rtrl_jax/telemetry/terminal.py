"""What a person sees in the terminal: a live table while the agent plays, a summary at the end."""

import contextlib
import time

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rtrl_jax.telemetry import panel
from rtrl_jax.telemetry.live import Window
from rtrl_jax.telemetry.panel import number as _number
from rtrl_jax.telemetry.printer import Printer, Redirected
from rtrl_jax.telemetry.progress import Limits
from rtrl_jax.telemetry.stream import PATIENCE_S, write_patiently

LINE_EVERY_S = 10.0  # where there is no terminal to draw on


class Display:
    """Shows a run in progress. On a terminal it redraws one panel, elsewhere it prints a line now and then.

    Nothing here waits for somebody to read. A terminal that has gone away is no error.
    """

    def __init__(self, title: str, enabled: bool, console: Console | None = None, *, line_every_s: float | None = None):
        """Args: line_every_s: between two lines where there is no terminal; default LINE_EVERY_S."""
        self.console = console or Console(stderr=True, highlight=False)
        self._title = title
        self._printer = Printer(self.console) if enabled else None
        self._draws = enabled and self.console.is_terminal and not self.console.is_dumb_terminal
        self._redirected = Redirected(self._printer) if self._draws else contextlib.nullcontext()
        self._line_every_s = LINE_EVERY_S if line_every_s is None else line_every_s
        self._last_line = time.monotonic()

    def __enter__(self):
        if self._printer:
            self._redirected.__enter__()
            self._printer.start()
        return self

    def __exit__(self, *_):
        """Takes a second at most."""
        if self._printer:
            self._redirected.__exit__()
            self._printer.close()

    def say(self, line: str) -> None:
        """A line that stays: a warning, a failure, what is going on."""
        if self._printer:
            self._printer.line(line)

    def waiting(self, what: str, done: int | None = None, total: int | None = None) -> None:
        """Args: done, total: how much of it there is, if that is known."""
        words = what if total is None else f"{what}: {done:,} of {total:,}"
        if self._draws:
            self._printer.panel(panel.waiting(self._title, words, done / total if total else None))
        elif total is not None and self._is_time_for_a_line():
            self._printer.line(words)

    def show(self, window: Window, played_s: float, limits: Limits) -> None:
        """Args: played_s: how long the run has gone on, in all its sessions together. limits: what ends it."""
        so_far = (played_s, window.ticks, len(window.returns))
        if self._draws or self._is_time_for_a_line():
            self._figures(panel.rows(window), limits.words(*so_far), limits.fraction(*so_far))

    def figures(self, rows: list[tuple[str, str, str]], words: str, fraction: float | None) -> None:
        """What is not a run. Args: rows: (name, value, meaning) each. words, fraction: how much of it is over."""
        if self._draws or self._is_time_for_a_line():
            self._figures(rows, words, fraction)

    def _figures(self, rows: list[tuple[str, str, str]], words: str, fraction: float | None) -> None:
        if self._draws:
            self._printer.panel(panel.figures(self._title, rows, words, fraction))
        else:
            self._printer.line(f"{words}: {panel.in_a_line(rows)}")

    def _is_time_for_a_line(self) -> bool:
        if not self._printer or time.monotonic() - self._last_line < self._line_every_s:
            return False
        self._last_line = time.monotonic()
        return True


def print_summary(console: Console, summary: dict, run_dir: str, patience_s: float = PATIENCE_S) -> None:
    """The table at the end, and where the run is. Gives up when nobody has read on for `patience_s`."""
    with console.capture() as captured:
        _print_summary(console, summary, run_dir)
    with contextlib.suppress(OSError, ValueError):  # who does not want to read it finds it in summary.json
        write_patiently(console.file, captured.get(), patience_s)


def _machine(machine: dict) -> tuple[str, str, str]:
    """A row of the summary, on a crew's machine."""
    counts = {"worker": len(machine["inference_workers"]), "learner": len(machine["learners"])}
    who = ", ".join(f"{count} {kind}{'s' * (count != 1)}" for kind, count in counts.items() if count)
    round_trip, uncertain = (_number(machine[name], "ms", 2) for name in ("round_trip_ms", "clock_uncertain_ms"))
    link = f"round trip {round_trip}, clock known to {uncertain}"
    lost = f"; machines lost: {machine['lost']}" if machine["lost"] else ""
    return f"on {machine['machine']}", who, link + lost


def _print_summary(console: Console, summary: dict, run_dir: str) -> None:
    if not summary["ticks"]:
        console.print(
            f"The run was ended by {summary['ended_by']} before its first tick. It is in {run_dir}",
            soft_wrap=True,
            markup=False,
        )
        return
    inference, learning, delay = summary["inference"], summary["learning"], summary["delay"]
    decided = inference["applied"] + inference["overwritten"] + inference["stale"]
    emulated = " (emulated)" if inference["emulated"] else ""
    rows = [
        (
            "ticks",
            f"{summary['ticks']} at {_number(summary['measured_rate_hz'], 'Hz', 3)}",
            f"wanted {summary['rate_hz']:g} Hz; {summary['slipped_ticks']} slipped (given up)",
        ),
        (
            "lateness",
            f"p50 {_number(summary['lateness_ms']['p50'], 'ms', 3)}, p99 {_number(summary['lateness_ms']['p99'], 'ms', 3)}",
            f"{summary['late_ticks']} over 0.5 ms, worst {_number(summary['lateness_ms']['max'], 'ms', 2)}",
        ),
        ("inaction", _number(summary["inaction"], "%", 2, scale=100), "of the ticks were left to β"),
        ("delay", _number(delay["mean"], "ticks", 2), f"p99 {_number(delay['p99'], 'ticks', 0)}"),
        (
            f"τ_θ{emulated}",
            _number(inference["tau_network_ms"], "ms", 2),
            f"the network made {_number(inference['greedy'], '%', 0, 100)} of the decisions; "
            f"{_number(inference['exploratory'], '%', 0, 100)} of what acted explored, "
            f"{_number(inference['exploratory_last'], '%', 0, 100)} of its last tenth",
        ),
        *(
            [
                (
                    "late head",
                    _number(inference["head_p50_ms"], "ms", 2),
                    f"p99 {_number(inference['head_p99_ms'], 'ms', 2)}, after waiting "
                    f"{_number(inference['head_wait_mean_ms'], 'ms', 1)}; "
                    f"{_number(inference['told_all'], '%', 2, 100)} of its actions knew all before them",
                )
            ]
            if inference["told_all"] is not None
            else []
        ),
        (
            "decisions",
            f"{decided}",
            f"{inference['applied']} applied, {inference['overwritten']} overwritten, {inference['stale']} stale",
        ),
        *(_machine(machine) for machine in summary.get("machines", ())),
        (
            "updates",
            f"{learning['updates']}, {learning['updates_per_s']:.1f} a second",
            f"loss {_number(learning['loss'], '', 5)}",
        ),
        *(
            [("learning", f"Q {panel.short(learning['q'])}", panel.diagnostics(learning))]
            if learning["updates"]
            else []
        ),
        (
            "episodes",
            f"{summary['episodes']['count']}",
            f"mean return {_number(summary['episodes']['return_mean'], '', 2)}; "
            f"{_number(summary['episodes']['return_unfinished'], '', 2)} so far in the one that was going on",
        ),
    ]
    progress = summary["progress"]
    if progress["wins"] or progress["losses"]:
        rows.append(
            (
                "encounters",
                f"{progress['wins']} won, {progress['losses']} lost",
                f"playing number {progress['encounter'] + 1}; {progress['attempts']} attempts",
            )
        )
    title = (
        f"{summary['environment']}: {summary['network']['name']} of {summary['parameters']:,} parameters, "
        f"{inference['workers']} inference worker{'s' * (inference['workers'] != 1)} ({inference['stagger']})"
    )
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if summary["records_lost"]:
        lost = (
            f"{summary['records_lost']:,} records were lost: the supervisor was held up and could not copy them in time"
        )
        console.print(Text(lost), soft_wrap=True)
    for failure in summary["failures"]:
        console.print(Text(f"failure: {failure['process']} {failure['reason']} after {failure['time_s']:.1f} s"))
    console.print(f"The run is in {run_dir}", soft_wrap=True, markup=False)
