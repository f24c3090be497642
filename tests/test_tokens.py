"""Tokens: budgets worked out by hand, packing against its rules and against rows that were really prepared."""

import doctest
import itertools
import random
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import pad_sequence

import lib.tokens
from lib.plan import TrainingPlan
from lib.tokens import (
    PACKINGS,
    TokenPlan,
    expected_longest,
    expected_waste,
    filling,
    laid,
    num_targets,
    packed,
    sorted_pools,
    token_batches,
)

lengths = st.lists(st.integers(1, 60), min_size=1, max_size=40)


def documents(lengths):
    """Real documents: every token is another number, so each can be found again. 0 is padding."""
    numbers = itertools.count(1)
    return [[next(numbers) for _ in range(length)] for length in lengths]


def test_budgets():
    """nanoGPT's defaults: 491,520 tokens an iteration; 300 billion tokens are 610,352 iterations, not 600,000."""
    plan = TokenPlan(1_024, 12, accumulation_steps=5, world_size=8)
    assert plan.tokens_per_iteration == 491_520 and plan.iterations_for(300 * 10**9) == 610_352
    assert plan.tokens_after(600_000) == 294_912_000_000 and plan.tokens_after(0) == 0
    assert plan.iterations_for(1) == 1 and plan.iterations_for(491_521) == 2
    assert plan.epochs_after(100, 491_520 * 40) == Fraction(5, 2)
    assert plan.epochs_for(10**9, 491_520 * 10_000) < 1 < plan.epochs_for(10**9, 10**8)
    assert plan.epochs_for(491_521, 491_520) == 2  # the last iteration is a whole one


@given(lengths, st.integers(1, 50), st.sampled_from(PACKINGS))
def test_packing(lengths, sequence_length, packing):
    rows = packed(lengths, sequence_length, packing)
    assert all(0 < sum(row) <= sequence_length for row in rows)
    kept = sum(lengths) if packing in ("wrapped", "best fit, split") else sum(min(n, sequence_length) for n in lengths)
    assert sum(map(sum, rows)) == kept
    if packing == "wrapped":
        assert len(rows) == -(-kept // sequence_length) and {sum(row) for row in rows[:-1]} <= {sequence_length}
    if packing == "none":
        assert len(rows) == len(lengths)
    if packing.startswith("best fit"):  # a row opened later holds nothing that an earlier one had room for
        assert all(
            sum(row) + later[0] > sequence_length or later[0] > row[0]
            for i, row in enumerate(rows)
            for later in rows[i + 1 :]
        )


@given(lengths, st.integers(1, 50), st.sampled_from(PACKINGS))
def test_rows_hold_the_tokens_of_the_documents(lengths, sequence_length, packing):
    """The rows as they would be prepared: no token twice, none invented, each document's own in order."""
    texts = documents(lengths)
    rows = [
        [texts[document][place] for document, start, stop in row for place in range(start, stop)]
        for row in laid(lengths, sequence_length, packing)
    ]
    held = sorted(itertools.chain(*rows))
    if packing == "wrapped":
        stream = list(itertools.chain(*texts))
        assert rows == [stream[first : first + sequence_length] for first in range(0, len(stream), sequence_length)]
    cut = [text if "split" in packing or packing == "wrapped" else text[:sequence_length] for text in texts]
    assert held == list(itertools.chain(*cut))
    assert list(map(len, rows)) == [sum(row) for row in packed(lengths, sequence_length, packing)]


@given(lengths, st.integers(1, 50), st.sampled_from(PACKINGS), st.booleans())
def test_tokens_that_count_are_those_with_something_before_them(lengths, sequence_length, packing, document_mask):
    """An oracle that walks over all pairs of neighbours in a row."""
    counted = 0
    for row in laid(lengths, sequence_length, packing):
        owners = [number for number, piece in enumerate(row) for _ in range(piece.tokens)]
        counted += sum(not document_mask or one == other for one, other in itertools.pairwise(owners))
    assert num_targets(packed(lengths, sequence_length, packing), document_mask) == counted


@given(lengths, st.integers(1, 9), st.integers(1, 70))
def test_filling_counts_what_padded_tensors_hold(lengths, batch_size, max_tokens):
    texts = [torch.tensor(text) for text in documents(lengths)]
    groups = [range(len(texts))[first : first + batch_size] for first in range(0, len(texts), batch_size)]
    tensors = [pad_sequence([texts[one] for one in group], batch_first=True) for group in groups]
    found = filling([[lengths[one] for one in group] for group in groups])
    assert found.places == sum(map(torch.numel, tensors)) and found.padding == sum((t == 0).sum() for t in tensors)
    assert found.waste == Fraction(found.padding, found.places) and found.tokens == sum(lengths)
    assert filling([lengths], width=60).places == 60 * len(lengths)


@given(lengths, st.integers(60, 400), st.integers(1, 50), st.randoms())
def test_token_batches(lengths, max_tokens, pool_size, shuffler):
    """fairseq's loop (batch_by_size, required multiple 1), written out; and nothing is lost in pools."""
    order = list(range(len(lengths)))
    shuffler.shuffle(order)
    order = sorted_pools(lengths, pool_size, order)
    expected, batch, longest = [], [], 0
    for index in order:
        longest = max(longest, lengths[index])
        if batch and (len(batch) + 1) * longest > max_tokens:
            expected.append(batch)
            batch, longest = [], lengths[index]
        batch.append(index)
    found = token_batches(lengths, max_tokens, order)
    assert found == [*expected, batch]
    assert sorted(itertools.chain(*found)) == list(range(len(lengths)))
    assert all(len(batch) * max(lengths[one] for one in batch) <= max_tokens for batch in found)


def test_pools():
    lengths = [5, 3, 9, 1, 7, 2]
    assert sorted_pools(lengths, 1) == list(range(6))
    assert sorted_pools(lengths, 3) == [1, 0, 2, 3, 5, 4]
    assert sorted_pools(lengths, 6, [5, 4, 3, 2, 1, 0]) == [3, 5, 1, 0, 4, 2]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=9), st.integers(1, 9))
