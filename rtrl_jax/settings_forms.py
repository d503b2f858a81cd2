"""Other forms of settings: as Python's callers give them, and as a flagfile that repeats a run."""

import json
import os
from dataclasses import fields

from rtrl_jax.errors import UserError
from rtrl_jax.settings import Settings
from rtrl_jax.settings_fields import facts


def from_python(given: dict) -> dict:
    """Settings as Python says them, turned into the plain values that JSON and a flagfile can hold.

    A path becomes its text, a number of numpy's a plain one, a dict of `environment_kwargs` JSON, a list of `cores` and an action
    text, and a function or class of `environment` the name by which other processes find it.

    Raises:
      UserError: `environment_kwargs` holds what JSON cannot, or no other process could find `environment`.
    """
    return {name: _from_python(name, value) for name, value in given.items()}


def _from_python(name: str, value):
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if name == "environment" and callable(value):
        module, place = (getattr(value, part, "") for part in ("__module__", "__qualname__"))
        if not place.isidentifier():  # a lambda, a part of something else, a partial
            raise UserError(
                f"environment={value!r}: other processes find a function or class by its name: define one at the top of a module"
            )
        return f"{module}:{place}"
    if name == "cores" and isinstance(value, list | tuple | range):
        return ",".join(str(core) for core in value)
    if name == "default_action" and (isinstance(value, list | tuple) or getattr(value, "ndim", 0)):
        return ",".join(str(float(number)) for number in value)
    if name == "environment_kwargs" and isinstance(value, dict):
        try:
            return json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise UserError(f"environment_kwargs={value!r} cannot be written as JSON ({error})") from None
    return value.item() if hasattr(value, "dtype") and getattr(value, "ndim", None) == 0 else value


def as_flagfile(settings: Settings) -> str:
    """Every setting as a line of a flagfile that repeats the run (into a new folder)."""
    lines = []
    for item in fields(settings):
        value = getattr(settings, item.name)
        line = f"--{item.name}={'' if value is None else value}"
        lines.append(f"# {line}" if value is None or facts(item).once else line)
    return "\n".join(lines) + "\n"
