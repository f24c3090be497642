"""Replicas on one core of the CPU: many runs of one small network, compiled.

Every layer is written as one matrix product, so one short program covers all networks
of Linear, Conv1d and ReLU layers: a convolution multiplies its weights with the windows of
its input, laid side by side as rows (a linear layer has a single window, the whole
input). All weights and biases of a replica are one flat row of numbers; one replica runs
after another, compiled by Numba, the gradient by hand, all products by BLAS, in blocks of
samples that stay in the cache. It does what ``lib.training.train`` does.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg.cython_blas  # noqa: F401  loads the BLAS behind np.dot in Numba, so that its threads can be set
import torch
from numba import njit
from torch import nn
from torch.nn import functional as F

from lib.evaluation import TRAINING_SAMPLES
from lib.models import initialized
from lib.optimizers import COMPILED, as_record, update
from lib.recipe import Recipe
from lib.replicas import Replicas
from lib.workload import Workload, correct_classes

BLOCK = 64  # samples whose activations fit the processor's cache

FIELDS = (
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
    "outputs",  # where its activations start in the workspace
)
LAYER = np.dtype([(name, np.int64) for name in FIELDS])


def as_layers(workload: Workload) -> np.ndarray | None:
    """A workload's network as an array of ``LAYER`` records; None if the kernel would not do what ``train`` does."""
    x, y = workload.data.split("train")
    plain = workload.loss is F.cross_entropy and workload.correct is correct_classes and not workload.augment
    if not plain or workload.units or x.ndim != 2 or x.dtype.kind != "f" or y.ndim != 1:
        return None
    layers: list[list[int]] = []
    channels, length = x.shape[1], 1
    parameters = size = 0
    try:
        for module in workload.model if isinstance(workload.model, nn.Sequential) else [workload.model]:
            if type(module) in (nn.Linear, nn.Conv1d):
                window, stride, padding = length, 1, 0
                if type(module) is nn.Conv1d:
                    if isinstance(module.padding, str):
                        return None
                    (window,), (stride,), (padding,) = module.kernel_size, module.stride, module.padding
                positions = (length + 2 * padding - window) // stride + 1
                units, row = len(module.get_parameter("weight")), channels * window
                columns = size + (BLOCK * length * channels if length > 1 else 0)
                outputs = columns + BLOCK * positions * row
                shape = [channels, length, window, stride, padding, positions, units, 0]
                layers.append([*shape, parameters, parameters + units * row, size, columns, outputs])
                parameters, size, channels, length = parameters + units * (row + 1), outputs, units, positions
            elif type(module) is nn.ReLU:
                layers[-1][FIELDS.index("relu")] = 1
            elif type(module) is nn.Unflatten:
                channels, length = 1, channels
            elif type(module) is not nn.Flatten:
                return None
        records = np.array([tuple(layer) for layer in layers], LAYER)
        return records if answers_alike(records, workload.model, x.shape[1]) else None
    except (ValueError, TypeError, IndexError, RuntimeError):
        return None


def answers_alike(layers: np.ndarray, model: nn.Module, num_features: int) -> bool:
    """Whether the records give the outputs of the model, all of whose weights are trained."""
    if layers[-1]["relu"] or not all(parameter.requires_grad for parameter in model.parameters()):
        return False
    single, x = initialized(model, 0), torch.linspace(-2, 2, 3 * num_features).view(3, num_features)
    row = as_row(layers, single).numpy()
    answers = forward(layers, row, x.numpy(), np.arange(3), np.zeros(workspace(layers), row.dtype))
    return np.allclose(answers, single(x).detach().numpy(), atol=1e-4)


def workspace(layers: np.ndarray) -> int:
    """Numbers that the activations of one block of samples take."""
    return int(layers[-1]["outputs"] + BLOCK * layers[-1]["units"])


