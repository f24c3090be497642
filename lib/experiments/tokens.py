"""How large a batch of tokens? Iterations of a small language model to two losses, with Adam and tuned learning rates."""

import itertools
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch

from lib.data import Dataset
from lib.language import language
from lib.recipe import Recipe
from lib.replicas import StackedReplicas
from lib.sampling import epoch_order
from lib.texts import windows
from lib.transformer import Transformer
from lib.workload import Workload, next_token

LENGTH, HELD = 32, 256  # tokens of a row, and rows that a loss is taken on
TOGETHER = 512  # rows of all replicas in one batch, up to which a CPU gains from stacking
MODELS = {"cpu": {"width": 32, "heads": 2, "layers": 1}, "cuda": {"width": 192, "heads": 6, "layers": 2}}


def rows_of_language(rows: int, stream: int, model: dict) -> tuple[Workload, float]:
    """Training rows that no other stream has, with ``HELD`` rows for testing, and the Bayes loss on these."""
    x, y = windows(language().stream((rows + HELD) * LENGTH + 1, stream), LENGTH)
    data = Dataset(f"Synthetic language, stream {stream}", x[HELD:], y[HELD:], x[:HELD], y[:HELD])
    floor = language().bayes_losses(np.column_stack([x[:HELD], y[:HELD, -1]])).mean()
    return next_token(Transformer(language().vocabulary, LENGTH, **model), data), float(floor)


def marks(iterations: int) -> list[int]:
    """Where a run is evaluated: 10 % apart, from a thirtieth of it to its end."""
    found = [iterations]
    while found[-1] > max(1, iterations / 30):
        found.append(min(found[-1] - 1, round(found[-1] / 1.1)))
    return found[::-1]


def curves(
    batch_size: int,
    learning_rates: list[float],
    seeds: list[int],
    iterations: int,
    stream: int,
    betas: tuple[float, float] = (0.9, 0.95),
    dtype: str = "float32",
    device: str = "cpu",
) -> pd.DataFrame:
    """Losses along runs with Adam and a constant learning rate, none of whose rows comes twice.

    Parameters
    ----------
    batch_size : int
        Rows of a batch, of ``LENGTH`` tokens each.
    stream : int
        Of the language, from which training rows and test rows are.
    device : str
        On a GPU the model is about 50 times as large; see ``MODELS``.

    Returns
    -------
    pandas.DataFrame
        A row a learning rate, seed and evaluation: ``iteration``, and ``above``, the test loss above the Bayes loss
        of the same tokens, in nats a token.
    """
    with default_dtype(getattr(torch, dtype)):
        workload, floor = rows_of_language(batch_size * iterations, stream, MODELS[device])
        recipe = Recipe(batch_size, optimizer="adam", betas=tuple(betas))
        runs = list(itertools.product(learning_rates, seeds))
        size = len(runs) if device != "cpu" else max(1, TOGETHER // batch_size)
        tables = []
        for group in (runs[start : start + size] for start in range(0, len(runs), size)):
            replicas = StackedReplicas(workload, recipe, [seed for _, seed in group], device)
            orders = np.stack([epoch_order(len(workload), seed, 0) for _, seed in group])
            for begin, end in itertools.pairwise([0, *marks(iterations)]):
                rates = np.repeat([[rate] for rate, _ in group], end - begin, axis=1)
                here = orders[:, begin * batch_size : end * batch_size]
                replicas.advance(here, np.arange(len(group)), batch_size, rates)
                above = np.array(replicas.mean_loss("test")[0]) - floor
                tables += [(*run, end, loss) for run, loss in zip(group, above)]
    return pd.DataFrame(tables, columns=["learning_rate", "seed", "iteration", "above"])


@contextmanager
def default_dtype(dtype: torch.dtype):
    """Numbers are of this type inside."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def reached(curve: pd.DataFrame, target: float) -> float:
    """Iterations until the mean of three evaluations is first at a target, read off between them; infinite if it never is.

    Losses are noisy at small batches: a single low one is no arrival.
    """
    smooth = curve["above"].rolling(3, center=True).mean().to_numpy()
    steps = np.log(curve["iteration"].to_numpy())
    below = np.flatnonzero(smooth <= target)
    if not len(below):
        return np.inf
    if (first := below[0]) < 2:
        raise ValueError(f"target is {target}, but a run was there at its first evaluations; evaluate it earlier.")
    share = (smooth[first - 1] - target) / (smooth[first - 1] - smooth[first])
    return float(np.exp(steps[first - 1] + share * (steps[first] - steps[first - 1])))
