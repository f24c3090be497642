"""Replicas: many runs of one network, advanced together.

Every layer is written as one matrix product, so one short program covers every
network of ``lib.models``: a convolution multiplies its weights with the windows of
its input, laid side by side as rows (a linear layer has a single window, the whole
input). All weights and biases of a replica are one flat row of numbers, in the
order of ``model.parameters()``; the replicas of a group are the rows of a matrix.

``KernelReplicas`` runs on the CPU, one replica after another: compiled by Numba, the
gradient by hand, all products by BLAS, in blocks of samples that stay in the cache.
``StackedReplicas`` runs on any device of PyTorch: each product is one batched product
over all replicas, the gradient by autograd. Both do what ``lib.training.train`` does.
"""

import math

import numpy as np
import scipy.linalg.cython_blas  # noqa: F401  loads the BLAS behind np.dot in Numba, so that its threads can be set
import torch
from numba import njit
from torch import nn
from torch.nn import functional as F

from lib.data import Dataset
from lib.models import initialized
from lib.training import OPTIMIZERS, on_device

BLOCK = 64  # samples whose activations fit the processor's cache
MOMENTUM, BETA1, BETA2, EPSILON = 0.9, 0.9, 0.999, 1e-8  # PyTorch's defaults

LAYER = np.dtype(
    [
        (name, np.int64)
        for name in (
            "channels",
            "length",
            "window",
            "stride",
            "padding",  # what it reads: a signal (length, channels) and its windows
            "positions",
            "units",
            "relu",  # what it makes: a signal (positions, units)
            "weights",
            "biases",  # where its parameters start in a replica's row
            "inputs",
            "columns",
            "outputs",
        )
    ]
)  # where its activations start in the workspace
COMPILED = dict(cache=True, nogil=True, boundscheck=False, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})


def as_layers(model: nn.Module, num_features: int) -> np.ndarray | None:
    """A network as an array of ``LAYER`` records; None if the records would not answer as the network does."""
    layers, channels, length = [], num_features, 1
    parameters = size = 0
    try:
        for module in model if isinstance(model, nn.Sequential) else [model]:
            if type(module) in (nn.Linear, nn.Conv1d):
                window, stride, padding = length, 1, 0
                if type(module) is nn.Conv1d:
                    (window,), (stride,), (padding,) = module.kernel_size, module.stride, module.padding
                positions = (length + 2 * padding - window) // stride + 1
                units, row = len(module.weight), channels * window
                columns = size + (BLOCK * length * channels if length > 1 else 0)
                outputs = columns + BLOCK * positions * row
                layers.append(
                    [
                        channels,
                        length,
                        window,
                        stride,
                        padding,
                        positions,
                        units,
                        0,
                        parameters,
                        parameters + units * row,
                        size,
                        columns,
                        outputs,
                    ]
                )
                parameters, size, channels, length = parameters + units * (row + 1), outputs, units, positions
            elif type(module) is nn.ReLU:
                layers[-1][LAYER.names.index("relu")] = 1
            elif type(module) is nn.Unflatten:
                channels, length = 1, channels
            elif type(module) is not nn.Flatten:
                return None
        layers = np.array([tuple(layer) for layer in layers], LAYER)
        single, x = initialized(model, 0), torch.linspace(-2, 2, 3 * num_features).view(3, num_features)
        answers = stacked_outputs(layers, as_row(layers, single)[None], x[None])[0]
        known = not layers[-1]["relu"] and all(parameter.requires_grad for parameter in model.parameters())
        return layers if known and torch.allclose(answers, single(x), atol=1e-4) else None
    except (ValueError, TypeError, IndexError, RuntimeError):
        return None


def as_row(layers: np.ndarray, model: nn.Module) -> torch.Tensor:
    """All parameters of a model in one row, a layer's weights in the order of its windows: position, then channel."""
    parts = []
    parameters = [p.detach() for p in model.parameters()]
    for layer, weight, bias in zip(layers, parameters[::2], parameters[1::2]):
        parts += [weight.reshape(layer["units"], layer["channels"], layer["window"]).mT.flatten(), bias]
    return torch.cat(parts)


# On the CPU: one replica after another, compiled ----------------------------------------


@njit(**COMPILED)
def matrix(numbers, start, rows, columns):
    """A stretch of flat numbers, seen as a matrix."""
    return numbers[start : start + rows * columns].reshape(rows, columns)


@njit(**COMPILED)
def copy_windows(layer, signal, columns, backward):
    """Copy each window of each sample's signal into its row of ``columns``; backward, add the rows to the signal."""
    channels = layer.channels
    for row in range(len(columns)):
        i, position = divmod(row, layer.positions)
        start = position * layer.stride - layer.padding
        first, end = max(start, 0), min(start + layer.window, layer.length)  # beyond lies the padding, always zero
        part = signal[i, first * channels : end * channels]
        window = columns[row, (first - start) * channels : (end - start) * channels]
        for k in range(len(part)):
            if backward:
                part[k] += window[k]
            else:
                window[k] = part[k]