def as_row(layers: np.ndarray, model: nn.Module) -> torch.Tensor:
    """All parameters of a model in one row, a layer's weights in the order of its windows: position, then channel."""
    parts = []
    parameters = [p.detach() for p in model.parameters()]
    for layer, weight, bias in zip(layers, parameters[::2], parameters[1::2]):
        parts += [weight.reshape(layer["units"], layer["channels"], layer["window"]).mT.flatten(), bias]
    return torch.cat(parts)


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
    """The backward pass of ReLU; given the same numbers twice, the forward pass."""
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
    """Summed loss and correct answers; ``slopes`` becomes the gradient of ``scale`` times the sum.

    A class below 0 does not count. Where nothing counts, ``scale`` is infinite, and all is not a number.
    """
    loss, correct = 0.0, 0
    for i in range(len(rows)):
        if classes[rows[i]] < 0:
            slopes[i] = 0 * scale
            loss += 0 * scale
            continue
        answer = outputs[i].argmax()  # of the largest, or of the first that is not a number
        top = outputs[i, answer]
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
def backward(layers, weights, gradient, x, y, rows, scale, work, slopes):
    """Write the gradient of ``scale`` times the summed loss of at most BLOCK samples; return that sum."""
    n = len(rows)
    last = layers[len(layers) - 1]
    loss, _ = cross_entropy(
        forward(layers, weights, x, rows, work), y, rows, scale, matrix(slopes, last.outputs, n, last.units)
    )
    for number in range(len(layers) - 1, -1, -1):
        layer = layers[number]
        width = layer.channels * layer.window
        slope = matrix(slopes, layer.outputs, n * layer.positions, layer.units)
        columns = matrix(work, layer.columns, n * layer.positions, width)
        if number > 0:  # the first layer's inputs are data, which do not learn
            w = matrix(weights, layer.weights, layer.units, width)
            np.dot(slope, w, matrix(slopes, layer.columns, n * layer.positions, width))
            if layer.columns != layer.inputs:
                signal = matrix(slopes, layer.inputs, n, layer.length * layer.channels)
                signal[:] = 0
                copy_windows(layer, signal, matrix(slopes, layer.columns, n * layer.positions, width), True)
            if layers[number - 1].relu:
                end = layer.inputs + n * layer.length * layer.channels
                switch_off(work[layer.inputs : end], slopes[layer.inputs : end])
        np.dot(slope.T, columns, matrix(gradient, layer.weights, layer.units, width))
        biases = gradient[layer.biases : layer.biases + layer.units]
        biases[:] = 0
        for i in range(len(slope)):
            for j in range(len(biases)):
                biases[j] += slope[i, j]
    return loss


@njit(**COMPILED)
def multiply_one(weights, inputs, biases, least, outputs):
    """Outputs of a linear layer for one sample, none below ``least``; four units share each input that is read."""
    units = len(weights)
    for j in range(0, units - 3, 4):
        a, b, c, d = biases[j], biases[j + 1], biases[j + 2], biases[j + 3]
        for k in range(len(inputs)):
            a += weights[j, k] * inputs[k]
            b += weights[j + 1, k] * inputs[k]
            c += weights[j + 2, k] * inputs[k]
            d += weights[j + 3, k] * inputs[k]
        outputs[j], outputs[j + 1], outputs[j + 2], outputs[j + 3] = a, b, c, d
    for j in range(units - units % 4, units):
        a = biases[j]
        for k in range(len(inputs)):
            a += weights[j, k] * inputs[k]
        outputs[j] = a
    for j in range(units):
        outputs[j] = least if outputs[j] < least else outputs[j]


@njit(**COMPILED)
def move_one(weights, biases, slopes, inputs, rate, back):
    """SGD's step of a linear layer for one sample; ``back`` becomes the gradient of its inputs, if it is as long."""
    back[:] = 0
    for j in range(len(slopes)):
        slope, step = slopes[j], rate * slopes[j]
        if slope != 0:  # ReLU switched the others off
            biases[j] -= step
            if len(back) == len(inputs):
                for k in range(len(inputs)):
                    back[k] += slope * weights[j, k]
                    weights[j, k] -= step * inputs[k]
            else:
                for k in range(len(inputs)):
                    weights[j, k] -= step * inputs[k]


@njit(**COMPILED)
def learn_one(layers, weights, x, y, batch, rate, work, slopes):
    """One iteration of plain SGD on a batch of one sample, through linear layers; return its loss.

    It reads the weights twice and writes no gradient. So small a product is done before BLAS has begun.
    """
    number_type = weights.dtype.type
    work[: x.shape[1]] = x[batch[0]]
    for layer in layers:
        w = matrix(weights, layer.weights, layer.units, layer.channels)
        inputs = work[layer.inputs : layer.inputs + layer.channels]
        outputs = work[layer.outputs : layer.outputs + layer.units]
        biases = weights[layer.biases : layer.biases + layer.units]
        multiply_one(w, inputs, biases, number_type(0 if layer.relu else -np.inf), outputs)
    last = layers[len(layers) - 1]
    outputs, slope = matrix(work, last.outputs, 1, last.units), matrix(slopes, last.outputs, 1, last.units)
    loss, _ = cross_entropy(outputs, y, batch, number_type(1), slope)
    for number in range(len(layers) - 1, -1, -1):
        layer = layers[number]
        w = matrix(weights, layer.weights, layer.units, layer.channels)
        inputs = work[layer.inputs : layer.inputs + layer.channels]
        back = slopes[layer.inputs : layer.inputs + (layer.channels if number > 0 else 0)]
        biases = weights[layer.biases : layer.biases + layer.units]
        move_one(w, biases, slopes[layer.outputs : layer.outputs + layer.units], inputs, rate, back)
        if number > 0 and layers[number - 1].relu:
            switch_off(inputs, back)
    return loss


