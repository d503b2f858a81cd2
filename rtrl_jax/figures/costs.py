"""What the tables of the studies cost, for the one table of claims."""

import pathlib

from rtrl_jax.figures import tables

SECONDS = 3600.0
COSTED = {"scaling": ("workers", "learners", "constancy"), "regret": ("runs", "learning")}


def by_table(results: pathlib.Path) -> dict[str, str]:
    """Core-hours by table; none where it is not known."""
    found = {}
    for folder, names in COSTED.items():
        spent = {row["table"]: row["core_seconds"] for row in tables.read(results / folder / "costs.csv")}
        for name in names:
            found[f"hours_{folder}_{name}"] = f"{spent[name] / SECONDS:.2f}" if name in spent else ""
    return found
