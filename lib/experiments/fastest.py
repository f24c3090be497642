"""The batch size with the fewest seconds to a loss: predicted from two laws and a few sizes, then measured at many.

Seconds of an iteration are t = t0 + c B (lesson 6), iterations to a loss S = S_min (1 + B_crit / B) (lesson 8). Their
product S_min (t0 + c B_crit + c B + t0 B_crit / B) is smallest where c = t0 B_crit / B**2, at B = sqrt(B_crit t0 / c).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from lib.catalog import named
from lib.data import mnist1d
from lib.experiments.runs import NUM_SAMPLES
from lib.experiments.target import RULES, tuned_steps
from lib.profiling import throughput
from lib.statistics import CriticalBatchSize, Interval, critical_batch_size
from lib.workload import Workload


@dataclass(frozen=True)
class IterationTime:
    """``t = fixed + per_sample * B``: seconds of an iteration against batch size B, called with B."""

    fixed: float
    per_sample: float

    def __call__(self, batch_size):
        return self.fixed + self.per_sample * np.asarray(batch_size, dtype=float)


def iteration_time(speed: pd.DataFrame) -> IterationTime:
    """Fit the straight line to ``seconds_per_iteration`` against ``batch_size``, each in proportion to its size.

    Raises
    ------
    ValueError
        Fewer than two batch sizes, or times that do not grow with the batch size or do not start above zero.
    """
    sizes, seconds = (speed[name].to_numpy(dtype=float) for name in ("batch_size", "seconds_per_iteration"))
    if len(np.unique(sizes)) < 2:
        raise ValueError(f"There are times of batch sizes {sizes.tolist()}, but a line needs two different ones.")
    (fixed, per_sample), _ = nnls(np.column_stack([1 / seconds, sizes / seconds]), np.ones(len(sizes)))
    if fixed == 0 or per_sample == 0:
        raise ValueError("The times are no line that starts above zero and rises; measure them on a quieter machine.")
    return IterationTime(float(fixed), float(per_sample))


def fastest_batch_size(time: IterationTime, b_crit: float) -> float:
    """The batch size with the fewest seconds to a loss, by the two laws."""
    return float(np.sqrt(b_crit * time.fixed / time.per_sample))


@dataclass(frozen=True)
class Prediction:
    """What a few batch sizes say about all: both laws, and where their product is smallest."""

    time: IterationTime
    steps: CriticalBatchSize
    batch_size: Interval

    def seconds(self, batch_size):
        """Seconds to the loss at a batch size."""
        return self.time(batch_size) * self.steps(batch_size)


def predict(steps: pd.DataFrame, speed: pd.DataFrame, pilot: list[int]) -> Prediction:
    """Fit both laws at the batch sizes of ``pilot`` alone.

    Parameters
    ----------
    steps : pandas.DataFrame
        Columns ``batch_size``, ``seed``, ``iteration``; three batch sizes or more.
    speed : pandas.DataFrame
        Columns ``batch_size``, ``seconds_per_iteration``.

    Returns
    -------
    Prediction
        The interval of ``batch_size`` is that of the critical batch size; the times are taken as they are.
    """
    law = critical_batch_size(steps[steps["batch_size"].isin(pilot)])
    time = iteration_time(speed[speed["batch_size"].isin(pilot)])
    at = [fastest_batch_size(time, b) for b in (law.b_crit.estimate, law.b_crit.low, law.b_crit.high)]
    return Prediction(time, law, Interval(*at, law.b_crit.num))


def measured(steps: pd.DataFrame, speed: pd.DataFrame) -> pd.DataFrame:
    """Seconds to the loss at every batch size: mean iterations over seeds, times the seconds of one.

    Returns
    -------
    pandas.DataFrame
        A row a batch size: ``iterations``, ``seconds``, ``times_the_best``.
    """
    iterations = steps.groupby("batch_size")["iteration"].mean()
    seconds = iterations * speed.set_index("batch_size")["seconds_per_iteration"].reindex(iterations.index)
    table = pd.DataFrame({"iterations": iterations, "seconds": seconds, "times_the_best": seconds / seconds.min()})
    return table.reset_index()


def how_far_off(found: Prediction, table: pd.DataFrame) -> dict:
    """The prediction beside what :func:`measured` says.

    Returns
    -------
    dict
        ``predicted`` and ``measured`` batch size, the ``factor`` between them (1 or more), and the ``price``: seconds
        at the measured batch size nearest to the prediction, against the fewest.
    """
    sizes, predicted = table["batch_size"].to_numpy(), found.batch_size.estimate
    best = int(sizes[table["seconds"].to_numpy().argmin()])
    nearest = int(np.abs(np.log(sizes / predicted)).argmin())
    return {
        "predicted": predicted,
        "measured": best,
        "factor": max(predicted / best, best / predicted),
        "price": float(table["times_the_best"].iloc[nearest]),
    }


# Targets (training losses), a first learning rate, and about what S_min and B_crit are, as lib.experiments.target asks.
GOALS = {"cnn": (1.4, 0.15, (120, 35)), "logistic": (0.1, 2.0, (80, 100))}


def short(name: str) -> Workload:
    """A workload of the catalog with few samples to test on, since only its training loss is looked at."""
    made = named(name)
    data = mnist1d().first(NUM_SAMPLES) if name == "cnn" else made.data
    return made.but(data=data.hold_out(0, 100))


def races(batch_sizes: list[int], seeds: list[int], fresh_seeds: list[int], device: str) -> dict[str, pd.DataFrame]:
    """Iterations to a loss and seconds of an iteration against batch size, for each workload of ``GOALS``.

    Returns
    -------
    dict with the tables
        ``steps``: a row a workload, batch size and fresh seed, at the learning rate that the first rule of
        ``lib.experiments.target`` chose with ``seeds``.
        ``speed``: a row a workload and batch size, as ``lib.profiling.throughput`` measures it.
        ``grid``: a row a workload, batch size, learning rate and seed that was tried.
    """
    tables: dict[str, list] = {"steps": [], "speed": [], "grid": []}
    for name, (target, guess, expected) in GOALS.items():
        workload = short(name)
        rules, grid = tuned_steps(workload, target, batch_sizes, seeds, fresh_seeds, guess, expected)
        speed = throughput(workload, batch_sizes, device=device, rounds=5, min_seconds=0.05)
        for title, table in {"steps": rules[rules["rule"] == RULES[0]], "speed": speed, "grid": grid}.items():
            tables[title].append(table.assign(workload=name))
    columns = ["workload", "batch_size", "learning_rate", "seed", "iteration", "samples"]
    shown = {"steps": columns, "speed": ["workload", "batch_size", "seconds_per_iteration", "spread"], "grid": columns}
    return {title: pd.concat(parts, ignore_index=True)[shown[title]] for title, parts in tables.items()}
