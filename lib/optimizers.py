"""One step of an optimizer on a flat row of weights, compiled: one pass over memory instead of one an operation."""

import math
from typing import Any

import numpy as np
from numba import njit

from lib.recipe import OPTIMIZERS, Recipe

EPSILON = 1e-8  # of Adam, PyTorch's default
COMPILED: dict[str, Any] = dict(
    cache=True, nogil=True, boundscheck=False, error_model="numpy", fastmath={"reassoc", "contract", "nsz"}
)
OPTIMIZER = np.dtype([("kind", np.int64), *((name, float) for name in ("momentum", "beta1", "beta2", "decay"))])


def as_record(recipe: Recipe) -> np.ndarray:
    """A recipe's optimizer as one ``OPTIMIZER`` record; its kind is its number in ``OPTIMIZERS``."""
    kind = OPTIMIZERS.index(recipe.optimizer)
    return np.array([(kind, recipe.momentum, *recipe.betas, recipe.weight_decay)], OPTIMIZER)


@njit(**COMPILED)
def update(optimizer, iteration, rate, weights, gradient, velocity, squares):
    """One step of an optimizer, as in ``torch.optim``."""
    number = weights.dtype.type
    momentum, decay = number(optimizer.momentum), number(optimizer.decay)
    if optimizer.kind == 4:  # AdamW takes the decay off the weights
        for k in range(len(weights)):
            weights[k] -= rate * decay * weights[k]
    elif decay > 0:
        for k in range(len(weights)):
            gradient[k] += decay * weights[k]
    if optimizer.kind == 0:
        for k in range(len(weights)):
            weights[k] -= rate * gradient[k]
    elif optimizer.kind < 3:
        for k in range(len(weights)):
            velocity[k] = momentum * velocity[k] + gradient[k]
            ahead = gradient[k] + momentum * velocity[k] if optimizer.kind == 2 else velocity[k]
            weights[k] -= rate * ahead
    else:
        beta1, beta2, epsilon = number(optimizer.beta1), number(optimizer.beta2), number(EPSILON)
        step = number(rate / (1 - optimizer.beta1**iteration))
        correction = number(math.sqrt(1 - optimizer.beta2**iteration))
        for k in range(len(weights)):
            velocity[k] += (1 - beta1) * (gradient[k] - velocity[k])
            squares[k] = beta2 * squares[k] + (1 - beta2) * gradient[k] * gradient[k]
            weights[k] -= step * velocity[k] / (math.sqrt(squares[k]) / correction + epsilon)


@njit(**COMPILED)
def update_each(optimizer, iteration, rates, weights, gradient, velocity, squares):
    """One step for each of several rows of weights, at a rate of its own."""
    for r in range(len(rates)):
        update(optimizer, iteration, rates[r], weights[r], gradient[r], velocity[r], squares[r])
