"""Where a run happens: which device, its clock, and what it asks of the other devices that share the run."""

import time
from contextlib import nullcontext

import numpy as np
import torch
from torch import nn

from lib.evaluation import mean_loss
from lib.workload import Workload


def fastest_device() -> str:
    """ "cuda", "mps" or "cpu"; MPS only for float32, the only one of the two precisions it has."""
    if torch.cuda.is_available():
        return "cuda"
    if torch.backends.mps.is_available() and torch.get_default_dtype() == torch.float32:
        return "mps"
    return "cpu"


def device_here(name: str | None) -> torch.device:
    """The device of that name, by default the fastest; one sentence if there is none here."""
    try:
        device = torch.device(fastest_device() if name is None else name)
        torch.empty(1, device=device)
    except (RuntimeError, TypeError, AssertionError, NotImplementedError):
        here = " and ".join(sorted({"cpu", fastest_device()}))
        raise ValueError(f"device is {name!r}, but here is only {here}; leave it out for the fastest.") from None
    return device


def synchronize(device: torch.device):
    """Wait until a device has done all that it was given; a GPU takes orders far ahead of its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


class Clock:
    """Seconds of a run: those of finished work, less those of pauses.

    Parameters
    ----------
    device : torch.device
        Reading the clock waits for it.
    spent : float
        Seconds of the run before, if it goes on.
    """

    def __init__(self, device: torch.device, spent: float = 0.0):
        self.device, self._started = device, time.perf_counter() - spent
        self._paused: float | None = None

    def seconds(self) -> float:
        """Seconds until now, or until the pause."""
        if self._paused is not None:
            return self._paused - self._started
        synchronize(self.device)
        return time.perf_counter() - self._started

    def __enter__(self):
        """Pause."""
        self._paused = self._started + self.seconds()

    def __exit__(self, *_):
        """Go on."""
        synchronize(self.device)
        if self._paused is not None:
            self._started += time.perf_counter() - self._paused
        self._paused = None


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

    def mean_loss(self, workload: Workload, model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
        """Loss and accuracy over all samples, each unit counted once; the same on every device."""
        return mean_loss(workload, model, x, y)
