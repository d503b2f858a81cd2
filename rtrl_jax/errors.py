"""The one exception a user is meant to see: a line that says what is wrong and what to do."""


class UserError(Exception):
    """Bad input. `str(error)` is a single line; command-line programs print it and exit with status 2."""
