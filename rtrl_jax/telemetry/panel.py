"""The panel that is drawn in the terminal while a run goes on, as large as there is room for."""

from rich.console import Group
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rtrl_jax.telemetry.live import Window

MEANING_COLUMNS = 44  # the longest of the fixed ones; if there are fewer it is left out
LEAST_ROWS = 3  # with fewer there is no frame
BAR_COLUMNS = (8, 40)  # at least, at most
FRAME_ROWS, FRAME_COLUMNS = 2, 4


def rows(window: Window) -> list[tuple[str, str, str]]:
    """(name, value, meaning) of each figure."""
    now = window.figures()
    return [
        ("tick rate", number(now["measured_rate_hz"], "Hz", 2), "environment steps a second"),
        ("lateness p99", number(now["lateness_ms"]["p99"], "ms", 3), "of the boundaries between ticks"),
        ("inaction", number(now["inaction"], "%", 2, scale=100), "of the ticks were left to the default action"),
        ("delay", number(now["delay"]["mean"], "ticks", 1), "from observation to action"),
        ("τ_θ", number(now["inference"]["tau_network_ms"], "ms", 2), "an inference of the network"),
        (
            "greedy",
            number(now["inference"]["greedy"], "%", 0, scale=100),
            f"of decisions; of what acted {number(now['inference']['exploratory'], '%', 0, scale=100)} explored",
        ),
        ("updates", number(now["learning"]["updates_per_s"], "a second", 1), f"{window.updates:,} so far"),
        *([("learning", f"Q {short(now['learning']['q'])}", diagnostics(now["learning"]))] if window.updates else []),
        ("return", number(window.episode_return, "", 0), _finished(window)),
    ]


LEFT_OUT = (
    "greedy",
    "learning",
    "lateness p99",
    "updates",
    "return",
    "τ_θ",
    "delay",
    "inaction",
    "tick rate",
)  # in this order


def in_a_line(shown: list[tuple[str, str, str]]) -> str:
    """The same without what it means, unless that has figures of its own."""
    return ", ".join(f"{name} {value}" + (f" ({more})" if name == "learning" else "") for name, value, more in shown)


def diagnostics(learning: dict) -> str:
    """Args: learning: of `summary.statistics`."""
    target, error, norm = (short(learning[name]) for name in ("target_q", "td_error", "gradient_norm"))
    inactive = number(learning["inactive"], "%", 0, scale=100)
    return f"target {target}, |TD| {error}, ‖∇‖ {norm}, idle {inactive}"


def short(value: float | None) -> str:
    """Three digits that matter; a dash for None."""
    return "–" if value is None else f"{value:.3g}"


def _finished(window: Window) -> str:
    if not window.returns:
        return "so far, in the first episode"
    count = len(window.returns)
    return f"so far; {count:,} episode{'s' * (count != 1)} finished, the last with {window.returns[-1]:.0f}"


def number(value, unit: str, digits: int, scale: float = 1) -> str:
    """A figure with its unit; a dash for None."""
    return "–" if value is None else f"{value * scale:.{digits}f} {unit}".strip()


def figures(title: str, shown: list[tuple[str, str, str]], words: str, fraction: float | None):
    """(columns, rows) -> what fits into them. Args: shown: see `rows`. words, fraction: how much of the run is over."""

    def draw(columns: int, rows: int):
        if rows < FRAME_ROWS + 1 + LEAST_ROWS:
            return Text(words, no_wrap=True, overflow="ellipsis")
        room = rows - FRAME_ROWS - 1  # for the figures
        crowded = LEFT_OUT[: max(0, len(shown) - room)]
        kept = [row for row in shown if row[0] not in crowded][:room]
        gap = [Text("")] if len(kept) < room else []
        inner = columns - FRAME_COLUMNS
        return _framed([_table(kept, inner), *gap, _bar(words, fraction, inner)], title)

    return draw


def waiting(title: str, words: str, fraction: float | None = None):
    """(columns, rows) -> what fits into them: what is waited for."""

    def draw(columns: int, rows: int):
        line = _bar(words, fraction, columns - FRAME_COLUMNS)
        return line if rows < FRAME_ROWS + 1 else _framed([line], title)

    return draw


def _framed(parts: list, title: str) -> Panel:
    return Panel(Group(*parts), title=Text(title, no_wrap=True, overflow="ellipsis"), title_align="left", expand=False)


def _table(shown: list[tuple[str, str, str]], columns: int) -> Table:
    names, values = max(len(row[0]) for row in shown), max(14, *(len(row[1]) for row in shown))
    has_meaning = columns - names - values - 4 >= MEANING_COLUMNS
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(justify="right", min_width=min(values, columns // 2), no_wrap=True)
    if has_meaning:
        table.add_column(style="dim", no_wrap=True, overflow="ellipsis")
    for row in shown:
        table.add_row(*row[: 2 + has_meaning])
    return table


def _bar(words: str, fraction: float | None, columns: int) -> Table | Text:
    """What is over, as a bar if there is room, and in words."""
    text = Text(words, no_wrap=True, overflow="ellipsis")
    least, most = BAR_COLUMNS
    room = columns - len(words) - 1
    if fraction is None or room < least:
        return text
    line = Table.grid(padding=(0, 1))
    line.add_row(ProgressBar(total=1.0, completed=fraction, width=min(room, most)), text)
    return line
