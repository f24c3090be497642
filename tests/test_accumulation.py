"""Accumulation: the same gradient as the big batch's, counts as the plan says, and the five tails."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from lib.accumulation import TAILS, accumulate, check_tail, schedule
from lib.data import digits
from lib.models import initialized, mlp
from lib.plan import TrainingPlan
from lib.recipe import Budget, Recipe
from lib.sampling import epoch_order
from lib.training import train
from lib.workload import classification

DATA = digits().first(230)
MODEL = mlp(64, 12, 10)
WORK = classification(MODEL, DATA)


pytestmark = pytest.mark.usefixtures("float64")


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def unit_gradients(tail, epochs, micro_batches=10, accumulation_steps=4):
    """A weight whose every micro-batch has the gradient 1, after SGD with learning rate 1; and its iterations."""
    w, iterations = torch.zeros((), requires_grad=True), 0
    optimizer = torch.optim.SGD([w], lr=1.0)
    for epoch in range(epochs):
        for step in schedule([1] * micro_batches, accumulation_steps, tail, epoch):
            if step.begins:
                optimizer.zero_grad()
            (w * step.factor).backward()
            if step.ends:
                optimizer.step()
                iterations += 1
    return w.item(), iterations


@pytest.mark.parametrize(
    "tail, weight, iterations, weight_2, iterations_2",
    [
        ("flush", -3.0, 3, -6.0, 6),
        ("flush-fixed", -2.5, 3, -5.0, 6),
        ("carry", -2.0, 2, -5.0, 5),
        ("merge", -2.0, 2, -4.0, 4),
        ("drop", -2.0, 2, -4.0, 4),
    ],
)
def test_ten_micro_batches_in_fours(tail, weight, iterations, weight_2, iterations_2):
    """What Hugging Face (flush), Lightning (flush-fixed), Keras and optax (carry) were measured to do."""
    assert unit_gradients(tail, epochs=1) == (weight, iterations)
    assert unit_gradients(tail, epochs=2) == (weight_2, iterations_2)


def test_three_micro_batches_in_eights():
    """Fewer micro-batches than an iteration takes: a fixed divisor moves the weight by 3/8 an epoch."""
    assert unit_gradients("flush-fixed", 1, 3, 8) == (-3 / 8, 1) and unit_gradients("flush", 1, 3, 8) == (-1.0, 1)
    assert unit_gradients("carry", 2, 3, 8) == (0.0, 0) and unit_gradients("carry", 3, 3, 8) == (-1.0, 1)
    assert unit_gradients("drop", 5, 3, 8) == unit_gradients("merge", 5, 3, 8) == (0.0, 0)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 9), st.sampled_from(TAILS))
def test_a_schedule_is_whole(sizes, accumulation_steps, tail):
    """Over many epochs: begin and end alternate, no iteration is longer than A, its factors add up to 1."""
    factors, number = None, 0
    for epoch in range(2 * accumulation_steps):
        for step in schedule(sizes, accumulation_steps, tail, epoch):
            if step.begins:
                assert factors is None or tail == "drop"
                factors = []
            factors.append(step.factor)
            if step.ends:
                rest = len(sizes) % accumulation_steps
                others = {"flush": {rest}, "flush-fixed": {rest}, "merge": {accumulation_steps + rest}}
                assert len(factors) in {accumulation_steps} | others.get(tail, set())
                assert tail == "flush-fixed" or sum(factors) == pytest.approx(1)
                factors, number = None, number + 1
    if tail not in ("drop", "merge") or len(sizes) >= accumulation_steps:
        plan = TrainingPlan(
            len(sizes), 1, epochs=2 * accumulation_steps, accumulation_steps=accumulation_steps, tail=check_tail(tail)
        )
        assert number == plan.total_iterations
    else:
        assert number == 0


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize(
    "batch_size, accumulation_steps, drop_last",
    [(10, 1, False), (10, 4, False), (50, 2, False), (50, 4, True), (64, 8, False), (7, 3, True)],
)
def test_counts_equal_the_plan(batch_size, accumulation_steps, drop_last, tail):
    epochs = 5
    fields = dict(drop_last=drop_last, accumulation_steps=accumulation_steps)
    if tail in ("drop", "merge") and batch_size == 64:
        with pytest.raises(ValueError, match="the weights are never updated"):
            train(WORK, batch_size=batch_size, epochs=epochs, tail=tail, device="cpu", **fields)
        return
    plan = TrainingPlan(len(DATA), batch_size, epochs=epochs, tail=check_tail(tail), **fields)
    history, _ = train(WORK, batch_size=batch_size, epochs=epochs, tail=tail, device="cpu", **fields)
    assert history["epoch"].tolist() == [0, 1, 2, 3, 4, 5]
    assert history["batches"].tolist() == [e * plan.batches_per_epoch for e in range(6)]
    assert history["iteration"].diff()[1:].tolist() == [plan.iterations_in_epoch(e) for e in range(epochs)]
    assert history["samples"].tolist() == [plan.samples_after(i) for i in history["iteration"]]


@pytest.mark.parametrize("tail", ["flush", "carry", "drop"])
@pytest.mark.parametrize("samples", [1, 39, 40, 41, 230, 231, 1900])
def test_a_budget_in_samples_ends_with_the_first_iteration_that_reaches_it(samples, tail):
    history, _ = train(
        WORK, batch_size=10, samples=samples, accumulation_steps=4, tail=tail, evaluate_every=1, device="cpu"
    )
    assert history["samples"].iloc[-1] >= samples and (history["samples"].iloc[:-1] < samples).all()
    plan = Budget(samples=samples).plan(Recipe(10, accumulation_steps=4, tail=tail), len(DATA))
    assert plan.total_iterations == history["iteration"].iloc[-1]


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_micro_batches_give_the_weights_of_the_big_batch(optimizer):
    """230 samples: batches of 80, 80 and 70; micro-batches of 20, with a last one of 10."""
    how = dict(epochs=3, optimizer=optimizer, learning_rate=0.02, schedule="cosine", warmup=2, device="cpu")
    _, big = train(WORK, batch_size=80, **how)
    _, small = train(WORK, batch_size=20, accumulation_steps=4, **how)
    torch.testing.assert_close(weights(small), weights(big), rtol=0, atol=1e-12)
    _, fixed = train(WORK, batch_size=20, accumulation_steps=4, tail="flush-fixed", **how)
    assert (weights(fixed) - weights(big)).abs().max() > 1e-4


def test_carrying_goes_on_in_the_next_epoch():
    """The iterations of "carry" are the orders of all epochs, one after the other, cut into fours of micro-batches."""
    _, trained = train(
        WORK, batch_size=20, epochs=4, accumulation_steps=5, tail="carry", learning_rate=0.2, device="cpu"
    )
    x, y = torch.from_numpy(DATA.x_train).double(), torch.from_numpy(DATA.y_train)
    micro_batches = [batch for epoch in range(4) for batch in torch.from_numpy(epoch_order(230, 0, epoch)).split(20)]
    model = initialized(MODEL, 0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    for first in range(0, len(micro_batches) // 5 * 5, 5):
        together = torch.cat(micro_batches[first : first + 5])
        optimizer.zero_grad()
        F.cross_entropy(model(x[together]), y[together]).backward()
        optimizer.step()
    torch.testing.assert_close(weights(trained), weights(model), rtol=0, atol=1e-12)


class Tokens(nn.Module):
    """A smallest language model: a row of class scores for each of 30 tokens."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.from_numpy(epoch_order(300, 1, 0).reshape(30, 10) / 100.0))

    def forward(self, tokens):
        return self.table[tokens]


