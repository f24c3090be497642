"""The same sweep on a cluster: several worker processes of a local Dask cluster, one of which is killed on the way."""

import os
import signal
import threading
import time

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from dask.distributed import Client, LocalCluster

import lib.sweep
from lib.data import Dataset
from lib.models import mlp
from lib.sweep import sweep

NUMBERS = ["iteration", "epoch", "samples", "batch_loss", "train_loss", "test_loss", "test_accuracy"]
GRID = dict(
    batch_size=[5, 10, 20, 40], learning_rate=[0.05, 0.1, 1e200], seed=range(3), epochs=20, device="cpu", n_jobs=-1
)


@pytest.fixture(autouse=True)
def float64(tmp_path, monkeypatch):
    threads = torch.get_num_threads()
    monkeypatch.setattr(lib.sweep, "CACHE", tmp_path / "sweeps")
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    y = rng.integers(10, size=2070)
    x = (rng.normal(size=(10, 40))[y] + rng.normal(size=(len(y), 40))).astype(np.float32)
    return Dataset("made", x[:2000], y[:2000], x[2000:], y[2000:])


def test_a_cluster_that_loses_a_worker_gives_the_same_table(data, tmp_path, recwarn):
    model = mlp(40, 20, 10)
    alone = sweep(model, data, **GRID | {"n_jobs": 1}, cache=False)
    pids, killed = [], []

    def kill_one():
        """As soon as the first runs have come back, while others are under way."""
        while len(list((tmp_path / "sweeps").glob("*.pkl"))) == 0:
            time.sleep(0.01)
        os.kill(pids[0], signal.SIGKILL)
        killed.append(len(list((tmp_path / "sweeps").glob("*.pkl"))))

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", silence_logs=50
        ) as cluster,
        Client(cluster) as client,
    ):
        pids += client.run(os.getpid).values()
        assert len(pids) == 2 and os.getpid() not in pids
        killer = threading.Thread(target=kill_one, daemon=True)
        killer.start()
        with joblib.parallel_config(backend="dask"):
            together = sweep(model, data, **GRID)
        killer.join(timeout=10)
        assert killed and 0 < killed[0] < 36, "the worker was not killed while runs were under way"
        assert not alive(pids[0])

    settings = ["batch_size", "learning_rate", "optimizer", "seed"]
    pd.testing.assert_frame_equal(
        together[settings + NUMBERS + ["status"]], alone[settings + NUMBERS + ["status"]], rtol=0, atol=1e-9
    )
    ends = together.groupby(settings)["status"].last()
    assert (ends.xs(1e200, level="learning_rate") == "diverged").all() and (ends == "ok").sum() == 24

    finished = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "sweeps").glob("*.pkl")}
    again = sweep(model, data, **GRID | {"n_jobs": 1})  # without the cluster: nothing is left to train
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "sweeps").glob("*.pkl")} == finished
    pd.testing.assert_frame_equal(again, together)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
