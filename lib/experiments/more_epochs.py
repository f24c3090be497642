"""More epochs: overfitting, early stopping, wrong labels, and repeated samples against fresh ones."""

from dataclasses import replace

import pandas as pd

from lib.data import Dataset, mnist1d
from lib.experiments.generalization import scored
from lib.experiments.runs import ends, histories
from lib.experiments.search import RULES, Tuned, tuned_along
from lib.models import mlp
from lib.sampling import generator
from lib.workload import Workload, classification

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


def small_sets() -> dict[str, Workload]:
    """The course's network on few samples, and on the same with wrong labels."""
    clean = mnist1d(4_000, 8_500).first(NUM_SAMPLES).hold_out(NUM_VALIDATION, NUM_TEST)
    sets = {"clean": clean, "wrong labels": with_wrong_labels(clean, WRONG)}
    return {labels: classification(mlp(), data) for labels, data in sets.items()}


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
    monitors = ["validation_loss", "validation_accuracy"]
    for labels, workload in small_sets().items():
        runs = histories(workload, batch_size=BATCH_SIZE, learning_rate=LEARNING_RATE, seed=seeds, epochs=EPOCHS)
        runs["epoch"] = runs["epoch"].round().astype("int64")
        runs = runs.assign(labels=labels)[keys + ["train_loss", "test_loss", "test_accuracy", *monitors]]
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
            for monitor in monitors:
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


def reported(found: Tuned, workload: Workload, **how) -> pd.DataFrame:
    """Ends of runs at what each rule chose, a row a ``rule`` and run; a rate that two rules chose is run once."""
    runs = ends(workload, learning_rate=sorted(set(found.rates.values())), **how)
    return pd.concat(
        [runs[runs["learning_rate"] == rate].assign(rule=rule) for rule, rate in found.rates.items()],
        ignore_index=True,
    )


def noisy_labels(batch_sizes: list[int], seeds: list[int], fresh_seeds: list[int]) -> dict[str, pd.DataFrame]:
    """Test accuracy with wrong labels against batch size: one learning rate for all, and one chosen for each.

    Returns
    -------
    dict with the tables
        ``noisy``: a row a panel ("one for all", or "tuned" with the ``rule`` that chose the learning rate),
        batch size and fresh seed.
        ``noisy_grid``: every run that a learning rate was chosen by, on validation accuracy.
    """
    workload = small_sets()["wrong labels"]
    tables, grids = [], []

    def runs_at(batch_size, learning_rates):
        runs = ends(workload, batch_size=batch_size, learning_rate=learning_rates, seed=seeds, epochs=EPOCHS // 2)
        return scored(runs)

    for batch_size, found in tuned_along(sorted(batch_sizes), runs_at, 0.02, lambda ratio: 4, rules=RULES):
        how = {"batch_size": batch_size, "seed": fresh_seeds, "epochs": EPOCHS // 2}
        grids.append(found.grid)
        tables.append(ends(workload, learning_rate=LEARNING_RATE, **how).assign(panel="one for all", rule=""))
        tables.append(reported(found, workload, **how).assign(panel="tuned"))
    columns = ["panel", "rule", "batch_size", "learning_rate", "seed", "train_loss", "test_loss", "test_accuracy"]
    chosen_by = ["batch_size", "learning_rate", "seed", "validation_accuracy"]
    return {
        "noisy": pd.concat(tables, ignore_index=True)[columns],
        "noisy_grid": pd.concat(grids, ignore_index=True)[chosen_by],
    }


def repeats(unique: list[int], seeds: list[int], fresh_seeds: list[int]) -> dict[str, pd.DataFrame]:
    """Runs over ``unique`` different samples: ``VISITS`` visits in several epochs, and a single epoch.

    The learning rate is chosen for each number of samples and each budget, by validation loss and every rule.

    Returns
    -------
    dict with the tables
        ``repeats``: a row a budget ("repeated" or "one epoch"), ``rule``, number of ``samples`` and fresh seed:
        ``epochs``, ``iteration``, ``learning_rate``, ``train_loss``, ``test_loss``, ``test_accuracy``.
        ``repeats_grid``: every run that a learning rate was chosen by.
    """
    everything = mnist1d(VISITS, NUM_VALIDATION + NUM_TEST).hold_out(NUM_VALIDATION)
    tables, grids = [], []
    for budget in ("repeated", "one epoch"):

        def settings(samples, budget=budget):
            return {"batch_size": REPEAT_BATCH_SIZE, "epochs": VISITS // samples if budget == "repeated" else 1}

        def runs_at(samples, learning_rates, settings=settings):
            workload = classification(mlp(), everything.first(samples))
            return scored(
                ends(workload, learning_rate=learning_rates, seed=seeds, **settings(samples)), "validation_loss"
            )

        sizes = [size for size in sorted(unique, reverse=True) if budget == "repeated" or size < VISITS]  # the same run
        for samples, found in tuned_along(sizes, runs_at, 0.2, lambda ratio: 1.0, rules=RULES):
            workload = classification(mlp(), everything.first(samples))
            here = {"budget": budget, "epochs": settings(samples)["epochs"]}
            runs = reported(found, workload, seed=fresh_seeds, **settings(samples))
            tables.append(runs.assign(**here, samples=samples))
            grids.append(found.grid.assign(**here, samples=samples))
    columns = ["budget", "samples", "epochs", "seed", "learning_rate"]
    shown = ["iteration", "train_loss", "test_loss", "test_accuracy"]
    return {
        "repeats": pd.concat(tables, ignore_index=True)[["rule", *columns, *shown]],
        "repeats_grid": pd.concat(grids, ignore_index=True)[columns + ["validation_loss"]],
    }


def all_parts(unique: list[int], batch_sizes: list[int], seeds: list[int], fresh_seeds: list[int]) -> dict:
    """The tables of :func:`overfitting`, :func:`noisy_labels` and :func:`repeats`, in one record."""
    noisy, repeated = noisy_labels(batch_sizes, seeds, fresh_seeds), repeats(unique, seeds, fresh_seeds)
    return overfitting(fresh_seeds) | noisy | repeated
