"""What the command-line programs share: flags from a settings class, and errors as one line and an exit status."""

import contextlib
import dataclasses
import sys
import traceback
from collections.abc import Callable

from absl import app, flags

from rtrl_jax import flagfiles, flags_help
from rtrl_jax.errors import UserError
from rtrl_jax.settings_fields import facts, plain_type
from rtrl_jax.telemetry import stream


def define_flags(settings: type) -> None:
    """Defines a flag for each field of a settings class, with its default, help and choices."""
    kinds = {str: flags.DEFINE_string, int: flags.DEFINE_integer, float: flags.DEFINE_float, bool: flags.DEFINE_bool}
    for item in dataclasses.fields(settings):
        known = facts(item)
        if known.choices:
            flags.DEFINE_enum(item.name, item.default, list(known.choices), known.help)
        else:
            kinds[plain_type(item.type)](item.name, item.default, known.help)


def values(settings: type) -> dict:
    """What the flags of a settings class say, by name."""
    return {name: flags.FLAGS[name].value for name in settings.__dataclass_fields__}


def run_command(
    main: Callable[..., int | None],
    argv: list[str] | None = None,
    operands: tuple[str, ...] = (),
    settings: type | None = None,
    epilogue: str = "",
) -> int:
    """Parses the flags, calls `main` and returns the exit status: what `main` says, else 0; 2 bad input (one line), 1 all else.

    Args:
      operands: what the words that are no flags are called; `main` is called with them.
      settings: a settings class whose fields are flags too.
      epilogue: what --help says last.
    """
    argv = argv or sys.argv
    try:
        if settings is not None:
            define_flags(settings)
        app.define_help_flags()
        flags_help.define(lambda: flags_help.text(main, settings, argv[0], operands, epilogue))
        try:
            rest = flags.FLAGS(flagfiles.with_paths(argv))
        except SystemExit:  # the help that was asked for has been printed
            return 0
        if len(rest) <= len(operands):
            raise UserError(f"{operands[len(rest) - 1]} is missing: {argv[0]} {' '.join(operands)}")
        if len(rest) > 1 + len(operands):
            raise UserError(f"{rest[1 + len(operands)]!r} is not a flag: flags look like --name=value")
        return main(*rest[1:]) or 0
    except (flags.Error, UserError, OSError) as error:
        bad_input = isinstance(error, flags.Error | UserError)
        _say(f"{argv[0]}: {' '.join(str(error).split())}")
        return 2 if bad_input else 1
    except KeyboardInterrupt:  # a run has its own way to end; of all else, what was asked for is not all there
        _say(f"{argv[0]}: interrupted")
        return 1
    except RuntimeError as error:
        _say(f"{argv[0]}: {error}" if str(error) else traceback.format_exc())
        return 1


def _say(line: str) -> None:
    """To whoever reads it: a pipe that nobody empties does not keep the command from ending."""
    with contextlib.suppress(OSError, ValueError):
        stream.write_patiently(sys.stderr, f"{line}\n")
