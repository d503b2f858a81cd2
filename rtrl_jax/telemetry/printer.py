"""Lines, and below them a panel that changes, printed by a thread of their own: nobody may be reading, and who has something to
say must not wait for that.
"""

import collections
import sys
import threading

from rich.cells import cell_len
from rich.console import Console
from rich.control import strip_control_codes

from rtrl_jax.telemetry.stream import Stream

MOST_LINES = 500  # that wait to be written
KEPT_LINES = 100  # written ones, to be shown again when the screen is drawn anew
REDRAW_S = 0.125  # between two looks at the panel and at the size of the terminal
CLOSING_S = 1.0
HOME, UP, CLEAR_ROW = "\x1b[H", "\x1b[{}F", "\x1b[K"


class Printer:
    """Its methods return at once. Of panels the newest wins; lines that nobody reads are counted once MOST_LINES of them wait."""

    def __init__(self, console: Console):
        self._console, self._stream = console, Stream(console.file)
        self._changed = threading.Condition()
        self._lines: collections.deque[str] = collections.deque()
        self._unread = 0  # lines that were dropped
        self._panel = self._shown = None  # the newest, and the one on the screen
        self._closing = self._gone = False
        self._said: collections.deque[str] = collections.deque(maxlen=KEPT_LINES)
        self._height = self._columns = 0  # of the panel and of the terminal; the cursor is on the row below the panel
        self._thread = threading.Thread(target=self._run, name="printer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def line(self, text: str) -> None:
        """Prints text that stays."""
        with self._changed:
            if len(self._lines) < MOST_LINES:
                self._lines.append(strip_control_codes(text))
            else:
                self._unread += 1
            self._changed.notify()

    def panel(self, draw) -> None:
        """Replaces the panel. Args: draw: (columns, rows) there are -> something for rich to print there."""
        with self._changed:
            self._panel = draw

    def close(self) -> None:
        """Writes what waits and takes the panel away; gives up after CLOSING_S."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(CLOSING_S)
        self._gone = True

    def _run(self) -> None:
        try:
            while not self._gone:
                with self._changed:
                    self._changed.wait_for(self._has_words, timeout=REDRAW_S)
                    lines, unread, closing = list(self._lines), self._unread, self._closing
                    self._lines.clear()
                    self._unread = 0
                    panel = None if closing else self._panel
                if unread:
                    lines.append(f"({unread} more lines were not printed, since nobody read them)")
                self._print(lines, panel)
                if closing:
                    return
        except (OSError, ValueError):  # the terminal is gone, or the pipe is broken
            return

    def _has_words(self) -> bool:
        return bool(self._lines) or self._closing

    def _print(self, lines: list[str], panel) -> None:
        """Writes lines and panel in one go, over the panel that was there."""
        columns, rows = self._console.size
        # A terminal of another width may have wrapped the panel, and one that is lower has lost its top: nobody can tell where it
        # is now.
        anew = self._height > 0 and (columns != self._columns or self._height >= rows)
        if not (anew or lines or panel is not self._shown):
            return
        drawn = self._draw(panel, columns - 1, rows - 1) if panel else []
        self._said.extend(lines)
        if anew:
            lines = self._last_said(columns, rows - 1 - len(drawn))
        erase = ""
        if anew:
            erase = _clear(rows - 1, HOME)
        elif self._height:
            erase = _clear(self._height, UP.format(self._height))
        self._shown, self._height, self._columns = panel, len(drawn), columns
        self._stream.write(erase + "".join(f"{line}\n" for line in [*lines, *drawn]))

    def _draw(self, panel, columns: int, rows: int) -> list[str]:
        with self._console.capture() as captured:
            self._console.print(panel(columns, rows), width=columns, end="")
        return captured.get().rstrip("\n").split("\n")[:rows]

    def _last_said(self, columns: int, room: int) -> list[str]:
        """The newest lines that fit."""
        kept = []
        for line in reversed(self._said):
            room -= sum(-(-max(1, cell_len(part)) // columns) for part in line.split("\n"))
            if room < 0:
                break
            kept.insert(0, line)
        return kept


def _clear(rows: int, to_the_first: str) -> str:
    """Clears rows one by one, since some terminals keep a copy of what is cleared at once, and goes back to the first."""
    return to_the_first + rows * f"{CLEAR_ROW}\n" + CLEAR_ROW + to_the_first


class Lines:
    """Stands for sys.stdout or sys.stderr while a panel is drawn: what anybody prints is a line above it."""

    def __init__(self, printer: Printer, file):
        self._printer, self._file, self._begun = printer, file, ""

    def __getattr__(self, name: str):
        return getattr(self._file, name)

    def write(self, text: str) -> int:
        if self._printer is None:
            return self._file.write(text)
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._printer.line(line)
        return len(text)

    def writelines(self, lines) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        if self._printer is None:
            self._file.flush()

    def end(self) -> None:
        """From now on all goes to the file: a logger may have kept this."""
        if self._begun:
            self.write("\n")
        self._printer = None


class Redirected:
    """Within it everything Python prints to the terminal goes through `printer`."""

    def __init__(self, printer: Printer):
        self._printer, self._lines = printer, {}

    def __enter__(self) -> None:
        for name in ("stdout", "stderr"):
            file = getattr(sys, name)
            if file is not None and file.isatty():
                self._lines[name] = file, Lines(self._printer, file)
                setattr(sys, name, self._lines[name][1])

    def __exit__(self, *_) -> None:
        for name, (file, lines) in self._lines.items():
            if getattr(sys, name) is lines:
                setattr(sys, name, file)
            lines.end()
