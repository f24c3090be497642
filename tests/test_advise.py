"""Advice about one's own run: known answers by a clock that a model moves itself, and nothing of the user's changed."""

import copy
import html.parser
import math
import random
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, SubsetRandomSampler, TensorDataset, WeightedRandomSampler

from lib import catalog
from lib.advise import __main__ as command
from lib.advise import advise, ask, calibration, combine, noise, rates, speed
from lib.advise.report import LESSONS, _text
from lib.advise.stopwatch import Stopwatch
from lib.advise.subject import LINEAR, ROOT, OptimizerOf, Subject, random_state_kept
from lib.experiments import advised
from lib.models import initialized, mlp
from lib.noise_scale import gradient_moments
from lib.recipe import Budget
from lib.statistics import Interval
from lib.workload import classification

OVERHEAD, PER_SAMPLE = 2e-2, 2.5e-4  # seconds of the clock below


class Clock:
    """Seconds that pass only when it is asked, and when a model works."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 1e-6
        return self.seconds


# Several threads wait for each other, which takes minutes where the cores are busy.
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(ask, "Stopwatch", lambda seconds: Stopwatch(seconds, made))
    return made


class Paced(nn.Module):
    """A network that takes OVERHEAD + PER_SAMPLE · B seconds of a clock, and perhaps has memory for few samples."""

    def __init__(self, network: nn.Module, clock: Clock, most: float = np.inf, error: Exception | None = None):
        super().__init__()
        self.network, self.most, self.error = network, most, error
        self.clock = [clock]  # a list: deepcopy is told below to share it

    def __deepcopy__(self, memo):
        return Paced(copy.deepcopy(self.network, memo), self.clock[0], self.most, self.error)

    def forward(self, x):
        samples = len(x)
        if samples > self.most:
            raise self.error
        self.clock[0].seconds += OVERHEAD + PER_SAMPLE * samples
        return self.network(x)


def classes(num: int = 400, features: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num, features)).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy((x[:, 0] + 0.5 * rng.normal(size=num) > 0).astype(np.int64))


def small(seed: int = 0) -> nn.Module:
    return initialized(mlp(6, 8, 2), seed, torch.float32)


def asked(clock, network=None, data=None, **more):
    return advise(Paced(network or small(), clock), data or classes(), **{"seconds": 40.0, "batch_size": 16} | more)


# Known answers ----------------------------------------------------------------------------


def test_seconds_of_an_iteration_are_found(clock):
    found = asked(clock).speed
    assert found.overhead.low <= OVERHEAD * 1.01 and found.overhead.high >= OVERHEAD * 0.99
    assert found.per_sample.estimate == pytest.approx(PER_SAMPLE, rel=0.02)
    assert found.ratio.estimate == pytest.approx(OVERHEAD / PER_SAMPLE, rel=0.05)
    assert found.misfit < 0.01
    # A doubling from B brings 2 (t0 + cB) / (t0 + 2cB): a tenth more at 4.5 t0 / c = 360, so the last that pays is 256.
    assert np.isinf(found.saturates.estimate)  # 256 is the largest power of two below N = 400: nothing beyond was timed


def test_it_finds_where_throughput_saturates(clock):
    sizes = 2 ** np.arange(13)
    scatter = np.random.default_rng(0).lognormal(sigma=0.02, size=(20, len(sizes)))
    found = speed.Speed(pd.DataFrame((OVERHEAD + PER_SAMPLE * sizes) * scatter, columns=sizes), pd.DataFrame())
    speed.fit_time(found)
    assert found.saturates.low <= 256 <= found.saturates.high
    assert found.ratio.low < OVERHEAD / PER_SAMPLE < found.ratio.high


def test_it_keeps_to_its_seconds(clock):
    for seconds in (3.0, 20.0):
        started = clock.seconds
        asked(clock, seconds=seconds)
        assert clock.seconds - started < 1.05 * seconds + 0.2


def test_the_noise_scale_at_the_present_weights_is_that_of_all_gradients(clock):
    model, (x, y) = small(), classes()
    found = advise(Paced(model, clock), (x, y), seconds=60.0, batch_size=16).noise
    workload = classification(model, SimpleTensors(x, y).dataset())
    exact = gradient_moments(workload, model)
    assert found.single
    num = len(x)  # batches without replacement tell of the population that the samples are drawn from
    population = exact.trace * num / (num - 1) / (exact.squared_norm - exact.trace / (num - 1))
    assert found.now.low < population < found.now.high
    assert found.now.high < 10 * found.now.low  # a known answer is no proof of an endless interval


def test_batches_of_two_sizes_and_single_samples_agree():
    model, (x, y) = small(), classes()
    subject = Subject(model, (x, y), None, "sgd", None)
    subject.fetch(lambda: True)
    exact = gradient_moments(classification(model, SimpleTensors(x, y).dataset()), model)
    rng = np.random.default_rng(0)
    for single in (True, False):
        estimator = noise.Estimator(subject, 16)
        assert estimator.single
        estimator.single = single
        pairs = np.array([estimator.estimate(model, subject.draw(rng, 128)) for _ in range(60)])
        assert estimator.single is single
        assert pairs[:, 1].mean() == pytest.approx(exact.trace, rel=0.1)
        assert pairs[:, 0].mean() == pytest.approx(exact.squared_norm, rel=0.25)


def test_a_learning_rate_beyond_the_range_diverges():
    torch.manual_seed(0)
    x = torch.randn(300, 4)
    y = x @ torch.tensor([[1.0], [2.0], [-1.0], [0.5]]) + 0.3 * torch.randn(300, 1)
    subject = Subject(initialized(nn.Linear(4, 1), 0, torch.float32), (x, y), None, "sgd", None)
    subject.fetch(lambda: True)
    found = rates.range_test(subject, Stopwatch(100.0, Clock()).slice("", 1.0), 64, 1e-3)
    largest = float(torch.linalg.eigvalsh(2 * x.T @ x / len(x)).max())  # of the mean squared error's second derivative
    high = found.lowest.high
    assert 0.2 / largest < high < 2 / largest  # beyond 2 / largest every step makes the error worse
    assert not found.open and found.steepest.low < found.middle.estimate < high


def test_the_fewest_seconds_are_where_the_product_is_smallest():
    b_crit, ratio = Interval(200.0, 100.0, 400.0, 5), Interval(50.0, 40.0, 60.0, 5)
    sizes = combine.Sizes.of(b_crit, ratio)
    grid = np.arange(1, 2000)
    seconds = (1 + 200 / grid) * (50 + grid)
    assert sizes.seconds.estimate == pytest.approx(grid[seconds.argmin()], abs=1)
    assert sizes.seconds.low < sizes.seconds.estimate < sizes.seconds.high
    saved = (1 + 200 / sizes.iterations.estimate) / 1
    wasted = (sizes.samples.estimate + 200) / 200
    assert saved == pytest.approx(1 + combine.WASTE) and wasted == pytest.approx(1 + combine.WASTE)


def test_the_learning_rate_moves_by_the_optimizers_rule():
    assert combine.rate_factor(LINEAR, 16, 8, 1e6) == pytest.approx(2, rel=1e-3)
    assert combine.rate_factor(LINEAR, 1e6, 1e5, 10) == pytest.approx(1, rel=1e-3)
    assert combine.rate_factor(ROOT, 32, 8, 100) == 2
    assert combine.rate_factor(None, 32, 8, 100) == 1
    kinds = {"sgd": LINEAR, "momentum": LINEAR, "adamw": ROOT}
    for name, rule in kinds.items():
        assert OptimizerOf(name, small()).rule == rule
    assert OptimizerOf(lambda weights: torch.optim.Rprop(weights), small()).rule is None
    assert "power" in combine.evidence(LINEAR) and "no evidence" in combine.evidence(None)


def test_an_optimizer_belongs_to_a_family():
    model = small()
    weights = list(model.parameters())
    made = {
        "sgd": ["sgd", torch.optim.SGD(weights, 0.1)],
        "momentum": ["momentum", "nesterov", torch.optim.SGD(weights, 0.1, momentum=0.9)],
        "adam": ["adam", "adamw", lambda weights: torch.optim.NAdam(weights), torch.optim.RMSprop(weights)],
        None: [lambda weights: torch.optim.Rprop(weights)],
    }
    for family, each in made.items():
        assert {OptimizerOf(given, model).family for given in each} == {family}


def test_an_answer_is_as_wide_as_known_runs_scatter():
    """Of many drawn values, nine in ten lie inside; an answer without scatter is as wide as its own interval."""
    rng = np.random.default_rng(0)

    def drawn(num):
        return np.exp(rng.normal(math.log(3), 0.5, num))

    held = 0
    for _ in range(400):
        spread = calibration.Spread.of(pd.Series(drawn(6), index=list("abcdef")))
        answer = spread.widened(Interval(10.0, 10.0, 10.0, 5))
        held += answer.low < 10 * drawn(1)[0] < answer.high
    assert abs(held / 400 - calibration.LEVEL) < 0.05
    exact = calibration.Spread.of(pd.Series([2.0, 2.0], index=["a", "b"])).widened(Interval(10.0, 5.0, 40.0, 5))
    assert (exact.estimate, exact.low, exact.high) == pytest.approx((20, 10, 80))


def test_runs_of_one_workload_count_as_one_for_the_width():
    ratios = [1.0, 2.0, 1.0, 2.0]
    four = calibration.Spread.of(pd.Series(ratios, index=list("abcd")))
    two = calibration.Spread.of(pd.Series(ratios, index=list("aabb")))
    assert two.middle == four.middle and two.factor > four.factor > 1
    with pytest.raises(ValueError, match="at least 2 workloads"):
        calibration.Spread.of(pd.Series([1.0, 2.0], index=["a", "a"]))


def test_a_gradient_lost_in_the_noise_has_only_a_lower_end():
    spread = calibration.Spread(2.0, 3.0, 6)
    lost = spread.widened(Interval(math.inf, 30.0, math.inf, 5))
    assert (lost.estimate, lost.low, lost.high) == (math.inf, pytest.approx(20.0), math.inf)
    open_above = spread.widened(Interval(10.0, 10.0, math.inf, 5))
    assert (open_above.estimate, open_above.high) == (20.0, math.inf) and open_above.low == pytest.approx(20 / 3)


def test_a_rate_that_failed_is_not_advised():
    table = pd.DataFrame({"workload": ["a", "b"], "optimizer": "sgd", "rate": [1.0, 9.0], "tried": [1.0, 1.0]})
    free = calibration.rate(Interval(1.0, 0.9, 1.1, 5), "sgd", table)
    assert free.high > 3.5 > free.estimate == pytest.approx(3)
    assert calibration.rate(Interval(1.0, 0.9, 1.1, 5), "sgd", table, failed_at=3.5).high == 3.5
    assert calibration.rate(Interval(1.0, 0.9, 1.1, 5), None, table) == free  # an optimizer that was never swept


def test_the_known_pairs_are_those_of_the_records():
    assert calibration.FILE.read_text(encoding="utf-8") == advised.kept(advised.compared())


def test_a_pair_is_judged_without_the_runs_of_its_workload():
    table = pd.DataFrame({"workload": list("abcd"), "optimizer": "sgd", "critical": 10.0})
    table["rate"], table["failed_at"] = 1.0, math.inf
    for what, each in (("noise", [10.0, 11.0, 900.0, 12.0]), ("tried", [1.0, 1.1, np.nan, 1.2])):
        for end in ("estimate", "low", "high"):
            table[f"{what}_{end}"] = each
    judged = advised.judged(table).set_index("workload")
    assert judged["critical_missed_by"]["c"] > 5 and judged["critical_missed_by"][["a", "b", "d"]].eq(1).all()
    assert np.isnan(judged["rate_missed_by"]["c"])


def test_what_does_not_fit_is_accumulated():
    assert combine.micro_batches(64, 100) == (64, 1)
    assert combine.micro_batches(256, 100) == (64, 4)
    assert combine.micro_batches(256, np.inf) == (256, 1)


def test_bytes_are_counted_as_they_are_made_and_freed():
    with speed.CountedTensors() as counted:
        a = torch.ones(1000)
        b = a + 1
        del a
        c = b * 2
    assert counted.peak == 8000 and counted.now == 8000
    del b, c
    assert counted.now == 0


# Five models --------------------------------------------------------------------------------


def small_batch_norm():
    whole = catalog.batch_norm()
    return whole.but(data=whole.data.first(300))


def five() -> dict:
    convolutions = nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(16, 2))
    return {
        "BatchNorm": (small_batch_norm(), None),
        "language": (catalog.tokens(200, 50, 8), None),
        "regression": (catalog.friedman(300, 50), None),
        "own CNN": (convolutions, classes()),
        "too large": (small(), classes()),
    }


@pytest.mark.parametrize("name", list(five()))
def test_five_models_get_all_their_numbers(monkeypatch, name):
    ticks = Clock()

    def now():
        ticks.seconds += 0.004  # so many seconds whenever it is asked: few iterations, on any machine
        return ticks.seconds

    monkeypatch.setattr(ask, "Stopwatch", lambda seconds: Stopwatch(seconds, now))
    model, data = five()[name]
    if name == "too large":
        model = Paced(model, ticks, most=40, error=torch.OutOfMemoryError("CUDA out of memory."))
    found = advise(model, data, seconds=40.0 if name == "too large" else 12.0, batch_size=16, price=3.0)
    assert found.problems == []
    assert found.rate.low < found.rate.estimate < found.rate.high <= found.noise.failed_at
    assert 0 < found.b_crit.low < found.b_crit.high
    low, middle, high = found.choice
    assert 1 <= low <= middle <= high <= found.facts["num_samples"]
    assert {"iterations", "samples", "rate_low", "micro_batch"} <= set(found.table)
    assert found.noise.single is (name != "BatchNorm")
    assert any("BatchNorm" in note for note in found.notes) is (name == "BatchNorm")
    if name == "too large":
        assert found.speed.failed_at == 64 and found.speed.fits <= 40
        assert (found.table["micro_batch"] <= 40).all()
    text = str(found)
    assert "What it cannot know" in text and "95 %" in text
    assert found.table["plan_iterations"].is_monotonic_decreasing


# Nothing of the user's is changed ------------------------------------------------------------


def test_nothing_of_the_users_is_changed(clock):
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 2))
    model[0].bias.requires_grad_(False)
    model.eval()
    model[1].train()  # modes may differ
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    x, y = classes()
    loader = DataLoader(TensorDataset(x, y), 16, shuffle=True, generator=torch.Generator().manual_seed(5))
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()

    def state():
        return copy.deepcopy({
            "weights": model.state_dict(),
            "gradients": [p.grad for p in model.parameters()],
            "flags": [p.requires_grad for p in model.parameters()],
            "modes": [m.training for m in model.modules()],
            "optimizer": optimizer.state_dict(),
            "random": [torch.get_rng_state(), loader.generator.get_state(), x, y],
            "numpy": [torch.from_numpy(np.random.get_state()[1].astype(np.int64)), np.random.get_state()[2]],
            "python": random.getstate(),
            "enabled": torch.is_grad_enabled(),
        })  # fmt: skip

    before = state()
    found = advise(model, loader, seconds=20.0, optimizer=optimizer)
    assert found.rates is not None and found.present == 16
    assert same(before, state())
    order = [batch[1].tolist() for batch in loader]
    again = DataLoader(TensorDataset(x, y), 16, shuffle=True, generator=torch.Generator().manual_seed(5))
    assert order == [batch[1].tolist() for batch in again]


def same(one, other) -> bool:
    if torch.is_tensor(one):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def test_random_states_come_back_even_after_an_error():
    before = torch.get_rng_state(), np.random.get_state()[2], random.getstate()
    with pytest.raises(KeyError), random_state_kept():
        torch.rand(1), np.random.rand(), random.random()
        raise KeyError
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1], before[2]) == (np.random.get_state()[2], random.getstate())


def test_an_optimizer_of_the_users_is_copied_with_its_groups_and_state():
    model = small()
    first, *others = model.parameters()
    mine = torch.optim.SGD([{"params": [first], "lr": 0.1}, {"params": others, "lr": 0.01}], momentum=0.9)
    nn.functional.cross_entropy(model(classes()[0]), classes()[1]).backward()
    mine.step()
    other = copy.deepcopy(model)
    made = OptimizerOf(mine, model).of(other)
    assert [group["lr"] for group in made.param_groups] == [0.1, 0.01]
    buffer = made.state[next(other.parameters())]["momentum_buffer"]
    assert torch.equal(buffer, mine.state[first]["momentum_buffer"])
    assert buffer.data_ptr() != mine.state[first]["momentum_buffer"].data_ptr()


# Memory that runs out -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
        RuntimeError("CUDA error: out of memory"),
    ],
)
def test_it_recovers_when_memory_runs_out(clock, error):
    found = advise(Paced(small(), clock, most=100, error=error), classes(), seconds=40.0, batch_size=16)
    assert found.speed.failed_at == 128 and found.speed.most == 64
    assert found.speed.fits <= 64  # with a margin below what was seen to fit
    assert found.noise is not None and found.rates is not None
    assert (found.table["micro_batch"] * found.table["accumulated"] >= found.table["batch_size"]).all()


def test_another_error_is_no_lack_of_memory(clock):
    found = advise(Paced(small(), clock, most=100, error=RuntimeError("shapes differ")), classes(), seconds=20.0)
    assert any("shapes differ" in problem for problem in found.problems)


def test_a_single_sample_that_is_too_much_is_said(clock):
    with pytest.raises(MemoryError, match="batch size 1 already"):
        advise(Paced(small(), clock, most=0, error=torch.OutOfMemoryError("CUDA out of memory.")), classes())


# Bad input: one sentence, and what can be measured is ----------------------------------------


class NoLoss(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 2)

    def forward(self, x):
        return SimpleNamespace(logits=self.layer(x))


class Named(torch.utils.data.Dataset):
    """Samples as mappings, with a column that the model does not take."""

    def __init__(self, with_labels=True):
        self.x, self.y = classes()
        self.columns = ("x", "labels") if with_labels else ("x",)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, row):
        sample = {"x": self.x[row], "labels": self.y[row], "text": "words"}
        return {name: sample[name] for name in (*self.columns, "text")}


def loader(sampler, **how) -> DataLoader:
    return DataLoader(TensorDataset(*classes()), 8, sampler=sampler, **how)


def test_a_loader_of_some_samples_is_about_these():
    x, y = classes()
    few = Subject(small(), loader(SubsetRandomSampler([5, 7, 11]), drop_last=True), None, "sgd", None)
    few.fetch(lambda: True)
    assert few.num_samples == 3 and few.drop_last
    assert sorted(map(tuple, few.pool[0].tolist())) == sorted(map(tuple, x[[5, 7, 11]].tolist()))
    assert not Subject(small(), loader(None), None, "sgd", None).drop_last


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: advise(NoLoss(), Named(False), seconds=1.0), "returns no loss"),
        (lambda: advise(nn.Linear(5, 2), classes(), seconds=1.0), r"of shape \(6,\)"),
        (lambda: advise(small(), classes()[0], seconds=1.0), "no targets"),
        (lambda: advise(small(), classes(10), batch_size=11, seconds=1.0), "batch_size is 11, but data has only 10"),
        (lambda: advise(small(), iter([1]), seconds=1.0), "cannot be asked for single samples"),
        (lambda: advise(lambda x: x, classes(), seconds=1.0), "a torch.nn.Module"),
        (lambda: advise(small(), classes(), seconds=0), "seconds is 0"),
        (lambda: advise(small(), classes(), optimizer="sdg", seconds=1.0), "optimizer is 'sdg'"),
        (lambda: advise(small().requires_grad_(False), classes(), seconds=1.0), "no weights that are trained"),
        (lambda: advise(small(), classes(), lambda o, t: (o[:, 0] - t) ** 2, seconds=1.0), r"tensor of shape \(32,\)"),
        (lambda: advise(small(), classes(), budget=10, seconds=1.0), "lib.recipe.Budget"),
        (lambda: advise(small(), classes(), batch_size=0, seconds=1.0), "batch_size is 0"),
        (lambda: advise(small(), classes(), budget=Budget(epochs=0), seconds=1.0), "epochs is 0"),
        (lambda: advise(small(), loader(WeightedRandomSampler([0.5] * 400, 900)), seconds=1.0), "900 samples an epoch"),
    ],
)
def test_bad_input_gets_a_sentence(clock, call, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_loss_that_is_a_sum_is_noticed_and_times_are_kept(clock):
    found = advise(Paced(small(), clock), classes(), nn.CrossEntropyLoss(reduction="sum"), seconds=20.0)
    assert "2 times" in found.problems[0] and "reduction='mean'" in found.problems[0]
    assert found.speed.overhead is not None and found.rates is None
    assert "t₀" in str(found)


def test_a_budget_that_is_too_short_says_what_is_missing(clock):
    found = asked(clock, seconds=0.5)
    assert any("give more seconds" in problem for problem in found.problems)
    assert len(found.answers()) > 0 and found._repr_html_()


def test_a_stop_by_hand_keeps_what_was_measured(clock, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(ask, "noise_along", stopped)
    found = asked(clock)
    assert found.rates is not None and found.noise is None
    assert "You stopped it" in found.problems[-1]


# Hugging Face's habits, by objects that have them ----------------------------------------------


class Formatted(Named):
    """A dataset with a format of its own, as ``datasets.Dataset`` has."""

    def __init__(self):
        super().__init__()
        self.format = None

    def set_format(self, kind):
        self.format = kind

    def with_format(self, kind):
        made = copy.copy(self)
        made.format = kind
        return made

    def __getitem__(self, row):
        assert self.format == "torch", "rows would be lists of numbers"
        return super().__getitem__(row)


class WithLoss(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = small()

    def forward(self, x, labels=None):
        scores = self.network(x)
        return SimpleNamespace(logits=scores, loss=nn.functional.cross_entropy(scores, labels))


def test_a_model_with_its_own_loss_and_a_dataset_of_mappings(monkeypatch):
    ticks = iter(np.arange(1, 10**7) * 0.004)
    monkeypatch.setattr(ask, "Stopwatch", lambda seconds: Stopwatch(seconds, lambda: float(next(ticks))))
    data = Formatted()
    found = advise(WithLoss(), data, seconds=20.0, optimizer="adamw")
    assert found.problems == [] and found.noise.single
    assert data.format is None
    assert found.facts["rule"] == ROOT


# What people see --------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "br", "path", "use", "rect", "circle", "stop"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in ("path", "use", "rect", "circle", "stop"):
            assert self.open.pop() == tag


def test_the_report_is_one_file_that_loads_nothing(clock, tmp_path):
    found = asked(clock, price=2.0)
    text = found.save(tmp_path / "deep" / "advice.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not page.open
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(drawings) == 4 and all(len(one["aria-label"].split()) > 10 for one in drawings)
    assert text.count("<details>") == 4 and "prefers-color-scheme: dark" in text
    outside = re.findall(r'(?:src|href)="(?!#)([^"]*)"', text)
    assert outside and all(address.endswith(".html") and "//" not in address for address in outside)
    assert not any(tag in ("script", "link", "img", "iframe") for tag, _ in page.tags)
    names = {f"{stem}.html" for stem in LESSONS.values()}
    assert {address.rsplit("/", 1)[1] for address in outside} <= names
    assert found._repr_mimebundle_().keys() == {"text/plain", "text/html"}
    assert "cost" in text


def test_every_lesson_that_is_named_is_there():
    for number, stem in LESSONS.items():
        assert (ask.__file__ and combine.load) and stem.startswith(f"{number:02d}-")
        assert any((catalog_root() / "lessons").glob(f"{stem}.md")), stem


def catalog_root():
    from pathlib import Path

    return Path(catalog.__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "number, text",
    [
        (0.271, "0.271"),
        (1340.2, "1,340"),
        (12.34, "12.3"),
        (0, "0"),
        (np.inf, "no upper limit"),
        (8.97e-5, "8.97e-05"),
    ],
)
def test_numbers_have_three_digits(number, text):
    assert _text(number) == text


FILE = """
import torch
from lib.models import mlp

