"""Tokens: budgets worked out by hand, packing against its rules."""

import doctest
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lib.tokens
from lib.plan import TrainingPlan
from lib.tokens import PACKINGS, TokenPlan, packed

lengths = st.lists(st.integers(1, 60), min_size=1, max_size=40)


def test_budgets():
    """nanoGPT's defaults: 491,520 tokens an iteration; 300 billion tokens are 610,352 iterations, not 600,000."""
    plan = TokenPlan(1_024, 12, accumulation_steps=5, world_size=8)
    assert plan.tokens_per_iteration == 491_520 and plan.iterations_for(300 * 10**9) == 610_352
    assert plan.tokens_after(600_000) == 294_912_000_000 and plan.tokens_after(0) == 0
    assert plan.iterations_for(1) == 1 and plan.iterations_for(491_521) == 2
    assert plan.epochs_after(100, 491_520 * 40) == Fraction(5, 2)
    assert [plan.sequences_in(tokens) for tokens in (1_024, 1_025, 2_048, 2_049)] == [0, 1, 1, 2]


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
    ],
)
def test_bad_input_gets_one_sentence(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_doctests():
    result = doctest.testmod(lib.tokens)
    assert result.attempted >= 3 and result.failed == 0
