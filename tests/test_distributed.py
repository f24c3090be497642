"""Several real processes: the weights of one device with the global batch, right averages, no process left behind."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils.data.distributed import DistributedSampler

from lib import distributed
from lib.data import digits
from lib.distributed import Devices, launch
from lib.models import initialized, mlp
from lib.plan import TrainingPlan
from lib.recipe import Budget, Recipe
from lib.sampling import epoch_order
from lib.training import train
from lib.workload import classification

MODEL = mlp(64, 12, 10)


def small():
    """The workload of these launches, made anew in each process."""
    return classification(MODEL, digits())


SMALL = dict(workload=f"{__file__}:small", device="cpu", limit=90)


pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture
def saboteur(tmp_path, monkeypatch):
    """Makes one rank of the next launch do something in its k-th iteration."""

    def prepare(rank, iteration, what):
        (tmp_path / "sitecustomize.py").write_text(
            f"""
import os
if os.environ.get("RANK") == "{rank}":
    import signal, time, torch
    step, count = torch.optim.SGD.step, iter(range(10**9))
    def sabotaged(self, *args, **kwargs):
        if next(count) == {iteration}:
            {what}
        return step(self, *args, **kwargs)
    torch.optim.SGD.step = sabotaged
""",
            encoding="utf-8",
        )
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return prepare


def device(rank, size, pad_to_even=True):
    """One of several devices, without the others."""
    alone = object.__new__(Devices)
    alone.rank, alone.size, alone.pad_to_even, alone.visited = rank, size, pad_to_even, 0
    return alone


@pytest.fixture
def left_behind(tmp_path, monkeypatch):
    """Asks for this test's launched processes that still run; their results' folder is in their command lines."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def ask():
        listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, encoding="utf-8", check=True).stdout
        return [line for line in listed.splitlines() if str(tmp_path) in line]

    return ask


@pytest.mark.parametrize("pad_to_even", [True, False])
@pytest.mark.parametrize("num_samples, size", [(10, 4), (10, 2), (1001, 8), (3, 4), (7, 1), (230, 3)])
def test_shares_are_those_of_distributed_sampler(num_samples, size, pad_to_even):
    if num_samples < size and not pad_to_even:
        return
    order = epoch_order(num_samples, seed=3, epoch=1)
    shares = [device(rank, size, pad_to_even).share(order) for rank in range(size)]
    plan = TrainingPlan(num_samples, 1, world_size=size, pad_to_even=pad_to_even)
    even = np.resize(order, plan.samples_per_device * size)  # repeats the order's beginning, or cuts its end
    for rank in range(size):
        np.testing.assert_array_equal(shares[rank], even[rank::size])
        torchs = DistributedSampler(range(num_samples), size, rank, shuffle=False, drop_last=not pad_to_even)
        np.testing.assert_array_equal(shares[rank], order[list(torchs)])
    assert sum(map(len, shares)) == num_samples + plan.samples_repeated_per_epoch - (
        0 if pad_to_even else plan.samples_dropped_per_epoch
    )


def test_iterations_of_all_devices_are_stretches_of_the_common_order():
    order = epoch_order(240, seed=0, epoch=0)
    for batch in range(5):
        together = np.concatenate([device(rank, 3).share(order)[batch * 16 : (batch + 1) * 16] for rank in range(3)])
        assert sorted(together) == sorted(order[batch * 48 : (batch + 1) * 48])


def test_two_devices_equal_one_with_the_global_batch(left_behind):
    """B = 10, A = 2, W = 2 against B = 40; 1,500 samples; the tail is 20; 297 test samples do not divide by 2."""
    how = dict(epochs=2, optimizer="momentum", learning_rate=0.05, schedule="cosine", warmup=3, seed=4)
    one_history, one = train(small(), batch_size=40, device="cpu", **how)
    launched = launch(2, **SMALL, batch_size=10, accumulation_steps=2, **how)
    plan = TrainingPlan(1500, 10, epochs=2, accumulation_steps=2, world_size=2)
    assert plan.global_batch_size == 40 and plan.total_iterations == 76
    for name, weights in one.state_dict().items():
        torch.testing.assert_close(launched.weights[name], weights, rtol=0, atol=1e-12)
    history = launched.history
    assert history["iteration"].tolist() == one_history["iteration"].tolist() == [0, 38, 76]
    assert history["samples"].tolist() == one_history["samples"].tolist() == [0, 1500, 3000]
    assert history["batches"].tolist() == [0, 75, 150] and plan.batches_per_epoch == 75
    for column in ["batch_loss", "train_loss", "test_loss", "test_accuracy"]:
        np.testing.assert_allclose(history[column].astype(float), one_history[column], rtol=0, atol=1e-12)
    assert launched.processes["rank"].tolist() == [0, 1] and launched.processes["samples"].tolist() == [1500, 1500]
    assert launched.processes["process"].nunique() == 2 and os.getpid() not in set(launched.processes["process"])
    assert left_behind() == []


def test_three_devices_that_do_not_divide_the_samples():
    """Two samples are repeated; the weights are those of a loop over the padded order, written out."""
    launched = launch(3, **SMALL, first=100, batch_size=9, epochs=2, learning_rate=0.2)
    data, model = digits().first(100), initialized(MODEL, 0)
    x, y = torch.from_numpy(data.x_train).double(), torch.from_numpy(data.y_train)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    for epoch in range(2):
        order = epoch_order(100, 0, epoch)
        for batch in torch.from_numpy(np.concatenate([order, order[:2]])).split(27):
            optimizer.zero_grad()
            F.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
    for name, weights in model.state_dict().items():
        torch.testing.assert_close(launched.weights[name], weights, rtol=0, atol=1e-12)
    plan = TrainingPlan(100, 9, epochs=2, world_size=3)
    assert launched.history["samples"].iloc[-1] == plan.total_samples == 204
    assert launched.history["iteration"].iloc[-1] == plan.total_iterations == 8


