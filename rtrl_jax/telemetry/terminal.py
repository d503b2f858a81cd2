"""What a person sees in the terminal: a live table while the agent plays, a summary at the end."""

import time
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rtrl_jax.telemetry.live import Window

LINE_EVERY_S = 10.0  # where there is no terminal to draw on


class Display:
    """Shows a run in progress. On a terminal it redraws one panel, elsewhere it prints a line now and then."""

    def __init__(self, title: str, enabled: bool, console: Console | None = None):
        self.console = console or Console(stderr=True, highlight=False)
        self._title, self._enabled = title, enabled
        self._live = Live(console=self.console, refresh_per_second=8, transient=True) if self._draws else None
        self._last_line = time.monotonic()

    @property
    def _draws(self) -> bool:
        return self._enabled and self.console.is_terminal

    def __enter__(self):
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_):
        if self._live:
            with self._or_silence():
                self._live.stop()

    @contextmanager
    def _or_silence(self):
        """A terminal that has gone away must not take the run with it."""
        try:
            yield
        except (OSError, ValueError, SystemExit):  # rich makes a SystemExit of a broken pipe
            self._live, self._enabled = None, False

    def say(self, line: str) -> None:
        """A line that stays: a warning, a failure, what is going on."""
        if self._enabled:
            with self._or_silence():
                self.console.print(Text(line), soft_wrap=True)

    def waiting(self, what: str) -> None:
        if self._live:
            with self._or_silence():
                self._live.update(Panel(Text(what), title=self._title))

    def show(self, window: Window, elapsed_s: float, fraction: float | None) -> None:
        """Args: fraction: of the run that is over, None if nobody can tell."""
        with self._or_silence():
            self._show(window, elapsed_s, fraction)

    def _show(self, window: Window, elapsed_s: float, fraction: float | None) -> None:
        if self._live:
            self._live.update(_panel(self._title, window, elapsed_s, fraction))
        elif self._enabled and time.monotonic() - self._last_line >= LINE_EVERY_S:
            self._last_line = time.monotonic()
            figures = ", ".join(f"{name} {value}" for name, value, _ in _rows(window))
            self.console.print(f"{elapsed_s:.0f} s: {figures}", soft_wrap=True)


def _rows(window: Window) -> list[tuple[str, str, str]]:
    now = window.figures()
    return [
        ("tick rate", _number(now["measured_rate_hz"], "Hz", 2), "environment steps a second"),
        ("lateness p99", _number(now["lateness_ms"]["p99"], "ms", 3), "of the boundaries between ticks"),
        ("inaction", _number(now["inaction"], "%", 2, scale=100), "of the ticks were left to the default action"),
        ("delay", _number(now["delay"]["mean"], "ticks", 1), "from observation to action"),
        ("τ_θ", _number(now["inference"]["tau_network_ms"], "ms", 2), "an inference of the network"),
        (
            "greedy",
            _number(now["inference"]["greedy"], "%", 0, scale=100),
            "decisions the network made; others explore",
        ),
        ("updates", _number(now["learning"]["updates_per_s"], "a second", 1), f"{window.updates} so far"),
        ("return", _number(window.episode_return, "", 0), _finished(window)),
    ]


def _finished(window: Window) -> str:
    if not window.returns:
        return "so far, in the first episode"
    return f"so far; {len(window.returns)} episodes finished, the last with {window.returns[-1]:.0f}"


def _panel(title: str, window: Window, elapsed_s: float, fraction: float | None) -> Panel:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(justify="right", min_width=14)
    table.add_column(style="dim")
    for row in _rows(window):
        table.add_row(*row)
    clock = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=1.0, completed=fraction, width=40) if fraction is not None else Text("")
    clock.add_row(bar, f"{elapsed_s:.0f} s, tick {window.ticks}")
    return Panel(Group(table, Text(""), clock), title=title, title_align="left", expand=False)


def _number(value, unit: str, digits: int, scale: float = 1) -> str:
    return "–" if value is None else f"{value * scale:.{digits}f} {unit}".strip()


def print_summary(console: Console, summary: dict, run_dir: str) -> None:
    """The table at the end, and where the run is."""
    if not summary["ticks"]:
        console.print(
            f"The run was ended by {summary['ended_by']} before its first tick. It is in {run_dir}", soft_wrap=True
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
            f"the network made {_number(inference['greedy'], '%', 0, 100)} of the decisions",
        ),
        (
            "decisions",
            f"{decided}",
            f"{inference['applied']} applied, {inference['overwritten']} overwritten, {inference['stale']} stale",
        ),
        (
            "updates",
            f"{learning['updates']}, {learning['updates_per_s']:.1f} a second",
            f"loss {_number(learning['loss'], '', 5)}",
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
    for failure in summary["failures"]:
        console.print(Text(f"failure: {failure['process']} {failure['reason']} after {failure['time_s']:.1f} s"))
    console.print(f"The run is in {run_dir}", soft_wrap=True)
