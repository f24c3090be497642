"""Replicas of a transformer on one core of the CPU: compiled, as ``lib.kernel_replicas`` are.

The network is ``lib.transformer.Transformer``. One replica runs after another, and a batch in blocks of rows whose
activations stay in the cache: a large stack of replicas spends as much time on fetching numbers as on arithmetic.
The gradient is written by hand, and products are BLAS's. It does what ``lib.training.train`` does.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from torch import nn

from lib.kernel_replicas import CompiledReplicas, cross_entropy, matrix, switch_off
from lib.models import initialized
from lib.optimizers import COMPILED, update
from lib.transformer import Transformer
from lib.workload import Workload, correct_tokens, counted_tokens, token_loss

BLOCK = 256  # tokens whose activations fit the processor's cache
SHAPE = np.dtype([(name, np.int64) for name in ("vocabulary", "length", "width", "heads", "layers", "mask", "reset")])
EPSILON = 1e-6  # of lib.transformer.norm


class Activations(NamedTuple):
    """What the backward pass needs of a block of rows; N tokens, D the width."""

    normal: np.ndarray  # (2 layers + 2, N, D): what each normalisation makes
    scale: np.ndarray  # (2 layers + 2, N): what it multiplies by
    heads: np.ndarray  # (layers, rows, 3, heads, T, D / heads): queries, keys and values
    attention: np.ndarray  # (layers, rows, heads, T, T)
    read: np.ndarray  # (layers, N, D): what attention has read
    wide: np.ndarray  # (layers, N, 4 D)
    scores: np.ndarray  # (N, vocabulary)
    slopes: np.ndarray  # (N, vocabulary): the gradient of the scores


def shape_of(workload: Workload) -> Any:
    """A workload's transformer as a ``SHAPE`` record; None if the kernel would not do what ``train`` does."""
    model: Any = workload.model
    data = workload.data
    plain = workload.loss is token_loss and workload.correct is correct_tokens and workload.units is counted_tokens
    if type(model) is not Transformer or not plain or workload.augment or has_hooks(model):
        return None
    if torch.get_default_dtype() not in (torch.float32, torch.float64):
        return None
    if not all(parameter.requires_grad for parameter in model.parameters()):
        return None
    (vocabulary, width), length, here = model.token.weight.shape, len(model.place.weight), data.y_train.shape[1]
    for name in ("train", "validation", "test"):
        x, y = data.split(name)
        if not len(x):
            continue
        tokens = x[:, 0] if x.ndim == 3 else x
        if y.shape[1:] != (here,) or x.shape[1:] not in ((here,), (2, here)) or here > length:
            return None
        if x.dtype.kind != "i" or y.dtype.kind != "i" or tokens.min() < 0 or max(tokens.max(), y.max()) >= vocabulary:
            return None  # the model says so; the kernel would read beside its tables
    values = (vocabulary, length, width, model.heads, model.layers, bool(model.mask), bool(model.reset))
    shape = np.array([values], SHAPE)[0]
    return shape if answers_alike(shape, model, data.x_train[:2]) else None


def has_hooks(model: nn.Module) -> bool:
    """Whether something is called beside a model's own forward or backward pass."""
    names = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(module, name) for module in model.modules() for name in names)


def answers_alike(shape: Any, model: Transformer, x: np.ndarray) -> bool:
    """Whether the kernel knows all weights of the model, and gives its scores."""
    single = initialized(model, 0)
    row = torch.cat([p.detach().flatten() for p in single.parameters()]).numpy()
    if len(row) != (2 * shape["vocabulary"] + shape["length"] + 12 * shape["width"] * shape["layers"]) * shape["width"]:
        return False
    tokens, documents = tokens_and_documents(x)
    memory = activations(shape, len(tokens), tokens.shape[1], row.dtype)
    scores, expected = forward(shape, row, tokens, documents, memory), single(torch.from_numpy(x)).detach().numpy()
    return scores.size == expected.size and np.allclose(scores, expected.reshape(scores.shape), atol=1e-4)


