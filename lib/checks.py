"""Checks of arguments that many modules make, with one sentence each: what, which value, what to do."""

import operator
from typing import Any


class NotAWholeNumber(TypeError, ValueError):
    """Both, because 2.5 is the wrong value and a float the wrong type."""


def whole_number(name: str, value: Any, at_least: int | None = None, at_most: int | None = None) -> int:
    """``value`` as a plain ``int``, if it is a whole number within the limits.

    NumPy's integers, and whatever else Python takes as an index, are whole numbers. Floats
    such as 3.0 are not, nor are True and False.

    Parameters
    ----------
    name : str
        What the sentence calls it.
    at_least, at_most : int, optional
        The limits, both included.

    Raises
    ------
    NotAWholeNumber
        It is no whole number; this is a ``TypeError`` and a ``ValueError``.
    ValueError
        It is one outside the limits.

    Examples
    --------
    >>> whole_number("batch_size", 500, at_least=1)
    500
    >>> whole_number("batch_size", 0, at_least=1)
    Traceback (most recent call last):
        ...
    ValueError: batch_size is 0, but it must be a whole number of at least 1.
    """
    if at_least is not None and at_most is not None:
        wanted = f"a whole number from {at_least} to {at_most}"
    elif at_least is not None:
        wanted = f"a whole number of at least {at_least}"
    elif at_most is not None:
        wanted = f"a whole number of at most {at_most}"
    else:
        wanted = "a whole number"
    number = _index(value)
    if number is None:
        remedy = "; convert it with int(...) if that is what you mean" if isinstance(value, float) else ""
        raise NotAWholeNumber(f"{name} is {value!r}, but it must be {wanted}{remedy}.")
    if (at_least is not None and number < at_least) or (at_most is not None and number > at_most):
        raise ValueError(f"{name} is {number}, but it must be {wanted}.")
    return number


def _index(value: Any) -> int | None:
    """``value`` as Python's indexing takes it; None if that refuses it, or it is a truth value, or an array."""
    if isinstance(value, bool) or "bool" in str(getattr(value, "dtype", "")) or getattr(value, "ndim", 0):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None
