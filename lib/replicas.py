"""Replicas: many runs of one network, advanced together.

The replicas of a group differ in their seed and their learning rate. ``StackedReplicas``
takes any network that ``torch.func.vmap`` takes, on any device: each operation is done for
all replicas at once. A model with a method ``stacked(weights, inputs)`` that does it itself,
such as ``lib.transformer.Transformer``, is asked for that instead. On the CPU ``lib.kernel_replicas`` is
faster for small networks of Linear, Conv1d and ReLU layers, and ``lib.kernel_transformer`` for that transformer.
All do what ``lib.training.train`` does.
"""

import copy
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.func import functional_call, vmap

from lib.devices import synchronize
from lib.evaluation import TRAINING_SAMPLES
from lib.models import initialized
from lib.optimizers import EPSILON, as_record, update_each
from lib.recipe import Recipe
from lib.workload import Workload

EVALUATED = 16_000  # samples (or tokens) of all replicas together that are evaluated at once
STACKED = 600_000  # bytes that a batch keeps for its backward pass, up to which a CPU gains from stacking


class Replicas:
    """Runs of one workload with one recipe, advanced together; a seed each.

    Parameters
    ----------
    workload : lib.workload.Workload
    recipe : lib.recipe.Recipe
        Its learning rate is not used: each replica is given its own for every iteration.
    seeds : list of int
    device : str
    """

    samples_of: dict[str, tuple[Any, ...]]  # tensors, or the arrays that a kernel reads
    weights: torch.Tensor
    velocity: torch.Tensor
    squares: torch.Tensor

    def __init__(self, workload: Workload, recipe: Recipe, seeds: list[int], device: str):
        self.workload, self.recipe, self.device = workload, recipe, torch.device(device)
        self.iterations = 0
        self.samples_of = workload.on(self.device, torch.get_default_dtype())
        self.losses = torch.zeros(len(seeds), dtype=torch.get_default_dtype(), device=self.device)
        self.counted = torch.zeros(len(seeds), dtype=torch.int64)

    def advance(self, orders: np.ndarray, which: np.ndarray, batch_size: int, rates: np.ndarray, rngs=None):
        """Train, an iteration for each column of ``rates``.

        Parameters
        ----------
        orders : numpy.ndarray, shape (orders, samples)
            The samples of these iterations' batches, a row for each different seed.
        which : numpy.ndarray, shape (replicas,)
            The row of ``orders`` that each replica follows.
        batch_size : int
        rates : numpy.ndarray, shape (replicas, iterations)
        rngs : callable, optional
            ``rngs(order, iteration)``: the random numbers that change a batch's inputs, for
            workloads with ``augment``; iterations are counted from the first column.
        """
        raise NotImplementedError

    def mean_loss(self, split: str) -> tuple[list[float], list[float]]:
        """Loss and accuracy of each replica on a split, each unit weighing the same."""
        raise NotImplementedError

    def evaluate(self) -> list[dict]:
        """Losses and accuracies, a row of the history each."""
        found = {name: self.mean_loss(name) for name in self.samples_of}
        replicas = range(len(self.weights))
        return [self.row({name: (losses[r], right[r]) for name, (losses, right) in found.items()}) for r in replicas]

    def keep(self, which: list[int]):
        """Go on with some of the replicas alone."""
        for name in ("weights", "velocity", "squares", "losses", "counted"):
            setattr(self, name, getattr(self, name)[which])

    def mean_losses(self) -> np.ndarray:
        """Mean loss over what was trained on since the last call, for each replica; waits for the device."""
        synchronize(self.device)
        means = self.losses.cpu().numpy().astype(float) / np.maximum(self.counted.numpy(), 1)
        means[self.counted.numpy() == 0] = math.nan
        self.losses, self.counted = torch.zeros_like(self.losses), torch.zeros_like(self.counted)
        return means

    def row(self, found: dict[str, tuple[float, float]]) -> dict:
        """Loss and accuracy of each split as columns of a history."""
        row = {"train_loss": float(found["train"][0])}
        for name in [name for name in found if name != "train"]:
            row[f"{name}_loss"] = float(found[name][0])
            if self.workload.correct:
                row[f"{name}_accuracy"] = float(found[name][1])
        return row


