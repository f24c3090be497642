"""lib is built in floors: a module imports from floors below it or from its own, and never in a circle."""

import ast
import graphlib
import sys
from pathlib import Path

import pytest

NUMBERS = {"numpy", "scipy", "pandas"}
# From the ground up: a floor's name, its modules ("name.*" is a package with all in it), and the packages that they
# may need beside the standard library. A new module gets a place here.
FLOORS = [
    ("plan", "plan loading ramps tokens frameworks.* explain doctor claims checks files sources", set()),
    ("order, data, statistics", "sampling data statistics fingerprint language", NUMBERS | {"sklearn", "mnist1d"}),
    ("homework", "homework.*", {"numpy", "IPython", "traitlets"}),
    ("widgets", "widgets.*", NUMBERS | {"anywidget", "traitlets"}),
    ("what is trained, and how", "models transformer accumulation workload texts catalog recipe", NUMBERS | {"torch"}),
    ("one run", "progress evaluation devices checkpoint training", NUMBERS | {"torch", "tqdm"}),
    (
        "thousands of runs",
        "optimizers replicas kernel_replicas kernel_transformer profiling sweep noise_scale distributed",
        NUMBERS | {"torch", "tqdm", "numba", "joblib", "threadpoolctl"},
    ),
    (
        "records and figures",
        "records long_records figures tables",
        NUMBERS | {"filelock", "tqdm", "matplotlib", "cycler"},
    ),
    ("advice", "advise.*", NUMBERS | {"torch", "yaml"}),
    ("experiments", "experiments.*", NUMBERS | {"torch", "tqdm", "joblib", "threadpoolctl"}),
]
LIB = Path(__file__).resolve().parents[1] / "lib"


def name_of(path: Path) -> str:
    """``sampling``, ``experiments`` for that package itself, ``experiments.noise``; empty for ``lib`` itself."""
    return ".".join(part for part in path.relative_to(LIB).with_suffix("").parts if part != "__init__")


MODULES = {name_of(path): path for path in sorted(LIB.rglob("*.py"))}


def floor_of(module: str) -> int | None:
    """The number of a module's floor, None if it has none."""
    for number, (_, modules, _) in enumerate(FLOORS):
        if module in modules.split() or f"{module.split('.')[0]}.*" in modules.split():
            return number
    return None


def imports(module: str) -> tuple[set[str], set[str]]:
    """(packages, modules of lib) that a module imports, anywhere in it."""
    packages, ours = set(), set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, (
                f"lib/{MODULES[module].name} imports from where it stands; write from lib.name import"
            )
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for first, *rest in (name.split(".") for name in names):
            if first == "lib":
                parts = [".".join(rest[:n]) for n in range(len(rest), 0, -1)]
                ours.add(next((name for name in parts if name in MODULES), ""))
            elif first not in sys.stdlib_module_names | {"__main__"}:
                packages.add(first)
    return packages, ours - {""}


@pytest.mark.parametrize("module", [name for name in MODULES if name])
def test_a_module_imports_from_no_floor_above(module):
    floor = floor_of(module)
    assert floor is not None, f"lib.{module} has no floor; give it one in this test"
    packages, ours = imports(module)
    assert packages <= FLOORS[floor][2]
    assert {name: FLOORS[floor_of(name)][0] for name in ours if floor_of(name) > floor} == {}


def test_no_module_imports_itself_around_a_corner():
    graph = {name: imports(name)[1] for name in MODULES if name}
    below = {name.split(".")[0] for name in graph if "." in name}  # a package gathers what its modules hold
    graphlib.TopologicalSorter({n: found - below for n, found in graph.items()}).prepare()


def test_the_package_itself_imports_nothing():
    assert imports("") == (set(), set())


def test_every_name_in_the_table_is_a_module():
    named = [name.removesuffix(".*") for _, modules, _ in FLOORS for name in modules.split()]
    assert set(named) <= set(MODULES) and len(named) == len(set(named))
