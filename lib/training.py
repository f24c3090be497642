"""One training run, as a loop that can be read line by line.

The loop counts its own batches, iterations and samples. ``lib.plan.TrainingPlan``
predicts the same numbers without running anything.
"""

import math
import os
import time
from bisect import bisect_left
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from lib import accumulation
from lib.checkpoint import Checkpoints
from lib.data import Dataset
from lib.models import initialized
from lib.plan import TrainingPlan
from lib.sampling import epoch_order

OPTIMIZERS = {
    "sgd": torch.optim.SGD,
    "momentum": lambda parameters, lr: torch.optim.SGD(parameters, lr, momentum=0.9),
    "adam": torch.optim.Adam,
}
SCHEDULES = ("constant", "cosine")


def train(
    model: nn.Module,
    data: Dataset,
    batch_size: int,
    *,
    learning_rate: float = 0.1,
    optimizer: str = "sgd",
    schedule: str = "constant",
    warmup: int = 0,
    epochs: int | None = None,
    iterations: int | None = None,
    samples: int | None = None,
    seconds: float | None = None,
    seed: int = 0,
    shuffle: bool = True,
    replacement: bool = False,
    drop_last: bool = False,
    evaluate_every: int | None = None,
    accumulation_steps: int = 1,
    tail: str = "flush",
    checkpoint: str | Path | None = None,
    checkpoint_every: int | None = None,
    device: str | None = None,
    devices: "OneDevice | None" = None,
) -> tuple[pd.DataFrame, nn.Module]:
    """Train a fresh copy of ``model``; return its history and the trained copy.

    Parameters
    ----------
    model : torch.nn.Module
        The architecture. Its own weights are neither used nor changed: the run starts
        from ``lib.models.initialized(model, seed)``, in PyTorch's default dtype.
    data : lib.data.Dataset
        Training and test samples; they stay on the device for the whole run.
    batch_size : int
        Samples of one batch, B.
    learning_rate : float
        The highest learning rate of the run.
    optimizer : {"sgd", "momentum", "adam"}
        ``torch.optim.SGD``, the same with momentum 0.9, or ``torch.optim.Adam``.
    schedule : {"constant", "cosine"}
        The learning rate after the warm-up: constant, or down to zero along half a
        cosine.
    warmup : int
        Iterations in which the learning rate climbs linearly to ``learning_rate``.
    epochs, iterations, samples, seconds : number
        The budget: give exactly one. ``samples`` and ``seconds`` end the run after the
        first iteration that reaches them. Evaluation costs no seconds of the budget.
    seed : int
        Determines the initial weights and the order of samples.
    shuffle, replacement, drop_last : bool
        See ``lib.sampling``.
    evaluate_every : int, optional
        Iterations between evaluations; by default there is one after each epoch. The
        run is always evaluated before its first iteration and after its last one.
    accumulation_steps : int
        Micro-batches of ``batch_size`` samples that make one iteration, A.
    tail : {"flush", "flush-fixed", "carry", "drop"}
        What becomes of micro-batches left over at the end of an epoch; see
        ``lib.accumulation.schedule``.
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

    Returns
    -------
    history : pandas.DataFrame
        One row an evaluation. What had been counted by then: ``iteration``, ``epoch``
        (a fraction inside an epoch), ``batches`` (of each device), ``samples`` (in the
        iterations, of all devices), ``seconds`` (without evaluation). ``learning_rate`` of
        the iteration before. ``batch_loss``: mean over the samples of the batches since the
        previous row, taken while the weights moved. ``train_loss`` (of the first 1,000
        training samples), ``test_loss`` and ``test_accuracy``: all at the weights of this
        row, each sample weighing the same. ``status``: "ok", or "diverged" in the last row of a run that ended
        because a loss was infinite or not a number.
    model : torch.nn.Module
        The trained copy.

    Raises
    ------
    TypeError, ValueError
        An argument is unusable; the message names it, its value and the remedy.
    """
    choices = {
        name: value
        for name, value in locals().items()
        if name not in ("model", "data", "checkpoint", "checkpoint_every", "device", "devices")
    }
    devices = devices or OneDevice()
    budget = {"epochs": epochs, "iterations": iterations, "samples": samples, "seconds": seconds}
    shared = {"drop_last": drop_last, "world_size": devices.size, "pad_to_even": devices.pad_to_even}
    planned = planned_iterations(
        len(data),
        batch_size,
        budget=budget,
        accumulation_steps=accumulation_steps,
        tail=accumulation.check_tail(tail),
        **shared,
    )
    check_choices(learning_rate, optimizer, schedule, warmup, evaluate_every, planned)
    check_every("checkpoint_every", checkpoint_every)
    learning_rate = float(learning_rate)  # a NumPy number could not be read back from a checkpoint
    per_epoch = TrainingPlan(len(data), batch_size, **shared).batches_per_epoch
    most = {name: math.inf if number is None else number for name, number in budget.items()}
    clock = time.perf_counter

    device = torch.device(device or fastest_device())
    model = initialized(model, seed).to(device)
    network = devices.network(model)
    update = OPTIMIZERS[optimizer](model.parameters(), lr=learning_rate)
    x_train, y_train, x_test, y_test = on_device(data, device, next(model.parameters()).dtype)

    rows = []
    epoch, iteration, batches, samples_seen, spent = 0.0, 0, 0, 0, 0.0
    losses, sizes = [], []  # of the batches since the last evaluation
    if checkpoint:
        checkpoint_every = checkpoint_every or max(1, per_epoch // accumulation_steps)
        checkpoints = Checkpoints(
            checkpoint,
            choices | shared | {"model": model, "data": data.checksum(), "dtype": x_train.dtype, "device": device.type},
        )
        if saved := checkpoints.load(model, update):
            rows, iteration, batches, samples_seen, losses, sizes, spent = saved
            epoch = batches / per_epoch
    progress = tqdm(total=planned, unit=" iterations", delay=2, leave=False, disable="TQDM_DISABLE" in os.environ)
    started = clock() - spent

    def evaluate() -> bool:
        """Add a row to the history; say whether every loss in it is a number."""
        nonlocal started
        batch_loss = math.nan
        if losses:
            weights = torch.tensor(sizes, device=device) / sum(sizes)
            batch_loss = devices.mean((torch.stack(losses) * weights).sum()).item()  # waits, so the clock is right
            losses.clear(), sizes.clear()
        paused = clock()
        train_loss, _ = devices.mean_loss(model, x_train[:1000], y_train[:1000])
        test_loss, test_accuracy = devices.mean_loss(model, x_test, y_test)
        finite = math.isfinite(train_loss) and math.isfinite(test_loss)
        rows.append(
            {
                "iteration": iteration,
                "epoch": epoch,
                "batches": batches,
                "samples": samples_seen,
                "seconds": paused - started,
                "learning_rate": update.param_groups[0]["lr"],
                "batch_loss": batch_loss,
                "train_loss": train_loss,
                "test_loss": test_loss,
                "test_accuracy": test_accuracy,
                "status": "ok" if finite else "diverged",
            }
        )
        progress.update(iteration - progress.n)
        started += clock() - paused
        return finite

    def finished() -> bool:
        return (
            epoch >= most["epochs"]
            or iteration >= most["iterations"]
            or samples_seen >= most["samples"]
            or clock() - started >= most["seconds"]
        )

    finite = bool(rows) or evaluate()
    while finite and not finished():
        order = devices.share(epoch_order(len(data), seed, batches // per_epoch, shuffle, replacement))
        order = torch.from_numpy(order).to(device)
        x_epoch, y_epoch = x_train[order].split(batch_size), y_train[order].split(batch_size)
        steps = accumulation.schedule(
            [len(x) for x in x_epoch[:per_epoch]], accumulation_steps, tail, batches // per_epoch
        )
        done = batches % per_epoch  # more than 0 if the run goes on from a checkpoint
        for x, y, step in zip(x_epoch[done:], y_epoch[done:], steps[done:]):
            if step.begins:
                update.zero_grad()
                together = 0
            with nullcontext() if step.ends else devices.no_sync(network):  # devices meet once an iteration
                loss = F.cross_entropy(network(x), y)
                (loss if accumulation_steps == 1 else loss * step.factor).backward()
            batches += 1
            together += devices.size * len(x)
            if step.ends:
                update.param_groups[0]["lr"] = learning_rate * schedule_factor(iteration, schedule, warmup, planned)
                update.step()
                iteration += 1
                samples_seen += together

            epoch = batches / per_epoch
            losses.append(loss.detach())
            sizes.append(len(x))
            if (step.ends and iteration % evaluate_every == 0) if evaluate_every else batches % per_epoch == 0:
                finite = evaluate()
            if checkpoint and step.ends and iteration % checkpoint_every == 0 and devices.rank == 0:
                checkpoints.save(
                    model, update, (rows, iteration, batches, samples_seen, losses, sizes, clock() - started)
                )
            if not finite or finished():
                break
    if rows[-1]["batches"] != batches:
        evaluate()
    progress.close()
    return pd.DataFrame(rows), model


class OneDevice:
    """What a run asks of its devices, where there is only one. ``lib.distributed.Devices`` answers for several."""

    rank, size, pad_to_even = 0, 1, True

    def share(self, order: np.ndarray) -> np.ndarray:
        """The part of an epoch's order that this device visits."""
        return order

    def network(self, model: nn.Module) -> nn.Module:
        """The model, with gradients that are averaged over the devices."""
        return model

    def no_sync(self, network: nn.Module):
        """A context in which gradients are added up here and not averaged yet."""
        return nullcontext()

    def mean(self, number: torch.Tensor) -> torch.Tensor:
        """The mean of a number that every device has one of."""
        return number

    def mean_loss(self, model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
        """Loss and accuracy over all samples, each counted once; the same on every device."""
        return mean_loss(model, x, y)


def mean_loss(model: nn.Module, x: torch.Tensor, y: torch.Tensor, chunk: int = 1000) -> tuple[float, float]:
    """Cross-entropy and accuracy over all samples of ``x``, each weighing the same.

    Only ``chunk`` samples are in memory at once. Sums are divided once, at the end: a
    mean of the chunks' means would give the samples of a smaller last chunk more weight.
    """
    loss, correct = 0.0, 0
    training = model.training
    model.eval()
    with torch.no_grad():
        for x_chunk, y_chunk in zip(x.split(chunk), y.split(chunk)):
            outputs = model(x_chunk)
            loss += F.cross_entropy(outputs, y_chunk, reduction="sum").item()
            correct += (outputs.argmax(1) == y_chunk).sum().item()
    model.train(training)
    return loss / len(x), correct / len(x)


def schedule_factor(iteration: int, schedule: str, warmup: int, planned: int | None) -> float:
    """What the learning rate of an iteration (counted from 0) is multiplied with."""
    if iteration < warmup:
        return (iteration + 1) / warmup
    if schedule == "constant":
        return 1.0
    return (1 + math.cos(math.pi * (iteration - warmup) / (planned - warmup))) / 2


def planned_iterations(num_samples: int, batch_size: int, drop_last: bool, budget: dict, **choices) -> int | None:
    """Iterations of a run with this budget; None when the budget is in seconds.

    ``choices`` are further fields of ``lib.plan.TrainingPlan``.
    """
    given = {name: number for name, number in budget.items() if number is not None}
    if len(given) != 1:
        raise ValueError(
            f"The budget is {given or 'missing'}; give exactly one of epochs, iterations, samples, seconds."
        )
    ((name, number),) = given.items()
    fields = {"num_samples": num_samples, "batch_size": batch_size, "drop_last": drop_last} | choices
    if name == "epochs":
        return TrainingPlan(epochs=number, **fields).total_iterations
    if name == "iterations":
        return TrainingPlan.for_iterations(number, **fields).total_iterations
    block = TrainingPlan(epochs=choices.get("accumulation_steps", 1), **fields)  # no micro-batch is carried beyond it
    if name == "seconds":
        if not number > 0:
            raise ValueError(f"seconds is {number}, but it must be more than 0.")
        if block.world_size > 1:
            raise ValueError(
                f"seconds is {number}, but {block.world_size} devices have no common clock; give epochs, "
                f"iterations or samples."
            )
        return None
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError(f"samples is {number!r}, but it must be a whole number of at least 1.")
    plan = replace(block, epochs=block.epochs * math.ceil(number / block.total_samples))
    return bisect_left(range(plan.total_iterations + 1), number, key=plan.samples_after)


def check_choices(
    learning_rate: float, optimizer: str, schedule: str, warmup: int, evaluate_every: int | None, planned: int | None
):
    """Refuse an unusable choice with one sentence."""
    if not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate is {learning_rate}, but it must be more than 0 and finite.")
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer is {optimizer!r}, but it must be one of {', '.join(map(repr, OPTIMIZERS))}.")
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule is {schedule!r}, but it must be one of {', '.join(map(repr, SCHEDULES))}.")
    if isinstance(warmup, bool) or not isinstance(warmup, int) or warmup < 0:
        raise ValueError(f"warmup is {warmup!r}, but it must be a whole number of iterations, 0 for none.")
    if schedule != "constant" and planned is None:
        raise ValueError(
            f"schedule is {schedule!r}, which must know its last iteration, but the budget is in seconds; "
            f"give epochs, iterations or samples."
        )
    if planned is not None and warmup >= planned:
        raise ValueError(f"warmup is {warmup} iterations, but the whole run has {planned}; use a shorter warm-up.")
    check_every("evaluate_every", evaluate_every)


def check_every(name: str, iterations: int | None):
    """Refuse an interval that is not a whole number of iterations."""
    if iterations is not None and (isinstance(iterations, bool) or not isinstance(iterations, int) or iterations < 1):
        raise ValueError(
            f"{name} is {iterations!r}, but it must be a whole number of iterations, or None for once an epoch."
        )


def fastest_device() -> str:
    """ "cuda", "mps" or "cpu"; MPS only for float32, the only one of the two precisions it has."""
    if torch.cuda.is_available():
        return "cuda"
    if torch.backends.mps.is_available() and torch.get_default_dtype() == torch.float32:
        return "mps"
    return "cpu"


def on_device(data: Dataset, device: torch.device, dtype: torch.dtype) -> list[torch.Tensor]:
    """``x_train, y_train, x_test, y_test`` of a dataset as tensors on a device."""
    return [
        torch.from_numpy(array).to(device, dtype if array.dtype.kind == "f" else None)
        for array in (data.x_train, data.y_train, data.x_test, data.y_test)
    ]
