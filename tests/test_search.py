"""The tuning walk against scores made by hand."""

import numpy as np
import pandas as pd
import pytest

from lib.experiments.search import STEP, tuned, tuned_along


def runs_with(score, tried):
    """Runs with two seeds whose score is that of the function, one a little above and one a little below."""

    def runs_at(rates):
        tried.append(list(rates))
        rows = [
            {"learning_rate": rate, "seed": seed, "score": score(rate) + shift}
            for rate in rates
            for seed, shift in ((0, 0.01), (1, -0.01))
        ]
        return pd.DataFrame(rows)

    return runs_at


def test_the_grid_is_widened_until_its_best_is_inside_and_all_of_it_is_kept():
    tried = []
    found = tuned(runs_with(lambda rate: np.log(rate / 10) ** 2, tried), 1.0)
    assert abs(np.log(found.rate / 10)) <= np.log(STEP) / 2 + 1e-9
    assert [len(rates) for rates in tried] == [5] + [2] * (len(tried) - 1) and len(tried) > 1
    assert sorted(found.grid["learning_rate"].unique()) == sorted(sum(tried, []))
    assert len(found.grid) == 2 * len(found.scores) and found.scores.idxmin() == found.rate
    assert found.rate not in (found.scores.index[0], found.scores.index[-1])


def test_a_margin_is_kept_where_seeds_fail():
    def score(rate):
        return np.inf if rate > 1.2 else -rate

    assert tuned(runs_with(score, []), 1.0).rate == pytest.approx(1.0)
    assert tuned(runs_with(score, []), 1.0, margin=True).rate == pytest.approx(1 / STEP)
    flat = runs_with(lambda rate: abs(np.log(rate)), [])
    assert tuned(flat, 1.0, margin=True).rate == pytest.approx(1.0)  # nobody failed beside it


def test_the_median_is_deaf_to_one_failed_seed():
    def runs_at(rates):
        rows = [(rate, seed, np.log(rate / 0.5) ** 2) for rate in rates for seed in range(3)]
        table = pd.DataFrame(rows, columns=["learning_rate", "seed", "score"])
        table.loc[(table["seed"] == 0) & (table["learning_rate"] < 0.9), "score"] = np.inf
        return table

    assert tuned(runs_at, 0.5, over_seeds="median").rate == pytest.approx(0.5)
    assert tuned(runs_at, 0.5, over_seeds="mean").rate > 0.9


def test_a_search_that_never_ends_says_so():
    with pytest.raises(RuntimeError, match="still on the edge of its grid"):
        tuned(runs_with(lambda rate: -rate, []), 1.0)


def test_each_search_starts_from_the_one_before():
    asked = []

    def runs_at(size, rates):
        asked.append((size, sorted(rates)[len(rates) // 2]))
        return runs_with(lambda rate: np.log(rate / (0.1 * size)) ** 2, [])(rates)

    found = dict(tuned_along([1, 2, 8], runs_at, 0.1, lambda ratio: ratio))
    assert [found[size].rate for size in found] == pytest.approx([0.1, 0.2, 0.8])
    assert asked == [(1, pytest.approx(0.1)), (2, pytest.approx(0.2)), (8, pytest.approx(0.8))]
