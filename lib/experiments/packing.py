"""Documents in batches: one a row, or packed, with and without a mask between documents and places that start again."""

import copy
import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch

from lib.data import Dataset
from lib.experiments.search import tuned
from lib.experiments.tokens import BETAS, default_dtype, replicas_of
from lib.kernel_transformer import TransformerReplicas
from lib.language import DOCUMENT_LENGTHS, Language, language
from lib.profiling import seconds_per_call
from lib.recipe import Recipe
from lib.replicas import Replicas
from lib.sampling import epoch_order
from lib.texts import rows_of_documents
from lib.tokens import filling, packed, sorted_pools, token_batches
from lib.transformer import Transformer
from lib.workload import Workload, next_token

LENGTH = 128  # places of a row
TRAINING, HELD = 3_000, 300  # documents for training; for choosing, and for reporting
MODES: dict[str, dict[str, Any]] = {  # how documents are laid, and what the network is told of them
    "one a row": {"packing": "none"},
    "mask and places": {"mask": True, "reset": True},
    "mask only": {"mask": True, "reset": False},
    "places only": {"mask": False, "reset": True},
    "neither": {"mask": False, "reset": False},
}
BATCH_SIZES = {"none": 10, "best fit": 4}  # rows that hold about 512 tokens


def lengths_of(spread: float, mean: int = 50, most: int = 2_000) -> tuple[int, ...]:
    """64 equally likely lengths of documents: quantiles of a log-normal law, whatever the spread of about one mean.

    Parameters
    ----------
    spread : float
        Standard deviation of the logarithm of a length. 0: all are equally long.
    mean, most : int
        About the mean length, and the longest.
    """
    normal = [NormalDist().inv_cdf((k + 0.5) / 64) for k in range(64)]
    for median in range(4 * mean, 0, -1):  # in quarters
        lengths = tuple(min(most, max(1, round(median / 4 * math.exp(spread * z)))) for z in normal)
        if sum(lengths) <= 64 * mean:
            break
    return lengths


def documents_of(number: int, seed: int) -> list[np.ndarray]:
    """Documents of the course's language that fit into a row, each with its end."""
    return short_documents().documents(number, seed)


def short_documents() -> Language:
    """The course's language, whose longest documents just fit into a row."""
    return language(lengths=tuple(min(length, LENGTH - 1) for length in DOCUMENT_LENGTHS))


def workload_of(packing: str = "best fit", mask: bool = True, reset: bool = True) -> Workload:
    """The training documents in rows, and a network that is told where documents begin, or is not."""
    x, y = rows_of_documents(documents_of(TRAINING, seed=0), LENGTH, packing)
    model = Transformer(short_documents().vocabulary, LENGTH, mask=mask, reset=reset)
    return next_token(model, Dataset("documents", x, y, x[:0], y[:0]))


