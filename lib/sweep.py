"""Thousands of runs at once: a grid of settings in, one tidy table out.

A sweep cuts its grid into groups of runs that differ in learning rate and seed only,
trains each group as replicas (``lib.replicas``), and spreads the groups over processes.
"""

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from lib.devices import device_here
from lib.evaluation import TRAINING_SAMPLES, check_every, check_target, status
from lib.kernel_replicas import CompiledReplicas, KernelReplicas
from lib.kernel_transformer import TransformerReplicas
from lib.plan import TrainingPlan
from lib.profiling import saved_bytes
from lib.progress import bar
from lib.ramps import Ramp
from lib.recipe import Budget, Recipe, recipe_and_budget
from lib.replicas import STACKED, Replicas, StackedReplicas, can_be_stacked
from lib.sampling import AUGMENTATION, epoch_order, generator
from lib.training import train
from lib.workload import Workload

MOST_REPLICAS = 512  # of one group on a device with memory of its own
FEWEST_STACKED, STACKED_TOGETHER = 3, 16  # replicas of one group on the CPU, from which stacking pays, and does well
KERNELS = (KernelReplicas, TransformerReplicas)
AXES = ("batch_size", "learning_rate", "optimizer")  # columns of every table, asked for or not


def sweep(
    workload: Workload,
    recipe: Recipe | None = None,
    budget: Budget | None = None,
    *,
    seed=range(5),
    evaluate_every: int | None = None,
    device: str | None = None,
    n_jobs: int | None = None,
    **choices,
) -> pd.DataFrame:
    """Train one run for every combination of the lists; return all their histories as one table.

    A run gives the numbers that ``lib.training.train`` gives for its settings, to the
    accuracy of the arithmetic (where a model draws by itself, as with dropout, other numbers
    are drawn). Runs with one seed share initial weights and the order of
    samples, whatever else differs between them, so that their differences are paired.

    Parameters
    ----------
    workload, recipe, budget, evaluate_every
        As for ``lib.training.train``. Small networks of Linear, Conv1d and ReLU layers, and
        ``lib.transformer.Transformer``, are trained as compiled replicas on the CPU; others,
        and all on other devices, as stacked replicas, if ``torch.func`` can stack
        them; any other model by ``train``, run by run, and so is every run with accumulation
        or a budget in seconds.
    seed : int or list of int
    device : str, optional
        "cpu", "cuda" or "mps"; by default "cuda" if it is there, else "cpu".
    n_jobs : int, optional
        Processes. By default all cores when the sweep is long enough to gain from them.
    **choices : value or list of values
        Choices of the recipe and of the budget. Those of the recipe may be lists, whose
        product is the grid.

    Returns
    -------
    pandas.DataFrame
        A row a run and evaluation: ``batch_size``, ``learning_rate``, ``optimizer``, ``seed``
        and whatever else was given as a list, then the columns of ``train``'s history, in
        which the learning rate of the iteration before is called ``current_learning_rate``;
        ``seconds`` is the run's share of its group's time. ``status`` in a run's last row:
        "ok", "diverged", "reached" or "not reached" (the target), or "failed", with a warning
        that says why. ``replicas``: how many runs were trained together.

    Raises
    ------
    TypeError, ValueError
        An argument is unusable; the message names it, its value and the remedy.
    """
    check_every("evaluate_every", evaluate_every)
    Workload.required(workload).check()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    device_here(device)
    how = How.to_train(workload, evaluate_every, device)
    cells = list(grid_of(recipe, budget, {"seed": seed} | choices))
    for _, cell_recipe, cell_budget, number in cells:
        cell_budget.plan(cell_recipe, len(workload), workload.tokens_per_sample)
        check_target(cell_budget, workload)
        generator(number)

    costs = [estimated_seconds(how, cell_recipe, cell_budget) for _, cell_recipe, cell_budget, _ in cells]
    if n_jobs is None:  # starting processes takes seconds; the other devices are shared, not multiplied
        n_jobs = -1 if how.device == "cpu" and sum(costs) > 5 else 1
    histories: list[Any] = [None] * len(cells)
    groups = grouped(cells, costs, how, n_jobs)
    work = [joblib.delayed(train_group)(how, [cells[i][1:] for i in group], group) for group in groups]
    layout = "{l_bar}{bar}| {elapsed}, {remaining} left{postfix}"
    with bar(total=sum(costs), delay=2, bar_format=layout) as progress:
        for group, results in joblib.Parallel(n_jobs, return_as="generator_unordered", max_nbytes=None)(work):
            for i, (history, failure) in zip(group, results):
                histories[i] = history
                progress.update(min(costs[i], progress.total - progress.n))
                if failure:
                    warnings.warn(f"The run {cells[i][0]} failed: {failure}", stacklevel=2)
            progress.set_postfix_str(f"{sum(h is not None for h in histories)} of {len(cells)} runs")
    tables = [history.assign(**cell[0])[[*cell[0], *history.columns]] for cell, history in zip(cells, histories)]
    return pd.concat(tables, ignore_index=True)


