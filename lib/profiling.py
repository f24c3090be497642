"""Time and memory of an iteration against batch size, on the machine at hand."""

import math
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.benchmark import Timer

from lib.checks import whole_number
from lib.devices import device_here
from lib.models import initialized
from lib.recipe import Recipe
from lib.workload import Workload


def machine() -> dict:
    """Names and numbers that a measured time belongs to: processor, cores, threads, PyTorch, GPU (None without one)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": _cpu_model(),
        "cores": cores,
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def iteration(
    workload: Workload, recipe: Recipe, device: str | None = None
) -> tuple[Callable[[], None], nn.Module, torch.optim.Optimizer]:
    """One iteration of ``lib.training.train`` as a function, with the model and the optimizer that it uses.

    It trains a fresh copy of the workload's model on the first ``recipe.batch_size`` training
    samples, which are on the device already, with a learning rate of zero: the same work, but
    the weights stay, so that what is measured does not depend on how often.
    """
    batch_size = whole_number("batch_size", recipe.batch_size, at_least=1, at_most=len(workload))
    here = device_here(device)
    model = initialized(workload.model, seed=0).to(here)
    optimizer = recipe.make_optimizer(model.parameters())
    optimizer.param_groups[0]["lr"] = 0.0
    x, y = (part[:batch_size].clone() for part in workload.on(here, next(model.parameters()).dtype)["train"])

    def step():
        optimizer.zero_grad()
        workload.loss(model(x), y).backward()
        optimizer.step()

    return step, model, optimizer


def seconds_per_call(step: Callable[[], None], min_seconds: float = 0.2, num_threads: int = 1) -> list[float]:
    """Seconds of one call, measured several times: warmed up, synchronized where there is a GPU. Take the median."""
    for _ in range(2):  # the first calls allocate memory and choose kernels
        step()
    timer = Timer("step()", globals={"step": step}, num_threads=num_threads)
    return timer.blocked_autorange(min_run_time=min_seconds).times


def throughput(
    workload: Workload,
    batch_sizes: list[int],
    optimizer: str = "sgd",
    device: str | None = None,
    rounds: int = 3,
    min_seconds: float = 0.1,
    num_threads: int = 1,
) -> pd.DataFrame:
    """Time of an iteration against batch size.

    All batch sizes are measured in turn, ``rounds`` times, so that a slow moment of the
    machine does not fall on one of them alone; a median is taken over all of it. Making
    the batches (shuffling, copying) and evaluation are not included.

    Parameters
    ----------
    min_seconds : float
        Time for each batch size in each round.
    num_threads : int
        Threads within an operation on the CPU. Two or more wait for each other, which
        costs more than it brings at small sizes, and very much where the cores are busy.

    Returns
    -------
    pandas.DataFrame
        A row a batch size: ``batch_size``, ``seconds_per_iteration``, ``spread`` (interquartile
        range over the median), ``samples_per_second``, ``seconds_per_epoch`` (a smaller last
        batch costing its share).
    """
    recipes = [Recipe(size, optimizer=optimizer) for size in sorted(batch_sizes)]
    steps = {recipe.batch_size: iteration(workload, recipe, device)[0] for recipe in recipes}
    times: dict[Any, list[float]] = {batch_size: [] for batch_size in steps}
    for _ in range(rounds):
        for batch_size, step in steps.items():
            times[batch_size] += seconds_per_call(step, min_seconds, num_threads)
    rows = []
    for batch_size, measured in times.items():
        quarter, seconds, three_quarters = np.quantile(measured, [0.25, 0.5, 0.75])
        rows.append(
            {
                "batch_size": batch_size,
                "seconds_per_iteration": seconds,
                "spread": (three_quarters - quarter) / seconds,
                "samples_per_second": batch_size / seconds,
                "seconds_per_epoch": seconds * len(workload) / batch_size,
            }
        )
    return pd.DataFrame(rows)


def saturation(table: pd.DataFrame, gain: float = 0.1) -> int | None:
    """The largest measured batch size at which doubling still raises samples per second by at least ``gain``.

    Between measured batch sizes the gain is spread evenly over the doublings. None where
    it is that much up to the last batch size: larger ones must be measured to find it.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`throughput`, or any with ``batch_size`` and ``samples_per_second``.
    """
    table = table.sort_values("batch_size")
    sizes, speeds = table["batch_size"].tolist(), table["samples_per_second"].tolist()
    pays = [
        (after / before) ** (1 / math.log2(larger / size)) >= 1 + gain
        for size, larger, before, after in zip(sizes, sizes[1:], speeds, speeds[1:])
    ]
    if not any(pays):
        raise ValueError(
            f"Doubling raises samples per second by less than {gain:.0%} already at batch size "
            f"{sizes[0]}; measure smaller batch sizes too."
        )
    return None if pays[-1] else sizes[max(i for i, each in enumerate(pays) if each)]


def saved_bytes(workload: Workload, batch_size: int, model: nn.Module | None = None) -> int:
    """Bytes that a forward pass with its loss keeps for the backward pass: exact, the same on every machine.

    Counts each piece of memory once, with inputs and targets, without parameters (see
    ``torch.autograd.graph.saved_tensors_hooks``). A real peak is higher by the gradients
    and by what single operations need for a moment.

    Parameters
    ----------
    model : torch.nn.Module, optional
        The copy to try; by default a fresh one on the CPU, in PyTorch's default dtype.
    """
    model = model or initialized(workload.model, 0)
    parameter = next(model.parameters())
    x, y = _zeros(workload, batch_size, parameter)
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters and tensor.dim() > 0:  # not the loss's one number, its total weight
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = workload.loss(model(x), y)
    del loss  # not before: it holds what was kept, and freed memory would be used and counted again
    return sum(kept.values())


def _zeros(workload: Workload, batch_size: int, like: torch.Tensor) -> list[torch.Tensor]:
    """Inputs and targets of the workload's shapes, all zero."""
    one = [part[:1] for part in workload.on(like.device, like.dtype)["train"]]
    return [torch.zeros_like(part.expand(batch_size, *part.shape[1:])) for part in one]


