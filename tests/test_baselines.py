"""MNIST-1D's published baselines (arXiv:2011.14439), as a check of data, models and training together.

The recipe: Adam, learning rate 0.01, batches of 100 in the order of the data set, 6,000
iterations, the default 4,000 training and 1,000 test samples. Their notebook prints 31.5 % for logistic
regression and 92.3 % for the CNN (README: 32 % and 94 %), and 65.1 % for the multilayer
perceptron of as many weights as ours. The margins are about four standard errors of a mean
over three seeds (ten seeds gave standard deviations of 0.1, 1.0 and 0.8 points), and no
less than the difference between the two published numbers.
"""

import pytest

from lib.data import mnist1d
from lib.models import cnn, logistic, mlp
from lib.sweep import sweep
from lib.workload import classification


@pytest.mark.parametrize(
    "model, accuracy, margin",
    [(logistic(), 0.315, 0.01), (mlp(), 0.65, 0.025), (cnn(), 0.93, 0.02)],
    ids=["logistic", "mlp", "cnn"],
)
def test_published_accuracy(model, accuracy, margin):
    table = sweep(
        classification(model, mnist1d(4000, 1000)),
        batch_size=100,
        learning_rate=0.01,
        seed=range(3),
        optimizer="adam",
        iterations=6000,
        evaluate_every=1000,
        shuffle=False,
        device="cpu",
    )
    last = table.groupby("seed").last()
    assert (last["status"] == "ok").all()
    assert last["test_accuracy"].mean() == pytest.approx(accuracy, abs=margin), last["test_accuracy"].tolist()
