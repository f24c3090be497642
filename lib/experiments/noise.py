"""How noisy a mini-batch gradient is, at the start of a run and later."""

import itertools
from typing import Any

import joblib
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from lib.evaluation import TRAINING_SAMPLES, mean_loss
from lib.experiments.runs import seen_by_training_loss
from lib.models import initialized
from lib.noise_scale import gradient_moments, noise_scale, squared_deviations, two_batch_estimates
from lib.progress import bar
from lib.sampling import epoch_order
from lib.statistics import bootstrap_interval, mean_interval
from lib.training import train
from lib.workload import Workload


def trained(workload: Workload, batch_size: int, learning_rate: float, iterations: int, seed: int) -> nn.Module:
    """The network of a workload after some iterations."""
    if iterations == 0:
        return initialized(workload.model, seed)
    return train(
        workload,
        batch_size=batch_size,
        learning_rate=learning_rate,
        iterations=iterations,
        seed=seed,
        device="cpu",
        evaluate_every=iterations,
    )[1]


def training_samples(workload: Workload, model: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets of the training set, in the precision of a model."""
    return workload.on(torch.device("cpu"), next(model.parameters()).dtype)["train"]


def training_loss(workload: Workload, model: nn.Module) -> float:
    """The training loss that a history has."""
    x, y = training_samples(workload, model)
    return mean_loss(workload, model, x[:TRAINING_SAMPLES], y[:TRAINING_SAMPLES])[0]


def noise(
    batch_size: int,
    learning_rate: float,
    iterations: list[int],
    seeds: list[int],
    sizes: list[int],
    draws: int,
    small: int,
    big: int,
) -> dict[str, pd.DataFrame]:
    """Exact moments along five runs, and what drawing batches measures in the first of them.

    Returns
    -------
    dict with the tables
        ``moments``: a row a seed and iteration: ``train_loss``, ``squared_norm`` (of the
        gradient), ``trace`` (of the covariance of a sample's gradient), ``noise_scale``.
        ``measured``: first seed, first and last iteration: mean squared deviation of the
        gradient of random batches with its interval, and the prediction.
        ``estimates``: the same weights, noise scale from two batch sizes with its interval.
    """

    workload = seen_by_training_loss()

    def at(seed, iteration):
        model = trained(workload, batch_size, learning_rate, iteration, seed)
        exact = gradient_moments(workload, model)
        row = {
            "seed": seed,
            "iteration": iteration,
            "train_loss": training_loss(workload, model),
            "squared_norm": exact.squared_norm,
            "trace": exact.trace,
            "noise_scale": exact.noise_scale,
        }
        measured, estimates = [], []
        if seed == seeds[0] and iteration in (iterations[0], iterations[-1]):
            for size in sizes:
                for replacement in (False, True):
                    deviations = squared_deviations(workload, model, size, draws=draws, replacement=replacement)
                    found = mean_interval(deviations)
                    measured.append(
                        {
                            "iteration": iteration,
                            "batch_size": size,
                            "replacement": replacement,
                            "mean": found.estimate,
                            "low": found.low,
                            "high": found.high,
                            "predicted": exact.variance(size, replacement),
                        }
                    )
            interval: Any = bootstrap_interval(
                two_batch_estimates(workload, model, small, big, draws=draws), noise_scale
            )
            estimates.append(
                {
                    "iteration": iteration,
                    "estimate": interval.estimate,
                    "low": interval.low,
                    "high": interval.high,
                    "exact": exact.noise_scale,
                }
            )
        return [row], measured, estimates

    places = list(
        itertools.product(seeds, reversed(iterations))
    )  # reversed: the longest ones of the first seed start first
    parts = joblib.Parallel(n_jobs=-1)(joblib.delayed(at)(*place) for place in bar(places))
    moments, measured, estimates = (pd.DataFrame(sum(tables, [])) for tables in zip(*parts))
    return {
        "moments": moments.sort_values(["seed", "iteration"], ignore_index=True),
        "measured": measured.sort_values("iteration", kind="stable", ignore_index=True),
        "estimates": estimates.sort_values("iteration", ignore_index=True),
    }


def batch_losses(sizes: list[int], num_batches: int, iterations: int, learning_rate: float) -> pd.DataFrame:
    """Losses of random batches at fixed weights: how much a loss curve wiggles while nothing is learnt.

    A row a batch, a column a batch size, named by it.
    """
    workload = seen_by_training_loss()
    model = trained(workload, 64, learning_rate, iterations, seed=0)
    x, y = training_samples(workload, model)
    with torch.no_grad():
        losses = F.cross_entropy(model(x), y, reduction="none").double().numpy()
    orders = [epoch_order(len(x), seed=1, epoch=k) for k in range(num_batches)]
    return pd.DataFrame({str(size): [losses[order[:size]].mean() for order in orders] for size in sizes})
