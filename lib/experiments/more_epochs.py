"""More epochs: overfitting, early stopping, wrong labels, and repeated samples against fresh ones."""

from dataclasses import replace

import numpy as np
import pandas as pd

from lib.data import Dataset, mnist1d
from lib.experiments import progress
from lib.experiments.generalization import FAILED
from lib.experiments.runs import ends, histories
from lib.experiments.search import tuned_with_margin
from lib.sampling import generator

NUM_SAMPLES, NUM_VALIDATION, NUM_TEST = 500, 1_000, 2_000
BATCH_SIZE, LEARNING_RATE, EPOCHS = 50, 0.1, 200
WRONG = 0.2  # share of the labels that are made wrong
VISITS, REPEAT_BATCH_SIZE = 40_000, 25


def with_wrong_labels(data: Dataset, share: float, seed: int = 0) -> Dataset:
    """The dataset with a share of its training labels replaced by another class, drawn uniformly."""
    rng = generator(seed)
    wrong = rng.permutation(len(data))[: round(share * len(data))]
    labels = data.y_train.copy()
    labels[wrong] = (labels[wrong] + rng.integers(1, data.num_classes, len(wrong))) % data.num_classes
    return replace(data, y_train=labels)


def looked_at(data: Dataset, first: int, count: int) -> Dataset:
    """The dataset with ``count`` of its test samples, from number ``first`` on."""
    part = slice(first, first + count)
    return replace(data, x_test=data.x_test[part], y_test=data.y_test[part])


def early_stopping(curve: pd.DataFrame, monitor: str, every: int, patience: int) -> tuple[int, int]:
    """Where training stops, and the evaluation whose weights are kept.

    Parameters
    ----------
    curve : pandas.DataFrame
        One run, one row an epoch from epoch 0 on, with the column ``monitor``.
    monitor : str
        Column to watch: a loss, or an accuracy if its name ends so.
    every : int
        Epochs between evaluations.
    patience : int
        Evaluations without a new best before training stops.

    Returns
    -------
    stopped, kept : int
        Epochs. A run that never loses patience stops at its last evaluation.
    """
    values = curve[monitor].to_numpy()[::every]
    values = -values if monitor.endswith("accuracy") else values
    best = number = 0
    while number + 1 < len(values) and number - best < patience:
        number += 1
        if values[number] < values[best]:
            best = number
    return number * every, best * every


def small_sets() -> dict[str, Dataset]:
    clean = mnist1d(4_000, 8_500).first(NUM_SAMPLES)
    return {"clean": clean, "wrong labels": with_wrong_labels(clean, WRONG)}


def overfitting(seeds: list[int]) -> dict[str, pd.DataFrame]:
    """Long runs on few samples, seen on validation and on test samples after every epoch.

    Returns
    -------
    dict with the tables
        ``curves``: means over seeds, a row a training set and epoch.
        ``turns``: a row a training set and seed: test loss and accuracy at the end and at the epochs
        where the means turn.
        ``stops``: a row a training set, monitor, evaluation interval, patience and seed.
    """
    curves, turns, stops = [], [], []
    keys = ["labels", "seed", "epoch"]
    for labels, data in small_sets().items():
        seen = []
        for first, count in ((0, NUM_VALIDATION), (NUM_VALIDATION, NUM_TEST)):  # the same runs, seen on other samples
            seen.append(
                histories(
                    looked_at(data, first, count),
                    batch_size=BATCH_SIZE,
                    learning_rate=LEARNING_RATE,
                    seed=seeds,
                    epochs=EPOCHS,
                )
            )
        names = {"test_loss": "validation_loss", "test_accuracy": "validation_accuracy"}
        runs = seen[1].assign(**{name: seen[0][column] for column, name in names.items()}, labels=labels)
        runs["epoch"] = runs["epoch"].round().astype("int64")
        runs = runs[keys + ["train_loss", "test_loss", "test_accuracy", *names.values()]]
        mean = runs.groupby(["labels", "epoch"], as_index=False).mean().drop(columns="seed")
        curves.append(mean)
        marks = {
            "lowest loss": mean["test_loss"].idxmin(),
            "highest accuracy": mean["test_accuracy"].idxmax(),
            "end": EPOCHS,
        }
        for mark, epoch in marks.items():
            at = runs[runs["epoch"] == epoch]
            turns.append(at[keys + ["test_loss", "test_accuracy"]].assign(mark=mark))
        for seed, run in runs.groupby("seed"):
            run = run.set_index("epoch")
            for monitor in names.values():
                for every in (1, 5):
                    for patience in (5, 20):
                        stopped, kept = early_stopping(run, monitor, every, patience)
                        stops.append(
                            {
                                "labels": labels,
                                "monitor": monitor,
                                "every": every,
                                "patience": patience,
                                "seed": seed,
                                "stopped": stopped,
                                "kept": kept,
                                "test_loss": run["test_loss"][kept],
                                "test_accuracy": run["test_accuracy"][kept],
                            }
                        )
    tables = {"curves": pd.concat(curves), "turns": pd.concat(turns), "stops": pd.DataFrame(stops)}
    return {name: table.reset_index(drop=True) for name, table in tables.items()}


