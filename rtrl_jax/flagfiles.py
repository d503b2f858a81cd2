"""Flagfiles that are in the box, by name: `--flagfile=duel` is configs/duel.flags, in a checkout and in an installed package.

Those in a folder are called with it: `--flagfile=paper/figure5-tetris-async`.
"""

import pathlib

from rtrl_jax.errors import UserError, nearest

_PACKAGE = pathlib.Path(__file__).parent
ENDING = ".flags"
FLAG = "flagfile"


def folder() -> pathlib.Path:
    """Where they are: beside the package in a checkout, in it once installed."""
    installed = _PACKAGE / "configs"
    return installed if installed.is_dir() else _PACKAGE.parent / "configs"


def names() -> list[str]:
    """All of them, those in folders last."""
    found = (path.relative_to(folder()) for path in folder().rglob(f"*{ENDING}"))
    return [str(path.with_suffix("")) for path in sorted(found, key=lambda path: (len(path.parts), str(path)))]


def find(given: str) -> str:
    """The path of a flagfile, given as a path or by its name. Raises UserError if it looks like a name and is none."""
    if not _is_name(given) or pathlib.Path(given).is_file():
        return given  # to be opened by who reads it
    if given not in names():
        here = [name for name in names() if "/" not in name]
        folders = sorted({f"{name.split('/')[0]}/…" for name in names() if "/" in name})
        raise UserError(
            f"--{FLAG}={given}: there is no such file{nearest(given, names())} (in the box are {', '.join([*here, *folders])})"
        )
    return str(folder() / (given + ENDING))


def _is_name(given: str) -> bool:
    """Whether it is one word, or one after a folder of flagfiles."""
    place, slash, word = given.rpartition("/")
    is_word = bool(word) and word == pathlib.Path(word).stem
    return is_word and (not slash or (place.isidentifier() and (folder() / place).is_dir()))


def with_paths(argv: list[str]) -> list[str]:
    """A command line with the path of each flagfile in the place of its name. Raises UserError."""
    found, name_follows = [], False
    for number, word in enumerate(argv):
        if word == "--":
            return found + argv[number:]
        flag, equals, value = word.partition("=")
        if name_follows:
            word = find(word)
        elif equals and flag in (f"--{FLAG}", f"-{FLAG}"):
            word = f"{flag}={find(value)}"
        name_follows = word in (f"--{FLAG}", f"-{FLAG}")
        found.append(word)
    return found
