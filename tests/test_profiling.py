"""Memory against sums by hand; time by what must be true on any machine, never by how much it is."""

import json
import time
from statistics import median

import numpy as np
import pandas as pd
import pytest
import torch

from lib import profiling
from lib.data import Dataset
from lib.models import cnn, initialized, mlp
from lib.profiling import iteration, machine, memory, saturation, saved_bytes, seconds_per_call, throughput
from lib.recipe import Recipe
from lib.workload import classification

WEIGHTS = 4 * 15_210  # bytes of the 40-100-100-10 perceptron in float32


@pytest.fixture(scope="module")
def workload():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(120, 40)).astype(np.float32), rng.integers(10, size=120)
    return classification(mlp(), Dataset("noise", x[:100], y[:100], x[100:], y[100:]))


pytestmark = pytest.mark.usefixtures("one_thread")


# Memory


@pytest.mark.parametrize(
    "model, dtype, by_hand",
    [
        (mlp(), torch.float32, 4 * (40 + 100 + 100 + 10) + 8),  # inputs, two ReLUs, log-softmax; a class is 8 bytes
        (mlp(), torch.float64, 8 * (40 + 100 + 100 + 10) + 8),
        (mlp(40, 10), torch.float32, 4 * (40 + 10) + 8),
        (cnn(), torch.float32, 4 * (40 + 25 * (19 + 10 + 5) + 10) + 8),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 7, 500])
def test_saved_bytes_by_hand(workload, model, dtype, by_hand, batch_size):
    model = initialized(model, seed=0, dtype=dtype)
    assert saved_bytes(workload.but(model=model), batch_size, model) == by_hand * batch_size


@pytest.mark.parametrize("optimizer, state", [("sgd", 0), ("momentum", WEIGHTS), ("adam", 2 * WEIGHTS + 6 * 4)])
def test_only_activations_grow_with_the_batch_size(workload, optimizer, state):
    found = memory(workload, [1, 10, 100], optimizer, device="cpu")
    assert found["activations"].tolist() == [1_008, 10_080, 100_800]
    assert (found["parameters"] == WEIGHTS).all() and (found["gradients"] == WEIGHTS).all()
    assert (found["optimizer_state"] == state).all()
    assert found["peak"].isna().all()


# Time


def test_an_iteration_does_the_work_and_leaves_the_weights(workload):
    step, model, _ = iteration(workload, Recipe(50, optimizer="adam"), device="cpu")
    before = [p.clone() for p in model.parameters()]
    step()
    assert all(p.grad.abs().max() > 0 for p in model.parameters())
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before))


def test_seconds_are_of_one_call_after_a_warm_up():
    calls = []
    started = time.perf_counter()
    times = seconds_per_call(lambda: calls.append(time.perf_counter()), min_seconds=0.01)
    elapsed = time.perf_counter() - started
    assert median(times) * len(times) / 2 <= elapsed and min(times) > 0
    assert median(times) < 100 * elapsed / len(calls)  # seconds of a whole block would be thousands of calls
    assert median(seconds_per_call(lambda: time.sleep(0.002), min_seconds=0.01)) >= 0.002


def test_threads_are_given_back(workload):
    before = torch.get_num_threads()
    seen = []
    seconds_per_call(lambda: seen.append(torch.get_num_threads()), min_seconds=0.001, num_threads=2)
    assert seen[-1] == 2 and torch.get_num_threads() == before


def test_throughput_takes_turns_and_medians(workload, monkeypatch):
    made, order = [], []

    def fake_iteration(workload, recipe, *choices):
        made.append(recipe.batch_size)
        return (lambda: recipe.batch_size), None, None

    def fake_seconds(step, *choices):
        order.append(step())
        return [10.0, 2.0, 3.0, 1.0] if step() == 10 else [0.5, 0.5, 0.5]

    monkeypatch.setattr(profiling, "iteration", fake_iteration)
    monkeypatch.setattr(profiling, "seconds_per_call", fake_seconds)
    found = throughput(workload, [10, 2], rounds=2)
    assert made == [2, 10] and order == [2, 10, 2, 10]
    assert found.to_dict("list") == {
        "batch_size": [2, 10],
        "seconds_per_iteration": [0.5, 2.5],
        "spread": [0.0, 1.2],
        "samples_per_second": [4.0, 4.0],
        "seconds_per_epoch": [25.0, 25.0],
    }


def test_throughput_on_this_machine(workload):
    found = throughput(workload, [1, 64], device="cpu", rounds=1, min_seconds=0.01)
    assert found["batch_size"].tolist() == [1, 64] and (found.drop(columns="spread") > 0).all(axis=None)
    np.testing.assert_allclose(found["samples_per_second"] * found["seconds_per_iteration"], [1, 64])


@pytest.mark.parametrize("batch_size", [0, 101, 2.0, True])
def test_unusable_batch_sizes_are_refused(workload, batch_size):
    with pytest.raises(ValueError, match=f"batch_size is {batch_size!r}, but it must be a whole number"):
        throughput(workload, [batch_size], device="cpu")


def test_an_unknown_optimizer_is_refused(workload):
    with pytest.raises(ValueError, match="optimizer is 'lion'"):
        throughput(workload, [1], "lion")


@pytest.mark.parametrize(
    "sizes, speeds, gain, found",
    [
        ([1, 2, 4, 8], [10, 20, 30, 32], 0.1, 2),  # doubling from 2 gives 50 %, from 4 only 7 %
        ([1, 2, 4, 8], [10, 20, 30, 32], 0.05, None),
        ([4, 1, 2, 8], [30, 10, 20, 32], 0.1, 2),  # any order of rows
        ([1, 2, 4, 8], [10, 20, 30, 32], 0.6, 1),
        ([1, 16, 64], [10, 160, 190], 0.1, 1),  # from 16 to 64 two doublings of 9 % each
        ([1, 16, 64], [10, 160, 190], 0.08, None),
    ],
)
def test_saturation(sizes, speeds, gain, found):
    assert saturation(pd.DataFrame({"batch_size": sizes, "samples_per_second": speeds}), gain) == found


def test_saturation_before_the_first_batch_size_is_refused():
    with pytest.raises(ValueError, match="less than 10% already at batch size 64"):
        saturation(pd.DataFrame({"batch_size": [64, 128], "samples_per_second": [100, 105]}))


def test_the_machine_is_described_in_plain_values():
    found = machine()
    assert json.loads(json.dumps(found)) == found
    assert found["cpu"] and found["cores"] >= 1 and found["torch"] == torch.__version__
    assert (found["gpu"] is None) == (not torch.cuda.is_available())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_peak_memory_on_cuda_holds_weights_gradients_and_activations(workload):
    found = memory(workload, [1, 10, 100], "adam", device="cuda")
    assert (found["peak"] >= found["parameters"] + found["optimizer_state"] + found["activations"]).all()
    assert found["peak"].is_monotonic_increasing
