"""A terminal for tests: as much of one as the panel uses. Made narrower it wraps what it shows, as most terminals do."""

import re

TOKEN = re.compile(r"\x1b\[([\d;]*)([A-Za-z])|(.)", re.DOTALL)


class Screen:
    """A text file to write to; `text` is what a person sees."""

    encoding = "utf-8"

    def __init__(self, columns: int, rows: int):
        self.columns, self.height = columns, rows
        self._rows, self._row, self._column = [""], 0, 0
        self._is_wrapped = [False]  # whether a row goes on with the one before

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        pass

    def write(self, text: str) -> None:
        for number, what, letter in TOKEN.findall(text):
            if letter == "\n":
                self._down(wrapped=False)
                self._column = 0
            elif letter:
                self._put(letter)
            elif what == "F":
                self._row, self._column = max(self._top, self._row - int(number or 1)), 0
            elif what == "H":
                self._row, self._column = self._top, 0
            elif what == "K":
                self._rows[self._row] = self._rows[self._row][: self._column]
            elif what != "m":  # colours
                raise AssertionError(f"this screen does not know {what}")

    def resize(self, columns: int, rows: int) -> None:
        lines = []
        for row, is_wrapped in zip(self._rows, self._is_wrapped, strict=True):
            if is_wrapped:
                lines[-1] += row
            else:
                lines.append(row)
        self.columns, self.height = columns, rows
        self._rows, self._is_wrapped = [], []
        for line in lines:
            parts = [line[at : at + columns] for at in range(0, max(1, len(line)), columns)]
            self._rows += parts
            self._is_wrapped += [number > 0 for number in range(len(parts))]
        self._row, self._column = len(self._rows) - 1, 0

    @property
    def text(self) -> str:
        return "\n".join(row.rstrip() for row in self._rows[self._top :]).rstrip("\n")

    @property
    def _top(self) -> int:
        return max(0, len(self._rows) - self.height)

    def _down(self, wrapped: bool) -> None:
        self._row += 1
        if self._row == len(self._rows):
            self._rows.append("")
            self._is_wrapped.append(wrapped)

    def _put(self, letter: str) -> None:
        if self._column == self.columns:
            self._down(wrapped=True)
            self._column = 0
        row = self._rows[self._row].ljust(self._column)
        self._rows[self._row] = row[: self._column] + letter + row[self._column + 1 :]
        self._column += 1
