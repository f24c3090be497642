"""The order of an epoch and its batches."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler

from lib.sampling import batches, epoch_order, generator

seeds = st.integers(0, 2**63)


@given(st.integers(1, 500), seeds, st.integers(0, 10**6))
def test_an_epoch_visits_every_sample_once(num_samples, seed, epoch):
    assert sorted(epoch_order(num_samples, seed, epoch)) == list(range(num_samples))


def test_epoch_7_needs_no_epochs_before_it():
    alone = epoch_order(1_000, seed=3, epoch=7)
    after_others = [epoch_order(1_000, seed=3, epoch=e) for e in range(8)][7]
    np.testing.assert_array_equal(alone, after_others)


def test_orders_differ_between_epochs_and_seeds():
    orders = {tuple(epoch_order(50, seed, epoch)) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


def test_order_is_the_same_on_every_machine():
    assert epoch_order(8, seed=0, epoch=0).tolist() == [2, 4, 3, 6, 5, 0, 1, 7]


def test_without_shuffling():
    assert epoch_order(5, seed=0, epoch=9, shuffle=False).tolist() == [0, 1, 2, 3, 4]


def test_with_replacement_about_63_percent_are_seen():
    share = np.mean([len(set(epoch_order(2_000, seed, 0, replacement=True))) / 2_000 for seed in range(20)])
    assert abs(share - (1 - 1 / np.e)) < 0.005


def test_every_order_is_equally_likely():
    """Chi-squared over the 24 orders of 4 samples: 5 % would exceed 35.2, one in a million 79."""
    orders = [tuple(epoch_order(4, seed, epoch)) for seed in range(60) for epoch in range(40)]
    counts = np.array([orders.count(order) for order in set(orders)])
    assert len(counts) == 24 and ((counts - 100) ** 2 / 100).sum() < 79


def test_global_random_state_is_untouched():
    before = np.random.get_state()[1].tolist(), random.getstate(), torch.get_rng_state()
    epoch_order(100, 0, 0), epoch_order(100, 0, 0, replacement=True)
    after = np.random.get_state()[1].tolist(), random.getstate(), torch.get_rng_state()
    assert before[:2] == after[:2] and torch.equal(before[2], after[2])


@given(st.integers(1, 300), st.integers(1, 320), st.booleans(), seeds)
def test_batches_equal_pytorchs(num_samples, batch_size, drop_last, seed):
    order = epoch_order(num_samples, seed, 0)
    ours = [batch.tolist() for batch in batches(order, batch_size, drop_last)]
    assert ours == list(BatchSampler(order.tolist(), batch_size, drop_last))


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0", None])
def test_bad_seed(seed):
    with pytest.raises(ValueError, match="seed is"):
        generator(seed)
