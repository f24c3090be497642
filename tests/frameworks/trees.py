"""XGBoost, LightGBM and CatBoost."""

import tempfile

import numpy as np

from tests.frameworks.harness import check


def data(number, classes):
    rng = np.random.default_rng(number)
    return rng.normal(size=(number, 3)), np.arange(number) % classes


def classes(draw):
    """No ``num_class`` for a binary objective; with a multiclass one it may be 2 as well."""
    return draw.choice([{}, {"num_class": 2}, {"num_class": 3}, {"num_class": 5}])


@check("xgboost", 100)
def xgboost(draw):
    import xgboost

    choices = dict(
        num_samples=draw.randint(20, 200),
        num_boost_round=draw.randint(1, 12),
        num_parallel_tree=draw.choice([1, 1, 3]),
        **classes(draw),
    )
    yield choices
    parameters = dict(objective="multi:softprob" if "num_class" in choices else "binary:logistic")
    parameters |= dict(max_depth=2, nthread=1)
    parameters |= {name: choices[name] for name in ("num_class", "num_parallel_tree") if name in choices}
    matrix = xgboost.DMatrix(*data(choices["num_samples"], choices.get("num_class", 2)))
    booster = xgboost.train(parameters, matrix, choices["num_boost_round"])
    rounds = booster.num_boosted_rounds()
    yield {"iterations": rounds, "num_boosted_rounds()": rounds, "trees": len(booster.get_dump())}


@check("lightgbm", 100)
def lightgbm(draw):
    import lightgbm

    choices = dict(num_samples=draw.randint(60, 200), num_boost_round=draw.randint(1, 12), **classes(draw))
    yield choices
    parameters = dict(objective="multiclass" if "num_class" in choices else "binary")
    parameters |= dict(verbose=-1, num_threads=1, min_data_in_leaf=1, num_leaves=4)
    parameters |= {name: choices[name] for name in ("num_class",) if name in choices}
    dataset = lightgbm.Dataset(*data(choices["num_samples"], choices.get("num_class", 2)))
    booster = lightgbm.train(parameters, dataset, choices["num_boost_round"])
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
