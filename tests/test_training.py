"""One run: its counts against the plan, its weights against a loop written out, its bad input."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from lib.data import digits
from lib.evaluation import mean_loss
from lib.models import cnn, initialized, logistic, mlp, num_parameters
from lib.plan import TrainingPlan
from lib.recipe import Recipe
from lib.training import train
from lib.workload import classification

DATA = digits().first(230)
MODEL = mlp(64, 12, 10)
WORK = classification(MODEL, DATA)


@pytest.fixture(autouse=True)
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("batch_size", [1, 10, 64, 229, 230])
def test_counts_equal_the_plan(batch_size, drop_last):
    history, _ = train(WORK, batch_size=batch_size, epochs=2, drop_last=drop_last, device="cpu")
    plan = TrainingPlan(len(DATA), batch_size, epochs=2, drop_last=drop_last)
    end = history.iloc[-1]
    assert (end["iteration"], end["batches"], end["samples"]) == (
        plan.total_iterations,
        plan.batches_per_epoch * 2,
        plan.total_samples,
    )
    assert history["epoch"].tolist() == [0, 1, 2]
    assert history["iteration"].tolist() == [0, plan.iterations_per_epoch, plan.total_iterations]


def test_weights_equal_a_textbook_loop():
    """The same weights as DataLoader, CrossEntropyLoss and torch.optim.SGD give, batch for batch."""
    from lib.sampling import epoch_order

    _, trained = train(WORK, batch_size=32, epochs=3, learning_rate=0.2, seed=4, device="cpu")
    model = initialized(MODEL, seed=4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    samples = TensorDataset(torch.from_numpy(DATA.x_train).double(), torch.from_numpy(DATA.y_train))
    for epoch in range(3):
        for x, y in DataLoader(samples, batch_size=32, sampler=epoch_order(len(DATA), 4, epoch).tolist()):
            optimizer.zero_grad()
            nn.CrossEntropyLoss()(model(x), y).backward()
            optimizer.step()
    torch.testing.assert_close(weights(trained), weights(model), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "optimizer, make",
    [
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.02)),
        ("momentum", lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9)),
        ("adam", lambda p: torch.optim.Adam(p, lr=0.02)),
        ("nesterov", lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True)),
        ("adamw", lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.0)),
    ],
)
def test_optimizers_in_full_batch(optimizer, make):
    _, trained = train(WORK, batch_size=len(DATA), iterations=5, learning_rate=0.02, optimizer=optimizer, device="cpu")
    model = initialized(MODEL, seed=0)
    update = make(model.parameters())
    for _ in range(5):
        update.zero_grad()
        F.cross_entropy(model(torch.from_numpy(DATA.x_train).double()), torch.from_numpy(DATA.y_train)).backward()
        update.step()
    torch.testing.assert_close(weights(trained), weights(model), rtol=0, atol=1e-12)


def test_the_given_model_is_left_alone():
    before = weights(MODEL.double()).clone()
    train(WORK, batch_size=50, epochs=1, device="cpu")
    assert torch.equal(before, weights(MODEL))


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    runs = [train(WORK, batch_size=50, epochs=2, seed=seed, device="cpu")[1] for seed in (1, 1, 2)]
    assert torch.equal(weights(runs[0]), weights(runs[1])) and not torch.equal(weights(runs[0]), weights(runs[2]))


@pytest.mark.parametrize(
    "budget, iterations, samples",
    [
        (dict(epochs=2), 10, 460),
        (dict(iterations=7), 7, 330),
        (dict(samples=230), 5, 230),
        (dict(samples=231), 6, 280),
        (dict(samples=1), 1, 50),
    ],
)
def test_budgets(budget, iterations, samples):
    history, _ = train(WORK, batch_size=50, device="cpu", **budget)
    assert (history["iteration"].iloc[-1], history["samples"].iloc[-1]) == (iterations, samples)


def test_budget_in_seconds():
    history, _ = train(WORK, batch_size=50, seconds=0.05, device="cpu")
    end = history.iloc[-1]
    assert end["seconds"] >= 0.05 and end["iteration"] >= 1
    assert (history["seconds"].iloc[:-1] < 0.05).all() and history["seconds"].is_monotonic_increasing


def test_evaluate_every():
    history, _ = train(WORK, batch_size=50, iterations=7, evaluate_every=3, device="cpu")
    assert history["iteration"].tolist() == [0, 3, 6, 7]
    assert history["epoch"].tolist() == [0, 3 / 5, 6 / 5, 7 / 5]


def test_losses_weigh_every_sample_the_same():
    history, model = train(WORK, batch_size=50, epochs=1, device="cpu")
    x, y = torch.from_numpy(DATA.x_test).double(), torch.from_numpy(DATA.y_test)
    with torch.no_grad():
        assert math.isclose(history["test_loss"].iloc[-1], F.cross_entropy(model(x), y).item(), rel_tol=1e-12)
        assert math.isclose(
            mean_loss(WORK, model, x, y, chunk=296)[0], F.cross_entropy(model(x), y).item(), rel_tol=1e-12
        )
    assert history["test_accuracy"].iloc[-1] == (model(x).argmax(1) == y).double().mean().item()


def test_batch_loss_is_the_mean_over_samples_while_the_weights_move():
    history, _ = train(WORK, batch_size=100, iterations=3, learning_rate=1e-12, device="cpu")  # 100, 100 and 30 samples
    whole = mean_loss(
        WORK, initialized(MODEL, 0), torch.from_numpy(DATA.x_train).double(), torch.from_numpy(DATA.y_train)
    )
    assert math.isnan(history["batch_loss"].iloc[0])
    assert math.isclose(history["batch_loss"].iloc[-1], whole[0], rel_tol=1e-9)


def test_a_diverged_run_is_a_row():
    history, _ = train(WORK, batch_size=50, epochs=50, learning_rate=1e200, device="cpu")
    assert history["status"].tolist() == ["ok"] * (len(history) - 1) + ["diverged"]
    assert history["epoch"].iloc[-1] < 50


@pytest.mark.parametrize("warmup", [0, 4])
def test_schedules(warmup):
    def factors(schedule):
        recipe = Recipe(1, schedule=schedule, warmup=warmup)
        return [recipe.factor(i, warmup + 10) for i in range(warmup + 10)]

    climb = [(i + 1) / 4 for i in range(warmup)]
    assert factors("constant") == climb + [1.0] * 10
    np.testing.assert_allclose(factors("linear"), climb + [1 - i / 10 for i in range(10)])
    np.testing.assert_allclose(factors("cosine"), climb + [(1 + math.cos(math.pi * i / 10)) / 2 for i in range(10)])


@pytest.mark.parametrize("planned, warmup", [(10, 0), (10, 3), (137, 0), (2, 0), (1, 0), (4, 0)])
def test_one_cycle_is_that_of_torch(planned, warmup):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    share = warmup / planned if warmup else 0.3
    if planned < 2:
        assert 0 < Recipe(1, schedule="one-cycle").factor(0, planned) <= 1
        return
    torch_schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, planned, pct_start=share, cycle_momentum=False)
    recipe = Recipe(1, schedule="one-cycle", warmup=warmup)
    for iteration in range(planned):
        assert math.isclose(recipe.factor(iteration, planned), torch_schedule.get_last_lr()[0], rel_tol=1e-9)
        optimizer.step()
        torch_schedule.step() if iteration + 1 < planned else None


def test_warmup_reaches_the_run():
    history, _ = train(WORK, batch_size=50, iterations=6, warmup=3, learning_rate=0.3, evaluate_every=1, device="cpu")
    np.testing.assert_allclose(history["learning_rate"].iloc[1:], [0.1, 0.2, 0.3, 0.3, 0.3, 0.3])


def test_replacement_and_order_reach_the_run():
    plain, sorted_run, drawn = (
        train(WORK, batch_size=50, epochs=1, device="cpu", **how)[1]
        for how in ({}, {"shuffle": False}, {"replacement": True})
    )
    assert len({weights(m).sum().item() for m in (plain, sorted_run, drawn)}) == 3


def test_models():
    assert [num_parameters(m) for m in (logistic(), mlp(), cnn())] == [410, 15_210, 5_210]
    x = torch.zeros(3, 40)
    assert all(m(x).shape == (3, 10) for m in (initialized(m, 0) for m in (logistic(), mlp(), cnn(), cnn(7))))
    bound = 1 / math.sqrt(40)
    drawn = initialized(mlp(40, 400, 10), seed=1)[0].weight
    assert drawn.abs().max() <= bound and abs(drawn.std() - bound / math.sqrt(3)) < 0.02 * bound
    torch.testing.assert_close(
        weights(initialized(mlp(), 3, torch.float32)), weights(initialized(mlp(), 3)).float(), rtol=0, atol=0
    )


@pytest.mark.parametrize(
    "choices, error, words",
    [
        (dict(), ValueError, "give exactly one of"),
        (dict(epochs=1, iterations=3), ValueError, "give exactly one of"),
        (dict(epochs="1"), TypeError, "epochs is '1'"),
        (dict(epochs=0), ValueError, "epochs is 0"),
        (dict(iterations=0), ValueError, "iterations is 0"),
        (dict(samples=0), ValueError, "samples is 0"),
        (dict(seconds=-1), ValueError, "seconds is -1"),
        (dict(epochs=1, batch_size=0), ValueError, "batch_size is 0"),
        (dict(epochs=1, batch_size=231, drop_last=True), ValueError, "every batch is dropped"),
        (dict(epochs=1, learning_rate=0), ValueError, "learning_rate is 0"),
        (dict(epochs=1, learning_rate=math.nan), ValueError, "learning_rate is nan"),
        (dict(epochs=1, optimizer="rmsprop"), ValueError, "optimizer is 'rmsprop'"),
        (dict(epochs=1, schedule="step"), ValueError, "schedule is 'step'"),
        (dict(seconds=1, schedule="cosine"), ValueError, "budget is in seconds"),
        (dict(epochs=1, warmup=-1), ValueError, "warmup is -1"),
        (dict(epochs=1, warmup="a"), ValueError, "warmup is 'a'.*whole number of iterations"),
        (dict(epochs=1, warmup=None), ValueError, "warmup is None"),
        (dict(epochs=1, warmup=2.0), ValueError, "warmup is 2.0"),
        (dict(epochs=1, betas=0.9), ValueError, "betas is 0.9, but it must be two numbers"),
        (dict(epochs=1, betas=None), ValueError, "betas is None"),
        (dict(epochs=1, betas=(0.9, "b")), ValueError, "betas is b"),
        (dict(epochs=1, betas=(0.9,)), ValueError, r"betas is \(0.9,\)"),
        (dict(epochs=1, target=True), ValueError, "target is True, but it must be a loss above 0"),
        (dict(epochs=1, target="low"), ValueError, "target is 'low'"),
        (dict(epochs=1, target=[1.0]), ValueError, r"target is \[1.0\]"),
        (dict(epochs=1, target=math.nan), ValueError, "target is nan"),
        (dict(epochs=1, device="gpu"), ValueError, "device is 'gpu', but here is only cpu"),
        (dict(epochs=1, device="cuda:99"), ValueError, "device is 'cuda:99', but here is only"),
        (dict(epochs=1, device=3.5), ValueError, "device is 3.5"),
        (dict(epochs=1, warmup=5), ValueError, "use a shorter warm-up"),
        (dict(epochs=1, evaluate_every=0), ValueError, "evaluate_every is 0"),
        (dict(epochs=1, seed=-1), ValueError, "seed is -1"),
    ],
)
def test_bad_input(choices, error, words):
    with pytest.raises(error, match=words):
        train(WORK, **{"batch_size": 50, "device": "cpu"} | choices)


class Bare(nn.Module):
    """A layer with weights that nothing says how to draw."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(64))

    def forward(self, x):
        return x * self.scale


def test_bad_models():
    with pytest.raises(TypeError, match="Bare layer.*reset_parameters"):
        train(WORK.but(model=nn.Sequential(Bare(), nn.Linear(64, 10))), batch_size=50, epochs=1)
    with pytest.raises(ValueError, match="widths is"):
        mlp(40)


def test_a_target_may_be_any_number():
    history, _ = train(WORK, batch_size=50, epochs=1, target=np.float32(50), device="cpu")
    assert history["status"].iloc[-1] == "reached"


def test_a_label_that_is_no_class_is_named_before_training():
    labels = DATA.y_train.copy()
    labels[-1] = 10
    with pytest.raises(ValueError, match="the label 10 among its train samples, but the model has 10 outputs"):
        train(WORK.but(data=replace(DATA, y_train=labels)), batch_size=50, epochs=1)


def test_data_of_another_kind():
    wide = replace(DATA, x_train=DATA.x_train.astype(np.float64), x_test=DATA.x_test.astype(np.float64))
    a, b = (train(WORK.but(data=data), batch_size=50, epochs=1, device="cpu")[1] for data in (DATA, wide))
    assert torch.equal(weights(a), weights(b))
