"""Early stopping against a rule written out by hand, and labels that are wrong in the share asked for."""

import numpy as np
import pandas as pd
import pytest

from lib.data import Dataset
from lib.experiments.more_epochs import early_stopping, with_wrong_labels

CURVE = pd.DataFrame({"validation_loss": [2.0, 1.5, 1.2, 1.3, 1.25, 1.4, 1.1, 1.0]})
CURVE["validation_accuracy"] = 1 / CURVE["validation_loss"]


@pytest.mark.parametrize(
    "every, patience, stopped, kept",
    [
        (1, 1, 3, 2),  # the first evaluation that is no better ends it
        (1, 3, 5, 2),
        (1, 4, 7, 7),  # the wait was long enough for a new best
        (2, 1, 4, 2),  # sees 2.0, 1.2, 1.25, 1.1: the same patience waits twice as many epochs
        (2, 2, 6, 6),
        (10, 5, 0, 0),  # only the evaluation before training
    ],
)
def test_early_stopping_counts_patience_in_evaluations(every, patience, stopped, kept):
    for monitor in CURVE:
        assert early_stopping(CURVE, monitor, every, patience) == (stopped, kept)


def test_early_stopping_keeps_the_first_of_equals():
    assert early_stopping(pd.DataFrame({"loss": [1.0, 0.5, 0.5, 0.5]}), "loss", 1, 2) == (3, 1)


def test_wrong_labels():
    rng = np.random.default_rng(0)
    data = Dataset(
        "made up",
        rng.normal(size=(500, 4)).astype("float32"),
        rng.integers(10, size=500),
        rng.normal(size=(20, 4)).astype("float32"),
        rng.integers(10, size=20),
    )
    noisy = with_wrong_labels(data, 0.2)
    changed = noisy.y_train != data.y_train
    assert changed.sum() == 100  # exactly: a wrong label is never the right one by chance
    assert set(noisy.y_train) <= set(range(10)) and len(set((noisy.y_train - data.y_train)[changed] % 10)) == 9
    assert noisy.x_train is data.x_train and noisy.y_test is data.y_test
    assert (with_wrong_labels(data, 0.2).y_train == noisy.y_train).all()
    assert (with_wrong_labels(data, 0.2, seed=1).y_train != noisy.y_train).any()
