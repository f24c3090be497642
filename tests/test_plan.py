"""TrainingPlan against identities, against PyTorch's loader and sampler, and against bad input."""

import itertools
import random
import subprocess
import sys
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import BatchSampler, DataLoader
from torch.utils.data.distributed import DistributedSampler

from lib.loading import DEALS
from lib.plan import TAILS, TrainingPlan


@st.composite
def plans(draw, largest=300):
    """Any plan that can be made."""
    choices = dict(
        num_samples=draw(st.integers(1, largest)),
        batch_size=draw(st.integers(1, 40)),
        epochs=draw(st.integers(1, 5)),
        drop_last=draw(st.booleans()),
        accumulation_steps=draw(st.integers(1, 7)),
        world_size=draw(st.integers(1, 9)),
        pad_to_even=draw(st.booleans()),
        tail=draw(st.sampled_from(TAILS)),
        deal=draw(st.sampled_from(DEALS)),
        limit_batches=draw(st.none() | st.integers(1, 30)),
    )
    try:
        return TrainingPlan(**choices)
    except ValueError:
        return TrainingPlan(**choices | dict(drop_last=False, pad_to_even=True, tail="flush"))


def torch_batches(plan, epoch):
    """An epoch of PyTorch's sampler and loader: for each device its batches, as lists of sample numbers."""
    devices = []
    for rank in range(plan.world_size):
        sampler = DistributedSampler(
            range(plan.num_samples), plan.world_size, rank, seed=1, drop_last=not plan.pad_to_even
        )
        sampler.set_epoch(epoch)
        devices.append(list(BatchSampler(sampler, plan.batch_size, plan.drop_last)))
    return devices