def test_expected_longest_is_the_mean_over_all_batches(lengths, batch_size):
    batch_size = min(batch_size, len(lengths))
    longest = [max(batch) for batch in itertools.combinations(lengths, batch_size)]
    assert expected_longest(lengths, batch_size) == Fraction(sum(longest), len(longest))
    everything = filling(itertools.combinations(lengths, batch_size))
    assert expected_waste(lengths, batch_size) == everything.waste


def test_the_public_case_of_a_bar_of_489():
    """8,861 texts, batches of 4, four accumulated, 3 epochs: the bar said 489, and no text was lost."""
    bar = lambda samples: TrainingPlan(samples, 4, epochs=3, accumulation_steps=4).total_iterations  # noqa: E731
    assert bar(8_861) == 1_662
    assert [rows for rows in range(1, 8_862) if bar(rows) == 489] == list(range(2_593, 2_609))
    draw = random.Random(0)
    texts = [draw.randint(6, 31) for _ in range(8_861)]
    rows = packed(texts, 64, "best fit")
    assert bar(len(rows)) == 489 and sum(map(sum, rows)) == sum(texts)


def test_known_packings():
    """TRL 1.16 (executed): 20 texts of 10 tokens in rows of 32; texts that are too long are cut or split."""
    assert sorted(map(sum, packed([10] * 20, 32, "best fit"))) == [20, 30, 30, 30, 30, 30, 30]
    assert [sum(row) for row in packed([10] * 20, 32, "wrapped")] == [32] * 6 + [8]
    texts = [50] * 5 + [10] * 10
    assert [sum(map(sum, packed(texts, 32, how))) for how in PACKINGS] == [260, 350, 260, 350]
    assert TrainingPlan(len(packed([10] * 20, 32, "best fit")), 4, epochs=3).total_iterations == 6


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: TokenPlan(0, 1), "sequence_length is 0"),
        (lambda: TokenPlan(8, 1).iterations_for(1e9), "tokens is 1000000000.0"),
        (lambda: packed([3, 0], 8), "a length is 0"),
        (lambda: packed([3], 8, "tight"), "packing is 'tight'"),
        (lambda: packed([3], 0), "sequence_length is 0"),
        (lambda: laid([3, 2.5], 8), "a length is 2.5"),
        (lambda: filling([]), "no row to count"),
        (lambda: filling([[3], []]), "no row to count"),
        (lambda: filling([[3, 9]], width=8), "width is 8, but a row has 9"),
        (lambda: sorted_pools([3], 0), "pool_size is 0"),
        (lambda: token_batches([3, 9], 8), "Document 1 has 9 tokens, but max_tokens is 8"),
        (lambda: expected_longest([3], 2), "batch_size is 2, but there are 1"),
    ],
)
def test_bad_input_gets_one_sentence(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_doctests():
    result = doctest.testmod(lib.tokens)
    assert result.attempted >= 7 and result.failed == 0
