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
    layers: list[nn.Module] = []
    for fan_in, fan_out in zip(widths, widths[1:]):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def cnn(channels: int = 25, num_features: int = 40, num_classes: int = 10, batch_norm: bool = False) -> nn.Sequential:
    """The 1-D convolutional network of the MNIST-1D paper: three strided layers, then a linear one.

    With ``batch_norm`` a BatchNorm layer follows each convolution.
    """
    length = num_features
    layers: list[nn.Module] = [nn.Unflatten(1, (1, num_features))]
    for kernel in (5, 3, 3):
        inputs = 1 if len(layers) == 1 else channels
        layers += [nn.Conv1d(inputs, channels, kernel, stride=2, padding=1)]
        layers += [nn.BatchNorm1d(channels)] if batch_norm else []
        layers += [nn.ReLU()]
        length = (length + 2 - kernel) // 2 + 1
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * length, num_classes))


def num_parameters(model: nn.Module) -> int:
    """Number of trainable weights and biases."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def initialized(model: nn.Module, seed: int, dtype: torch.dtype | None = None) -> nn.Module:
    """A copy of a model with fresh initial weights that depend on ``seed`` alone.

    The distributions are PyTorch's own: uniform between ±1/√(inputs of a unit) for Linear
    and Conv layers, standard normal for Embedding (times its ``std``, if it has one).
    The draw is made in float64 by NumPy,
    because a float32 draw of PyTorch differs between CPUs in the last bit; ``dtype`` (by
    default PyTorch's default dtype) is what it is rounded to. Any other layer is asked to
    ``reset_parameters`` itself, with PyTorch's generator seeded for it and put back afterwards.

    Raises
    ------
    TypeError
        A layer has weights and no ``reset_parameters``, so nothing says how they begin; or it does not know its size.
    """
    for layer in model.modules():
        if any(isinstance(parameter, nn.UninitializedParameter) for parameter in layer.parameters(recurse=False)):
            raise TypeError(
                f"model has a {type(layer).__name__} layer that does not know its size yet; call the model once on a "
                f"few samples first."
            )
    model = copy.deepcopy(model).to(dtype or torch.get_default_dtype())
    rng = generator(seed, WEIGHTS)
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d)):
                bound = layer.weight[0].numel() ** -0.5
                for parameter in layer.parameters(recurse=False):
                    parameter.copy_(torch.from_numpy(rng.uniform(-bound, bound, tuple(parameter.shape))))
            elif isinstance(layer, nn.Embedding):
                std = getattr(layer, "std", 1.0)
                layer.weight.copy_(torch.from_numpy(std * rng.standard_normal(tuple(layer.weight.shape))))
                if layer.padding_idx is not None:
                    layer.weight[layer.padding_idx] = 0
            elif reset := getattr(layer, "reset_parameters", None) or getattr(layer, "_reset_parameters", None):
                with torch.random.fork_rng():
                    torch.manual_seed(int(rng.integers(2**62)))
                    reset()
            elif list(layer.parameters(recurse=False)):
                raise TypeError(
                    f"model has a {type(layer).__name__} layer, for which no initial weights are defined; "
                    f"give it a method reset_parameters that draws them."
                )
    return model
