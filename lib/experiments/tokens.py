"""Runs of a small language model with Adam on tokens that never come twice, and how they compare with the Bayes floor.

Losses are ``above``: the mean test loss less what the best possible reader loses on the same tokens
(``lib.language.Language.bayes_losses``), in nats a token.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from lib.data import Dataset
from lib.kernel_transformer import TransformerReplicas
from lib.language import Language, language
from lib.long_records import LongRecord, Tolerance, remember_long
from lib.recipe import Recipe
from lib.replicas import Replicas, StackedReplicas
from lib.sampling import epoch_order
from lib.statistics import critical_batch_size
from lib.texts import windows
from lib.transformer import Transformer
from lib.workload import Workload, next_token

LENGTH, HELD = 32, 256  # tokens of a row, and rows that a loss is taken on
BETAS = (0.9, 0.95)
MODELS: dict[str, Any] = {
    "cpu": {"width": 32, "heads": 2, "layers": 1},
    "cuda": {"width": 192, "heads": 6, "layers": 2},
}
Run = tuple[float, int]  # learning rate and seed
Stage = tuple[int, int]  # batch size and iterations


def of_language(rows: int, stream: int, device: str = "cpu") -> tuple[Workload, float]:
    """The language model with ``rows`` training rows that no other stream has, and the floor of its ``HELD`` test rows.

    On a GPU the model is about 50 times as large; see ``MODELS``.
    """
    tokens = language()
    x, y = windows(tokens.stream((rows + HELD) * LENGTH + 1, stream), LENGTH)
    data = Dataset(f"Synthetic language, stream {stream}", x[HELD:], y[HELD:], x[:HELD], y[:HELD])
    workload = next_token(Transformer(tokens.vocabulary, LENGTH, **MODELS[device]), data)
    return workload, floor(tokens, x[:HELD], y[:HELD])


def floor(tokens: Language, x: np.ndarray, y: np.ndarray) -> float:
    """What the best possible reader loses on rows, in nats a token."""
    return float(tokens.bayes_losses(np.column_stack([x, y[:, -1]])).mean())


def marks(iterations: int) -> list[int]:
    """Where a run is evaluated: 10 % apart, from a thirtieth of it to its end."""
    found = [iterations]
    while found[-1] > max(1, iterations / 30):
        found.append(min(found[-1] - 1, round(found[-1] / 1.1)))
    return found[::-1]


def curves(
    batch_size: int,
    learning_rates: list[float],
    seeds: list[int],
    iterations: int,
    stream: int,
    dtype: str = "float32",
    device: str = "cpu",
) -> pd.DataFrame:
    """Losses along runs with a constant learning rate, none of whose rows comes twice: a run of the long records.

    Parameters
    ----------
    batch_size : int
        Rows of a batch, of ``LENGTH`` tokens each.
    stream : int
        Of the language, from which training rows and test rows are.

    Returns
    -------
    pandas.DataFrame
        A row a learning rate, seed and evaluation: ``learning_rate``, ``seed``, ``iteration``, ``above``.
    """
    recipe = Recipe(batch_size, optimizer="adam", betas=BETAS)
    runs = list(itertools.product(learning_rates, seeds))
    jobs = (
        joblib.delayed(evaluated)(recipe, group, [(batch_size, iterations)], marks(iterations), stream, dtype, device)
        for group in grouped(runs, device)
    )
    rows = itertools.chain(*joblib.Parallel(n_jobs=-1 if device == "cpu" else 1)(jobs))
    return pd.DataFrame(rows, columns=["learning_rate", "seed", "iteration", "above"])


def replicas_of(workload: Workload, recipe: Recipe, seeds: list[int], device: str = "cpu") -> Replicas:
    """Replicas that know this workload: compiled ones, if its loss is the plain one."""
    compiled = device == "cpu" and TransformerReplicas.network_of(workload) is not None
    return (TransformerReplicas if compiled else StackedReplicas)(workload, recipe, seeds, device)


def grouped(runs: list[Run], device: str) -> Iterator[list[Run]]:
    """Runs that are replicas of one group: all on a GPU, a share for each core of the CPU."""
    size = -(-len(runs) // (joblib.cpu_count() if device == "cpu" else 1))
    return (runs[start : start + size] for start in range(0, len(runs), size))


def evaluated(
    recipe: Recipe, runs: list[Run], stages: list[Stage], at: list[int], stream: int, dtype: str, device: str
) -> list[tuple]:
    """``(learning rate, seed, iteration, above)`` of replicas at some iterations; their data are fresh."""
    with default_dtype(getattr(torch, dtype)):
        workload, lowest = of_language(sum(size * number for size, number in stages), stream, device)
        orders = np.stack([epoch_order(len(workload), seed, 0) for _, seed in runs])
        replicas = replicas_of(workload, recipe, [seed for _, seed in runs], device)
        rows = []
        for iteration in stepping(replicas, [rate for rate, _ in runs], orders, stages, at):
            losses, _ = replicas.mean_loss("test")
            rows += [(*run, iteration, loss - lowest) for run, loss in zip(runs, losses)]
    return rows


def stepping(
    replicas: Replicas, rates: list[float], orders: np.ndarray, stages: list[Stage], at: list[int]
) -> Iterator[int]:
    """Train replicas along stages of different batch sizes, each on its own order; stop at some iterations.

    The recipe's schedule is counted in rows, so that it means the same at each batch size.
    """
    sizes = np.repeat([size for size, _ in stages], [number for _, number in stages])
    read = np.concatenate([[0], np.cumsum(sizes)])
    factors = np.array([replicas.recipe.factor(int(rows), int(read[-1])) for rows in read[:-1]])
    ends = sorted({*at, *np.cumsum([number for _, number in stages]).tolist()})
    for begin, end in itertools.pairwise([0, *ends]):
        here = orders[:, read[begin] : read[end]]
        which = np.arange(len(orders))
        replicas.advance(here, which, int(sizes[begin]), np.outer(rates, factors[begin:end]))
        if end in at:
            yield end


@contextmanager
def default_dtype(dtype: torch.dtype):
    """Numbers are of this type inside, and one thread makes them."""
    before = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_default_dtype(dtype)
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_default_dtype(before[0])
        torch.set_num_threads(before[1])


def reached(curve: pd.DataFrame, target: float) -> float:
    """Iterations until the mean of three evaluations is at a target, read off between them; infinite if it never is.

    Losses are noisy at small batches: a single low one is no arrival.
    """
    smooth = curve["above"].rolling(3, center=True).mean().to_numpy()
    steps = np.log(curve["iteration"].to_numpy())
    below = np.flatnonzero(smooth <= target)
    if not len(below):
        return np.inf
    if (first := below[0]) < 2:
        raise ValueError(f"target is {target}, but a run was there at its first evaluations; evaluate it earlier.")
    share = (smooth[first - 1] - target) / (smooth[first - 1] - smooth[first])
    return float(np.exp(steps[first - 1] + share * (steps[first] - steps[first - 1])))


# The long records: iterations to two losses, at learning rates that other seeds and other tokens chose ------------

CHOOSING, REPORTING = [0, 1, 2], [10, 11, 12, 13, 14]  # seeds, as numbers: a long record knows no other ones
# Batch size in rows: learning rates, a factor of 2 apart, and iterations, about 1.4 times what the lower loss needs.
TRIED = {
    "cpu": {
        1: ([0.00075, 0.0015, 0.003, 0.006], 10_500),
        4: ([0.0015, 0.003, 0.006, 0.012], 2_300),
        16: ([0.003, 0.006, 0.012, 0.024], 540),
        64: ([0.006, 0.012, 0.024, 0.048], 180),
        256: ([0.012, 0.024, 0.048, 0.096], 90),
        512: ([0.012, 0.024, 0.048, 0.096], 70),
    },
    "cuda": {  # a wider model wants smaller rates
        4: ([0.0001, 0.0002, 0.0004, 0.0008, 0.0016, 0.0032], 6_000),
        16: ([0.0002, 0.0004, 0.0008, 0.0016, 0.0032, 0.0064], 2_000),
        64: ([0.0004, 0.0008, 0.0016, 0.0032, 0.0064, 0.0128], 700),
        256: ([0.0008, 0.0016, 0.0032, 0.0064, 0.0128, 0.0256], 350),
        1024: ([0.0008, 0.0016, 0.0032, 0.0064, 0.0128, 0.0256], 250),
        4096: ([0.0008, 0.0016, 0.0032, 0.0064, 0.0128, 0.0256], 200),
    },
}
SUFFIX = {"cpu": "", "cuda": "-cuda"}  # of records
# About twice what all runs differ by on one processor with and without AVX, 0.052 and 0.021. The highest rates tried
# amplify a rounding most. In double precision nothing is left of it.
TOLERANCE: dict[str, Tolerance] = {"rates": {"above": 0.1}, "steps": {"above": 0.05}, "float64": {"above": 1e-9}}


def targets() -> dict[str, float]:
    """Two losses above the floor: that of the best table of pairs, and one that needs attention.

    The floor under the first is that of many rows; ``bigram`` is exact.
    """
    x, y = windows(language().stream(4_000 * LENGTH + 1, 900), LENGTH)
    return {"bigram": language().bigram - floor(language(), x, y), "lower": 0.5}


def rates_tried(device: str = "cpu") -> LongRecord:
    """Curves with three seeds at four learning rates for each batch size: what rates are chosen by."""
    runs = []
    for size, (rates, iterations) in TRIED[device].items():
        together = 2 if size < 256 else 1  # rates of one run, so that each takes seconds
        for first in range(0, len(rates), together):
            runs.append({"batch_size": size, "learning_rates": rates[first : first + together], "seeds": CHOOSING})
            runs[-1] |= {"iterations": iterations, "stream": 1, "device": device}
    return remember_long(f"token-rates{SUFFIX[device]}", curves, runs, tolerance=TOLERANCE["rates"])


def chosen(tried: pd.DataFrame) -> pd.DataFrame:
    """The best learning rate of each batch size for each target: least median iterations, if all seeds arrive.

    Parameters
    ----------
    tried : pandas.DataFrame
        From :func:`steps_of`.

    Returns
    -------
    pandas.DataFrame
        ``target``, ``batch_size``, ``learning_rate``, ``iterations`` (the median), and ``inside``: whether the
        rate is neither the smallest nor the largest that was tried.
    """
    rows = []
    for (target, size), here in tried.groupby(["target", "batch_size"], sort=False):
        scores = here.groupby("learning_rate")["iteration"].agg(
            lambda s: s.median() if np.isfinite(s).all() else np.inf
        )
        best = scores.idxmin()
        inside = scores.index[0] < best < scores.index[-1]
        rows.append((target, size, best, scores.min(), inside))
    return pd.DataFrame(rows, columns=["target", "batch_size", "learning_rate", "iterations", "inside"])


def steps_of(record: LongRecord, targets: dict[str, float]) -> pd.DataFrame:
    """Iterations of every run of a long record to each target: ``target``, ``batch_size``, ``learning_rate``, ``seed``,
    ``iteration``."""
    table = record.tables["table"]
    sizes = [run["batch_size"] for run in record.runs]
    rows = [
        (name, sizes[run], rate, seed, reached(curve, level))
        for name, level in targets.items()
        for (run, rate, seed), curve in table.groupby(["run", "learning_rate", "seed"])
    ]
    return pd.DataFrame(rows, columns=["target", "batch_size", "learning_rate", "seed", "iteration"])


def steps_to_targets(device: str = "cpu") -> LongRecord:
    """Curves with five other seeds, on other tokens, at the rates that :func:`rates_tried` chose."""
    levels = targets()
    best = chosen(steps_of(rates_tried(device), levels))
    runs = [
        {"batch_size": size, "learning_rates": sorted(set(best["learning_rate"][best["batch_size"] == size]))}
        | {"seeds": REPORTING, "iterations": iterations, "stream": 2, "device": device}
        for size, (_, iterations) in TRIED[device].items()
    ]
    return remember_long(f"token-steps{SUFFIX[device]}", curves, runs, tolerance=TOLERANCE["steps"])


def in_float64() -> LongRecord:
    """Short pieces of the same runs in double precision, which another processor repeats almost to the last digit."""
    runs = [
        {"batch_size": size, "learning_rates": [rate], "seeds": [20], "iterations": iterations, "stream": 3}
        | {"dtype": "float64", "device": "cpu"}
        for size, rate, iterations in ((1, 0.0015, 600), (16, 0.006, 150), (256, 0.024, 20))
    ]
    return remember_long("token-float64", curves, runs, tolerance=TOLERANCE["float64"])


# What they say -----------------------------------------------------------------------------------


def fits(steps: pd.DataFrame, subsets: dict[str, list[int]]) -> pd.DataFrame:
    """The critical batch size in tokens for each target, fitted to several subsets of the batch sizes.

    Parameters
    ----------
    steps : pandas.DataFrame
        From :func:`steps_of`, one learning rate for each target and batch size.

    Returns
    -------
    pandas.DataFrame
        ``target``, ``sizes`` (the subset's name), ``tokens``, ``low``, ``high``, ``s_min``, and ``largest_error`` of
        the law: the largest distance of a mean from it, as a ratio.
    """
    rows = []
    for target, name in itertools.product(steps["target"].unique(), subsets):
        here = steps[(steps["target"] == target) & steps["batch_size"].isin(subsets[name])]
        fit = critical_batch_size(here)
        mean = np.exp(np.log(here["iteration"]).groupby(here["batch_size"]).mean())
        error = np.abs(np.log(mean / fit(mean.index))).max()
        sizes = LENGTH * np.array([fit.b_crit.estimate, fit.b_crit.low, fit.b_crit.high])
        rows.append((target, name, *sizes, fit.s_min.estimate, float(np.exp(error))))
    return pd.DataFrame(rows, columns=["target", "sizes", "tokens", "low", "high", "s_min", "largest_error"])


def best_rates(tried: pd.DataFrame) -> pd.DataFrame:
    """The learning rate of fewest iterations, between those that were tried, for each target and batch size.

    The vertex of a parabola through log median iterations at the best rate and its two neighbours, in log rate; the
    best rate itself where a neighbour is missing or did not arrive. ``between`` says which.
    """
    rows = []
    for (target, size), here in tried.groupby(["target", "batch_size"], sort=False):
        scores = np.log(here.groupby("learning_rate")["iteration"].median())
        best = int(scores.to_numpy().argmin())
        rate, between = float(scores.index[best]), False
        if 0 < best < len(scores) - 1 and np.isfinite(scores.iloc[best - 1 : best + 2]).all():
            left, middle, right = scores.iloc[best - 1 : best + 2]
            curvature = left - 2 * middle + right
            step = scores.index[best + 1] / scores.index[best]
            rate, between = rate * step ** ((left - right) / (2 * curvature)), True
        rows.append((target, size, rate, between))
    return pd.DataFrame(rows, columns=["target", "batch_size", "learning_rate", "between"])
