"""What all experiments do with a sweep: train in float32, on all cores or the GPU; look at the last rows."""

import numpy as np
import pandas as pd
import torch

from lib.data import Dataset
from lib.models import mlp
from lib.sweep import sweep


def histories(data: Dataset, **grid) -> pd.DataFrame:
    """All histories of a sweep of ``mlp()``, in float32; ``grid`` as for ``lib.sweep.sweep``.

    Nothing is looked up from earlier sweeps, so that a record says what its numbers cost.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        on_cpu = grid.get("device") == "cpu" or not torch.cuda.is_available()
        return sweep(mlp(), data, cache=False, n_jobs=-1 if on_cpu else 1, **grid)
    finally:
        torch.set_default_dtype(before)


def ends(data: Dataset, **grid) -> pd.DataFrame:
    """The last row of every run; the losses of a run that diverged are infinite, its accuracy is 0."""
    grid = {"evaluate_every": 10**9} | grid
    last = histories(data, **grid).groupby(["optimizer", "batch_size", "learning_rate", "seed"]).tail(1)
    diverged = last["status"].eq("diverged")
    losses = ["batch_loss", "train_loss", "test_loss"]
    last.loc[diverged, losses] = np.inf
    last.loc[diverged, "test_accuracy"] = 0.0
    return last.reset_index(drop=True)