def tokens_and_documents(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of tokens, and of the numbers of their documents: without such numbers a row is one document."""
    x = x.astype(np.int64)
    parts = (x[:, 0], x[:, 1]) if x.ndim == 3 else (x, np.zeros_like(x))
    return np.ascontiguousarray(parts[0]), np.ascontiguousarray(parts[1])


def activations(shape: Any, rows: int, length: int, dtype: np.dtype) -> Activations:
    """Room for the activations of some rows of T = ``length`` tokens."""
    width, heads, layers, tokens = shape["width"], shape["heads"], shape["layers"], rows * length
    return Activations(
        normal=np.zeros((2 * layers + 2, tokens, width), dtype),
        scale=np.zeros((2 * layers + 2, tokens), dtype),
        heads=np.zeros((layers, rows, 3, heads, length, width // heads), dtype),
        attention=np.zeros((layers, rows, heads, length, length), dtype),
        read=np.zeros((layers, tokens, width), dtype),
        wide=np.zeros((layers, tokens, 4 * width), dtype),
        scores=np.zeros((tokens, shape["vocabulary"]), dtype),
        slopes=np.zeros((tokens, shape["vocabulary"]), dtype),
    )


@njit(**COMPILED)
def weights_of(shape, row, layer):
    """Matrices of a layer in a replica's row of weights: attend, mix, widen, narrow; views, as all of these are."""
    width = shape.width
    start = (shape.vocabulary + shape.length + 12 * width * layer) * width
    return (
        matrix(row, start, 3 * width, width),
        matrix(row, start + 3 * width * width, width, width),
        matrix(row, start + 4 * width * width, 4 * width, width),
        matrix(row, start + 8 * width * width, width, 4 * width),
    )


@njit(**COMPILED)
def tables_of(shape, row):
    """Tables of tokens and places, and the matrix that makes the scores, in a replica's row of weights."""
    vocabulary, length, width = shape.vocabulary, shape.length, shape.width
    return (
        matrix(row, 0, vocabulary, width),
        matrix(row, vocabulary * width, length, width),
        matrix(row, (vocabulary + length + 12 * width * shape.layers) * width, vocabulary, width),
    )


@njit(**COMPILED)
def place_after(place, documents, t, reset):
    """The place of token t of a row, if the one before it was at ``place``."""
    return 0 if t == 0 or (reset and documents[t] != documents[t - 1]) else place + 1


@njit(**COMPILED)
def embed(shape, token, place, tokens, documents, x):
    """The sum of each token's entry and its place's."""
    rows, length = tokens.shape
    for i in range(rows):
        at = 0
        for t in range(length):
            at = place_after(at, documents[i], t, shape.reset)
            for k in range(shape.width):
                x[i * length + t, k] = token[tokens[i, t], k] + place[at, k]


@njit(**COMPILED)
def embed_back(shape, token, place, tokens, documents, slopes):
    """Add the gradient of the sums to that of the tables."""
    rows, length = tokens.shape
    for i in range(rows):
        at = 0
        for t in range(length):
            at = place_after(at, documents[i], t, shape.reset)
            for k in range(shape.width):
                token[tokens[i, t], k] += slopes[i * length + t, k]
                place[at, k] += slopes[i * length + t, k]


@njit(**COMPILED)
def normalize(x, normal, scale):
    """``lib.transformer.norm``; ``scale`` becomes what each token was multiplied by."""
    width = x.shape[1]
    for i in range(len(x)):
        squares = x.dtype.type(0)
        for k in range(width):
            squares += x[i, k] * x[i, k]
        scale[i] = 1 / math.sqrt(squares / width + EPSILON)
        for k in range(width):
            normal[i, k] = x[i, k] * scale[i]


@njit(**COMPILED)
def normalize_back(normal, scale, slopes, x_slopes):
    """Add the gradient of what was normalised, by the gradient of what came out."""
    width = slopes.shape[1]
    for i in range(len(slopes)):
        along = slopes.dtype.type(0)
        for k in range(width):
            along += slopes[i, k] * normal[i, k]
        along /= width
        for k in range(width):
            x_slopes[i, k] += scale[i] * (slopes[i, k] - normal[i, k] * along)


@njit(**COMPILED)
def attend(shape, parts, documents, heads, attention, read):
    """What each token reads in those before it, in its own document if ``mask``."""
    rows, length = documents.shape
    size, width = heads.shape[4], shape.width
    factor, out = parts.dtype.type(1 / math.sqrt(size)), np.empty((length, size), parts.dtype)
    for i in range(rows):
        here = parts[i * length : (i + 1) * length]
        for h in range(shape.heads):
            for part in range(3):
                heads[i, part, h] = here[:, part * width + h * size : part * width + (h + 1) * size]
            np.dot(heads[i, 0, h], heads[i, 1, h].T, attention[i, h])
            softmax(attention[i, h], documents[i], shape.mask, factor)
            np.dot(attention[i, h], heads[i, 2, h], out)
            read[i * length : (i + 1) * length, h * size : (h + 1) * size] = out


@njit(**COMPILED)
def softmax(products, documents, mask, factor):
    """Scaled products of one head become its attention: nothing for later tokens, or another document's."""
    for t in range(len(products)):
        row = products[t]
        if mask:
            for j in range(t + 1):
                row[j] = row[j] if documents[j] == documents[t] else -factor / 0
        top = row[t] * factor
        for j in range(t):
            top = row[j] * factor if row[j] * factor > top else top
        total = products.dtype.type(0)
        for j in range(t + 1):
            row[j] = math.exp(row[j] * factor - top)
            total += row[j]
        for j in range(len(row)):
            row[j] = row[j] / total if j <= t else 0


@njit(**COMPILED)
def attend_back(heads, attention, read_slopes, parts_slopes):
    """The gradient of queries, keys and values, by that of what was read."""
    rows, _, number, length, size = heads.shape
    width = number * size
    number_type = read_slopes.dtype
    factor = number_type.type(1 / math.sqrt(size))
    out, back = np.empty((length, size), number_type), np.empty((3, length, size), number_type)
    slopes = np.empty((length, length), number_type)
    for i in range(rows):
        for h in range(number):
            chances = attention[i, h]
            out[:] = read_slopes[i * length : (i + 1) * length, h * size : (h + 1) * size]
            np.dot(out, heads[i, 2, h].T, slopes)
            for t in range(length):
                mean = number_type.type(0)
                for j in range(t + 1):
                    mean += chances[t, j] * slopes[t, j]
                for j in range(length):
                    slopes[t, j] = factor * chances[t, j] * (slopes[t, j] - mean)
            np.dot(slopes, heads[i, 1, h], back[0])
            np.dot(slopes.T, heads[i, 0, h], back[1])
            np.dot(chances.T, out, back[2])
            for part in range(3):
                columns = slice(part * width + h * size, part * width + (h + 1) * size)
                parts_slopes[i * length : (i + 1) * length, columns] = back[part]


@njit(**COMPILED)
def forward(shape, weights, tokens, documents, memory):
    """Scores of some rows of tokens; leaves all activations in ``memory``."""
    n, width = tokens.size, shape.width
    token, place, scores = tables_of(shape, weights)
    x, change = np.empty((n, width), weights.dtype), np.empty((n, width), weights.dtype)
    parts = np.empty((n, 3 * width), weights.dtype)
    embed(shape, token, place, tokens, documents, x)
    normalize(x, memory.normal[0], memory.scale[0])
    x[:] = memory.normal[0, :n]
    for layer in range(shape.layers):
        to_parts, mix, widen, narrow = weights_of(shape, weights, layer)
        normal, normal_wide = memory.normal[2 * layer + 1, :n], memory.normal[2 * layer + 2, :n]
        read, wide = memory.read[layer, :n], memory.wide[layer, :n]
        normalize(x, normal, memory.scale[2 * layer + 1])
        np.dot(normal, to_parts.T, parts)
        attend(shape, parts, documents, memory.heads[layer], memory.attention[layer], read)
        np.dot(read, mix.T, change)
        x += change
        normalize(x, normal_wide, memory.scale[2 * layer + 2])
        np.dot(normal_wide, widen.T, wide)
        switch_off(wide.reshape(wide.size), wide.reshape(wide.size))
        np.dot(wide, narrow.T, change)
        x += change
    last = 2 * shape.layers + 1
    normalize(x, memory.normal[last], memory.scale[last])
    np.dot(memory.normal[last, :n], scores.T, memory.scores[:n])
    return memory.scores[:n]


@njit(**COMPILED)
def backward(shape, weights, gradient, tokens, documents, targets, scale, memory):
    """Write the gradient of ``scale`` times the summed loss of a block of rows; return that sum."""
    n, width = tokens.size, shape.width
    slopes = memory.slopes[:n]
    outputs = forward(shape, weights, tokens, documents, memory)
    loss, _ = cross_entropy(outputs, targets.reshape(n), np.arange(n), scale, slopes)
    _, _, scores = tables_of(shape, weights)
    token_gradient, place_gradient, scores_gradient = tables_of(shape, gradient)
    number = weights.dtype
    back, x_slopes = np.empty((n, width), number), np.zeros((n, width), number)
    parts_slopes, wide_slopes = np.empty((n, 3 * width), number), np.empty((n, 4 * width), number)

    last = 2 * shape.layers + 1
    np.dot(slopes.T, memory.normal[last, :n], scores_gradient)
    np.dot(slopes, scores, back)
    normalize_back(memory.normal[last], memory.scale[last], back, x_slopes)
    for layer in range(shape.layers - 1, -1, -1):
        to_parts, mix, widen, narrow = weights_of(shape, weights, layer)
        parts_gradient, mix_gradient, widen_gradient, narrow_gradient = weights_of(shape, gradient, layer)
        normal, normal_wide = memory.normal[2 * layer + 1, :n], memory.normal[2 * layer + 2, :n]
        wide = memory.wide[layer, :n]
        np.dot(x_slopes.T, wide, narrow_gradient)
        np.dot(x_slopes, narrow, wide_slopes)
        switch_off(wide.reshape(wide.size), wide_slopes.reshape(wide.size))
        np.dot(wide_slopes.T, normal_wide, widen_gradient)
        np.dot(wide_slopes, widen, back)
        normalize_back(normal_wide, memory.scale[2 * layer + 2], back, x_slopes)

        np.dot(x_slopes.T, memory.read[layer, :n], mix_gradient)
        np.dot(x_slopes, mix, back)
        attend_back(memory.heads[layer, : len(tokens)], memory.attention[layer], back, parts_slopes)
        np.dot(parts_slopes.T, normal, parts_gradient)
        np.dot(parts_slopes, to_parts, back)
        normalize_back(normal, memory.scale[2 * layer + 1], back, x_slopes)
    back[:] = 0
    normalize_back(memory.normal[0], memory.scale[0], x_slopes, back)
    token_gradient[:], place_gradient[:] = 0, 0
    embed_back(shape, token_gradient, place_gradient, tokens, documents, back)
    return loss


@njit(**COMPILED)
def advance(shape, optimizer, iterations, state, samples, order, batch_size, rates, memory):
    """Train one replica on an order of rows, batch by batch; return its summed loss.

    Its ``state`` is (weights, velocity, squares), ``samples`` are (tokens, documents, targets).
    """
    loss = 0.0
    (weights, velocity, squares), (tokens, documents, targets) = state, samples
    gradient, part = np.empty_like(weights), np.empty_like(weights)
    block = memory.heads.shape[1]
    for i in range(len(rates)):
        batch = order[i * batch_size : (i + 1) * batch_size]
        counted = 0
        for row in batch:
            counted += (targets[row] >= 0).sum()
        scale = weights.dtype.type(1) / weights.dtype.type(counted)
        for start in range(0, len(batch), block):
            rows = batch[start : start + block]
            into = part if start else gradient
            loss += backward(shape, weights, into, tokens[rows], documents[rows], targets[rows], scale, memory)
            if start:
                for k in range(len(part)):
                    gradient[k] += part[k]
        update(optimizer, iterations + i + 1, rates[i], weights, gradient, velocity, squares)
        if loss != loss:
            break  # not a number, as every later one would be
    return loss


@njit(**COMPILED)
def evaluate(shape, weights, samples, memory):
    """Mean loss and accuracy over all tokens that count, each weighing the same."""
    loss, correct, counted = 0.0, 0, 0
    tokens, documents, targets = samples
    block, scale = memory.heads.shape[1], weights.dtype.type(0)
    for start in range(0, len(tokens), block):
        rows = slice(start, start + block)
        outputs = forward(shape, weights, tokens[rows], documents[rows], memory)
        answers = targets[rows].reshape(len(outputs))
        more_loss, more_correct = cross_entropy(outputs, answers, np.arange(len(outputs)), scale, memory.slopes)
        loss += more_loss
        correct += more_correct
        counted += (answers >= 0).sum()
    if counted == 0:
        return 0.0, 0.0
    return loss / counted, correct / counted


class TransformerReplicas(CompiledReplicas):
    """Replicas of a transformer."""

    advance_one, evaluate_one = staticmethod(advance), staticmethod(evaluate)

    @staticmethod
    def network_of(workload: Workload) -> Any:
        return shape_of(workload)

    @classmethod
    def products(cls, workload: Workload) -> int:
        model: Any = workload.model
        length = workload.data.y_train.shape[1]
        weights = sum(p.numel() for p in model.parameters())
        return length * (weights + 2 * model.layers * length * model.token.weight.shape[1])

    def arrays(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
        return *tokens_and_documents(x), np.ascontiguousarray(y)

    def room(self, dtype: np.dtype) -> Activations:
        length = self.workload.data.y_train.shape[1]
        return activations(self.network, max(1, BLOCK // length), length, dtype)
