"""How a process of ours is begun: importing what this one can and from where it does, but the standard library first.

With the current folder in front, as Python has it by itself, a random.py there would take the place of Python's own.
"""

import json
import os
import sys

_BEGIN = (
    "import json, sys; "
    "own = [entry for entry in sys.path if '-packages' not in entry]; "
    "sys.path[:] = own + [entry for entry in json.loads(sys.argv.pop(1)) if entry not in own]; "
    "import {module}; sys.exit({module}.main())"
)


def command(module: str, *arguments: str) -> list[str]:
    """The command line that calls `main()` of a module in a fresh process, whose return value is its exit status."""
    path = [os.path.abspath(entry) for entry in sys.path]
    return [sys.executable, "-P", "-c", _BEGIN.format(module=module), json.dumps(path), *arguments]
