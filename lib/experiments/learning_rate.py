"""The best learning rate at each batch size, for SGD and Adam, and what rules of thumb make of it."""

import numpy as np
import pandas as pd

from lib.experiments.runs import NUM_SAMPLES, ends, seen_by_training_loss
from lib.experiments.search import STEP, tuned_along
from lib.plan import TrainingPlan

EPOCHS = 10
GUESS = {"sgd": 0.1, "adam": 3e-3}  # where the search at the smallest batch size starts
GUESSING = np.log(10)  # loss of equal probabilities for ten classes: a run that ends above it has learned nothing
RULES = {"same": 0.0, "square root": 0.5, "linear": 1.0}  # exponents of the batch size


def last_epoch_loss(
    optimizer: str, batch_size: int, learning_rates: list[float], seeds: list[int], warmup_epochs: int = 0
) -> pd.DataFrame:
    """Mean training loss over the last of ``EPOCHS`` epochs, taken while the weights moved; a row a run.

    An average over a whole epoch scatters far less than the loss of its last weights.
    """
    per_epoch = TrainingPlan(NUM_SAMPLES, batch_size).iterations_per_epoch
    runs = ends(
        seen_by_training_loss(),
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


def summit(scores: pd.Series) -> float:
    """Where the parabola through the best grid point and its two neighbours is lowest, in log learning rate.

    Parameters
    ----------
    scores : pandas.Series
        The loss at each learning rate of the index, a factor ``STEP`` apart.
    """
    best = int(scores.to_numpy().argmin())
    left, middle, right = scores.iloc[best - 1 : best + 2].clip(upper=GUESSING)
    curvature = left - 2 * middle + right
    shift = (left - right) / (2 * curvature) if curvature > 0 else 0.0
    return float(scores.index[best] * STEP**shift)


def scaling(
    batch_sizes: list[int], seeds: list[int], fresh_seeds: list[int], warmup_seeds: list[int]
) -> dict[str, pd.DataFrame]:
    """Tune at each batch size, then try the rules from the smallest one on fresh seeds, without and with warm-up.

    Returns
    -------
    dict with the tables
        ``grid``: mean loss over ``seeds`` of every learning rate tried.
        ``runs``: the loss of every seed of ``grid``.
        ``best``: a row an optimizer and batch size, with the ``learning_rate`` between the grid points.
        ``rules``: the loss of every fresh seed at the learning rate of each rule, and at the tuned one.
        ``warmup``: the loss of every one of ``warmup_seeds`` at the largest batch size for learning rates
        around the tuned one, with 0 and 1 epochs of warm-up.
    """
    tables: dict[str, list] = {"grid": [], "runs": [], "best": [], "rules": [], "warmup": []}
    for optimizer, guess in GUESS.items():

        def runs_at(batch_size, learning_rates, optimizer=optimizer):
            losses = last_epoch_loss(optimizer, batch_size, learning_rates, seeds)
            return losses.assign(score=losses["loss"])

        base = None
        for batch_size, found in tuned_along(sorted(batch_sizes), runs_at, guess, lambda ratio: STEP):
            here = {"optimizer": optimizer, "batch_size": batch_size}
            rate = summit(found.scores)
            base = base or rate
            tables["grid"].append(found.scores.rename("loss").reset_index().assign(**here))
            tables["runs"].append(found.grid.drop(columns="score"))
            tables["best"].append(pd.DataFrame([here | {"learning_rate": rate}]))
            scaled = {name: base * (batch_size / min(batch_sizes)) ** exponent for name, exponent in RULES.items()}
            for rule, tried in {"tuned": rate, **scaled}.items():
                losses = last_epoch_loss(optimizer, batch_size, [tried], fresh_seeds)
                tables["rules"].append(losses.assign(rule=rule))
        around = [rate * STEP**k for k in range(-2, 5)]
        for epochs in (0, 1):
            losses = last_epoch_loss(optimizer, max(batch_sizes), around, warmup_seeds, epochs)
            tables["warmup"].append(losses.assign(warmup_epochs=epochs))
    return {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}
