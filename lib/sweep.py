"""Thousands of runs at once: a grid of settings in, one tidy table out.

A sweep cuts its grid into groups of runs that differ in learning rate and seed only,
trains each group as replicas (``lib.replicas``), spreads the groups over processes and
keeps every finished run on disk, where the next sweep finds it again.
"""

import contextlib
import math
import os
import tempfile
import time
import warnings
from itertools import product

import joblib
import numba
import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits
from torch import nn
from tqdm.auto import tqdm

import lib.data
from lib.data import Dataset
from lib.fingerprint import canonical, digest, of_modules
from lib.models import initialized
from lib.plan import TrainingPlan
from lib.replicas import KernelReplicas, StackedReplicas, as_layers, as_row
from lib.sampling import epoch_order, generator
from lib.training import check_choices, planned_iterations, schedule_factor, train

CACHE = lib.data.CACHE.parent / "sweeps"
MOST_REPLICAS = 512  # of one group on a device with memory of its own


def sweep(
    model: nn.Module,
    data: Dataset,
    *,
    batch_size=32,
    learning_rate=0.1,
    seed=range(5),
    optimizer="sgd",
    schedule: str = "constant",
    warmup: int = 0,
    epochs: int | None = None,
    iterations: int | None = None,
    samples: int | None = None,
    seconds: float | None = None,
    target: float | None = None,
    target_loss: str = "train_loss",
    shuffle: bool = True,
    replacement: bool = False,
    drop_last: bool = False,
    evaluate_every: int | None = None,
    device: str | None = None,
    n_jobs: int | None = None,
    cache: bool = True,
) -> pd.DataFrame:
    """Train one run for every combination of the lists; return all their histories as one table.

    A run gives the numbers that ``lib.training.train`` gives for its settings, to the
    accuracy of the arithmetic. Runs with one seed share initial weights and the order of
    samples, whatever else differs between them, so that their differences are paired.

    Parameters
    ----------
    model, data
        As for ``lib.training.train``. Networks of Linear, Conv1d and ReLU layers (those of
        ``lib.models``) are trained as replicas; any other model by ``train``, run by run.
    batch_size, learning_rate, seed, optimizer : value or list of values
        The grid is the product of these lists.
    schedule, warmup, epochs, iterations, samples, seconds, shuffle, replacement, drop_last, evaluate_every
        The same for all runs, as for ``train``. With a budget in ``seconds`` every run is
        a ``train`` of its own, with one thread.
    target : float, optional
        A run ends at the first evaluation at which its loss is this low.
    target_loss : {"train_loss", "test_loss"}
        The loss that ``target`` is about.
    device : str, optional
        "cpu", "cuda" or "mps"; by default "cuda" if it is there, else "cpu".
    n_jobs : int, optional
        Processes. By default all cores when the sweep is long enough to gain from them.
    cache : bool
        Look finished runs up in the project's ``.cache/sweeps`` folder (or
        ``$EPOCH_CACHE/sweeps``), and keep new ones there. A run is found again only if its
        settings, model, data, precision, the code of ``lib`` and PyTorch are unchanged.

    Returns
    -------
    pandas.DataFrame
        A row a run and evaluation: ``batch_size``, ``learning_rate``, ``optimizer``,
        ``seed``, then the columns of ``train``'s history, in which the learning rate of
        the iteration before is called ``current_learning_rate``; ``seconds`` is the run's
        share of its group's time. ``status`` in a run's last row: "ok", "diverged",
        "reached" or "not reached" (the target), or "failed", with a warning that says why.
        ``replicas``: how many runs were trained together.

    Raises
    ------
    TypeError, ValueError
        An argument is unusable; the message names it, its value and the remedy.
    """
    grid = {"batch_size": batch_size, "learning_rate": learning_rate, "optimizer": optimizer, "seed": seed}
    grid = {name: as_list(name, values) for name, values in grid.items()}
    budget = {"epochs": epochs, "iterations": iterations, "samples": samples, "seconds": seconds}
    settings = {
        "schedule": schedule,
        "warmup": warmup,
        "shuffle": shuffle,
        "replacement": replacement,
        "drop_last": drop_last,
        "evaluate_every": evaluate_every,
        "budget": budget,
        "target": target,
        "target_loss": target_loss,
        "dtype": str(torch.get_default_dtype()).removeprefix("torch."),
        "device": device or ("cuda" if torch.cuda.is_available() else "cpu"),
    }
    if target_loss not in ("train_loss", "test_loss"):
        raise ValueError(f"target_loss is {target_loss!r}, but it must be 'train_loss' or 'test_loss'.")
    if target is not None and not (isinstance(target, (int, float)) and target > 0):
        raise ValueError(f"target is {target!r}, but it must be a loss above 0, or None to train for the whole budget.")
    for b, rate, name in product(grid["batch_size"], grid["learning_rate"], grid["optimizer"]):
        check_choices(rate, name, schedule, warmup, evaluate_every, planned_iterations(len(data), b, drop_last, budget))
    for number in grid["seed"]:
        generator(number)
    try:
        initialized(model, 0)(torch.zeros(2, data.num_features))
    except RuntimeError as error:
        raise ValueError(
            f"model does not take the samples of {data.name}, which have {data.num_features} features "
            f"({error}); build it for that number."
        ) from error

    runs = [dict(zip(grid, values)) for values in product(*grid.values())]
    keys = run_keys(model, data, runs, settings) if cache else [None] * len(runs)
    histories = [read(key) for key in keys]
    layers = as_layers(model, data.num_features)
    costs = [estimated_seconds(layers, data, run, settings) for run in runs]
    missing = [i for i, history in enumerate(histories) if history is None]
    if n_jobs is None:  # starting processes takes seconds; the other devices are shared, not multiplied
        n_jobs = -1 if settings["device"] == "cpu" and sum(costs[i] for i in missing) > 5 else 1
    groups = grouped(missing, runs, costs, settings["device"], n_jobs)
    work = [joblib.delayed(train_group)(model, data, [runs[i] for i in group], settings, group) for group in groups]
    progress = tqdm(
        total=sum(costs[i] for i in missing),
        delay=2,
        leave=False,
        disable="TQDM_DISABLE" in os.environ,
        bar_format="{l_bar}{bar}| {elapsed}, {remaining} left{postfix}",
    )
    for group, results in joblib.Parallel(n_jobs, return_as="generator_unordered", max_nbytes=None)(work):
        for i, (history, failure) in zip(group, results):
            histories[i] = history
            progress.update(min(costs[i], progress.total - progress.n))
            if failure:
                warnings.warn(f"The run {runs[i]} failed: {failure}", stacklevel=2)
            elif keys[i]:
                write(keys[i], history)
        progress.set_postfix_str(f"{sum(h is not None for h in histories)} of {len(runs)} runs")
    progress.close()
    tables = [history.assign(**run)[[*run, *history.columns]] for run, history in zip(runs, histories)]
    return pd.concat(tables, ignore_index=True)


