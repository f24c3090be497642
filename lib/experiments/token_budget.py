"""One budget of tokens, spent in different ways: batch-size ramps, what Adam remembers, tokens that come again.

Every way has a learning rate of its own, chosen with some seeds on some tokens and reported with others on others.
"""

import math
from dataclasses import dataclass, replace
from functools import partial

import joblib
import numpy as np
import pandas as pd
import torch

from lib.experiments.search import tuned
from lib.experiments.tokens import BETAS, LENGTH, Run, Stage, default_dtype, grouped, of_language, replicas_of, stepping
from lib.recipe import Recipe
from lib.sampling import epoch_order

ROWS = 4_096  # of a budget, 131,072 tokens; half as many for batches of one row, which take longer
SCHEDULES = ("constant", "linear")
CHOOSING, REPORTING = 1, 2  # streams of the language


@dataclass(frozen=True)
class Way:
    """How a budget is spent.

    Attributes
    ----------
    recipe : lib.recipe.Recipe
        Its batch size and learning rate are not used.
    stages : list of (batch size, iterations)
    guess : float
        Of its best learning rate, where the search begins.
    unique : int, optional
        Different rows that are read, epoch after epoch; by default no row comes twice.
    """

    recipe: Recipe
    stages: list[Stage]
    guess: float
    unique: int | None = None

    @property
    def rows(self) -> int:
        """Rows that are read, repeated ones counted again."""
        return sum(size * number for size, number in self.stages)

    def runs(self, learning_rates: list[float], seeds: list[int], stream: int) -> pd.DataFrame:
        """``learning_rate``, ``seed`` and ``score``: the last loss above the floor, infinite if it is no number."""
        runs = [(rate, seed) for rate in learning_rates for seed in seeds]
        found = joblib.Parallel(n_jobs=-1)(joblib.delayed(self.ends)(group, stream) for group in grouped(runs, "cpu"))
        rows = [(*run, loss) for group in found for run, loss in group]
        table = pd.DataFrame(rows, columns=["learning_rate", "seed", "score"])
        return table.fillna({"score": math.inf})

    def ends(self, runs: list[Run], stream: int) -> list[tuple[Run, float]]:
        """Runs and their losses, trained as replicas."""
        with default_dtype(torch.float32):
            workload, lowest = of_language(8 * ROWS if self.unique else self.rows, stream)
            orders = np.stack([self.order(len(workload), seed) for _, seed in runs])
            replicas = replicas_of(workload, self.recipe, [seed for _, seed in runs])
            end = sum(number for _, number in self.stages)
            for _ in stepping(replicas, [rate for rate, _ in runs], orders, self.stages, [end]):
                losses, _ = replicas.mean_loss("test")
        return [(run, loss - lowest) for run, loss in zip(runs, losses)]

    def order(self, num_rows: int, seed: int) -> np.ndarray:
        """The rows of a run; each seed repeats rows of its own."""
        first = epoch_order(num_rows, seed, 0)
        if self.unique is None:
            return first[: self.rows]
        epochs = range(1, self.rows // self.unique + 1)
        return np.concatenate([first[: self.unique][epoch_order(self.unique, seed, epoch)] for epoch in epochs])


def compared(ways: dict[tuple, Way], names: list[str], seeds: list[int], fresh_seeds: list[int]) -> dict:
    """Each way with the learning rate that is best for it.

    Returns
    -------
    dict with the tables
        ``runs``: a row a way and fresh seed: its ``names``, ``iterations``, ``learning_rate``, ``seed``, ``above``.
        ``grid``: every run that a learning rate was chosen by, with its ``score``.
    """
    runs, grids = [], []
    for key, way in ways.items():
        found = tuned(partial(way.runs, seeds=seeds, stream=CHOOSING), way.guess, points=3)
        here = dict(zip(names, key))
        grids.append(found.grid.assign(**here))
        reported = way.runs([found.rate], fresh_seeds, REPORTING).rename(columns={"score": "above"})
        runs.append(reported.assign(**here, iterations=sum(number for _, number in way.stages)))
    columns = [*names, "learning_rate", "seed"]
    return {
        "runs": pd.concat(runs, ignore_index=True)[[*names, "iterations", "learning_rate", "seed", "above"]],
        "grid": pd.concat(grids, ignore_index=True)[[*columns, "score"]],
    }


def adam(schedule: str, **more) -> Recipe:
    return Recipe(1, optimizer="adam", betas=BETAS, schedule=schedule, **more)


def ramps(seeds: list[int], fresh_seeds: list[int]) -> dict[str, pd.DataFrame]:
    """A small batch, a large one, and a ramp from one to the other at half of the tokens; rate constant or decayed.

    The schedule is counted in tokens. The ramp does not change the learning rate.
    """
    small, large = 16, 64
    stages = {
        "small": [(small, ROWS // small)],
        "ramp": [(small, ROWS // 2 // small), (large, ROWS // 2 // large)],
        "large": [(large, ROWS // large)],
    }
    guesses = {"small": 0.012, "ramp": 0.012, "large": 0.024}
    ways = {
        (schedule, name): Way(adam(schedule), stages[name], guesses[name] * (1.5 if schedule == "linear" else 1.0))
        for schedule in SCHEDULES
        for name in stages
    }
    return compared(ways, ["schedule", "way"], seeds, fresh_seeds)


def held_by_tokens(beta: float, batch_size: int, reference: int) -> float:
    """The beta that forgets as fast, counted in tokens, at another batch size: beta ** (batch_size / reference).

    Examples
    --------
    >>> round(held_by_tokens(0.95, 1, 16), 4)
    0.9968
    """
    return beta ** (batch_size / reference)


def memories(seeds: list[int], fresh_seeds: list[int]) -> dict[str, pd.DataFrame]:
    """One row a batch, with Adam's second beta as it is for 16 rows, and held by its half-life in tokens."""
    rows, reference, (beta1, beta2) = ROWS // 2, 16, BETAS
    held = held_by_tokens(beta2, 1, reference)
    ways = {}
    for schedule in SCHEDULES:
        more, same = 1.5 if schedule == "linear" else 1.0, adam(schedule)
        ways[schedule, 1, "same"] = Way(same, [(1, rows)], 0.003 * more)
        ways[schedule, 1, "held"] = Way(replace(same, betas=(beta1, held)), [(1, rows)], 0.003 * more)
        ways[schedule, reference, "same"] = Way(same, [(reference, rows // reference)], 0.012 * more)
    return compared(ways, ["schedule", "batch_size", "beta2"], seeds, fresh_seeds)


def repeats(epochs: list[int], shares: list[int], seeds: list[int], fresh_seeds: list[int]) -> dict[str, pd.DataFrame]:
    """The same number of tokens from fewer different ones, several times each; and shares of it, never twice.

    Batches of 16 rows, the rate decayed to zero.

    Parameters
    ----------
    epochs : list of int
        How often each row of a run comes.
    shares : list of int
        Fresh runs on a half, a fourth, ... of the budget: what a loss is worth in fresh tokens.
    """
    size, rows = 16, ROWS
    ways = {
        ("repeated", e, rows): Way(adam("linear"), [(size, rows // size)], 0.018 / e**0.5, rows // e) for e in epochs
    }
    for share in shares:
        ways["fresh", 1, rows // share] = Way(adam("linear"), [(size, rows // share // size)], 0.018)
    tables = compared(ways, ["kind", "epochs", "rows"], seeds, fresh_seeds)
    tables["runs"]["tokens"] = tables["runs"]["rows"] * LENGTH
    return tables


def worth(unique: float, epochs: float, ceiling: float = 15.39) -> float:
    """Fresh tokens that ``epochs`` epochs over ``unique`` tokens are worth (Muennighoff et al. 2023, arXiv:2305.16264).

    The first epoch counts in full, each further one less: ``U + U * R* * (1 - exp(-R / R*))`` with ``R`` repeats and
    ``R*`` = 15.39, which they fitted to models of up to 9 billion parameters. No number of epochs is worth more
    than ``(1 + R*)`` times the unique tokens.

    Examples
    --------
    >>> round(worth(100, 1)), round(worth(100, 4)), round(worth(100, 10**6))
    (100, 373, 1639)
    """
    return unique + unique * ceiling * (1 - math.exp(-(epochs - 1) / ceiling))
