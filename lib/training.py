"""One training run, as a loop that can be read aloud.

The loop counts its own batches, iterations and samples. ``lib.plan.TrainingPlan``
predicts the same numbers without running anything.
"""

import math
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from torch import nn

from lib import accumulation
from lib.checkpoint import Saver
from lib.devices import Clock, OneDevice, device_here
from lib.evaluation import TRAINING_SAMPLES, History, check_target
from lib.models import initialized
from lib.ramps import RampedPlan
from lib.recipe import ENDLESS, Budget, Recipe, recipe_and_budget
from lib.sampling import AUGMENTATION, epoch_order, generator
from lib.workload import Workload

PROGRESS = ("iteration", "batches", "samples", "losses", "sizes", "status")


def train(
    workload: Workload,
    recipe: Recipe | None = None,
    budget: Budget | None = None,
    *,
    seed: int = 0,
    evaluate_every: int | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int | None = None,
    device: str | None = None,
    devices: OneDevice | None = None,
    **choices,
) -> tuple[pd.DataFrame, nn.Module]:
    """Train a fresh copy of a workload's model; return its history and the trained copy.

    Parameters
    ----------
    workload : lib.workload.Workload
        What is trained; its samples stay on the device for the whole run.
    recipe : lib.recipe.Recipe, optional
        How it is trained.
    budget : lib.recipe.Budget, optional
        How long.
    seed : int
        Determines the initial weights and the order of samples. Not what a model draws by itself, as dropout does:
        call ``torch.manual_seed`` first if that is to be the same again.
    evaluate_every : int, optional
        Iterations between evaluations; by default there is one after each epoch. The
        run is always evaluated before its first iteration and after its last one.
    checkpoint : str or pathlib.Path, optional
        File to go on from if it exists, and to write checkpoints to. A run that was
        killed and started again takes the same batches and, on the CPU, reaches the same
        weights to the last bit. See ``lib.checkpoint``.
    checkpoint_every : int, optional
        Iterations between checkpoints; by default about one epoch's.
    device : str, optional
        "cpu", "cuda" or "mps"; by default the fastest one that is there.
    devices : lib.distributed.Devices, optional
        The processes that share this run, each of which makes this call; by default this
        one process is alone.
    **choices
        Single choices of the recipe and the budget, as in ``batch_size=500, epochs=3``.

    Returns
    -------
    history : pandas.DataFrame
        One row an evaluation. What had been counted by then: ``iteration``, ``epoch``
        (a fraction inside an epoch), ``batches`` (of each device), ``samples`` (in the
        iterations, of all devices), ``tokens`` where there are any, ``seconds`` (of finished
        work, without evaluation). ``learning_rate`` of the iteration before. ``batch_loss``:
        mean over the units of the batches since the previous row, taken while the weights
        moved. ``train_loss`` (of the first 1,000 training samples), ``validation_loss`` and
        ``test_loss`` with their accuracies, as far as there are such samples: all at the
        weights of this row, each unit weighing the same. ``status``: "ok", or in the last
        row "diverged" (a loss was infinite or not a number), "reached" or "not reached" (the
        budget's target).
    model : torch.nn.Module
        The trained copy.

    Raises
    ------
    TypeError, ValueError
        An argument is unusable; the message names it, its value and the remedy.
    """
    recipe, budget = recipe_and_budget(choices, recipe, budget)
    Workload.required(workload).check()
    run = Run(workload, recipe, budget, seed, device, devices or OneDevice())
    history = History(run, evaluate_every)
    saver = Saver(run, history, checkpoint, checkpoint_every)
    if not saver.load():
        history.add(run)

    for batch in run.micro_batches():
        if batch.begins:
            run.optimizer.zero_grad()
        with run.alone_until(batch.ends):
            loss = workload.loss(run.network(batch.inputs), batch.targets)
            (loss * batch.factor).backward()
        if batch.ends:
            run.set_learning_rate()
            run.optimizer.step()
        run.count(batch, loss)
        if history.due(run):
            history.add(run)
        if saver.due():
            saver.save()

    return history.close(run), run.model


