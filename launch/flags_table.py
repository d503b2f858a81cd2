"""Prints docs/flags.md: every flag of run, evaluate and plan, with its default, meaning, bounds and what it belongs to.

python launch/flags_table.py > docs/flags.md
"""

import dataclasses
import sys

from rtrl_jax import flagfiles
from rtrl_jax.evaluation.settings import Evaluation
from rtrl_jax.planning.settings import Planning
from rtrl_jax.settings import Settings
from rtrl_jax.settings_fields import facts, groups

COMMANDS = {"run": Settings, "evaluate": Evaluation, "plan": Planning}
COLUMNS = ("flag", "default", "what it is", "values", "belongs to")
HEADER = f"""# Flags

Made by `python launch/flags_table.py > docs/flags.md`; a test holds it to the code.

`python launch/run.py --stagger=none` in a checkout is `rtrl-run --stagger=none` where the package is installed and
`rtrl_jax.run(stagger="none")` in Python, where a path may be a `pathlib.Path`, `cores` a list and `environment_kwargs`
a dict. Every program has `--help`. A flag that belongs to something is refused without it, rather than
ignored.

A flagfile has a flag on each line; later flags win over earlier ones. `--flagfile=FILE` takes a path, or the name of
one that is in the box (`configs/`): {", ".join(f"`{name}`" for name in flagfiles.names())}.

## Exit status

0, the command did what was asked; 1, it failed; 2, bad input: one line on stderr says what is wrong and what to do, and
nothing has been written.

A run ended by Ctrl-C, SIGTERM or SIGHUP, once its processes have been started, exits with 0. It has no fixed amount of
work: it goes on until a limit is reached or somebody has seen enough, and after a signal it leaves behind the same as at
a limit: all records, the summary and a last checkpoint, from which it can be resumed. So a batch system that sends
SIGTERM sees no failure, and a shell loop over runs goes on with the next one. Which end it was is `ended_by` in
`summary.json` (`its limits`, `SIGINT`, `SIGTERM`, …), for scripts that need to know. `evaluate` and
`scaling`, ended early, write what is finished and exit with 1.
"""


def main() -> None:
    sections = [HEADER]
    for name, settings in COMMANDS.items():
        sections.append(f"## {name}: `launch/{name}.py`, `rtrl-{name}`\n")
        if settings is Settings:
            sections.append(
                "`--resume` goes on with the run in `--run_dir` from its newest checkpoint; flags given change it.\n"
            )
        for heading, items in groups(settings).items():
            sections.append(
                "\n".join([f"### {heading}\n", row(*COLUMNS), "|---" * len(COLUMNS) + "|", *map(entry, items), ""])
            )
    print("\n".join(sections), end="")


def entry(item: dataclasses.Field) -> str:
    known = facts(item)
    values = ", ".join(f"`{choice}`" for choice in known.choices or ())
    if isinstance(item.default, bool) or item.type == bool | None:
        values = "`true`, `false`"
    bounds = plain(known.range or getattr(known.parse, "range", ""))
    belongs_to = plain(known.belongs_to.says) if known.belongs_to else ""
    return row(f"`--{item.name}`", default(item.default), plain(known.help), values or bounds, belongs_to)


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def default(value) -> str:
    if value is None:
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else f'{value:g}' if isinstance(value, float) else value}`"


def plain(text: str) -> str:
    """As Markdown shows it unchanged in a table."""
    for character in "\\*<|":
        text = text.replace(character, f"\\{character}")
    return text


if __name__ == "__main__":
    sys.exit(main())
