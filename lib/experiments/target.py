"""How many iterations to a given training loss, at each batch size, with the learning rate tuned for each."""

import numpy as np
import pandas as pd

from lib.experiments.runs import histories, seen_by_training_loss
from lib.experiments.search import tuned_along
from lib.statistics import steps_to_target

FIRST_GUESS = 0.15  # of the best learning rate at the smallest batch size, where the search starts


def evaluation_interval(batch_size: int) -> int:
    """Iterations between evaluations: about 2 % of the iterations that the harder target needs."""
    return max(1, 300 // batch_size + 2)


def sweep_to(target: float, batch_size: int, learning_rates: list[float], seeds: list[int]) -> pd.DataFrame:
    """Runs that end when their training loss reaches ``target``; the table of ``steps_to_target``.

    Their ``score`` is the number of iterations, infinite for a run that does not arrive.
    """
    runs = histories(
        seen_by_training_loss(),
        batch_size=batch_size,
        learning_rate=learning_rates,
        seed=seeds,
        iterations=30_000 // batch_size + 500,  # more than twice what the best learning rate needs
        evaluate_every=evaluation_interval(batch_size),
        target=target,
    )
    steps = steps_to_target(runs, target)
    return steps.assign(score=steps["iteration"].fillna(np.inf))


def steps(batch_sizes: list[int], targets: list[float], seeds: list[int]) -> dict[str, pd.DataFrame]:
    """Iterations to each target, at the best learning rate of each batch size.

    The learning rate is chosen by the median over seeds on a grid that widens until its
    best value is inside; a run that does not arrive counts as infinitely many iterations.

    Returns
    -------
    dict with the tables
        ``steps``: a row a target, batch size and seed, at the chosen learning rate, with
        the columns ``iteration`` and ``samples``.
        ``grid``: a row a target, batch size and learning rate, with the median ``iterations``.
        ``runs``: a row a target, batch size, learning rate and seed that was tried.
    """
    tables: dict[str, list] = {"steps": [], "grid": [], "runs": []}
    for target in targets:

        def runs_at(batch_size, learning_rates, target=target):
            return sweep_to(target, batch_size, learning_rates, seeds)

        along = tuned_along(sorted(batch_sizes), runs_at, FIRST_GUESS, lambda ratio: 1.3, over_seeds="median")
        for batch_size, found in along:
            here = found.grid.assign(target=target)
            tables["runs"].append(here)
            tables["steps"].append(here[here["learning_rate"] == found.rate])
            medians = found.scores.rename("iterations").reset_index()
            tables["grid"].append(medians.assign(target=target, batch_size=batch_size))
    columns = ["target", "batch_size", "learning_rate"]
    counted = ["seed", "iteration", "samples"]
    shown = {"steps": counted, "grid": ["iterations"], "runs": counted}
    return {name: pd.concat(parts, ignore_index=True)[columns + shown[name]] for name, parts in tables.items()}
