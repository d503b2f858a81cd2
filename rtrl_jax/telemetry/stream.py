"""Writing text where perhaps nobody reads: a stopped terminal, a pager, a pipe whose other end is busy with something else."""

import os
import select
import sys
import threading

PART = 4096  # bytes, or letters, written at a time
PATIENCE_S = 5.0


class Stream:
    """Writes to a text file; a write lasts until somebody has read enough.

    Python's own stdout and stderr are written to past their buffer: a thread that is stuck in a write would hold its lock, and
    without that the interpreter cannot end.
    """

    def __init__(self, file):
        self._file = file
        self._descriptor = file.fileno() if file in (sys.__stdout__, sys.__stderr__) else None
        self.written = 0  # grows with what is written

    def write(self, text: str) -> None:
        """Raises OSError or ValueError if the file has gone away."""
        if self._descriptor is None:
            for first in range(0, len(text), PART):
                self._file.write(text[first : first + PART])
                self._file.flush()
                self.written += PART
            return
        data = text.encode(self._file.encoding or "utf-8", "backslashreplace")
        while data:
            try:
                count = os.write(self._descriptor, data[:PART])
            except BlockingIOError:  # whoever gave us the file has made it so
                ready = select.poll()
                ready.register(self._descriptor, select.POLLOUT)
                ready.poll()
                continue
            data = data[count:]
            self.written += count


def write_patiently(file, text: str, patience_s: float = PATIENCE_S) -> bool:
    """Writes text, and gives up when nobody has read on for `patience_s`. Returns whether all of it was written.

    Raises:
      OSError, ValueError: as `Stream.write`.
    """
    stream, failures = Stream(file), []

    def write() -> None:
        try:
            stream.write(text)
        except (OSError, ValueError) as error:
            failures.append(error)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    before = -1
    while thread.is_alive() and stream.written > before:
        before = stream.written
        thread.join(patience_s)
    if failures:
        raise failures[0]
    return not thread.is_alive()
