"""What ``lib.advise`` says, against what sweeps measure, on the course's workloads.

The rule, written before anything was measured. A pair is a workload and a target loss. For each, the advice
runs once, with 30 seconds, SGD, the target, and a present batch size of 64. Its interval of the critical batch size
holds if the fitted value of the sweep lies in it, its range of learning rates holds if the tuned rate at batch size
64 does. Targets are losses that plain SGD reaches in some hundred iterations: chosen by a look at one curve of each
workload, before any advice. (Three cells of the sweep were tried beforehand, to set how often runs are evaluated.) The
advice is not changed by what comes out.
"""

import os
import time

import numpy as np
import pandas as pd
import torch

from lib.advise import advise
from lib.catalog import named
from lib.experiments.runs import histories, seen_by_training_loss
from lib.experiments.search import tuned
from lib.long_records import LongRecord, remember_long
from lib.recipe import Budget
from lib.statistics import steps_to_target
from lib.workload import Workload

TARGETS = {"logistic": [0.5, 0.3], "friedman": [0.5, 0.3], "cnn": [1.6], "batch-norm": [1.3]}
SIZES = {
    "logistic": [8, 32, 64, 128, 512],
    "friedman": [8, 32, 64, 256],
    "cnn": [16, 64, 256],
    "batch-norm": [16, 64, 256],
}
GUESSES = {"logistic": 2.0, "friedman": 0.1, "cnn": 0.3, "batch-norm": 0.4}  # of the best rate at batch size 64
PLATEAU = {"logistic": 60, "friedman": 120, "cnn": 100, "batch-norm": 60}  # iterations that large batches may take
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
        ``steps``: a row a seed, at the learning rate of the best mean; ``by_median`` is that of the best median.
        ``grid``: a row a learning rate that was tried, with the mean ``iterations`` of the seeds.
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

    found = tuned(runs_at, guess, rules=["best mean", "best median"])
    settings = {"workload": workload, "target": target, "batch_size": batch_size}
    chosen = found.grid[found.grid["learning_rate"] == found.rate].astype({"iteration": float})
    return {
        "steps": chosen[["learning_rate", "seed", "iteration"]]
        .assign(by_median=found.rates["best median"], **settings)
        .reset_index(drop=True),
        "grid": found.scores.astype(float).rename("iterations").reset_index().assign(**settings),
    }


def sweeps() -> LongRecord:
    """The sweeps, made once."""
    return remember_long(
        "advised-sweeps",
        steps,
        runs(),
        tolerance={"learning_rate": 1.0, "iteration": 0.5, "iterations": 0.5, "by_median": 1.0},
    )


def pairs() -> list[dict]:
    """The settings of all advice: every workload and target with a sweep, and those of lesson 8."""
    targets: dict[str, list[float]] = {"mlp": [1.5, 1.0], **TARGETS}
    return [{"workload": name, "target": target, "seconds": 30.0} for name, each in targets.items() for target in each]


def advice(workload: str, target: float, seconds: float) -> dict[str, pd.DataFrame]:
    """What ``lib.advise`` says about a workload, in so many seconds.

    Returns
    -------
    dict with the tables
        ``advice``: one row: noise scale, critical batch size and the range of learning rates with their intervals;
        missing numbers where there was no time. ``problems``: the sentences about it, or "none".
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    started = time.perf_counter()
    try:
        found = advise(
            workload_of(workload), batch_size=REFERENCE, seconds=seconds, budget=Budget(epochs=10, target=target)
        )
    finally:
        torch.set_num_threads(before)
    row: dict = {"workload": workload, "target": target, "took": time.perf_counter() - started}
    noise = found.noise
    for name, value in {"noise": noise and noise.along, "b_crit": found.b_crit}.items():
        for end in ("estimate", "low", "high"):
            row[f"{name}_{end}"] = float(getattr(value, end, np.nan))
    row |= {"reached": bool(noise and noise.reached), "iterations": noise.iterations if noise else 0}
    row |= {
        "rate_low": found.rates.low if found.rates else np.nan,
        "rate_high": found.rates.high if found.rates else np.nan,
    }
    row["size_low"], row["size"], row["size_high"] = map(float, found.choice or [np.nan] * 3)  # type: ignore[list-item]
    return {
        "advice": pd.DataFrame([row]),
        "problems": pd.DataFrame({"sentence": found.problems + found.notes or ["none"]}),
    }


def said() -> LongRecord:
    """The advice, asked for once, by ``python -m lib.experiments.advised``.

    Seconds decide how much of it there is, so no number of it is compared, and it is never run again by a check.
    """
    numbers = "took noise_estimate noise_low noise_high b_crit_estimate b_crit_low b_crit_high iterations rate_low "
    numbers += "rate_high size_low size size_high reached sentence"
    return remember_long("advised", advice, pairs(), tolerance=dict.fromkeys(numbers.split()))


if __name__ == "__main__":
    os.environ["MEASURE_LONG"] = "1"
    print(sweeps())
    print(said())
