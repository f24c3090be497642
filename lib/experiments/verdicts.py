"""From the records of ``lib.experiments.travel`` to a matrix: claim by workload, a verdict and an effect in each cell.

The rule, fixed before the first run. A claim is tested under one or more *conditions* (an
optimizer, a schedule, a selection rule). Under each it gets an effect with a 95 % interval and
a range in which the claim says the effect lies:

* the whole interval lies in the range: it holds there,
* the whole interval lies outside: it does not hold there,
* anything else, or an effect that could not be found: not shown there.

And over all conditions: *holds* if it holds under each; *does not hold* if it holds under none
and fails under each; *holds only if* it holds under some and fails under others; *not shown* otherwise.

The ranges are in :data:`CLAIMS`. A learning rate is always the tuned one, by the best mean,
unless a condition names another rule. Differences between batch sizes are paired by seed.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from lib.experiments.search import RULES, STEP
from lib.experiments.travel import FIXED, SCHEDULES
from lib.statistics import CriticalBatchSize, Interval, critical_batch_size, mean_interval

VERDICTS = ("holds", "holds only if", "does not hold", "not shown")
UNKNOWN = Interval(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True)
class Condition:
    """A claim's effect under one condition."""

    name: str
    effect: Interval

    def verdict(self, low: float, high: float) -> str:
        """By the rule above, for a claim that says ``low <= effect <= high``."""
        if not np.isfinite([self.effect.low, self.effect.high]).all():
            return "not shown"
        if low <= self.effect.low and self.effect.high <= high:
            return "holds"
        return "does not hold" if self.effect.high < low or self.effect.low > high else "not shown"


def together(verdicts: list[str]) -> str:
    """The verdict over all conditions, by the rule above."""
    kinds = set(verdicts)
    if kinds in ({"holds"}, {"does not hold"}):
        return kinds.pop()
    return "holds only if" if {"holds", "does not hold"} <= kinds else "not shown"


@dataclass(frozen=True)
class Claim:
    """A row of the matrix.

    Attributes
    ----------
    name, says : str
        ``name`` is a word for links; ``says`` the claim in a sentence.
    lesson : str
    effect : str
        What is measured, with its unit.
    low, high : float
        Where the claim says that the effect lies.
    conditions : callable
        From the runs of a workload (:class:`Runs`) to its conditions, none where the claim makes no sense.
    """

    name: str
    says: str
    lesson: str
    effect: str
    low: float
    high: float
    conditions: Callable[["Runs"], Iterator[Condition]]


@dataclass(frozen=True)
class Cell:
    """A cell of the matrix: its verdict, and every condition with its own."""

    claim: Claim
    workload: str
    verdict: str
    conditions: list[tuple[Condition, str]]


