"""Do the verdicts travel? The same small experiments on six workloads, each run kept.

A *cell* chooses a learning rate on validation samples, with seeds of its own, and then reports
on test samples with other seeds. All of it is in the record: every rate that was tried, every
score, every reported run. ``lib.experiments.verdicts`` makes a verdict of it. One record a
workload, so that a change of one workload leaves the others as they are.

Everything is trained in float64, so that a run gives the same numbers on another processor.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd
import torch

from lib import catalog, models
from lib.data import digits, mnist1d
from lib.evaluation import TRAINING_SAMPLES, mean_loss
from lib.experiments.search import RULES, failed, tuned
from lib.long_records import LongRecord, remember_long
from lib.models import initialized
from lib.noise_scale import BATCHES, gradient_moments
from lib.profiling import throughput
from lib.sampling import generator
from lib.sweep import sweep
from lib.training import train
from lib.workload import Workload

CHOOSING = [0, 1, 2, 3, 4]  # seeds that choose
REPORTED = [100, 101, 102, 103, 104]  # seeds that are reported
SCHEDULES = ["constant", "cosine"]
FIXED = "fixed"  # beside the rules that choose a learning rate: the one for all batch sizes
NOISE_BATCH, NOISE_SIZES, DRAWS = 32, [4, 16, 64, 256], 60


# One cell ----------------------------------------------------------------------------------------


def runs_of(workload: Workload, device: str, **grid) -> pd.DataFrame:
    """All histories of a sweep in float64; ``grid`` as for ``lib.sweep.sweep``."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return sweep(workload, device=device, **grid)
    finally:
        torch.set_default_dtype(before)


def evaluated(histories: pd.DataFrame, target: float | None, split: str) -> pd.DataFrame:
    """A row a run, of its whole history.

    Returns
    -------
    pandas.DataFrame
        ``learning_rate``, ``seed``; ``score``: with a target the iterations until the loss of ``split`` is
        that low (infinite if it never is), else the share of ``split`` that is wrong at the end, or its loss
        where nothing is counted as right or wrong; ``samples`` visited until then; ``train_loss`` and
        ``loss`` of ``split`` at the end, ``kept``: of the evaluation with the lowest validation loss;
        ``failed``: as ``lib.experiments.search`` says.
    """
    rows = []
    for (rate, seed), run in histories.groupby(["learning_rate", "seed"]):
        last = run.iloc[-1]
        best = run.loc[run["validation_loss"].idxmin()]
        ends = {
            "train_loss": last["train_loss"],
            "loss": last[f"{split}_loss"],
            "kept": best[f"{split}_loss"],
            "samples": float(last["samples"]),
        }
        if target is not None:
            score = float(last["iteration"]) if last["status"] == "reached" else math.inf
        else:
            score = 1 - last[f"{split}_accuracy"] if f"{split}_accuracy" in run else last[f"{split}_loss"]
        if last["status"] == "diverged":  # the loss of its last evaluation is a matter of chance
            score, ends = math.inf, ends | {"train_loss": math.inf, "loss": math.inf}
        row = {"learning_rate": rate, "seed": int(seed), "score": score, **ends}
        rows.append(row | {"failed": failed(run, to_target=target is not None)})
    return pd.DataFrame(rows)


