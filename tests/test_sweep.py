"""Sweeps against single runs, and what a sweep owes to its reader: one failed run alone, one clear sentence."""

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import lib.kernel_replicas
import lib.sweep
from lib.data import Dataset
from lib.kernel_replicas import KernelReplicas
from lib.models import cnn, mlp
from lib.sweep import sweep
from lib.training import train
from lib.workload import classification

NUMBERS = ["iteration", "epoch", "batches", "samples", "batch_loss", "train_loss", "test_loss", "test_accuracy"]


def made(num_samples=150, num_test=70) -> Dataset:
    rng = np.random.default_rng(1)
    y = rng.integers(10, size=num_samples + num_test)
    x = (rng.normal(size=(10, 40))[y] + rng.normal(size=(len(y), 40))).astype(np.float32)
    return Dataset("made", x[:num_samples], y[:num_samples], x[num_samples:], y[num_samples:])


DATA, MODEL = made(), mlp(40, 20, 10)
WORK = classification(MODEL, DATA)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # so that `train` does not wait for a thread that the machine has no core for
    yield
    torch.set_num_threads(before)


@pytest.fixture
def float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def assert_equals_train(table, workload, atol, **choices):
    settings = ["batch_size", "learning_rate", "optimizer", "seed"]
    for setting, rows in table.groupby(settings, sort=False):
        history, _ = train(workload, **dict(zip(settings, setting)), **choices, device="cpu")
        np.testing.assert_allclose(rows[NUMBERS], history[NUMBERS], rtol=0, atol=atol)
        np.testing.assert_allclose(rows["current_learning_rate"], history["learning_rate"], rtol=1e-14)
        assert list(rows["status"]) == list(history["status"])


@pytest.mark.parametrize(
    "optimizer, rates", [("sgd", [0.01, 0.03]), ("momentum", [0.002, 0.004]), ("adam", [0.001, 0.002])]
)
@pytest.mark.parametrize(
    "choices",
    [
        {"iterations": 300},
        {"epochs": 3, "schedule": "cosine", "warmup": 5, "drop_last": True, "evaluate_every": 4},
        {"samples": 700, "warmup": 10, "replacement": True},
        {"epochs": 2, "shuffle": False},
    ],
)
def test_every_run_is_the_one_of_train(float64, optimizer, rates, choices):
    table = sweep(WORK, batch_size=[7, 70], learning_rate=rates, seed=[4], optimizer=optimizer, device="cpu", **choices)
    assert table.groupby(["batch_size", "learning_rate", "seed"]).ngroups == 4
    assert_equals_train(table, WORK, 1e-11, **choices)


def test_every_run_is_the_one_of_train_in_float32():
    table = sweep(
        classification(cnn(5), DATA),
        batch_size=[1, 16],
        learning_rate=[0.01, 0.02],
        seed=[0, 1],
        iterations=200,
        device="cpu",
    )
    assert_equals_train(table, classification(cnn(5), DATA), 5e-3, iterations=200)


def test_stacked_replicas_give_the_same_table(float64, monkeypatch):
    choices = dict(batch_size=[1, 40], learning_rate=[0.02, 1e12], seed=[0, 1], iterations=60, target=1.5, device="cpu")
    table = sweep(WORK, **choices)
    monkeypatch.setattr(lib.sweep, "KERNELS", ())
    stacked = sweep(WORK, **choices)
    assert (stacked["status"] == table["status"]).all() and set(table["status"]) > {"ok", "diverged"}
    kept = table["learning_rate"] < 1
    np.testing.assert_allclose(stacked.loc[kept, NUMBERS], table.loc[kept, NUMBERS], atol=1e-12)


def test_a_diverged_run_ends_with_a_row_and_costs_its_neighbours_nothing(float64):
    table = sweep(WORK, batch_size=5, learning_rate=[0.02, 1e12], seed=[0, 1], epochs=4, device="cpu")
    last = table.groupby(["learning_rate", "seed"]).last()
    assert list(last["status"]) == ["ok", "ok", "diverged", "diverged"]
    assert (last.loc[1e12, "epoch"] == 1).all() and (last.loc[0.02, "epoch"] == 4).all()
    assert (table[table["status"] == "diverged"].groupby("seed").size() == 1).all()
    assert (table["replicas"] == 4).all()  # all of them together
    assert_equals_train(table, WORK, 1e-11, epochs=4)


