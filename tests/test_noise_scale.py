"""Gradient moments against hand values, and expectations against every batch there is."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lib.data import Dataset
from lib.models import initialized, mlp
from lib.noise_scale import (
    GradientMoments,
    gradient_moments,
    noise_scale,
    squared_deviations,
    two_batch_estimates,
    two_batch_formula,
)
from lib.statistics import bootstrap_interval, mean_interval
from lib.workload import Workload

pytestmark = pytest.mark.usefixtures("one_thread")


def samples(num, features=5, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(num, features))), torch.from_numpy(rng.integers(classes, size=num))


def workload_of(x, y, loss=F.cross_entropy):
    x, y = x.numpy(), y.numpy()
    return Workload(nn.Identity(), Dataset("made", x, y, x[:0], y[:0]), loss)


def network(dtype=torch.float64):
    return initialized(mlp(5, 7, 3), seed=1, dtype=dtype)


def sample_gradients(model, x, y):
    """Gradients one sample at a time, shape (N, parameters)."""
    return torch.stack(
        [
            torch.cat(
                [
                    g.flatten()
                    for g in torch.autograd.grad(F.cross_entropy(model(x[i : i + 1]), y[i : i + 1]), model.parameters())
                ]
            )
            for i in range(len(x))
        ]
    )


# Exact moments


def test_a_linear_model_whose_covariance_is_known():
    """At weights 0 the gradient of (w x - y)^2 is -2 y x: moments of 2 y x are those of the gradients."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 4)) * [1, 2, 3, 4], rng.normal(size=60) + 1
    model = nn.Linear(4, 1, bias=False).double()
    nn.init.zeros_(model.weight)
    found = gradient_moments(workload_of(torch.from_numpy(x), torch.from_numpy(y)[:, None], F.mse_loss), model, chunk=7)
    gradients = -2 * y[:, None] * x
    assert found.num_samples == 60
    np.testing.assert_allclose(found.squared_norm, np.square(gradients.mean(0)).sum(), rtol=1e-12)
    np.testing.assert_allclose(found.trace, np.trace(np.cov(gradients.T, ddof=0)), rtol=1e-12)
    assert found.noise_scale == found.trace / found.squared_norm


@pytest.mark.parametrize("chunk", [1, 4, 11, 100])
def test_a_network_equals_its_single_gradients_in_any_chunks(chunk):
    model, (x, y) = network(), samples(11)
    gradients = sample_gradients(model, x, y)
    found = gradient_moments(workload_of(x, y), model, chunk=chunk)
    np.testing.assert_allclose(found.squared_norm, gradients.mean(0).square().sum(), rtol=1e-12)
    np.testing.assert_allclose(found.trace, gradients.var(0, correction=0).sum(), rtol=1e-12)


def test_only_trainable_weights_count():
    model, (x, y) = network(), samples(11)
    gradients = sample_gradients(model, x, y)[:, -24:]  # the last layer, 7 * 3 + 3
    model[0].requires_grad_(False)
    np.testing.assert_allclose(
        gradient_moments(workload_of(x, y), model).trace, gradients.var(0, correction=0).sum(), rtol=1e-12
    )
    assert squared_deviations(workload_of(x, y), model, 11, draws=1)[0] < 1e-28


def test_samples_that_agree_have_no_noise_even_in_float32():
    x, y = torch.full((30, 5), 1e3), torch.zeros(30, dtype=torch.int64) + 2
    found = gradient_moments(workload_of(x, y), network(torch.float32), chunk=7)
    assert found.squared_norm > 1e3 and found.trace < 1e-12 * found.squared_norm


# The variance of a batch's gradient


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 6])
def test_predicted_variance_is_that_over_all_batches_without_replacement(batch_size):
    model, (x, y) = network(), samples(6)
    means = [sample_gradients(model, x, y)[list(batch)].mean(0) for batch in combinations(range(6), batch_size)]
    expected = torch.stack(means).var(0, correction=0).sum().item()
    assert gradient_moments(workload_of(x, y), model).variance(batch_size) == pytest.approx(
        expected, rel=1e-10, abs=1e-30
    )


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_predicted_variance_is_that_over_all_batches_with_replacement(batch_size):
    model, (x, y) = network(), samples(4)
    gradients = sample_gradients(model, x, y)
    means = torch.stack([gradients[list(batch)].mean(0) for batch in product(range(4), repeat=batch_size)])
    expected = means.var(0, correction=0).sum().item()
    assert gradient_moments(workload_of(x, y), model).variance(batch_size, replacement=True) == pytest.approx(
        expected, rel=1e-10
    )


def test_the_whole_training_set_leaves_no_variance():
    moments = GradientMoments(100, 1.0, 50.0)
    assert moments.variance(100) == 0 and moments.variance(1) == 50 and moments.variance(50, replacement=True) == 1
    assert GradientMoments(1, 1.0, 0.0).variance(1) == 0
    assert GradientMoments(100, 0.0, 50.0).noise_scale == np.inf