class Batch(NamedTuple):
    """A micro-batch: its samples, and what it does.

    It ``begins`` an iteration, adds ``factor`` times its mean loss, ``ends`` the iteration.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    units: int
    begins: bool
    factor: float
    ends: bool


class Run:
    """What a run is made of, where it stands, and what comes next.

    Attributes
    ----------
    plan : lib.plan.TrainingPlan
        All that the run will count.
    model, network : torch.nn.Module
        The copy that is trained, and how it is called: the same, or the same on several devices.
    optimizer : torch.optim.Optimizer
    iteration, batches, samples : int
        Counted so far: updates, batches of this device, samples of all devices in the updates.
    status : str
        "ok" as long as the run goes on.
    """

    def __init__(
        self, workload: Workload, recipe: Recipe, budget: Budget, seed: int, device: str | None, devices: OneDevice
    ):
        self.workload, self.recipe, self.budget, self.seed, self.devices = workload, recipe, budget, seed, devices
        shared = {"world_size": devices.size, "pad_to_even": devices.pad_to_even}
        self.plan = budget.plan(recipe, len(workload), workload.tokens_per_sample, **shared)
        self.device = device_here(device)
        self.model = initialized(workload.model, seed).to(self.device)
        self.network = devices.network(self.model)
        self.optimizer = recipe.make_optimizer(self.model.parameters())
        self.dtype = next(self.model.parameters()).dtype
        self.samples_of = workload.on(self.device, self.dtype)
        self.units = workload.num_units(torch.from_numpy(workload.data.y_train)).numpy()
        check_target(budget, workload)
        self._refuse_unequal_samples()
        self.iteration = self.batches = self.samples = 0
        self.losses: list[torch.Tensor] = []  # of the batches since the last evaluation
        self.sizes: list[int] = []
        self.together, self.at_iteration_end, self.status = 0, True, "ok"
        whole_epochs = self.plan.max_iterations is None and isinstance(self.plan.epochs, int)
        self.total_iterations = self.plan.total_iterations
        self.last_iteration = math.inf if whole_epochs else self.total_iterations  # an epoch may end after it
        self.clock = Clock(self.device)

    def _refuse_unequal_samples(self):
        """A mean over tokens needs to know how many there will be: not across epochs, and not on other devices."""
        if len(set(self.units)) > 1 and (self.recipe.tail in ("carry", "merge") or self.devices.size > 1):
            what = f"tail is {self.recipe.tail!r}" if self.devices.size == 1 else f"world_size is {self.devices.size}"
            raise ValueError(
                f"{what}, but the samples of {self.workload.data.name} differ in their number of tokens that count, "
                f"so a mean over all of them cannot be known here; use one device and tail='flush' or 'drop'."
            )

    @property
    def epoch(self) -> float:
        """Passes of the sampler so far."""
        epoch, done = self.plan.place(self.batches)
        return epoch + done / len(self.batch_sizes(epoch)) if done else float(epoch)

    def batch_sizes(self, epoch: int) -> list[int]:
        """Samples of each batch of an epoch on this device."""
        if isinstance(self.plan, RampedPlan):
            return self.plan.sizes(epoch)
        batches = self.plan.batches_per_epoch
        return [self.plan.batch_size] * (batches - 1) + [self.plan.last_batch_size]

    @property
    def num_iterations(self) -> int | None:
        """Iterations of the whole run; None if a clock ends it."""
        return None if self.plan.epochs == ENDLESS else self.plan.total_iterations

    def finished(self) -> bool:
        """Whether the budget is spent, or an evaluation has ended the run."""
        if self.budget.seconds is not None and self.clock.seconds() >= self.budget.seconds:
            return True
        if self.status != "ok" or self.iteration >= self.last_iteration:
            return True
        return self.plan.epochs is not None and self.plan.place(self.batches)[0] >= self.plan.epochs

    def micro_batches(self) -> Iterator[Batch]:
        """The batches of this device, from where the run stands to its end."""
        x, y = self.samples_of["train"]
        while not self.finished():
            epoch, done = self.plan.place(self.batches)  # done > 0: it goes on from a checkpoint
            for number, (rows, units, step) in enumerate(self.epoch_batches(epoch)):
                if number < done:
                    continue
                here = rows.to(self.device)
                inputs = x[here]
                if self.workload.augment:
                    inputs = self.workload.augment(inputs, self.augmentation(epoch, number))
                yield Batch(inputs, y[here], units, *step)
                if self.finished():
                    return

    def epoch_batches(self, epoch: int) -> Iterator[tuple[torch.Tensor, int, accumulation.MicroBatch]]:
        """The samples of each batch of an epoch on this device, their units, and what the batch does."""
        recipe = self.recipe
        order = self.devices.share(
            epoch_order(len(self.workload), self.seed, epoch, recipe.shuffle, recipe.replacement)
        )
        of_epoch = self.batch_sizes(epoch)
        batches = torch.from_numpy(order)[: sum(of_epoch)].split(of_epoch)
        units = of_epoch if self.workload.units is None else [int(self.units[rows].sum()) for rows in batches]
        return zip(batches, units, accumulation.schedule(units, recipe.accumulation_steps, recipe.tail, epoch))

    def augmentation(self, epoch: int, batch: int):
        """The random numbers that change a batch's inputs; they depend on where it stands alone."""
        return generator(self.seed, AUGMENTATION, epoch, batch, self.devices.rank)

    def alone_until(self, meet: bool):
        """A context for a backward pass: the devices average their gradients once an iteration, at its end."""
        return nullcontext() if meet else self.devices.no_sync(self.network)

    def set_learning_rate(self):
        """Give the optimizer the learning rate of this iteration."""
        factor = self.recipe.factor(self.iteration, self.total_iterations)
        self.optimizer.param_groups[0]["lr"] = self.recipe.learning_rate * factor

    def count(self, batch: Batch, loss: torch.Tensor):
        """Count a batch, and an iteration if it was the last of one."""
        self.batches += 1
        self.together = (0 if batch.begins else self.together) + self.devices.size * len(batch.inputs)
        self.at_iteration_end = batch.ends
        if batch.ends:
            self.iteration += 1
            self.samples += self.together
        self.losses.append(loss.detach())
        self.sizes.append(batch.units)

    def progress(self) -> dict:
        """Where the run stands, for a checkpoint."""
        return {name: getattr(self, name) for name in PROGRESS} | {"seconds": self.clock.seconds()}

    def resume(self, progress: dict):
        """Go on from what :meth:`progress` said."""
        for name in PROGRESS:
            setattr(self, name, progress[name])
        self.clock = Clock(self.device, progress["seconds"])

    def batch_loss(self) -> float:
        """Mean loss over the units of the batches since it was last asked; NaN if there were none."""
        if not self.losses:
            return math.nan
        weights = torch.tensor(self.sizes, device=self.device) / sum(self.sizes)
        mean = self.devices.mean((torch.stack(self.losses) * weights).sum()).item()
        self.losses, self.sizes = [], []
        return mean

    def mean_loss(self, split: str) -> tuple[float, float]:
        """Loss and accuracy of a split at the present weights."""
        x, y = self.samples_of[split]
        end = TRAINING_SAMPLES if split == "train" else len(x)
        return self.devices.mean_loss(self.workload, self.model, x[:end], y[:end])
