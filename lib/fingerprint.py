"""Digests of code and choices: what a stored result must match to be used again.

Standard library and NumPy only, so that every floor can use it.
"""

import ast
import dis
import hashlib
import inspect
import io
import json
import textwrap
import tokenize
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType

import numpy as np

LIB = Path(__file__).resolve().parent


def canonical(choices, what: str = "The configuration") -> str:
    """One text for equal choices: JSON with sorted keys; ranges, tuples and NumPy values become lists and numbers."""

    def plain(value):
        if isinstance(value, range):
            return list(value)
        if isinstance(value, (np.generic, np.ndarray)):
            return value.tolist()
        raise TypeError(
            f"{what} holds a {type(value).__name__}, but only numbers, strings, lists and dicts have a "
            f"digest; give the choices that it is made from."
        )

    return json.dumps(choices, sort_keys=True, default=plain)


def digest(*texts: str) -> str:
    """The first 16 hexadecimal digits of a SHA-256."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def of_modules(*names: str) -> dict[str, str]:
    """Digests of modules of ``lib`` and of all modules of ``lib`` that they import in turn.

    Comments, docstrings and blank lines do not count. Versions of other packages do not
    either: requirements.txt pins them.
    """
    found, waiting = {}, list(names)
    while waiting:
        name = waiting.pop()
        file = LIB.joinpath(*name.split(".")[1:])
        file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
        if name not in found and file.exists():  # "from lib.plan import TAILS" may also mean a module lib.plan.TAILS
            source = file.read_text(encoding="utf-8")
            found[name] = digest(_essence(source))
            waiting += _imports(source)
    return found


def of_function(function: Callable) -> dict[str, str]:
    """Digests of a function and of all code and constants it stands on.

    That is: its source and default values; functions and constants of its own file or
    notebook that it uses, and what these use; the modules of ``lib`` behind all of them
    (:func:`of_modules`).

    Raises
    ------
    TypeError
        It uses something without a digest, such as a table made outside of it.
    """
    if not isinstance(function, FunctionType):
        raise TypeError(f"{function!r} has no source of its own; give a function made with def.")
    found, modules, waiting = {}, [], [(function.__qualname__, function)]
    while waiting:
        name, value = waiting.pop()
        value = inspect.unwrap(value) if callable(value) else value  # the function below its decorators
        home = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None)
        if name in found:
            continue
        if isinstance(value, FunctionType) and home == function.__module__:
            if value.__name__ == "<lambda>":
                raise TypeError(f"{name} is a lambda, whose source cannot be told from its line; make it with def.")
            if value.__closure__ is not None:
                raise TypeError(
                    f"{name} uses {', '.join(value.__code__.co_freevars)} of the function around it; make "
                    f"that an argument."
                )
            source = textwrap.dedent(inspect.getsource(value))
            found[name] = digest(_essence(source), canonical([value.__defaults__, value.__kwdefaults__], name))
            modules += _imports(source)
            if _in_lib(home):
                modules.append(home)  # all that it uses is in there
            else:
                names = _globals_read(value.__code__) | _decorators(source)
                waiting += [(used, value.__globals__[used]) for used in names if used in value.__globals__]
        elif isinstance(value, type) and home == function.__module__:
            raise TypeError(f"{function.__name__} uses the class {name} of its own file; move that to lib.")
        elif inspect.ismodule(value) and _in_lib(home) and hasattr(value, "__path__"):
            raise TypeError(
                f"{function.__name__} uses {home}, which could be any of its modules; import by name, as "
                f"in from lib.training import train."
            )
        elif any(kind(value) for kind in (inspect.ismodule, inspect.isclass, inspect.isfunction, inspect.isbuiltin)):
            modules += [home] if _in_lib(home) else []
        else:
            found[name] = digest(canonical(value, f"{function.__name__} uses {name}, which"))
    return dict(sorted({**found, **of_modules(*modules)}.items()))


def _in_lib(module: str | None) -> bool:
    return module is not None and module.split(".")[0] == "lib"


def _imports(source: str) -> list[str]:
    """Modules of ``lib`` that a source imports anywhere."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise TypeError("A relative import cannot be followed here; write from lib.plan import ... instead.")
            found += [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in found if _in_lib(name)]


def _decorators(source: str) -> set[str]:
    decorators = ast.parse(source).body[0].decorator_list
    return {node.id for decorator in decorators for node in ast.walk(decorator) if isinstance(node, ast.Name)}


def _globals_read(code: CodeType) -> set[str]:
    names = {each.argval for each in dis.get_instructions(code) if each.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return names.union(*(_globals_read(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def _essence(source: str) -> str:
    """The source without what changes no result: comments, docstrings, blank lines."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            first, last = node.body[0].lineno - 1, node.body[0].end_lineno
            if "\n".join(lines[first:last]).strip() == ast.get_source_segment(source, node.body[0]):
                lines[first:last] = [""] * (last - first)  # it has these lines for itself
    return "\n".join(line.rstrip() for line in lines if line.strip())
