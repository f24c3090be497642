"""The course's workloads, by name: networks and samples of several kinds, all made offline."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from lib import models
from lib.data import Dataset, digits, mnist1d
from lib.sampling import generator
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
    """Next tokens of a language of 16 words, each of which depends on the two before it, by a small transformer."""
    rng = generator(seed)
    likely = rng.dirichlet(np.full(16, 0.2), size=(16, 16)).cumsum(-1)
    rows = np.zeros((num_train + 2 * num_held, length + 1), np.int64)
    rows[:, :2] = rng.integers(16, size=(len(rows), 2))
    for t in range(2, length + 1):
        draws = rng.uniform(size=(len(rows), 1))
        rows[:, t] = (likely[rows[:, t - 2], rows[:, t - 1]] < draws).sum(1).clip(max=15)
    x, y = rows[:, :-1], rows[:, 1:]
    data = Dataset("Two-word language", x[:num_train], y[:num_train], x[num_train:], y[num_train:])
    return next_token(Transformer(16, length), data.hold_out(num_held))


class Transformer(nn.Module):
    """One block of causal attention with an MLP, between an embedding and its words' scores."""

    def __init__(self, num_words: int, length: int, width: int = 32, heads: int = 4):
        super().__init__()
        self.heads = heads
        self.word, self.place = nn.Embedding(num_words, width), nn.Embedding(length, width)
        self.query_key_value, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        self.scores = nn.Linear(width, num_words)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """Scores of shape (samples, T, words) for ``words`` of shape (samples, T)."""
        x = self.word(words) + self.place.weight[: words.shape[1]]
        x = x + self.mix(self.attention(self.query_key_value(self.before_attention(x))))
        return self.scores(x + self.mlp(self.before_mlp(x)))

    def attention(self, x: torch.Tensor) -> torch.Tensor:
        samples, length, width = x.shape
        query, key, value = x.view(samples, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        later = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        weights = (query @ key.mT / query.shape[-1] ** 0.5).masked_fill(later, -torch.inf)
        return (F.softmax(weights, -1) @ value).transpose(1, 2).reshape(samples, length, width // 3)


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
