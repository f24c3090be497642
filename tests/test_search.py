"""The tuning walk against scores made by hand."""

import numpy as np
import pandas as pd
import pytest

from lib.experiments.search import RULES, STEP, failed, tuned, tuned_along


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
    assert tuned(runs_with(score, []), 1.0, rules=["margin"]).rate == pytest.approx(1 / STEP)
    flat = runs_with(lambda rate: abs(np.log(rate)), [])
    assert tuned(flat, 1.0, rules=["margin"]).rate == pytest.approx(1.0)  # nobody failed beside it


def test_the_median_is_deaf_to_one_failed_seed():
    def runs_at(rates):
        rows = [(rate, seed, np.log(rate / 0.5) ** 2) for rate in rates for seed in range(3)]
        table = pd.DataFrame(rows, columns=["learning_rate", "seed", "score"])
        table.loc[(table["seed"] == 0) & (table["learning_rate"] < 0.9), "score"] = np.inf
        return table

    assert tuned(runs_at, 0.5, rules=["best median"]).rate == pytest.approx(0.5)
    assert tuned(runs_at, 0.5, rules=["best mean"]).rate > 0.9


def planted(scores, tried, guess=1.0):
    """Runs with planted scores: ``scores(k)`` is a list, a number a seed, at ``guess * STEP**k``."""

    def runs_at(rates):
        tried.append([round(np.log(rate / guess) / np.log(STEP)) for rate in rates])
        rows = [
            {"learning_rate": rate, "seed": seed, "score": score}
            for rate, k in zip(rates, tried[-1])
            for seed, score in enumerate(scores(k))
        ]
        return pd.DataFrame(rows)

    return runs_at


def noisy(k, low, seeds=5):
    """A score that rises by 1 a step away from ``low``, plus what is a seed's own and some noise that is the same
    each time."""
    noise = np.random.default_rng(1000 + k).normal(0, 0.05, seeds)
    return abs(k - low) + 10 * np.arange(seeds) + noise


def test_an_edge_that_is_worse_seed_by_seed_ends_the_search_though_seeds_differ_more():
    tried = []
    assert tuned(planted(lambda k: noisy(k, 0), tried), 1.0).rate == pytest.approx(1.0)
    assert len(tried) == 1  # the seeds lie 10 apart, the edges 2 above the best: pairs tell


def test_an_edge_that_ties_with_the_best_widens_the_grid_on_its_side_alone():
    def level_to_the_right(k):  # from 0 to 4 nobody can tell them apart, beyond it gets worse
        return noisy(0 if 0 <= k <= 4 else max(-k, k - 4), 0) + 0.3 * np.random.default_rng(k + 50).normal(size=5)

    tried = []
    found = tuned(planted(level_to_the_right, tried), 1.0)
    assert tried[0] == [-2, -1, 0, 1, 2] and tried[1] == [3, 4] and tried[2] == [5, 6]
    assert found.grid["learning_rate"].max() == pytest.approx(STEP**6)


def test_the_grid_widens_on_both_sides_at_once():
    tried = []
    tuned(planted(lambda k: noisy(max(0, abs(k) - 3), 0), tried), 1.0)
    assert tried[:2] == [[-2, -1, 0, 1, 2], [-4, -3, 3, 4]]


def failing(k):
    """Seed 0 fails from 1 on, all fail from 3 on; the others are best at 1."""
    others = abs(k - 1) + 0.01 * np.arange(1, 5)
    if k >= 3:
        return [np.inf] * 5
    return [np.inf if k >= 1 else abs(k) + 0.1, *others]


def test_every_rule_chooses_from_one_grid():
    tried = []
    found = tuned(planted(failing, tried), 1.0, rules=RULES)
    assert found.rates == {
        "best mean": pytest.approx(1.0),  # the best at which nobody fails
        "best median": pytest.approx(STEP),  # one failed seed of five is not heard
        "margin": pytest.approx(1 / STEP),  # one step away from failures
    }
    assert found.rate == found.rates["best mean"]
    assert sorted(found.grid["learning_rate"].unique()) == pytest.approx(sorted(STEP**k for ks in tried for k in ks))


def test_what_a_rule_chooses_is_not_on_the_edge_either():
    def fails_above(k):
        return [np.inf] * 5 if k > -1 else [10.0 + abs(k + 1)] * 5

    tried = []
    found = tuned(planted(fails_above, tried), 1.0, rules=["margin"])
    assert found.rate == pytest.approx(STEP**-2) and tried == [[-2, -1, 0, 1, 2], [-4, -3]]


def test_where_everything_fails_the_search_goes_down():
    tried = []
    found = tuned(planted(lambda k: [np.inf] * 5 if k > -4 else noisy(k, -5), tried), 1.0)
    assert found.rate == pytest.approx(STEP**-5)


def test_scores_that_take_few_values_end_the_search_where_the_edges_have_another():
    tried = []
    found = tuned(planted(lambda k: [float(abs(k) // 4)] * 5, tried), 1.0, rules=RULES)
    assert abs(np.log(found.rate) / np.log(STEP)) < 4  # on the level ground, which is wider than the first grid
    assert sorted(sum(tried, [])) == list(range(-4, 5))


def test_a_search_ends_where_every_learning_rate_loses_a_seed():
    def one_lost(k):  # a best median there is, a best mean there is not
        return [np.inf, *noisy(k, 0, seeds=4)] if abs(k) < 3 else [np.inf, np.inf, np.inf, 50.0, 50.0]

    tried = []
    assert tuned(planted(one_lost, tried), 1.0, rules=["best median"]).rate == pytest.approx(1.0)
    with pytest.raises(RuntimeError, match="an edge of the grid is still as good as its best"):
        tuned(planted(one_lost, tried), 1.0, rules=RULES)


def run(status, *losses):
    return pd.DataFrame({"train_loss": losses, "status": ["ok"] * (len(losses) - 1) + [status]})


def test_a_run_failed_if_it_diverged_did_not_arrive_or_learned_nothing():
    assert not failed(run("ok", 2.0, 1.0)) and failed(run("diverged", 2.0, 1.0))
    assert failed(run("ok", 2.0, 1.0, 2.0)) and failed(run("ok", 2.0, np.nan))
    assert failed(run("not reached", 2.0, 1.0), to_target=True)
    assert not failed(run("reached", 2.0, 1.0), to_target=True)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="rule is 'luck', but it must be one of 'best mean'"):
        tuned(planted(lambda k: noisy(k, 0), []), 1.0, rules=["luck"])


def test_a_search_that_never_ends_says_so():
    with pytest.raises(RuntimeError, match="an edge of the grid is still as good as its best"):
        tuned(runs_with(lambda rate: -rate, []), 1.0)


def test_each_search_starts_from_the_one_before():
    asked = []

    def runs_at(size, rates):
        asked.append((size, sorted(rates)[len(rates) // 2]))
        return runs_with(lambda rate: np.log(rate / (0.1 * size)) ** 2, [])(rates)

    found = dict(tuned_along([1, 2, 8], runs_at, 0.1, lambda ratio: ratio))
    assert [found[size].rate for size in found] == pytest.approx([0.1, 0.2, 0.8])
    assert asked == [(1, pytest.approx(0.1)), (2, pytest.approx(0.2)), (8, pytest.approx(0.8))]
