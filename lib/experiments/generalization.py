"""Test accuracy against batch size three ways: what is held fixed decides what one sees."""

from dataclasses import replace

import numpy as np
import pandas as pd

from lib.data import Dataset, mnist1d
from lib.experiments import progress
from lib.experiments.runs import ends
from lib.experiments.search import tuned_with_margin

NUM_SAMPLES, NUM_VALIDATION = 2_000, 2_000
EPOCHS, ITERATIONS = 40, 1_500
GUESS = 0.05  # where the search at the smallest batch size starts
FAILED = 0.2  # a run that ends below this accuracy, twice that of guessing, has failed


def split() -> tuple[Dataset, Dataset]:
    """The same training samples twice: with samples to choose a learning rate by, and with others to report on."""
    data = mnist1d(4_000, 8_500).first(NUM_SAMPLES)
    choose = replace(data, x_test=data.x_test[:NUM_VALIDATION], y_test=data.y_test[:NUM_VALIDATION])
    report = replace(data, x_test=data.x_test[NUM_VALIDATION:], y_test=data.y_test[NUM_VALIDATION:])
    return choose, report


def chosen_rate(choose: Dataset, batch_size: int, seeds: list[int], guess: float, budget: dict) -> float:
    """The learning rate with the best mean accuracy on the validation samples at the end of the run, with a margin."""

    def score(learning_rates):
        runs = ends(choose, batch_size=batch_size, learning_rate=learning_rates, seed=seeds, **budget)
        accuracy = runs.groupby("learning_rate")["test_accuracy"]
        return (1 - accuracy.mean()).where(accuracy.min() > FAILED, np.inf).rename("score").reset_index()

    return tuned_with_margin(score, guess)


def three_ways(batch_sizes: list[int], seeds: list[int], fresh_seeds: list[int]) -> pd.DataFrame:
    """One row a panel, batch size and fresh seed: training loss, test accuracy, iterations, samples, learning rate.

    A learning rate is chosen one step below the best if seeds fail at the next larger one.
    Panels: ``as is``, the learning rate of the smallest batch size for all, equal epochs;
    ``tuned, epochs``, one chosen for each batch size, equal epochs; ``tuned, iterations``,
    one chosen for each batch size, equal iterations. Chosen with ``seeds`` on validation
    samples, reported with ``fresh_seeds`` on test samples.
    """
    choose, report = split()
    tables = []
    for panel, budget in {"tuned, epochs": {"epochs": EPOCHS}, "tuned, iterations": {"iterations": ITERATIONS}}.items():
        guess, previous = GUESS, min(batch_sizes)
        for batch_size in progress(sorted(batch_sizes), desc=panel):
            guess *= (batch_size / previous) ** 0.75
            rate = chosen_rate(choose, batch_size, seeds, guess, budget)
            guess, previous = rate, batch_size
            rates = {panel: rate}
            if panel == "tuned, epochs":
                first = rate if batch_size == min(batch_sizes) else first
                rates["as is"] = first
            for name, learning_rate in rates.items():
                runs = ends(report, batch_size=batch_size, learning_rate=learning_rate, seed=fresh_seeds, **budget)
                tables.append(runs.assign(panel=name))
    columns = ["panel", "batch_size", "learning_rate", "seed", "iteration", "samples", "train_loss", "test_accuracy"]
    return pd.concat(tables, ignore_index=True)[columns]
