"""The lowest point between grid values, and runs that diverge."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from lib.data import mnist1d
from lib.experiments.learning_rate import summit
from lib.experiments.runs import ends
from lib.experiments.search import STEP
from lib.models import mlp
from lib.workload import classification


@pytest.mark.parametrize("lowest", [0.07, 0.1, 0.12])
def test_summit_finds_the_lowest_point_of_a_parabola(lowest):
    rates = 0.1 * STEP ** np.arange(-2.0, 3.0)
    scores = pd.Series(0.5 + np.log(rates / lowest) ** 2, index=rates)
    assert math.isclose(summit(scores), lowest, rel_tol=1e-9)


def test_summit_beside_a_run_that_diverged_stays_within_half_a_step():
    scores = pd.Series([0.8, 0.7, np.inf], index=[0.1, 0.15, 0.225])
    assert 0.15 / STEP**0.5 < summit(scores) < 0.15


def test_ends_has_one_row_a_run_and_marks_the_diverged():
    before = torch.get_default_dtype()
    small = classification(mlp(), mnist1d().first(100).hold_out(0, 50))
    runs = ends(small, batch_size=10, learning_rate=[0.01, 1e12], seed=[0, 1], epochs=2).set_index("learning_rate")
    assert len(runs) == 4 and (runs.loc[0.01, "iteration"] == 20).all()
    losses = ["batch_loss", "train_loss", "test_loss"]
    assert np.isfinite(runs.loc[0.01, losses]).all(axis=None)
    assert np.isposinf(runs.loc[1e12, losses]).all(axis=None) and (runs.loc[1e12, "test_accuracy"] == 0).all()
    assert torch.get_default_dtype() == before
