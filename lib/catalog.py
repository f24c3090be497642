"""The course's workloads, by name: networks and samples of several kinds, all made offline."""

import numpy as np
import torch

from lib import models
from lib.data import Dataset, digits, mnist1d
from lib.language import language
from lib.sampling import generator
from lib.texts import windows
from lib.transformer import Transformer
from lib.workload import Workload, classification, next_token, regression


def mlp() -> Workload:
    """The course's own: a multilayer perceptron on MNIST-1D."""
    return classification(models.mlp(), mnist1d())


def cnn() -> Workload:
    """The 1-D convolutional network of the MNIST-1D paper."""
    return classification(models.cnn(), mnist1d())


def logistic() -> Workload:
    """Logistic regression on scikit-learn's digits: a convex loss."""
    return classification(models.logistic(64), digits())


def batch_norm() -> Workload:
    """A convolutional network with batch normalisation on MNIST-1D, its curves shifted and made noisy at random."""
    return classification(models.cnn(batch_norm=True), mnist1d().hold_out(1_000), augment=shifted_and_noisy)


def shifted_and_noisy(curves: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Each curve moved by up to three points around a circle, with a little noise."""
    places = np.arange(curves.shape[1]) + rng.integers(-3, 4, (len(curves), 1))
    moved = curves.gather(1, torch.from_numpy(places % curves.shape[1]).to(curves.device))
    return moved + torch.from_numpy(rng.normal(0, 0.1, tuple(curves.shape))).to(moved)


def friedman(num_train: int = 4_000, num_held: int = 1_000, seed: int = 0) -> Workload:
    """A regression: ten features, of which five matter (Friedman 1991, "Multivariate Adaptive Regression Splines")."""
    rng = generator(seed)
    x = rng.uniform(size=(num_train + 2 * num_held, 10))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    y = (y + rng.normal(size=len(y)) - 14.4) / 5  # about mean 0 and standard deviation 1
    inputs, targets = x.astype(np.float32), y.astype(np.float32)[:, None]
    train, held = slice(num_train), slice(num_train, None)
    data = Dataset("Friedman's function", inputs[train], targets[train], inputs[held], targets[held])
    return regression(models.mlp(10, 50, 50, 1), data.hold_out(num_held))


def tokens(num_train: int = 1_000, num_held: int = 200, length: int = 32, seed: int = 0) -> Workload:
    """Next tokens of the course's synthetic language, rows of one stream, by a small transformer."""
    x, y = windows(language().stream((num_train + 2 * num_held) * length + 1, seed), length)
    data = Dataset("Synthetic language", x[:num_train], y[:num_train], x[num_train:], y[num_train:])
    return next_token(Transformer(language().vocabulary, length), data.hold_out(num_held))


WORKLOADS = {
    "mlp": mlp,
    "cnn": cnn,
    "logistic": logistic,
    "batch-norm": batch_norm,
    "friedman": friedman,
    "tokens": tokens,
}


def named(name: str) -> Workload:
    """A workload of the course.

    Raises
    ------
    ValueError
        There is none of this name.
    """
    if name not in WORKLOADS:
        raise ValueError(f"workload is {name!r}, but it must be one of {', '.join(map(repr, WORKLOADS))}.")
    return WORKLOADS[name]()
