"""A learning-rate range test with several seeds: between which rates the loss falls, not which rate is best.

The rate rises from iteration to iteration by a constant factor until the loss blows up (Smith 2015, "Cyclical
Learning Rates for Training Neural Networks", arXiv:1506.01186).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.advise.speed import iterate, recover
from lib.advise.stopwatch import Slice
from lib.advise.subject import LINEAR, Subject, set_rate
from lib.sampling import generator
from lib.statistics import Interval, mean_interval

SEEDS = 5
SPANS = {True: (1e-5, 1e2), False: (1e-7, 1.0)}  # first and last rate, of SGD's kind and of Adam's
FEWEST, MOST = 35, 350  # iterations of one test: 5 and 50 in a decade of rates
PLANNED = 0.5  # of the time: the rest is for a machine that becomes busier
PIECES = 28  # of a test: a slope is taken over two of them, about half a decade of rates
BLOWN_UP = 3.0  # times the first loss (or the lowest, where that is larger): the test ends
RATES = 4  # stream of a seed, beside those of lib.sampling


@dataclass(frozen=True)
class Rates:
    """Where the loss fell.

    Attributes
    ----------
    steepest, lowest : Interval
        The rates at which the loss fell fastest and was lowest: geometric means over seeds.
    middle : Interval
        The rate between them, on a logarithmic scale: for short runs.
    batch_size : int
        The batch size that they belong to.
    curves : pandas.DataFrame
        ``seed``, ``learning_rate`` and the smoothed ``loss``.
    open : bool
        The loss was still falling at the last rate: there may be larger ones.
    """

    steepest: Interval
    lowest: Interval
    middle: Interval
    batch_size: int
    curves: pd.DataFrame
    open: bool


def range_test(subject: Subject, time: Slice, batch_size: int, iteration: float, seed: int = 0) -> Rates:
    """Test ``SEEDS`` times from the present weights, each with samples in another order.

    Parameters
    ----------
    iteration : float
        Seconds of one iteration, about.

    Raises
    ------
    ValueError
        There is too little time, or the loss does not fall at any rate.
    """
    num = int(min(MOST, PLANNED * time.left() / (SEEDS * iteration)))
    if num < FEWEST:
        raise ValueError(
            f"There are {time.left():.1f} s for the learning-rate test, in which {num} iterations of each seed fit "
            f"instead of {FEWEST}; give more seconds or a smaller batch_size."
        )
    curves = []
    for number in range(SEEDS):
        curve = ramp(subject, time, batch_size, num, generator(seed + number, RATES))
        if curve is None:
            raise ValueError("The learning-rate test ran out of time or memory; give more seconds.")
        curves.append(curve.assign(seed=number))
    found = [turning_points(curve) for curve in curves]
    if any(each is None for each in found):
        raise ValueError(
            f"The loss fell at no learning rate in {sum(each is None for each in found)} of {SEEDS} tests; are the "
            f"present weights at a minimum already?"
        )
    steepest, lowest = (np.array([each[i] for each in found if each]) for i in (0, 1))
    return Rates(
        steepest=_geometric(steepest),
        lowest=_geometric(lowest),
        middle=_geometric(np.sqrt(steepest * lowest)),
        batch_size=batch_size,
        curves=pd.concat(curves, ignore_index=True),
        open=any(each[2] for each in found if each),
    )


def ramp(subject: Subject, time: Slice, batch_size: int, num: int, rng: np.random.Generator) -> pd.DataFrame | None:
    """One test: ``learning_rate`` and ``loss``, smoothed over neighbours; None if time or memory runs out."""
    model = subject.fresh()
    optimizer = subject.optimizer.of(model)
    first, last = SPANS[subject.optimizer.rule == LINEAR]
    rates, losses = np.geomspace(first, last, num), []
    for rate in rates:
        if not time.has():
            return None
        set_rate(optimizer, float(rate))
        try:
            losses.append(float(iterate(subject, model, optimizer, subject.batch(subject.draw(rng, batch_size)))))
        except Exception as error:
            recover(optimizer, error)
            return None
        if not np.isfinite(losses[-1]) or losses[-1] > BLOWN_UP * max(losses[0], 1e-12):
            losses.pop()
            break
    width = max(1, num // 40)  # to each side: a running mean that looked back only would show every turn too late
    smooth = pd.Series(losses).rolling(2 * width + 1, center=True, min_periods=width + 1).mean()
    return pd.DataFrame({"learning_rate": rates[: len(losses)], "loss": smooth})


def turning_points(curve: pd.DataFrame) -> tuple[float, float, bool] | None:
    """Rates of the steepest fall and of the lowest loss, and whether it was the last one; None without a fall."""
    curve = curve.dropna()
    rates, losses = curve["learning_rate"].to_numpy(), curve["loss"].to_numpy()
    lowest = int(losses.argmin())
    if lowest < 2 or losses[lowest] > 0.99 * losses[0]:
        return None
    reach = max(1, min(len(curve) // PIECES, lowest // 2))  # a slope over neighbours would be mostly noise
    steepest = int((losses[: lowest + 1 - 2 * reach] - losses[2 * reach : lowest + 1]).argmax()) + reach
    return float(rates[steepest]), float(rates[lowest]), lowest == len(losses) - 1


def _geometric(rates: np.ndarray) -> Interval:
    found = mean_interval(np.log(rates), SEEDS)
    estimate, low, high = np.exp([found.estimate, found.low, found.high]).tolist()
    return Interval(estimate, low, high, found.num)
