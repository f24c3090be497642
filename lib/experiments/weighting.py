"""What the mean of an iteration is taken over: tokens, documents, or micro-batches of unequal size."""

import copy
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from lib.data import Dataset
from lib.experiments.packing import in_float32, lengths_of, losses, trained
from lib.experiments.search import tuned
from lib.language import Language, language
from lib.sampling import generator
from lib.texts import rows_of_documents
from lib.transformer import Transformer
from lib.workload import Workload, next_token

LENGTH, MEAN = 96, 24  # places of a row; words of a document, about, whatever their spread
TRAINING, HELD = 3_200, 300  # documents for training; for choosing, and for reporting
MEASURED = 300  # training documents whose gradients are looked at one by one
MICRO_BATCHES, BATCH_SIZE = 8, 2  # of an iteration, and documents of each
WEIGHTINGS = ("token", "micro-batch", "document")
DRAWS = 4  # stream of a seed, beside those of lib.sampling


def language_of(spread: float) -> Language:
    """The course's language with documents of such lengths."""
    return language(lengths=lengths_of(spread, MEAN, LENGTH - 1))


def token_means(losses: torch.Tensor, counts: torch.Tensor, groups: int) -> torch.Tensor:
    """Mean loss over the tokens of each group of documents: the rows in order, ``groups`` equally large parts."""
    return losses.reshape(groups, -1).sum(1) / counts.reshape(groups, -1).sum(1)


def loss_by(weighting: str, micro_batches: int = MICRO_BATCHES) -> Callable:
    """The loss of one iteration as a trainer with this weighting adds it up over its micro-batches.

    The documents of an iteration are one batch here, and its consecutive parts are the
    micro-batches (or the devices). "token": one mean over all tokens. "micro-batch": the mean of
    the micro-batches' means. "document": the mean of the documents' means.
    """

    def loss(outputs, targets):
        counts = (targets >= 0).to(outputs.dtype)
        each = F.cross_entropy(outputs.flatten(0, 1), targets.flatten().clamp(min=0), reduction="none")
        groups = {"token": 1, "micro-batch": micro_batches, "document": len(targets)}[weighting]
        return token_means(each.view(targets.shape) * counts, counts, groups).mean()

    return loss


def workload_of(spread: float) -> Workload:
    """Documents one a row; the loss is a mean over tokens."""
    speech = language_of(spread)
    x, y = rows_of_documents(speech.documents(TRAINING, seed=0), int(speech.lengths.max()) + 1)
    model = Transformer(speech.vocabulary, LENGTH)
    return next_token(model, Dataset("documents", x[:, 0], y, x[:0, 0], y[:0]))


# The gradient of one iteration -----------------------------------------------------------------


def document_gradients(workload: Workload, model: Transformer, chunk: int = 25) -> tuple[torch.Tensor, torch.Tensor]:
    """For each of the first training documents the gradient of the sum of its tokens' losses, and their number.

    Returns
    -------
    torch.Tensor, shape (documents, weights), and torch.Tensor, shape (documents,)
    """
    named = dict(model.named_parameters())
    x, y = (torch.from_numpy(part[:MEASURED]) for part in (workload.data.x_train, workload.data.y_train))
    gradients = []
    for rows, targets in zip(x.split(chunk), y.split(chunk)):
        width = int((targets >= 0).sum(1).max())  # padding behind the longest changes nothing
        rows, targets = rows[:, :width], targets[:, :width]
        own = {
            name: part.detach().expand(len(rows), *part.shape).clone().requires_grad_() for name, part in named.items()
        }
        scores = model.stacked(own, rows[:, None])[:, 0]  # a replica for each document
        loss = F.cross_entropy(scores.flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="sum")
        gradients.append(torch.cat([part.flatten(1) for part in torch.autograd.grad(loss, list(own.values()))], 1))
    return torch.cat(gradients), (y >= 0).sum(1)


def iteration_weights(counts: np.ndarray, draws: np.ndarray, weighting: str) -> np.ndarray:
    """What each document's summed gradient is multiplied by in an iteration, for a mean taken in this way.

    Parameters
    ----------
    counts : numpy.ndarray, shape (documents,)
    draws : numpy.ndarray of int, shape (draws, micro-batches, documents of one)
    weighting : {"token", "micro-batch", "document"}

    Returns
    -------
    numpy.ndarray, shape of ``draws``; for each draw the sum of weights times counts is 1.
    """
    drawn = counts[draws]
    axes = {"token": (1, 2), "micro-batch": 2, "document": ()}[weighting]
    tokens = drawn.sum(axes, keepdims=True) if axes else drawn
    means = {"token": 1, "micro-batch": drawn.shape[1], "document": drawn.shape[1] * drawn.shape[2]}[weighting]
    return np.broadcast_to(1 / (means * tokens), drawn.shape)