@njit(**COMPILED)
def switch_off(activations, slopes):
    """The backward pass of ReLU."""
    for k in range(len(slopes)):
        slopes[k] = 0 if activations[k] <= 0 else slopes[k]


@njit(**COMPILED)
def add_biases(outputs, biases, least):
    """Add a bias to every column; nothing stays below ``least``."""
    for i in range(len(outputs)):
        for j in range(len(biases)):
            output = outputs[i, j] + biases[j]
            outputs[i, j] = least if output < least else output


@njit(**COMPILED)
def forward(layers, weights, x, rows, work):
    """Outputs of the network for some samples; leaves all activations in ``work``."""
    n = len(rows)
    signal = matrix(work, 0, n, x.shape[1])
    for i in range(n):
        signal[i] = x[rows[i]]
    for layer in layers:
        width = layer.channels * layer.window
        columns = matrix(work, layer.columns, n * layer.positions, width)
        if layer.columns != layer.inputs:
            copy_windows(layer, matrix(work, layer.inputs, n, layer.length * layer.channels), columns, False)
        outputs = matrix(work, layer.outputs, n * layer.positions, layer.units)
        np.dot(columns, matrix(weights, layer.weights, layer.units, width).T, outputs)
        biases = weights[layer.biases : layer.biases + layer.units]
        add_biases(outputs, biases, weights.dtype.type(0 if layer.relu else -np.inf))
    return outputs


@njit(**COMPILED)
def cross_entropy(outputs, classes, rows, scale, slopes):
    """Summed loss and correct answers; ``slopes`` becomes the gradient of ``scale`` times the sum."""
    loss, correct = 0.0, 0
    for i in range(len(rows)):
        top, answer = outputs[i, 0], 0
        for j in range(1, outputs.shape[1]):
            if not (outputs[i, j] <= top or top != top):  # the largest, or the first that is not a number
                top, answer = outputs[i, j], j
        total = scale * 0
        for j in range(outputs.shape[1]):
            slopes[i, j] = math.exp(outputs[i, j] - top)
            total += slopes[i, j]
        label = classes[rows[i]]
        loss += math.log(total) + top - outputs[i, label]
        correct += answer == label
        for j in range(outputs.shape[1]):
            slopes[i, j] *= scale / total
        slopes[i, label] -= scale
    return loss, correct


@njit(**COMPILED)
def subtract_outer(rate, slope, inputs, weights, biases):
    """One step of SGD for one sample."""
    for j in range(len(slope)):
        step = rate * slope[j]
        if step != 0:
            biases[j] -= step
            for k in range(len(inputs)):
                weights[j, k] -= step * inputs[k]


@njit(**COMPILED)
def backward(layers, weights, gradient, x, y, rows, scale, rate, work, slopes):
    """Write the gradient of ``scale`` times the summed loss of at most BLOCK samples; return that sum.

    With a ``rate`` above 0, which is for one sample and plain SGD, the weights move at once
    instead: their gradient is an outer product, zero for every unit that ReLU switched off.
    """
    n = len(rows)
    last = layers[len(layers) - 1]
    loss, _ = cross_entropy(
        forward(layers, weights, x, rows, work), y, rows, scale, matrix(slopes, last.outputs, n, last.units)
    )
    for l in range(len(layers) - 1, -1, -1):
        layer = layers[l]
        width = layer.channels * layer.window
        slope = matrix(slopes, layer.outputs, n * layer.positions, layer.units)
        columns = matrix(work, layer.columns, n * layer.positions, width)
        w = matrix(weights, layer.weights, layer.units, width)
        if l > 0:  # the first layer's inputs are data, which do not learn
            np.dot(slope, w, matrix(slopes, layer.columns, n * layer.positions, width))
            if layer.columns != layer.inputs:
                signal = matrix(slopes, layer.inputs, n, layer.length * layer.channels)
                signal[:] = 0
                copy_windows(layer, signal, matrix(slopes, layer.columns, n * layer.positions, width), True)
            if layers[l - 1].relu:
                end = layer.inputs + n * layer.length * layer.channels
                switch_off(work[layer.inputs : end], slopes[layer.inputs : end])
        if rate > 0:
            subtract_outer(rate, slope[0], columns[0], w, weights[layer.biases : layer.biases + layer.units])
        else:
            np.dot(slope.T, columns, matrix(gradient, layer.weights, layer.units, width))
            biases = gradient[layer.biases : layer.biases + layer.units]
            biases[:] = 0
            for i in range(len(slope)):
                for j in range(len(biases)):
                    biases[j] += slope[i, j]
    return loss