@dataclass(frozen=True)
class How:
    """What all runs of a sweep have in common."""

    workload: Workload
    evaluate_every: int | None
    device: str
    dtype: torch.dtype
    kernel: type[CompiledReplicas] | None  # the compiled replicas that know the network
    products: int  # what the kernel multiplies for one sample
    kept: float | None  # bytes that a sample keeps for the backward pass; None if replicas cannot be stacked

    @classmethod
    def to_train(cls, workload: Workload, evaluate_every: int | None, device: str) -> "How":
        kernel = next((kind for kind in KERNELS if kind.network_of(workload) is not None), None)
        stackable = can_be_stacked(workload, Recipe(batch_size=1)) if kernel is None or device != "cpu" else False
        kept = saved_bytes(workload, 2) / 2 if stackable else None
        products = kernel.products(workload) if kernel else 0
        return cls(workload, evaluate_every, device, torch.get_default_dtype(), kernel, products, kept)

    def replicas(self, recipe: Recipe, budget: Budget, number: int) -> type[Replicas] | None:
        """The kind of replicas that so many runs are trained as; None if each run is trained alone."""
        if budget.seconds is not None or recipe.accumulation_steps > 1 or isinstance(recipe.batch_size, Ramp):
            return None
        if self.device == "cpu" and self.kernel:
            return self.kernel
        if self.kept is None:
            return None
        most = STACKED * (4 if hasattr(self.workload.model, "stacked") else 1)  # one product for all pays for longer
        pays = number >= FEWEST_STACKED and self.kept * recipe.batch_size <= most
        return StackedReplicas if pays or self.device != "cpu" else None


def grid_of(recipe: Recipe | None, budget: Budget | None, choices: dict) -> Iterator[tuple[dict, Recipe, Budget, int]]:
    """Every cell of a grid: its settings by name, its recipe, its budget and its seed."""
    of_recipe = {field.name for field in fields(Recipe)}
    lists = {name: values for name, values in choices.items() if name in of_recipe and name != "betas"}
    lists |= {"betas": [tuple(v) for v in choices["betas"]]} if np.ndim(choices.get("betas", 0)) == 2 else {}
    lists = {name: as_list(name, values) for name, values in lists.items()}
    seeds = as_list("seed", choices["seed"])
    others = {name: value for name, value in choices.items() if name not in lists and name != "seed"}
    columns = [*AXES, *(name for name in lists if name not in AXES and len(lists[name]) > 1)]
    for values in product(*lists.values()):
        made, limits = recipe_and_budget(others | dict(zip(lists, values)), recipe, budget)
        for seed in seeds:
            yield {name: getattr(made, name) for name in columns} | {"seed": seed}, made, limits, seed


