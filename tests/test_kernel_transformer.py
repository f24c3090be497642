"""The compiled transformer against what it must not differ from: PyTorch's autograd and ``lib.training.train``."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lib.data import Dataset
from lib.kernel_transformer import BLOCK, TransformerReplicas, activations, backward, shape_of, tokens_and_documents
from lib.models import initialized
from lib.recipe import OPTIMIZERS, Recipe
from lib.replicas import StackedReplicas
from lib.sweep import sweep
from lib.training import train
from lib.transformer import Transformer
from lib.workload import Workload, next_token, squared_error


@pytest.fixture(autouse=True)
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def made(length=7, vocabulary=11, documents=False, padding=False, rows=60, held=20, **shape) -> Workload:
    rng = np.random.default_rng(length)
    x, y = rng.integers(vocabulary, size=(2, rows + held, length))
    if padding:
        y[rng.random(y.shape) < 0.4] = -1
    if documents:  # their numbers come again, later in a row
        x = np.stack([x, np.cumsum(rng.random(x.shape) < 0.3, axis=1) % 3], 1)
    model = Transformer(vocabulary, length + 2, **({"width": 8} | shape))
    return next_token(model, Dataset("made", x[held:], y[held:], x[:held], y[:held]))


WORKLOADS = {
    "plain": made(),
    "padded, two layers": made(5, 9, padding=True, width=12, heads=3, layers=2),
    "documents": made(9, documents=True, heads=4),
    "no mask": made(9, documents=True, padding=True, mask=False),
    "no reset": made(9, documents=True, reset=False, layers=3),
    "neither": made(9, documents=True, mask=False, reset=False),
    "one token": made(1, 5, width=4, heads=1),
    "no layer": made(6, 5, layers=0, padding=True),
}


@pytest.mark.parametrize("sharper", [1, 100])  # attention spread out, or all on one token: e^-1000 is no number
@pytest.mark.parametrize("name", WORKLOADS)
def test_the_gradient_is_that_of_autograd(name, sharper):
    workload = WORKLOADS[name]
    model = initialized(workload.model, 3)
    for part, weights in model.named_parameters():
        weights.data *= sharper if "attend" in part else 1
    row = torch.cat([p.detach().flatten() for p in model.parameters()]).numpy()
    x, y = workload.data.x_train[:20], workload.data.y_train[:20]
    tokens, documents = tokens_and_documents(x)
    shape, counted, gradient = shape_of(workload), (y >= 0).sum(), np.full_like(row, np.nan)
    memory = activations(shape, 23, tokens.shape[1], row.dtype)
    summed = backward(shape, row, gradient, tokens, documents, y, 1 / counted, memory)
    loss = workload.loss(model(torch.from_numpy(x)), torch.from_numpy(y))
    parts = torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)
    assert summed / counted == pytest.approx(loss.item(), abs=1e-13)
    np.testing.assert_allclose(gradient, torch.cat([p.flatten() for p in parts]), atol=1e-13)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", WORKLOADS)
def test_a_sweep_gives_the_numbers_of_train(name, optimizer):
    """Epochs end with a smaller batch; ``replicas`` says that the runs were replicas of one group."""
    workload, recipe = WORKLOADS[name], Recipe(7, learning_rate=0.01, optimizer=optimizer, schedule="cosine")
    table = sweep(workload, recipe, seed=[0, 4], epochs=3, device="cpu", n_jobs=1)
    for seed, rows in table.groupby("seed"):
        history, _ = train(workload, recipe, seed=int(seed), epochs=3, device="cpu")
        columns = [name for name in history if name.endswith(("loss", "accuracy"))]
        np.testing.assert_allclose(rows[columns], history[columns], rtol=0, atol=1e-11)
    assert len(columns) == 4 and (table["replicas"] == 2).all()


def test_batches_larger_than_a_block_are_one_batch():
    workload = made(16, rows=100)
    assert 16 * 70 > 4 * BLOCK
    table = sweep(workload, batch_size=70, learning_rate=0.1, seed=2, epochs=3, device="cpu")
    history, _ = train(workload, batch_size=70, learning_rate=0.1, seed=2, epochs=3, device="cpu")
    np.testing.assert_allclose(table["test_loss"], history["test_loss"], atol=1e-12)


def test_a_batch_without_a_token_that_counts_ends_the_run_as_in_train():
    workload = made(rows=12)
    workload.data.y_train[5] = -1
    ends = [
        sweep(workload, batch_size=1, learning_rate=0.01, seed=[0], epochs=2, device="cpu"),
        train(workload, batch_size=1, learning_rate=0.01, seed=0, epochs=2, device="cpu")[0],
    ]
    assert [list(end["status"]) for end in ends] == [["ok", "diverged"]] * 2


def equal_to_train(workload: Workload, table: pd.DataFrame, **how):
    for (rate, seed), rows in table.groupby(["learning_rate", "seed"]):
        history, _ = train(workload, learning_rate=rate, seed=int(seed), device="cpu", **how)
        assert list(rows["status"]) == list(history["status"])
        np.testing.assert_allclose(rows["test_loss"], history["test_loss"], atol=1e-12)


def test_a_diverged_replica_leaves_its_neighbours_alone():
    """They use the same memory, one after another."""
    how = dict(batch_size=7, epochs=2)
    table = sweep(made(), learning_rate=[1e300, 0.01, 0.02], seed=[0, 1], device="cpu", n_jobs=1, **how)
    assert (table["replicas"] == 6).all() and set(table.groupby("seed")["status"].nunique()) == {2}
    equal_to_train(made(), table, **how)
    workload = made(rows=12)
    workload.data.y_train[5] = -1  # each seed comes to it at another iteration
    how = dict(batch_size=1, iterations=12, evaluate_every=3)
    table = sweep(workload, learning_rate=0.01, seed=range(4), device="cpu", n_jobs=1, **how)
    assert table.groupby("seed")["iteration"].max().nunique() > 1
    equal_to_train(workload, table, **how)


@pytest.mark.parametrize("kind", [TransformerReplicas, StackedReplicas])
def test_a_split_without_a_token_that_counts_has_no_loss(kind):
    workload = made(padding=True)
    workload.data.y_test[:] = -1
    replicas = kind(workload, Recipe(4), [0, 1], "cpu")
    assert replicas.mean_loss("test") == ([0.0, 0.0], [0.0, 0.0])
    assert min(replicas.mean_loss("train")[0]) > 0


def test_inputs_and_targets_may_be_views_of_one_array():
    tokens = np.random.default_rng(0).integers(11, size=(80, 8))
    views = [tokens[20:, :-1], tokens[20:, 1:], tokens[:20, :-1], tokens[:20, 1:]]
    for arrays in (views, [np.asfortranarray(view) for view in views]):
        workload = next_token(Transformer(11, 7, 8), Dataset("views", *arrays))
        table = sweep(workload, batch_size=7, learning_rate=0.01, seed=0, epochs=2, device="cpu")
        equal_to_train(workload, table, batch_size=7, epochs=2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_numbers_that_the_kernel_has_not_are_left_to_others(dtype):
    torch.set_default_dtype(dtype)
    assert shape_of(made()) is None


def test_compiled_replicas_are_what_stacked_ones_are():
    """Of which a GPU has nothing else: rates of their own, orders of their own, some of them given up."""
    workload, recipe = WORKLOADS["no mask"], Recipe(4, optimizer="adamw", weight_decay=0.1)
    found = []
    for kind in (TransformerReplicas, StackedReplicas):
        replicas = kind(workload, recipe, [0, 1, 2], "cpu")
        orders = np.random.default_rng(0).integers(len(workload), size=(2, 40))
        replicas.advance(orders, np.array([0, 1, 1]), 4, np.outer([0.1, 0.01, 0.02], np.linspace(1, 0.1, 10)))
        replicas.keep([0, 2])
        replicas.advance(orders[:, :12], np.array([0, 1]), 4, np.full((2, 3), 0.01))
        found.append([replicas.mean_losses(), pd.DataFrame(replicas.evaluate()).to_numpy(), replicas.weights])
    for compiled, stacked in zip(*found):
        np.testing.assert_allclose(compiled, stacked, atol=1e-12)


def test_float32_stays_near_float64():
    tables = []
    for dtype in (torch.float64, torch.float32):
        torch.set_default_dtype(dtype)
        tables.append(sweep(made(rows=200), batch_size=3, learning_rate=0.05, seed=[0, 1], epochs=3, device="cpu"))
    np.testing.assert_allclose(tables[0]["test_loss"], tables[1]["test_loss"], atol=1e-4)


class Other(Transformer):
    pass


def hooked(model: Transformer) -> Transformer:
    model.register_full_backward_pre_hook(lambda module, gradients: tuple(0.1 * part for part in gradients))
    return model


def of_other_sizes() -> Transformer:
    """As many weights as the kernel expects, in other places."""
    model = Transformer(32, 9, 8)
    model.scores = nn.Linear(8, 16, bias=False)
    model.widen0, model.narrow0 = nn.Linear(8, 40, bias=False), nn.Linear(40, 8, bias=False)
    return model


def with_bias(model: Transformer) -> Transformer:
    model.scores = nn.Linear(8, 11)
    return model


def beside_the_table(split: int, value: int) -> Dataset:
    data = made().data
    (data.x_train, data.y_train, data.x_test, data.y_test)[split][3, 2] = value
    return data


@pytest.mark.parametrize(
    "workload",
    [
        made().but(model=Other(11, 9, 8)),
        made().but(model=Transformer(11, 9, 8).requires_grad_(False)),
        made().but(model=with_bias(Transformer(11, 9, 8))),
        made().but(model=hooked(Transformer(11, 9, 8))),
        made().but(model=of_other_sizes()),
        made().but(model=Transformer(11, 6, 8)),
        made().but(loss=squared_error),
        made().but(augment=lambda x, rng: x),
        *(made().but(data=beside_the_table(split, 11)) for split in range(4)),
        *(made().but(data=beside_the_table(split, -1)) for split in (0, 2)),
        made().but(data=Dataset("made", *made().data.split("train"), *made(5).data.split("test"))),
    ],
)
def test_what_the_kernel_does_not_know_is_left_to_others(workload):
    assert shape_of(made()) is not None
    assert shape_of(workload) is None
