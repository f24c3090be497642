"""The fastest batch size, predicted from a planted machine and a planted law, against trying every size."""

import numpy as np
import pandas as pd
import pytest

from lib.experiments.fastest import (
    IterationTime,
    fastest_batch_size,
    how_far_off,
    iteration_time,
    measured,
    predict,
)

SIZES = [8, 16, 32, 64, 128, 256, 512, 1024, 2048]
MACHINE = IterationTime(fixed=3e-4, per_sample=2e-6)  # t0 / c = 150


def planted(b_crit: float, s_min: float = 100, noise: float = 0.0, machine=MACHINE, slow=()):
    """Steps and times that follow the laws; ``noise`` is relative, a size in ``slow`` takes twice as long."""
    random = np.random.default_rng(0)
    steps = pd.DataFrame(
        [
            {
                "batch_size": size,
                "seed": seed,
                "iteration": s_min * (1 + b_crit / size) * np.exp(noise * random.normal()),
            }
            for size in SIZES
            for seed in range(5)
        ]
    )
    seconds = [float(machine(size)) * (2 if size in slow else 1) for size in SIZES]
    return steps, pd.DataFrame({"batch_size": SIZES, "seconds_per_iteration": seconds})


@pytest.mark.parametrize("b_crit", [20.0, 150.0, 1000.0])
def test_the_root_is_where_the_seconds_are_fewest(b_crit):
    sizes = np.arange(1, 5000)
    seconds = MACHINE(sizes) * 100 * (1 + b_crit / sizes)
    assert abs(fastest_batch_size(MACHINE, b_crit) - sizes[seconds.argmin()]) <= 1


def test_a_line_of_times_is_found():
    _, speed = planted(100)
    found = iteration_time(speed)
    assert found.fixed == pytest.approx(3e-4) and found.per_sample == pytest.approx(2e-6)


@pytest.mark.parametrize("pilot", [SIZES, [8, 128, 2048]])
def test_a_prediction_from_three_sizes_finds_the_planted_size(pilot):
    found = predict(*planted(600.0), pilot=pilot)
    assert found.batch_size.estimate == pytest.approx((600 * 150) ** 0.5, rel=1e-3)
    assert found.seconds(300) == pytest.approx(float(MACHINE(300)) * 300, rel=1e-3)


def test_its_interval_has_the_planted_size_in_it_and_is_as_wide_as_the_seeds_make_it():
    wide, narrow = (predict(*planted(600.0, noise=noise), pilot=[8, 128, 2048]).batch_size for noise in (0.1, 0.01))
    assert wide.low < 300 < wide.high and wide.high - wide.low > 5 * (narrow.high - narrow.low)


def test_a_prediction_reads_the_pilot_sizes_alone():
    steps, speed = planted(600.0)
    elsewhere = ~speed["batch_size"].isin([8, 128, 2048])
    speed.loc[elsewhere, "seconds_per_iteration"] *= 100
    steps.loc[steps["batch_size"].isin([16, 512]), "iteration"] = np.nan
    assert predict(steps, speed, [8, 128, 2048]).batch_size.estimate == pytest.approx(300, rel=1e-3)


def test_how_far_off_it_was_is_said_both_ways():
    steps, speed = planted(600.0)
    right = how_far_off(predict(steps, speed, SIZES), measured(steps, speed))
    assert right["measured"] == 256 and right["factor"] == pytest.approx(300 / 256, rel=1e-3) and right["price"] == 1
    steps, speed = planted(600.0, slow=[256, 512])  # a machine that does not keep to its line
    wrong = how_far_off(predict(steps, speed, [8, 128, 2048]), measured(steps, speed))
    assert wrong["measured"] == 128 and wrong["factor"] == pytest.approx(300 / 128, rel=1e-3)
    at_256, at_128 = (float(MACHINE(size)) * (1 + 600 / size) for size in (256, 128))
    assert wrong["price"] == pytest.approx(2 * at_256 / at_128)


def test_seconds_are_mean_iterations_times_seconds_of_one():
    steps, speed = planted(100.0)
    table = measured(steps, speed).set_index("batch_size")
    assert table.loc[8, "seconds"] == pytest.approx(100 * (1 + 100 / 8) * float(MACHINE(8)))
    assert table["times_the_best"].min() == 1


@pytest.mark.parametrize(
    "sizes, seconds, sentence",
    [
        ([8], [1e-3], "a line needs two different"),
        ([8, 64], [1e-3, 1e-3 * 64 / 8], "no line that starts above zero"),
        ([8, 64], [2e-3, 1e-3], "no line that starts above zero"),
    ],
)
def test_times_that_are_no_line_are_refused(sizes, seconds, sentence):
    with pytest.raises(ValueError, match=sentence):
        iteration_time(pd.DataFrame({"batch_size": sizes, "seconds_per_iteration": seconds}))
