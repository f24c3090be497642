"""TrainingPlan against identities, against PyTorch's loader and sampler, and against bad input."""

import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import BatchSampler, DataLoader
from torch.utils.data.distributed import DistributedSampler

from lib.plan import TAILS, TrainingPlan


@st.composite
def plans(draw, largest=300):
    """Any plan that can be made."""
    while True:
        choices = dict(
            num_samples=draw(st.integers(1, largest)),
            batch_size=draw(st.integers(1, 40)),
            epochs=draw(st.integers(1, 5)),
            drop_last=draw(st.booleans()),
            accumulation_steps=draw(st.integers(1, 7)),
            world_size=draw(st.integers(1, 9)),
            pad_to_even=draw(st.booleans()),
            tail=draw(st.sampled_from(TAILS)),
        )
        try:
            return TrainingPlan(**choices)
        except ValueError:
            choices["drop_last"], choices["pad_to_even"], choices["tail"] = False, True, "flush"
            return TrainingPlan(**choices)


def walk(plan):
    """Go through a run batch by batch with PyTorch's sampler and batches; yield (epoch, updates, samples)."""
    waiting, waiting_samples, everything = 0, 0, []
    for epoch in range(plan.epochs):
        updates = samples = 0
        ranks = []
        for rank in range(plan.world_size):
            sampler = DistributedSampler(
                range(plan.num_samples), plan.world_size, rank, seed=1, drop_last=not plan.pad_to_even
            )
            sampler.set_epoch(epoch)
            ranks.append([len(batch) for batch in BatchSampler(sampler, plan.batch_size, plan.drop_last)])
        for sizes in zip(*ranks, strict=True):
            waiting, waiting_samples = waiting + 1, waiting_samples + sum(sizes)
            if waiting == plan.accumulation_steps:
                updates, samples, waiting, waiting_samples = updates + 1, samples + waiting_samples, 0, 0
        if waiting and plan.tail == "flush":
            updates, samples, waiting, waiting_samples = updates + 1, samples + waiting_samples, 0, 0
        if plan.tail == "drop":
            waiting = waiting_samples = 0
        everything.append((len(ranks[0]), ranks[0][-1], updates, samples))
    return everything


def test_running_case():
    plan = TrainingPlan(num_samples=10_000, batch_size=500, epochs=3)
    assert (plan.iterations_per_epoch, plan.total_iterations, plan.last_batch_size) == (20, 60, 500)


@pytest.mark.parametrize("batch_size, kept, dropped, last", [(300, 34, 33, 100), (64, 157, 156, 16), (9_999, 2, 1, 1)])
def test_hard_cases(batch_size, kept, dropped, last):
    plan = TrainingPlan(10_000, batch_size)
    assert (plan.iterations_per_epoch, plan.last_batch_size) == (kept, last)
    assert TrainingPlan(10_000, batch_size, drop_last=True).iterations_per_epoch == dropped


def test_known_answers():
    """Exam questions with answers that were worked out by hand."""
    assert TrainingPlan(10_000, 300, 3).total_iterations == 102
    assert TrainingPlan(10_000, 300, 3, drop_last=True).total_iterations == 99
    plan = TrainingPlan(1_001, 8, world_size=8)
    assert (plan.samples_per_device, plan.samples_repeated_per_epoch) == (126, 7)
    plan = TrainingPlan(1_001, 8, world_size=8, pad_to_even=False)
    assert (plan.samples_per_device, plan.samples_repeated_per_epoch, plan.samples_dropped_per_epoch) == (125, 0, 1)
    plan = TrainingPlan(1_281_167, 8_192, epochs=90)
    assert (plan.iterations_per_epoch, plan.total_iterations) == (157, 14_130)
    plan = TrainingPlan(10, 1, epochs=2, accumulation_steps=4, tail="carry")
    assert [plan.iterations_in_epoch(e) for e in (0, 1)] == [2, 3]


@settings(max_examples=400, deadline=None)
@given(plans())
def test_every_number_equals_what_pytorch_counts(plan):
    counted = walk(plan)
    for epoch, (batches, last, updates, samples) in enumerate(counted):
        assert batches == plan.batches_per_epoch
        assert last == plan.last_batch_size
        assert updates == plan.iterations_in_epoch(epoch)
    assert sum(updates for _, _, updates, _ in counted) == plan.total_iterations
    assert sum(samples for *_, samples in counted) == plan.total_samples
    if plan.tail != "carry":
        assert {updates for _, _, updates, _ in counted} == {plan.iterations_per_epoch}


