"""Sweeps against single runs, and what a sweep owes to its reader: status, cache, resumption, one clear sentence."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import lib.fingerprint
import lib.sweep
from lib.data import Dataset
from lib.models import cnn, mlp
from lib.replicas import KernelReplicas, StackedReplicas
from lib.sweep import sweep, train_group
from lib.training import train

NUMBERS = ["iteration", "epoch", "batches", "samples", "batch_loss", "train_loss", "test_loss", "test_accuracy"]


def made(num_samples=150, num_test=70) -> Dataset:
    rng = np.random.default_rng(1)
    y = rng.integers(10, size=num_samples + num_test)
    x = (rng.normal(size=(10, 40))[y] + rng.normal(size=(len(y), 40))).astype(np.float32)
    return Dataset("made", x[:num_samples], y[:num_samples], x[num_samples:], y[num_samples:])


DATA, MODEL = made(), mlp(40, 20, 10)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # so that `train` does not wait for a thread that the machine has no core for
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(lib.sweep, "CACHE", tmp_path / "sweeps")
    return tmp_path / "sweeps"


@pytest.fixture
def float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def assert_equals_train(table, model, data, atol, **choices):
    settings = ["batch_size", "learning_rate", "optimizer", "seed"]
    for setting, rows in table.groupby(settings, sort=False):
        history, _ = train(model, data, **dict(zip(settings, setting)), **choices, device="cpu")
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
    table = sweep(
        MODEL, DATA, batch_size=[7, 70], learning_rate=rates, seed=[4], optimizer=optimizer, device="cpu", **choices
    )
    assert table.groupby(["batch_size", "learning_rate", "seed"]).ngroups == 4
    assert_equals_train(table, MODEL, DATA, 1e-11, **choices)


def test_every_run_is_the_one_of_train_in_float32():
    table = sweep(
        cnn(5), DATA, batch_size=[1, 16], learning_rate=[0.01, 0.02], seed=[0, 1], iterations=200, device="cpu"
    )
    assert_equals_train(table, cnn(5), DATA, 5e-3, iterations=200)


def test_stacked_replicas_give_the_same_table(float64, monkeypatch):
    choices = dict(batch_size=[1, 40], learning_rate=[0.02, 1e12], seed=[0, 1], iterations=60, target=1.5, device="cpu")
    table = sweep(MODEL, DATA, **choices)
    monkeypatch.setattr(lib.sweep, "KernelReplicas", StackedReplicas)
    stacked = sweep(MODEL, DATA, **choices, cache=False)
    assert (stacked["status"] == table["status"]).all() and set(table["status"]) > {"ok", "diverged"}
    kept = table["learning_rate"] < 1
    np.testing.assert_allclose(stacked.loc[kept, NUMBERS], table.loc[kept, NUMBERS], atol=1e-12)


def test_a_diverged_run_ends_with_a_row_and_costs_its_neighbours_nothing(float64):
    table = sweep(MODEL, DATA, batch_size=5, learning_rate=[0.02, 1e12], seed=[0, 1], epochs=4, device="cpu")
    last = table.groupby(["learning_rate", "seed"]).last()
    assert list(last["status"]) == ["ok", "ok", "diverged", "diverged"]
    assert (last.loc[1e12, "epoch"] == 1).all() and (last.loc[0.02, "epoch"] == 4).all()
    assert (table[table["status"] == "diverged"].groupby("seed").size() == 1).all()
    assert (table["replicas"] == 4).all()  # all of them together
    assert_equals_train(table, MODEL, DATA, 1e-11, epochs=4)


@pytest.mark.parametrize("model", [MODEL, nn.Sequential(nn.Linear(40, 10), nn.BatchNorm1d(10))])
def test_a_target_ends_a_run_at_the_evaluation_that_reaches_it(float64, model):
    choices = dict(batch_size=10, learning_rate=[1e-4, 0.05], seed=[0], iterations=200, evaluate_every=5, device="cpu")
    full = sweep(model, DATA, **choices)
    table = sweep(model, DATA, **choices, target=1.0, target_loss="test_loss")
    for rate, rows in table.groupby("learning_rate"):
        whole = full[full["learning_rate"] == rate]
        above = (whole["test_loss"] > 1.0).cumprod().sum()
        assert len(rows) == min(above + 1, len(whole))
        assert set(rows["status"][:-1]) <= {"ok"}
        np.testing.assert_array_equal(rows["test_loss"], whole["test_loss"][: len(rows)])
    assert list(table.groupby("learning_rate")["status"].last()) == ["not reached", "reached"]


def test_a_budget_of_seconds_is_spent_by_each_run():
    table = sweep(MODEL, DATA, batch_size=10, seed=[0, 1], seconds=0.2, device="cpu")
    for _, rows in table.groupby("seed"):
        assert rows["seconds"].iloc[-2] < 0.2 <= rows["seconds"].iloc[-1] and (rows["replicas"] == 1).all()


def test_groups_in_processes_give_the_same_table():
    choices = dict(batch_size=[5, 20], learning_rate=[0.02, 0.05], seed=[0, 1], epochs=2, cache=False, device="cpu")
    tables = [sweep(MODEL, DATA, **choices, n_jobs=n) for n in (1, 2)]
    same = [c for c in tables[0] if c not in ("seconds", "replicas")]
    pd.testing.assert_frame_equal(tables[0][same], tables[1][same], check_exact=True)
    with joblib.parallel_config(backend="threading"):  # any backend of joblib may carry the groups
        threaded = sweep(MODEL, DATA, **choices, n_jobs=2)
        pd.testing.assert_frame_equal(threaded[same], tables[0][same], check_exact=True)


def test_out_of_memory_is_answered_with_the_replicas_that_fit(monkeypatch):
    class Small(KernelReplicas):
        def __init__(self, layers, weights, *args):
            if len(weights) > 3:
                raise torch.OutOfMemoryError("CUDA out of memory")
            super().__init__(layers, weights, *args)

    choices = dict(
        batch_size=10, learning_rate=[0.01, 0.02], seed=range(5), epochs=1, cache=False, device="cpu", n_jobs=1
    )
    monkeypatch.setattr(lib.sweep, "grouped", lambda missing, *_: [missing])
    table = sweep(MODEL, DATA, **choices)
    assert (table["replicas"] == 10).all()
    monkeypatch.setattr(lib.sweep, "KernelReplicas", Small)
    halved = sweep(MODEL, DATA, **choices)
    assert set(halved["replicas"]) == {2, 3}
    pd.testing.assert_frame_equal(halved[NUMBERS], table[NUMBERS], check_exact=True)


def test_a_run_that_cannot_be_trained_is_a_row(monkeypatch, own_cache):
    real = lib.sweep.initialized
    monkeypatch.setattr(lib.sweep, "initialized", lambda model, seed: real(model, seed) if seed != 2 else 1 / 0)
    with pytest.warns(UserWarning, match="'seed': 2.*ZeroDivisionError"):
        table = sweep(MODEL, DATA, batch_size=10, seed=range(4), epochs=1, device="cpu")
    assert table.groupby("seed")["status"].last().to_dict() == {0: "ok", 1: "ok", 2: "failed", 3: "ok"}
    assert len(list(own_cache.iterdir())) == 3  # a failure is not kept
    monkeypatch.undo()


CHOICES = dict(batch_size=10, learning_rate=[0.01, 0.02], seed=[0, 1], epochs=2, device="cpu")


def trained(monkeypatch, *args, **choices) -> int:
    """Runs that a sweep trained, rather than found."""
    runs = []
    monkeypatch.setattr(
        lib.sweep,
        "train_group",
        lambda model, data, group, *rest: runs.extend(group) or train_group(model, data, group, *rest),
    )
    sweep(*args, **choices)
    return len(runs)


def test_finished_runs_are_found_again_whatever_grid_asks(monkeypatch, own_cache):
    table = sweep(MODEL, DATA, **CHOICES)
    assert trained(monkeypatch, MODEL, DATA, **CHOICES) == 0
    pd.testing.assert_frame_equal(sweep(MODEL, DATA, **CHOICES), table, check_exact=True)
    assert trained(monkeypatch, MODEL, DATA, **CHOICES | {"learning_rate": [0.02, 0.04]}) == 2
    for path in own_cache.iterdir():
        path.write_bytes(path.read_bytes()[:100])
    assert trained(monkeypatch, MODEL, DATA, **CHOICES) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 11},
        {"learning_rate": [0.03, 0.04]},
        {"optimizer": "adam"},
        {"seed": [2, 3]},
        {"epochs": 3},
        {"schedule": "cosine"},
        {"warmup": 1},
        {"drop_last": True},
        {"evaluate_every": 5},
        {"target": 0.1},
        {"target_loss": "test_loss"},
        {"shuffle": False},
        {"replacement": True},
        {"epochs": None, "iterations": 30},
    ],
)
def test_the_cache_does_not_answer_for_other_settings(monkeypatch, change):
    sweep(MODEL, DATA, **CHOICES)
    assert trained(monkeypatch, MODEL, DATA, **CHOICES | change) == 4


def test_the_cache_does_not_answer_for_another_model_data_precision_or_code(monkeypatch, float64, tmp_path):
    sweep(MODEL, DATA, **CHOICES)
    assert trained(monkeypatch, mlp(40, 21, 10), DATA, **CHOICES) == 4
    nudged = DATA.x_train.copy()
    nudged[3, 7] = np.nextafter(nudged[3, 7], 9)
    assert trained(monkeypatch, MODEL, Dataset("made", nudged, DATA.y_train, DATA.x_test, DATA.y_test), **CHOICES) == 4
    torch.set_default_dtype(torch.float32)
    assert trained(monkeypatch, MODEL, DATA, **CHOICES) == 4
    torch.set_default_dtype(torch.float64)
    modules = lib.fingerprint.of_modules("lib.sweep")
    assert {"lib.sweep", "lib.replicas", "lib.training", "lib.models", "lib.sampling", "lib.data"} <= modules.keys()
    monkeypatch.setattr(lib.fingerprint, "LIB", shutil.copytree(lib.fingerprint.LIB, tmp_path / "lib"))
    assert trained(monkeypatch, MODEL, DATA, **CHOICES) == 0
    for name in modules:
        file = tmp_path.joinpath(*name.split("."))
        with open(file / "__init__.py" if file.is_dir() else file.with_suffix(".py"), "a", encoding="utf-8") as file:
            file.write("CHANGED = True\n")
        assert trained(monkeypatch, MODEL, DATA, **CHOICES) == 4, name


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def test_a_model_with_code_of_its_own_is_trained_but_not_kept(monkeypatch, own_cache):
    assert trained(monkeypatch, nn.Sequential(Doubled(40, 10)), DATA, **CHOICES) == 4
    assert not own_cache.exists()


def test_a_killed_sweep_resumes(tmp_path, own_cache):
    """A real process, killed while it trains; the next sweep trains only what was not finished."""
    script = tmp_path / "run.py"
    script.write_text(
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_sweep import MODEL, DATA, lib, Path, sweep\n"
        "lib.sweep.CACHE = Path(sys.argv[2])\n"
        "print(len(sweep(MODEL, DATA, batch_size=1, learning_rate=0.001, seed=range(40), epochs=400, n_jobs=1,\n"
        "                device='cpu')))\n",
        encoding="utf-8",
    )
    command = [sys.executable, script, Path(__file__).parent, own_cache]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(own_cache.glob("*.pkl"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    finished = {path: path.stat().st_mtime_ns for path in own_cache.glob("*.pkl")}
    assert 5 <= len(finished) < 40
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    assert int(done.stdout) == 40 * 401
    assert len(list(own_cache.glob("*.pkl"))) == 40
    assert all(path.stat().st_mtime_ns == then for path, then in finished.items())


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
        ({"batch_size": [10, 200], "drop_last": True}, "batch_size is 200"),
        ({"warmup": 1000}, "warmup is 1000"),
        ({"evaluate_every": 0}, "evaluate_every is 0"),
    ],
)
def test_unusable_input_gets_one_sentence_before_anything_is_trained(choices, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence) as caught:
        sweep(MODEL, DATA, **CHOICES | choices)
    assert "\n" not in str(caught.value)


def test_a_model_for_other_data_gets_one_sentence():
    with pytest.raises(ValueError, match="have 40 features"):
        sweep(mlp(39, 10), DATA, **CHOICES)
