"""What ``lib.advise`` sees in 30 seconds, beside what sweeps measure, on the course's workloads.

A pair is a workload, a target loss and an optimizer. For each, the advice runs once, with 30 seconds, the target, and a
present batch size of 64. What it sees is the noise scale along its short runs, and the learning rate of these runs:
inside the range test, and where they stay finite. What sweeps measure is the critical batch size and the best learning
rate at batch size 64: those of lesson 8, those of the matrix (``lib.experiments.travel``), and some more made here.
``lib/advise/pairs.csv`` keeps both, and the advice is as wide as they scatter.

To judge the advice, a pair is compared with the interval that it would have had if the course knew no run of its
workload: the spread is taken from the pairs of the other workloads (:func:`judged`).

The targets of the sweeps made here are losses that plain SGD reaches in some hundred iterations: chosen by a look at
one curve of each workload, before any advice. (Three cells were tried beforehand, to set how often runs are
evaluated.) A first version of the advice had intervals by a fixed rule: a factor of 3 to each side of the noise
scale's, and rates from the steepest fall to the lowest loss. They held 6 and 5 of 8 pairs. The present rule, its level
and the way it is judged were written down before the pairs of the matrix were asked about.
"""

import math
import os
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import torch

from lib.advise import calibration
from lib.advise.ask import seen
from lib.catalog import named
from lib.data import Dataset, digits, mnist1d
from lib.experiments import course, travel
from lib.experiments.runs import histories, seen_by_training_loss
from lib.experiments.search import tuned
from lib.experiments.verdicts import Runs, law
from lib.files import write_atomically
from lib.long_records import LongRecord, remember_long
from lib.models import cnn
from lib.recipe import Budget
from lib.statistics import Interval, critical_batch_size, steps_to_target
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


def in_the_matrix(name: str) -> Workload:
    """A workload as ``lib.experiments.travel`` trains it."""
    workload = named(name)
    num_samples, _ = travel.WORKLOADS[name].num_samples
    models = {"cnn": cnn(12), "batch-norm": cnn(8, batch_norm=True)}
    samples: dict[str, Callable[[], Dataset]] = {
        "mlp": mnist1d,
        "cnn": mnist1d,
        "batch-norm": mnist1d,
        "logistic": partial(digits, 797),
    }
    data = samples[name]() if name in samples else workload.data
    return workload.but(data=data.first(num_samples), model=models.get(name, workload.model))


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


def measured() -> pd.DataFrame:
    """What sweeps measured: a row a pair.

    Returns
    -------
    pandas.DataFrame
        ``source`` of the sweep, ``workload``, ``optimizer``; ``target``, a training loss; ``critical`` batch size
        with ``critical_low`` and ``critical_high``, its 95 % interval; ``rate``, the best at batch size ``REFERENCE``.
    """
    own = sweeps().tables["steps"].assign(source="own")
    lesson = course.steps_to_target().tables["steps"].assign(source="lesson 8", workload="mlp")
    rows = []
    for (source, name, target), part in pd.concat([lesson, own]).groupby(["source", "workload", "target"], sort=False):
        rates = part.loc[part["batch_size"] == REFERENCE, "learning_rate"]
        rows.append(_row(source, name, "sgd", target, critical_batch_size(part), rates.iloc[0]))
    for name in travel.WORKLOADS:
        record = travel.record(name)
        runs = Runs(record.tables, record.runs)
        for optimizer in runs.optimizers():
            reported = runs.reported(REFERENCE, "target", optimizer)
            reached = round(float(reported["train_loss"].mean()), 2)  # where the test loss reached its target
            fit = law(runs, optimizer)
            if fit is not None:
                rows.append(_row("matrix", name, optimizer, reached, fit, reported["learning_rate"].iloc[0]))
    return pd.DataFrame(rows)


def _row(source: str, workload: str, optimizer: str, target: float, fit, rate: float) -> dict:
    critical = {"critical": fit.b_crit.estimate, "critical_low": fit.b_crit.low, "critical_high": fit.b_crit.high}
    return {"source": source, "workload": workload, "optimizer": optimizer, "target": target, **critical, "rate": rate}


def pairs() -> list[dict]:
    """The settings of all that is asked: each pair that was swept, for so many seconds."""
    asked = measured()[["source", "workload", "optimizer", "target"]]
    return [{**row, "seconds": 30.0} for row in asked.to_dict("records")]


