"""What --help prints: what the command is for, then its flags by topic, wrapped to the terminal."""

import os
import pathlib
import shutil
import sys
import textwrap
from collections.abc import Callable

from absl import flags

from rtrl_jax.settings_fields import groups

WIDEST = 110  # columns
LEFT, NARROW = 26, 40  # of the names; and what is left at least, or the text comes below


class _Help(flags.BooleanFlag):
    """A flag that prints a text and ends the program, as absl's --help, whose place it takes."""

    def __init__(self, name: str, make_text: Callable[[], str], short_name: str | None = None):
        super().__init__(name, False, "show this help", short_name=short_name, allow_override=True)
        self._make_text = make_text

    def parse(self, argument):
        if self._parse(argument):
            try:
                print(self._make_text(), flush=True)
            except BrokenPipeError:  # as of `--help | head`
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit


def define(make_text: Callable[[], str]) -> None:
    """Has --help, -? and --helpshort print what `make_text()` returns; --helpfull stays absl's."""
    flags.DEFINE_flag(_Help("help", make_text, short_name="?"))
    flags.DEFINE_flag(_Help("helpshort", make_text))


def text(
    main: Callable, settings: type | None, program: str, operands: tuple[str, ...] = (), epilogue: str = ""
) -> str:
    """The help of a command.

    Args:
      main: its function, whose module's docstring comes first, and then the flags which that module defines.
      settings: a settings class whose fields are flags too, by group.
      program: as it was called; examples of the docstring are put so.
      operands: words that are no flags.
      epilogue: a paragraph that comes last.
    """
    width = min(WIDEST, shutil.get_terminal_size().columns)
    module = sys.modules[main.__module__]
    name = pathlib.Path(program).stem.replace("_", "-")
    called = f"python {program}" if program.endswith(".py") else pathlib.Path(program).name
    paragraphs = (module.__doc__ or "").strip().replace(f"rtrl-{name.removeprefix('rtrl-')}", called)
    usage = " ".join([f"Usage: {called}", *operands, "[--flag=value …]"])
    of_module = flags.FLAGS.flags_by_module_dict().get(
        sys.argv[0] if module.__name__ == "__main__" else module.__name__
    )
    topics = {"Flags": [flag.name for flag in of_module or ()]}
    if settings is not None:
        topics |= {heading: [item.name for item in items] for heading, items in groups(settings).items()}
    more = "--flagfile=FILE takes flags from a file, one on each line; --helpfull shows the flags of all modules."
    parts = [*(_filled(paragraph, width) for paragraph in paragraphs.split("\n\n")), usage]
    parts += [_topic(heading, names, width) for heading, names in topics.items() if names]
    return "\n\n".join([*parts, *(_filled(part, width) for part in (epilogue, more) if part)])


def _filled(paragraph: str, width: int) -> str:
    """Prose is wrapped; lines of commands stay as they are."""
    is_prose = not paragraph.lstrip().startswith(("python ", "rtrl-"))
    return textwrap.fill(paragraph, width, break_on_hyphens=False) if is_prose else textwrap.indent(paragraph, "  ")


def _topic(heading: str, names: list[str], width: int) -> str:
    return "\n".join([heading, *(_entry(flags.FLAGS[name], width) for name in names)])


def _entry(flag: flags.Flag, width: int) -> str:
    left = f"  --{'[no]' if flag.boolean else ''}{flag.name}"
    below = width - LEFT < NARROW
    indent = " " * (8 if below else LEFT)
    lines = textwrap.wrap(_said(flag), width - len(indent), break_on_hyphens=False) or [""]
    if below or len(left) > LEFT - 2:
        return "\n".join([left, *(indent + line for line in lines)])
    return "\n".join([f"{left:<{LEFT}}{lines[0]}", *(indent + line for line in lines[1:])])


def _said(flag: flags.Flag) -> str:
    choices = getattr(flag.parser, "enum_values", None)
    if choices:
        said = flag.help.removeprefix(f"<{'|'.join(choices)}>: ")  # which absl has put before it
        return f"{said}; one of {', '.join(choices)}; {_default(flag.default)}"
    return "; ".join(part for part in (" ".join(flag.help.split()), _default(flag.default)) if part)


def _default(value) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, list):
        return f"default {','.join(map(str, value))}"
    return f"default {str(value).lower() if isinstance(value, bool) else f'{value:g}' if isinstance(value, float) else value}"
