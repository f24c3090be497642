"""From seconds, noise and rates to batch sizes: the laws of lessons 6 to 9 put together.

``S = S_min (1 + B_crit / B)`` iterations of ``t0 + c B`` seconds. The fewest seconds are at ``sqrt(t0 / c · B_crit)``,
whatever the target; the fewest iterations at the largest batch, the fewest samples at the smallest.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from lib.advise.speed import Speed
from lib.advise.subject import LINEAR, ROOT
from lib.plan import TrainingPlan
from lib.records import load
from lib.statistics import Interval, power_law

ENDS = ("estimate", "low", "high")
WASTE = 0.1  # more iterations, or samples, than the fewest: what "as good as the best" allows


@dataclass(frozen=True)
class Sizes:
    """Batch sizes that are best by each clock.

    Attributes
    ----------
    seconds : Interval
        ``sqrt(t0 / c · B_crit)``.
    iterations : Interval
        From here on a larger batch saves less than ``WASTE`` of the iterations.
    samples : Interval
        Up to here a run needs less than ``WASTE`` more samples than with the smallest batch.
    """

    seconds: Interval | None
    iterations: Interval
    samples: Interval

    @classmethod
    def of(cls, b_crit: Interval, ratio: Interval | None) -> "Sizes":
        """Sizes from a critical batch size and ``t0 / c``; the intervals' ends are combined, so they are wide."""
        seconds = None
        if ratio is not None:
            root = [math.sqrt(getattr(b_crit, end) * getattr(ratio, end)) for end in ENDS]
            seconds = Interval(root[0], root[1], root[2], b_crit.num)
        return cls(seconds, _times(b_crit, 1 / WASTE), _times(b_crit, WASTE))


def _times(interval: Interval, factor: float) -> Interval:
    return Interval(interval.estimate * factor, interval.low * factor, interval.high * factor, interval.num)


def choice(sizes: Sizes, num_samples: int) -> list[int]:
    """The range of batch sizes to choose from, as powers of two: low, middle, high. None is above N.

    By seconds where they are known, else by samples. The range is not cut where memory ends:
    what does not fit is accumulated.
    """
    best, most = sizes.seconds or sizes.samples, math.floor(math.log2(num_samples))
    ends = (best.low, min(max(best.estimate, best.low), best.high), best.high)
    return [2 ** min(most, round(math.log2(min(max(1.0, end), num_samples)))) for end in ends]


def micro_batches(batch_size: int, fits: float) -> tuple[int, int]:
    """Samples of a micro-batch and how many of them make an iteration, so that each fits into memory."""
    if batch_size <= fits or not math.isfinite(fits):
        return batch_size, 1
    size = 2 ** int(math.log2(max(1.0, fits)))
    return size, -(-batch_size // size)


def rate_factor(rule: str | None, batch_size: float, reference: float, b_crit: float) -> float:
    """What the learning rate is multiplied with from one batch size to another.

    Linear: proportional to the batch far below the critical batch size, and no more above it (McCandlish et al. 2018,
    equation 2.6; lesson 9 sees the same bend). Square root: of the ratio of batch sizes. Without a rule: not at all.
    """
    if rule == LINEAR:
        return (1 + b_crit / reference) / (1 + b_crit / batch_size)
    return math.sqrt(batch_size / reference) if rule == ROOT else 1.0


def table(
    sizes: list[int],
    b_crit: Interval,
    speed: Speed,
    plan_of: Callable[[int], TrainingPlan],
    rule: str | None = None,
    rates: tuple[float, float, int] | None = None,
    price: float | None = None,
) -> pd.DataFrame:
    """What each batch size costs, by every clock: relative to the best of the table, and for the user's budget.

    Parameters
    ----------
    plan_of : callable
        The plan of a batch size, for the training budget.
    rates : low, high, batch_size, optional
        The range of the learning-rate test.
    price : float, optional
        Of an hour.
    """
    rows = []
    noisy = min(b_crit.estimate, 1e9)  # where the gradient is lost in the noise, every size is far below it
    for size in sizes:
        iterations = 1 + noisy / size
        micro, accumulated = micro_batches(size, speed.fits)
        plan = plan_of(size)
        row = {"batch_size": size, "iterations": iterations, "samples": iterations * size}
        row |= {"micro_batch": micro, "accumulated": accumulated, "plan_iterations": plan.total_iterations}
        row |= {"plan_epochs": float(plan.total_samples / plan.num_samples)}
        if speed.overhead is not None:
            seconds = accumulated * float(speed.seconds(micro))
            row |= {"seconds": iterations * seconds, "hours": plan.total_iterations * seconds / 3600}
            if price is not None:
                row["cost"] = row["hours"] * price
        if rates is not None:
            factor = rate_factor(rule, size, rates[2], noisy)
            row |= {"rate_low": rates[0] * factor, "rate_high": rates[1] * factor}
        rows.append(row)
    found = pd.DataFrame(rows)
    for clock in ("iterations", "samples", "seconds"):
        if clock in found:
            found[clock] /= found[clock].min()
    return found


def shown_sizes(num_samples: int, middle: int) -> list[int]:
    """Powers of two around the middle of the range, for figures and tables: up to five doublings to each side."""
    most = 2 ** int(math.log2(num_samples))
    return [size for size in (2**k for k in range(40)) if middle / 32 <= size <= min(middle * 32, most)]


def evidence(rule: str | None) -> str:
    """What lesson 9 measured of a rule, as a sentence; empty where there is no record."""
    if rule is None:
        return "The course has no evidence for this optimizer: test the rate anew at each batch size."
    try:
        best = load("learning-rate").tables["best"]
    except (FileNotFoundError, ValueError):
        return ""
    optimizer, largest = ("sgd", 64) if rule == LINEAR else ("adam", 512)
    points = best[(best["optimizer"] == optimizer) & (best["batch_size"] <= largest)]
    law = power_law(points["batch_size"], points["learning_rate"])
    name = "SGD" if rule == LINEAR else "Adam"
    sentence = (
        f"Lesson 9: for {name} the best rate grew as the batch size to the power {law.exponent}, from "
        f"{points['batch_size'].min()} to {largest}"
    )
    if rule == LINEAR:
        bend = best[best["optimizer"] == "sgd"].set_index("batch_size")["learning_rate"]
        sentence += f"; from 64 to 512 it grew only {bend[512] / bend[64]:.1f} times"
    return sentence + "."
