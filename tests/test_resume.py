"""A run that is killed and started again is the run that was never killed, to the last bit."""

import hashlib
import io
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lib.data import digits
from lib.devices import OneDevice
from lib.models import mlp
from lib.training import train
from lib.workload import classification

DATA = digits().first(230)
MODEL = mlp(64, 12, 10)
WORK = classification(MODEL, DATA)
HOW = dict(
    batch_size=20,
    epochs=3,
    optimizer="momentum",
    schedule="cosine",
    warmup=3,
    accumulation_steps=2,
    tail="carry",
    device="cpu",
)


pytestmark = pytest.mark.usefixtures("float64")


class Killed(BaseException):
    """Ends a run from inside, where the code under test cannot catch it."""


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def stopped(monkeypatch, after, **how):
    """A run that ends after so many iterations."""
    step, count = torch.optim.SGD.step, iter(range(10**9))

    def killing(self, *args, **kwargs):
        if next(count) == after:
            raise Killed
        return step(self, *args, **kwargs)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(torch.optim.SGD, "step", killing)
        train(WORK, **HOW | how)


KILLED_RUNS = """
import json, os, random, signal, sys
import torch
from torch import nn
from lib.data import digits
from lib.training import train
from lib.workload import classification

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
folder, seed, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
data, chance = digits().first(230), random.Random(seed)
model = nn.Sequential(nn.Linear(64, 12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, 10))
step, replace = torch.optim.SGD.step, os.replace


def run(checkpoint=None, tail="flush"):
    torch.manual_seed(7)
    how = dict(optimizer="momentum", schedule="cosine", warmup=3, accumulation_steps=2)
    return train(classification(model, data), batch_size=20, epochs=4, tail=tail, **how, evaluate_every=5,
                 checkpoint=checkpoint, checkpoint_every=2, device="cpu")


def die_at(calls_left, function):
    def dying(*arguments, **keywords):
        calls_left[0] -= 1
        if calls_left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **keywords)
    return dying


def child(work):
    process = os.fork()
    if process == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(process, 0)[1]


results = []
for round in range(rounds):
    tail = ["flush", "carry", "drop", "flush-fixed"][round % 4]
    history, never_killed = run(tail=tail)
    checkpoint, deaths = f"{folder}/{round}.checkpoint", []
    for death in range(3):  # killed three times in the same run, in an iteration or while a checkpoint is written
        def doomed():
            torch.optim.SGD.step = die_at([chance.randrange(8)], step)
            if death == 1:
                os.replace = die_at([chance.randrange(6)], replace)
            run(checkpoint, tail)
        state = chance.getstate()
        status = child(doomed)
        chance.setstate(state), chance.randrange(8), chance.randrange(6)
        deaths.append(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL)
    resumed_history, resumed = run(checkpoint, tail)
    same = [torch.equal(a, b) for a, b in zip(never_killed.parameters(), resumed.parameters())]
    results.append({"deaths": deaths, "weights": all(same),
                    "history": history.drop(columns="seconds").equals(resumed_history.drop(columns="seconds"))})
print(json.dumps(results))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, which Windows does not have")
def test_killed_and_resumed_is_never_killed(tmp_path):
    """SIGKILL at a random iteration, three times in each of eight runs; seed printed, so that a failure repeats."""
    seed = np.random.default_rng().integers(10**6)
    print("seed", seed)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED_RUNS, str(tmp_path), str(seed), "8"],
        capture_output=True,
        encoding="utf-8",
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert len(results) == 8
    for result in results:
        assert result == {"deaths": [True] * 3, "weights": True, "history": True}


@pytest.mark.parametrize("tail", ["flush", "carry", "drop"])
@pytest.mark.parametrize("after, every", [(1, 5), (7, None), (8, 1), (13, 3)])
def test_resumed_batches_are_the_same(monkeypatch, tmp_path, after, every, tail):
    seen = []

    def recorded(self, x):
        if self.training:
            seen.append(x.clone())
        return forward(self, x)

    forward = nn.Sequential.forward
    how = dict(checkpoint=tmp_path / "run", checkpoint_every=every, tail=tail)
    whole_history, whole = train(WORK, **HOW | dict(tail=tail))
    stopped(monkeypatch, after, **how)
    monkeypatch.setattr(nn.Sequential, "forward", recorded)
    history, resumed = train(WORK, **HOW | how)
    of_the_rest, seen[:] = list(seen), []
    train(WORK, **HOW | dict(tail=tail))
    assert torch.equal(weights(whole), weights(resumed))
    pd.testing.assert_frame_equal(
        whole_history.drop(columns="seconds"), history.drop(columns="seconds"), check_exact=True
    )
    assert 0 < len(of_the_rest) <= len(seen)
    assert all(torch.equal(a, b) for a, b in zip(reversed(of_the_rest), reversed(seen)))
    if every == 1:
        assert len(of_the_rest) < len(seen)


def test_a_finished_run_is_not_run_again(monkeypatch, tmp_path):
    how = HOW | dict(checkpoint=tmp_path / "run", checkpoint_every=1, tail="flush")
    history, first = train(WORK, **how)
    monkeypatch.setattr(torch.optim.SGD, "step", None)
    again, second = train(WORK, **how)
    assert torch.equal(weights(first), weights(second)) and len(again) == len(history)


def test_seconds_go_on(monkeypatch, tmp_path):
    how = HOW | dict(checkpoint=tmp_path / "run", checkpoint_every=1)
    stopped(monkeypatch, 12, **how)
    before = torch.load(io.BytesIO((tmp_path / "run").read_bytes()[32:]))["progress"]
    history, _ = train(WORK, **how)
    assert history["seconds"].is_monotonic_increasing and history["seconds"].iloc[-1] > before["seconds"] > 0


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "spoil",
    [
        damage,
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("my notes\n" * 99, encoding="utf-8"),
    ],
    ids=["one bit", "cut off", "empty", "something else"],
)
def test_a_damaged_checkpoint_is_refused_and_the_one_before_it_used(monkeypatch, tmp_path, spoil):
    newest = tmp_path / "run"
    how = HOW | dict(checkpoint=newest, checkpoint_every=2)
    _, whole = train(WORK, **HOW)
    stopped(monkeypatch, 9, **how)
    spoil(newest)
    with pytest.warns(UserWarning, match=r"run is damaged \(its checksum does not match\).*the one before it"):
        _, resumed = train(WORK, **how)
    assert torch.equal(weights(whole), weights(resumed))
    for path in (newest, tmp_path / "run.previous"):  # and both are whole again
        content = path.read_bytes()
        assert hashlib.sha256(content[32:]).digest() == content[:32]
    spoil(newest), spoil(tmp_path / "run.previous")
    with pytest.raises(ValueError, match="run is damaged .* and run.previous is damaged .*; start a new run under"):
        train(WORK, **how)


def test_a_damaged_one_never_replaces_the_good_one_before_it(monkeypatch, tmp_path):
    how = HOW | dict(checkpoint=tmp_path / "run", checkpoint_every=2)
    stopped(monkeypatch, 9, **how)
    good = (tmp_path / "run.previous").read_bytes()
    damage(tmp_path / "run")
    with pytest.warns(UserWarning, match="damaged"):
        stopped(monkeypatch, 3, **how)  # one more checkpoint was written
    assert (tmp_path / "run.previous").read_bytes() == good


def test_a_checkpoint_that_is_being_written_is_not_the_newest(monkeypatch, tmp_path):
    """Whatever ends the run while it writes, both checkpoints are what they were."""
    how = HOW | dict(checkpoint=tmp_path / "run", checkpoint_every=2)
    stopped(monkeypatch, 9, **how)
    before = (tmp_path / "run").read_bytes(), (tmp_path / "run.previous").read_bytes()

    def killing(file):
        raise Killed

    monkeypatch.setattr(os, "fsync", killing)
    with pytest.raises(Killed):
        train(WORK, **how)
    assert ((tmp_path / "run").read_bytes(), (tmp_path / "run.previous").read_bytes()) == before


@pytest.mark.parametrize(
    "change, words",
    [
        (dict(batch_size=10), "batch_size is 20 there, 10 here"),
        (dict(seed=1), "seed is 0 there, 1 here"),
        (dict(epochs=4), "epochs is 3 there, 4 here"),
        (dict(learning_rate=0.2), "learning_rate is 0.1 there, 0.2 here"),
        (dict(tail="flush"), "tail is carry there, flush here"),
    ],
)
def test_a_foreign_checkpoint_is_refused(monkeypatch, tmp_path, change, words):
    how = HOW | dict(checkpoint=tmp_path / "run", checkpoint_every=2)
    stopped(monkeypatch, 9, **how)
    before = (tmp_path / "run").read_bytes()
    with pytest.raises(ValueError, match=f"run belongs to another run .{words}"):
        train(WORK, **how | change)
    assert (tmp_path / "run").read_bytes() == before


def test_other_data_models_and_precisions_are_foreign(monkeypatch, tmp_path):
    how = HOW | dict(checkpoint=tmp_path / "run", checkpoint_every=2)
    stopped(monkeypatch, 9, **how)
    with pytest.raises(ValueError, match="data is"):
        train(WORK.but(data=digits().first(229)), **how)
    with pytest.raises(ValueError, match="model is"):
        train(WORK.but(model=mlp(64, 13, 10)), **how)
    torch.set_default_dtype(torch.float32)
    with pytest.raises(ValueError, match="dtype is torch.float64 there, torch.float32 here"):
        train(WORK, **how)


def test_another_number_of_devices_is_foreign(tmp_path):
    class FirstOfTwo(OneDevice):
        size = 2

        def share(self, order):
            return order[::2]

    train(WORK, **HOW, checkpoint=tmp_path / "run", devices=FirstOfTwo())
    with pytest.raises(ValueError, match="world_size is 2 there, 1 here"):
        train(WORK, **HOW, checkpoint=tmp_path / "run")


def test_numpy_choices_and_a_new_folder(tmp_path):
    how = HOW | dict(checkpoint=tmp_path / "deep" / "run", learning_rate=np.float64(0.1))
    first, second = (train(WORK, **how)[1] for _ in range(2))
    assert torch.equal(weights(first), weights(second))
    assert sorted(os.listdir(tmp_path / "deep")) == ["run", "run.previous"]


def test_bad_input(tmp_path):
    with pytest.raises(ValueError, match="checkpoint_every is 0"):
        train(WORK, **HOW, checkpoint=tmp_path / "run", checkpoint_every=0)
