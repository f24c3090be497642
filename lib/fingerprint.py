"""Digests of code and choices: what a stored result must match to be used again.

Standard library and NumPy only, so that every floor can use it.
"""

import ast
import hashlib
import inspect
import json
import linecache
import sys
import sysconfig
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from lib.sources import Library, Module, essence, globals_used, references, wordless

LIB = Path(__file__).resolve().parent
INSTALLED = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def canonical(choices, what: str = "The configuration", follow: Callable[[Any], None] | None = None) -> str:
    """One text for equal choices: JSON with sorted keys; ranges, tuples and NumPy values become lists and numbers.

    Functions, classes and modules become their names if ``follow`` is given, and are handed to it.
    """

    def plain(value):
        if isinstance(value, range):
            return list(value)
        if isinstance(value, (np.generic, np.ndarray)):
            return value.tolist()
        if follow is not None and _is_code(value):
            follow(value)
            return _full_name(value)
        raise TypeError(
            f"{what} holds a {type(value).__name__}, but only numbers, strings, lists and dicts have a "
            f"digest; give the choices that it is made from."
        )

    return json.dumps(choices, sort_keys=True, default=plain)


def digest(*texts: str) -> str:
    """The first 16 hexadecimal digits of a SHA-256."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def of_function(function: Callable) -> dict[str, str]:
    """Digests of a function and of all functions, classes and constants it stands on.

    In ``lib`` they are followed through the sources (``lib.sources``), one digest each:
    ``lib.plan.TrainingPlan``. A function of a notebook, a script or a test is followed through
    its global names as they are now: functions and classes by their sources, constants by
    their values. Comments, docstrings, type hints, layout and the wording of errors and
    warnings do not count, nor do the versions of packages, which requirements.txt pins.

    Raises
    ------
    TypeError
        It uses something without a digest, such as a table made outside of it.
    """
    if not isinstance(function, FunctionType):
        raise TypeError(f"{function!r} has no source of its own; give a function made with def.")
    walk = _Walk(function)
    walk.follow(function.__qualname__, function, function.__globals__)
    reached = {name: digest(text) for name, text in walk.library.reached(walk.starts).items()}
    return dict(sorted({**walk.found, **reached}.items()))


def changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """The names whose digests differ, or that stand on one side only."""
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


class _Walk:
    """From a function of somebody's own file along the names it reads, down to where ``lib`` begins."""

    def __init__(self, function: FunctionType):
        self.function, self.library = function, Library(LIB)
        self.found: dict[str, str] = {}
        self.starts: list[tuple[str, str]] = []

    def follow(self, name: str, value: Any, names: dict):
        """Take a digest of a value and of what it stands on; ``names`` are the global ones around it."""
        value = value if isinstance(value, type) or not callable(value) else inspect.unwrap(value)
        if not _is_code(value):
            if name not in self.found:
                what = f"{self.function.__name__} uses {name}, which"
                self.found[name] = digest(
                    canonical(value, what, lambda part: self.follow(_full_name(part), part, names))
                )
            return
        home = value.__name__ if isinstance(value, ModuleType) else value.__module__
        if _in_lib(value):
            self.starts += self.library.located(_full_name(value))
        elif name not in self.found and (home == self.function.__module__ or _is_own_file(home)):
            self._follow_source(name, value, getattr(value, "__globals__", names))
        for variable, cell in zip(*_closure(value)):
            self.follow(f"{name}.{variable}", cell.cell_contents, names)

    def _follow_source(self, name: str, value: Any, names: dict):
        tree = wordless(_source(name, value, names))
        self.found[name] = ""  # already on the way, should it use itself
        stands_for, read = [], globals_used(tree)[0] & names.keys()
        for used, attributes in sorted(set(references(tree))):
            if used in read:
                thing, own = names[used], True
                for attribute in attributes:
                    if not isinstance(thing, ModuleType) or _in_lib(thing) or not hasattr(thing, attribute):
                        break
                    own = _is_own_file(thing.__name__)
                    used, thing = f"{used}.{attribute}", getattr(thing, attribute)
                if _is_code(thing):
                    stands_for.append(f"{used}: {_full_name(thing)}")
                if isinstance(thing, ModuleType) and _in_lib(thing):
                    rest = attributes[used.count(".") :]
                    self.starts += self.library.located(".".join([thing.__name__, *rest]))
                elif own or _is_code(thing):  # a constant of an installed package is pinned with it
                    self.follow(used, thing, names)
        self.starts += self.library.meant(tree, Module("", ""))  # what it imports itself
        defaults = [getattr(value, "__defaults__", None), getattr(value, "__kwdefaults__", None)]
        values = canonical(defaults, name, lambda part: self.follow(_full_name(part), part, names))
        self.found[name] = digest(essence(tree), values, *stands_for)


def _is_code(value: Any) -> bool:
    return isinstance(value, ModuleType) or callable(value) and isinstance(getattr(value, "__module__", None), str)


def _in_lib(value: Any) -> bool:
    return _full_name(value).split(".")[0] == "lib"


def _full_name(value: Any) -> str:
    """``lib.plan.TrainingPlan``; of what is made inside a function or class the name of that."""
    if isinstance(value, ModuleType):
        return _home(value)
    return f"{_home(value)}.{getattr(value, '__qualname__', type(value).__qualname__)}"


def _home(value: Any) -> str:
    """The module of a value, by the name by which others import it, even where it was started with ``python -m``."""
    name = value.__name__ if isinstance(value, ModuleType) else value.__module__
    import __main__  # whichever it is by now

    spec = getattr(__main__, "__spec__", None)
    return spec.name if name == "__main__" and spec is not None else name


def _closure(value: Any) -> tuple:
    """Names and cells of what a function uses of the functions around it."""
    return (value.__code__.co_freevars, value.__closure__ or ()) if isinstance(value, FunctionType) else ((), ())


def _is_own_file(module: str) -> bool:
    """Whether a module is a file of somebody's own and not of an installed package."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and not any(Path(file).resolve().is_relative_to(folder) for folder in INSTALLED)


def _source(name: str, value: Any, names: dict) -> str:
    """The source of a function, a class or a module; in a notebook that of the cell which made it."""
    if isinstance(value, ModuleType):
        return inspect.getsource(value)
    if not isinstance(value, type):
        if value.__name__ == "<lambda>":
            raise TypeError(f"{name} is a lambda, whose source cannot be told from its line; make it with def.")
        return textwrap.dedent(inspect.getsource(value))
    makers = [*vars(value).values(), *(each for each in names.values() if getattr(each, "__globals__", None) is names)]
    for file in dict.fromkeys(each.__code__.co_filename for each in makers if isinstance(each, FunctionType)):
        lines = linecache.getlines(file)
        for node in ast.walk(ast.parse("".join(lines))):
            if isinstance(node, ast.ClassDef) and node.name == value.__name__:
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                return textwrap.dedent("".join(lines[first - 1 : node.end_lineno]))
    raise TypeError(f"The class {name} has no source that can be read here; move it to lib.")