def as_list(name: str, values) -> list:
    """A value or a list of values as a list without repeats."""
    values = [values] if isinstance(values, str) or not np.iterable(values) else list(values)
    values = [value.item() if isinstance(value, np.generic) else value for value in values]
    if not values:
        raise ValueError(f"{name} is empty, but a sweep needs at least one value of it.")
    if len(set(values)) < len(values):
        raise ValueError(f"{name} is {values}, in which a value is repeated; name each value once.")
    return values


def estimated_seconds(layers: np.ndarray | None, data: Dataset, run: dict, settings: dict) -> float:
    """About how long a run takes; the groups' order, their size and the progress bar go by it."""
    batch_size = run["batch_size"]
    planned = planned_iterations(len(data), batch_size, settings["drop_last"], settings["budget"])
    if planned is None:
        return settings["budget"]["seconds"]
    if layers is None:
        return planned * (3e-4 + 2e-6 * batch_size)
    evaluations = planned / (settings["evaluate_every"] or math.ceil(len(data) / batch_size))
    products = int((layers["units"] * layers["positions"] * layers["channels"] * layers["window"]).sum())
    return products * (6 * planned * (batch_size + 4) + 2 * evaluations * (len(data.x_test) + 1000)) / 5e10


def grouped(missing: list[int], runs: list[dict], costs: list[float], device: str, n_jobs: int) -> list[list[int]]:
    """Runs that can be replicas of one group, in groups small enough to share out, the longest group first."""
    cells = {}
    for i in missing:
        cells.setdefault((runs[i]["batch_size"], runs[i]["optimizer"]), []).append(i)
    share = max(0.2, sum(costs[i] for i in missing) / (8 * joblib.effective_n_jobs(n_jobs)))  # seconds
    groups = []
    for cell in cells.values():
        size = MOST_REPLICAS if device != "cpu" else max(1, int(share / costs[cell[0]]))
        groups += [cell[start : start + size] for start in range(0, len(cell), size)]
    return sorted(groups, key=lambda group: -sum(costs[i] for i in group))


