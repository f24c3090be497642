"""BatchNorm and batch size: the batch that the statistics come from is not the batch of the iteration."""

import pandas as pd
import torch
from torch import nn

from lib.data import mnist1d
from lib.experiments.generalization import scored
from lib.experiments.runs import ends
from lib.experiments.search import RULES, tuned_along
from lib.workload import Workload, classification

NUM_SAMPLES, NUM_VALIDATION = 2_048, 2_000
EPOCHS, GUESS = 10, 1.0


class GhostBatchNorm(nn.BatchNorm1d):
    """BatchNorm whose mean and variance come from ``size`` samples at a time (Hoffer et al. 2017, arXiv:1705.08741).

    In training a batch of shape (samples, features) is cut into groups of ``size`` samples, and
    each is normalized by its own statistics; a batch that cannot be cut so is one group.
    """

    def __init__(self, num_features: int, size: int):
        super().__init__(num_features)
        self.size = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x)
        groups = x.unflatten(0, (-1, self.size if len(x) % self.size == 0 else len(x)))
        mean, variance = groups.mean(1, keepdim=True), groups.var(1, keepdim=True, unbiased=False)
        with torch.no_grad():
            unbiased = groups.var(1).mean(0)
            for running, now in ((self.running_mean, mean.mean((0, 1))), (self.running_var, unbiased)):
                running.mul_(1 - self.momentum).add_(self.momentum * now)
        normalized = (groups - mean) / (variance + self.eps).sqrt()
        return normalized.flatten(0, 1) * self.weight + self.bias


def network(size: int) -> nn.Sequential:
    """The course's network with BatchNorm over groups of ``size`` samples before each ReLU; 0 for none."""

    def norm() -> list[nn.Module]:
        return [GhostBatchNorm(100, size)] if size else []

    first = [nn.Linear(40, 100), *norm(), nn.ReLU()]
    return nn.Sequential(*first, nn.Linear(100, 100), *norm(), nn.ReLU(), nn.Linear(100, 10))


def workload(size: int) -> Workload:
    """The network on few samples, so many that all batches are whole."""
    return classification(network(size), mnist1d(4_000, 8_500).first(NUM_SAMPLES).hold_out(NUM_VALIDATION))


def ghosts(batch_size: int, sizes: list[int], seeds: list[int], fresh_seeds: list[int]) -> dict[str, pd.DataFrame]:
    """Test accuracy against the number of samples that BatchNorm's statistics come from, all else equal.

    Every run makes the same iterations of ``batch_size`` samples; a cosine schedule whose highest
    learning rate is tuned for each of ``sizes``, on validation samples with ``seeds``.

    Returns
    -------
    dict with the tables
        ``runs``: a row a rule, ``size`` and fresh seed, with ``test_accuracy``.
        ``grid``: a row a ``size``, learning rate and seed that was tried.
    """
    tables, grids = [], []
    how = {"batch_size": batch_size, "epochs": EPOCHS, "schedule": "cosine"}

    def runs_at(size, learning_rates, seeds=seeds):
        return scored(ends(workload(size), learning_rate=learning_rates, seed=seeds, **how))

    for size, found in tuned_along(sorted(sizes), runs_at, GUESS, lambda ratio: 1.0, rules=RULES):
        grids.append(found.grid.assign(size=size))
        fresh = runs_at(size, sorted(set(found.rates.values())), fresh_seeds)
        tables += [
            fresh[fresh["learning_rate"] == rate].assign(size=size, rule=rule) for rule, rate in found.rates.items()
        ]
    columns = ["size", "learning_rate", "seed"]
    return {
        "runs": pd.concat(tables, ignore_index=True)[["rule", *columns, "train_loss", "test_accuracy"]],
        "grid": pd.concat(grids, ignore_index=True)[[*columns, "validation_accuracy"]],
    }