def gradient_errors(
    spread: float, batch_sizes: list[int], iterations: int, rate: float, seeds: list[int], draws: int
) -> list[dict]:
    """How far an iteration's gradient is from its mean over tokens, and from that of all documents.

    A row a seed and number of documents of a micro-batch. ``error``: root mean square of the distance
    between the mean of means and the mean over tokens of the same documents. ``document error``: the
    same for the mean over documents. ``noise``: that between an iteration's mean over tokens and the
    one over all tokens of ``MEASURED`` documents. ``bias``: what is left of the error if it is averaged
    over many iterations. All are in units of the length of the gradient of all these tokens.
    """
    workload, number = workload_of(spread), MICRO_BATCHES * BATCH_SIZE
    replicas = trained(workload, number, [rate], seeds, iterations)
    model: Any = copy.deepcopy(workload.model)
    rows = []
    for weights, seed in zip(replicas.weights, seeds):
        nn.utils.vector_to_parameters(weights, model.parameters())
        gradients, tokens = document_gradients(workload, model)
        random = generator(seed, DRAWS)
        chosen = np.stack([random.permutation(MEASURED)[:number] for _ in range(draws)])
        here = {"spread": spread, "iteration": iterations, "seed": seed}
        rows += [here | row for row in _errors(gradients, tokens, chosen, batch_sizes)]
    return rows


def _errors(gradients: torch.Tensor, tokens: torch.Tensor, chosen: np.ndarray, batch_sizes: list[int]) -> list[dict]:
    """The errors of iterations that take the documents ``chosen``, shape (draws, documents)."""
    counts, whole, draws = tokens.numpy(), gradients.sum(0) / tokens.sum(), len(chosen)

    def of_iterations(weighting, batch_size):
        weights: Any = iteration_weights(counts, chosen.reshape(draws, -1, batch_size), weighting)
        weights = torch.tensor(weights.reshape(draws, -1), dtype=gradients.dtype)
        return F.embedding_bag(torch.from_numpy(chosen), gradients, per_sample_weights=weights, mode="sum")

    def size(vectors):
        return float(vectors.square().sum(1).mean().sqrt() / whole.norm())

    exact = of_iterations("token", chosen.shape[1])
    same = {"document error": size(of_iterations("document", chosen.shape[1]) - exact), "noise": size(exact - whole)}
    rows = []
    for batch_size in batch_sizes:
        wrong = of_iterations("micro-batch", batch_size) - exact
        error = size(wrong)
        left = size(wrong.mean(0, keepdim=True)) ** 2 - error**2 / draws  # without what chance leaves of it
        row = {"batch_size": batch_size, "deviation": float(counts.std() / counts.mean()), "error": error}
        rows.append(row | same | {"bias": max(left, 0.0) ** 0.5})
    return rows


# Its effect on a run ----------------------------------------------------------------------------


def one_weighting(
    weighting: str, spread: float, iterations: int, guess: float, seeds: list[int], fresh_seeds: list[int]
) -> list[pd.DataFrame]:
    """Runs with one weighting at its own best rate, seen on test documents by two means."""
    workload, number = workload_of(spread).but(loss=loss_by(weighting)), MICRO_BATCHES * BATCH_SIZE
    chosen_on, reported_on = (rows_of_documents(language_of(spread).documents(HELD, seed), LENGTH) for seed in (1, 2))

    def runs_at(rates):
        replicas = trained(workload, number, rates, seeds, iterations)
        grid = pd.DataFrame([(rate, seed) for seed in seeds for rate in rates], columns=["learning_rate", "seed"])
        return grid.assign(score=losses(replicas, chosen_on[0][:, 0], chosen_on[1]))

    found = tuned(runs_at, guess, points=5)
    replicas = trained(workload, number, [found.rate], fresh_seeds, iterations)
    x, y = reported_on[0][:, 0], reported_on[1]
    own = np.stack([losses(replicas, x[row : row + 1], y[row : row + 1]) for row in range(len(x))])
    counts = (y >= 0).sum(1)
    runs = pd.DataFrame(
        {
            "weighting": weighting,
            "learning_rate": found.rate,
            "seed": fresh_seeds,
            "token loss": counts @ own / counts.sum(),
            "document loss": own.mean(0),
        }
    )
    return [runs, found.grid.assign(weighting=weighting)[["weighting", "learning_rate", "seed", "score"]]]


def all_parts(
    spreads: list[float],
    batch_sizes: list[int],
    iterations: list[int],
    draws: int,
    guess: float,
    seeds: list[int],
    fresh_seeds: list[int],
) -> dict[str, pd.DataFrame]:
    """Errors of one iteration's gradient against the spread of lengths, and runs with three weightings.

    Returns
    -------
    dict with the tables
        ``errors``: see :func:`gradient_errors`; a row a spread, iteration, fresh seed and micro-batch size.
        ``runs``: a row a weighting and fresh seed, at the largest spread: ``token loss`` and ``document
        loss`` of test documents, means over tokens and over documents.
        ``grid``: every run that a learning rate was chosen by, on other documents' token loss.
    """
    jobs = [
        joblib.delayed(in_float32)(one_weighting, weighting, max(spreads), max(iterations), guess, seeds, fresh_seeds)
        for weighting in WEIGHTINGS
    ]
    jobs += [
        joblib.delayed(in_float32)(gradient_errors, spread, batch_sizes, number, guess, fresh_seeds, draws)
        for spread in spreads
        for number in iterations
    ]
    parts = joblib.Parallel(n_jobs=-1)(jobs)
    runs, grids = zip(*parts[: len(WEIGHTINGS)])
    return {
        "errors": pd.DataFrame(sum(parts[len(WEIGHTINGS) :], [])),
        "runs": pd.concat(runs, ignore_index=True),
        "grid": pd.concat(grids, ignore_index=True),
    }
