"""Bugs of famous courses and libraries, rebuilt: one module each, shown on the page *Gallery of bugs*.

A module is a whole small program. ``wrong()`` is the mistake, ``right()`` the remedy; both return
what its docstring names as the result, and ``error(result)`` is the size of the error, 0 when there is none.
"""

import warnings
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

NAMES = sorted(module.name for module in iter_modules(__path__))


@dataclass(frozen=True)
class Measured:
    """What a bug and its remedy gave when they ran, and how large the error is."""

    wrong: Any
    right: Any
    error: float


def measure(name: str) -> Measured:
    """Run a bug and its remedy.

    Parameters
    ----------
    name : str
        One of ``NAMES``.

    Raises
    ------
    AssertionError
        The symptom does not show, or the remedy does not take it away.
    """
    bug = import_module(f"book.bugs.{name}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # two workers of a loader, on a machine with one core
        wrong, right = bug.wrong(), bug.right()
    if not bug.error(wrong) > 0 or bug.error(right) != 0:
        raise AssertionError(f"{name}: the error is {bug.error(wrong)}, with the remedy {bug.error(right)}.")
    return Measured(wrong, right, bug.error(wrong))
