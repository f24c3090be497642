"""Workloads of every kind go through everything; a user's own model and samples become one in one call."""

import inspect
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from lib import catalog
from lib.data import Dataset, digits
from lib.models import initialized, mlp
from lib.noise_scale import gradient_moments
from lib.profiling import memory, saved_bytes
from lib.ramps import Ramp
from lib.recipe import Budget, Recipe
from lib.sampling import epoch_order
from lib.sweep import sweep
from lib.training import train
from lib.workload import Workload, classification, next_token, regression, workload

pytestmark = pytest.mark.usefixtures("float64", "one_thread")


def few(name: str) -> Workload:
    """A workload of the course with few samples, so that the smallest runs show all."""
    made = catalog.named(name)
    return made.but(data=made.data.first(100).hold_out(30, 30))


@pytest.mark.parametrize("name", catalog.WORKLOADS)
def test_every_kind_is_trained_and_swept_alike(name):
    """``sweep`` gives the numbers of ``train`` whether it trains alone, compiled or stacked."""
    made, how = few(name), dict(batch_size=7, epochs=2, evaluate_every=6, optimizer="momentum", device="cpu")
    table = sweep(made, **how, learning_rate=[0.01, 0.02], seed=[0, 3], n_jobs=1)
    for (rate, seed), rows in table.groupby(["learning_rate", "seed"]):
        history, _ = train(made, **how, learning_rate=rate, seed=seed)
        numbers = [c for c in history if c not in ("status", "seconds", "learning_rate")]
        np.testing.assert_allclose(rows[numbers].astype(float), history[numbers].astype(float), rtol=0, atol=1e-10)
        assert list(rows["status"]) == list(history["status"])
    assert {"train_loss", "validation_loss", "test_loss"} <= set(table)
    assert ("test_accuracy" in table) == (name != "friedman") and ("tokens" in table) == (name == "tokens")


@pytest.mark.parametrize("name", catalog.WORKLOADS)
def test_every_kind_is_measured(name):
    made = few(name)
    kept = [saved_bytes(made, size) for size in (7, 14, 21)]
    assert kept[2] - kept[1] == kept[1] - kept[0] > 0  # a mask, or the mean of a batch, belongs to no sample
    assert memory(made, [7], "adam", "cpu")["optimizer_state"][0] > 0
    if name == "batch-norm":
        with pytest.raises(TypeError, match="batch normalisation"):
            gradient_moments(made, initialized(made.model, 0))
    else:
        assert gradient_moments(made, initialized(made.model, 0), chunk=40).noise_scale > 0


def test_a_kind_of_workload_is_short():
    """A classifier with augmentation, a regression and a language model: each under 40 lines, networks apart."""
    for functions in (
        [catalog.batch_norm, catalog.shifted_and_noisy],
        [catalog.friedman],
        [catalog.tokens],
    ):
        lines = "".join(inspect.getsource(function) for function in functions).splitlines()
        assert len([line for line in lines if line.strip()]) < 40


# Your own model and samples ----------------------------------------------------------------------


class Own(nn.Module):
    """Neither a Sequential nor of layers that the course uses."""

    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(6, 5), nn.Bilinear(5, 5, 3)

    def forward(self, x):
        x = torch.tanh(self.hidden(x))
        return self.out(x, x)


def samples(num=40, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(num, 6))).float(), torch.from_numpy(rng.integers(3, size=num))


@pytest.mark.parametrize("given", [samples(), TensorDataset(*samples()), list(zip(*samples()))])
def test_own_model_and_samples_in_one_call(given):
    made = workload(Own(), given, test=samples(20, 1))
    assert len(made) == 40 and made.loss is F.cross_entropy
    history, _ = train(made, batch_size=10, epochs=2, learning_rate=0.1, device="cpu")
    table = sweep(made, batch_size=10, epochs=2, learning_rate=[0.1, 0.2], seed=[0], device="cpu")
    assert history["iteration"].tolist() == [0, 4, 8] and "validation_loss" not in history
    rows = table[table["learning_rate"] == 0.1]
    np.testing.assert_allclose(rows["test_loss"], history["test_loss"], rtol=1e-9)


def test_own_run_equals_a_textbook_loop():
    x, y = samples()
    made = workload(Own(), (x, y))
    _, trained = train(made, batch_size=16, epochs=2, learning_rate=0.3, shuffle=False, device="cpu")
    model = initialized(Own(), 0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    for _ in range(2):
        for inputs, targets in DataLoader(TensorDataset(x.double(), y), batch_size=16):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
    for mine, theirs in zip(trained.parameters(), model.parameters()):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-14)