def train_group(model: nn.Module, data: Dataset, runs: list[dict], settings: dict, name=None) -> tuple:
    """Histories of a group's runs, each with None or why it failed.

    A group that fails is cut in halves and each is tried again: so a device without
    enough memory ends up with as many replicas as fit, and a run that cannot be trained
    stays alone with its failure.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, settings["dtype"]))
    try:
        with threadpool_limits(1):  # many processes of one thread each are faster than one process of many threads
            alone = settings["budget"]["seconds"] or as_layers(model, data.num_features) is None
            histories = (train_alone if alone else train_replicas)(model, data, runs, settings)
            return name, [(with_target(history, settings), None) for history in histories]
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
    finally:
        torch.set_default_dtype(before)
    if len(runs) == 1:
        return name, [(pd.DataFrame([{"iteration": 0, "status": "failed", "replicas": 1}]), failure)]
    if settings["device"] == "cuda":
        torch.cuda.empty_cache()
    half = len(runs) // 2
    return name, [
        result for part in (runs[:half], runs[half:]) for result in train_group(model, data, part, settings)[1]
    ]


def train_alone(model: nn.Module, data: Dataset, runs: list[dict], settings: dict) -> list[pd.DataFrame]:
    """Each run by ``train``."""
    choices = {
        name: settings[name]
        for name in ("schedule", "warmup", "shuffle", "replacement", "drop_last", "evaluate_every", "device")
    }
    histories = [train(model, data, **run, **choices, **settings["budget"])[0] for run in runs]
    return [
        history.rename(columns={"learning_rate": "current_learning_rate"}).assign(replicas=1) for history in histories
    ]


def train_replicas(model: nn.Module, data: Dataset, runs: list[dict], settings: dict) -> list[pd.DataFrame]:
    """All runs together; they differ in learning rate and seed only. This is ``train``, for many."""
    batch_size, drop_last = runs[0]["batch_size"], settings["drop_last"]
    planned = planned_iterations(len(data), batch_size, drop_last, settings["budget"])
    plan = TrainingPlan(len(data), batch_size, drop_last=drop_last)
    per_epoch, kept = plan.iterations_per_epoch, plan.total_samples
    every = settings["evaluate_every"] or per_epoch

    layers = as_layers(model, data.num_features)
    weights = torch.stack([as_row(layers, initialized(model, run["seed"])) for run in runs])
    kind = KernelReplicas if settings["device"] == "cpu" else StackedReplicas
    replicas = kind(layers, weights, data, runs[0]["optimizer"], settings["device"])
    rates = np.array([run["learning_rate"] for run in runs])
    rows = [[] for _ in runs]
    active = list(range(len(runs)))
    iteration, samples, trained_on, seconds, factor = 0, 0, 0, 0.0, 1.0
    while True:
        started = time.perf_counter()
        losses = replicas.summed_losses()
        seconds += (time.perf_counter() - started) / len(active)
        evaluations = replicas.evaluate()
        for r, summed, (train_loss, test_loss, accuracy) in zip(active, losses, evaluations):
            finite = math.isfinite(train_loss) and math.isfinite(test_loss)
            rows[r].append(
                {
                    "iteration": iteration,
                    "epoch": iteration / per_epoch,
                    "batches": iteration,
                    "samples": samples,
                    "seconds": seconds,
                    "current_learning_rate": rates[r] * factor,
                    "batch_loss": summed / (samples - trained_on) if samples > trained_on else math.nan,
                    "train_loss": train_loss,
                    "test_loss": test_loss,
                    "test_accuracy": accuracy,
                    "status": "ok" if finite else "diverged",
                    "replicas": len(runs),
                }
            )
        going_on = [
            i
            for i, r in enumerate(active)
            if rows[r][-1]["status"] == "ok"
            and not (settings["target"] is not None and rows[r][-1][settings["target_loss"]] <= settings["target"])
        ]
        if iteration == planned or not going_on:
            return [pd.DataFrame(history) for history in rows]
        if len(going_on) < len(active):
            replicas.keep(going_on)
            active = [active[i] for i in going_on]

        trained_on, evaluate_at = samples, min(planned, (iteration // every + 1) * every)
        started = time.perf_counter()
        while iteration < evaluate_at:  # to the evaluation or the end of the epoch, whichever comes first
            epoch, first = divmod(iteration, per_epoch)
            count = min(evaluate_at - iteration, per_epoch - first)
            batches = slice(first * batch_size, min((first + count) * batch_size, kept))
            orders = {
                seed: epoch_order(len(data), seed, epoch, settings["shuffle"], settings["replacement"])[batches]
                for seed in {runs[r]["seed"] for r in active}
            }
            factors = [
                schedule_factor(i, settings["schedule"], settings["warmup"], planned)
                for i in range(iteration, iteration + count)
            ]
            replicas.advance(
                np.stack([orders[runs[r]["seed"]] for r in active]), batch_size, np.outer(rates[active], factors)
            )
            iteration, samples, factor = iteration + count, samples + batches.stop - batches.start, factors[-1]
        seconds += (time.perf_counter() - started) / len(active)


def with_target(history: pd.DataFrame, settings: dict) -> pd.DataFrame:
    """The history up to the evaluation that reached the target, and whether one did."""
    if settings["target"] is None:
        return history
    reached = np.flatnonzero(history[settings["target_loss"]] <= settings["target"])
    if len(reached):
        history = history.iloc[: reached[0] + 1].copy()
    if history["status"].iloc[-1] == "ok":
        history.loc[history.index[-1], "status"] = "reached" if len(reached) else "not reached"
    return history


def run_keys(model: nn.Module, data: Dataset, runs: list[dict], settings: dict) -> list[str | None]:
    """What a finished run is found under: a hash of everything that determines it."""
    if not all(type(module).__module__.startswith("torch.") for module in model.modules()):
        return [None] * len(runs)  # the code of such a module is not in its name
    common = {
        "model": repr(model),
        "data": joblib.hash(data),
        "settings": settings,
        "code": of_modules(__name__),
        "versions": [torch.__version__, np.__version__, numba.__version__],
    }
    return [digest(canonical([common, run], "A sweep")) for run in runs]


def read(key: str | None) -> pd.DataFrame | None:
    """A finished run from the cache; None if it is not there or damaged."""
    with contextlib.suppress(Exception):
        return pd.read_pickle(CACHE / f"{key}.pkl")
    return None


def write(key: str, history: pd.DataFrame):
    """Keep a finished run, whole or not at all."""
    with contextlib.suppress(OSError):  # a full or read-only disk costs time, not the sweep
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=CACHE, suffix=".part", delete=False) as file:
            history.to_pickle(file)
        os.replace(file.name, CACHE / f"{key}.pkl")
