"""What the code imports is what pyproject.toml names: for those who run it, for pages and films, and for tests."""

import ast
import importlib.metadata
import re
import sys
import tomllib

import pytest
from conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# In .bench-venv, see benchmarks/pytorch_environment.py.
BENCHMARKS_ALONE = {"torch", "onnx", "onnxruntime", "openvino"}


def imported(folder: str) -> dict[str, str]:
    """Top-level modules that are neither the standard library's nor in the repository, and a file that imports each."""
    found = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            found |= {name.partition(".")[0]: str(path.relative_to(ROOT)) for name in names}
    ours = {"rtrl_jax"} | {path.stem for top in ("benchmarks", "tests") for path in (ROOT / top).rglob("*")}
    return {name: path for name, path in found.items() if name not in ours | sys.stdlib_module_names}


def declared(*extras: str) -> set[str]:
    """Distributions that come with the package and with these extras, by their normal names."""
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    return {normal(re.match(r"[\w.-]+", line)[0]) for line in lines}


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("rtrl_jax", ("cluster", "page", "video")),
        ("launch", ()),
        ("benchmarks", ("cluster", "environments", "page")),
        ("tests", ("cluster", "page", "video", "test")),
    ],
)
def test_every_import_is_of_a_package_that_pyproject_names(folder, extras):
    of_module = importlib.metadata.packages_distributions()
    known = declared(*extras)
    missing = {
        name: path
        for name, path in imported(folder).items()
        if name not in BENCHMARKS_ALONE and not known & {normal(found) for found in of_module.get(name, [name])}
    }
    assert not missing
    assert "absl" in imported(folder)


def test_the_constraints_fix_what_pyproject_names():
    lines = (ROOT / "constraints.txt").read_text().split()
    fixed = {normal(name): version for name, _, version in (line.partition("==") for line in lines)}
    assert declared("cluster", "environments", "laboratory", "page", "video", "test") - {"rtrl-jax"} <= set(fixed)
    backend = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert backend == [f"hatchling=={fixed['hatchling']}"]
    assert backend[0] in PROJECT["optional-dependencies"]["test"]
