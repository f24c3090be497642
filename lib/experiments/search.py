"""Tuning a learning rate honestly: no optimum on the edge of its grid."""

from collections.abc import Callable

import numpy as np
import pandas as pd

STEP = 1.5  # factor between neighbouring learning rates


def tuned_with_margin(score: Callable[[list[float]], pd.DataFrame], guess: float) -> float:
    """The learning rate of :func:`tuned`, or the one below it if seeds fail at the next larger one.

    The best learning rate often lies right beside those at which single runs fail. A few
    seeds do not show it there, and one failed run among the fresh ones ruins their mean.
    ``score`` is infinite where a seed failed.
    """
    best, table = tuned(score, guess)
    rates = table["learning_rate"].tolist()
    at = rates.index(best)
    return best if np.isfinite(table["score"][at + 1]) else rates[at - 1]


def tuned(
    score: Callable[[list[float]], pd.DataFrame], guess: float, points: int = 5, most: int = 12
) -> tuple[float, pd.DataFrame]:
    """The best learning rate of a grid that is widened until its best is not on its edge.

    Parameters
    ----------
    score : callable
        Takes a list of learning rates; returns a table with the columns ``learning_rate``
        and ``score``, one row each; lower is better, infinite is allowed.
    guess : float
        Middle of the first grid of ``points`` values, a factor ``STEP`` apart.
    most : int
        Values after which the search gives up.

    Returns
    -------
    best : float
    table : pandas.DataFrame
        All learning rates tried, sorted, with their scores.

    Raises
    ------
    RuntimeError
        After ``most`` values the best one was still on the edge.
    """
    exponents = [k - points // 2 for k in range(points)]
    table = score([guess * STEP**k for k in exponents])
    while True:
        table = table.sort_values("learning_rate", ignore_index=True)
        best = int(table["score"].argmin())
        if 0 < best < len(table) - 1 and np.isfinite(table["score"][best]):
            return float(table["learning_rate"][best]), table
        if len(table) >= most:
            raise RuntimeError(
                f"After {len(table)} learning rates the best, {table['learning_rate'][best]:.3g}, is "
                f"still on the edge of its grid; start from another guess."
            )
        exponents = [-2, -1] if best == 0 else [len(table), len(table) + 1]
        lowest = table["learning_rate"][0]
        table = pd.concat([table, score([lowest * STEP**k for k in exponents])])
