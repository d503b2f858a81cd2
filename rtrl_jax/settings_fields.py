"""What the settings of all commands have in common: fields that say what they are for and what they may be, and their one check.

A settings class is a frozen dataclass whose fields are made by `setting`. Its flags, its help, its page in docs/flags.md
and its check all follow from them.
"""

import json
import math
import typing
from collections.abc import Callable, Sequence
from dataclasses import Field, field, fields
from typing import Any, NamedTuple

from rtrl_jax.errors import UserError


class Condition(NamedTuple):
    """What a setting belongs to: as words that follow "belongs to", and whether settings are so."""

    says: str
    holds: Callable[[Any], bool]
    hint: str = ""  # what to do if they are not


def when(name: str, value) -> Condition:
    """The condition that the setting `name` has that value."""
    return Condition(f"--{name}={value}", lambda settings: getattr(settings, name) == value)


class Facts(NamedTuple):
    """What is known of a setting; see `setting`."""

    help: str
    choices: tuple[str, ...] | None
    group: str | None
    above: float | None
    at_least: float | None
    at_most: float | None
    parse: Callable[[Any, str], Any] | None
    belongs_to: Condition | None
    once: bool

    @property
    def range(self) -> str:
        """Its bounds in words that follow "it must be"; "" if it has none."""
        if self.at_least is not None and self.at_most is not None:
            return f"between {_plain(self.at_least)} and {_plain(self.at_most)}"
        words = (("greater than", self.above), ("at least", self.at_least), ("at most", self.at_most))
        return " and ".join(f"{word} {_plain(bound)}" for word, bound in words if bound is not None)

    def allows(self, value: float) -> bool:
        low = -math.inf if self.at_least is None else self.at_least
        high = math.inf if self.at_most is None else self.at_most
        above = -math.inf if self.above is None else self.above
        return low <= value <= high and above < value < math.inf  # which is false of NaN


def setting(
    default,
    help_text: str,
    choices: Sequence[str] | None = None,
    *,
    group: str | None = None,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    between: tuple[float, float] | None = None,
    parse: Callable[[Any, str], Any] | None = None,
    belongs_to: Condition | None = None,
    once: bool = False,
):
    """A dataclass field.

    Args:
      help_text: what --help says.
      choices: the only values.
      group: a heading that begins here; the fields that follow are under it too.
      above, at_least, at_most, between: bounds of a number, which is finite in any case.
      parse: (text, name of the flag) -> what it stands for, raises UserError; may have an attribute `range`, its values in words.
      belongs_to: without which it may only have its default.
      once: whether it is of this run alone, so that a flagfile which repeats the run leaves it out.
    """
    choices = None if choices is None else tuple(choices)
    at_least, at_most = between or (at_least, at_most)
    facts = Facts(help_text, choices, group, above, at_least, at_most, parse, belongs_to, once)
    return field(default=default, metadata={"facts": facts})


def same_as(settings: type, name: str, help_text: str | None = None, group: str | None = None):
    """A dataclass field with the default and the facts of another settings class's, but for what it belongs to there."""
    other = settings.__dataclass_fields__[name]
    known = facts(other)
    known = known._replace(help=help_text or known.help, group=group, belongs_to=None)
    return field(default=other.default, metadata={"facts": known})


class NumberOr:
    """Parses text that is a whole number within bounds, or one of a few words."""

    def __init__(self, words: dict[str, int | None], least: int, most: int):
        """Args: words: what each stands for."""
        self._words, self._least, self._most = words, least, most

    @property
    def range(self) -> str:
        *others, last = self._words
        return ", ".join([f"a number from {self._least} to {_plain(self._most)}", *others, f"or {last}"])

    def __call__(self, value, flag: str) -> int | None:
        text = str(value)
        if text in self._words:
            return self._words[text]
        number = int(text) if text.isdecimal() and len(text) < 20 else -1
        if not self._least <= number <= self._most:
            raise UserError(f"--{flag}={value}: give {self.range}")
        return number


def json_object(given: str | dict, flag: str) -> dict:
    """A JSON object, given as text or as what it says, with every value copied anew. Raises UserError if it is none."""
    try:
        found = json.loads(given if isinstance(given, str) else json.dumps(given))
    except (ValueError, TypeError, RecursionError):
        found = None
    if not isinstance(found, dict) or (not isinstance(given, str) and found != given):
        raise UserError(f'--{flag}={given}: give a JSON object, e.g. {{"continuous": false}}')
    return found


def facts(item: Field) -> Facts:
    """What is known of a dataclass field made by `setting`."""
    return item.metadata["facts"]


def groups(settings: type) -> dict[str, list[Field]]:
    """Headings, and the fields under each, in order."""
    found: dict[str, list[Field]] = {}
    heading = ""
    for item in fields(settings):
        heading = facts(item).group or heading
        found.setdefault(heading, []).append(item)
    return found


def plain_type(annotation) -> type:
    """int | None -> int."""
    return next((part for part in typing.get_args(annotation) if part is not type(None)), annotation)


def check(settings) -> None:
    """Raises UserError if a value has another type or is out of range, or belongs to what was not chosen."""
    for item in fields(settings):
        _check_value(item, getattr(settings, item.name))
    for item in fields(settings):
        value, condition = getattr(settings, item.name), facts(item).belongs_to
        if condition is not None and value != item.default and not condition.holds(settings):
            given = item.name if isinstance(value, bool) else f"{item.name}={value}"
            raise UserError(f"--{given} belongs to {condition.says}" + (condition.hint and f": {condition.hint}"))


def _check_value(item: Field, value) -> None:
    known, kind = facts(item), plain_type(item.type)
    if value is None and kind is not item.type:
        return
    if not _has_type(value, kind):
        raise UserError(f"--{item.name}={value!r}: it should be {_TYPE_NAMES[kind]}")
    if known.choices and value not in known.choices:
        raise UserError(f"--{item.name}={value}: choose one of {', '.join(known.choices)}")
    if kind in (int, float) and not known.allows(value):
        raise UserError(f"--{item.name}={value}: it must be {known.range or 'a number that is finite'}")
    if kind is str and len(str(value).splitlines()) > 1:
        raise UserError(f"--{item.name} has several lines: write it in one")
    if known.parse is not None:
        known.parse(value, item.name)


_TYPE_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def _has_type(value, kind: type) -> bool:
    if isinstance(value, bool) and kind is not bool:  # which Python takes for a number
        return False
    return isinstance(value, {str: str | int | float, int: int, float: int | float, bool: bool}[kind])


def _plain(bound: float) -> str:
    if bound != int(bound):
        return f"{bound:g}"
    return f"{int(bound):,}" if bound >= 100_000 else str(int(bound))
