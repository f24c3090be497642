"""From many runs to a statement: intervals over seeds, steps to a target, fitted laws.

Run tables are those of ``lib.training.train`` with the columns ``batch_size`` and
``seed`` (and ``learning_rate``, ``optimizer``) beside: one row a run and evaluation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import optimize, stats

CLOCKS = ("iteration", "epoch", "batches", "samples", "seconds")


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % confidence interval, from ``num`` seeds (or points of a fit)."""

    estimate: float
    low: float
    high: float
    num: int

    @property
    def mean(self) -> float:
        """The estimate, by its name where it is a mean."""
        return self.estimate

    def __str__(self) -> str:
        half = (self.high - self.low) / 2
        decimals = max(0, 1 - int(np.floor(np.log10(half)))) if half > 0 else 4  # two significant digits of the width
        estimate, low, high, width = (
            f"{number:.{decimals}f}" if decimals < 8 else f"{number:.1e}"
            for number in (self.estimate, self.low, self.high, half)
        )
        symmetric = abs(self.estimate - (self.low + self.high) / 2) <= 1e-6 * half
        return f"{estimate} ± {width}" if symmetric else f"{estimate} ({low} to {high})"


def mean_interval(values: ArrayLike, least: int = 5) -> Interval:
    """Mean and t-based 95 % interval of one number per seed; ``least`` seeds or more, all of them finite."""
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or len(values) < max(2, least):
        raise ValueError(
            f"There are {values.size} values, but an interval over seeds needs at least {max(2, least)}; "
            f"run more seeds."
        )
    if not np.isfinite(values).all():
        raise ValueError(
            f"{(~np.isfinite(values)).sum()} of {len(values)} values are infinite or not a number; leave "
            f"out runs that diverged or did not reach a target on purpose, and say how many."
        )
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return Interval(float(values.mean()), float(values.mean() - half), float(values.mean() + half), len(values))


def paired_difference(first: pd.Series, second: pd.Series, least: int = 5) -> Interval:
    """Mean of ``first - second`` over seeds, with its interval; the two runs of one seed are a pair.

    Parameters
    ----------
    first, second : pandas.Series
        One number a seed, indexed by seed. With common random numbers (same initial
        weights, same order of samples) most of the noise is in both and cancels.
    """
    for name, series in (("first", first), ("second", second)):
        if not isinstance(series, pd.Series):
            raise TypeError(f"{name} is a {type(series).__name__}, but pairs need a pandas.Series indexed by seed.")
        if not series.index.is_unique:
            raise ValueError(f"{name} has more than one value for a seed; keep one row a run, such as its last.")
    unpaired = sorted(set(first.index) ^ set(second.index))
    if unpaired:
        raise ValueError(f"Seeds {unpaired} have a run on one side only; run them on the other side too.")
    return mean_interval(first - second.reindex(first.index), least)


def intervals(runs: pd.DataFrame, value: str, by: str | list[str], least: int = 5) -> pd.DataFrame:
    """Mean and interval of ``value`` over the seeds of each group, one row a group.

    Returns
    -------
    pandas.DataFrame
        The columns ``by``, then ``mean``, ``low``, ``high``, ``num`` (seeds) and ``missing``:
        seeds whose value is infinite or not a number. Where there are any, the mean of the
        others would be of the lucky ones, so mean and interval are missing too.
    """
    by = [by] if isinstance(by, str) else list(by)
    _refuse_repeated(runs, by + ["seed"])
    rows = []
    for key, values in runs.groupby(by)[value]:
        missing = int((~np.isfinite(values)).sum())
        found = mean_interval(values.where(np.isfinite(values), 0.0), least)  # checks the number of seeds in any case
        mean, low, high = (np.nan,) * 3 if missing else (found.mean, found.low, found.high)
        rows.append((*key, mean, low, high, found.num, missing))
    return pd.DataFrame(rows, columns=[*by, "mean", "low", "high", "num", "missing"])


def bootstrap_interval(
    table: pd.DataFrame, fit: Callable, least: int = 5, num_resamples: int = 2000, seed: int = 0
) -> Interval | list[Interval]:
    """95 % bootstrap interval of what ``fit`` finds in a table with one row a seed.

    Whole seeds are drawn, because with common random numbers all runs of one seed vary
    together. Plain percentiles are too narrow for few seeds; here their level is widened
    until those of a mean match its t interval (Hesterberg 2015, arXiv:1411.5279).

    Parameters
    ----------
    table : pandas.DataFrame
        For instance ``steps.pivot(index="seed", columns="batch_size", values="iteration")``.
    fit : callable
        Takes such a table, returns a number (then the result is an interval) or several
        numbers (then it is a list of intervals).
    """
    num = len(table)
    if num < max(2, least):
        raise ValueError(f"table has {num} rows, but an interval needs at least {max(2, least)} seeds; run more seeds.")
    rng = np.random.default_rng(seed)
    found = np.array(
        [fit(table)] + [fit(table.iloc[rng.integers(num, size=num)]) for _ in range(num_resamples)], dtype=float
    )
    if not np.isfinite(found).all():
        raise ValueError("fit found an infinite value or none in some resamples; the runs do not determine it.")
    outside = stats.norm.cdf(-np.sqrt(num / (num - 1)) * stats.t.ppf(0.975, num - 1))
    low, high = np.quantile(found[1:], [outside, 1 - outside], axis=0)
    if found.ndim == 1:
        return Interval(float(found[0]), float(low), float(high), num)
    return [Interval(float(a), float(b), float(c), num) for a, b, c in zip(found[0], low, high)]


@dataclass(frozen=True)
class PowerLaw:
    """``y = factor * x ** exponent``, called with x."""

    factor: float
    exponent: Interval

    def __call__(self, x):
        return self.factor * np.asarray(x, dtype=float) ** self.exponent.estimate


