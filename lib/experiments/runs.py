"""What all experiments do with a sweep: train in float32, on all cores or the GPU; look at the last rows."""

import numpy as np
import pandas as pd
import torch

from lib.data import mnist1d
from lib.models import mlp
from lib.sweep import sweep
from lib.workload import Workload, classification

NUM_SAMPLES = 4_000


def seen_by_training_loss(num_samples: int = NUM_SAMPLES) -> Workload:
    """The course's network on some samples of MNIST-1D, with few test samples: for judging by the training loss."""
    return classification(mlp(), mnist1d().first(num_samples).hold_out(0, 100))


def histories(workload: Workload, **grid) -> pd.DataFrame:
    """All histories of a sweep in float32; ``grid`` as for ``lib.sweep.sweep``."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        on_cpu = grid.get("device") == "cpu" or not torch.cuda.is_available()
        return sweep(workload, n_jobs=-1 if on_cpu else 1, **grid)
    finally:
        torch.set_default_dtype(before)


def ends(workload: Workload, **grid) -> pd.DataFrame:
    """The last row of every run; the losses of a run that diverged are infinite, its accuracies are 0."""
    grid = {"evaluate_every": 10**9} | grid
    last = histories(workload, **grid).groupby(["optimizer", "batch_size", "learning_rate", "seed"]).tail(1)
    diverged = last["status"].eq("diverged")
    for column in last.columns:
        if column.endswith("_loss"):
            last.loc[diverged, column] = np.inf
        elif column.endswith("_accuracy"):
            last.loc[diverged, column] = 0.0
    return last.reset_index(drop=True)
