"""The exceptions a user is meant to see, each a line that says what is wrong and what to do; and what to suggest in it."""

import difflib


class UserError(Exception):
    """Bad input. `str(error)` is a single line; command-line programs print it and exit with status 2."""


class DivergedError(RuntimeError):
    """Learning has come to what is no finite number. `str(error)` is a line about who learned, without the name. Nothing of the
    update was kept: the run ends, and can be gone on with.
    """

    EXIT_STATUS = 117  # of a process of a run that ends so, and of no other; the line is the last of its output


def nearest(name: str, known: list[str]) -> str:
    """'; did you mean …?' for the known name closest to `name`, or nothing if none is close."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f"; did you mean {by_lower[close[0]]}?" if close else ""