def test_a_killed_process_ends_the_others_and_the_run_goes_on_from_its_checkpoint(
    saboteur, left_behind, monkeypatch, tmp_path
):
    how = SMALL | dict(first=200, batch_size=10, epochs=3, checkpoint=str(tmp_path / "run"), checkpoint_every=4)
    saboteur(rank=1, iteration=13, what="os.kill(os.getpid(), signal.SIGKILL)")
    started = time.monotonic()
    with pytest.raises(RuntimeError, match=r"^Rank 1 was killed \(SIGKILL\), so the others were ended too; .*\.$"):
        launch(2, **how, timeout=600)
    assert time.monotonic() - started < 50 and left_behind() == []
    monkeypatch.delenv("PYTHONPATH")
    launched = launch(2, **how)
    assert launched.processes["samples"].iloc[0] == 200  # the second epoch, in which it was killed, and the third
    _, one = train(classification(MODEL, digits().first(200)), batch_size=20, epochs=3, device="cpu")
    for name, weights in one.state_dict().items():
        torch.testing.assert_close(launched.weights[name], weights, rtol=0, atol=1e-12)


def test_a_silent_process_is_not_waited_for(saboteur, left_behind):
    saboteur(rank=1, iteration=3, what="time.sleep(600)")
    with pytest.raises(
        RuntimeError, match=r"^Rank 0: another process did not answer within 8 seconds or is gone .*\.$"
    ):
        launch(2, **SMALL, first=200, batch_size=10, epochs=3, timeout=8)
    assert left_behind() == []


def test_a_launch_ends_in_time(saboteur, left_behind):
    saboteur(rank=1, iteration=3, what="time.sleep(600)")
    with pytest.raises(RuntimeError, match=r"^The processes had not finished after 12 seconds and were ended; .*\.$"):
        launch(2, **SMALL | {"limit": 12}, first=200, batch_size=10, epochs=3, timeout=600)
    assert left_behind() == []


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def start_alone(monkeypatch, **environment):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())} | environment:
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    "environment, expected, words",
    [
        ({}, None, "this process was started alone; start it with torchrun"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, None, "RANK is 2, but with WORLD_SIZE 2 ranks go from 0 to 1"),
        (
            {"RANK": "0", "WORLD_SIZE": "2"},
            4,
            "meant for 4 devices, but 2 were started; start it with --nproc-per-node 4",
        ),
    ],
)
def test_a_wrong_world_size_is_refused(monkeypatch, environment, expected, words):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=words):
        distributed.join(timeout=1, expected=expected, device="cpu")


def test_a_missing_rank_ends_in_a_sentence():
    """One of two processes, started by hand; the other never comes."""
    environment = os.environ | {
        "RANK": "0",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
    }
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "lib.distributed",
            "--batch-size",
            "10",
            "--epochs",
            "1",
            "--timeout",
            "2",
            "--workload",
            "logistic",
            "--device",
            "cpu",
        ],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 1
    assert re.fullmatch(r"rank 0: not all of the 2 processes came within 2 seconds .*\.\n", done.stderr), done.stderr


@pytest.mark.parametrize(
    "choices, words",
    [
        (dict(world_size=0), "world_size is 0"),
        (dict(world_size=2.0), "world_size is 2.0"),
        (dict(world_size=True), "world_size is True"),
    ],
)
def test_bad_world_sizes(choices, words):
    with pytest.raises(ValueError, match=words):
        launch(**choices, batch_size=10, epochs=1)


def test_command_line():
    options = distributed.arguments(["--batch-size", "250", "--epochs", "3", "--no-shuffle", "--learning-rate", "0.5"])
    assert (options.batch_size, options.epochs, options.shuffle, options.learning_rate) == (250, 3, False, 0.5)
    assert options.accumulation_steps == 1 and options.tail == "flush" and options.iterations is None
    assert distributed.as_option("shuffle", False) == ["--no-shuffle"]
    assert distributed.as_option("betas", (0.8, 0.9)) == ["--betas", "0.8", "0.9"]


TWO_RANKS = """
import sys, torch, torch.distributed as dist
from torch import nn
from lib.data import digits
from lib.distributed import Devices
from lib.evaluation import mean_loss
from lib.training import train
from lib.workload import classification
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
dist.init_process_group("gloo")
model = nn.Sequential(nn.Linear(64, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 10))
data = digits().first(100)
workload = classification(model, data)
history, model = train(workload, batch_size=10, epochs=2, device="cpu", devices=Devices())
whole = mean_loss(workload, model, torch.from_numpy(data.x_test).double(), torch.from_numpy(data.y_test))[0]
print(history["test_loss"].iloc[-1], whole)
dist.barrier()
dist.destroy_process_group()
"""


def test_every_rank_evaluates_the_same_model_with_batch_norm():
    """Each rank sees other batches, so its own running means differ; those of rank 0 are the model's."""
    port = str(free_port())
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", TWO_RANKS],
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=os.environ | {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port},
        )
        for rank in range(2)
    ]
    printed = [float(number) for rank in ranks for number in rank.communicate(timeout=60)[0].split()]
    np.testing.assert_allclose(printed, printed[0], rtol=0, atol=1e-12)
    assert len(printed) == 4


def test_devices_have_no_common_clock():
    with pytest.raises(ValueError, match="seconds is 5, but 2 devices have no common clock"):
        Budget(seconds=5).plan(Recipe(10), 100, world_size=2)