@settings(max_examples=3_000, deadline=None)
@given(st.integers(1, 500), st.integers(1, 600), st.booleans())
def test_length_of_a_dataloader(num_samples, batch_size, drop_last):
    loader = DataLoader(range(num_samples), batch_size, drop_last=drop_last)
    if len(loader) == 0:
        with pytest.raises(ValueError, match="drop_last is True"):
            TrainingPlan(num_samples, batch_size, drop_last=drop_last)
    else:
        assert TrainingPlan(num_samples, batch_size, drop_last=drop_last).batches_per_epoch == len(loader)


@settings(max_examples=2_000, deadline=None)
@given(st.integers(1, 400), st.integers(1, 64), st.booleans())
def test_share_of_a_distributed_sampler(num_samples, world_size, pad):
    samplers = [
        DistributedSampler(range(num_samples), world_size, rank, drop_last=not pad) for rank in (0, world_size - 1)
    ]
    if len(samplers[0]) == 0:
        with pytest.raises(ValueError, match="no device gets a sample"):
            TrainingPlan(num_samples, 1, world_size=world_size, pad_to_even=pad)
        return
    plan = TrainingPlan(num_samples, 1, world_size=world_size, pad_to_even=pad)
    assert {len(s) for s in samplers} == {plan.samples_per_device}
    assert samplers[0].total_size == plan.total_samples


big = st.integers(1, 10**15)


