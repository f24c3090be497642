"""lib is built in floors: a module imports only from floors below it."""

import ast
import sys
from pathlib import Path

import pytest

LIB = Path(__file__).resolve().parents[1] / "lib"
NUMBERS = {"numpy", "scipy", "pandas"}
FLOORS = [  # modules, and the packages they may need beside the standard library
    ({"plan", "claims", "checks", "files"}, set()),
    ({"sampling", "data", "statistics", "fingerprint"}, NUMBERS | {"sklearn", "mnist1d"}),
    (
        {
            "accumulation",
            "checkpoint",
            "distributed",
            "models",
            "training",
            "replicas",
            "sweep",
            "noise_scale",
            "profiling",
        },
        NUMBERS | {"torch", "tqdm", "numba", "joblib", "threadpoolctl"},
    ),
    ({"records", "figures"}, NUMBERS | {"matplotlib", "cycler", "filelock"}),
]
MODULES = sorted(p for p in LIB.glob("*.py") if p.stem != "__init__")


def imports(path):
    """(packages, modules of lib) that a module imports, anywhere in it."""
    packages, ours = set(), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        for name in names:
            if name == "lib":
                ours |= {alias.name for alias in node.names}
            elif name.startswith("lib."):
                ours.add(name.split(".")[1])
            elif name.split(".")[0] not in sys.stdlib_module_names:
                packages.add(name.split(".")[0])
    return packages, ours


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_imports_only_from_below(path):
    floor = next((i for i, (modules, _) in enumerate(FLOORS) if path.stem in modules), None)
    assert floor is not None, f"lib/{path.name} has no floor; give it one in this test"
    packages, ours = imports(path)
    assert packages <= FLOORS[floor][1]
    below = set().union(*(modules for modules, _ in FLOORS[: floor + 1]))
    assert ours <= below
