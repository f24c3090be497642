"""Tuning a learning rate honestly: no optimum at, or level with, the edge of its grid; every run tried is kept.

A run *failed* if it diverged, did not arrive at its target, or learned nothing: its training loss
ended no lower than it began (:func:`failed`) or, where an experiment scores accuracies, it ended
hardly better than guessing. A run that overfits has not failed. Whoever makes the scores
of a search gives those of failed runs as infinite.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.progress import bar
from lib.statistics import mean_interval

STEP = 1.5  # factor between neighbouring learning rates
RULES = ("best mean", "best median", "margin")


def failed(history: pd.DataFrame, to_target: bool = False) -> bool:
    """Whether a run failed, by its evaluations in order: their ``train_loss``, and the ``status`` of the last.

    Parameters
    ----------
    history : pandas.DataFrame
    to_target : bool
        Whether the run was to arrive at a target.
    """
    first, last = history.iloc[0], history.iloc[-1]
    arrived = last["status"] == "reached" or not to_target
    return bool(last["status"] == "diverged" or not arrived or not last["train_loss"] < first["train_loss"])


@dataclass(frozen=True)
class Tuned:
    """What each rule chooses from one grid of learning rates, and the grid.

    Attributes
    ----------
    rates : dict of float
        The learning rate of each rule.
    grid : pandas.DataFrame
        A row a learning rate and seed with its ``score``: lower is better, infinite for a run
        that failed, as said above.
    """

    rates: dict[str, float]
    grid: pd.DataFrame

    @property
    def rate(self) -> float:
        """What the first rule chooses."""
        return next(iter(self.rates.values()))

    @property
    def scores(self) -> pd.Series:
        """The mean score of each learning rate over its seeds."""
        return self.grid.groupby("learning_rate")["score"].mean()


def tuned(
    runs_at: Callable[[list[float]], pd.DataFrame],
    guess: float,
    *,
    rules: Iterable[str] = ("best mean",),
    points: int = 5,
    most: int = 20,
) -> Tuned:
    """The best learning rate of a grid that is widened until its edges are worse than its best.

    An edge counts as worse if the 95 % interval of the paired difference of its scores and
    those of the best lies above zero, or if its runs fail. All rules choose from one grid.

    Parameters
    ----------
    runs_at : callable
        Takes a list of learning rates; returns a table with the columns ``learning_rate``,
        ``seed`` and ``score``, a row a run.
    guess : float
        Middle of the first grid of ``points`` values, a factor ``STEP`` apart.
    rules : names of ``RULES``
        "best mean": the lowest mean score; one failed run rules a learning rate out.
        "best median": the lowest median, which is deaf to failures of fewer than half of the seeds.
        "margin": one step below the best mean if seeds fail at the next larger learning rate. The
        best often lies right beside those at which single runs fail; a few seeds do not
        show it there, and one failed run among fresh ones ruins their mean.
    most : int
        Values after which the search gives up.

    Raises
    ------
    RuntimeError
        After ``most`` values an edge was still as good as the best.
    """
    rules = list(rules)
    grid = runs_at([guess * STEP ** (k - points // 2) for k in range(points)])
    while True:
        table = grid.pivot(index="seed", columns="learning_rate", values="score")
        rates, open_sides = table.columns.tolist(), {side for rule in rules for side in _open_sides(table, rule)}
        if not open_sides:
            chosen = {rule: rates[_choice(table, rule)] for rule in rules}
            return Tuned(chosen, grid.sort_values(["learning_rate", "seed"], ignore_index=True))
        if len(rates) >= most:
            raise RuntimeError(
                f"After {len(rates)} learning rates, {rates[0]:.3g} to {rates[-1]:.3g}, an edge of the grid is still "
                f"as good as its best; start from another guess, or run more seeds."
            )
        below = [rates[0] / STEP**2, rates[0] / STEP] if "below" in open_sides else []
        above = [rates[-1] * STEP, rates[-1] * STEP**2] if "above" in open_sides else []
        grid = pd.concat([grid, runs_at(below + above)])


def _best(table: pd.DataFrame, rule: str) -> int:
    """The place of the lowest mean, or median, in a table of scores with a row a seed and a column a learning rate."""
    middle = table.median() if rule == "best median" else table.mean()
    return int(middle.to_numpy().argmin())


def _choice(table: pd.DataFrame, rule: str) -> int:
    """The place that a rule chooses."""
    if rule not in RULES:
        raise ValueError(f"rule is {rule!r}, but it must be one of {', '.join(map(repr, RULES))}.")
    best = _best(table, rule)
    fails_above = best + 1 < table.shape[1] and np.isinf(table.iloc[:, best + 1]).any()
    return best - 1 if rule == "margin" and fails_above and best > 0 else best


def _open_sides(table: pd.DataFrame, rule: str) -> set[str]:
    """On which sides of the grid something better, or as good, may lie for a rule."""
    best, choice, last = _best(table, rule), _choice(table, rule), table.shape[1] - 1
    if not np.isfinite(table.iloc[:, best]).any():
        return {"below"}  # everything failed
    return {
        side
        for side, edge in (("below", 0), ("above", last))
        if edge in (best, choice) or _tied(table.iloc[:, edge], table.iloc[:, best], rule)
    }


def _tied(edge: pd.Series, best: pd.Series, rule: str) -> bool:
    """Whether the scores of an edge cannot be told from those of the best, seed by seed."""
    finished = np.isfinite(edge) & np.isfinite(best)
    enough = finished.mean() > 0.5 if rule == "best median" else finished.all()
    return bool(enough) and mean_interval((edge - best)[finished], least=2).low <= 0


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