def test_two_and_ninety_eight_tokens():
    generator = torch.Generator().manual_seed(0)
    inputs, targets = (torch.randint(high, (1, 100), generator=generator) for high in (30, 10))
    micro_batches = [(inputs[:, :2], targets[:, :2]), (inputs[:, 2:], targets[:, 2:])]

    def gradient(backward):
        model = Tokens()
        return backward(model), model.table.grad

    def whole(model):
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        loss.backward()
        return loss.item()

    def mean_of_means(model):
        losses = [F.cross_entropy(model(x).flatten(0, 1), y.flatten()) / 2 for x, y in micro_batches]
        sum(losses).backward()
        return sum(losses).item()

    loss, exact = gradient(whole)
    naive_loss, naive = gradient(mean_of_means)
    right_loss, right = gradient(lambda model: accumulate(model, micro_batches))
    assert right_loss == pytest.approx(loss, rel=1e-12)
    torch.testing.assert_close(right, exact, rtol=0, atol=1e-14)
    assert abs(naive_loss - loss) > 0.1 and (naive - exact).norm() > 0.5 * exact.norm()

    padded = [(x, torch.where(torch.arange(y.shape[1]) % 3 == 0, -100, y)) for x, y in micro_batches]
    padded.append((inputs[:, :5], torch.full((1, 5), -100)))  # nothing but padding: counts for nothing
    flat = torch.cat([y.flatten() for _, y in padded]), torch.cat([x.flatten() for x, _ in padded])

    def whole_padded(model):
        F.cross_entropy(model(flat[1]), flat[0], ignore_index=-100).backward()

    torch.testing.assert_close(
        gradient(lambda model: accumulate(model, padded))[1], gradient(whole_padded)[1], rtol=0, atol=1e-14
    )
    with pytest.raises(ValueError, match="nothing to average"):
        accumulate(Tokens(), padded[-1:])


def test_batch_norm_makes_equality_impossible():
    data = replace(DATA, x_train=DATA.x_train[:200], y_train=DATA.y_train[:200])
    for model, equal in [
        (nn.Sequential(nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10)), True),
        (nn.Sequential(nn.Linear(64, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 10)), False),
    ]:
        _, big = train(classification(model, data), batch_size=100, epochs=2, device="cpu")
        _, small = train(classification(model, data), batch_size=25, epochs=2, accumulation_steps=4, device="cpu")
        difference = (weights(big) - weights(small)).abs().max()
        assert difference < 1e-12 if equal else difference > 1e-3


@pytest.mark.parametrize(
    "choices, error, words",
    [
        (dict(tail="keep"), ValueError, "tail is 'keep'"),
        (dict(accumulation_steps=0), ValueError, "accumulation_steps is 0"),
        (dict(accumulation_steps=2.0), TypeError, "accumulation_steps is 2.0"),
        (dict(accumulation_steps=6, tail="drop"), ValueError, "the weights are never updated"),
    ],
)
def test_bad_input(choices, error, words):
    with pytest.raises(error, match=words):
        train(WORK, batch_size=50, epochs=1, device="cpu", **choices)
