"""The experiments on packing and on weighting measure what they say: small cases against autograd and by hand."""

from dataclasses import replace
from pathlib import Path

import joblib
import jupytext
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lib.accumulation import accumulate
from lib.experiments import packing, weighting
from lib.experiments.search import Tuned
from lib.language import END, language
from lib.models import initialized
from lib.texts import rows_of_documents
from lib.transformer import Transformer

SHORT = language(lengths=(3, 5, 8, 11))


def test_rows_hold_each_document_from_its_start_on():
    documents = SHORT.documents(20, seed=3)
    for how in ("none", "best fit", "wrapped"):
        inputs, targets = rows_of_documents(documents, 16, how)
        held = targets[targets >= 0]
        assert sorted(held) == sorted(np.concatenate(documents)) and inputs.shape == (len(targets), 2, 16)
        if how != "wrapped":
            found = {
                (tuple(tokens[of == one]), tuple(wanted[of == one]))
                for (tokens, of), wanted in zip(inputs, targets)
                for one in set(of[wanted >= 0].tolist())
            }
            assert found == {((END, *one[:-1]), tuple(one)) for one in map(np.ndarray.tolist, documents)}


def test_a_packed_document_is_read_as_if_alone_with_mask_and_places(float64):
    documents = SHORT.documents(6, seed=4)
    for told, equal in [((True, True), True), ((True, False), False), ((False, True), False)]:
        model = initialized(Transformer(64, 16, mask=told[0], reset=told[1]), seed=0)
        sums = []
        for how in ("none", "best fit"):
            x, y = map(torch.from_numpy, rows_of_documents(documents, 16, how))
            sums.append(F.cross_entropy(model(x).flatten(0, 1), y.flatten(), ignore_index=-1).item())
        assert (abs(sums[0] - sums[1]) < 1e-12) == equal


def test_losses_are_those_of_the_workload(float64):
    workload = packing.workload_of(mask=True, reset=True)
    replicas = packing.trained(workload, 4, [0.01, 0.02], [0, 1], iterations=0)
    x, y = workload.data.x_train[-7:], workload.data.y_train[-7:]  # rows of several documents
    for seed, found in zip([0, 0, 1, 1], packing.losses(replicas, x, y)):
        model = initialized(workload.model, seed)
        assert found == pytest.approx(workload.loss(model(torch.from_numpy(x)), torch.from_numpy(y)).item(), abs=1e-12)
    assert packing.losses(replicas, x, y, mask=False)[0] != packing.losses(replicas, x, y)[0]
    assert replicas.workload.model.mask and replicas.workload.model.reset


def four_documents():
    x, y = rows_of_documents([one for one in SHORT.documents(4, seed=5)], 16)
    return torch.from_numpy(x[:, 0]), torch.from_numpy(y)


def gradient(backward):
    model = initialized(Transformer(64, 16), seed=0)
    backward(model)
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def test_each_weighting_is_what_its_trainer_adds_up(float64):
    x, y = four_documents()
    halves = [(x[:2], y[:2]), (x[2:], y[2:])]

    def mean_of(parts):
        def backward(model):
            for rows, targets in parts:
                loss = F.cross_entropy(model(rows).flatten(0, 1), targets.flatten(), ignore_index=-1)
                (loss / len(parts)).backward()

        return backward

    trainers = {
        "token": lambda model: accumulate(model, halves, ignore_index=-1),
        "micro-batch": mean_of(halves),
        "document": mean_of([(x[k : k + 1], y[k : k + 1]) for k in range(4)]),
    }
    found = {}
    for name, backward in trainers.items():
        loss = weighting.loss_by(name, micro_batches=2)
        found[name] = gradient(lambda model, loss=loss: loss(model(x), y).backward())
        assert torch.allclose(found[name], gradient(backward), rtol=0, atol=1e-14)
    assert (found["token"] - found["micro-batch"]).norm() > 0.01 * found["token"].norm()


def test_gradients_of_documents_add_up_to_every_weighting(float64, monkeypatch):
    x, y = four_documents()
    monkeypatch.setattr(weighting, "MEASURED", 4)
    model = initialized(Transformer(64, 16), seed=0)
    workload = weighting.workload_of(0.0)
    workload = workload.but(data=replace(workload.data, x_train=x.numpy(), y_train=y.numpy()), model=model)
    gradients, tokens = weighting.document_gradients(workload, model, chunk=3)
    assert tokens.tolist() == (y >= 0).sum(1).tolist()
    for name in weighting.WEIGHTINGS:
        weights = weighting.iteration_weights(tokens.numpy(), np.arange(4).reshape(1, 2, 2), name)
        assert (weights * tokens.numpy().reshape(1, 2, 2)).sum() == pytest.approx(1)
        loss = weighting.loss_by(name, micro_batches=2)
        exact = gradient(lambda model, loss=loss: loss(model(x), y).backward())
        assert torch.allclose(torch.tensor(weights).flatten() @ gradients, exact, rtol=0, atol=1e-14)