def as_list(name: str, values) -> list:
    """A value or a list of values as a list without repeats."""
    values = [values] if isinstance(values, str) or not np.iterable(values) else list(values)
    values = [value.item() if isinstance(value, np.generic) else value for value in values]
    if not values:
        raise ValueError(f"{name} is empty, but a sweep needs at least one value of it.")
    if len(set(values)) < len(values):
        raise ValueError(f"{name} is {values}, in which a value is repeated; name each value once.")
    return values


def estimated_seconds(how: How, recipe: Recipe, budget: Budget) -> float:
    """About how long a run takes; the groups' order, their size and the progress bar go by it."""
    data = how.workload.data
    plan = budget.plan(recipe, len(data), how.workload.tokens_per_sample)
    if budget.seconds is not None:
        return budget.seconds
    planned = plan.total_iterations
    size = plan.total_samples / planned
    if how.kernel is None:
        return planned * (3e-4 + 2e-6 * size)
    evaluations = planned / (how.evaluate_every or plan.batches_per_epoch)
    evaluated = len(data.x_test) + len(data.x_validation) + TRAINING_SAMPLES
    return how.products * (6 * planned * (size + 4) + 2 * evaluations * evaluated) / 5e10


def grouped(cells: list, costs: list[float], how: How, n_jobs: int) -> list[list[int]]:
    """Runs that can be replicas of one group, in groups small enough to share out, the longest group first."""
    alike: dict[tuple[Recipe, Budget], list[int]] = {}
    for i, (_, recipe, budget, _) in enumerate(cells):
        alike.setdefault((replace(recipe, learning_rate=1.0), budget), []).append(i)
    share = max(0.2, sum(costs) / (8 * joblib.effective_n_jobs(n_jobs)))  # seconds
    groups = []
    for cell in alike.values():
        size = MOST_REPLICAS if how.device != "cpu" else max(1, int(share / costs[cell[0]]))
        size = size if how.kept is None else max(size, STACKED_TOGETHER)
        groups += [cell[start : start + size] for start in range(0, len(cell), size)]
    return sorted(groups, key=lambda group: -sum(costs[i] for i in group))


