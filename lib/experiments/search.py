"""Tuning a learning rate honestly: no optimum on the edge of its grid, and every run that was tried is kept."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.progress import bar

STEP = 1.5  # factor between neighbouring learning rates


@dataclass(frozen=True)
class Tuned:
    """A learning rate, and the grid that it was chosen from.

    Attributes
    ----------
    rate : float
    grid : pandas.DataFrame
        A row a learning rate and seed with its ``score``: lower is better, infinite for a run
        that failed.
    scores : pandas.Series
        The score of each learning rate over its seeds.
    """

    rate: float
    grid: pd.DataFrame
    scores: pd.Series


def tuned(
    runs_at: Callable[[list[float]], pd.DataFrame],
    guess: float,
    *,
    over_seeds: str = "mean",
    margin: bool = False,
    points: int = 5,
    most: int = 12,
) -> Tuned:
    """The best learning rate of a grid that is widened until its best is not on its edge.

    Parameters
    ----------
    runs_at : callable
        Takes a list of learning rates; returns a table with the columns ``learning_rate``,
        ``seed`` and ``score``, a row a run.
    guess : float
        Middle of the first grid of ``points`` values, a factor ``STEP`` apart.
    over_seeds : {"mean", "median"}
        What makes one score of those of all seeds.
    margin : bool
        Take the learning rate one step below the best if seeds fail at the next larger one. The
        best often lies right beside those at which single runs fail; a few seeds do not
        show it there, and one failed run among the fresh ones ruins their mean.
    most : int
        Values after which the search gives up.

    Raises
    ------
    RuntimeError
        After ``most`` values the best one was still on the edge.
    """
    exponents = [k - points // 2 for k in range(points)]
    grid = runs_at([guess * STEP**k for k in exponents])
    while True:
        scores = grid.groupby("learning_rate")["score"].agg(over_seeds)
        rates, best = scores.index.tolist(), int(scores.to_numpy().argmin())
        if 0 < best < len(rates) - 1 and np.isfinite(scores.iloc[best]):
            below = margin and not np.isfinite(scores.iloc[best + 1])
            return Tuned(rates[best - 1 if below else best], grid.sort_values(["learning_rate", "seed"]), scores)
        if len(rates) >= most:
            raise RuntimeError(
                f"After {len(rates)} learning rates the best, {rates[best]:.3g}, is still on the edge of its grid; "
                f"start from another guess."
            )
        exponents = [-2, -1] if best == 0 else [len(rates), len(rates) + 1]
        grid = pd.concat([grid, runs_at([rates[0] * STEP**k for k in exponents])])


def tuned_along(
    places: Iterable, runs_at: Callable[..., pd.DataFrame], guess: float, growth: Callable[[float], float], **how
) -> Iterator[tuple]:
    """Tune at one place after another, such as growing batch sizes; each search starts from the one before.

    Parameters
    ----------
    places : iterable of numbers
    runs_at : callable
        ``runs_at(place, learning_rates)``, as for :func:`tuned`.
    guess : float
        Where the search at the first place starts.
    growth : callable
        ``growth(ratio)``: what the learning rate is multiplied with from one place to one
        ``ratio`` times as large, to start the next search.
    **how
        As for :func:`tuned`.

    Yields
    ------
    place, Tuned
    """
    before = None
    for place in bar(list(places)):
        guess *= growth(place / before) if before else 1.0

        def runs_here(learning_rates, place=place):
            return runs_at(place, learning_rates)

        found = tuned(runs_here, guess, **how)
        yield place, found
        guess, before = found.rate, place