def test_numbers_are_regressed_and_rows_of_tokens_are_predicted():
    x, _ = samples()
    assert workload(nn.Linear(6, 1), (x, x[:, 0])).loss.__name__ == "squared_error"
    words = torch.randint(5, (12, 9))
    made = workload(nn.Embedding(5, 5), (words[:, :-1], words[:, 1:]))
    assert made.tokens_per_sample == 8
    history, _ = train(made, batch_size=4, tokens=100, device="cpu")
    assert history["tokens"].iloc[-1] == 128 and history["iteration"].iloc[-1] == 4  # 32 tokens a batch


class Named(nn.Linear):
    """Its outputs have names, as those of many libraries."""

    def __init__(self):
        super().__init__(6, 3)

    def forward(self, x):
        return {"logits": super().forward(x)}


class Fussy(nn.Linear):
    def __init__(self):
        super().__init__(6, 3)

    def forward(self, x):
        raise NotImplementedError


@pytest.mark.parametrize(
    "model, given, words",
    [
        (nn.Linear(5, 3), samples(), "does not take the samples of your data, of shape"),
        (nn.Linear(6, 2), (samples()[0], samples()[1] + 1), "has the label 2 among its train samples"),
        (Named(), samples(), "or the loss not its outputs .*'dict' object"),
        (Fussy(), samples(), "or the loss not its outputs .*NotImplementedError"),
        (nn.Flatten(), samples(), "a Flatten without weights to train"),
        (nn.LazyLinear(3), samples(), "a LazyLinear layer that does not know its size yet; call the model once"),
        (nn.Linear(6, 3), (samples()[0], samples()[1][:7]), "40 inputs and 7 targets"),
        (nn.Linear(6, 3), [(torch.zeros(6), 0), (torch.zeros(7), 1)], "differ in shape"),
        (nn.Linear(6, 3), samples()[0], "inputs and no targets"),
    ],
)
def test_samples_that_do_not_fit_get_one_sentence(model, given, words):
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        workload(model, given)
    assert "\n" not in str(caught.value)


class Ragged(torch.utils.data.Dataset):
    def __len__(self):
        return 5

    def __getitem__(self, i):
        return torch.zeros(3 + i), 0


class Endless(IterableDataset):
    def __iter__(self):
        yield torch.zeros(6), 0


@pytest.mark.parametrize("given, words", [(Ragged(), "differ in shape"), (Endless(), "is a stream")])
def test_datasets_that_cannot_be_stacked_get_one_sentence(given, words):
    with pytest.raises((ValueError, TypeError), match=words):
        workload(nn.Linear(6, 3), given)


@pytest.mark.parametrize("label", [3, -1, -100])
@pytest.mark.parametrize("split", [0, 1, 2])
def test_a_label_that_is_no_class_gets_one_sentence(label, split):
    """In PyTorch's loss it may raise or be passed over; a compiled replica would write beside its memory."""
    splits = [samples() for _ in range(3)]
    splits[split][1][-1] = label
    with pytest.raises(ValueError, match=f"the label {label} among its .* samples, but the model has 3 outputs"):
        workload(nn.Linear(6, 3), *splits)


def test_a_loader_is_no_dataset():
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*samples()))
    with pytest.raises(TypeError, match="is a DataLoader; give its dataset"):
        workload(nn.Linear(6, 3), loader)
    with pytest.raises(TypeError, match="is None, but it must be a dataset"):
        workload(nn.Linear(6, 3), None)


def test_a_loss_that_is_no_mean_gets_one_sentence():
    with pytest.raises(ValueError, match="it must be one number"):
        workload(
            nn.Linear(6, 3),
            samples(),
            loss=lambda outputs, targets: F.cross_entropy(outputs, targets, reduction="none"),
        )


def test_a_model_in_place_of_a_workload_gets_one_sentence():
    for call in (train, sweep):
        with pytest.raises(TypeError, match="workload is a Sequential; make a workload"):
            call(mlp(), batch_size=10, epochs=1)
    with pytest.raises(TypeError, match="is no Recipe"):
        train(classification(mlp(64, 10), digits()), digits(), epochs=1, batch_size=10)
    with pytest.raises(TypeError, match="lr is no choice of a run"):
        train(classification(mlp(64, 10), digits()), batch_size=10, epochs=1, lr=0.1)
    with pytest.raises(TypeError, match="batch_size is missing"):
        train(classification(mlp(64, 10), digits()), epochs=1)


# What a loss is a mean over ------------------------------------------------------------------------


def padded_rows(num=30, length=7):
    """Rows of tokens of which the last ones of each are padding, a different number in each."""
    rng = np.random.default_rng(2)
    words = rng.integers(4, size=(num, length + 1))
    targets = words[:, 1:].copy()
    targets[np.arange(length) >= rng.integers(1, length + 1, size=(num, 1))] = -100
    return Dataset("rows", words[:, :-1], targets, words[:4, :-1], targets[:4])


