"""What ``lib.advise`` says, against what sweeps measure, on the course's workloads.

The rule, written before anything was measured. A pair is a workload and a target loss. For each, the advice
runs once, with 30 seconds, SGD, the target, and a present batch size of 64. Its interval of the critical batch size
holds if the fitted value of the sweep lies in it, its range of learning rates holds if the tuned rate at batch size
64 does. Targets are losses that plain SGD reaches in some hundred iterations: chosen by a look at one curve of each
workload, before any sweep and any advice. The advice is not changed by what comes out.
"""

import numpy as np
import pandas as pd

from lib.catalog import named
from lib.experiments.runs import histories, seen_by_training_loss
from lib.experiments.search import tuned
from lib.long_records import LongRecord, remember_long
from lib.statistics import steps_to_target
from lib.workload import Workload

TARGETS = {"logistic": [0.5, 0.3], "friedman": [0.5, 0.3], "cnn": [1.6, 1.3], "batch-norm": [1.3, 1.0]}
SIZES = {"logistic": [8, 32, 64, 128, 512], "friedman": [8, 32, 64, 128, 512], "cnn": [16, 64, 256, 1024],
         "batch-norm": [16, 64, 256]}  # fmt: skip
GUESSES = {"logistic": 1.0, "friedman": 0.1, "cnn": 0.3, "batch-norm": 0.3}  # of the best rate at batch size 64
PLATEAU = {"logistic": 60, "friedman": 60, "cnn": 100, "batch-norm": 60}  # iterations that large batches may take
REFERENCE = 64  # batch size at which the learning rate is advised


def workload_of(name: str) -> Workload:
    """A workload whose runs are judged by the training loss, with few other samples; "mlp" is that of lesson 8."""
    if name == "mlp":
        return seen_by_training_loss()
    workload = named(name)
    return workload.but(data=workload.data.hold_out(0, 100))


def runs() -> list[dict]:
    """The settings of all sweeps: one for each workload, target and batch size."""
    return [
        {"workload": name, "target": target, "batch_size": size, "seeds": list(range(5))}
        for name, targets in TARGETS.items()
        for target in targets
        for size in SIZES[name]
    ]


def steps(workload: str, target: float, batch_size: int, seeds: list[int]) -> dict[str, pd.DataFrame]:
    """Iterations to a target at one batch size, at the best learning rate of a grid whose best is inside.

    Returns
    -------
    dict with the tables
        ``steps``: a row a seed, at the chosen learning rate.
        ``grid``: a row a learning rate that was tried, with the median ``iterations`` of the seeds.
    """
    trained = workload_of(workload)
    longest = int(PLATEAU[workload] * (1 + 256 / batch_size))
    guess = GUESSES[workload] * (batch_size / REFERENCE) ** (0.8 if batch_size < REFERENCE else 0.3)

    def runs_at(learning_rates: list[float]) -> pd.DataFrame:
        found = histories(
            trained,
            batch_size=batch_size,
            learning_rate=learning_rates,
            seed=seeds,
            iterations=longest,
            evaluate_every=max(1, longest // 200),
            target=target,
        )
        table = steps_to_target(found, target)
        return table.assign(score=table["iteration"].fillna(np.inf))

    found = tuned(runs_at, guess, over_seeds="median", most=14)
    settings = {"workload": workload, "target": target, "batch_size": batch_size}
    chosen = found.grid[found.grid["learning_rate"] == found.rate]
    return {
        "steps": chosen[["learning_rate", "seed", "iteration"]].assign(**settings).reset_index(drop=True),
        "grid": found.scores.rename("iterations").reset_index().assign(**settings),
    }


def sweeps() -> LongRecord:
    """The sweeps, made once."""
    return remember_long(
        "advised-sweeps",
        steps,
        runs(),
        tolerance={"learning_rate": 1.0, "iteration": 0.5, "iterations": 0.5, "target": 0.0},
    )