def advice(source: str, workload: str, optimizer: str, target: float, seconds: float) -> dict[str, pd.DataFrame]:
    """What ``lib.advise`` sees of a workload in so many seconds, before anything is made of it.

    Returns
    -------
    dict with the tables
        ``advice``: one row: the noise scale along the short runs, the learning rates at which the loss fell fastest
        and was lowest, and that of the short runs (``tried``), with their intervals; missing numbers where there was
        no time. ``failed_at``: the lowest rate at which a short run did not stay finite, infinite without one.
        ``problems``: the sentences about it, or "none".
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    started = time.perf_counter()
    try:
        found, _ = seen(
            (in_the_matrix if source == "matrix" else workload_of)(workload),
            optimizer=optimizer,
            batch_size=REFERENCE,
            seconds=seconds,
            budget=Budget(epochs=10, target=target),
        )
    finally:
        torch.set_num_threads(before)
    row: dict = {"workload": workload, "took": time.perf_counter() - started}
    quick = {
        "noise": found.noise and found.noise.along,
        "steepest": found.rates and found.rates.steepest,
        "lowest": found.rates and found.rates.lowest,
        "tried": found.tried,
    }
    for name, value in quick.items():
        for end in ("estimate", "low", "high"):
            row[f"{name}_{end}"] = float(getattr(value, end, np.nan))
    row |= {"reached": bool(found.noise and found.noise.reached)}
    row |= {"iterations": found.noise.iterations if found.noise else 0}
    row |= {"failed_at": found.noise.failed_at if found.noise else math.inf}
    return {
        "advice": pd.DataFrame([row]),
        "problems": pd.DataFrame({"sentence": found.problems + found.notes or ["none"]}),
    }


def said() -> LongRecord:
    """What the advice saw, asked for once, by ``python -m lib.experiments.advised``.

    Seconds decide how much of it there is, so no number of it is compared, and it is never run again by a check.
    """
    ends = [f"{what}_{end}" for what in ("noise", "steepest", "lowest", "tried") for end in ("estimate", "low", "high")]
    numbers = [*ends, "failed_at", "took", "iterations", "reached", "sentence"]
    return remember_long("advised", advice, pairs(), tolerance=dict.fromkeys(numbers))


def compared() -> pd.DataFrame:
    """A row a pair: what sweeps measured beside what the advice saw."""
    table = said().tables["advice"].set_index("run")
    return measured().join(table.drop(columns="workload"))


def kept(table: pd.DataFrame) -> str:
    """The text of ``lib/advise/pairs.csv``, from the rows of :func:`compared`."""
    numbers = {"critical": "critical", "noise": "noise_estimate", "rate": "rate", "tried": "tried_estimate"}
    columns = {name: table[column].map("{:.4g}".format) for name, column in numbers.items()}
    return table[["workload", "optimizer", "target"]].assign(**columns).to_csv(index=False, lineterminator="\n")


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """Each pair with the intervals it would have had without the pairs of its own workload.

    Returns
    -------
    pandas.DataFrame
        The rows of :func:`compared`, with ``critical_advised_low``, ``critical_advised_high``, ``rate_advised_low``,
        ``rate_advised_high``, and ``critical_missed_by`` and ``rate_missed_by``: the factor by which an interval
        misses, 1 if it holds the measured value, not a number where there is no interval.
    """
    rows = []
    known = table.rename(columns={"noise_estimate": "noise", "tried_estimate": "tried"})
    for _, pair in table.iterrows():
        others, row = known[known["workload"] != pair["workload"]], pair.to_dict()
        for what, quick, answer in (
            ("critical", "noise", calibration.critical),
            ("rate", "tried", partial(calibration.rate, failed_at=pair["failed_at"])),
        ):
            low = high = math.nan
            if math.isfinite(pair[f"{quick}_low"]):
                here = Interval(pair[f"{quick}_estimate"], pair[f"{quick}_low"], pair[f"{quick}_high"], 0)
                found = answer(here, pair["optimizer"], others)
                low, high = found.low, found.high
            missed = max(low / pair[what], pair[what] / high, 1.0) if math.isfinite(low) else math.nan
            row |= {f"{what}_advised_low": low, f"{what}_advised_high": high, f"{what}_missed_by": missed}
        rows.append(row)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    os.environ["MEASURE_LONG"] = "1"
    print(sweeps())
    print(said())
    print(write_atomically(calibration.FILE, kept(compared())))