def test_every_token_that_counts_weighs_the_same_in_accumulated_batches():
    made = next_token(nn.Sequential(nn.Embedding(4, 6), nn.Linear(6, 4)), padded_rows())
    how = dict(epochs=2, learning_rate=0.5, device="cpu", seed=1)
    (big_history, big), (small_history, small) = (
        train(made, batch_size=12, **how),
        train(made, batch_size=3, accumulation_steps=4, **how),
    )
    for mine, theirs in zip(small.parameters(), big.parameters()):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-13)
    np.testing.assert_allclose(small_history["test_loss"], big_history["test_loss"], rtol=1e-12)
    x, y = (torch.from_numpy(part) for part in (made.data.x_test, made.data.y_test))
    counts = y >= 0
    whole = F.cross_entropy(big(x)[counts], y[counts]).item()
    assert math.isclose(big_history["test_loss"].iloc[-1], whole, rel_tol=1e-12)


@pytest.mark.parametrize("tail", ["carry", "merge"])
def test_a_mean_that_cannot_be_known_is_refused(tail):
    made = next_token(nn.Sequential(nn.Embedding(4, 6), nn.Linear(6, 4)), padded_rows())
    with pytest.raises(ValueError, match="differ in their number of tokens"):
        train(made, batch_size=4, accumulation_steps=3, tail=tail, epochs=1, device="cpu")


# Augmentation, validation --------------------------------------------------------------------------


def test_augmentation_is_the_same_for_the_same_place_and_new_in_every_epoch():
    seen = []

    def noisy(inputs, rng):
        seen.append((inputs, rng.normal(size=tuple(inputs.shape))))
        return inputs + torch.from_numpy(seen[-1][1])

    made = classification(mlp(64, 10), digits().first(20), augment=noisy)
    train(made, batch_size=10, epochs=2, device="cpu", seed=5)
    first, seen[:] = list(seen), []
    train(made, batch_size=10, epochs=2, device="cpu", seed=5)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(first, seen)) and len(first) == 4
    assert len({a[1].sum() for a in first}) == 4


def test_validation_samples_are_seen_and_choose_nothing_of_the_run():
    data = digits().first(50)
    held = data.hold_out(100)
    assert len(held.x_validation) == 100 and len(held.x_test) == 197 and "100 for choosing" in repr(held)
    runs = [train(classification(mlp(64, 10), each), batch_size=10, epochs=2, device="cpu")[0] for each in (data, held)]
    assert (runs[0]["train_loss"] == runs[1]["train_loss"]).all() and "validation_accuracy" in runs[1]
    reached, _ = train(
        classification(mlp(64, 10), held),
        batch_size=10,
        epochs=200,
        target=1.5,
        target_loss="validation_loss",
        device="cpu",
    )
    assert reached["validation_loss"].iloc[-1] <= 1.5 < reached["validation_loss"].iloc[-2]
    assert reached["status"].iloc[-1] == "reached" and reached["epoch"].iloc[-1] < 200
    with pytest.raises(ValueError, match="has no such samples"):
        train(classification(mlp(64, 10), data), batch_size=10, epochs=1, target=1.0, target_loss="validation_loss")
    with pytest.raises(ValueError, match="num_validation is 298"):
        data.hold_out(298)


def test_squared_error_meets_targets_without_a_second_axis():
    x, _ = samples()
    flat = Dataset("flat", x.numpy(), x.numpy()[:, 0], x.numpy()[:3], x.numpy()[:3, 0])
    history, model = train(regression(nn.Linear(6, 1), flat), batch_size=40, epochs=1, learning_rate=1e-9, device="cpu")
    outputs = initialized(nn.Linear(6, 1), 0)(x.double())[:, 0]
    assert math.isclose(history["train_loss"].iloc[0], F.mse_loss(outputs, x[:, 0].double()).item(), rel_tol=1e-12)


# Recipes and budgets --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "recipe, words",
    [
        (dict(batch_size=0), "batch_size is 0"),
        (dict(momentum=1.0), "momentum is 1.0"),
        (dict(betas=(0.9,)), "betas is"),
        (dict(betas=(0.9, 1.5)), "betas is 1.5"),
        (dict(weight_decay=-1), "weight_decay is -1"),
        (dict(learning_rate="0.1"), "learning_rate is"),
        (dict(learning_rate=None), "learning_rate is None"),
        (dict(schedule="step"), "schedule is 'step'"),
        (dict(warmup=2.5), "warmup is 2.5"),
        (dict(tail="keep"), "tail is 'keep'"),
    ],
)
def test_a_recipe_is_checked_when_it_is_made(recipe, words):
    with pytest.raises((ValueError, TypeError), match=words):
        Recipe(**{"batch_size": 10} | recipe)