def train_group(how: How, runs: list[tuple[Recipe, Budget, int]], name=None) -> tuple:
    """Histories of a group's runs, each with None or why it failed.

    A group that fails is cut in halves and each is tried again: so a device without
    enough memory ends up with as many replicas as fit, and a run that cannot be trained
    stays alone with its failure.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(how.dtype)
    try:
        with threadpool_limits(1), warnings.catch_warnings():  # processes of one thread are faster than many threads
            warnings.filterwarnings("ignore", "There is a performance drop")  # of layers that vmap takes one by one
            kind = how.replicas(*runs[0][:2], len(runs))
            histories = train_replicas(kind, how, runs) if kind else [train_alone(how, *run) for run in runs]
            return name, [(history, None) for history in histories]
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
    finally:
        torch.set_default_dtype(before)
    if len(runs) == 1:
        return name, [(pd.DataFrame([{"iteration": 0, "status": "failed", "replicas": 1}]), failure)]
    if how.device == "cuda":
        torch.cuda.empty_cache()
    half = len(runs) // 2
    return name, [result for part in (runs[:half], runs[half:]) for result in train_group(how, part)[1]]


def train_alone(how: How, recipe: Recipe, budget: Budget, seed: int) -> pd.DataFrame:
    """A run by ``train``."""
    every, device = how.evaluate_every, how.device
    history, _ = train(how.workload, recipe, budget, seed=seed, evaluate_every=every, device=device)
    return history.rename(columns={"learning_rate": "current_learning_rate"}).assign(replicas=1)


def train_replicas(kind: type[Replicas], how: How, runs: list[tuple[Recipe, Budget, int]]) -> list[pd.DataFrame]:
    """All runs together; they differ in learning rate and seed only. This is ``train``, for many."""
    recipe, budget, _ = runs[0]
    group = Group(how, runs)
    replicas = kind(how.workload, recipe, [seed for _, _, seed in runs], how.device)
    while True:
        started = time.perf_counter()
        losses = replicas.mean_losses()
        group.seconds += (time.perf_counter() - started) / len(group.active)
        group.add(losses, replicas.evaluate())
        going_on = [i for i, r in enumerate(group.active) if group.rows[r][-1]["status"] == "ok"]
        if group.iteration == group.plan.total_iterations or not going_on:
            return group.histories()
        if len(going_on) < len(group.active):
            replicas.keep(going_on)
            group.active = [group.active[i] for i in going_on]

        started = time.perf_counter()
        for stretch in group.to_the_next_evaluation():
            replicas.advance(*stretch)
        group.seconds += (time.perf_counter() - started) / len(group.active)


class Group:
    """Where a group of runs stands, and its histories."""

    def __init__(self, how: How, runs: list[tuple[Recipe, Budget, int]]):
        self.how, self.runs, (self.recipe, self.budget, _) = how, runs, runs[0]
        plan = self.budget.plan(self.recipe, len(how.workload), how.workload.tokens_per_sample)
        assert isinstance(plan, TrainingPlan)  # runs whose batch size changes are trained alone
        self.plan = plan
        self.every = how.evaluate_every or self.plan.iterations_per_epoch
        self.rates = np.array([recipe.learning_rate for recipe, _, _ in runs])
        self.rows: list[list[dict]] = [[] for _ in runs]
        self.active = list(range(len(runs)))
        self.iteration, self.seconds, self.factor = 0, 0.0, 1.0

    def to_the_next_evaluation(self) -> Iterator[tuple]:
        """What replicas need to advance, a stretch within one epoch at a time."""
        recipe, per_epoch, end = self.recipe, self.plan.iterations_per_epoch, self.plan.total_iterations
        batch_size = self.plan.batch_size
        seeds = sorted({self.runs[r][2] for r in self.active})
        which = np.array([seeds.index(self.runs[r][2]) for r in self.active])
        evaluate_at = min(end, (self.iteration // self.every + 1) * self.every)
        while self.iteration < evaluate_at:
            epoch, first = divmod(self.iteration, per_epoch)
            count = min(evaluate_at - self.iteration, per_epoch - first)
            kept = min(per_epoch * batch_size, len(self.how.workload))
            batches = slice(first * batch_size, min((first + count) * batch_size, kept))
            sampling = (epoch, recipe.shuffle, recipe.replacement)
            orders = np.stack([epoch_order(len(self.how.workload), seed, *sampling)[batches] for seed in seeds])
            factors = [recipe.factor(i, end) for i in range(self.iteration, self.iteration + count)]

            def rngs(order, batch, seeds=seeds, epoch=epoch, first=first):
                return generator(seeds[order], AUGMENTATION, epoch, first + batch, 0)

            yield orders, which, batch_size, np.outer(self.rates[self.active], factors), rngs
            self.iteration, self.factor = self.iteration + count, factors[-1]

    def add(self, losses: np.ndarray, evaluations: list[dict]):
        """A row of the history of every run that is still trained."""
        samples = self.plan.samples_after(self.iteration)
        tokens = self.how.workload.tokens_per_sample
        counted = {
            "iteration": self.iteration,
            "epoch": self.iteration / self.plan.iterations_per_epoch,
            "batches": self.iteration,
            "samples": samples,
            **({"tokens": samples * tokens} if tokens else {}),
            "seconds": self.seconds,
        }
        for r, loss, evaluated in zip(self.active, losses, evaluations):
            moved = {"current_learning_rate": self.rates[r] * self.factor, "batch_loss": loss}
            end = {"status": status(evaluated, self.budget), "replicas": len(self.runs)}
            self.rows[r].append(counted | moved | evaluated | end)

    def histories(self) -> list[pd.DataFrame]:
        """A table for each run."""
        for rows in self.rows:
            if self.budget.target is not None and rows[-1]["status"] == "ok":
                rows[-1]["status"] = "not reached"
        return [pd.DataFrame(rows) for rows in self.rows]
