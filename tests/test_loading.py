"""Loader and Stream against PyTorch's samplers and loaders, sample by sample."""

import random
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, WeightedRandomSampler, get_worker_info

from lib.loading import Loader, Stream
from lib.plan import LoaderPlan, TrainingPlan


class Numbers(IterableDataset):
    """The numbers below ``num_samples``, which workers share if ``split``."""

    def __init__(self, num_samples, split):
        self.num_samples, self.split = num_samples, split

    def __iter__(self):
        worker = get_worker_info()
        if worker is None or not self.split:
            return iter(range(self.num_samples))
        return iter(range(worker.id, self.num_samples, worker.num_workers))


def torch_batches(num_samples, batch_size, drop_last, workers, split):
    loader = DataLoader(Numbers(num_samples, split), batch_size, drop_last=drop_last, num_workers=workers)
    return [batch.tolist() for batch in loader]


def check_stream(stream, batches):
    assert stream.batches_per_epoch == len(batches)
    for number in range(len(batches) + 1):
        seen = Counter(sum(batches[:number], []))
        assert stream.samples_in(number) == seen.total()
        assert stream.never_seen(number) == stream.num_samples - len(seen)
        assert stream.seen_twice(number) == sum(times > 1 for times in seen.values())
    if batches:
        assert stream.last_batch_size == len(batches[-1])


def test_streams_with_real_workers():
    draw = random.Random(3)
    cases = [(46, 8, True, 3, True), (10, 2, False, 4, False), (7, 4, True, 4, True), (3, 2, False, 5, True)]
    cases += [
        (draw.randint(1, 40), draw.randint(1, 9), draw.random() < 0.5, draw.randint(1, 4), draw.random() < 0.5)
        for _ in range(12)
    ]
    for case in cases:
        num_samples, batch_size, drop_last, workers, split = case
        check_stream(Stream(num_samples, batch_size, drop_last, workers, split), torch_batches(*case))


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 60), st.integers(1, 20), st.booleans(), st.booleans())
def test_streams_without_workers(num_samples, batch_size, drop_last, split):
    stream = Stream(num_samples, batch_size, drop_last, split=split)
    check_stream(stream, torch_batches(num_samples, batch_size, drop_last, 0, split))
    assert stream.length_of_loader == stream.batches_per_epoch


def test_known_streams():
    """Worked out by hand, and run with PyTorch 2.13 (see above)."""
    assert Stream(46, 8, drop_last=True, workers=3).batches_per_epoch == 4  # 16, 15 and 15 samples
    stream = Stream(10, 2, workers=4, split=False)
    assert (stream.batches_per_epoch, stream.length_of_loader, stream.seen_twice(20)) == (20, 5, 10)
    assert Stream(None, 8, limit_batches=30).batches_per_epoch == 30
    with pytest.raises(ValueError, match="none of 4 workers reads so many of the 7 samples"):
        LoaderPlan(Stream(7, 4, drop_last=True, workers=4))


def test_a_stream_of_unknown_length():
    plan = LoaderPlan(Stream(None, 8), accumulation_steps=4, max_iterations=100)
    assert (plan.total_iterations, plan.total_samples, plan.batches_after(3)) == (100, 3_200, 12)
    assert plan.iterations_in_epoch(0) == 100 and plan.samples_dropped_per_epoch is None
    assert "iterations in all" in str(plan)
    wide = LoaderPlan(Stream(None, 8, world_size=2), accumulation_steps=4, max_iterations=100)
    assert wide.global_batch_size == 64 and wide.total_samples == 6_400
    with pytest.raises(ValueError, match="give max_iterations"):
        LoaderPlan(Stream(None, 8))
    with pytest.raises(ValueError, match="nobody knows"):
        plan.epochs_after(3)


def test_a_merged_tail_of_a_stream():
    """N=13, B=1, A=4, max_steps=8 reads 34 micro-batches (Hugging Face Trainer 5.24 with iterable data, executed)."""
    plan = LoaderPlan.for_iterations(8, Stream(13, 1), accumulation_steps=4, tail="merge")
    assert (plan.epochs, plan.batches_after(8)) == (3, 34)
    samples = [plan.samples_after(i) for i in range(9)]
    assert [b - a for a, b in zip(samples, samples[1:])] == [4, 4, 4, 5, 4, 4, 5, 4]


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 30), st.integers(1, 90), st.integers(1, 20), st.booleans(), st.booleans())
def test_samplers_that_draw_a_number_of_their_own(num_samples, draws, batch_size, drop_last, replacement):
    sampler = RandomSampler(range(num_samples), replacement, num_samples=draws)
    batches = [
        batch.tolist() for batch in DataLoader(range(num_samples), batch_size, sampler=sampler, drop_last=drop_last)
    ]
    loader = Loader(num_samples, batch_size, drop_last, draws=draws, replacement=replacement)
    assert loader.batches_per_epoch == len(batches)
    seen = Counter(sum(batches, []))
    assert loader.samples_in(len(batches)) == seen.total()
    if replacement:
        assert loader.never_seen(len(batches)) is None and loader.seen_twice(len(batches)) is None
    else:
        assert loader.never_seen(len(batches)) == num_samples - len(seen)
        assert loader.seen_twice(len(batches)) == sum(times > 1 for times in seen.values())


def test_expected_never_seen():
    """Of N samples drawn N times with replacement, the share (1 - 1/N)^N is never seen."""
    generator = torch.Generator().manual_seed(0)
    sampler = WeightedRandomSampler(torch.ones(200), 200, generator=generator)
    missed = [200 - len(set(sampler)) for _ in range(300)]
    expected = Loader(200, 8, draws=200, replacement=True).expected_never_seen(25)
    assert abs(sum(missed) / 300 - expected) < 4 * 4.5 / 300**0.5  # 4.5: their standard deviation
    assert Loader(10, 3, drop_last=True).expected_never_seen(3) == 1
    plan = LoaderPlan(Loader(200, 8, replacement=True), epochs=2)
    assert plan.total_iterations == 50 and "never seen" not in str(plan)


def test_a_loader_makes_the_plan_of_its_fields():
    loader = Loader(101, 4, drop_last=True, world_size=3, deal="batches")
    plan = TrainingPlan(101, 4, 2, drop_last=True, world_size=3, deal="batches", accumulation_steps=2)
    assert LoaderPlan(loader, 2, accumulation_steps=2).rows() == plan.rows()


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: Loader(10, 2, draws=0), ValueError, "draws is 0"),
        (lambda: Loader(10, 2, draws=5, world_size=2), ValueError, "one device only"),
        (lambda: Loader(10, 2, replacement=1), TypeError, "replacement is 1"),
        (lambda: Stream(10, 2, workers=-1), ValueError, "workers is -1"),
        (lambda: Stream(10, 2, split="no"), TypeError, "split is 'no'"),
        (lambda: Stream(10, 2, world_size=2), ValueError, "on one device only"),
        (lambda: Stream(2.5, 2), TypeError, "num_samples is 2.5"),
        (lambda: LoaderPlan(range(10)), TypeError, "must be a lib.loading.Loader"),
    ],
)
def test_bad_input_gets_one_sentence(make, error, words):
    with pytest.raises(error) as caught:
        make()
    message = str(caught.value)
    assert words in message and "\n" not in message and message.endswith(".")
