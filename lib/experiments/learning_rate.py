"""The best learning rate at each batch size, for SGD and Adam, and what rules of thumb make of it."""

from dataclasses import replace

import numpy as np
import pandas as pd

from lib.data import Dataset, mnist1d
from lib.experiments import progress
from lib.experiments.runs import ends
from lib.experiments.search import STEP, tuned
from lib.plan import TrainingPlan

NUM_SAMPLES, EPOCHS = 4_000, 10
GUESS = {"sgd": 0.1, "adam": 3e-3}  # where the search at the smallest batch size starts
GUESSING = np.log(10)  # loss of equal probabilities for ten classes: a run that ends above it has learned nothing
RULES = {"same": 0.0, "square root": 0.5, "linear": 1.0}  # exponents of the batch size


def dataset() -> Dataset:
    """MNIST-1D with few test samples: this experiment judges by the training loss."""
    data = mnist1d().first(NUM_SAMPLES)
    return replace(data, x_test=data.x_test[:100], y_test=data.y_test[:100])


def last_epoch_loss(
    optimizer: str, batch_size: int, learning_rates: list[float], seeds: list[int], warmup_epochs: int = 0
) -> pd.DataFrame:
    """Mean training loss over the last of ``EPOCHS`` epochs, taken while the weights moved; a row a run.

    An average over a whole epoch scatters far less than the loss of its last weights.
    """
    per_epoch = TrainingPlan(NUM_SAMPLES, batch_size).iterations_per_epoch
    runs = ends(
        dataset(),
        optimizer=optimizer,
        batch_size=batch_size,
        learning_rate=learning_rates,
        seed=seeds,
        epochs=EPOCHS,
        warmup=warmup_epochs * per_epoch,
        evaluate_every=(EPOCHS - 1) * per_epoch,
    )
    runs = runs.rename(columns={"batch_loss": "loss"})
    return runs[["optimizer", "batch_size", "learning_rate", "seed", "loss"]]


def summit(grid: pd.DataFrame) -> float:
    """Where the parabola through the best grid point and its two neighbours is lowest, in log learning rate."""
    best = int(grid["score"].argmin())
    left, middle, right = grid["score"][best - 1 : best + 2].clip(upper=GUESSING)
    curvature = left - 2 * middle + right
    shift = (left - right) / (2 * curvature) if curvature > 0 else 0.0
    return float(grid["learning_rate"][best] * STEP**shift)


def scaling(
    batch_sizes: list[int], seeds: list[int], fresh_seeds: list[int], warmup_seeds: list[int]
) -> dict[str, pd.DataFrame]:
    """Tune at each batch size, then try the rules from the smallest one on fresh seeds, without and with warm-up.

    Returns
    -------
    dict with the tables
        ``grid``: mean loss over ``seeds`` of every learning rate tried.
        ``best``: a row an optimizer and batch size, with the ``learning_rate`` between the grid points.
        ``rules``: the loss of every fresh seed at the learning rate of each rule, and at the tuned one.
        ``warmup``: the loss of every one of ``warmup_seeds`` at the largest batch size for learning rates
        around the tuned one, with 0 and 1 epochs of warm-up.
    """
    grids, best, rules, warmup = [], [], [], []
    for optimizer, guess in GUESS.items():
        for batch_size in progress(sorted(batch_sizes), desc=optimizer):

            def score(learning_rates):
                losses = last_epoch_loss(optimizer, batch_size, learning_rates, seeds)
                return losses.groupby("learning_rate")["loss"].mean().rename("score").reset_index()

            found, grid = tuned(score, guess)
            rate = summit(grid)
            grids.append(grid.rename(columns={"score": "loss"}).assign(optimizer=optimizer, batch_size=batch_size))
            best.append({"optimizer": optimizer, "batch_size": batch_size, "learning_rate": rate})
            base = rate if batch_size == min(batch_sizes) else base
            factor = batch_size / min(batch_sizes)
            for rule, tried in {"tuned": rate, **{name: base * factor**k for name, k in RULES.items()}}.items():
                rules.append(last_epoch_loss(optimizer, batch_size, [tried], fresh_seeds).assign(rule=rule))
            guess = found * STEP  # the next batch size is larger
        around = [rate * STEP**k for k in range(-2, 5)]
        for epochs in (0, 1):
            losses = last_epoch_loss(optimizer, max(batch_sizes), around, warmup_seeds, epochs)
            warmup.append(losses.assign(warmup_epochs=epochs))
    tables = {
        "grid": pd.concat(grids),
        "best": pd.DataFrame(best),
        "rules": pd.concat(rules),
        "warmup": pd.concat(warmup),
    }
    return {name: table.reset_index(drop=True) for name, table in tables.items()}
