"""How much a mini-batch gradient scatters, and the batch size at which that stops to matter.

``g_i`` is the gradient of sample i's loss, ``G`` their mean over the training set and
``Sigma`` their covariance. The simple noise scale is ``tr(Sigma) / |G|^2`` (McCandlish
et al. 2018, "An Empirical Model of Large-Batch Training", arXiv:1812.06162).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from lib.checks import whole_number
from lib.sampling import generator
from lib.workload import Workload

BATCHES = 2  # stream of a seed, beside those of lib.sampling, for batches drawn at random


@dataclass(frozen=True)
class GradientMoments:
    """Exact ``|G|^2`` and ``tr(Sigma)`` of a training set of N samples, at one set of weights.

    ``tr(Sigma)`` is the mean of ``|g_i - G|^2``: divided by N, because the training set
    is all that batches are drawn from.
    """

    num_samples: int
    squared_norm: float
    trace: float

    @property
    def noise_scale(self) -> float:
        """``tr(Sigma) / |G|^2``, in samples; infinite where the gradient is zero."""
        return self.trace / self.squared_norm if self.squared_norm else np.inf

    def variance(self, batch_size: int, replacement: bool = False) -> float:
        """Expected ``|g_B - G|^2`` of a random batch's mean gradient ``g_B``.

        ``tr(Sigma) / B`` with replacement; without, times ``(N - B) / (N - 1)``, which is
        zero for the whole training set.
        """
        _check_batch_size(batch_size, self.num_samples, replacement)
        variance = self.trace / batch_size
        if replacement or self.num_samples == 1:
            return variance
        return variance * (self.num_samples - batch_size) / (self.num_samples - 1)


def gradient_moments(workload: Workload, model: nn.Module, *, chunk: int = 250) -> GradientMoments:
    """Exact moments of the per-sample gradients of a workload's loss at a model's present weights.

    Parameters
    ----------
    workload : lib.workload.Workload
        Its training samples are the training set. They may be rows of tokens, as many in each.
    model : torch.nn.Module
        Without batch normalisation, in which a sample's gradient depends on its batch. On the
        CPU or on CUDA: sums are made in float64.
    chunk : int
        Samples whose gradients are in memory at once: ``chunk`` times the model's size.
    """
    x, y = _training_set(workload, model)
    parameters = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    num, scatter = 0, 0.0
    mean = torch.zeros((), dtype=torch.float64, device=x.device)
    for x_chunk, y_chunk in zip(x.split(chunk), y.split(chunk)):
        gradients = _of_each_sample(workload, model, parameters, x_chunk, y_chunk)
        # Chunks are merged by their own means (Chan et al. 1983): the shorter mean |g|^2 - |G|^2 is a difference of
        # large numbers where the samples agree.
        chunk_mean = gradients.mean(dim=0)
        difference = chunk_mean.double() - mean
        weight = len(x_chunk) / (num + len(x_chunk))
        scatter += ((gradients - chunk_mean).double().square().sum() + difference.square().sum() * num * weight).item()
        mean = mean + difference * weight
        num += len(x_chunk)
    return GradientMoments(num, mean.square().sum().item(), scatter / num)


def _of_each_sample(
    workload: Workload, model: Any, parameters: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor
) -> torch.Tensor:
    """The gradient of each sample's loss, (samples, weights)."""
    if hasattr(model, "stacked"):  # a replica for each sample: faster than vmap where that knows no rule
        copies = {name: p.expand(len(x), *p.shape).requires_grad_() for name, p in parameters.items()}
        losses = vmap(workload.loss)(model.stacked(copies, x[:, None]), y[:, None])
        of_parts = torch.autograd.grad(losses.sum(), list(copies.values()))
    else:

        def sample_loss(parameters, x, y):
            return workload.loss(functional_call(model, parameters, (x[None],)), y[None])

        of_parts = vmap(grad(sample_loss), in_dims=(None, 0, 0))(parameters, x, y).values()
    return torch.cat([part.flatten(1) for part in of_parts], dim=1)


def squared_deviations(
    workload: Workload,
    model: nn.Module,
    batch_size: int,
    *,
    draws: int = 200,
    replacement: bool = False,
    seed: int = 0,
) -> np.ndarray:
    """``|g_B - G|^2`` of ``draws`` random batches, to measure what :meth:`GradientMoments.variance` predicts.

    Returns
    -------
    numpy.ndarray of float, shape (draws,)
        Independent draws: ``lib.statistics.mean_interval`` gives the variance and its interval.
    """
    x, y = _training_set(workload, model)
    whole = _gradient(workload, model, x, y)
    return np.array(
        [
            (_gradient(workload, model, x[batch], y[batch]) - whole).square().sum().item()
            for batch in _random_batches(len(x), batch_size, draws, replacement, seed)
        ]
    )


