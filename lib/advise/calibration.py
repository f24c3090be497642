"""How far quick measurements were off where a sweep knows the answer, and so how wide an answer must be.

``pairs.csv`` has a row for each workload, target and optimizer of the course that was both asked about and swept;
``lib.experiments.advised`` writes it. What was measured is a multiple of what the advice saw quickly, and these
multiples scatter. An answer is the quick number times their geometric mean; its interval is where the next multiple
lies in 9 of 10 cases, if their logarithms are normal.
"""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from lib.statistics import Interval

FILE = Path(__file__).with_name("pairs.csv")
LEVEL = 0.9
QUICK = {"critical": "noise", "rate": "tried"}  # what a sweep measures → what the advice sees


@dataclass(frozen=True)
class Spread:
    """Measured values as multiples of quick ones: their geometric mean, and the factor to each side for the next one.

    ``num`` is the number of workloads they are from.
    """

    middle: float
    factor: float
    num: int

    @classmethod
    def of(cls, ratios: pd.Series) -> "Spread":
        """Of ratios, indexed by workload.

        Several ratios of one workload are not independent: the interval is as wide as for one each.
        """
        logs, num = np.log(ratios), ratios.index.nunique()
        if num < 2:
            raise ValueError(f"A spread takes ratios of at least 2 workloads, not of {num}.")
        half = stats.t.ppf((1 + LEVEL) / 2, num - 1) * float(logs.std()) * math.sqrt(1 + 1 / num)
        return cls(math.exp(logs.mean()), math.exp(half), num)

    def widened(self, quick: Interval) -> Interval:
        """The answer of a quick measurement: both errors are taken as independent, so their squares add up."""
        if math.isinf(quick.estimate):  # the gradient was lost in the noise: only a lower end is known
            return Interval(math.inf, quick.low * self.middle / self.factor, math.inf, self.num)
        middle, own = quick.estimate * self.middle, math.log(self.factor)
        down = math.hypot(own, math.log(quick.estimate / quick.low))
        up = math.hypot(own, math.log(quick.high / quick.estimate))
        return Interval(middle, middle * math.exp(-down), middle * math.exp(up), self.num)


@cache
def pairs() -> pd.DataFrame:
    """All pairs: ``workload``, ``optimizer``, ``target``, and the numbers of ``QUICK``."""
    return pd.read_csv(FILE)


def spread(measured: str, optimizer: str | None, table: pd.DataFrame) -> Spread:
    """The spread of a measured column for an optimizer; for one that was never swept, that of all together.

    Parameters
    ----------
    measured : {"critical", "rate"}
    optimizer : str or None
        "sgd", "momentum" or "adam".
    table : pandas.DataFrame
        Like :func:`pairs`.
    """
    here = table[table["optimizer"] == optimizer] if optimizer in set(table["optimizer"]) else table
    here = here.dropna(subset=[measured, QUICK[measured]]).set_index("workload")
    return Spread.of(here[measured] / here[QUICK[measured]])


def critical(noise: Interval, optimizer: str | None, table: pd.DataFrame | None = None) -> Interval:
    """The critical batch size, from the noise scale along the short runs."""
    return spread("critical", optimizer, pairs() if table is None else table).widened(noise)


def rate(
    tried: Interval, optimizer: str | None, table: pd.DataFrame | None = None, failed_at: float = math.inf
) -> Interval:
    """The best learning rate of a longer run, from the rate of the short runs; below one that already failed."""
    found = spread("rate", optimizer, pairs() if table is None else table).widened(tried)
    return Interval(min(found.estimate, failed_at), min(found.low, failed_at), min(found.high, failed_at), found.num)
