"""Test accuracy against batch size three ways: what is held fixed decides what one sees."""

import numpy as np
import pandas as pd

from lib.data import mnist1d
from lib.experiments.runs import ends
from lib.experiments.search import RULES, tuned_along
from lib.models import mlp
from lib.workload import Workload, classification

NUM_SAMPLES, NUM_VALIDATION = 2_000, 2_000
EPOCHS, ITERATIONS = 30, 1_000
PANELS = {"tuned, epochs": {"epochs": EPOCHS}, "tuned, iterations": {"iterations": ITERATIONS}}
SCHEDULES = ("constant", "cosine")
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
    """Runs with fresh seeds in three panels, for each schedule and each rule of choosing a learning rate.

    Panels: ``as is``, the learning rate of the smallest batch size for all, equal epochs;
    ``tuned, epochs``, one chosen for each batch size, equal epochs; ``tuned, iterations``,
    one chosen for each batch size, equal iterations. Schedules: a constant learning rate,
    and one that decays to zero along a cosine. All rules of ``lib.experiments.search`` choose from one
    grid, made with ``seeds`` on validation samples; ``fresh_seeds`` are reported on test samples.

    Returns
    -------
    dict with the tables
        ``runs``: a row a panel, schedule, rule, batch size and fresh seed: ``learning_rate``,
        ``iteration``, ``samples``, ``train_loss``, ``test_accuracy``, also of runs that failed.
        ``grid``: a row a panel, schedule, batch size, learning rate and seed that was tried, with its
        ``validation_accuracy``.
    """
    tables, grids = [], []
    for schedule in SCHEDULES:
        for panel, budget in PANELS.items():
            how = {"schedule": schedule, **budget}

            def runs_at(batch_size, learning_rates, how=how):
                return scored(ends(workload(), batch_size=batch_size, learning_rate=learning_rates, seed=seeds, **how))

            first: dict[str, float] = {}
            for batch_size, found in tuned_along(
                sorted(batch_sizes), runs_at, GUESS, lambda ratio: ratio**0.75, rules=RULES
            ):
                first = first or found.rates
                chosen = {panel: found.rates} | ({"as is": first} if panel == "tuned, epochs" else {})
                rates = sorted({rate for rates in chosen.values() for rate in rates.values()})
                fresh = ends(workload(), batch_size=batch_size, learning_rate=rates, seed=fresh_seeds, **how)
                grids.append(found.grid.assign(panel=panel, schedule=schedule))
                tables += [
                    fresh[fresh["learning_rate"] == rate].assign(panel=name, schedule=schedule, rule=rule)
                    for name, rates in chosen.items()
                    for rule, rate in rates.items()
                ]
    columns = ["panel", "schedule", "batch_size", "learning_rate", "seed"]
    reported = ["iteration", "samples", "train_loss", "test_accuracy"]
    return {
        "runs": pd.concat(tables, ignore_index=True)[["rule", *columns, *reported]],
        "grid": pd.concat(grids, ignore_index=True)[columns + ["train_loss", "validation_accuracy"]],
    }
