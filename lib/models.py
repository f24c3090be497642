"""The course's networks, as ordinary ``torch.nn.Sequential`` models, and their initial weights."""

import copy

import torch
from torch import nn

from lib.checks import whole_number
from lib.sampling import WEIGHTS, generator


def logistic(num_features: int = 40, num_classes: int = 10) -> nn.Sequential:
    """Multinomial logistic regression: one linear layer."""
    return mlp(num_features, num_classes)


def mlp(*widths: int) -> nn.Sequential:
    """Multilayer perceptron with ReLU between its layers; ``mlp()`` is 40-100-100-10."""
    widths = widths or (40, 100, 100, 10)
    if len(widths) < 2:
        raise ValueError(f"widths is {widths}, but it must be two or more whole numbers of at least 1, inputs first.")
    widths = tuple(whole_number(f"widths[{k}]", width, at_least=1) for k, width in enumerate(widths))
    layers = []
    for fan_in, fan_out in zip(widths, widths[1:]):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def cnn(channels: int = 25, num_features: int = 40, num_classes: int = 10) -> nn.Sequential:
    """The 1-D convolutional network of the MNIST-1D paper: three strided layers, then a linear one."""
    length = num_features
    for kernel in (5, 3, 3):
        length = (length + 2 - kernel) // 2 + 1
    return nn.Sequential(
        nn.Unflatten(1, (1, num_features)),
        nn.Conv1d(1, channels, 5, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv1d(channels, channels, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv1d(channels, channels, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(channels * length, num_classes),
    )


def num_parameters(model: nn.Module) -> int:
    """Number of trainable weights and biases."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def initialized(model: nn.Module, seed: int, dtype: torch.dtype | None = None) -> nn.Module:
    """A copy of a model with fresh initial weights that depend on ``seed`` alone.

    The distribution is PyTorch's own for these layers, uniform between
    ±1/√(inputs of a unit). The draw is made in float64 by NumPy, because a float32
    draw of PyTorch differs between CPUs in the last bit; ``dtype`` (by default
    PyTorch's default dtype) is what it is rounded to.
    """
    model = copy.deepcopy(model).to(dtype or torch.get_default_dtype())
    rng = generator(seed, WEIGHTS)
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, (nn.Linear, nn.Conv1d)):
                bound = layer.weight[0].numel() ** -0.5
                for parameter in layer.parameters(recurse=False):
                    parameter.copy_(torch.from_numpy(rng.uniform(-bound, bound, tuple(parameter.shape))))
            elif isinstance(layer, nn.BatchNorm1d):
                layer.reset_parameters()
            elif list(layer.parameters(recurse=False)):
                raise TypeError(
                    f"model has a {type(layer).__name__} layer, for which no initial weights are defined; "
                    f"use Linear, Conv1d and BatchNorm1d layers."
                )
    return model