def trained(workload: Workload, batch_size: int, rates: list[float], seeds: list[int], iterations: int) -> Replicas:
    """Runs of Adam whose rate falls to zero along a line: a replica for each seed (outside) and rate (inside)."""
    recipe = Recipe(batch_size, optimizer="adam", betas=BETAS)
    replicas = replicas_of(workload, recipe, [seed for seed in seeds for _ in rates])
    if iterations == 0:
        return replicas
    needed = -(-iterations * batch_size // len(workload))
    orders = [
        np.concatenate([epoch_order(len(workload), seed, epoch) for epoch in range(needed)])[: iterations * batch_size]
        for seed in seeds
    ]
    falling = 1 - np.arange(iterations) / iterations
    replicas.advance(
        np.stack(orders),
        np.repeat(np.arange(len(seeds)), len(rates)),
        batch_size,
        np.outer(rates * len(seeds), falling),
    )
    return replicas


def losses(
    replicas: Replicas, x: np.ndarray, y: np.ndarray, mask: bool | None = None, reset: bool | None = None
) -> np.ndarray:
    """Mean loss of each replica over all tokens that count; ``mask`` and ``reset``, if not those of training."""
    model: Any = copy.deepcopy(replicas.workload.model)
    model.mask = model.mask if mask is None else mask
    model.reset = model.reset if reset is None else reset
    judge = TransformerReplicas(next_token(model, Dataset("documents", x[:1], y[:1], x, y)), replicas.recipe, [0])
    judge.weights = replicas.weights
    return np.array(judge.mean_loss("test")[0])


def in_float32(function: Callable, *arguments):
    """Call a function with float32 as the default, one thread."""
    with default_dtype(torch.float32):
        return function(*arguments)


def one_mode(mode: str, iterations: int, guess: float, seeds: list[int], fresh_seeds: list[int]) -> list[pd.DataFrame]:
    """The runs of one mode at the rate that is best on validation documents, and every run that was tried."""
    how = MODES[mode]
    workload, told = workload_of(**how), {name: how.get(name, True) for name in ("mask", "reset")}
    batch_size = BATCH_SIZES[how.get("packing", "best fit")]
    chosen_on, reported_on = documents_of(HELD, seed=1), documents_of(HELD, seed=2)

    def runs_at(rates):
        replicas = trained(workload, batch_size, rates, seeds, iterations)
        found = losses(replicas, *rows_of_documents(chosen_on, LENGTH))
        grid = [(rate, seed) for seed in seeds for rate in rates]
        return pd.DataFrame(grid, columns=["learning_rate", "seed"]).assign(score=found)

    found = tuned(runs_at, guess, points=5)
    replicas = trained(workload, batch_size, [found.rate], fresh_seeds, iterations)
    x, y = rows_of_documents(reported_on, LENGTH, "best fit")
    runs = pd.DataFrame(
        {
            "mode": mode,
            "learning_rate": found.rate,
            "seed": fresh_seeds,
            "tokens": iterations * batch_size * (workload.data.y_train >= 0).mean() * LENGTH,
            "alone": losses(replicas, *rows_of_documents(reported_on, LENGTH)),
            "as trained": losses(replicas, x, y, **told),
            "nothing told": losses(replicas, x, y, mask=False, reset=False),
        }
    )
    return [runs, found.grid.assign(mode=mode)[["mode", "learning_rate", "seed", "score"]]]


def modes(iterations: int, guess: float, seeds: list[int], fresh_seeds: list[int]) -> dict[str, pd.DataFrame]:
    """Training with documents one a row, and packed in four ways, at about equally many tokens an iteration.

    Returns
    -------
    dict with the tables
        ``modes``: a row a mode and fresh seed: its learning rate, the ``tokens`` that were trained on, and
        the test loss of documents read ``alone``, in packed rows ``as trained``, and in packed rows
        of which the network is told nothing.
        ``grid``: every run that a learning rate was chosen by, on other documents read alone.
    """
    jobs = [joblib.delayed(in_float32)(one_mode, mode, iterations, guess, seeds, fresh_seeds) for mode in MODES]
    parts = joblib.Parallel(n_jobs=-1)(jobs)
    return {name: pd.concat(tables, ignore_index=True) for name, tables in zip(("modes", "grid"), zip(*parts))}


# Padding, counted and timed --------------------------------------------------------------------


def ways(lengths: list[int], batch_size: int, pool_size: int, length: int, seed: int = 0) -> dict[str, list[list[int]]]:
    """The batches that one epoch of documents becomes: for each way and batch the tokens of its rows."""
    order = epoch_order(len(lengths), seed, 0).tolist()
    pools = sorted_pools(lengths, pool_size, order)

    def cut(rows, size):
        return [rows[first : first + size] for first in range(0, len(rows), size)]

    rows = [sum(row) for row in packed([lengths[one] for one in order], length, "best fit")]
    mixed = [rows[row] for row in epoch_order(len(rows), seed, 1)]
    mean = sum(lengths) / len(lengths)
    per_batch = max(1, round(batch_size * mean / length))
    return {
        "as they come": [[lengths[one] for one in batch] for batch in cut(order, batch_size)],
        "sorted in pools": [[lengths[one] for one in batch] for batch in cut(pools, batch_size)],
        "pools, by tokens": [
            [lengths[one] for one in batch] for batch in token_batches(lengths, round(batch_size * mean), pools)
        ],
        "packed": cut(mixed, per_batch),
    }


def counted(batches: list[list[int]]) -> dict:
    """What one epoch of these batches counts."""
    found = filling(batches)
    tokens = [sum(batch) for batch in batches]
    return {
        "rows": sum(map(len, batches)),
        "iterations": len(batches),
        "padding": float(found.waste),
        "fewest tokens": min(tokens),
        "most tokens": max(tokens),
    }


def real_tokens_per_second(ways: dict[str, list[list[int]]], rounds: int = 3, batches: int = 6) -> pd.DataFrame:
    """Tokens, padding left out, of forward and backward passes a second: all ways in turn, on one thread.

    A row is padded to the longest of its batch. Packed rows are read with a mask between documents of
    about 50 tokens, and without one.
    """
    model = Transformer(short_documents().vocabulary, LENGTH)
    passes: dict[str, list[Any]] = {}
    for way, all_batches in ways.items():
        some = all_batches[:: max(1, len(all_batches) // batches)][:batches]
        for masked in (False, True) if way == "packed" else (False,):
            name = f"{way}, masked" if masked else way
            passes[name] = [lambda some=some, masked=masked: [_one_pass(model, batch, masked) for batch in some]]
            passes[name].append(sum(map(sum, some)))
    times: dict[str, list[float]] = {name: [] for name in passes}
    for _ in range(rounds):
        for name, (step, _) in passes.items():
            times[name] += seconds_per_call(step, 0.15)
    rows = [(name, passes[name][1] / float(np.median(measured))) for name, measured in times.items()]
    return pd.DataFrame(rows, columns=["way", "tokens per second"])


def _one_pass(model: Transformer, batch: list[int], masked: bool):
    """Forward and backward over one batch of rows with so many tokens; what the tokens are does not matter here."""
    width = max(batch)
    tokens = torch.ones(len(batch), width, dtype=torch.int64)
    documents = torch.arange(width).expand(len(batch), width) // 50
    counts = torch.arange(width) < torch.tensor(batch)[:, None]
    scores = model(torch.stack([tokens, documents], 1) if masked else tokens)
    (scores.log_softmax(-1)[..., 1] * counts).sum().backward()
