"""Intervals, choices and fits, against hand values, SciPy, and data made with a known answer."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lib.statistics import (
    Interval,
    bootstrap_interval,
    critical_batch_size,
    intervals,
    mean_interval,
    paired_difference,
    power_law,
    steps_to_target,
)


def table(**columns):
    return pd.DataFrame(columns)


# Means and differences


def test_mean_interval_by_hand():
    found = mean_interval([1, 2, 3, 4, 5])
    half = 2.7764451051977987 * np.sqrt(2.5 / 5)  # t(0.975, 4) from a printed table, variance 2.5
    assert found.mean == found.estimate == 3 and found.num == 5
    np.testing.assert_allclose([found.low, found.high], [3 - half, 3 + half], rtol=1e-12)
    assert str(found) == "3.0 ± 2.0"


def test_mean_interval_covers_the_true_mean_in_95_percent_of_cases():
    draws = np.random.default_rng(0).normal(7, 3, size=(2000, 5))
    covered = np.mean([found.low <= 7 <= found.high for found in map(mean_interval, draws)])
    assert abs(covered - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 2000)


@pytest.mark.parametrize(
    "values, message",
    [
        ([1, 2, 3, 4], "at least 5; run more seeds"),
        ([1, 2, 3, 4, np.nan], "1 of 5 values"),
        ([1, 2, 3, 4, np.inf], "infinite"),
        ([[1] * 5] * 2, "at least 5"),
    ],
)
def test_mean_interval_refuses(values, message):
    with pytest.raises(ValueError, match=message):
        mean_interval(values)


def test_fewer_seeds_only_when_asked_for_and_never_one():
    assert mean_interval([1, 3], least=2).mean == 2
    with pytest.raises(ValueError, match="at least 2"):
        mean_interval([1], least=1)


def test_an_interval_prints_two_digits_of_its_width_and_shows_when_it_is_lopsided():
    assert str(Interval(0.64512, 0.64112, 0.64912, 5)) == "0.6451 ± 0.0040"
    assert str(Interval(100.0, 80.0, 150.0, 5)) == "100 (80 to 150)"
    assert str(Interval(1.0, 1.0, 1.0, 5)) == "1.0000 ± 0.0000"


def test_paired_difference_is_scipys_and_pairs_by_seed_not_by_position():
    rng = np.random.default_rng(1)
    luck = rng.normal(0, 10, 6)  # of the seed, in both runs
    first, second = pd.Series(luck + rng.normal(1, 0.1, 6)), pd.Series(luck + rng.normal(0, 0.1, 6))
    found = paired_difference(first, second.sample(frac=1, random_state=0))
    expected = stats.ttest_rel(first, second).confidence_interval()
    np.testing.assert_allclose([found.low, found.high], expected, rtol=1e-10)
    assert found.low > 0.8 and found.high < 1.3


@pytest.mark.parametrize(
    "second, error, message",
    [
        (pd.Series(range(5), index=[0, 1, 2, 3, 9]), ValueError, r"Seeds \[4, 9\]"),
        (pd.Series(range(4)), ValueError, r"Seeds \[4\]"),
        (pd.Series(range(6), index=[0, 1, 2, 3, 4, 4]), ValueError, "more than one value for a seed"),
        (pd.Series([0, 1, 2, 3, np.nan]), ValueError, "not a number"),
        ([0, 1, 2, 3, 4], TypeError, "second is a list"),
    ],
)
def test_paired_difference_refuses(second, error, message):
    with pytest.raises(error, match=message):
        paired_difference(pd.Series(range(5)), second)


def test_intervals_by_group_with_a_diverged_run():
    runs = table(batch_size=[8] * 5 + [1] * 5, seed=[*range(5)] * 2, test_loss=[1, 2, 3, 4, 5, 1, 2, 3, 4, np.inf])
    found = intervals(runs, "test_loss", "batch_size")
    assert found.columns.tolist() == ["batch_size", "mean", "low", "high", "num", "missing"]
    assert found["batch_size"].tolist() == [1, 8] and found["missing"].tolist() == [1, 0]
    assert found[["mean", "low", "high"]].loc[0].isna().all()
    assert found["low"][1] == mean_interval([1, 2, 3, 4, 5]).low
    with pytest.raises(ValueError, match="two rows with the same batch_size, seed"):
        intervals(pd.concat([runs, runs]), "test_loss", "batch_size")
    with pytest.raises(ValueError, match="run more seeds"):
        intervals(runs.iloc[:7], "test_loss", "batch_size")
    with pytest.raises(ValueError, match="no column seed"):
        intervals(runs.drop(columns="seed"), "test_loss", "batch_size")


# Bootstrap and power law


def test_bootstrap_interval_of_a_mean_is_about_the_t_interval():
    values = np.random.default_rng(2).normal(3, 1, 8)
    found = bootstrap_interval(table(value=values), lambda rows: rows["value"].mean(), num_resamples=4000)
    expected = mean_interval(values)
    assert found.estimate == expected.mean and found.num == 8
    width = expected.high - expected.low
    assert found.high - found.low == pytest.approx(width, rel=0.1)  # plain percentiles are 23 % narrower


def test_bootstrap_interval_is_repeatable_and_takes_several_parameters():
    rows = table(a=[1.0, 2, 3, 4, 5], b=[2.0, 2, 2, 2, 2])
    first, second = (bootstrap_interval(rows, lambda r: r.mean().to_numpy(), num_resamples=200) for _ in range(2))
    assert first == second and (first[1].low, first[1].high) == (2, 2) and first[0].low < 3 < first[0].high
    with pytest.raises(ValueError, match="table has 4 rows"):
        bootstrap_interval(rows[:4], lambda r: 1.0)
    with pytest.raises(ValueError, match="do not determine"):
        bootstrap_interval(rows, lambda r: 1.0 if 1 in r["a"].to_numpy() else np.nan, num_resamples=200)


def test_power_law_recovers_an_exponent():
    x = np.array([1, 4, 16, 64, 256])
    exact = power_law(x, 0.01 * x**0.5)
    assert exact.exponent.estimate == pytest.approx(0.5, abs=1e-12) and exact.factor == pytest.approx(0.01)
    np.testing.assert_allclose(exact(x), 0.01 * np.sqrt(x))

    noise = np.exp(np.random.default_rng(3).normal(0, 0.2, size=(500, 5)))
    found = [power_law(x, 0.01 * x**0.5 * each).exponent for each in noise]
    covered = np.mean([each.low <= 0.5 <= each.high for each in found])
    assert abs(covered - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 500)


@pytest.mark.parametrize(
    "x, y, message",
    [
        ([1, 2, 3], [1, 2, 3], "at least 4"),
        ([1, 2, 3, 4], [1, 2, 3, 0], "positive"),
        ([1, 2, 3, 4], [1, 2, 3, np.nan], "positive"),
        ([2, 2, 2, 2], [1, 2, 3, 4], "two different"),
        ([1, 2, 3, 4], [1, 2, 3], "shape"),
    ],
)
def test_power_law_refuses(x, y, message):
    with pytest.raises(ValueError, match=message):
        power_law(x, y)


# Choosing from a grid


# Steps to a target and the critical batch size


def history(batch_size, seed, losses, every=10):
    steps = np.arange(len(losses)) * every
    return table(iteration=steps, samples=steps * batch_size, train_loss=losses, batch_size=batch_size, seed=seed)


def test_steps_to_target_takes_the_first_time_and_leaves_out_what_never_came():
    runs = pd.concat(
        [
            history(4, 0, [2.3, 1.4, 1.6, 1.2]),
            history(4, 1, [2.3, 1.9, 1.8, 1.7]),
            history(8, 0, [2.3, 1.6, 1.5]),
            history(8, 1, [2.3, np.nan]),
        ]
    )
    found = steps_to_target(runs, 1.5).set_index(["batch_size", "seed"])
    assert found["reached"].tolist() == [True, False, True, False]
    assert found.loc[(4, 0)].tolist() == [10, 40, True] and found.loc[(8, 0)].tolist() == [20, 160, True]
    assert found.loc[[(4, 1), (8, 1)], ["iteration", "samples"]].isna().all(axis=None)


def test_steps_to_target_refuses():
    with pytest.raises(ValueError, match="before its first iteration"):
        steps_to_target(history(4, 0, [2.3, 1.4]), 2.5)
    with pytest.raises(ValueError, match="two rows"):
        steps_to_target(pd.concat([history(4, 0, [2.3, 1.4])] * 2), 1.5)
    with pytest.raises(ValueError, match="1 runs have no row of iteration 0"):  # a schedule's rate tells no runs apart
        steps_to_target(history(4, 0, [2.3, 1.4]).assign(learning_rate=[0.1, 0.05]), 1.5)


def steps(b_crit, s_min, scatter, seeds=6, sizes=(1, 4, 16, 64, 256, 1024), draw=0):
    rng = np.random.default_rng(draw)
    return pd.DataFrame(
        [
            {"batch_size": b, "seed": seed, "iteration": s_min * (1 + b_crit / b) * np.exp(rng.normal(0, scatter))}
            for seed in range(seeds)
            for b in sizes
        ]
    )


@pytest.mark.parametrize("b_crit", [0.5, 3, 40, 900, 5000])
def test_the_critical_batch_size_is_recovered(b_crit):
    law = critical_batch_size(steps(b_crit, 120, 0), num_resamples=20)
    assert law.b_crit.estimate == pytest.approx(b_crit, rel=1e-3) and law.s_min.estimate == pytest.approx(120, rel=1e-3)
    assert law(b_crit) == pytest.approx(240, rel=1e-3)
    assert law.bracketed == (1 <= b_crit <= 1024)


def test_the_interval_of_the_critical_batch_size_covers_it():
    found = [critical_batch_size(steps(40, 120, 0.3, draw=draw), num_resamples=150).b_crit for draw in range(40)]
    assert sum(each.low <= 40 <= each.high for each in found) >= 34  # 38 expected; fewer than 34 once in 300 draws
    assert all(5 < each.low < each.high < 300 for each in found)


def test_critical_batch_size_refuses():
    lacking = steps(40, 120, 0.1)
    lacking.loc[0, "iteration"] = np.nan
    with pytest.raises(ValueError, match=r"at \[1\] a seed did not reach the target"):
        critical_batch_size(lacking)
    with pytest.raises(ValueError, match="There are 2 batch sizes"):
        critical_batch_size(steps(40, 120, 0.1, sizes=(1, 64)))
    with pytest.raises(ValueError, match="run more seeds"):
        critical_batch_size(steps(40, 120, 0.1, seeds=3))
