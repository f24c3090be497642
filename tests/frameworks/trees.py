"""XGBoost, LightGBM and CatBoost."""

import tempfile

import numpy as np

from tests.frameworks.harness import check


def data(number, classes):
    rng = np.random.default_rng(number)
    return rng.normal(size=(number, 3)), np.arange(number) % classes


@check("xgboost", 100)
def xgboost(draw):
    import xgboost

    choices = dict(
        num_samples=draw.randint(20, 200),
        num_boost_round=draw.randint(1, 12),
        num_class=draw.choice([2, 3, 5]),
        num_parallel_tree=draw.choice([1, 1, 3]),
    )
    yield choices
    several = choices["num_class"] > 2
    parameters = dict(objective="multi:softprob" if several else "binary:logistic", max_depth=2, nthread=1)
    if several:
        parameters["num_class"] = choices["num_class"]
    parameters["num_parallel_tree"] = choices["num_parallel_tree"]
    matrix = xgboost.DMatrix(*data(choices["num_samples"], choices["num_class"]))
    booster = xgboost.train(parameters, matrix, choices["num_boost_round"])
    rounds = booster.num_boosted_rounds()
    yield {"iterations": rounds, "num_boosted_rounds()": rounds, "trees": len(booster.get_dump())}


@check("lightgbm", 100)
def lightgbm(draw):
    import lightgbm

    choices = dict(
        num_samples=draw.randint(60, 200), num_boost_round=draw.randint(1, 12), num_class=draw.choice([2, 3, 5])
    )
    yield choices
    several = choices["num_class"] > 2
    parameters = dict(
        objective="multiclass" if several else "binary", verbose=-1, num_threads=1, min_data_in_leaf=1, num_leaves=4
    )
    if several:
        parameters["num_class"] = choices["num_class"]
    booster = lightgbm.train(
        parameters, lightgbm.Dataset(*data(choices["num_samples"], choices["num_class"])), choices["num_boost_round"]
    )
    rounds = booster.current_iteration()
    yield {"iterations": rounds, "current_iteration()": rounds, "num_trees()": booster.num_trees()}


@check("catboost", 60)
def catboost(draw):
    from catboost import CatBoostClassifier

    choices = dict(num_samples=draw.randint(20, 200), iterations=draw.randint(1, 12))
    yield choices
    model = CatBoostClassifier(
        iterations=choices["iterations"],
        depth=2,
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
        train_dir=tempfile.gettempdir(),
        loss_function="MultiClass",
    )
    model.fit(*data(choices["num_samples"], draw.choice([2, 3])))
    yield {"iterations": model.tree_count_, "tree_count_": model.tree_count_}