def memory(
    workload: Workload, batch_sizes: list[int], optimizer: str = "sgd", device: str | None = None
) -> pd.DataFrame:
    """Memory of an iteration against batch size, in bytes.

    Returns
    -------
    pandas.DataFrame
        A row a batch size: ``batch_size``; ``activations`` (:func:`saved_bytes`); ``parameters``,
        ``gradients``, ``optimizer_state``; ``peak``: on CUDA the most that was allocated at once
        beyond what was there before the model, elsewhere missing, because PyTorch does not
        count it.
    """
    here = device_here(device)
    return pd.DataFrame([_memory_of(workload, Recipe(size, optimizer=optimizer), here) for size in batch_sizes])


def _memory_of(workload: Workload, recipe: Recipe, device: torch.device) -> dict:
    batch_size = whole_number("batch_size", recipe.batch_size, at_least=1)
    cuda = device.type == "cuda"
    before = torch.cuda.memory_allocated(device) if cuda else 0
    step, model, optimizer = iteration(workload, recipe, str(device))
    step()  # makes the gradients and the optimizer's state
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    step()
    peak = torch.cuda.max_memory_allocated(device) - before if cuda else math.nan
    parameters = list(model.parameters())
    state = [value for each in optimizer.state.values() for value in each.values() if torch.is_tensor(value)]
    return {
        "batch_size": batch_size,
        "activations": saved_bytes(workload, batch_size, model),
        "parameters": sum(p.nbytes for p in parameters),
        "gradients": sum(p.grad.nbytes for p in parameters if p.grad is not None),
        "optimizer_state": sum(value.nbytes for value in state),
        "peak": peak,
    }


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