def test_errors_vanish_with_equal_lengths_and_are_what_they_are_called():
    random = np.random.default_rng(0)
    gradients = torch.from_numpy(random.normal(size=(40, 7)))
    chosen = np.stack([random.permutation(40)[:8] for _ in range(50)])
    (row,) = weighting._errors(gradients, torch.full((40,), 5), chosen, [2])
    assert row["error"] == pytest.approx(0, abs=1e-12) and row["noise"] > 0
    tokens = torch.from_numpy(random.integers(1, 60, 40))
    row, of_one = weighting._errors(gradients, tokens, chosen, [2, 1])
    assert of_one["error"] == pytest.approx(of_one["document error"]) and 0 < row["bias"] < row["error"]
    whole = gradients.sum(0) / tokens.sum()
    wrong = []
    for draw in chosen:
        pairs = draw.reshape(4, 2)
        means = [gradients[pair].sum(0) / tokens[pair].sum() for pair in pairs]
        wrong.append(torch.stack(means).mean(0) - gradients[draw].sum(0) / tokens[draw].sum())
    size = torch.stack(wrong).square().sum(1).mean().sqrt() / whole.norm()
    assert row["error"] == pytest.approx(size.item(), rel=1e-9)


@pytest.mark.parametrize("spread", [0.0, 0.4, 0.8, 1.2])
def test_lengths_have_one_mean_whatever_their_spread(spread):
    lengths = packing.lengths_of(spread, 24, 95)
    assert abs(np.mean(lengths) - 24) < 0.5 and max(lengths) <= 95 and min(lengths) >= 1
    assert (len(set(lengths)) == 1) == (spread == 0)


def test_small_experiments_run(monkeypatch):
    monkeypatch.setattr(
        weighting, "tuned", lambda runs_at, guess, points: Tuned({"best mean": guess}, runs_at([guess]))
    )
    with joblib.parallel_config("sequential"):  # other processes would search for a rate all the same
        tables = weighting.all_parts([0.0, 0.8], [1, 2], [0, 3], 20, 0.02, [0, 1], [10, 11])
    assert len(tables["errors"]) == 2 * 2 * 2 * 2 and set(tables["runs"]["weighting"]) == set(weighting.WEIGHTINGS)
    assert tables["errors"].query("spread == 0")["error"].max() < 1e-5


def lesson_cell(containing):
    """The visible cell of lesson 15 that a reader copies."""
    lesson = Path(__file__).resolve().parents[1] / "lessons/15-the-mean-of-what.md"
    (found,) = [c.source for c in jupytext.read(lesson).cells if c.cell_type == "code" and containing in c.source]
    return found


@pytest.mark.parametrize(
    "trainer, found",
    [("accumulated by tokens", False), ("joined", False), ("mean of means", True), ("not zeroed", True)],
)
def test_ten_lines_tell_a_right_trainer_from_a_wrong_one(float64, trainer, found):
    names = {"torch": torch}
    source = lesson_cell("def depends_on_the_parts")
    exec(source, names)
    assert len(source.splitlines()) <= 10

    def iteration(model, parts):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        batches = [rows_of_documents(part, 16) for part in parts]
        batches = [(torch.from_numpy(x[:, 0]), torch.from_numpy(y)) for x, y in batches]
        if trainer == "joined":
            batches = [tuple(map(torch.cat, zip(*batches)))]
        if trainer in ("accumulated by tokens", "joined"):
            accumulate(model, batches, ignore_index=-1)
        for x, y in batches if trainer in ("mean of means", "not zeroed") else []:
            loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten(), ignore_index=-1)
            (loss / (len(batches) if trainer == "mean of means" else 1)).backward()
        optimizer.step()

    documents = sorted(SHORT.documents(6, seed=6), key=len)[::2]
    apart = names["depends_on_the_parts"](iteration, lambda: initialized(Transformer(64, 16), seed=0), documents)
    assert (apart > 1e-9) == found
