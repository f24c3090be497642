"""The experiments of the measured lessons, one module each.

A function here returns the tables that its lesson shows and judges. A lesson gets them
through ``lib.records.remember``, so that they run once, and again only when this code or
code below it has changed.
"""

import os


def seeds(number: int, first: int = 0) -> list[int]:
    """The seeds of an experiment: so many from ``first`` on, 1000 higher with ``SEEDS=other`` in the environment.

    A verdict that holds for one set of seeds only is not a verdict.
    """
    first += 1000 if os.environ.get("SEEDS") == "other" else 0
    return list(range(first, first + number))
