"""scikit-learn."""

import numpy as np

from tests.frameworks.harness import check


def data(number, classes=2):
    rng = np.random.default_rng(number)
    return rng.normal(size=(number, 2)), np.arange(number) % classes


@check("sklearn-mlp", 120)
def mlp(draw):
    from sklearn.neural_network import MLPClassifier

    choices = dict(
        num_samples=draw.randint(20, 260),
        batch_size=draw.choice(["auto", draw.randint(1, 300)]),
        max_iter=draw.randint(1, 6),
        early_stopping=draw.random() < 0.4,
        validation_fraction=draw.choice([0.1, 0.1, 0.25, 0.0]),
    )
    yield choices
    names = ("batch_size", "max_iter", "early_stopping", "validation_fraction")
    model = MLPClassifier((2,), solver="sgd", n_iter_no_change=1_000, **{n: choices[n] for n in names})
    steps = []

    from sklearn.neural_network import _multilayer_perceptron as module

    class Counting(module.SGDOptimizer):
        def update_params(self, *args, **kwargs):
            steps.append(1)
            return super().update_params(*args, **kwargs)

    module.SGDOptimizer, kept = Counting, module.SGDOptimizer
    try:
        model.fit(*data(choices["num_samples"]))
    finally:
        module.SGDOptimizer = kept
    yield {"iterations": len(steps), "n_iter_": model.n_iter_, "t_": model.t_}


@check("sklearn-sgd", 200)
def sgd(draw):
    from sklearn.linear_model import SGDClassifier

    choices = dict(num_samples=draw.randint(2, 200), max_iter=draw.randint(1, 9))
    yield choices
    model = SGDClassifier(max_iter=choices["max_iter"], tol=None).fit(*data(choices["num_samples"]))
    yield {"iterations": int(model.t_) - 1, "n_iter_": model.n_iter_, "t_": model.t_}


@check("sklearn-kmeans", 60)
def kmeans(draw):
    from sklearn.cluster import MiniBatchKMeans

    choices = dict(
        num_samples=draw.randint(10, 300),
        batch_size=draw.choice([1024, draw.randint(20, 200)]),
        max_iter=draw.randint(1, 6),
    )
    yield choices
    model = MiniBatchKMeans(
        2, max_no_improvement=None, tol=0.0, n_init=1, batch_size=choices["batch_size"], max_iter=choices["max_iter"]
    )
    model.fit(data(choices["num_samples"])[0])
    yield {"iterations": model.n_steps_, "n_steps_": model.n_steps_, "n_iter_": model.n_iter_}