def whole_batches(plan, epoch):
    """The same when whole batches are dealt: as many for each device, filled from the epoch's start."""
    order = random.Random(epoch).sample(range(plan.num_samples), plan.num_samples)
    batches = [order[i : i + plan.batch_size] for i in range(0, plan.num_samples, plan.batch_size)]
    if plan.drop_last:
        batches = [batch for batch in batches if len(batch) == plan.batch_size]
    if plan.world_size > 1 and plan.drop_last:
        batches = batches[: len(batches) // plan.world_size * plan.world_size]
    elif plan.world_size > 1 and plan.pad_to_even:
        again = itertools.cycle(order)
        while len(batches) % plan.world_size or len(batches[-1]) < plan.batch_size:
            if len(batches[-1]) == plan.batch_size:
                batches.append([])
            batches[-1].append(next(again))
    return [batches[rank :: plan.world_size] for rank in range(plan.world_size)]


def walk(plan):
    """Go through a run batch by batch; yield (batches, last size, updates, samples, seen by identity) of each epoch."""
    waiting, left_over, everything = [], [], []
    for epoch in range(plan.epochs):
        updates, used = 0, []
        devices = (torch_batches if plan.deal == "samples" else whole_batches)(plan, epoch)
        together = [sum(batches, []) for batches in zip(*devices, strict=True)][: plan.limit_batches]
        for samples in together:
            waiting.append(samples)
            if len(waiting) == plan.accumulation_steps:
                updates, used, waiting, left_over = updates + 1, used + left_over + waiting, [], []
        if waiting and plan.tail == "flush":
            updates, used, waiting = updates + 1, used + waiting, []
        if plan.tail == "merge":
            waiting, left_over = [], left_over + waiting
        if plan.tail == "drop":
            waiting = []
        kept = len(together) - (len(together) % plan.accumulation_steps if plan.tail == "drop" else 0)
        seen = Counter(sum(together[:kept], []))
        last = devices[-1][len(together) - 1]
        everything.append((len(together), len(last), updates, sum(map(len, used)), seen))
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


@settings(max_examples=600, deadline=None)
@given(plans())
def test_every_number_equals_what_pytorch_counts(plan):
    counted = walk(plan)
    for epoch, (batches, last, updates, _, seen) in enumerate(counted):
        assert batches == plan.batches_per_epoch
        assert last == plan.last_batch_size
        assert updates == plan.iterations_in_epoch(epoch)
        assert plan.num_samples - len(seen) == plan.samples_dropped_per_epoch
        assert sum(times > 1 for times in seen.values()) == plan.samples_repeated_per_epoch
    assert sum(updates for _, _, updates, _, _ in counted) == plan.total_iterations
    assert sum(samples for *_, samples, _ in counted) == plan.total_samples
    if plan.tail != "carry":
        assert {updates for _, _, updates, _, _ in counted} == {plan.iterations_per_epoch}


@pytest.mark.parametrize(
    "choices, never, twice",
    [
        (dict(num_samples=10_001, batch_size=100, world_size=8, drop_last=True), 401, 0),
        (dict(num_samples=50_001, batch_size=64, world_size=8, drop_last=True), 337, 0),
        (dict(num_samples=9, batch_size=2, world_size=4, drop_last=True), 1, 0),
        (dict(num_samples=1_001, batch_size=8, world_size=8, accumulation_steps=4, tail="drop"), 0, 7),
        (dict(num_samples=2, batch_size=1, world_size=9), 0, 2),
        (dict(num_samples=91, batch_size=10, world_size=2, deal="batches"), 0, 9),
    ],
)
def test_padding_that_is_dropped_again_repeats_nothing(choices, never, twice):
    plan = TrainingPlan(**choices)
    assert (plan.samples_dropped_per_epoch, plan.samples_repeated_per_epoch) == (never, twice)
    [(*_, seen)] = walk(plan)
    assert (plan.num_samples - len(seen), sum(times > 1 for times in seen.values())) == (never, twice)


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
    never, twice = plan.samples_dropped_per_epoch, plan.samples_repeated_per_epoch
    assert 0 <= never < plan.num_samples and 0 <= twice <= plan.num_samples and not (never and twice)
    visits = plan.total_samples // plan.epochs
    if plan.tail in ("carry", "merge"):
        waiting = plan.epochs * plan.batches_per_epoch - plan.batches_after(plan.total_iterations)
        assert 0 <= waiting < plan.accumulation_steps
    else:
        assert plan.total_samples % plan.epochs == 0
        assert visits == plan.num_samples - never or visits >= plan.num_samples + twice
    if plan.tail != "merge":
        assert plan.total_samples <= plan.total_iterations * plan.global_batch_size
    assert sum(plan.iterations_in_epoch(e) for e in range(plan.epochs)) == plan.total_iterations


@given(plans())
def test_samples_after_climbs_to_the_total(plan):
    climb = [plan.samples_after(i) for i in range(plan.total_iterations + 1)]
    assert climb[0] == 0 and climb[-1] == plan.total_samples
    steps = [b - a for a, b in zip(climb, climb[1:])]
    most = plan.global_batch_size * (2 if plan.tail == "merge" else 1)
    assert all(0 < step <= most for step in steps)
    batches = [plan.batches_after(i) for i in range(plan.total_iterations + 1)]
    assert batches[0] == 0 and batches[-1] <= plan.epochs * plan.batches_per_epoch
    assert all(0 < b - a < 2 * plan.accumulation_steps for a, b in zip(batches, batches[1:]))


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


def test_fractions_of_epochs():
    """2.5 epochs of 32 batches are 80 updates, and of 4 updates 10 (Hugging Face Trainer 5.24, executed)."""
    plan = TrainingPlan(1_000, 32, epochs=2.5)
    assert plan.total_iterations == 80 and plan.epochs_started == 3
    assert [plan.iterations_in_epoch(e) for e in range(3)] == [32, 32, 16]
    plan = TrainingPlan(100, 8, epochs=2.5, accumulation_steps=4)
    assert (plan.total_iterations, plan.batches_after(10), plan.samples_after(10)) == (10, 34, 264)
    assert round(float(plan.epochs_after(10)), 3) == 2.615
    assert TrainingPlan(10, 1, epochs=1.1).total_iterations == 11  # eleven tenths, though the float is a little more
    assert TrainingPlan(10, 1, epochs=Fraction(1, 3)).total_iterations == 4
    assert TrainingPlan(10, 1, epochs=0.01).total_iterations == 1
    for whole in (3.0, np.int64(3), np.float32(3), Fraction(3)):
        assert TrainingPlan(10, 1, epochs=whole) == TrainingPlan(10, 1, epochs=3)
        assert type(TrainingPlan(10, 1, epochs=whole).epochs) is int


@given(st.fractions(Fraction(1, 50), 5, max_denominator=50), plans())
def test_fractions_of_epochs_lie_between_whole_ones(epochs, plan):
    choices = {name: getattr(plan, name) for name in plan.__dataclass_fields__}
    try:
        part = TrainingPlan(**choices | {"epochs": epochs}).total_iterations
        before = TrainingPlan(**choices | {"epochs": epochs // 1}).total_iterations if epochs >= 1 else 0
    except ValueError as error:
        assert "never updated" in str(error)
        return
    after = TrainingPlan(**choices | {"epochs": -(-epochs // 1)}).total_iterations
    assert before <= part <= after and part - before >= (epochs % 1) * (after - before) > part - before - 1


def test_epoch_of_a_log():
    """N=91, B=10, W=2, A=2 stopped at 20 shows epoch 6.8 (Hugging Face Trainer)."""
    plan = TrainingPlan.for_iterations(20, num_samples=91, batch_size=10, world_size=2, accumulation_steps=2)
    assert plan.epochs_after(20) == Fraction(68, 10)


def test_limit_on_batches():
    plan = TrainingPlan(1_000, 10, epochs=2, limit_batches=30)
    assert (plan.batches_per_epoch, plan.total_iterations, plan.samples_dropped_per_epoch) == (30, 60, 700)
    assert TrainingPlan(25, 10, limit_batches=30) == TrainingPlan(25, 10, limit_batches=30)
    assert TrainingPlan(25, 10, limit_batches=30).last_batch_size == 5


def test_the_merged_tail():
    """torchtune: updates of 4, 4, 6 and 4 micro-batches; b=3 and A=8 never update (0.6.1, executed)."""
    plan = TrainingPlan(10, 1, epochs=2, accumulation_steps=4, tail="merge")
    samples = [plan.samples_after(i) for i in range(5)]
    assert [b - a for a, b in zip(samples, samples[1:])] == [4, 4, 6, 4]
    with pytest.raises(ValueError, match="never updated"):
        TrainingPlan(3, 1, epochs=3, accumulation_steps=8, tail="merge")


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
        (dict(epochs=-2.5), ValueError, "epochs is -2.5"),
        (dict(epochs=float("nan")), ValueError, "epochs is nan"),
        (dict(epochs=float("inf")), ValueError, "epochs is inf"),
        (dict(epochs="2.5"), TypeError, "epochs is '2.5'"),
        (dict(epochs=True), TypeError, "epochs is True"),
        (dict(deal="cards"), ValueError, "deal is 'cards'"),
        (dict(limit_batches=0), ValueError, "limit_batches is 0"),
        (dict(deal="batches", world_size=3, pad_to_even=False), ValueError, "would be waited for"),
        (dict(deal="batches", world_size=3, batch_size=4, drop_last=True), ValueError, "3 devices have only 10"),
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
    assert "never seen" not in text and "devices" not in text
    assert "samples seen twice in an epoch        7" in str(TrainingPlan(1_001, 8, world_size=8))
    assert "39 or 40" in str(TrainingPlan(10_000, 64, accumulation_steps=4, tail="carry"))
    page = TrainingPlan(10_000, 64)._repr_html_()
    assert page.count("<tr>") == len(TrainingPlan(10_000, 64).rows()) and ">157<" in page


def test_numbers_and_switches_of_numpy():
    """A table's rows hold NumPy's numbers; a plan keeps plain ones."""
    choices = dict(num_samples=100, batch_size=7, accumulation_steps=2, world_size=2, max_iterations=3, limit_batches=4)
    made = TrainingPlan(**{n: np.int32(v) for n, v in choices.items()}, epochs=np.int64(2), drop_last=np.True_)
    assert made == TrainingPlan(**choices, epochs=2, drop_last=True)
    assert {type(getattr(made, name)) for name in choices} == {int} and made.drop_last is True
    assert made.samples_after(np.int64(2)) == made.samples_after(2)


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