def two_batch_estimates(
    workload: Workload,
    model: nn.Module,
    small: int,
    big: int,
    *,
    draws: int = 200,
    replacement: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """Estimate ``|G|^2`` and ``tr(Sigma)`` from gradients of two batch sizes, as a long training run can.

    Each draw is one batch of ``big`` samples. The parts of ``small`` samples that it
    consists of give the small gradients, their mean is the big one, as on several devices.

    Parameters
    ----------
    small, big : int
        ``big`` is a multiple of ``small``.

    Returns
    -------
    pandas.DataFrame
        A row a draw, with the columns ``squared_norm`` and ``trace``; see
        :func:`two_batch_formula` for their bias and :func:`noise_scale` for their use.
    """
    x, y = _training_set(workload, model)
    if small < 1 or big <= small or big % small:
        raise ValueError(f"small is {small} and big is {big}, but big must be 2 or more times small, a whole number.")
    rows = []
    for batch in _random_batches(len(x), big, draws, replacement, seed):
        gradients = torch.stack([_gradient(workload, model, x[part], y[part]) for part in batch.split(small)])
        rows.append(
            two_batch_formula(
                gradients.square().sum(dim=1).mean().item(), gradients.mean(dim=0).square().sum().item(), small, big
            )
        )
    return pd.DataFrame(rows, columns=["squared_norm", "trace"])


def two_batch_formula(small_squared, big_squared, small: int, big: int) -> tuple:
    """``|G|^2`` and ``tr(Sigma)`` from the squared gradient norms at two batch sizes (appendix A of the paper).

    From ``E |g_B|^2 = |G|^2 + tr(Sigma) / B`` at both sizes. Each of the two is unbiased for
    batches drawn with replacement. Without replacement their means are
    ``|G|^2 - tr(Sigma) / (N - 1)`` and ``tr(Sigma) N / (N - 1)``: the moments of the
    population that the training set is a sample of. Single values may be negative.
    """
    squared_norm = (big * big_squared - small * small_squared) / (big - small)
    trace = (small_squared - big_squared) / (1 / small - 1 / big)
    return squared_norm, trace


def noise_scale(estimates: pd.DataFrame) -> float:
    """``tr(Sigma) / |G|^2`` from a table of :func:`two_batch_estimates`, each averaged before they are divided.

    A mean of single ratios would be dominated by draws whose denominator is near zero. The
    ratio of means is still biased: by about its relative variance of the denominator, less
    the relative covariance of both, each falling as 1 / draws; usually upwards. Not a
    number where the mean of ``squared_norm`` is not positive: there are too few draws.

    For an interval, give this function and the table to ``lib.statistics.bootstrap_interval``.
    """
    squared_norm, trace = estimates["squared_norm"].mean(), estimates["trace"].mean()
    return float(trace / squared_norm) if squared_norm > 0 else np.nan


def _gradient(workload: Workload, model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    parameters = [p for p in model.parameters() if p.requires_grad]
    loss = workload.loss(model(x), y)
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)]).double()


def _random_batches(
    num_samples: int, batch_size: int, draws: int, replacement: bool, seed: int
) -> Iterator[torch.Tensor]:
    _check_batch_size(batch_size, num_samples, replacement)
    rng = generator(seed, BATCHES)
    for _ in range(draws):
        yield torch.from_numpy(rng.choice(num_samples, batch_size, replace=replacement))


def _check_batch_size(batch_size: int, num_samples: int, replacement: bool):
    whole_number("batch_size", batch_size, at_least=1)
    if batch_size > num_samples and not replacement:
        raise ValueError(f"batch_size is {batch_size}, but without replacement a batch has 1 to {num_samples} samples.")


def _training_set(workload: Workload, model: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """The training set beside the model; refused where a sample has no gradient of its own, or its own weight."""
    if any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in model.modules()):
        raise TypeError("model has batch normalisation, so a sample has no gradient of its own; use one without.")
    parameter = next(model.parameters())
    x, y = workload.on(parameter.device, parameter.dtype)["train"]
    if len(set(workload.num_units(y).tolist())) > 1:
        raise ValueError(
            f"The samples of {workload.data.name} differ in their number of tokens that count, so a batch's gradient "
            f"is no mean of the samples' gradients; cut or pack them to equal lengths."
        )
    return x, y