class Runs:
    """The tables of a workload's record, by what they are for.

    Parameters
    ----------
    tables : dict of pandas.DataFrame
        ``runs``, ``noise`` and ``speed``, each with ``run``.
    settings : list of dict
        Of each run of the record.
    """

    def __init__(self, tables: dict[str, pd.DataFrame], settings: list[dict]):
        self.tables = tables
        self.of: dict[tuple, dict] = {}  # (optimizer, schedule, kind), then size: the cell's runs
        self.fixed = math.nan  # the learning rate that is reported at every batch size
        runs = dict(tuple(tables["runs"].groupby("run")))
        for number, each in enumerate(settings):
            if each["part"] == "runs":
                recipe, limits = each["settings"]["recipe"], each["settings"]["budget"]
                kind, size = next(iter(limits)), recipe["batch_size"]
                if "target" in limits:
                    kind = "target"
                elif kind == "epochs" and "fixed" not in each["settings"]:
                    kind, size = "repeats", limits["epochs"]
                self.fixed = each["settings"].get("fixed", self.fixed)
                self.of.setdefault((recipe["optimizer"], recipe["schedule"], kind), {})[size] = runs[number]

    def optimizers(self) -> list[str]:
        """Of the runs to a target."""
        return [optimizer for optimizer, _, kind in self.of if kind == "target"]

    def sizes(self, kind: str, optimizer: str = "sgd", schedule: str = "constant") -> list[int]:
        """Batch sizes of the cells of a kind: "target", "epochs" or "iterations"; the epochs of "repeats"."""
        return sorted(self.of[optimizer, schedule, kind])

    def chosen(self, size: int, kind: str, optimizer: str = "sgd", schedule: str = "constant") -> pd.DataFrame:
        """The grid of a cell."""
        table = self.of[optimizer, schedule, kind][size]
        return table[table["stage"] == "chosen"]

    def reported(
        self, size: int, kind: str, optimizer: str = "sgd", schedule: str = "constant", rule: str = "best mean"
    ) -> pd.DataFrame:
        """The reported runs of a cell at the rate of a selection rule, or at the one for all; indexed by seed."""
        table = self.of[optimizer, schedule, kind][size]
        return table[[rule in names.split(", ") for names in table["rules"]]].set_index("seed")

    def to_target(self, optimizer: str, column: str = "score") -> pd.DataFrame:
        """Iterations (or ``samples``) to the target: a row a seed, a column a size; not a number if not reached."""
        sizes = self.sizes("target", optimizer)
        parts = {size: self.reported(size, "target", optimizer) for size in sizes}
        return pd.DataFrame({s: part[column].where(np.isfinite(part["score"])) for s, part in parts.items()})

    def best_rates(self, kind: str, optimizer: str = "sgd", schedule: str = "constant") -> pd.DataFrame:
        """The best learning rate of each choosing seed by itself, between grid points; a column a batch size."""
        sizes = self.sizes(kind, optimizer, schedule)
        return pd.DataFrame(
            {
                size: self.chosen(size, kind, optimizer, schedule)
                .groupby("seed")[["learning_rate", "score"]]
                .apply(summit)
                for size in sizes
            }
        )

    def moments(self) -> pd.DataFrame:
        """What gradients were like, with ``place``: "initial weights" or "later"."""
        noise = self.tables["noise"]
        return noise.assign(place=np.where(noise["iteration"] == 0, "initial weights", "later"))


def summit(scores: pd.DataFrame) -> float:
    """Where the parabola through the best rate and its neighbours is lowest; else the best rate."""
    scores = scores.sort_values("learning_rate")
    rates, values = scores["learning_rate"].to_numpy(), scores["score"].to_numpy()
    best = int(values.argmin())
    if not 0 < best < len(values) - 1 or not np.isfinite(values[best - 1 : best + 2]).all():
        return float(rates[best])
    left, middle, right = values[best - 1 : best + 2]
    curvature = left - 2 * middle + right
    return float(rates[best] * STEP ** ((left - right) / (2 * curvature) if curvature > 0 else 0.0))


# Intervals ---------------------------------------------------------------------------------------


def over_seeds(values) -> Interval:
    """Mean and interval, unknown if a seed has no finite value: the mean of the others would be of the lucky ones."""
    values = np.asarray(values, dtype=float)
    return mean_interval(values) if np.isfinite(values).all() else UNKNOWN


def factor(ratios) -> Interval:
    """Geometric mean of one ratio a seed, and its interval."""
    found = over_seeds(np.log(np.asarray(ratios, dtype=float)))
    middle, low, high = np.exp([found.estimate, found.low, found.high]).tolist()
    return Interval(middle, low, high, found.num)


def quotient(above: Interval, below: Interval) -> Interval:
    """Of two independent estimates of positive things: half widths in logarithms are added as squares."""
    logs = np.log([[each.estimate, each.low, each.high] for each in (above, below)])
    middle = logs[0, 0] - logs[1, 0]
    down = math.hypot(logs[0, 0] - logs[0, 1], logs[1, 2] - logs[1, 0])
    up = math.hypot(logs[0, 2] - logs[0, 0], logs[1, 0] - logs[1, 1])
    estimate, low, high = np.exp([middle, middle - down, middle + up]).tolist()
    return Interval(estimate, low, high, min(above.num, below.num))