def tuned_on_validation(choose: Dataset, guess: float, seeds: list[int], value: str, **budget) -> float:
    """The learning rate whose runs end with the best mean validation loss or accuracy, with a margin."""

    def score(learning_rates):
        runs = ends(choose, learning_rate=learning_rates, seed=seeds, **budget)
        scores = runs.groupby("learning_rate")[value].mean()
        scores = 1 - scores if value == "test_accuracy" else scores
        worst = runs.groupby("learning_rate")["test_accuracy"].min()
        return scores.where(worst > FAILED, np.inf).rename("score").reset_index()

    return tuned_with_margin(score, guess)


def noisy_labels(batch_sizes: list[int], seeds: list[int], fresh_seeds: list[int]) -> pd.DataFrame:
    """Test accuracy with wrong labels against batch size: one learning rate for all, and one chosen for each."""
    data = small_sets()["wrong labels"]
    choose, report = looked_at(data, 0, NUM_VALIDATION), looked_at(data, NUM_VALIDATION, NUM_TEST)
    tables, guess = [], 0.02
    for batch_size in progress(sorted(batch_sizes), desc="wrong labels"):
        budget = {"batch_size": batch_size, "epochs": EPOCHS // 2}
        guess = tuned_on_validation(choose, guess, seeds, "test_accuracy", **budget)
        for panel, rate in {"one for all": LEARNING_RATE, "tuned": guess}.items():
            tables.append(ends(report, learning_rate=rate, seed=fresh_seeds, **budget).assign(panel=panel))
        guess *= 4
    columns = ["panel", "batch_size", "learning_rate", "seed", "train_loss", "test_loss", "test_accuracy"]
    return pd.concat(tables, ignore_index=True)[columns]


def repeats(unique: list[int], seeds: list[int], fresh_seeds: list[int]) -> pd.DataFrame:
    """Runs over ``unique`` different samples: ``VISITS`` visits in several epochs, and a single epoch.

    The learning rate is chosen for each number of samples and each budget, by validation loss.

    Returns
    -------
    pandas.DataFrame
        A row a budget ("repeated" or "one epoch"), number of ``samples`` and fresh seed: ``epochs``, ``iteration``,
        ``learning_rate``, ``train_loss``, ``test_loss``, ``test_accuracy``.
    """
    everything = mnist1d(VISITS, NUM_VALIDATION + NUM_TEST)
    tables = []
    for budget in ("repeated", "one epoch"):
        guess = 0.2
        for samples in progress(sorted(unique, reverse=True), desc=budget):
            if budget == "one epoch" and samples == VISITS:
                continue  # the same run
            data = everything.first(samples)
            choose, report = looked_at(data, 0, NUM_VALIDATION), looked_at(data, NUM_VALIDATION, NUM_TEST)
            epochs = VISITS // samples if budget == "repeated" else 1
            settings = {"batch_size": REPEAT_BATCH_SIZE, "epochs": epochs}
            guess = tuned_on_validation(choose, guess, seeds, "test_loss", **settings)
            runs = ends(report, learning_rate=guess, seed=fresh_seeds, **settings)
            tables.append(runs.assign(budget=budget, samples=samples, epochs=epochs))
    columns = [
        "budget",
        "samples",
        "epochs",
        "seed",
        "iteration",
        "learning_rate",
        "train_loss",
        "test_loss",
        "test_accuracy",
    ]
    return pd.concat(tables, ignore_index=True)[columns]


def all_parts(unique: list[int], batch_sizes: list[int], seeds: list[int], fresh_seeds: list[int]) -> dict:
    """The tables of ``overfitting``, ``noisy_labels`` (as ``noisy``) and ``repeats``, in one record."""
    return {
        **overfitting(fresh_seeds),
        "noisy": noisy_labels(batch_sizes, seeds, fresh_seeds),
        "repeats": repeats(unique, seeds, fresh_seeds),
    }
