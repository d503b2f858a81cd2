"""Imports point down the table of rooms in docs/architecture.md, and no room is missing from it."""

import ast
import pathlib
import re

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "rtrl_jax"


def rooms():
    """Room -> its floor, counted from the top: rooms of one row stand on the same floor."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    table = text[text.index("| rooms, from the top |") :]
    rows = [line for line in table.splitlines()[2:] if line.startswith("|")]
    rows = rows[: next((i for i, line in enumerate(table.splitlines()[2:]) if not line.startswith("|")), len(rows))]
    found = {}
    for floor, row in enumerate(rows):
        for name in re.findall(r"`([a-z_]+)(?:/|\.py)?`", row.split("|")[1]):
            found[name] = floor
    return found


def room_of(path):
    inside = path.relative_to(PACKAGE)
    return inside.parts[0].removesuffix(".py")


def imports(path):
    """The modules of the package that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def upward(path, floors):
    here = room_of(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "rtrl_jax":
            continue
        there = parts[1] if len(parts) > 1 and parts[1] in floors else "__init__"
        if there != here and floors[there] < floors[here]:
            yield f"{path.relative_to(ROOT)} imports {name}, which is above it"


def test_every_room_stands_in_the_table_and_none_that_is_gone():
    there = {room_of(path) for path in PACKAGE.rglob("*.py")}
    assert there == set(rooms())


def test_imports_point_down():
    floors = rooms()
    assert not [line for path in sorted(PACKAGE.rglob("*.py")) for line in upward(path, floors)]


def test_launch_and_benchmarks_are_imported_by_nobody():
    assert not [
        path
        for path in PACKAGE.rglob("*.py")
        for name in imports(path)
        if name.split(".")[0] in ("launch", "benchmarks")
    ]


def test_an_import_that_points_up_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("test_imports.PACKAGE", tmp_path)
    monkeypatch.setattr("test_imports.ROOT", tmp_path)
    (tmp_path / "board").mkdir()
    bad = tmp_path / "board" / "ring.py"
    bad.write_text("def f():\n    from rtrl_jax.realtime import drive\n")
    assert list(upward(bad, {"realtime": 0, "board": 1, "__init__": 0}))


def test_imports_within_the_package_are_absolute():
    """Or the tests above would not see them."""
    nodes = (node for path in PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(path.read_text())))
    assert not [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.level]
