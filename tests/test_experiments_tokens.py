"""The experiments with batches of tokens, small; and what they say against curves whose answer is known."""

import doctest
import itertools

import numpy as np
import pandas as pd
import pytest
import torch

import lib.experiments.token_budget
from lib import long_records, records
from lib.experiments import token_budget, tokens
from lib.experiments.search import Tuned
from lib.language import language
from lib.models import initialized, num_parameters
from lib.recipe import Recipe
from lib.replicas import StackedReplicas
from lib.training import train
from lib.transformer import Transformer


def a_curve(steps: float, number: int = 40) -> pd.DataFrame:
    """A loss that falls like a power of the iterations and is 0.5 after ``steps`` of them."""
    at = tokens.marks(round(3 * steps))[-number:]
    return pd.DataFrame({"iteration": at, "above": 0.5 * (np.array(at) / steps) ** -0.3})


@pytest.mark.parametrize("steps", [30, 400, 9_000])
def test_a_target_is_read_off_between_evaluations(steps):
    assert tokens.reached(a_curve(steps), 0.5) == pytest.approx(steps, rel=0.005)
    assert tokens.reached(a_curve(steps), 0.2) == np.inf


def test_a_single_low_loss_is_no_arrival():
    curve = a_curve(100)
    curve.loc[10, "above"] = 0.45
    assert curve["iteration"][10] < 60 and tokens.reached(curve, 0.5) == pytest.approx(100, rel=0.03)
    with pytest.raises(ValueError, match="was there at its first evaluations"):
        tokens.reached(a_curve(100, 5), 2.0)


def test_marks_are_ten_percent_apart():
    for iterations in (3, 70, 10_500):
        at = tokens.marks(iterations)
        assert at[-1] == iterations and at == sorted(set(at)) and at[0] >= 1
        assert all(b / a < 1.15 or b - a == 1 for a, b in itertools.pairwise(at))


def test_rates_are_chosen_by_the_median_and_only_if_all_seeds_arrive():
    rows = [("lower", 4, rate, seed, steps) for rate, of_seeds in
            {0.1: (9, 9, 30), 0.2: (1, 1, np.inf), 0.4: (8, 20, 10), 0.8: (40, 40, 40)}.items()
            for seed, steps in enumerate(of_seeds)]  # fmt: skip
    found = tokens.chosen(pd.DataFrame(rows, columns=["target", "batch_size", "learning_rate", "seed", "iteration"]))
    assert found.to_dict("records") == [
        {"target": "lower", "batch_size": 4, "learning_rate": 0.1, "iterations": 9.0, "inside": False}
    ]


def test_curves_are_those_of_train():
    """Fresh rows in the order of the seed, Adam, the loss above the floor of the same test rows."""
    found = tokens.curves(4, [0.01], [3], iterations=12, stream=7, dtype="float64")
    workload, floor = tokens.of_language(48, 7)
    torch.set_default_dtype(torch.float64)
    try:
        history, _ = train(
            workload, batch_size=4, learning_rate=0.01, optimizer="adam", betas=tokens.BETAS, iterations=12, seed=3,
            evaluate_every=1, device="cpu",
        )  # fmt: skip
    finally:
        torch.set_default_dtype(torch.float32)
    expected = history.set_index("iteration")["test_loss"][found["iteration"]] - floor
    np.testing.assert_allclose(found["above"], expected, rtol=0, atol=1e-12)
    assert found["iteration"].tolist() == tokens.marks(12) and len(workload) == 48


def test_a_run_does_not_depend_on_its_neighbours():
    many = tokens.curves(3, [0.01, 0.003], [1, 2], iterations=6, stream=7)
    alone = tokens.curves(3, [0.003], [2], iterations=6, stream=7)
    same = many[(many["learning_rate"] == 0.003) & (many["seed"] == 2)].reset_index(drop=True)
    np.testing.assert_allclose(same["above"], alone["above"], rtol=0, atol=1e-5)


def test_the_model_on_a_gpu_is_fifty_times_as_large():
    small, large = (num_parameters(Transformer(64, tokens.LENGTH, **tokens.MODELS[d])) for d in ("cpu", "cuda"))
    assert 45 < large / small < 55