@pytest.mark.parametrize(
    "budget, words",
    [
        (dict(), "budget is missing"),
        (dict(epochs=1, tokens=3), "give exactly one"),
        (dict(tokens=0), "tokens is 0"),
        (dict(seconds=0), "seconds is 0"),
        (dict(seconds=math.nan), "seconds is nan"),
        (dict(epochs=1, target=0), "target is 0"),
        (dict(epochs=1, target_loss="loss"), "target_loss is 'loss'"),
    ],
)
def test_a_budget_is_checked_when_it_is_made(budget, words):
    with pytest.raises((ValueError, TypeError), match=words):
        Budget(**budget)


def test_numpy_numbers_are_plain_ones():
    recipe = Recipe(np.int64(10), np.float32(0.5), warmup=np.int32(2))
    assert [type(value) for value in (recipe.batch_size, recipe.learning_rate, recipe.warmup)] == [int, float, int]
    assert type(Budget(iterations=np.int64(3)).iterations) is int


def test_a_budget_in_tokens_needs_tokens():
    with pytest.raises(ValueError, match="these samples are not made of tokens"):
        train(classification(mlp(64, 10), digits()), batch_size=10, tokens=100)


def test_parts_of_an_epoch():
    made = classification(mlp(64, 10), digits().first(50))
    history, _ = train(made, batch_size=10, epochs=2.5, device="cpu")
    assert history["iteration"].tolist() == [0, 5, 10, 13] and history["epoch"].iloc[-1] == 2.6


# A batch size that changes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ramp",
    [
        Ramp([(0, 8), (5, 20), (9, 50)], unit="iterations"),
        Ramp([(0, 8), (130, 33)], unit="samples"),
        Ramp([(0, 16), (1, 32)], unit="epochs"),
    ],
)
@pytest.mark.parametrize("budget", [dict(epochs=3), dict(iterations=11), dict(samples=200), dict(iterations=2)])
@pytest.mark.parametrize("drop_last", [False, True])
def test_a_run_with_a_ramp_is_a_loop_written_out(ramp, budget, drop_last):
    data = digits().first(70)
    how = dict(batch_size=ramp, drop_last=drop_last, learning_rate=0.2, device="cpu")
    history, trained = train(classification(mlp(64, 10), data), **how, **budget, schedule="linear")
    plan = Budget(**budget).plan(Recipe(ramp, drop_last=drop_last), 70)
    x, y = torch.from_numpy(data.x_train).double(), torch.from_numpy(data.y_train)
    model, epoch, iteration, seen = initialized(mlp(64, 10), 0), 0, 0, 0

    def going_on():
        limits = {"epochs": epoch, "iterations": iteration, "samples": seen}
        return all(limits[name] < most for name, most in budget.items())

    while going_on():
        order = torch.from_numpy(epoch_order(70, 0, epoch))
        while len(order) and ("epochs" in budget or going_on()):
            size = ramp.at({"epochs": epoch, "iterations": iteration, "samples": seen}[ramp.unit])
            if drop_last and size > len(order):
                break
            rows, order = order[:size], order[size:]
            rate = 0.2 * (1 - iteration / plan.total_iterations)
            gradients = torch.autograd.grad(F.cross_entropy(model(x[rows]), y[rows]), list(model.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(model.parameters(), gradients):
                    parameter -= rate * gradient
            iteration, seen = iteration + 1, seen + len(rows)
        epoch += 1
    end = history.iloc[-1]
    assert (end["iteration"], end["samples"]) == (iteration, seen) == (plan.total_iterations, plan.total_samples)
    for mine, theirs in zip(trained.parameters(), model.parameters()):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12)


def test_a_ramp_is_resumed_and_swept(tmp_path):
    made = classification(mlp(64, 10), digits().first(70))
    ramp = Ramp([(0, 8), (12, 30)], unit="iterations")
    how = dict(batch_size=ramp, iterations=25, device="cpu")
    history, whole = train(made, **how)
    train(made, **how | {"iterations": 25}, checkpoint=tmp_path / "run", checkpoint_every=10)
    _, resumed = train(made, **how, checkpoint=tmp_path / "run", checkpoint_every=10)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters()))
    table = sweep(made, batch_size=[8, ramp], iterations=25, seed=[0], device="cpu")
    swept = table[table["batch_size"] == ramp]
    assert swept["test_loss"].tolist() == history["test_loss"].tolist()


@pytest.mark.parametrize(
    "choices, words",
    [
        (dict(seconds=1), "batch_size changes, but the budget is 1 seconds"),
        (dict(epochs=1, accumulation_steps=2), "batch_size changes and accumulation_steps is 2"),
        (dict(epochs=1, drop_last=True), "The ramp reaches a batch size above the 20 samples"),
    ],
)
def test_ramps_that_cannot_be(choices, words):
    ramp = Ramp([(0, 8), (2, 30)], unit="iterations")
    with pytest.raises(ValueError, match=words):
        train(classification(mlp(64, 10), digits().first(20)), batch_size=ramp, **choices)