def power_law(x: ArrayLike, y: ArrayLike, least: int = 4) -> PowerLaw:
    """Least-squares line through (log x, log y), such as best learning rates against batch sizes.

    The exponent's t-based 95 % interval assumes points that scatter independently about
    one line; a bend (a law that breaks down) or a coarse grid of y widens it.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.shape != y.shape or x.ndim != 1 or len(x) < max(3, least):
        raise ValueError(f"x has shape {x.shape} and y {y.shape}, but the fit needs at least {max(3, least)} points.")
    if not ((x > 0) & (y > 0) & np.isfinite(x * y)).all() or len(np.unique(x)) < 2:
        raise ValueError("x and y must be positive and finite, with at least two different x, to lie on a power law.")
    line = stats.linregress(np.log(x), np.log(y))
    half = stats.t.ppf(0.975, len(x) - 2) * line.stderr
    return PowerLaw(
        float(np.exp(line.intercept)),
        Interval(float(line.slope), float(line.slope - half), float(line.slope + half), len(x)),
    )


def steps_to_target(
    runs: pd.DataFrame,
    target: float,
    loss: str = "train_loss",
    run: Sequence[str] = ("optimizer", "batch_size", "learning_rate", "seed"),
) -> pd.DataFrame:
    """What each clock shows when a run first has ``loss <= target``; one row a run.

    Parameters
    ----------
    runs : pandas.DataFrame
        One row a run and evaluation. Iterations between evaluations are not seen, so the
        answer is late by less than one evaluation interval.
    run : list of str
        The columns that tell runs apart; those which the table lacks are left out.

    Returns
    -------
    pandas.DataFrame
        The columns ``run``, the clocks of the table (``iteration``, ``samples``, ...; missing,
        not a number, where the target was not reached) and ``reached``.
    """
    run = [name for name in run if name in runs]
    clocks = [name for name in CLOCKS if name in runs]
    _refuse_repeated(runs, run + ["iteration"])
    starts = runs.loc[runs["iteration"] == 0]
    table = runs[run].drop_duplicates()
    if len(starts) != len(table):
        raise ValueError(
            f"{len(table) - len(starts)} runs have no row of iteration 0; give evaluations from the "
            f"start, and as run the columns that tell runs apart but do not change within one."
        )
    if (starts[loss] <= target).any():
        raise ValueError(f"target is {target}, but a run has that {loss} before its first iteration; use a lower one.")
    first = runs[runs[loss] <= target].sort_values("iteration").drop_duplicates(run)
    table = table.merge(first[run + clocks], on=run, how="left")
    return table.assign(reached=table["iteration"].notna())


@dataclass(frozen=True)
class CriticalBatchSize:
    """``S = s_min * (1 + b_crit / B)``: iterations S to a loss against batch size B, called with B.

    ``bracketed`` says whether the whole interval of ``b_crit`` lies between the smallest and
    largest batch size measured; if it does not, the law is extrapolated.
    """

    s_min: Interval
    b_crit: Interval
    bracketed: bool

    def __call__(self, batch_size):
        return self.s_min.estimate * (1 + self.b_crit.estimate / np.asarray(batch_size, dtype=float))


def critical_batch_size(
    steps: pd.DataFrame, least: int = 5, num_resamples: int = 2000, seed: int = 0
) -> CriticalBatchSize:
    """Fit the law of McCandlish et al. 2018 (arXiv:1812.06162) to iterations to a target.

    Least squares of log S, since S spans decades; intervals by :func:`bootstrap_interval`.
    They hold for the given learning rates: the uncertainty of tuning them is not in.

    Parameters
    ----------
    steps : pandas.DataFrame
        Columns ``batch_size``, ``seed``, ``iteration``: one row each, every seed at every
        batch size, at least 3 batch sizes; see :func:`steps_to_target`.
    """
    _refuse_repeated(steps, ["batch_size", "seed"])
    table = np.log(steps.pivot(index="seed", columns="batch_size", values="iteration").astype(float))
    if table.shape[1] < 3 or not np.isfinite(table).all(axis=None):
        bad = table.columns[~np.isfinite(table).all()].tolist()
        raise ValueError(
            f"There are {table.shape[1]} batch sizes, and at {bad} a seed did not reach the target; the "
            f"fit needs 3 or more that all seeds reach: lengthen those runs or leave a batch size out."
        )
    sizes = table.columns.to_numpy(dtype=float)

    def fit(rows: pd.DataFrame) -> tuple[float, float]:
        log_steps = rows.to_numpy().mean(axis=0)

        def residuals(log_b_crit):
            return log_steps - np.log1p(np.exp(log_b_crit) / sizes)

        log_b_crit = optimize.minimize_scalar(
            lambda b: residuals(b).var(), method="bounded", bounds=(np.log(sizes.min()) - 7, np.log(sizes.max()) + 7)
        ).x
        return np.exp(residuals(log_b_crit).mean()), np.exp(log_b_crit)

    s_min, b_crit = cast(list[Interval], bootstrap_interval(table, fit, least, num_resamples, seed))
    return CriticalBatchSize(s_min, b_crit, bool(sizes.min() <= b_crit.low and b_crit.high <= sizes.max()))


def _refuse_repeated(runs: pd.DataFrame, columns: list[str]):
    lacking = [name for name in columns if name not in runs]
    if lacking:
        raise ValueError(f"The table has no column {', '.join(lacking)}; its columns are {', '.join(map(str, runs))}.")
    if runs.duplicated(columns).any():
        raise ValueError(
            f"The table has two rows with the same {', '.join(columns)}; keep one of them, such as the "
            f"last evaluation, or name the column that tells them apart."
        )
