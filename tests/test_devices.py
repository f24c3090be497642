"""The clock of a run: seconds of finished work, without pauses."""

import time

import pytest
import torch
from torch import nn

from lib import devices
from lib.data import digits
from lib.devices import Clock
from lib.models import mlp
from lib.sweep import sweep
from lib.training import train
from lib.workload import classification


def test_a_pause_costs_nothing():
    clock = Clock(torch.device("cpu"), spent=100.0)
    time.sleep(0.02)
    with clock:
        before = clock.seconds()
        time.sleep(0.2)
        assert clock.seconds() == before
    assert 100.02 <= before <= clock.seconds() < 100.2


def test_the_clock_of_a_gpu_waits_for_its_work(monkeypatch):
    """A stand-in for a device that takes orders ahead of its work: asked for the time, it must be waited for."""
    waited = []

    def finish(device):
        waited.append(device)
        time.sleep(0.05)

    monkeypatch.setattr(torch.cuda, "synchronize", finish)
    clock = Clock(torch.device("cuda"))
    assert clock.seconds() >= 0.05 and len(waited) == 1
    with clock:
        paused = clock.seconds()
    assert len(waited) == 3 and clock.seconds() - paused >= 0.05  # before the pause, after it, and now


def test_every_time_of_a_run_is_read_from_a_clock_that_waits(monkeypatch):
    asked = []
    monkeypatch.setattr(devices, "synchronize", lambda device: asked.append(device.type))
    workload = classification(mlp(64, 10), digits().first(40))
    history, _ = train(workload, batch_size=10, epochs=3, device="cpu")
    assert len(asked) >= 2 * len(history)  # at the beginning and the end of each evaluation
    asked.clear()
    history, _ = train(workload, batch_size=10, seconds=0.02, device="cpu")
    assert len(asked) > history["iteration"].iloc[-1]  # a budget of seconds is looked at after every iteration


def test_a_run_that_is_trained_alone_ends_at_its_target():
    """Not cut afterwards: what lies behind the target is never trained."""
    passes = []

    class Counting(nn.Dropout):  # random, so that it cannot be a replica
        def forward(self, x):
            passes.append(self.training)
            return super().forward(x)

    model = nn.Sequential(nn.Linear(64, 10), Counting(0.01))
    workload = classification(model, digits().first(200))
    how = dict(batch_size=20, epochs=100, target=1.5, seed=[0], learning_rate=0.5, device="cpu", n_jobs=1)
    table = sweep(workload, **how)
    assert table["status"].iloc[-1] == "reached" and (table["replicas"] == 1).all()
    trained = sum(passes) - 20  # less those with which the sweep tries the model
    assert trained <= table["iteration"].iloc[-1] < 500


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_seconds_on_cuda_are_those_of_the_work():
    workload = classification(mlp(64, 4096, 4096, 10), digits())
    history, _ = train(workload, batch_size=1500, iterations=50, evaluate_every=50, device="cuda")
    x = torch.randn(1500, 4096, device="cuda")
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(50):
        x @ torch.randn(4096, 4096, device="cuda")
    torch.cuda.synchronize()
    assert history["seconds"].iloc[-1] > time.perf_counter() - started  # an iteration has more than this product
