"""Ghost BatchNorm: with one group it is PyTorch's BatchNorm, with several it is that of each group alone."""

import pytest
import torch
from torch import nn

from lib.experiments.batch_norm import GhostBatchNorm, workload
from lib.recipe import Recipe
from lib.replicas import can_be_stacked


@pytest.fixture
def batch():
    return 3 + 2 * torch.randn(12, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_one_group_is_the_ordinary_layer(batch):
    ours, ordinary = GhostBatchNorm(5, 12).double(), nn.BatchNorm1d(5).double()
    torch.testing.assert_close(ours(batch), ordinary(batch))
    torch.testing.assert_close(ours.running_mean, ordinary.running_mean)
    torch.testing.assert_close(ours.running_var, ordinary.running_var)
    torch.testing.assert_close(ours.eval()(batch), ordinary.eval()(batch))


def test_each_group_is_normalized_alone(batch):
    ours, parts = GhostBatchNorm(5, 4).double(), nn.BatchNorm1d(5).double()
    expected = torch.cat([parts(part) for part in batch.split(4)])
    torch.testing.assert_close(ours(batch), expected)
    assert not torch.allclose(ours(batch), nn.BatchNorm1d(5).double()(batch))


def test_what_it_uses_in_tests_is_the_mean_over_groups(batch):
    ours = GhostBatchNorm(5, 4).double()
    ours(batch)
    torch.testing.assert_close(ours.running_mean, 0.1 * batch.mean(0))
    variances = torch.stack([part.var(0) for part in batch.split(4)]).mean(0)
    torch.testing.assert_close(ours.running_var, 0.9 + 0.1 * variances)


def test_a_batch_that_cannot_be_cut_is_one_group(batch):
    ours, ordinary = GhostBatchNorm(5, 4).double(), nn.BatchNorm1d(5).double()
    torch.testing.assert_close(ours(batch[:3]), ordinary(batch[:3]))


def test_all_batches_of_the_experiment_are_whole_and_it_can_be_stacked():
    ours = workload(8)
    assert len(ours) % 128 == 0 and can_be_stacked(ours, Recipe(batch_size=128))