class StackedReplicas(Replicas):
    """Replicas of any network; all weights of a replica are one row, in the order of ``model.parameters()``."""

    def __init__(self, workload: Workload, recipe: Recipe, seeds: list[int], device: str):
        super().__init__(workload, recipe, seeds, device)
        models = [initialized(workload.model, seed) for seed in seeds]
        self.model: Any = copy.deepcopy(models[0]).to(self.device)
        self.parts = {name: p.shape for name, p in self.model.named_parameters()}
        rows = [torch.cat([p.detach().flatten() for p in model.parameters()]) for model in models]
        self.weights = torch.stack(rows).to(self.device)
        self.buffers = {
            name: torch.stack([dict(model.named_buffers())[name] for model in models]).to(self.device)
            for name in dict(self.model.named_buffers())
        }
        self.velocity, self.squares = torch.zeros_like(self.weights), torch.zeros_like(self.weights)
        self.units = workload.num_units(torch.from_numpy(workload.data.y_train))
        self.trained = torch.cat([torch.full((p.numel(),), p.requires_grad) for p in self.model.parameters()])
        self.trained = self.trained.to(self.device)
        self.optimizer = as_record(recipe)[0]

    def keep(self, which: list[int]):
        super().keep(which)
        self.buffers = {name: values[which] for name, values in self.buffers.items()}

    def named(self, weights: torch.Tensor) -> dict[str, torch.Tensor]:
        """Rows of weights, (..., weights), as the parameters of the network by their names."""
        parts = weights.split([shape.numel() for shape in self.parts.values()], dim=-1)
        return {name: part.unflatten(-1, shape) for (name, shape), part in zip(self.parts.items(), parts)}

    def each(self, function: Callable, weights: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> tuple[Any, dict]:
        """``function(outputs, targets)`` for each replica, and the buffers, changed where training changes them."""
        if hasattr(self.model, "stacked"):
            return vmap(function)(self.model.stacked(self.named(weights), x), y), self.buffers

        def of_one(weights, buffers, x, y):
            buffers = {name: values.clone() for name, values in buffers.items()}
            outputs = functional_call(self.model, (self.named(weights), buffers), (x,))
            return function(outputs, y), buffers

        return vmap(of_one)(weights, self.buffers, x, y)

    def advance(self, orders: np.ndarray, which: np.ndarray, batch_size: int, rates: np.ndarray, rngs=None):
        x, y = self.samples_of["train"]
        batches, follows = torch.from_numpy(orders), torch.from_numpy(which).to(self.device)
        steps = torch.tensor(rates, dtype=self.weights.dtype, device=self.device)
        self.model.train()

        for i, rows in enumerate(batches.split(batch_size, dim=1)):
            here = rows.to(self.device)
            inputs = x[here]
            if self.workload.augment:
                inputs = torch.stack([self.workload.augment(part, rngs(k, i)) for k, part in enumerate(inputs)])
            weights = self.weights.detach().requires_grad_()
            losses, self.buffers = self.each(self.workload.loss, weights, inputs[follows], y[here][follows])
            (gradient,) = torch.autograd.grad(losses.sum(), weights)
            units = self.units[rows].sum(1)[torch.from_numpy(which)]
            self.losses += losses.detach() * units.to(self.device)
            self.counted += units
            self.iterations += 1
            self.update(gradient, steps[:, i : i + 1])

    def update(self, gradient: torch.Tensor, rate: torch.Tensor):
        """One step of the optimizer, as in ``torch.optim``; on the CPU in one pass over the weights of each replica."""
        if self.device.type == "cpu" and self.trained.all():
            rows = (values.numpy() for values in (self.weights, gradient, self.velocity, self.squares))
            update_each(self.optimizer, self.iterations, rate[:, 0].numpy(), *rows)
            return
        recipe, (beta1, beta2) = self.recipe, self.recipe.betas
        weights = self.weights
        if recipe.optimizer == "adamw":
            weights = weights - rate * recipe.weight_decay * weights
        elif recipe.weight_decay:
            gradient = gradient + recipe.weight_decay * weights
        step = gradient
        if recipe.optimizer in ("momentum", "nesterov"):
            step = self.velocity.mul_(recipe.momentum).add_(gradient)
            step = gradient + recipe.momentum * step if recipe.optimizer == "nesterov" else step
        elif recipe.optimizer in ("adam", "adamw"):
            self.velocity.lerp_(gradient, 1 - beta1)
            self.squares.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
            correction = math.sqrt(1 - beta2**self.iterations)
            step = self.velocity / (self.squares.sqrt() / correction + EPSILON) / (1 - beta1**self.iterations)
        self.weights = torch.where(self.trained, weights - rate * step, self.weights)

    @torch.no_grad()
    def mean_loss(self, split: str) -> tuple[list[float], list[float]]:
        self.model.eval()
        workload, replicas = self.workload, len(self.weights)
        chunk = max(1, EVALUATED // (replicas * (workload.tokens_per_sample or 1)))
        x, y = self.samples_of[split]
        end = TRAINING_SAMPLES if split == "train" else len(x)
        loss: Any = 0  # a tensor, a number for each replica
        correct: Any = 0
        number = 0

        def sums_of(outputs, y):
            correct = workload.correct(outputs, y) if workload.correct else torch.full((), math.nan)
            return workload.loss(outputs, y), correct

        for x_chunk, y_chunk in zip(x[:end].split(chunk), y[:end].split(chunk)):
            if units := int(workload.num_units(y_chunk).sum()):
                same = (part.expand(replicas, *part.shape) for part in (x_chunk, y_chunk))
                (losses, right), _ = self.each(sums_of, self.weights, *same)
                loss, correct, number = loss + losses * units, correct + right, number + units
        if number == 0:
            return [0.0] * replicas, [0.0] * replicas
        return (loss / number).tolist(), (correct / number).tolist()


def can_be_stacked(workload: Workload, recipe: Recipe) -> bool:
    """Whether stacked replicas give the losses and move the weights as the network alone does: tried with two."""
    try:
        with warnings.catch_warnings(), torch.random.fork_rng():
            warnings.simplefilter("ignore")
            stacked = StackedReplicas(workload, recipe, [0, 1], "cpu")
            model = initialized(workload.model, 1)
            rows = np.arange(min(3, len(workload)))
            rng = np.random.default_rng
            stacked.advance(rows[None], np.zeros(2, int), len(rows), np.full((2, 1), 0.1), lambda *_: rng(0))
            x, y = stacked.samples_of["train"]
            inputs = workload.augment(x[rows], rng(0)) if workload.augment else x[rows]
            optimizer = recipe.make_optimizer(model.parameters())
            optimizer.param_groups[0]["lr"] = 0.1
            workload.loss(model(inputs), y[rows]).backward()
            optimizer.step()
            alone = torch.cat([p.detach().flatten() for p in model.parameters()])
            return torch.allclose(stacked.weights[1], alone, atol=1e-3) and bool(np.isfinite(alone).all())
    except (RuntimeError, ValueError, TypeError, IndexError, KeyError, NotImplementedError):
        return False
