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
from lib.models import cnn, initialized, logistic, mlp, num_parameters
from lib.plan import TrainingPlan
from lib.training import mean_loss, schedule_factor, train

DATA = digits().first(230)
MODEL = mlp(64, 12, 10)


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
    history, _ = train(MODEL, DATA, batch_size, epochs=2, drop_last=drop_last, device="cpu")
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

    _, trained = train(MODEL, DATA, 32, epochs=3, learning_rate=0.2, seed=4, device="cpu")
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
    ],
)
def test_optimizers_in_full_batch(optimizer, make):
    _, trained = train(MODEL, DATA, len(DATA), iterations=5, learning_rate=0.02, optimizer=optimizer, device="cpu")
    model = initialized(MODEL, seed=0)
    update = make(model.parameters())
    for _ in range(5):
        update.zero_grad()
        F.cross_entropy(model(torch.from_numpy(DATA.x_train).double()), torch.from_numpy(DATA.y_train)).backward()
        update.step()
    torch.testing.assert_close(weights(trained), weights(model), rtol=0, atol=1e-12)


def test_the_given_model_is_left_alone():
    before = weights(MODEL.double()).clone()
    train(MODEL, DATA, 50, epochs=1, device="cpu")
    assert torch.equal(before, weights(MODEL))


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    runs = [train(MODEL, DATA, 50, epochs=2, seed=seed, device="cpu")[1] for seed in (1, 1, 2)]
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
    history, _ = train(MODEL, DATA, 50, device="cpu", **budget)
    assert (history["iteration"].iloc[-1], history["samples"].iloc[-1]) == (iterations, samples)


def test_budget_in_seconds():
    history, _ = train(MODEL, DATA, 50, seconds=0.05, device="cpu")
    end = history.iloc[-1]
    assert end["seconds"] >= 0.05 and end["iteration"] >= 1
    assert (history["seconds"].iloc[:-1] < 0.05).all() and history["seconds"].is_monotonic_increasing


def test_evaluate_every():
    history, _ = train(MODEL, DATA, 50, iterations=7, evaluate_every=3, device="cpu")
    assert history["iteration"].tolist() == [0, 3, 6, 7]
    assert history["epoch"].tolist() == [0, 3 / 5, 6 / 5, 7 / 5]


def test_losses_weigh_every_sample_the_same():
    history, model = train(MODEL, DATA, 50, epochs=1, device="cpu")
    x, y = torch.from_numpy(DATA.x_test).double(), torch.from_numpy(DATA.y_test)
    with torch.no_grad():
        assert math.isclose(history["test_loss"].iloc[-1], F.cross_entropy(model(x), y).item(), rel_tol=1e-12)
        assert math.isclose(mean_loss(model, x, y, chunk=296)[0], F.cross_entropy(model(x), y).item(), rel_tol=1e-12)
    assert history["test_accuracy"].iloc[-1] == (model(x).argmax(1) == y).double().mean().item()


def test_batch_loss_is_the_mean_over_samples_while_the_weights_move():
    history, _ = train(MODEL, DATA, 100, iterations=3, learning_rate=1e-12, device="cpu")  # 100, 100 and 30 samples
    whole = mean_loss(initialized(MODEL, 0), torch.from_numpy(DATA.x_train).double(), torch.from_numpy(DATA.y_train))
    assert math.isnan(history["batch_loss"].iloc[0])
    assert math.isclose(history["batch_loss"].iloc[-1], whole[0], rel_tol=1e-9)


def test_a_diverged_run_is_a_row():
    history, _ = train(MODEL, DATA, 50, epochs=50, learning_rate=1e200, device="cpu")
    assert history["status"].tolist() == ["ok"] * (len(history) - 1) + ["diverged"]
    assert history["epoch"].iloc[-1] < 50


def test_schedules():
    factors = [schedule_factor(i, "cosine", warmup=4, planned=14) for i in range(14)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0] and factors[4] == 1.0
    assert math.isclose(factors[9], 0.5) and 0 < factors[13] < 0.03
    assert factors[4:] == sorted(factors[4:], reverse=True)
    assert schedule_factor(100, "constant", warmup=0, planned=None) == 1.0
    history, _ = train(MODEL, DATA, 50, iterations=6, warmup=3, learning_rate=0.3, evaluate_every=1, device="cpu")
    np.testing.assert_allclose(history["learning_rate"].iloc[1:], [0.1, 0.2, 0.3, 0.3, 0.3, 0.3])


def test_replacement_and_order_reach_the_run():
    plain, sorted_run, drawn = (
        train(MODEL, DATA, 50, epochs=1, device="cpu", **how)[1]
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
        (dict(epochs=1.5), TypeError, "epochs is 1.5"),
        (dict(epochs=0), ValueError, "epochs is 0"),
        (dict(iterations=0), ValueError, "max_iterations is 0"),
        (dict(samples=0), ValueError, "samples is 0"),
        (dict(seconds=-1), ValueError, "seconds is -1"),
        (dict(epochs=1, batch_size=0), ValueError, "batch_size is 0"),
        (dict(epochs=1, batch_size=231, drop_last=True), ValueError, "every batch is dropped"),
        (dict(epochs=1, learning_rate=0), ValueError, "learning_rate is 0"),
        (dict(epochs=1, learning_rate=math.nan), ValueError, "learning_rate is nan"),
        (dict(epochs=1, optimizer="rmsprop"), ValueError, "optimizer is 'rmsprop'"),
        (dict(epochs=1, schedule="linear"), ValueError, "schedule is 'linear'"),
        (dict(seconds=1, schedule="cosine"), ValueError, "budget is in seconds"),
        (dict(epochs=1, warmup=-1), ValueError, "warmup is -1"),
        (dict(epochs=1, warmup=5), ValueError, "use a shorter warm-up"),
        (dict(epochs=1, evaluate_every=0), ValueError, "evaluate_every is 0"),
        (dict(epochs=1, seed=-1), ValueError, "seed is -1"),
    ],
)
def test_bad_input(choices, error, words):
    with pytest.raises(error, match=words):
        train(MODEL, DATA, **{"batch_size": 50, "device": "cpu"} | choices)


def test_bad_models():
    with pytest.raises(TypeError, match="LayerNorm"):
        train(nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 10)), DATA, 50, epochs=1)
    with pytest.raises(ValueError, match="widths is"):
        mlp(40)


def test_data_of_another_kind():
    wide = replace(DATA, x_train=DATA.x_train.astype(np.float64), x_test=DATA.x_test.astype(np.float64))
    a, b = (train(MODEL, data, 50, epochs=1, device="cpu")[1] for data in (DATA, wide))
    assert torch.equal(weights(a), weights(b))