@cache
def law(runs: Runs, optimizer: str) -> CriticalBatchSize | None:
    """The fit of ``S_min (1 + B_crit / B)``; None if it cannot be made."""
    steps = runs.to_target(optimizer).melt(ignore_index=False, var_name="batch_size", value_name="iteration")
    steps = steps.reset_index().astype({"batch_size": "int64"})
    try:
        return critical_batch_size(steps, num_resamples=400)
    except ValueError:
        return None


def slopes(table: pd.DataFrame) -> np.ndarray:
    """For each row the slope of its logarithms over that of its column names."""
    logs = np.log(table.to_numpy(dtype=float))
    if not np.isfinite(logs).all():
        return np.full(len(table), math.nan)
    return np.polyfit(np.log(table.columns.to_numpy(dtype=float)), logs.T, 1)[0]


# What each claim is measured by ------------------------------------------------------------------


def noise_law(runs: Runs) -> Iterator[Condition]:
    for place, table in runs.moments().groupby("place"):
        yield Condition(place, over_seeds(slopes(table.pivot(index="seed", columns="batch_size", values="variance"))))


def noise_scales(runs: Runs) -> pd.DataFrame:
    """Noise scale of each seed at both places."""
    once = runs.moments().drop_duplicates(["seed", "place"])
    return once.pivot(index="seed", columns="place", values="noise_scale")


def noise_grows(runs: Runs) -> Iterator[Condition]:
    scales = noise_scales(runs)
    if scales.notna().all(axis=None):
        yield Condition("later over initial weights", factor(scales["later"] / scales["initial weights"]))


def noise_predicts(runs: Runs) -> Iterator[Condition]:
    scales, fitted = noise_scales(runs), law(runs, "sgd")
    if scales.notna().all(axis=None):
        effect = quotient(factor(scales["later"]), fitted.b_crit) if fitted else UNKNOWN
        yield Condition("SGD, noise scale later in the run", effect)


def fewer_iterations(runs: Runs) -> Iterator[Condition]:
    for optimizer in runs.optimizers():
        steps = runs.to_target(optimizer)
        yield Condition(NAMES[optimizer], factor(steps.iloc[:, 0] / steps.iloc[:, -1]))


def halves(runs: Runs) -> Iterator[Condition]:
    steps = runs.to_target("sgd")
    for name, pair in (("two smallest batch sizes", steps.iloc[:, :2]), ("two largest", steps.iloc[:, -2:])):
        yield Condition(f"SGD, {name}", over_seeds(slopes(pair)))


def law_fits(runs: Runs) -> Iterator[Condition]:
    for optimizer in runs.optimizers():
        fitted, steps = law(runs, optimizer), runs.to_target(optimizer)
        off = steps / fitted(steps.columns.to_numpy()) if fitted else steps * math.nan
        worst = np.log(off).mean().abs().idxmax() if fitted else steps.columns[0]
        yield Condition(
            f"{NAMES[optimizer]}, at batch size {worst:,}" if fitted else NAMES[optimizer], factor(off[worst])
        )


def moves_critical(runs: Runs) -> Iterator[Condition]:
    plain = law(runs, "sgd")
    for optimizer in runs.optimizers()[1:]:
        fitted = law(runs, optimizer)
        effect = quotient(fitted.b_crit, plain.b_crit) if fitted and plain else UNKNOWN
        yield Condition(NAMES[optimizer], effect)


def samples_first(runs: Runs) -> Iterator[Condition]:
    for optimizer in runs.optimizers():
        samples = runs.to_target(optimizer, "samples")
        rival = samples.iloc[:, 1:].mean().idxmin()
        yield Condition(
            f"{NAMES[optimizer]}, batch size {rival:,} over {samples.columns[0]}",
            factor(samples[rival] / samples.iloc[:, 0]),
        )


