"""Test accuracy against batch size three ways: what is held fixed decides what one sees."""

import numpy as np
import pandas as pd

from lib.data import mnist1d
from lib.experiments.runs import ends
from lib.experiments.search import tuned_along
from lib.models import mlp
from lib.workload import Workload, classification

NUM_SAMPLES, NUM_VALIDATION = 2_000, 2_000
EPOCHS, ITERATIONS = 40, 1_500
GUESS = 0.05  # where the search at the smallest batch size starts
FAILED = 0.2  # a run that ends below this accuracy, twice that of guessing, has failed


def workload() -> Workload:
    """The course's network on few samples, with validation samples to choose by and test samples to report on."""
    return classification(mlp(), mnist1d(4_000, 8_500).first(NUM_SAMPLES).hold_out(NUM_VALIDATION))


def scored(runs: pd.DataFrame, column: str = "validation_accuracy") -> pd.DataFrame:
    """Ends of runs with their ``score``: a validation loss, or the share that is wrong; infinite for a failed run."""
    score = 1 - runs[column] if column.endswith("accuracy") else runs[column]
    return runs.assign(score=score.where(runs["validation_accuracy"] > FAILED, np.inf))


def three_ways(batch_sizes: list[int], seeds: list[int], fresh_seeds: list[int]) -> dict[str, pd.DataFrame]:
    """Runs with fresh seeds in three panels, and the grids that their learning rates were chosen from.

    A learning rate is chosen one step below the best if seeds fail at the next larger one.
    Panels: ``as is``, the learning rate of the smallest batch size for all, equal epochs;
    ``tuned, epochs``, one chosen for each batch size, equal epochs; ``tuned, iterations``,
    one chosen for each batch size, equal iterations. Chosen with ``seeds`` on validation
    samples, reported with ``fresh_seeds`` on test samples.

    Returns
    -------
    dict with the tables
        ``runs``: a row a panel, batch size and fresh seed: ``learning_rate``, ``iteration``,
        ``samples``, ``train_loss``, ``test_accuracy``.
        ``grid``: a row a panel, batch size, learning rate and seed that was tried, with its
        ``validation_accuracy``.
    """
    tables, grids = [], []
    for panel, budget in {"tuned, epochs": {"epochs": EPOCHS}, "tuned, iterations": {"iterations": ITERATIONS}}.items():

        def runs_at(batch_size, learning_rates, budget=budget):
            return scored(ends(workload(), batch_size=batch_size, learning_rate=learning_rates, seed=seeds, **budget))

        first = None
        for batch_size, found in tuned_along(
            sorted(batch_sizes), runs_at, GUESS, lambda ratio: ratio**0.75, margin=True
        ):
            first = first or found.rate
            grids.append(found.grid.assign(panel=panel))
            rates = {panel: found.rate} | ({"as is": first} if panel == "tuned, epochs" else {})
            for name, rate in rates.items():
                runs = ends(workload(), batch_size=batch_size, learning_rate=rate, seed=fresh_seeds, **budget)
                tables.append(runs.assign(panel=name))
    columns = ["panel", "batch_size", "learning_rate", "seed"]
    reported = ["iteration", "samples", "train_loss", "test_accuracy"]
    return {
        "runs": pd.concat(tables, ignore_index=True)[columns + reported],
        "grid": pd.concat(grids, ignore_index=True)[columns + ["train_loss", "validation_accuracy"]],
    }
