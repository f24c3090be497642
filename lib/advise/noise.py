"""The gradient noise scale at the present weights and along short runs, with its interval.

Where gradients of single samples fit into memory, they are the small batches of the two-batch formula; where they
do not, or the model does not allow them, plain batches of two sizes are.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from lib.advise.rates import Rates
from lib.advise.speed import iterate, recover
from lib.advise.stopwatch import Slice
from lib.advise.subject import Subject, is_out_of_memory, set_rate
from lib.noise_scale import two_batch_formula
from lib.sampling import generator
from lib.statistics import Interval, bootstrap_interval

RUNS = 5  # short runs; their scatter makes the interval
PLACES = 6  # of a run at which the noise is measured, from its start to its end
CHUNK_BYTES = 2**28  # of gradients of single samples at once
FEWEST_SINGLE = 8  # gradients of single samples at once, below which they do not pay
MOST_SAMPLES = 4096  # of one estimate
EVALUATED = 1000  # samples whose mean loss stands for the training loss
LONGEST_RUN = 2000  # iterations
NOISE = 5  # stream of a seed, beside those of lib.sampling


@dataclass
class Noise:
    """What was found.

    Attributes
    ----------
    estimates : pandas.DataFrame
        A row a run and place: ``seed``, ``iteration``, ``squared_norm``, ``trace``.
    single : bool
        Whether gradients of single samples were used.
    samples : int
        Samples of each estimate.
    iterations : int
        Length of the short runs, in iterations of ``batch_size`` samples at ``learning_rate``.
    failed_at : float
        The lowest learning rate at which a short run did not stay finite; infinite without one.
    loss : tuple of float
        The training loss before and after the first run.
    reached : bool or None
        Whether that run reached the target; None without one.
    """

    estimates: pd.DataFrame
    single: bool
    samples: int
    iterations: int
    batch_size: int
    learning_rate: float
    failed_at: float
    loss: tuple[float, float]
    reached: bool | None = None
    notes: list[str] = field(default_factory=list)

    @cached_property
    def now(self) -> Interval:
        """At the present weights."""
        return scale(self.estimates[self.estimates["iteration"] == 0])

    @cached_property
    def along(self) -> Interval:
        """Of mean noise and mean squared gradient along the runs, as in lesson 8."""
        return scale(self.estimates)


def scale(estimates: pd.DataFrame) -> Interval:
    """``tr(Sigma) / |G|^2`` with its bootstrap interval over runs; infinite where the gradient is lost in the noise.

    The interval is that of ``|G|^2 / tr(Sigma)``, which is finite, turned over.
    """
    by_run = estimates.groupby("seed")[["squared_norm", "trace"]].mean()

    def inverse(table: pd.DataFrame) -> float:
        return float(table["squared_norm"].mean() / max(table["trace"].mean(), 1e-300))

    found = bootstrap_interval(by_run, inverse, RUNS, num_resamples=300)
    assert isinstance(found, Interval)
    estimate, low, high = (1 / end if end > 0 else np.inf for end in (found.estimate, found.high, found.low))
    return Interval(estimate, low, high, found.num)


def noise_along(
    subject: Subject, time: Slice, rates: Rates, iteration: float, target: float | None = None, seed: int = 0
) -> Noise:
    """Measure the noise along ``RUNS`` short runs from the present weights, at a rate inside the range.

    The first run, without measurements, says how long they are: until the target loss, or as long as fits.

    Parameters
    ----------
    iteration : float
        Seconds of one iteration, about.
    target : float, optional
        A training loss at which the runs end.

    Raises
    ------
    ValueError
        There is too little time.
    """
    rate, failed_at, notes = rates.middle.estimate, np.inf, []
    for _ in range(3):
        num, reached, before, after = pilot(subject, time.part(0.15), rates.batch_size, rate, target, seed)
        if np.isfinite(after) and after < 1.5 * before:
            break
        notes.append(f"A run at learning rate {rate:.2g} did not stay finite; a third of it is used.")
        rate, failed_at = rate / 3, rate
    num = min(num, int(0.5 * time.left() / (RUNS * iteration)))
    estimator = Estimator(subject, rates.batch_size)
    samples = estimator.affordable(time.part(0.1), 0.5 * time.left() / (RUNS * PLACES))
    notes += estimator.notes
    places = np.unique(np.linspace(0, max(num, 0), PLACES).astype(int))
    rows: list[dict] = []
    for number in range(RUNS):
        rng, share = generator(seed + number, NOISE), time.part(1 / (RUNS - number))
        found = run(subject, share, estimator, (rates.batch_size, rate, samples, places), rng)
        rows += [row | {"seed": number} for row in found]
    estimates = pd.DataFrame(rows, columns=["seed", "iteration", "squared_norm", "trace"])
    whole = estimates.groupby("iteration")["seed"].nunique().eq(RUNS)
    estimates = estimates[estimates["iteration"].isin(whole.index[whole])].reset_index(drop=True)
    if not len(estimates):
        raise ValueError("The budget is too short for the noise scale; give more seconds or a smaller batch_size.")
    end = int(estimates["iteration"].max())
    if end < num or end < 5:
        notes.append(f"There was time for {end} iterations of each short run.")
    reached = reached and end >= num if reached is not None else None
    how = (samples, end, rates.batch_size, rate, failed_at)
    return Noise(estimates, estimator.single, *how, (before, after), reached, notes)


def pilot(
    subject: Subject, time: Slice, batch_size: int, rate: float, target: float | None, seed: int
) -> tuple[int, bool | None, float, float]:
    """A run until the target or the end of its time: its iterations, whether it got there, its first and last loss."""
    model = subject.fresh()
    optimizer = subject.optimizer.of(model)
    set_rate(optimizer, rate)
    rng = generator(seed, NOISE)
    before = after = training_loss(subject, model, batch_size)
    done, due = 0, 1
    while time.has() and done < LONGEST_RUN and np.isfinite(after):
        try:
            iterate(subject, model, optimizer, subject.batch(subject.draw(rng, batch_size)))
        except Exception as error:
            recover(optimizer, error)
            break
        done += 1
        if target is not None and done == due:
            after = training_loss(subject, model, batch_size)
            due = max(done + 1, int(1.2 * done))
            if after <= target:
                return done, True, before, after
    return done, None if target is None else False, before, training_loss(subject, model, batch_size)


def training_loss(subject: Subject, model: nn.Module, chunk: int) -> float:
    """Mean loss of fixed samples, without dropout, as evaluations have it."""
    model.eval()
    rows = np.arange(min(EVALUATED, subject.pool_size))
    with torch.no_grad():
        parts = [rows[start : start + chunk] for start in range(0, len(rows), chunk)]
        total = sum(float(subject.mean_loss(model, subject.batch(part))) * len(part) for part in parts)
    model.train()
    return total / len(rows)


def run(
    subject: Subject, time: Slice, estimator: "Estimator", how: tuple[int, float, int, np.ndarray], rng
) -> list[dict]:
    """One run, with an estimate at each of the places: at the present weights, and those that time allows."""
    batch_size, rate, samples, places = how
    model = subject.fresh()
    optimizer = subject.optimizer.of(model)
    set_rate(optimizer, rate)
    rows: list[dict] = []
    iteration = 0
    for place in places:
        while iteration < place and time.has():
            try:
                iterate(subject, model, optimizer, subject.batch(subject.draw(rng, batch_size)))
            except Exception as error:
                recover(optimizer, error)
                return rows
            iteration += 1
        if iteration < place or (place > 0 and not time.has()):
            break
        squared_norm, trace = estimator.estimate(model, subject.draw(rng, samples))
        if not np.isfinite(squared_norm + trace):
            break
        rows.append({"iteration": int(place), "squared_norm": squared_norm, "trace": trace})
    return rows


class Estimator:
    """Unbiased estimates of ``|G|^2`` and ``tr(Sigma)`` from some samples: by single samples, or by two batch sizes."""

    def __init__(self, subject: Subject, batch_size: int):
        self.subject, self.notes = subject, []
        self.chunk = int(min(64, CHUNK_BYTES / (4 * subject.num_parameters)))
        self.small = max(subject.smallest, min(16, batch_size, subject.pool_size // 4))
        self.single = self.chunk >= FEWEST_SINGLE and not subject.has_batch_norm
        if subject.has_batch_norm:
            self.notes.append(
                "The model has BatchNorm: a sample's gradient depends on its batch, so the noise scale is that of "
                f"batches of {self.small} and more, and only a rough guide."
            )
        elif not self.single:
            self.notes.append("Gradients of single samples do not fit into memory; batches of two sizes are compared.")

    def affordable(self, time: Slice, seconds: float) -> int:
        """Samples whose estimate takes about so many seconds: a power of two."""
        model, now = self.subject.fresh(), time.stopwatch.now
        least = 4 * self.chunk if self.single else 4 * self.small
        least = min(least, self.subject.pool_size)
        for _ in range(2):  # the first is for warming up
            started = now()
            self.estimate(model, np.arange(least))
            self.subject.synchronize()
        each = max(now() - started, 1e-9) / least
        most = min(MOST_SAMPLES, self.subject.pool_size, max(least, int(seconds / each)))
        return 2 ** int(np.log2(most))

    def estimate(self, model: nn.Module, rows: np.ndarray) -> tuple[float, float]:
        """``|G|^2`` and ``tr(Sigma)``."""
        while self.single:
            try:
                return self.by_samples(model, rows)
            except Exception as error:
                if is_out_of_memory(error) and self.chunk >= 2 * FEWEST_SINGLE:
                    self.chunk //= 2
                    continue
                self.single = False
                why = "do not fit into memory" if is_out_of_memory(error) else "cannot be had from this model"
                self.notes.append(f"Gradients of single samples {why}; batches of two sizes are compared.")
        return self.by_batches(model, rows)

    def by_samples(self, model: nn.Module, rows: np.ndarray) -> tuple[float, float]:
        """From the gradients of single samples."""
        subject = self.subject
        weights = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}

        def sample_loss(weights, *parts):
            batch = subject.put_together([part[None] for part in parts])
            return subject.mean_loss(lambda *a, **k: functional_call(model, weights, a, k), batch)

        total, squared = None, 0.0
        for start in range(0, len(rows), self.chunk):
            parts = subject.parts(subject.batch(rows[start : start + self.chunk]))
            in_dims = (None, *[0] * len(parts))
            found = vmap(grad(sample_loss), in_dims=in_dims, randomness="different")(weights, *parts)
            gradients = torch.cat([g.flatten(1) for g in found.values()], dim=1)
            squared += float(gradients.double().square().sum())
            total = gradients.sum(0).double() + (0 if total is None else total)
        assert total is not None
        return two_batch_formula(squared / len(rows), float((total / len(rows)).square().sum()), 1, len(rows))

    def by_batches(self, model: nn.Module, rows: np.ndarray) -> tuple[float, float]:
        """From the gradients of batches of ``small`` samples, and of all of them together."""
        num = len(rows) // self.small
        weights = [p for p in model.parameters() if p.requires_grad]
        total, squared = None, 0.0
        for part in np.array_split(rows[: num * self.small], num):
            loss = self.subject.mean_loss(model, self.subject.batch(part))
            found = torch.autograd.grad(loss, weights, allow_unused=True)
            gradient = torch.cat([g.flatten() for g in found if g is not None]).double()
            squared += float(gradient.square().sum())
            total = gradient + (0 if total is None else total)
        assert total is not None
        return two_batch_formula(squared / num, float((total / num).square().sum()), self.small, num * self.small)
