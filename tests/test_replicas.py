"""Replicas against the oracle they must not differ from: PyTorch's own layers, autograd and ``lib.training.train``."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lib.data import Dataset
from lib.kernel_replicas import BLOCK, KernelReplicas, as_layers, as_row, backward, cross_entropy, forward
from lib.models import cnn, initialized, logistic, mlp
from lib.recipe import Recipe
from lib.replicas import StackedReplicas
from lib.sampling import epoch_order
from lib.workload import classification

KINDS = [KernelReplicas, StackedReplicas]
MODELS = {
    "logistic": logistic(),
    "mlp": mlp(),
    "four layers": mlp(40, 30, 20, 15, 10),
    "cnn": cnn(),
    "thin cnn": cnn(3),
}


@pytest.fixture(autouse=True)
def float64_on_one_thread():
    before = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    yield
    torch.set_default_dtype(before[0])
    torch.set_num_threads(before[1])


def made(num_samples=150, num_test=70) -> Dataset:
    rng = np.random.default_rng(1)
    y = rng.integers(10, size=num_samples + num_test)
    x = (rng.normal(size=(10, 40))[y] + rng.normal(size=(len(y), 40))).astype(np.float32)
    return Dataset("made", x[:num_samples], y[:num_samples], x[num_samples:], y[num_samples:])


def replicas_of(model, kind, data, optimizer="sgd", seeds=(0, 3)):
    return kind(classification(model, data), Recipe(1, optimizer=optimizer), list(seeds), "cpu")


def numbers(replicas):
    """Losses and accuracies, a row a replica."""
    return np.array([list(row.values()) for row in replicas.evaluate()])


def advance(replicas, orders, batch_size, rates):
    """Every replica follows the order of its own row."""
    replicas.advance(orders, np.arange(len(orders)), batch_size, rates)


@pytest.mark.parametrize("name", MODELS)
def test_forward_and_gradient_are_those_of_autograd(name):
    data = made()
    model = initialized(MODELS[name], 5)
    layers = as_layers(classification(model, data))
    weights = as_row(layers, model).numpy()
    replicas = replicas_of(MODELS[name], KernelReplicas, data)
    x, y = replicas.samples_of["train"]
    rows = np.random.default_rng(0).permutation(len(x))[: BLOCK - 1]

    outputs = model(torch.from_numpy(x[rows]))
    loss = F.cross_entropy(outputs, torch.from_numpy(y[rows]))
    loss.backward()
    np.testing.assert_allclose(forward(layers, weights, x, rows, replicas.memory[0]), outputs.detach(), atol=1e-13)
    gradient = np.full_like(weights, np.nan)
    summed = backward(layers, weights, gradient, x, y, rows, 1 / len(rows), *replicas.memory)
    for parameter in model.parameters():
        parameter.data = parameter.grad
    np.testing.assert_allclose(gradient, as_row(layers, model), atol=1e-13)
    assert summed / len(rows) == pytest.approx(loss.item(), abs=1e-13)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_evaluation_is_that_of_the_model(kind, name):
    data = made()
    replicas = replicas_of(MODELS[name], kind, data)
    for row, seed in zip(replicas.evaluate(), (0, 3)):
        model = initialized(MODELS[name], seed)
        for (x, y), loss in (
            ((data.x_train, data.y_train), row["train_loss"]),
            ((data.x_test, data.y_test), row["test_loss"]),
        ):
            outputs = model(torch.from_numpy(x).double())
            assert loss == pytest.approx(F.cross_entropy(outputs, torch.from_numpy(y)).item(), abs=1e-13)
        assert row["test_accuracy"] == (outputs.argmax(1).numpy() == y).mean()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("batch_size", [1, 32, 140])
def test_a_replica_moves_as_torch_optim_does(kind, optimizer, batch_size):
    """Batches of one sample, with a tail, and of more samples than a block; rates differ in replica and iteration."""
    data, model = made(), mlp(40, 20, 10)
    replicas = replicas_of(model, kind, data, optimizer)
    orders = np.stack([epoch_order(len(data), seed, 0) for seed in (0, 3)])
    iterations = -(-len(data) // batch_size)
    rates = np.outer([0.005, 0.002], np.linspace(1, 0.5, iterations))
    for _ in range(3):
        advance(replicas, orders, batch_size, rates)
    torch_optimizer = {
        "sgd": lambda p: torch.optim.SGD(p),
        "momentum": lambda p: torch.optim.SGD(p, momentum=0.9),
        "adam": lambda p: torch.optim.Adam(p),
    }[optimizer]
    for r, seed in enumerate((0, 3)):
        single = initialized(model, seed)
        update, summed = torch_optimizer(single.parameters()), 0.0
        for _ in range(3):
            for rate, rows in zip(rates[r], torch.from_numpy(orders[r]).split(batch_size)):
                update.param_groups[0]["lr"] = rate
                update.zero_grad()
                loss = F.cross_entropy(
                    single(torch.from_numpy(data.x_train)[rows].double()), torch.from_numpy(data.y_train)[rows]
                )
                loss.backward()
                update.step()
                summed += loss.item() * len(rows)
        row = torch.cat([p.detach().flatten() for p in single.parameters()])  # as StackedReplicas has it
        row = as_row(replicas.network, single).detach() if kind is KernelReplicas else row
        np.testing.assert_allclose(replicas.weights[r], row, rtol=0, atol=1e-12)
        assert float(replicas.losses[r]) == pytest.approx(summed, rel=1e-12)


@pytest.mark.parametrize("decay", [0, 0.1])
@pytest.mark.parametrize("model", [*MODELS.values(), mlp(40, 7, 5, 10), mlp(40, 1, 3, 10), nn.Conv1d(1, 10, 40)])
def test_one_sample_at_a_time_in_any_network(model, decay):
    """Plain SGD on batches of one sample has a program of its own for linear layers; their widths are all kinds."""
    model = nn.Sequential(nn.Unflatten(1, (1, 40)), model, nn.Flatten()) if isinstance(model, nn.Conv1d) else model
    data = made()
    recipe = Recipe(1, weight_decay=decay)
    workload = classification(model, data)
    replicas = KernelReplicas(workload, recipe, [3])
    order = epoch_order(len(data), 3, 0)
    advance(replicas, order[None], 1, np.full((1, len(order)), 0.01))
    single = initialized(model, 3)
    update = recipe.make_optimizer(single.parameters())
    update.param_groups[0]["lr"] = 0.01
    for row in order:
        update.zero_grad()
        x, y = torch.from_numpy(data.x_train)[row : row + 1].double(), torch.from_numpy(data.y_train)[row : row + 1]
        F.cross_entropy(single(x), y).backward()
        update.step()
    np.testing.assert_allclose(replicas.weights[0], as_row(replicas.network, single), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_diverged_replica_leaves_its_neighbours_alone(kind):
    data, model = made(), mlp(40, 20, 10)
    both, alone = replicas_of(model, kind, data), replicas_of(model, kind, data, seeds=(3,))
    orders = np.stack([epoch_order(len(data), seed, 0) for seed in (0, 3)])
    for _ in range(20):
        advance(both, orders, 10, np.outer([1e9, 0.05], np.ones(15)))
        advance(alone, orders[1:], 10, np.outer([0.05], np.ones(15)))
    lost, kept = both.evaluate()
    assert not np.isfinite(list(lost.values())).all() and np.isfinite(list(kept.values())).all()
    both.keep([1])
    np.testing.assert_allclose(numbers(both), numbers(alone), atol=1e-13)
    np.testing.assert_allclose(both.weights, alone.weights, atol=1e-13)


def test_accuracy_of_outputs_that_are_not_numbers_is_that_of_argmax():
    outputs = torch.tensor([[0.0, 2, torch.nan, 3, torch.nan], [torch.nan] * 5, [1, 4, 2, 0, 0]])
    labels = outputs.argmax(1).numpy()
    for wrong, expected in ((0, 3), (1, 0)):
        _, correct = cross_entropy(outputs.numpy(), (labels + wrong) % 5, np.arange(3), 0.0, np.empty((3, 5)))
        assert correct == expected


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(40, 10), nn.Tanh()),
        nn.Sequential(nn.Linear(40, 10, bias=False)),
        nn.Sequential(nn.Linear(40, 20), nn.BatchNorm1d(20), nn.Linear(20, 10)),
        nn.Sequential(nn.Linear(30, 10)),
        nn.Sequential(nn.Linear(40, 10), nn.ReLU()),
        nn.Sequential(nn.Unflatten(1, (1, 40)), nn.Conv1d(1, 10, 40)),
        nn.Sequential(nn.Unflatten(1, (1, 40)), nn.Conv1d(1, 4, 5, dilation=2), nn.Flatten(), nn.Linear(128, 10)),
        nn.Sequential(nn.Unflatten(1, (1, 40)), nn.Conv1d(1, 4, 5, padding="same"), nn.Flatten(), nn.Linear(160, 10)),
        mlp(40, 10).requires_grad_(False),
    ],
)
def test_a_model_that_replicas_do_not_know_is_left_to_train(model):
    assert as_layers(classification(model, made())) is None


def test_float32_stays_near_float64():
    data = made()
    histories = []
    for dtype in (torch.float64, torch.float32):
        torch.set_default_dtype(dtype)
        for kind in KINDS:
            replicas = replicas_of(cnn(), kind, data)
            advance(replicas, np.stack([epoch_order(150, s, 0) for s in (0, 3)]), 8, np.full((2, 19), 0.02))
            histories.append(numbers(replicas)[:, :2])
    np.testing.assert_allclose(histories[0], histories[1], atol=1e-13)
    np.testing.assert_allclose(histories[2], histories[0], atol=1e-4)
    np.testing.assert_allclose(histories[3], histories[0], atol=1e-4)
