"""The transformer against one written out, its document mask against single documents, and a user's own tokens."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lib import catalog
from lib.language import language
from lib.models import initialized
from lib.noise_scale import gradient_moments
from lib.recipe import Recipe
from lib.replicas import StackedReplicas
from lib.sampling import epoch_order
from lib.sweep import sweep
from lib.texts import from_text, from_tokens, windows
from lib.training import train
from lib.transformer import Transformer, places_in_document

pytestmark = pytest.mark.usefixtures("float64", "one_thread")


def small(**more) -> Transformer:
    return initialized(Transformer(11, 24, width=12, heads=3, layers=2, **more), 5)


def tokens(*shape, seed=0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(11, size=shape))


def written_out(model: Transformer, row: torch.Tensor) -> torch.Tensor:
    """Scores of one row, a token and a head at a time."""
    weights = dict(model.named_parameters())

    def norm(x):
        return x / (x.square().mean() + 1e-6).sqrt()

    x = [norm(weights["token.weight"][t] + weights["place.weight"][p]) for p, t in enumerate(row)]
    for layer in range(2):
        parts = [(weights[f"attend{layer}.weight"] @ norm(each)).view(3, 3, 4) for each in x]
        read = []
        for t in range(len(x)):
            heads = []
            for head in range(3):
                similar = torch.stack([parts[t][0, head] @ parts[s][1, head] / 2 for s in range(t + 1)])
                heads.append(sum(w * parts[s][2, head] for s, w in enumerate(similar.softmax(0))))
            read.append(torch.cat(heads))
        x = [each + weights[f"mix{layer}.weight"] @ r for each, r in zip(x, read)]
        x = [
            each + weights[f"narrow{layer}.weight"] @ (weights[f"widen{layer}.weight"] @ norm(each)).relu()
            for each in x
        ]
    return torch.stack([weights["scores.weight"] @ norm(each) for each in x])


def test_scores_are_those_written_out():
    model, rows = small(), tokens(3, 24)
    for scores, row in zip(model(rows), rows):
        torch.testing.assert_close(scores, written_out(model, row), rtol=0, atol=1e-12)


def test_no_token_sees_a_later_one():
    model, rows = small(), tokens(2, 24)
    changed = rows.clone()
    changed[:, 15] = (rows[:, 15] + 1) % 11
    before, after = model(rows), model(changed)
    torch.testing.assert_close(before[:, :15], after[:, :15], rtol=0, atol=0)
    assert (before[:, 15:] != after[:, 15:]).any(-1).all()


def test_places_begin_anew_in_each_document():
    documents = torch.tensor([[4, 4, 4, 9, 2, 2], [0, 0, 0, 0, 0, 0]])
    assert places_in_document(documents).tolist() == [[0, 1, 2, 0, 0, 1], [0, 1, 2, 3, 4, 5]]


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("reset", [True, False])
def test_documents_of_a_packed_row_are_as_alone_with_mask_and_reset_only(mask, reset):
    model, row, lengths = small(mask=mask, reset=reset), tokens(24), [7, 1, 11, 5]
    documents = torch.repeat_interleave(torch.arange(4), torch.tensor(lengths))
    packed = model(torch.stack([row, documents])[None])[0].split(lengths)
    alone = [model(piece[None])[0] for piece in row.split(lengths)]
    same = [torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(packed, alone)]
    assert same == [True, *[mask and reset] * 3]


@pytest.mark.parametrize("form", ["rows", "rows with documents"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_replicas_move_as_single_runs_do(form, optimizer):
    """Batches of one row and of several; each replica has its own rate and order."""
    made = catalog.tokens(40, 10)
    if form != "rows":
        documents = (made.data.x_train == 0).cumsum(1)
        both = np.stack([made.data.x_train, documents], 1)
        made = made.but(data=type(made.data)("documents", both, made.data.y_train, both[:5], made.data.y_train[:5]))
    recipe = Recipe(1, optimizer=optimizer, weight_decay=0.01)
    replicas = StackedReplicas(made, recipe, [0, 3], "cpu")
    orders, rates = np.stack([epoch_order(40, seed, 0) for seed in (0, 3)]), np.array([[0.02], [0.005]])
    for first, end, batch_size in ((0, 10, 1), (10, 40, 6)):
        steps = (end - first) // batch_size
        replicas.advance(orders[:, first:end], np.arange(2), batch_size, np.repeat(rates, steps, 1))
    x, y = replicas.samples_of["train"]
    for r, seed in enumerate((0, 3)):
        model = initialized(made.model, seed)
        update = recipe.make_optimizer(model.parameters())
        update.param_groups[0]["lr"] = rates[r, 0]
        order = torch.from_numpy(orders[r])
        for rows in [*order[:10].split(1), *order[10:].split(6)]:
            update.zero_grad()
            F.cross_entropy(model(x[rows]).flatten(0, 1), y[rows].flatten()).backward()
            update.step()
        row = torch.cat([p.detach().flatten() for p in model.parameters()])
        np.testing.assert_allclose(replicas.weights[r], row, rtol=0, atol=1e-11)
        with torch.no_grad():
            expected = F.cross_entropy(model(x).flatten(0, 1), y.flatten()).item()
        assert replicas.mean_loss("train")[0][r] == pytest.approx(expected, abs=1e-12)


def test_gradient_moments_are_those_of_single_rows():
    made = catalog.tokens(12, 5)
    model = initialized(made.model, 0)
    x, y = (torch.from_numpy(a) for a in made.data.split("train"))
    gradients = []
    for row, target in zip(x, y):
        parts = torch.autograd.grad(F.cross_entropy(model(row[None])[0], target), list(model.parameters()))
        gradients.append(torch.cat([part.flatten() for part in parts]))
    each = torch.stack(gradients)
    found = gradient_moments(made, model, chunk=5)
    assert found.squared_norm == pytest.approx(each.mean(0).square().sum().item(), rel=1e-10)
    assert found.trace == pytest.approx((each - each.mean(0)).square().sum(1).mean().item(), rel=1e-10)


# A text of one's own -----------------------------------------------------------------------------

TEXT = "the cat sat on the mat and the dog sat on the log. " * 40


def test_a_text_goes_through_the_same_calls():
    made = from_text(TEXT, 16)
    assert len(made) + len(made.data.x_validation) + len(made.data.x_test) == (len(TEXT) - 1) // 16
    letters = np.array(sorted(set(TEXT)))
    assert "".join(letters[made.data.x_train.ravel()]) == TEXT[: made.data.x_train.size]
    assert "".join(letters[made.data.y_train.ravel()]) == TEXT[1 : made.data.y_train.size + 1]
    history, _ = train(made, batch_size=8, tokens=3_000, learning_rate=0.01, optimizer="adam", device="cpu")
    assert history["test_loss"].iloc[-1] < history["test_loss"].iloc[0] - 0.5
    table = sweep(made, batch_size=8, tokens=500, learning_rate=0.01, optimizer="adam", seed=range(3), device="cpu")
    assert table["replicas"].eq(3).all() and table["tokens"].max() == 512


def test_an_array_of_tokens_is_a_language_model():
    made = from_tokens(language().stream(5_000, 0), 24, vocabulary=70, name="mine")
    assert made.tokens_per_sample == 24 and made.model.scores.out_features == 70
    assert windows(np.arange(10), 3)[1].tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: from_text("", 8), "your text has 0 tokens, but rows of 8 need 25"),
        (lambda: from_text(TEXT[:24], 8), "your text has 24 tokens"),
        (lambda: from_text(TEXT.encode(), 8), "text is a bytes"),
        (lambda: from_tokens([0, 1] * 40, 0), "length is 0"),
        (lambda: from_tokens([0, 1, 2] * 40, 8, vocabulary=2), "the token 2, but with a vocabulary of 2"),
        (lambda: from_tokens([0, 1, -2] * 40, 8), "the token -2"),
        (lambda: from_tokens([0.5] * 90, 8), "float64, but it must be one row of whole numbers"),
        (lambda: from_tokens(np.zeros((9, 9), int), 8), r"shape \(9, 9\)"),
        (lambda: from_tokens([0, 1] * 90, 8, held=0.5), "held is 0.5"),
        (
            lambda: from_tokens([0, 1] * 90, 8, model=Transformer(2, 4)),
            "model does not take the samples of your tokens",
        ),
    ],
)
def test_bad_input_gets_one_sentence(make, words):
    with pytest.raises((TypeError, ValueError), match=words):
        make()