def seconds_first(runs: Runs) -> Iterator[Condition]:
    speed = runs.tables["speed"].set_index("batch_size")["seconds"]
    seconds = runs.to_target("sgd") * speed
    ends, inner = seconds.iloc[:, [0, -1]].mean().idxmin(), seconds.iloc[:, 1:-1].mean().idxmin()
    yield Condition(f"SGD, batch size {ends:,} over {inner:,}", factor(seconds[ends] / seconds[inner]))


def linear_rule(runs: Runs) -> Iterator[Condition]:
    for optimizer in runs.optimizers():
        if optimizer != "adam":
            rates = runs.best_rates("target", optimizer)
            small = rates[[size for size in rates if size <= SMALL]]
            for name, table in (("all batch sizes", rates), (f"up to {SMALL}", small)):
                yield Condition(f"{NAMES[optimizer]} to the target, {name}", over_seeds(slopes(table)))
    for schedule in SCHEDULES:
        rates = runs.best_rates("epochs", schedule=schedule)
        yield Condition(f"SGD, equal epochs, {schedule} rate", over_seeds(slopes(rates)))


def root_rule(runs: Runs) -> Iterator[Condition]:
    yield Condition("Adam to the target", over_seeds(slopes(runs.best_rates("target", "adam"))))


def worse_by(large: pd.DataFrame, small: pd.DataFrame) -> pd.Series:
    """How many points more test samples are wrong; where none is right or wrong, how many % higher the loss is."""
    if np.allclose(small["score"], small["loss"]):
        return 100 * (large["score"] / small["score"] - 1)
    return 100 * (large["score"] - small["score"])


def as_is(runs: Runs) -> Iterator[Condition]:
    for schedule in SCHEDULES:
        small, *_, large = runs.sizes("epochs", schedule=schedule)
        ends = [runs.reported(size, "epochs", schedule=schedule, rule=FIXED) for size in (large, small)]
        yield Condition(f"{schedule} rate", over_seeds(worse_by(*ends)))


def tuned(kind: str) -> Callable[[Runs], Iterator[Condition]]:
    """Conditions of runs that are equally long in ``kind``, each batch size with a learning rate of its own."""

    def conditions(runs: Runs) -> Iterator[Condition]:
        small, *_, large = runs.sizes(kind)
        for schedule in SCHEDULES:
            for rule in RULES:
                ends = [runs.reported(size, kind, schedule=schedule, rule=rule) for size in (large, small)]
                yield Condition(f"{schedule} rate, {rule}", over_seeds(worse_by(*ends)))

    return conditions


def early_stopping(runs: Runs) -> Iterator[Condition]:
    small = runs.sizes("epochs")[0]
    for schedule in SCHEDULES:
        ends = runs.reported(small, "epochs", schedule=schedule)
        yield Condition(f"{schedule} rate", over_seeds(100 * (ends["loss"] / ends["kept"] - 1)))


def repeats(runs: Runs) -> Iterator[Condition]:
    ends = [runs.reported(epochs, "repeats", schedule="cosine") for epochs in (4, 1)]
    yield Condition("cosine rate", over_seeds(100 * (ends[0]["loss"] / ends[1]["loss"] - 1)))


