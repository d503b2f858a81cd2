"""What the command-line programs share: flags from a settings class, and errors as one line and an exit status."""

import dataclasses
import sys
import traceback
from collections.abc import Callable

from absl import app, flags

from rtrl_jax.errors import UserError
from rtrl_jax.settings import plain_type


def define_flags(settings: type) -> None:
    """Defines a flag for each field of a settings class, with its default, help and choices."""
    kinds = {str: flags.DEFINE_string, int: flags.DEFINE_integer, float: flags.DEFINE_float, bool: flags.DEFINE_bool}
    for item in dataclasses.fields(settings):
        help_text, choices = item.metadata["help"], item.metadata["choices"]
        if choices:
            flags.DEFINE_enum(item.name, item.default, list(choices), help_text)
        else:
            kinds[plain_type(item.type)](item.name, item.default, help_text)
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[item.name])  # so that --help shows it


def run_command(main: Callable[..., None], argv: list[str] | None = None, operands: tuple[str, ...] = ()) -> int:
    """Parses the flags, calls `main` and returns the exit status: 0 done, 2 bad input (one line), 1 anything else.

    Args: operands: what the words that are no flags are called; `main` is called with them.
    """
    argv = argv or sys.argv
    app.define_help_flags()
    try:
        try:
            rest = flags.FLAGS(argv)
        except SystemExit:  # absl has printed the help that was asked for
            return 0
        if len(rest) <= len(operands):
            raise UserError(f"{operands[len(rest) - 1]} is missing: {argv[0]} {' '.join(operands)}")
        if len(rest) > 1 + len(operands):
            raise UserError(f"{rest[1 + len(operands)]!r} is not a flag: flags look like --name=value")
        main(*rest[1:])
    except (flags.Error, UserError, OSError) as error:
        bad_input = isinstance(error, flags.Error | UserError)
        print(f"{argv[0]}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2 if bad_input else 1
    except KeyboardInterrupt:  # before a run began; from then on the supervisor handles it
        print(f"{argv[0]}: interrupted", file=sys.stderr)
        return 1
    except RuntimeError as error:
        if not str(error):
            traceback.print_exc()
        print(f"{argv[0]}: {error}", file=sys.stderr)
        return 1
    return 0