def cell(
    workload: Workload,
    device: str,
    recipe: dict,
    budget: dict,
    guess: float,
    fixed: float | None = None,
    evaluations: int = 60,
) -> pd.DataFrame:
    """Choose a learning rate for a recipe and a budget, and report at the rate of each rule, and at ``fixed``.

    Parameters
    ----------
    recipe, budget : dict
        Choices as for ``lib.sweep.sweep``. A budget with ``target`` counts iterations: until the validation
        loss is that low where a rate is chosen, until the test loss is where it is reported.
    guess : float
        Where the search starts.
    fixed : float, optional
        A learning rate that was not chosen here, reported too, under the name ``FIXED``.
    evaluations : int
        Of a run with a target: about so many until the best rate reaches it.

    Returns
    -------
    pandas.DataFrame
        The rows of :func:`evaluated`, with ``stage``: "chosen", where the score of a run that failed is infinite,
        or "reported"; and ``rules``: the names of those that chose the learning rate of a reported run.
    """
    target = budget.get("target")

    def at(rates: list[float], seeds: list[int], split: str, every: int | None) -> pd.DataFrame:
        loss = {"target_loss": f"{split}_loss"} if target is not None else {}
        grid = recipe | budget | loss | {"learning_rate": rates, "seed": seeds}
        return evaluated(runs_of(workload, device, evaluate_every=every, **grid), target, split)

    # The best rate needs about half the iterations that are allowed, or fewer; then it is known how many.
    every = (
        max(1, budget["iterations"] // (2 * evaluations)) if target is not None else spacing(workload, recipe, budget)
    )

    def tried(rates: list[float]) -> pd.DataFrame:
        runs = at(rates, CHOOSING, "validation", every)
        return runs.assign(score=runs["score"].mask(runs["failed"], math.inf))

    found = tuned(tried, guess, rules=RULES)
    chosen = found.rates | ({FIXED: fixed} if fixed else {})
    if target is not None:
        every = max(1, int(found.scores.min() // evaluations))
    reported = at(sorted(set(chosen.values())), REPORTED, "test", every)
    names = {rate: ", ".join(rule for rule in chosen if chosen[rule] == rate) for rate in chosen.values()}
    reported = reported.assign(stage="reported", rules=reported["learning_rate"].map(names))
    return pd.concat([found.grid.assign(stage="chosen", rules=""), reported], ignore_index=True)


def spacing(workload: Workload, recipe: dict, budget: dict) -> int:
    """Iterations between the eight evaluations of a run without a target."""
    per_epoch = -(-len(workload) // recipe["batch_size"])
    return max(1, budget.get("iterations", budget.get("epochs", 0) * per_epoch) // 8)


# Gradients ---------------------------------------------------------------------------------------


def scatter(workload: Workload, device: str, seed: int, sizes: list[int], iterations: int, learning_rate: float):
    """How much gradients of random batches scatter, at the initial weights and after some iterations.

    Batches are drawn with replacement, and the network is in training mode, so that batch
    normalisation is measured as it trains.

    Returns
    -------
    pandas.DataFrame
        A row a place (``iteration``) and batch size: ``variance``, the squared distance of a batch's gradient
        from the mean of all drawn, summed over weights; ``noise_scale``: the exact one of these weights, not a
        number where a sample has no gradient of its own; ``train_loss``.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        start = initialized(workload.model, seed).to(device)
        how: dict[str, Any] = dict(
            batch_size=NOISE_BATCH, iterations=iterations, evaluate_every=iterations, device=device
        )
        later = train(workload, learning_rate=learning_rate, seed=seed, **how)[1]
        rows = []
        for iteration, model in ((0, start), (iterations, later)):
            here = _noise_scale_and_loss(workload, model)
            model.train()
            for size in sizes:
                gradients = _gradients(workload, model, size, seed)
                variance = gradients.var(dim=0, correction=1).sum().item()
                rows.append({"seed": seed, "iteration": iteration, "batch_size": size, "variance": variance, **here})
        return pd.DataFrame(rows)
    finally:
        torch.set_default_dtype(before)


def _noise_scale_and_loss(workload: Workload, model: torch.nn.Module) -> dict:
    parameter = next(model.parameters())
    x, y = workload.on(parameter.device, parameter.dtype)["train"]
    model.eval()
    loss = mean_loss(workload, model, x[:TRAINING_SAMPLES], y[:TRAINING_SAMPLES])[0]
    try:
        return {"noise_scale": gradient_moments(workload, model).noise_scale, "train_loss": float(loss)}
    except TypeError:  # batch normalisation
        return {"noise_scale": math.nan, "train_loss": float(loss)}


def _gradients(workload: Workload, model: torch.nn.Module, size: int, seed: int) -> torch.Tensor:
    """Gradients of ``DRAWS`` random batches, a row each."""
    parameters = list(model.parameters())
    x, y = workload.on(parameters[0].device, parameters[0].dtype)["train"]
    rng, rows = generator(seed, BATCHES), []
    for _ in range(DRAWS):
        batch = torch.from_numpy(rng.integers(len(x), size=size)).to(x.device)
        inputs = workload.augment(x[batch], rng) if workload.augment else x[batch]
        loss = workload.loss(model(inputs), y[batch])
        rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)]))
    return torch.stack(rows)


def seconds(workload: Workload, device: str, sizes: list[int]) -> pd.DataFrame:
    """Seconds of an iteration at each batch size, measured in turn with each other; never compared by a test.

    The least of seven medians: other work on the machine only adds.
    """
    tables = [throughput(workload, sizes, device=device, rounds=1, min_seconds=0.02) for _ in range(7)]
    medians = pd.concat(tables).groupby("batch_size")["seconds_per_iteration"].min()
    return medians.rename("seconds").reset_index()


# The six workloads -------------------------------------------------------------------------------

TABLES: dict[str, dict[str, str]] = {
    "runs": {"learning_rate": "float64", "seed": "int64", "score": "float64", "train_loss": "float64"}
    | {"loss": "float64", "kept": "float64", "samples": "float64", "failed": "bool", "stage": "str"}
    | {"rules": "str"},
    "noise": {"seed": "int64", "iteration": "int64", "batch_size": "int64", "variance": "float64"}
    | {"noise_scale": "float64", "train_loss": "float64"},
    "speed": {"batch_size": "int64", "seconds": "float64"},
}
# In float64 two processors differ by 1e-13 or so; the tolerance leaves room for weights that amplify it.
TOLERANCE: dict[str, float | None] = {
    f"{table}.{column}": None if column == "seconds" else 1e-6
    for table, columns in TABLES.items()
    for column, kind in columns.items()
    if kind == "float64"
}


def run(workload: Workload, device: str, part: str, settings: dict) -> dict[str, pd.DataFrame]:
    """One run of a long record: the table of its part, and the other parts' empty."""
    parts: dict[str, Callable[..., pd.DataFrame]] = {"runs": cell, "noise": scatter, "speed": seconds}
    made = parts[part](workload, device, **settings)
    tables = {name: made if name == part else pd.DataFrame(columns=list(TABLES[name])) for name in TABLES}
    return {name: table[list(TABLES[name])].astype(TABLES[name]) for name, table in tables.items()}


def on_mlp(part: str, settings: dict, num_samples: int, device: str) -> dict:
    """The course's multilayer perceptron on MNIST-1D; one run of its record."""
    data = mnist1d(4_000, 8_500).first(num_samples).hold_out(500, 1_000)
    return run(catalog.mlp().but(data=data), device, part, settings)


def on_cnn(part: str, settings: dict, num_samples: int, device: str) -> dict:
    """The 1-D convolutional network on MNIST-1D, 12 channels wide."""
    data = mnist1d(4_000, 8_500).first(num_samples).hold_out(500, 1_000)
    model = models.cnn(12)  # of the catalog's 25 channels: a quarter of the time
    return run(catalog.cnn().but(data=data, model=model), device, part, settings)


def on_batch_norm(part: str, settings: dict, num_samples: int, device: str) -> dict:
    """A convolutional network with batch normalisation, 8 channels wide, its samples augmented."""
    data = mnist1d(4_000, 8_500).first(num_samples).hold_out(500, 1_000)
    model = models.cnn(8, batch_norm=True)  # of the catalog's 25 channels: a third of the time
    return run(catalog.batch_norm().but(data=data, model=model), device, part, settings)


def on_logistic(part: str, settings: dict, num_samples: int, device: str) -> dict:
    """Logistic regression on digits."""
    data = digits(797).first(num_samples).hold_out(397)
    return run(catalog.logistic().but(data=data), device, part, settings)


def on_friedman(part: str, settings: dict, num_samples: int, device: str) -> dict:
    """A regression by a small multilayer perceptron."""
    workload = catalog.friedman()
    return run(workload.but(data=workload.data.first(num_samples)), device, part, settings)


def on_tokens(part: str, settings: dict, num_samples: int, device: str) -> dict:
    """Next tokens of a small language by a small transformer."""
    workload = catalog.named("tokens")
    data = workload.data
    data = replace(data, x_validation=data.x_validation[:64], y_validation=data.y_validation[:64])
    data = replace(data, x_test=data.x_test[:64], y_test=data.y_test[:64])
    return run(workload.but(data=data.first(num_samples)), device, part, settings)


@dataclass(frozen=True)
class Design:
    """What is measured on a workload; fixed before anything was.

    Attributes
    ----------
    experiment : callable
        One run of its record.
    title : str
    optimizers : dict
        Of the runs to a target, with the learning rate at batch size 32 where their searches start.
    target : float
        Of validation and test loss.
    most : (int, int)
        ``(s, c)``: runs to the target may take ``s * (1 + c / B)`` iterations.
    sizes, few_sizes : list of int
        Batch sizes of the runs to a target, and of those of equal length.
    num_samples : (int, int)
        Training samples of either.
    epochs, iterations : int
        Of runs of equal length.
    as_is : float
        The learning rate for all batch sizes: what a search at the smallest one had found.
    later : int
        Iterations at batch size 32 after which gradients are measured again.
    evaluations : int
        Of a run with a target, about.
    """

    experiment: Callable[..., dict]
    title: str
    optimizers: dict[str, float]
    target: float
    most: tuple[int, int]
    sizes: list[int]
    few_sizes: list[int]
    num_samples: tuple[int, int]
    epochs: int
    iterations: int
    as_is: float
    later: int
    evaluations: int = 60

    def runs(self, device: str) -> list[dict]:
        """The settings of every run of the record."""
        many, few = self.num_samples
        made = []

        def add(part, num_samples, **settings):
            made.append({"part": part, "num_samples": num_samples, "device": device, "settings": settings})

        for optimizer, rate in self.optimizers.items():
            for size in self.sizes:
                most = round(self.most[0] * (1 + self.most[1] / size))
                guess = first_guess(rate, size, optimizer)
                recipe = {"optimizer": optimizer, "batch_size": size, "schedule": "constant"}
                limits = {"iterations": most, "target": self.target}
                add("runs", many, recipe=recipe, budget=limits, guess=guess, evaluations=self.evaluations)
        for schedule in SCHEDULES:
            lengths: list[dict] = [{"epochs": self.epochs}, {"iterations": self.iterations}]
            for budget in lengths:
                for size in self.few_sizes:
                    fixed = {"fixed": self.as_is} if "epochs" in budget else {}
                    guess = first_guess(self.optimizers["sgd"], size, "sgd")
                    recipe = {"optimizer": "sgd", "batch_size": size, "schedule": schedule}
                    add("runs", few, recipe=recipe, budget=budget, guess=guess, **fixed)
        for share, epochs in ((1, 1), (4, 4)):
            size = self.few_sizes[0]
            guess = first_guess(self.optimizers["sgd"], size, "sgd")
            recipe = {"optimizer": "sgd", "batch_size": size, "schedule": "cosine"}
            add("runs", many // 4 * 4 // share, recipe=recipe, budget={"epochs": epochs}, guess=guess)
        rate = self.optimizers["sgd"]
        for seed in REPORTED:
            add("noise", many, seed=seed, sizes=NOISE_SIZES, iterations=self.later, learning_rate=rate)
        add("speed", many, sizes=self.sizes)
        return made


def first_guess(rate_at_32: float, batch_size: int, optimizer: str) -> float:
    """Where a search starts: from the rate at batch size 32 by a rule of thumb; the search goes on from there."""
    exponent = 0.5 if optimizer == "adam" else 0.75
    return round(rate_at_32 * min(batch_size / 32, 4) ** exponent, 6)


WORKLOADS = {
    "mlp": Design(
        experiment=on_mlp,
        title="MLP, MNIST-1D",
        optimizers={"sgd": 0.4, "momentum": 0.04, "adam": 0.004},
        target=1.4,
        most=(200, 200),
        sizes=[4, 16, 64, 256, 1024],
        few_sizes=[4, 32, 256],
        num_samples=(4_000, 1_000),
        epochs=30,
        iterations=300,
        as_is=0.05606,
        later=250,
    ),
    "cnn": Design(
        experiment=on_cnn,
        title="CNN, MNIST-1D",
        optimizers={"sgd": 0.3, "momentum": 0.03, "adam": 0.004},
        target=1.4,
        most=(250, 150),
        sizes=[4, 16, 64, 256],
        few_sizes=[8, 128],
        num_samples=(4_000, 1_000),
        epochs=20,
        iterations=200,
        as_is=0.159099,
        later=250,
        evaluations=40,
    ),
    "batch-norm": Design(
        experiment=on_batch_norm,
        title="CNN with BatchNorm and augmentation, MNIST-1D",
        optimizers={"sgd": 0.5, "momentum": 0.05, "adam": 0.016},
        target=1.6,
        most=(250, 60),
        sizes=[4, 16, 64, 256],
        few_sizes=[8, 128],
        num_samples=(4_000, 1_000),
        epochs=12,
        iterations=120,
        as_is=0.07856755555555554,
        later=100,
        evaluations=40,
    ),
    "logistic": Design(
        experiment=on_logistic,
        title="Logistic regression, digits",
        optimizers={"sgd": 3.0, "momentum": 0.3, "adam": 0.06},
        target=0.35,
        most=(100, 60),
        sizes=[4, 16, 64, 256, 1000],
        few_sizes=[4, 32, 256],
        num_samples=(1_000, 500),
        epochs=30,
        iterations=200,
        as_is=0.0369117585733882,
        later=40,
    ),
    "friedman": Design(
        experiment=on_friedman,
        title="MLP, Friedman's regression",
        optimizers={"sgd": 0.15, "momentum": 0.015, "adam": 0.01},
        target=0.35,
        most=(150, 150),
        sizes=[4, 16, 64, 256, 1024],
        few_sizes=[4, 32, 256],
        num_samples=(4_000, 1_000),
        epochs=20,
        iterations=200,
        as_is=0.0709515,
        later=100,
    ),
    "tokens": Design(
        experiment=on_tokens,
        title="Small transformer, tokens",
        optimizers={"sgd": 1.0, "momentum": 0.1, "adam": 0.012},
        target=3.3,
        most=(60, 60),
        sizes=[2, 16, 64],
        few_sizes=[2, 64],
        num_samples=(250, 250),
        epochs=3,
        iterations=40,
        as_is=0.94921875,
        later=40,
        evaluations=30,
    ),
}


def record(workload: str, device: str = "cpu") -> LongRecord:
    """The record of a workload, on the CPU or, beside it and under a name of its own, on a GPU."""
    design = WORKLOADS[workload]
    beside = "" if device == "cpu" else f"-{device}"
    return remember_long(f"travel-{workload}{beside}", design.experiment, design.runs(device), tolerance=TOLERANCE)


# Of each workload a function that gives its record, as lib.experiments.long wants them.
ON_CPU: list[Callable[[], LongRecord]] = [partial(record, workload) for workload in WORKLOADS]
ON_CUDA: list[Callable[[], LongRecord]] = [partial(record, workload, "cuda") for workload in WORKLOADS]
