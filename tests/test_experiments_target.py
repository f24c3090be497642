"""Steps to a target: what is reported chose nothing, and is looked at more often; runs against a planted law."""

import numpy as np
import pandas as pd
import pytest

from lib.experiments import target
from lib.experiments.search import STEP

S_MIN, B_CRIT = 400, 60


def best_rate(batch_size: int) -> float:
    return 0.1 * batch_size**0.5


@pytest.fixture
def asked(monkeypatch):
    """Every call for runs; the runs follow the law at the best rate, need more beside it, and fail far above."""
    calls = []

    def steps_of(workload, goal, batch_size, learning_rates, seeds, iterations, every):
        calls.append((batch_size, sorted(learning_rates), list(seeds), iterations, every))
        rows = []
        for rate in learning_rates:
            for seed in seeds:
                off = np.log(rate / best_rate(batch_size)) / np.log(STEP)
                count = S_MIN * (1 + B_CRIT / batch_size) * (1 + 0.2 * off**2) * (1 + 0.01 * (seed % 5))
                arrives = off < 2.5 and count <= iterations
                rows.append((batch_size, rate, seed, count if arrives else np.nan))
        table = pd.DataFrame(rows, columns=["batch_size", "learning_rate", "seed", "iteration"])
        return table.assign(samples=table["iteration"] * batch_size, score=table["iteration"].fillna(np.inf))

    monkeypatch.setattr(target, "steps_of", steps_of)
    return calls


def test_reported_are_fresh_seeds_at_the_rate_that_other_seeds_chose(asked):
    found, grid = target.tuned_steps(None, 1.0, [8, 64, 512], [0, 1, 2], [10, 11], 0.28, (S_MIN, B_CRIT))
    assert set(found["seed"]) == {10, 11} and set(grid["seed"]) == {0, 1, 2}
    assert set(found["rule"]) == set(target.RULES) and len(found) == 2 * 2 * 3
    for size, rates in found.groupby("batch_size")["learning_rate"]:
        assert (abs(np.log(rates / best_rate(size))) <= np.log(STEP) / 2 + 1e-9).all()
        tried = grid.loc[grid["batch_size"] == size, "learning_rate"]
        assert tried.min() < rates.min() and rates.max() < tried.max()


def test_reported_runs_are_looked_at_more_often_than_half_a_percent_of_their_iterations(asked):
    target.tuned_steps(None, 1.0, [8, 64, 512], [0, 1, 2], [10, 11], 0.28, (S_MIN, B_CRIT))
    for size, _, seeds, iterations, every in asked:
        needed = S_MIN * (1 + B_CRIT / size)
        assert iterations == pytest.approx(target.PATIENCE * needed, abs=1)
        share = target.FINE if seeds == [10, 11] else target.COARSE
        assert every <= max(1, 1.1 * share * needed + 0.5)


def test_the_table_of_the_first_rule_has_one_run_a_target_size_and_seed(asked, monkeypatch):
    monkeypatch.setattr(target, "EXPECTED", {1.0: (S_MIN, B_CRIT), 1.5: (S_MIN, B_CRIT)})
    monkeypatch.setattr(target, "GUESS", 0.28)
    tables = target.steps([8, 64], [1.5, 1.0], [0, 1, 2], [10, 11, 12])
    assert not tables["steps"].duplicated(["target", "batch_size", "seed"]).any()
    assert len(tables["steps"]) == 2 * 2 * 3 and len(tables["rules"]) == 2 * len(tables["steps"])
    assert set(tables["grid"]) == {"target", "batch_size", "learning_rate", "seed", "iteration", "samples"}