@given(big, big, big, big)
def test_nested_ceilings_are_one(num_samples, batch_size, accumulation_steps, world_size):
    plan = TrainingPlan(num_samples, batch_size, accumulation_steps=accumulation_steps, world_size=world_size)
    assert plan.iterations_per_epoch == -(-num_samples // plan.global_batch_size)


@given(plans(largest=10**15))
def test_every_sample_is_accounted_for(plan):
    each = plan.num_samples + plan.samples_repeated_per_epoch - plan.samples_dropped_per_epoch
    assert 0 <= plan.samples_dropped_per_epoch <= plan.num_samples
    assert 0 <= plan.samples_repeated_per_epoch < plan.world_size
    if plan.tail == "carry":
        waiting = plan.epochs * plan.batches_per_epoch - plan.total_iterations * plan.accumulation_steps
        assert 0 <= waiting < plan.accumulation_steps
        assert 0 <= plan.epochs * each - plan.total_samples <= waiting * plan.batch_size * plan.world_size
    else:
        assert plan.total_samples == plan.epochs * each
    assert plan.total_samples <= plan.total_iterations * plan.global_batch_size
    assert sum(plan.iterations_in_epoch(e) for e in range(plan.epochs)) == plan.total_iterations


@given(plans())
def test_samples_after_climbs_to_the_total(plan):
    climb = [plan.samples_after(i) for i in range(plan.total_iterations + 1)]
    assert climb[0] == 0 and climb[-1] == plan.total_samples
    steps = [b - a for a, b in zip(climb, climb[1:])]
    assert all(0 < step <= plan.global_batch_size for step in steps)


@given(plans(), st.integers(1, 3))
def test_monotone(plan, more):
    fields = {name: getattr(plan, name) for name in plan.__dataclass_fields__}
    grown = TrainingPlan(**fields | {"epochs": plan.epochs + more})
    assert grown.total_iterations > plan.total_iterations or plan.tail == "carry"
    assert grown.total_iterations >= plan.total_iterations
    grown = TrainingPlan(**fields | {"num_samples": plan.num_samples + more})
    assert grown.total_iterations >= plan.total_iterations
    if not plan.drop_last and plan.tail == "flush":
        grown = TrainingPlan(**fields | {"batch_size": plan.batch_size + more})
        assert grown.iterations_per_epoch <= plan.iterations_per_epoch


@given(st.integers(1, 500), plans())
def test_for_iterations(iterations, plan):
    fields = {
        name: getattr(plan, name) for name in plan.__dataclass_fields__ if name not in ("epochs", "max_iterations")
    }
    made = TrainingPlan.for_iterations(iterations, **fields)
    assert made.total_iterations == iterations
    if made.epochs > 1:  # one epoch fewer is too few
        try:
            assert TrainingPlan(**fields, epochs=made.epochs - 1).total_iterations < iterations
        except ValueError as error:
            assert "never updated" in str(error)


def test_max_steps_of_hugging_face():
    """N=10, B=3, A=2, max_steps=5 stops at epoch 2.5 (Hugging Face Trainer 5.23, executed)."""
    plan = TrainingPlan.for_iterations(5, num_samples=10, batch_size=3, accumulation_steps=2)
    assert Fraction(plan.total_iterations, plan.iterations_per_epoch) == Fraction(5, 2)
    assert [plan.iterations_in_epoch(e) for e in range(plan.epochs)] == [2, 2, 1]
    assert plan.total_samples == 26


def test_any_size_is_exact():
    plan = TrainingPlan(10**15 + 1, 7, epochs=10**6, world_size=3, accumulation_steps=11)
    assert plan.total_iterations == 10**6 * -(-(10**15 + 1) // (7 * 3 * 11))


@pytest.mark.parametrize(
    "choices, error, words",
    [
        (dict(batch_size=0), ValueError, "batch_size is 0"),
        (dict(batch_size=-5), ValueError, "batch_size is -5"),
        (dict(batch_size=2.0), TypeError, "batch_size is 2.0"),
        (dict(batch_size="32"), TypeError, "batch_size is '32'"),
        (dict(batch_size=True), TypeError, "batch_size is True"),
        (dict(num_samples=0), ValueError, "num_samples is 0"),
        (dict(num_samples=1e4), TypeError, "num_samples is 10000.0"),
        (dict(epochs=0), ValueError, "epochs is 0"),
        (dict(epochs=None), TypeError, "epochs is None"),
        (dict(accumulation_steps=0), ValueError, "accumulation_steps is 0"),
        (dict(world_size=0), ValueError, "world_size is 0"),
        (dict(drop_last=1), TypeError, "drop_last is 1"),
        (dict(pad_to_even="no"), TypeError, "pad_to_even is 'no'"),
        (dict(tail="keep"), ValueError, "tail is 'keep'"),
        (dict(tail=["flush"]), ValueError, "tail is"),
        (dict(max_iterations=0), ValueError, "max_iterations is 0"),
        (dict(batch_size=11, drop_last=True), ValueError, "drop_last is True"),
        (dict(batch_size=6, world_size=2, drop_last=True), ValueError, "a device has only 5 samples"),
        (dict(world_size=11, pad_to_even=False), ValueError, "no device gets a sample"),
        (dict(accumulation_steps=11, tail="drop"), ValueError, "never updated"),
        (dict(accumulation_steps=11, tail="carry"), ValueError, "never updated"),
    ],
)
def test_bad_input_gets_one_sentence(choices, error, words):
    with pytest.raises(error) as caught:
        TrainingPlan(**{"num_samples": 10, "batch_size": 1} | choices)
    message = str(caught.value)
    assert words in message and "\n" not in message and message.endswith(".")


@pytest.mark.parametrize(
    "choices, error, words",
    [
        (dict(iterations=0), ValueError, "max_iterations is 0"),
        (dict(iterations=5, tail="keep"), ValueError, "tail is 'keep'"),
        (dict(iterations=5, epochs=2), TypeError, "leave epochs"),
        (dict(iterations=5, accumulation_steps=20, tail="drop"), ValueError, "never updated"),
    ],
)
def test_bad_input_for_iterations(choices, error, words):
    with pytest.raises(error, match=words):
        TrainingPlan.for_iterations(**{"num_samples": 10, "batch_size": 1} | choices)


def test_epoch_out_of_range():
    plan = TrainingPlan(10, 2, epochs=3)
    for epoch, error in [(3, ValueError), (-1, ValueError), (1.0, TypeError)]:
        with pytest.raises(error, match="epoch is"):
            plan.iterations_in_epoch(epoch)


def test_reads_well():
    text = str(TrainingPlan(10_000, 64, epochs=3))
    assert "last batch of an epoch              16" in text and "iterations in all                  471" in text
    assert "dropped" not in text and "devices" not in text
    assert "samples repeated per epoch            7" in str(TrainingPlan(1_001, 8, world_size=8))
    assert "39 or 40" in str(TrainingPlan(10_000, 64, accumulation_steps=4, tail="carry"))
    page = TrainingPlan(10_000, 64)._repr_html_()
    assert page.count("<tr>") == len(TrainingPlan(10_000, 64).rows()) and ">157<" in page


def test_frozen():
    with pytest.raises(AttributeError):
        TrainingPlan(10, 2).batch_size = 3


def test_doctests():
    import doctest

    import lib.plan

    result = doctest.testmod(lib.plan)
    assert result.attempted >= 4 and result.failed == 0


def test_import_is_instant_and_without_torch():
    code = (
        "import sys, time; t = time.perf_counter(); import lib; from lib.plan import TrainingPlan; "
        "print(time.perf_counter() - t, 'torch' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.split()[1:] == ["False", "False"]
