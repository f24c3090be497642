"""The synthetic language against enumeration: its documents, entropies and the best reader."""

import hashlib
import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest

from lib.language import DOCUMENT_LENGTHS, DRAWS, END, Language, language

CHECKSUM = "379b639485dd67bd"  # of the first four million tokens of seed 0


def tiny() -> Language:
    """Two topics, two words, documents of 1 to 3 words."""
    shares = [[[0, 1, 3], [0, 3, 1], [0, 2, 2]], [[0, 3, 1], [0, 1, 3], [0, 4, 0]]]
    followers = np.array([[np.repeat(range(3), [n * DRAWS // 4 for n in row]) for row in topic] for topic in shares])
    return Language(followers, np.array([1, 2, 3, 3]))


def probability_of(made: Language, topic: int, words: tuple) -> float:
    """Of a document's words in a topic, if it has as many."""
    return math.prod(made.probabilities[topic, a, b] for a, b in zip((END, *words), words))


def all_documents(made: Language):
    """(probability, topic, words) of every document that there can be."""
    for length, share in enumerate(np.bincount(made.lengths) / len(made.lengths)):
        for topic, words in itertools.product(range(2), itertools.product((1, 2), repeat=length)):
            if probability := share / 2 * probability_of(made, topic, words):
                yield probability, topic, words


def test_the_same_tokens_everywhere():
    tokens = language().stream(4_000_000, 0)
    assert hashlib.sha256(tokens.astype("<i8").tobytes()).hexdigest().startswith(CHECKSUM)
    assert language().followers.min() > END


def test_lengths_are_quantiles_far_from_the_next_whole_number():
    """So that no rounding of a logarithm decides."""
    exact = [40 * math.exp(0.8 * NormalDist().inv_cdf((k + 0.5) / 64)) for k in range(64)]
    assert [round(length) for length in exact] == list(DOCUMENT_LENGTHS)
    assert min(abs(length % 1 - 0.5) for length in exact) > 1e-3


def test_documents_are_the_stream_and_more_of_them_change_nothing():
    made = language()
    documents = made.documents(50, 3)
    joined = np.concatenate(documents)
    assert (joined == made.stream(len(joined), 3)).all() and (made.stream(77, 3) == joined[:77]).all()
    assert all(d[-1] == END and (d[:-1] != END).all() and len(d) - 1 in DOCUMENT_LENGTHS for d in documents)
    assert all((a == b).all() for a, b in zip(made.documents(9, 3), documents))
    assert (made.stream(1_000, 4) != made.stream(1_000, 3)).any()


def test_documents_follow_the_tables():
    """Every document of the tiny language comes as often as its probability says."""
    made, number = tiny(), 40_000
    expected: dict[tuple, float] = {}
    for probability, _, words in all_documents(made):
        expected[words] = expected.get(words, 0.0) + probability
    assert sum(expected.values()) == pytest.approx(1)
    found = [tuple(document[:-1]) for document in made.documents(number, 0)]
    for words, probability in expected.items():
        assert found.count(words) / number == pytest.approx(probability, abs=4 * math.sqrt(probability / number) + 1e-9)


def test_entropies_by_enumeration():
    """Every token and every pair of an endless stream, counted with the probability of its document."""
    made = tiny()
    pairs, length = np.zeros((3, 3)), 0.0
    for probability, _, words in all_documents(made):
        for a, b in zip((END, *words), (*words, END)):
            pairs[a, b] += probability
        length += probability * (len(words) + 1)
    pairs /= length
    np.testing.assert_allclose(made.pairs, pairs, atol=1e-15)
    single = pairs.sum(0)
    positive = pairs[pairs > 0]
    assert made.unigram == pytest.approx(-(single * np.log(single)).sum(), abs=1e-14)
    assert made.bigram == pytest.approx(made.unigram * -1 - (positive * np.log(positive)).sum(), abs=1e-14)


def streams(made: Language, tokens: int):
    """(probability, tokens) of what a stream can begin with that starts with a document."""
    if tokens <= 0:
        yield 1.0, ()
        return
    for probability, _, words in all_documents(made):
        for more, rest in streams(made, tokens - len(words) - 1):
            yield probability * more, ((*words, END) + rest)[:tokens]


def test_the_best_reader_by_brute_force():
    """All streams of five tokens from a document's start, and from anywhere in an endless stream."""
    made, size = tiny(), 4
    for anywhere in (False, True):
        probability: dict[tuple, float] = {}
        if not anywhere:
            for chance, tokens in streams(made, size):
                row = (END, *tokens)
                probability[row] = probability.get(row, 0.0) + chance
        else:
            for chance, _, words in all_documents(made):
                for start in range(len(words) + 1):  # each token of a document is equally likely to be the first
                    begun = (END, *words)[start:] + (END,)
                    for more, rest in streams(made, size + 1 - len(begun)):
                        row = (begun + rest)[: size + 1]
                        probability[row] = probability.get(row, 0.0) + chance * more
        rows = np.array(list(probability))
        losses = made.bayes_losses(rows)
        for row, found in zip(rows.tolist(), losses):
            begun = [sum(p for other, p in probability.items() if list(other[:t]) == row[:t]) for t in range(size + 2)]
            for t in range(1, size + 1):
                expected = math.log(begun[t] / begun[t + 1])
                assert found[t - 1] == pytest.approx(expected, abs=1e-12), (row, t, anywhere)


def test_the_ladder():
    """Each reader knows more than the one before, and the counts of a long stream agree with the exact levels."""
    made, tokens = language(), language().stream(400_000, 5)
    rows = tokens[: 1_000 * 65].reshape(1_000, 65)
    losses = made.bayes_losses(rows)
    assert losses[:, 32:].mean() + 0.1 < losses[:, :8].mean() < made.bigram < made.unigram < math.log(made.vocabulary)
    conditional = made.pairs / made.pairs.sum(1, keepdims=True)
    counted = -np.log(conditional[tokens[:-1], tokens[1:]]).mean()
    assert counted == pytest.approx(made.bigram, abs=0.02)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: language(topics=0), "topics is 0"),
        (lambda: language(words=2), "words is 2"),
        (lambda: language(lengths=(3, 0)), "a length is 0"),
        (lambda: language().stream(0, 0), "tokens is 0"),
        (lambda: language().documents(2.5, 0), "number is 2.5"),
        (lambda: language().stream(5, -1), "seed is -1"),
    ],
)
def test_bad_input_gets_one_sentence(make, words):
    with pytest.raises(ValueError, match=words):
        make()
