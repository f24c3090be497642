"""scikit-learn and gradient boosting."""

import math

from lib.frameworks.base import Answer, framework
from lib.loading import Loader
from lib.plan import LoaderPlan, TrainingPlan


@framework(
    "sklearn-mlp",
    name="scikit-learn MLPClassifier",
    package="scikit-learn",
    version="1.9.1",
    executed=True,
    words={
        "iteration": "(no name; t_ counts samples)",
        "epoch": "iteration, max_iter, n_iter_",
        "batch": "minibatch",
        "batch size": "batch_size, 'auto' = min(200, N)",
        "budget": "max_iter",
    },
    last_batch="kept",
    shuffling="on",
    averaging="loss_: mean over samples",
    scheduler="iteration (adam's own); learning_rate='adaptive': epoch",
    traps=(
        '"Iteration 7" in its log is epoch 7.',
        "It stops before max_iter when the loss no longer falls.",
    ),
    sources=("sklearn/neural_network/_multilayer_perceptron.py",),
)
def sklearn_mlp(num_samples, *, batch_size="auto", max_iter=200, early_stopping=False, validation_fraction=0.1):
    if not 0 <= validation_fraction < 1:
        raise ValueError(f"validation_fraction is {validation_fraction}, but it must be at least 0 and below 1.")
    held_out = math.ceil(validation_fraction * num_samples) if early_stopping else 0
    trained = num_samples - held_out
    if early_stopping and not (held_out and trained):
        raise ValueError(
            f"validation_fraction is {validation_fraction}, but early_stopping needs at least one of the {num_samples} "
            f"samples held out and one left for training; use a {'smaller' if held_out else 'larger'} fraction."
        )
    plan = TrainingPlan(trained, min(200 if batch_size == "auto" else batch_size, trained), epochs=max_iter)
    notes = (f"early_stopping holds out {held_out:,} samples.",) if held_out else ()
    return Answer(plan, {"n_iter_": max_iter, "t_": max_iter * trained}, notes)


@framework(
    "sklearn-sgd",
    name="scikit-learn SGDClassifier",
    package="scikit-learn",
    version="1.9.1",
    executed=True,
    words={
        "iteration": "(no name; t_ is one more)",
        "epoch": "iteration, epoch, max_iter, n_iter_",
        "batch": "one sample",
        "budget": "max_iter",
    },
    shuffling="on",
    averaging="mean over samples",
    scheduler="iteration (inside learning_rate='optimal')",
    traps=(
        "t_ is the same for 3 classes, which are three such runs, and with early_stopping, which holds samples out.",
        "It stops before max_iter when the loss no longer falls, unless tol=None.",
    ),
    sources=("sklearn/linear_model/_stochastic_gradient.py",),
)
def sklearn_sgd(num_samples, *, max_iter=1000) -> Answer:
    plan = TrainingPlan(num_samples, 1, epochs=max_iter)
    return Answer(plan, {"n_iter_": max_iter, "t_": 1 + plan.total_iterations})


@framework(
    "sklearn-kmeans",
    name="scikit-learn MiniBatchKMeans",
    package="scikit-learn",
    version="1.9.1",
    executed=True,
    words={
        "iteration": "step, n_steps_",
        "epoch": "iteration, max_iter, n_iter_",
        "batch": "mini-batch",
        "batch size": "batch_size",
        "budget": "max_iter",
    },
    last_batch="there is none: mini-batches are drawn",
    shuffling="draws with replacement",
    averaging="mean over the samples of a mini-batch, smoothed",
    traps=("10 passes of 1,000 samples in batches of 300 are 33 iterations, not 40.",),
    sources=("sklearn/cluster/_kmeans.py",),
)
def sklearn_kmeans(num_samples, *, batch_size=1024, max_iter=100) -> Answer:
    batch_size = min(batch_size, num_samples)
    plan = LoaderPlan.for_iterations(
        max_iter * num_samples // batch_size, Loader(num_samples, batch_size, replacement=True)
    )
    return Answer(
        plan, {"n_steps_": plan.total_iterations, "n_iter_": -(-plan.total_iterations * batch_size // num_samples)}
    )


BOOSTING = {
    "last_batch": "there is none: each round reads all samples",
    "shuffling": "–",
    "averaging": "metrics: mean over samples",
    "scheduler": "round",
}


def rounds_plan(num_samples: int, rounds: int) -> TrainingPlan:
    """A round reads all samples once and changes the model once: the batch is the whole training set."""
    return TrainingPlan(num_samples, num_samples, epochs=rounds)


@framework(
    "xgboost",
    name="XGBoost",
    package="xgboost",
    version="3.2.0",
    executed=True,
    words={"iteration": "boosting round", "budget": "num_boost_round (train), n_estimators (scikit-learn interface)"},
    **BOOSTING,
    traps=(
        "There is no epoch. A round grows num_class trees with multi:softprob, two for two classes; else it grows one.",
        "Early stopping keeps the rounds after the best one; best_iteration counts from 0.",
        "train makes 10 rounds by default, XGBClassifier 100.",
    ),
    sources=("xgboost/training.py",),
)
def xgboost(num_samples, *, num_boost_round=10, num_class=0, num_parallel_tree=1) -> Answer:
    trees = num_boost_round * max(1, num_class) * num_parallel_tree
    return Answer(rounds_plan(num_samples, num_boost_round), {"num_boosted_rounds()": num_boost_round, "trees": trees})


@framework(
    "lightgbm",
    name="LightGBM",
    package="lightgbm",
    version="4.7.0",
    executed=True,
    words={"iteration": "boosting round", "budget": "num_boost_round, n_estimators"},
    **BOOSTING,
    traps=(
        "There is no epoch. A round grows num_class trees with multiclass, two for two classes; else it grows one.",
        "Early stopping drops the rounds after the best one; best_iteration counts from 1.",
        "It ends early when no leaf can be split any more.",
    ),
    sources=("lightgbm/engine.py",),
)
def lightgbm(num_samples, *, num_boost_round=100, num_class=1) -> Answer:
    shows = {"current_iteration()": num_boost_round, "num_trees()": num_boost_round * num_class}
    return Answer(rounds_plan(num_samples, num_boost_round), shows)


@framework(
    "catboost",
    name="CatBoost",
    package="catboost",
    version="1.2.10",
    executed=True,
    words={"iteration": "iteration: one tree", "budget": "iterations"},
    **BOOSTING,
    traps=(
        "There is no epoch. An iteration is one tree whatever the number of classes: a leaf holds a value for each.",
        "With early stopping best_iteration_ counts from 0, and tree_count_ is one more.",
    ),
    sources=("catboost/core.py",),
)
def catboost(num_samples, *, iterations=1000) -> Answer:
    return Answer(rounds_plan(num_samples, iterations), {"tree_count_": iterations})
