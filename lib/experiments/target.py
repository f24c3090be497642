"""How many iterations to a given training loss, at each batch size, with the learning rate tuned for each."""

import numpy as np
import pandas as pd

from lib.experiments.runs import histories, seen_by_training_loss
from lib.experiments.search import tuned_along
from lib.statistics import steps_to_target
from lib.workload import Workload

RULES = ("best median", "best mean")
GUESS = 0.15  # of the best learning rate at the smallest batch size, where the search starts
# Targets, and about what S = S_min (1 + B_crit / B) is for them: it decides how often to look and when to give up.
EXPECTED = {1.5: (50, 60), 1.0: (100, 150)}
COARSE, FINE = 0.02, 0.005  # between two looks: a share of the iterations, while rates are compared and for the report
PATIENCE = 2.5  # times the expected iterations, after which a run has not arrived


def steps_of(
    workload: Workload,
    target: float,
    batch_size: int,
    learning_rates: list[float],
    seeds: list[int],
    iterations: int,
    every: int,
) -> pd.DataFrame:
    """Runs that end when their training loss reaches ``target``; the table of ``steps_to_target``.

    Their ``score`` is the number of iterations, infinite for a run that does not arrive.
    """
    runs = histories(
        workload,
        batch_size=batch_size,
        learning_rate=learning_rates,
        seed=seeds,
        iterations=iterations,
        evaluate_every=every,
        target=target,
    )
    steps = steps_to_target(runs, target)
    return steps.assign(score=steps["iteration"].fillna(np.inf))


def tuned_steps(
    workload: Workload,
    target: float,
    batch_sizes: list[int],
    seeds: list[int],
    fresh_seeds: list[int],
    guess: float,
    expected: tuple[float, float],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Iterations to one target, at the learning rate that each of ``RULES`` chooses for each batch size.

    The learning rate is chosen with ``seeds``, on a grid that widens until its edges are worse
    than its best; a run that does not arrive counts as infinitely many iterations. Reported
    are runs with ``fresh_seeds``, looked at more often.

    Parameters
    ----------
    guess : float
        Of the best learning rate at the smallest batch size.
    expected : pair of floats
        About what S_min and B_crit are; see ``EXPECTED``.

    Returns
    -------
    The runs reported, with the ``rule`` they were chosen by; and the runs they were chosen from.
    """
    reported, grids = [], []

    def needed(batch_size: int) -> float:
        return expected[0] * (1 + expected[1] / batch_size)

    def runs_at(batch_size, learning_rates, seeds=seeds, spacing=None):
        spacing = spacing or COARSE * needed(batch_size)
        most = round(PATIENCE * needed(batch_size))
        return steps_of(workload, target, batch_size, learning_rates, seeds, most, max(1, round(spacing)))

    for batch_size, found in tuned_along(sorted(batch_sizes), runs_at, guess, lambda ratio: 1.3, rules=RULES):
        grids.append(found.grid)
        best = found.grid.groupby("learning_rate")["score"].median().min()
        fresh = runs_at(batch_size, sorted(set(found.rates.values())), fresh_seeds, FINE * best)
        reported += [fresh[fresh["learning_rate"] == rate].assign(rule=rule) for rule, rate in found.rates.items()]
    return pd.concat(reported, ignore_index=True), pd.concat(grids, ignore_index=True)


def steps(
    batch_sizes: list[int], targets: list[float], seeds: list[int], fresh_seeds: list[int]
) -> dict[str, pd.DataFrame]:
    """Iterations of the course's network to each of ``targets``; see :func:`tuned_steps`.

    Returns
    -------
    dict with the tables
        ``steps``: a row a target, batch size and fresh seed, at the learning rate of the first rule, with
        the columns ``iteration`` and ``samples``; missing where a run does not arrive.
        ``rules``: the same for every rule.
        ``grid``: a row a target, batch size, learning rate and seed that was tried.
    """
    workload, parts = seen_by_training_loss(), []
    for target in targets:
        found = tuned_steps(workload, target, batch_sizes, seeds, fresh_seeds, GUESS, EXPECTED[target])
        parts.append([table.assign(target=target) for table in found])
    columns = ["target", "batch_size", "learning_rate", "seed", "iteration", "samples"]
    rules, grid = (pd.concat(tables, ignore_index=True) for tables in zip(*parts))
    first = rules.loc[rules["rule"] == RULES[0], columns]
    return {"steps": first.reset_index(drop=True), "rules": rules[["rule", *columns]], "grid": grid[columns]}
