"""Gradient accumulation: which micro-batches make one iteration, and how much each of them counts.

PyTorch adds gradients up by itself, in ``.grad``. What is left to decide is the factor
of each micro-batch's loss and what becomes of the micro-batches left over at the end of
an epoch, the tail.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

TAILS = ("flush", "flush-fixed", "carry", "merge", "drop")


class MicroBatch(NamedTuple):
    """What a micro-batch does: ``begins`` an iteration, adds ``factor`` times its mean loss, ``ends`` the iteration."""

    begins: bool
    factor: float
    ends: bool


def schedule(sizes: list[int], accumulation_steps: int, tail: str, epoch: int) -> list[MicroBatch]:
    """What each micro-batch of an epoch does.

    Within an iteration every sample weighs the same: the factor of a micro-batch's mean
    loss is its share of the iteration's samples.

    Parameters
    ----------
    sizes : list of int
        Samples (or tokens) of each micro-batch of an epoch, the same in every epoch.
    accumulation_steps : int
        Micro-batches of one full iteration, A.
    tail : {"flush", "flush-fixed", "carry", "merge", "drop"}
        What happens when A does not divide ``len(sizes)``. "flush": the rest makes an
        iteration of its own. "flush-fixed": it does, but every mean loss, there and
        elsewhere, is divided by A, so that the rest counts for less than it should.
        "carry": the next epoch completes the iteration. "merge": the rest joins the A
        micro-batches of the next epoch's first iteration. "drop": the rest is forgotten.
    epoch : int
        Counted from 0; only "carry" and "merge" depend on it.
    """
    number = len(sizes)
    if accumulation_steps == 1:
        return [MicroBatch(True, 1.0, True)] * number
    if tail == "merge":
        return _merged(sizes, accumulation_steps, epoch)
    carried = epoch * number % accumulation_steps if tail == "carry" else 0
    steps = []
    for i in range(number):
        first = i - (i + carried) % accumulation_steps  # below 0: it was in the epoch before
        last = first + accumulation_steps - 1
        if tail in ("flush", "flush-fixed"):
            last = min(last, number - 1)
        if i in (0, first):
            together = sum(sizes[j % number] for j in range(first, last + 1))
        factor = 1 / accumulation_steps if tail == "flush-fixed" else sizes[i] / together
        steps.append(MicroBatch(i == first, factor, i == last))
    return steps


def _merged(sizes: list[int], accumulation_steps: int, epoch: int) -> list[MicroBatch]:
    """The schedule of an epoch whose left-over micro-batches join the next epoch's first iteration."""
    number = len(sizes)
    full = number - number % accumulation_steps  # from here on they are left over
    steps = []
    for i in range(number):
        first = i - i % accumulation_steps
        together = sum(sizes[first : first + accumulation_steps])
        joined = i >= full or (first == 0 and epoch > 0)  # an iteration that lies on both sides of an epoch's end
        if joined:
            together = sum(sizes[full:]) + sum(sizes[: min(accumulation_steps, full)])
        begins = i == first and not (first == 0 and epoch > 0 and full < number)
        steps.append(MicroBatch(begins, sizes[i] / together, i < full and i == first + accumulation_steps - 1))
    return steps


def check_tail(tail: str) -> str:
    """Refuse an unknown tail; return what ``lib.plan.TrainingPlan`` calls it."""
    if tail not in TAILS:
        raise ValueError(f"tail is {tail!r}, but it must be one of {', '.join(map(repr, TAILS))}.")
    return tail.removesuffix("-fixed")


def accumulate(
    model: nn.Module, micro_batches: Iterable[tuple[torch.Tensor, torch.Tensor]], ignore_index: int = -100
) -> float:
    """Add the gradient of the mean loss over all micro-batches, and return that loss.

    The mean is over samples, or over tokens, whatever their number in each micro-batch:
    the sum of all losses divided once by the number of targets in all of them. (The mean
    of the micro-batches' means is another number as soon as they are unequal.)

    Parameters
    ----------
    model : torch.nn.Module
        Its parameters' ``.grad`` are added to, so call ``optimizer.zero_grad()`` before.
    micro_batches : iterable of (inputs, targets)
        ``model(inputs)`` has the shape of ``targets`` and one more axis, the classes, at
        its end.
    ignore_index : int
        Targets that are not counted, such as those of padding.

    Raises
    ------
    ValueError
        There is no target to average over.
    """
    micro_batches = list(micro_batches)
    counted = sum((targets != ignore_index).sum().item() for _, targets in micro_batches)
    if counted == 0:
        raise ValueError(
            f"micro_batches holds no target other than ignore_index {ignore_index}, so there is nothing "
            f"to average; leave such an iteration out."
        )
    mean = 0.0
    for inputs, targets in micro_batches:
        outputs = model(inputs)
        loss = (
            F.cross_entropy(outputs.flatten(0, -2), targets.flatten(), ignore_index=ignore_index, reduction="sum")
            / counted
        )
        loss.backward()
        mean += loss.item()
    return mean
