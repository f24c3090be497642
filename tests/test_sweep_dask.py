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
from tqdm import tqdm

import lib.sweep
from lib.data import Dataset
from lib.models import mlp
from lib.sweep import sweep
from lib.workload import classification

NUMBERS = ["iteration", "epoch", "samples", "batch_loss", "train_loss", "test_loss", "test_accuracy"]
GRID = dict(
    batch_size=[5, 10, 20, 40], learning_rate=[0.05, 0.1, 1e200], seed=range(3), epochs=20, device="cpu", n_jobs=-1
)


@pytest.fixture(autouse=True)
def float64():
    threads = torch.get_num_threads()
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


def test_a_cluster_that_loses_a_worker_gives_the_same_table(data, monkeypatch, recwarn):
    workload = classification(mlp(40, 20, 10), data)
    alone = sweep(workload, **GRID | {"n_jobs": 1})
    pids, killed, came_back = [], [], []

    class Watched(tqdm):
        def set_postfix_str(self, words, *args, **kwargs):
            came_back.append(int(words.split()[0]))

    monkeypatch.setattr(lib.sweep, "bar", Watched)

    def kill_one():
        """As soon as the first runs have come back, while others are under way."""
        while not came_back:
            time.sleep(0.01)
        os.kill(pids[0], signal.SIGKILL)
        killed.append(came_back[-1])

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
            together = sweep(workload, **GRID)
        killer.join(timeout=10)
        assert killed and 0 < killed[0] < 36, "the worker was not killed while runs were under way"
        assert not alive(pids[0])

    settings = ["batch_size", "learning_rate", "optimizer", "seed"]
    pd.testing.assert_frame_equal(
        together[settings + NUMBERS + ["status"]], alone[settings + NUMBERS + ["status"]], rtol=0, atol=1e-9
    )
    ends = together.groupby(settings)["status"].last()
    assert (ends.xs(1e200, level="learning_rate") == "diverged").all() and (ends == "ok").sum() == 24


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