def test_long_records_of_both_devices_have_names_and_runs_of_their_own(monkeypatch, tmp_path):
    """A stand-in for the experiment plays CPU and GPU: rates are chosen, five other seeds follow on other tokens."""
    seen = []

    def stand_in(batch_size, learning_rates, seeds, iterations, stream, device):
        seen.append((batch_size, learning_rates, seeds, stream, device))
        best = sorted(itertools.chain(*(rates for rates, _ in [tokens.TRIED[device][batch_size]])))[1]
        rows = [
            (rate, seed, *point)
            for rate in learning_rates
            for seed in seeds
            for point in a_curve(20 * (1 + 8 / batch_size) * (1 + abs(np.log(rate / best)))).itertuples(index=False)
        ]
        return pd.DataFrame(rows, columns=["learning_rate", "seed", "iteration", "above"])

    monkeypatch.setattr(records, "RECORDS", tmp_path)
    monkeypatch.setattr(tokens, "curves", stand_in)
    monkeypatch.setattr(tokens, "targets", lambda: {"bigram": 0.7, "lower": 0.5})
    monkeypatch.setattr(long_records, "of_function", lambda _: {"stand_in": "0"})
    monkeypatch.setenv("MEASURE_LONG", "1")
    for device, suffix in (("cpu", ""), ("cuda", "-cuda")):
        record = tokens.steps_to_targets(device)
        assert record.name == f"token-steps{suffix}" and (tmp_path / f"token-rates{suffix}.json").exists()
        steps = tokens.steps_of(record, tokens.targets())
        sizes = list(tokens.TRIED[device])
        assert sorted(set(steps["batch_size"])) == sizes and np.isfinite(steps["iteration"]).all()
        chosen = [rates[1] for rates, _ in tokens.TRIED[device].values()]
        assert [run["learning_rates"] for run in record.runs] == [[rate] for rate in chosen]
        fits = tokens.fits(steps, {"all": sizes})
        assert fits["tokens"].iloc[-1] == pytest.approx(8 * tokens.LENGTH, rel=0.05) and len(fits) == 2
    assert {tuple(seeds) for _, _, seeds, stream, _ in seen if stream == 2} == {tuple(tokens.REPORTING)}
    assert not set(tokens.CHOOSING) & set(tokens.REPORTING) and {device for *_, device in seen} == {"cpu", "cuda"}


# One budget, several ways ----------------------------------------------------------------------


@pytest.fixture
def tiny(monkeypatch):
    """Budgets of 64 rows, and the guess taken for the best rate."""
    monkeypatch.setattr(token_budget, "ROWS", 64)
    monkeypatch.setattr(token_budget, "tuned", lambda runs_at, guess, points: Tuned({"": guess}, runs_at([guess])))


def test_a_ramp_reads_as_many_tokens_in_fewer_iterations(tiny):
    tables = token_budget.ramps([0], [1, 2])
    iterations = tables["runs"].groupby("way")["iterations"].first()
    assert iterations.to_dict() == {"small": 4, "ramp": 2, "large": 1} and len(tables["runs"]) == 12
    assert np.isfinite(tables["runs"]["above"]).all() and set(tables["grid"]["seed"]) == {0}


def test_a_ramp_is_that_of_a_loop():
    """Batches of different sizes, the rate falling with the rows that have been read."""
    stages = [(2, 3), (5, 2)]
    recipe = Recipe(1, optimizer="sgd", schedule="linear")
    workload, _ = tokens.of_language(16, 7)
    order = np.random.default_rng(0).permutation(16)[None]
    replicas = StackedReplicas(workload, recipe, [3], "cpu")
    assert list(tokens.stepping(replicas, [0.2], order, stages, [4, 5])) == [4, 5]
    model = initialized(workload.model, 3)
    x, y = replicas.samples_of["train"]
    read = 0
    for size in (2, 2, 2, 5, 5):
        rows = torch.from_numpy(order[0, read : read + size])
        gradient = torch.autograd.grad(workload.loss(model(x[rows]), y[rows]), list(model.parameters()))
        with torch.no_grad():
            for p, g in zip(model.parameters(), gradient):
                p -= 0.2 * (1 - read / 16) * g
        read += size
    row = torch.cat([p.detach().flatten() for p in model.parameters()])
    torch.testing.assert_close(replicas.weights[0], row, rtol=0, atol=1e-5)


def test_repeats_are_of_rows_of_the_seed_and_fresh_rows_come_once(tiny):
    way = token_budget.Way(token_budget.adam("linear"), [(4, 32)], 0.01, unique=16)
    order = way.order(512, seed=3)
    rows, times = np.unique(order, return_counts=True)
    assert len(order) == 128 and len(rows) == 16 and set(times) == {8}
    assert all(set(order[k : k + 16]) == set(rows) for k in range(0, 128, 16))
    assert set(way.order(512, seed=4)) != set(rows)
    fresh = token_budget.Way(token_budget.adam("linear"), [(4, 32)], 0.01)
    assert len(set(fresh.order(200, seed=3))) == 128


def test_memories_and_repeats_have_all_their_ways(tiny):
    runs = token_budget.memories([0], [1])["runs"]
    assert sorted(set(zip(runs["batch_size"], runs["beta2"]))) == [(1, "held"), (1, "same"), (16, "same")]
    assert len(runs) == 6 and runs.pivot(index="schedule", columns=["batch_size", "beta2"], values="above").notna().all(
        axis=None
    )
    runs = token_budget.repeats([1, 4], [2], [0], [1])["runs"]
    assert runs[["kind", "epochs", "rows", "tokens"]].values.tolist() == [
        ["repeated", 1, 64, 2_048], ["repeated", 4, 64, 2_048], ["fresh", 1, 32, 1_024],
    ]  # fmt: skip


def test_the_floor_is_below_a_trained_model():
    workload, floor = tokens.of_language(2_048, 7)
    history, _ = train(workload, batch_size=16, learning_rate=0.012, optimizer="adam", epochs=1, device="cpu")
    assert floor < history["test_loss"].iloc[-1] < language().unigram


def test_doctests():
    result = doctest.testmod(lib.experiments.token_budget)
    assert result.attempted >= 2 and result.failed == 0