def make_model():
    return mlp(6, 8, 2)

def make_data():
    x = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
    return x.float(), (x[:, 0] > 0).long()
"""


def test_the_command_prints_a_table_and_writes_a_report(monkeypatch, tmp_path, capsys):
    ticks = iter(np.arange(1, 10**7) * 0.004)
    monkeypatch.setattr(ask, "Stopwatch", lambda seconds: Stopwatch(seconds, lambda: float(next(ticks))))
    (tmp_path / "mine.py").write_text(FILE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    command.main(["mine.py:make_model", "mine.py:make_data", "--seconds", "20", "--device", "cpu", "--epochs", "3"])
    printed = capsys.readouterr().out
    assert "start with a batch size of" in printed and (tmp_path / "advice.html").exists()


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["none.py:model", "none.py:data"], "There is no file none.py"),
        (["mine.py", "mine.py:make_data"], "names nothing"),
        (["mine.py:make_nothing", "mine.py:make_data"], "has no make_nothing"),
        (["mine.py:make_model", "mine.py:make_data", "--batch-size", "500"], "batch_size is 500"),
    ],
)
def test_the_command_ends_with_a_sentence(monkeypatch, tmp_path, words, sentence):
    (tmp_path / "mine.py").write_text(FILE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=sentence):
        command.main(words)


class SimpleTensors:
    """Tensors as the course's data set."""

    def __init__(self, x, y):
        self.x, self.y = x.numpy(), y.numpy()

    def dataset(self):
        from lib.data import Dataset

        return Dataset("tensors", self.x, self.y, self.x[:1], self.y[:1])


def test_an_interval_without_an_upper_end_is_said_to_have_none():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"seed": range(5), "squared_norm": rng.normal(size=5), "trace": 1.0})
    found = noise.scale(table)
    assert np.isinf(found.high) and found.low > 0
