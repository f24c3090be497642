"""How many iterations to a given training loss, at each batch size, with the learning rate tuned for each."""

from dataclasses import replace

import numpy as np
import pandas as pd

from lib.data import Dataset, mnist1d
from lib.experiments import progress
from lib.experiments.runs import histories
from lib.experiments.search import tuned
from lib.statistics import steps_to_target

NUM_SAMPLES = 4_000
FIRST_GUESS = 0.15  # of the best learning rate at the smallest batch size, where the search starts


def dataset(num_samples: int = NUM_SAMPLES) -> Dataset:
    """MNIST-1D with few test samples: these experiments judge by the training loss."""
    data = mnist1d().first(num_samples)
    return replace(data, x_test=data.x_test[:100], y_test=data.y_test[:100])


def evaluation_interval(batch_size: int) -> int:
    """Iterations between evaluations: about 2 % of the iterations that the harder target needs."""
    return max(1, 300 // batch_size + 2)


def sweep_to(target: float, batch_size: int, learning_rates: list[float], seeds: list[int]) -> pd.DataFrame:
    """Runs that end when their training loss reaches ``target``; the table of ``steps_to_target``."""
    budget = 30_000 // batch_size + 500  # more than twice what the best learning rate needs
    runs = histories(
        dataset(),
        batch_size=batch_size,
        learning_rate=learning_rates,
        seed=seeds,
        iterations=budget,
        evaluate_every=evaluation_interval(batch_size),
        target=target,
    )
    return steps_to_target(runs, target)


def steps(batch_sizes: list[int], targets: list[float], seeds: list[int]) -> dict[str, pd.DataFrame]:
    """Iterations to each target, at the best learning rate of each batch size.

    The learning rate is chosen by the median over seeds on a grid that widens until its
    best value is inside; a run that does not arrive counts as infinitely many iterations.

    Returns
    -------
    dict with the tables
        ``steps``: a row a target, batch size and seed, at the chosen learning rate, with
        the columns ``iteration`` and ``samples``.
        ``grid``: a row a target, batch size and learning rate, with the median iterations.
    """
    parts = [steps_to(target, batch_sizes, seeds) for target in targets]
    return {name: pd.concat([part[name] for part in parts], ignore_index=True) for name in ("steps", "grid")}


def steps_to(target: float, batch_sizes: list[int], seeds: list[int]) -> dict[str, pd.DataFrame]:
    """The tables of :func:`steps` for one target."""
    chosen, grids, guess = [], [], FIRST_GUESS
    for batch_size in progress(sorted(batch_sizes), desc=f"to loss {target}"):
        found = []

        def median_iterations(learning_rates):
            found.append(sweep_to(target, batch_size, learning_rates, seeds))
            scores = found[-1]["iteration"].fillna(np.inf).groupby(found[-1]["learning_rate"]).median()
            return scores.rename("score").reset_index()

        best, grid = tuned(median_iterations, guess)
        arrived = pd.concat(found, ignore_index=True)
        chosen.append(arrived[arrived["learning_rate"] == best].assign(target=target))
        grids.append(grid.rename(columns={"score": "iterations"}).assign(target=target, batch_size=batch_size))
        guess = best * 1.3  # the next batch size is larger
    columns = ["target", "batch_size", "learning_rate"]
    return {
        "steps": pd.concat(chosen)[columns + ["seed", "iteration", "samples"]],
        "grid": pd.concat(grids)[columns + ["iterations"]],
    }