@njit(**COMPILED)
def advance(layers, optimizer, iterations, state, samples, order, batch_size, rates, memory):
    """Train one replica on an order of samples, batch by batch; return its summed loss.

    Its ``state`` is (weights, velocity, squares), ``samples`` are (x, y), ``memory`` is (work, slopes).
    """
    loss = 0.0
    (weights, velocity, squares), (x, y), (work, slopes) = state, samples, memory
    gradient, part = np.empty_like(weights), np.empty_like(weights)
    linear = (layers.columns == layers.inputs).all()
    one_by_one = batch_size == 1 and optimizer.kind == 0 and optimizer.decay == 0 and linear
    for i in range(len(rates)):
        batch = order[i * batch_size : (i + 1) * batch_size]
        if one_by_one:
            loss += learn_one(layers, weights, x, y, batch, rates[i], work, slopes)
        else:
            scale = weights.dtype.type(1 / len(batch))
            loss += backward(layers, weights, gradient, x, y, batch[:BLOCK], scale, work, slopes)
            for start in range(BLOCK, len(batch), BLOCK):
                loss += backward(layers, weights, part, x, y, batch[start : start + BLOCK], scale, work, slopes)
                for k in range(len(part)):
                    gradient[k] += part[k]
            update(optimizer, iterations + i + 1, rates[i], weights, gradient, velocity, squares)
        if loss != loss:
            break  # not a number, as every later one would be
    return loss


@njit(**COMPILED)
def evaluate(layers, weights, samples, memory):
    """Mean loss and accuracy over all samples, (x, y), each weighing the same."""
    loss, correct = 0.0, 0
    (x, y), (work, _) = samples, memory
    rows, scale = np.arange(len(x)), weights.dtype.type(0)
    slopes = np.empty((BLOCK, layers[len(layers) - 1].units), work.dtype)
    for start in range(0, len(x), BLOCK):
        block = rows[start : start + BLOCK]
        more_loss, more_correct = cross_entropy(forward(layers, weights, x, block, work), y, block, scale, slopes)
        loss += more_loss
        correct += more_correct
    return loss / len(x), correct / len(x)


class CompiledReplicas(Replicas):
    """Replicas on one core of the CPU, one after another; a subclass knows one kind of network.

    Attributes
    ----------
    network : numpy.ndarray
        What its compiled functions know of the model.
    memory : tuple of numpy.ndarray
        Room for the activations of a block of samples.
    """

    network: Any
    memory: tuple
    advance_one: Callable  # a function as ``advance`` above
    evaluate_one: Callable  # a function as ``evaluate`` above

    def __init__(self, workload: Workload, recipe: Recipe, seeds: list[int], device: str = "cpu"):
        super().__init__(workload, recipe, seeds, device)
        self.optimizer = as_record(recipe)
        self.network = self.network_of(workload)
        assert self.network is not None  # who makes such replicas has asked
        self.weights = torch.stack([self.as_row(initialized(workload.model, seed)) for seed in seeds])
        self.velocity, self.squares = torch.zeros_like(self.weights), torch.zeros_like(self.weights)
        self.units = workload.num_units(self.samples_of["train"][1]).numpy()
        self.samples_of = {name: self.arrays(x.numpy(), y.numpy()) for name, (x, y) in self.samples_of.items()}
        self.memory = self.room(self.weights.numpy().dtype)

    @staticmethod
    def network_of(workload: Workload) -> Any:
        """What the compiled functions know of the model; None if they would not do what ``train`` does."""
        raise NotImplementedError

    @classmethod
    def products(cls, workload: Workload) -> int:
        """Multiplications that the outputs for one sample take."""
        raise NotImplementedError

    def as_row(self, model: nn.Module) -> torch.Tensor:
        """All parameters of a model in one row."""
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    def arrays(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
        """Samples as the compiled functions read them."""
        return x, y

    def room(self, dtype: np.dtype) -> tuple:
        """``memory``, empty."""
        raise NotImplementedError

    def advance(self, orders: np.ndarray, which: np.ndarray, batch_size: int, rates: np.ndarray, rngs=None):
        rates = rates.astype(self.weights.numpy().dtype)
        for r, row in enumerate(which):
            state = (self.weights[r].numpy(), self.velocity[r].numpy(), self.squares[r].numpy())
            work = (self.samples_of["train"], orders[row], batch_size, rates[r], self.memory)
            self.losses[r] += self.advance_one(self.network, self.optimizer[0], self.iterations, state, *work)
        self.counted += torch.from_numpy(self.units[orders].sum(1)[which])
        self.iterations += rates.shape[1]

    def mean_loss(self, split: str) -> tuple[list[float], list[float]]:
        samples = tuple(array[: TRAINING_SAMPLES if split == "train" else None] for array in self.samples_of[split])
        found = [self.evaluate_one(self.network, row, samples, self.memory) for row in self.weights.numpy()]
        losses, accuracies = zip(*found)
        return list(losses), list(accuracies)


class KernelReplicas(CompiledReplicas):
    """Replicas of a network of Linear, Conv1d and ReLU layers."""

    advance_one, evaluate_one = staticmethod(advance), staticmethod(evaluate)

    @staticmethod
    def network_of(workload: Workload) -> np.ndarray | None:
        return as_layers(workload)

    @classmethod
    def products(cls, workload: Workload) -> int:
        layers: Any = cls.network_of(workload)
        return int((layers["units"] * layers["positions"] * layers["channels"] * layers["window"]).sum())

    def as_row(self, model: nn.Module) -> torch.Tensor:
        return as_row(self.network, model)

    def room(self, dtype: np.dtype) -> tuple:
        return tuple(np.zeros((2, workspace(self.network)), dtype))
