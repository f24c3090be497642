"""What a run is at an evaluation: a row of its history."""

import math

import numpy as np
import pandas as pd
import torch
from torch import nn

from lib.checks import whole_number
from lib.progress import bar
from lib.recipe import Budget
from lib.workload import Workload

TRAINING_SAMPLES = 1000  # the first so many stand for the training set


def mean_loss(
    workload: Workload, model: nn.Module, x: torch.Tensor, y: torch.Tensor, chunk: int = 1000
) -> tuple[float, float]:
    """Loss and accuracy over all samples of ``x``, each unit weighing the same; accuracy is NaN where there is none.

    Only ``chunk`` samples are in memory at once. Sums are divided once, at the end: a
    mean of the chunks' means would give the samples of a smaller last chunk more weight.
    """
    loss, correct, number = 0.0, math.nan if workload.correct is None else 0, 0
    training = model.training
    model.eval()
    with torch.no_grad():
        for x_chunk, y_chunk in zip(x.split(chunk), y.split(chunk)):
            if units := int(workload.num_units(y_chunk).sum()):
                outputs = model(x_chunk)
                loss += workload.loss(outputs, y_chunk).item() * units
                correct += workload.correct(outputs, y_chunk).item() if workload.correct else 0
                number += units
    model.train(training)
    return (loss / number, correct / number) if number else (0.0, 0.0)


def check_target(budget: Budget, workload: Workload):
    """One sentence if the samples that a target is a loss of are not there."""
    split = budget.target_loss.removesuffix("_loss")
    if budget.target is not None and not len(workload.data.split(split)[0]):
        raise ValueError(f"target_loss is {budget.target_loss!r}, but {workload.data.name} has no such samples.")


class History:
    """The evaluations of a run, and when the next one is due.

    Parameters
    ----------
    run : lib.training.Run
    evaluate_every : int, optional
        Iterations between evaluations; by default there is one after each epoch.
    """

    def __init__(self, run, evaluate_every: int | None = None):
        self.evaluate_every = check_every("evaluate_every", evaluate_every)
        self.rows: list[dict] = []
        self.progress = bar(total=run.num_iterations, unit=" iterations", delay=2)

    def due(self, run) -> bool:
        """Whether to evaluate now: every so many iterations, or at the end of an epoch."""
        if self.evaluate_every is None:
            return run.plan.place(run.batches)[1] == 0
        return run.at_iteration_end and run.iteration % self.evaluate_every == 0

    def add(self, run):
        """Evaluate at the present weights; a loss that is no number, or the target reached, ends the run."""
        batch_loss = run.batch_loss()
        with run.clock:
            splits = {name: run.mean_loss(name) for name in run.samples_of}
            row = {"iteration": run.iteration, "epoch": run.epoch, "batches": run.batches, "samples": run.samples}
            if run.workload.tokens_per_sample:
                row["tokens"] = run.samples * run.workload.tokens_per_sample
            row |= {
                "seconds": run.clock.seconds(),
                "learning_rate": run.optimizer.param_groups[0]["lr"],
                "batch_loss": batch_loss,
                "train_loss": splits["train"][0],
            }
            for name in [name for name in splits if name != "train"]:
                row[f"{name}_loss"] = splits[name][0]
                if run.workload.correct:
                    row[f"{name}_accuracy"] = splits[name][1]
            run.status = status(row, run.budget)
            self.rows.append(row | {"status": run.status})
            self.progress.update(run.iteration - self.progress.n)

    def close(self, run) -> pd.DataFrame:
        """The history as a table, its last row at the weights that the run ended with."""
        if self.rows[-1]["batches"] != run.batches:
            self.add(run)
        self.progress.close()
        if run.budget.target is not None and self.rows[-1]["status"] == "ok":
            self.rows[-1]["status"] = "not reached"
        return pd.DataFrame(self.rows)


def status(row: dict, budget) -> str:
    """ "diverged" if a loss is no number, "reached" if the budget's target is, otherwise "ok"."""
    losses = [value for name, value in row.items() if name.endswith("_loss") and name != "batch_loss"]
    if not np.isfinite(losses).all():
        return "diverged"
    return "reached" if budget.target is not None and row[budget.target_loss] <= budget.target else "ok"


def check_every(name: str, iterations: int | None) -> int | None:
    """Refuse an interval that is not a whole number of iterations."""
    try:
        return None if iterations is None else whole_number(name, iterations, at_least=1)
    except ValueError:
        raise ValueError(
            f"{name} is {iterations!r}, but it must be a whole number of iterations, or None for once an epoch."
        ) from None