NAMES = {"sgd": "SGD", "momentum": "momentum", "adam": "Adam"}
SMALL = 64  # the largest of the small batch sizes
EVER = math.inf
CLAIMS = [
    Claim(
        "noise-law",
        "The gradient's variance falls as one over the batch size",
        "05-gradient-noise",
        "exponent of the variance against batch size; claimed: -1.1 to -0.9",
        -1.1,
        -0.9,
        noise_law,
    ),
    Claim(
        "noise-grows",
        "The gradient noise scale grows during training",
        "05-gradient-noise",
        "noise scale later in the run over that at the start; claimed: above 1",
        1,
        EVER,
        noise_grows,
    ),
    Claim(
        "noise-predicts",
        "The gradient noise scale gives the order of magnitude of the critical batch size",
        "08-steps-to-target",
        "noise scale over critical batch size; claimed: a third to three times",
        1 / 3,
        3,
        noise_predicts,
    ),
    Claim(
        "fewer-iterations",
        "With the learning rate tuned, the largest batch needs fewer iterations than the smallest",
        "07-four-clocks",
        "iterations of the smallest batch size over those of the largest; claimed: above 1",
        1,
        EVER,
        fewer_iterations,
    ),
    Claim(
        "halves",
        "Doubling the batch size halves the iterations",
        "08-steps-to-target",
        "exponent of the iterations against batch size; claimed: -1.2 to -0.8",
        -1.2,
        -0.8,
        halves,
    ),
    Claim(
        "law",
        "Iterations to a target follow one law: a least number, times one plus the critical over the batch size",
        "08-steps-to-target",
        "iterations measured over fitted, where they are furthest apart; claimed: 0.8 to 1.25",
        0.8,
        1.25,
        law_fits,
    ),
    Claim(
        "moves-critical",
        "Momentum and Adam have a larger critical batch size than SGD",
        "08-steps-to-target",
        "critical batch size over that of SGD; claimed: above 1",
        1,
        EVER,
        moves_critical,
    ),
    Claim(
        "samples-first",
        "Counted in samples, the smallest batch is first",
        "07-four-clocks",
        "samples of the next best batch size over those of the smallest; claimed: above 1",
        1,
        EVER,
        samples_first,
    ),
    Claim(
        "seconds-first",
        "In seconds, neither the smallest nor the largest batch is first",
        "07-four-clocks",
        "seconds of the better end over the best size between; claimed: above 1",
        1,
        EVER,
        seconds_first,
    ),
    Claim(
        "linear-rule",
        "The best learning rate of SGD grows in proportion to the batch size",
        "09-learning-rate",
        "exponent of the best learning rate against batch size; claimed: 0.8 to 1.2",
        0.8,
        1.2,
        linear_rule,
    ),
    Claim(
        "root-rule",
        "The best learning rate of Adam grows as the root of the batch size",
        "09-learning-rate",
        "exponent of the best learning rate against batch size; claimed: 0.3 to 0.7",
        0.3,
        0.7,
        root_rule,
    ),
    Claim(
        "as-is",
        "One learning rate for all, equal epochs: the small batch generalizes better",
        "10-generalization",
        "by how much the largest batch is worse than the smallest, in points or %; claimed: above 1",
        1,
        EVER,
        as_is,
    ),
    Claim(
        "equal-epochs",
        "Tuned, equal epochs: the small batch generalizes better",
        "10-generalization",
        "by how much the largest batch is worse than the smallest, in points or %; claimed: above 1",
        1,
        EVER,
        tuned("epochs"),
    ),
    Claim(
        "equal-iterations",
        "Tuned, equal iterations: the small batch generalizes better",
        "10-generalization",
        "by how much the largest batch is worse than the smallest, in points or %; claimed: above 1",
        1,
        EVER,
        tuned("iterations"),
    ),
    Claim(
        "early-stopping",
        "Keeping the weights with the lowest validation loss lowers the test loss",
        "11-more-epochs",
        "by how much the test loss at the end is higher, in %; claimed: above 1",
        1,
        EVER,
        early_stopping,
    ),
    Claim(
        "repeats",
        "Four epochs over a quarter of the samples are as good as one over all",
        "11-more-epochs",
        "by how much the test loss of four epochs is higher, in %; claimed: below 2",
        -EVER,
        2,
        repeats,
    ),
]


def matrix(records: dict[str, Runs]) -> list[Cell]:
    """Every claim on every workload on which it makes sense, in the order of :data:`CLAIMS`.

    Parameters
    ----------
    records : dict of Runs
        By the workload's name.
    """
    cells = []
    for claim in CLAIMS:
        for workload, runs in records.items():
            conditions = list(claim.conditions(runs))
            judged = [(each, each.verdict(claim.low, claim.high)) for each in conditions]
            if judged:
                cells.append(Cell(claim, workload, together([verdict for _, verdict in judged]), judged))
    return cells