@pytest.mark.parametrize("replacement", [False, True])
def test_measured_variance_agrees_and_tells_the_two_ways_of_drawing_apart(replacement):
    model, (x, y) = network(), samples(40)
    moments = gradient_moments(workload_of(x, y), model)
    measured = mean_interval(squared_deviations(workload_of(x, y), model, 20, draws=1000, replacement=replacement))
    margin = measured.high - measured.low  # 4 standard errors
    assert abs(measured.mean - moments.variance(20, replacement)) < margin
    assert abs(measured.mean - moments.variance(20, not replacement)) > 5 * margin  # half, or twice as much


def test_measured_variance_of_the_whole_training_set_is_rounding_and_draws_repeat():
    model, (x, y) = network(), samples(40)
    assert squared_deviations(workload_of(x, y), model, 40, draws=5).max() < 1e-28
    first, second, other = (squared_deviations(workload_of(x, y), model, 4, draws=5, seed=seed) for seed in (0, 0, 1))
    assert (first == second).all() and (first != other).all()


# The two-batch-size estimator


def mean_squared_norm(gradients, batches):
    return np.mean([gradients[list(batch)].mean(0).square().sum().item() for batch in batches])


def test_the_formula_is_unbiased_over_all_batches_with_replacement():
    model, (x, y) = network(), samples(4)
    gradients, moments = sample_gradients(model, x, y), gradient_moments(workload_of(x, y), model)
    one, three = (mean_squared_norm(gradients, product(range(4), repeat=size)) for size in (1, 3))
    np.testing.assert_allclose(two_batch_formula(one, three, 1, 3), [moments.squared_norm, moments.trace], rtol=1e-10)


def test_the_formula_without_replacement_has_the_documented_means():
    model, (x, y), num = network(), samples(6), 6
    gradients, moments = sample_gradients(model, x, y), gradient_moments(workload_of(x, y), model)
    two, four = (mean_squared_norm(gradients, combinations(range(num), size)) for size in (2, 4))
    expected = [moments.squared_norm - moments.trace / (num - 1), moments.trace * num / (num - 1)]
    np.testing.assert_allclose(two_batch_formula(two, four, 2, 4), expected, rtol=1e-10)


def test_estimates_from_drawn_batches_agree_with_the_exact_moments():
    model, (x, y) = network(), samples(200)
    moments = gradient_moments(workload_of(x, y), model)
    estimates = two_batch_estimates(workload_of(x, y), model, 4, 40, draws=300, replacement=True)
    for column, exact in (("squared_norm", moments.squared_norm), ("trace", moments.trace)):
        found = mean_interval(estimates[column])
        assert found.low < exact < found.high and found.high - found.low < exact
    found = bootstrap_interval(estimates, noise_scale, num_resamples=300)
    assert found.low < moments.noise_scale < found.high and found.high < 2 * found.low


def test_means_are_divided_not_ratios_averaged_and_the_bias_is_the_documented_one():
    estimates = pd.DataFrame({"squared_norm": [1.0, 3.0], "trace": [10.0, 50.0]})
    assert noise_scale(estimates) == 15
    assert np.isnan(noise_scale(estimates - 4))

    rng = np.random.default_rng(0)  # denominators of mean 1 and variance 0.09, 4 of them: bias 0.09 / 4
    found = mean_interval(
        [
            noise_scale(pd.DataFrame({"squared_norm": rng.normal(1, 0.3, 4), "trace": rng.normal(1, 0.1, 4)}))
            for _ in range(3000)
        ]
    )
    assert found.mean - 1 == pytest.approx(0.09 / 4, abs=0.01) and found.low > 1


# Refusals


def test_refusals():
    model, (x, y) = network(), samples(10)
    with pytest.raises(TypeError, match="batch normalisation"):
        gradient_moments(workload_of(x, y), nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3)).double())
    with pytest.raises(ValueError, match="made has 10 train samples and 9 targets"):
        gradient_moments(workload_of(x, y[:9]), model)
    uneven = workload_of(x, y).but(units=lambda targets: targets + 1)
    with pytest.raises(ValueError, match="differ in their number of tokens"):
        gradient_moments(uneven, model)
    for batch_size in (0, 11):
        with pytest.raises(ValueError, match=f"batch_size is {batch_size}"):
            squared_deviations(workload_of(x, y), model, batch_size)
        with pytest.raises(ValueError, match=f"batch_size is {batch_size}"):
            gradient_moments(workload_of(x, y), model).variance(batch_size)
    for small, big in ((0, 4), (4, 4), (4, 6)):
        with pytest.raises(ValueError, match=f"small is {small} and big is {big}"):
            two_batch_estimates(workload_of(x, y), model, small, big)