@njit(**COMPILED)
def update(optimizer, iteration, rate, weights, gradient, velocity, squares):
    """One step of SGD (0), momentum (1) or Adam (2), as in ``torch.optim``."""
    if optimizer == 0:
        for k in range(len(weights)):
            weights[k] -= rate * gradient[k]
    elif optimizer == 1:
        for k in range(len(weights)):
            velocity[k] = weights.dtype.type(MOMENTUM) * velocity[k] + gradient[k]
            weights[k] -= rate * velocity[k]
    else:
        beta1, beta2, epsilon = weights.dtype.type(BETA1), weights.dtype.type(BETA2), weights.dtype.type(EPSILON)
        step = weights.dtype.type(rate / (1 - BETA1**iteration))
        correction = weights.dtype.type(math.sqrt(1 - BETA2**iteration))
        for k in range(len(weights)):
            velocity[k] += (1 - beta1) * (gradient[k] - velocity[k])
            squares[k] = beta2 * squares[k] + (1 - beta2) * gradient[k] * gradient[k]
            weights[k] -= step * velocity[k] / (math.sqrt(squares[k]) / correction + epsilon)


@njit(**COMPILED)
def advance(layers, optimizer, iterations, weights, velocity, squares, x, y, order, batch_size, rates, work, slopes):
    """Train one replica on an order of samples, batch by batch; return its summed loss."""
    loss = 0.0
    gradient, part = np.empty_like(weights), np.empty_like(weights)
    at_once = optimizer == 0 and batch_size == 1 and layers.positions.max() == 1
    for i in range(len(rates)):
        batch = order[i * batch_size : (i + 1) * batch_size]
        scale = weights.dtype.type(1 / len(batch))
        if at_once:
            loss += backward(layers, weights, gradient, x, y, batch, scale, rates[i], work, slopes)
            continue
        loss += backward(layers, weights, gradient, x, y, batch[:BLOCK], scale, 0 * scale, work, slopes)
        for start in range(BLOCK, len(batch), BLOCK):
            loss += backward(layers, weights, part, x, y, batch[start : start + BLOCK], scale, 0 * scale, work, slopes)
            for k in range(len(part)):
                gradient[k] += part[k]
        update(optimizer, iterations + i + 1, rates[i], weights, gradient, velocity, squares)
        if loss != loss:
            break  # not a number, as every later one would be
    return loss


@njit(**COMPILED)
def evaluate(layers, weights, x, y, work):
    """Mean loss and accuracy over all samples of ``x``, each weighing the same."""
    loss, correct = 0.0, 0
    rows, scale = np.arange(len(x)), weights.dtype.type(0)
    slopes = np.empty((BLOCK, layers[len(layers) - 1].units), work.dtype)
    for start in range(0, len(x), BLOCK):
        block = rows[start : start + BLOCK]
        more_loss, more_correct = cross_entropy(forward(layers, weights, x, block, work), y, block, scale, slopes)
        loss += more_loss
        correct += more_correct
    return loss / len(x), correct / len(x)


class Replicas:
    """Runs of one network with one optimizer and one batch size, advanced together.

    Parameters
    ----------
    layers : numpy.ndarray of LAYER
        From :func:`as_layers`.
    weights : torch.Tensor, shape (replicas, parameters)
        Initial weights, a row a replica, from :func:`as_row`.
    data : lib.data.Dataset
    optimizer : {"sgd", "momentum", "adam"}
    device : str
    """

    def __init__(self, layers: np.ndarray, weights: torch.Tensor, data: Dataset, optimizer: str, device: str = "cpu"):
        self.layers, self.optimizer, self.iterations = layers, list(OPTIMIZERS).index(optimizer), 0
        self.data = on_device(data, torch.device(device), weights.dtype)
        self.weights = weights.to(device)
        self.velocity, self.squares = torch.zeros_like(self.weights), torch.zeros_like(self.weights)
        self.losses = torch.zeros_like(self.weights[:, 0])

    def keep(self, which: list[int]):
        """Go on with some of the replicas alone."""
        for name in ("weights", "velocity", "squares", "losses"):
            setattr(self, name, getattr(self, name)[which])

    def summed_losses(self) -> np.ndarray:
        """Loss summed over the samples trained on since the last call, for each replica; waits for the device."""
        summed = self.losses.cpu().numpy().astype(float)
        self.losses = torch.zeros_like(self.losses)
        return summed