@pytest.mark.parametrize("model", [MODEL, nn.Sequential(nn.Linear(40, 10), nn.BatchNorm1d(10))])
def test_a_target_ends_a_run_at_the_evaluation_that_reaches_it(float64, model):
    choices = dict(batch_size=10, learning_rate=[1e-4, 0.05], seed=[0], iterations=200, evaluate_every=5, device="cpu")
    full = sweep(classification(model, DATA), **choices)
    table = sweep(classification(model, DATA), **choices, target=1.0, target_loss="test_loss")
    for rate, rows in table.groupby("learning_rate"):
        whole = full[full["learning_rate"] == rate]
        above = (whole["test_loss"] > 1.0).cumprod().sum()
        assert len(rows) == min(above + 1, len(whole))
        assert set(rows["status"][:-1]) <= {"ok"}
        np.testing.assert_allclose(rows["test_loss"], whole["test_loss"][: len(rows)], rtol=1e-14)
    assert list(table.groupby("learning_rate")["status"].last()) == ["not reached", "reached"]


def test_a_budget_of_seconds_is_spent_by_each_run():
    table = sweep(WORK, batch_size=10, seed=[0, 1], seconds=0.2, device="cpu")
    for _, rows in table.groupby("seed"):
        assert rows["seconds"].iloc[-2] < 0.2 <= rows["seconds"].iloc[-1] and (rows["replicas"] == 1).all()


def test_groups_in_processes_give_the_same_table():
    choices = dict(batch_size=[5, 20], learning_rate=[0.02, 0.05], seed=[0, 1], epochs=2, device="cpu")
    tables = [sweep(WORK, **choices, n_jobs=n) for n in (1, 2)]
    same = [c for c in tables[0] if c not in ("seconds", "replicas")]
    pd.testing.assert_frame_equal(tables[0][same], tables[1][same], check_exact=True)
    with joblib.parallel_config(backend="threading"):  # any backend of joblib may carry the groups
        threaded = sweep(WORK, **choices, n_jobs=2)
        pd.testing.assert_frame_equal(threaded[same], tables[0][same], check_exact=True)


def test_out_of_memory_is_answered_with_the_replicas_that_fit(monkeypatch):
    class Small(KernelReplicas):
        def __init__(self, workload, recipe, seeds, *args):
            if len(seeds) > 3:
                raise torch.OutOfMemoryError("CUDA out of memory")
            super().__init__(workload, recipe, seeds, *args)

    choices = dict(batch_size=10, learning_rate=[0.01, 0.02], seed=range(5), epochs=1, device="cpu", n_jobs=1)
    monkeypatch.setattr(lib.sweep, "grouped", lambda cells, *_: [list(range(len(cells)))])
    table = sweep(WORK, **choices)
    assert (table["replicas"] == 10).all()
    monkeypatch.setattr(lib.sweep, "KERNELS", (Small,))
    halved = sweep(WORK, **choices)
    assert set(halved["replicas"]) == {2, 3}
    pd.testing.assert_frame_equal(halved[NUMBERS], table[NUMBERS], check_exact=True)


def test_a_run_that_cannot_be_trained_is_a_row(monkeypatch):
    real = lib.kernel_replicas.initialized
    monkeypatch.setattr(
        lib.kernel_replicas, "initialized", lambda model, seed: real(model, seed) if seed != 2 else 1 / 0
    )
    with pytest.warns(UserWarning, match="'seed': 2.*ZeroDivisionError"):
        table = sweep(WORK, batch_size=10, seed=range(4), epochs=1, device="cpu")
    assert table.groupby("seed")["status"].last().to_dict() == {0: "ok", 1: "ok", 2: "failed", 3: "ok"}


CHOICES = dict(batch_size=10, learning_rate=[0.01, 0.02], seed=[0, 1], epochs=2, device="cpu")


@pytest.mark.parametrize(
    "choices, sentence",
    [
        ({"batch_size": []}, "batch_size is empty"),
        ({"seed": [1, 1]}, "a value is repeated"),
        ({"batch_size": [5, 0]}, "batch_size is 0"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"learning_rate": [0.1, -1]}, "learning_rate is -1"),
        ({"optimizer": ["sgd", "rmsprop"]}, "optimizer is 'rmsprop'"),
        ({"seed": [0, -1]}, "seed is -1"),
        ({"epochs": None}, "budget is missing"),
        ({"target": -1}, "target is -1"),
        ({"target_loss": "loss"}, "target_loss is 'loss'"),
        ({"target": 1.0, "target_loss": "validation_loss"}, "has no such samples"),
        ({"batch_size": [10, 200], "drop_last": True}, "batch_size is 200"),
        ({"warmup": 1000}, "warmup is 1000"),
        ({"evaluate_every": 0}, "evaluate_every is 0"),
    ],
)
def test_unusable_input_gets_one_sentence_before_anything_is_trained(choices, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence) as caught:
        sweep(WORK, **CHOICES | choices)
    assert "\n" not in str(caught.value)


def test_a_model_for_other_data_gets_one_sentence():
    with pytest.raises(ValueError, match=r"samples of made, of shape \(40,\)"):
        sweep(classification(mlp(39, 10), DATA), **CHOICES)