class KernelReplicas(Replicas):
    """Replicas on one core of the CPU."""

    def __init__(self, *args):
        super().__init__(*args)
        self.data = [tensor.numpy() for tensor in self.data]
        size = int(self.layers[-1]["outputs"] + BLOCK * self.layers[-1]["units"])
        self.work, self.slopes = np.zeros((2, size), self.data[0].dtype)

    def advance(self, orders: np.ndarray, batch_size: int, rates: np.ndarray):
        """An iteration for each column of ``rates``; ``orders`` holds the samples of these batches, a row a replica."""
        x, y, _, _ = self.data
        rates = rates.astype(x.dtype)
        for r in range(len(rates)):
            self.losses[r] += advance(
                self.layers,
                self.optimizer,
                self.iterations,
                self.weights[r].numpy(),
                self.velocity[r].numpy(),
                self.squares[r].numpy(),
                x,
                y,
                orders[r],
                batch_size,
                rates[r],
                self.work,
                self.slopes,
            )
        self.iterations += rates.shape[1]

    def evaluate(self) -> np.ndarray:
        """Training loss, test loss and test accuracy, a row a replica."""
        x_train, y_train, x_test, y_test = self.data
        return np.array(
            [
                (
                    evaluate(self.layers, w, x_train[:1000], y_train[:1000], self.work)[0],
                    *evaluate(self.layers, w, x_test, y_test, self.work),
                )
                for w in self.weights.numpy()
            ]
        )


# On any device: all replicas in one product ------------------------------------------------


def stacked_outputs(layers: np.ndarray, weights: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """What the networks answer, shape (replicas, samples, classes), to x of shape (replicas, samples, features)."""
    replicas, samples, _ = x.shape
    layers = [dict(zip(LAYER.names, layer.tolist())) for layer in layers]
    sizes = [size for layer in layers for size in (layer["biases"] - layer["weights"], layer["units"])]
    parts = iter(weights.split(sizes, dim=1))
    for layer in layers:
        channels, width = layer["channels"], layer["channels"] * layer["window"]
        if layer["length"] > 1:
            padding = layer["padding"] * channels
            x = F.pad(x, (padding, padding)).unfold(2, width, layer["stride"] * channels)
        w, b = next(parts).view(replicas, -1, width), next(parts)[:, None, :]
        x = torch.baddbmm(b, x.reshape(replicas, -1, width), w.mT).view(replicas, samples, -1)
        x = x.relu() if layer["relu"] else x
    return x


class StackedReplicas(Replicas):
    """Replicas on any device; the host never waits for it between two evaluations."""

    def advance(self, orders: np.ndarray, batch_size: int, rates: np.ndarray):
        """An iteration for each column of ``rates``; ``orders`` holds the samples of these batches, a row a replica."""
        x, y, _, _ = self.data
        orders = torch.from_numpy(orders).to(x.device)
        rates = torch.tensor(rates, dtype=x.dtype, device=x.device)
        for rows, rate in zip(orders.split(batch_size, dim=1), rates.split(1, dim=1)):
            weights = self.weights.detach().requires_grad_()
            outputs = stacked_outputs(self.layers, weights, x[rows])
            losses = F.cross_entropy(outputs.flatten(0, 1), y[rows].flatten(), reduction="none").view(rows.shape)
            (gradient,) = torch.autograd.grad(losses.mean(1).sum(), weights)
            self.losses += losses.detach().sum(1)
            self.iterations += 1
            self.update(gradient, rate)

    def update(self, gradient: torch.Tensor, rate: torch.Tensor):
        """One step of the optimizer, as in ``torch.optim``."""
        step = gradient
        if self.optimizer == 1:
            step = self.velocity.mul_(MOMENTUM).add_(gradient)
        elif self.optimizer == 2:
            self.velocity.lerp_(gradient, 1 - BETA1)
            self.squares.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
            correction = math.sqrt(1 - BETA2**self.iterations)
            step = self.velocity / (self.squares.sqrt() / correction + EPSILON) / (1 - BETA1**self.iterations)
        self.weights = self.weights - rate * step

    @torch.no_grad()
    def evaluate(self) -> np.ndarray:
        """Training loss, test loss and test accuracy, a row a replica."""
        x_train, y_train, x_test, y_test = self.data
        means = []
        for x, y in ((x_train[:1000], y_train[:1000]), (x_test, y_test)):
            loss = correct = 0
            for x_chunk, y_chunk in zip(x.split(1000), y.split(1000)):
                outputs = stacked_outputs(self.layers, self.weights, x_chunk.expand(len(self.weights), -1, -1))
                y_all = y_chunk.expand(len(self.weights), -1)
                loss += F.cross_entropy(outputs.mT, y_all, reduction="none").sum(1)
                correct += (outputs.argmax(2) == y_all).sum(1)
            means += [loss / len(x), correct / len(x)]
        return torch.stack([means[0], means[2], means[3].to(means[0].dtype)], 1).cpu().numpy().astype(float)
