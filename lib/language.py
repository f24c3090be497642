"""A synthetic language in which a loss has a meaning: documents of one hidden topic each, and what they can teach.

A topic is a Markov chain: behind each word four others are likely, and now and then any word comes, the common
ones more often (Zipf's law). No token names the topic; who reads on finds it out. So there is a ladder of
losses: of the best guess from nothing (``unigram``), from the word before (``bigram``), and from all words before
(``bayes_losses``), which no model can pass. All that is drawn is a whole number that looks up a table of whole
numbers, so a document is the same on every machine, to the last bit.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from lib.checks import whole_number
from lib.sampling import generator

END = 0  # the token that ends a document
DRAWS = 2**12  # each word is one of so many equally likely entries of a table
LENGTHS, TOPICS, WORDS = 20, 21, 22  # streams of a seed, beside those of lib.sampling

# Words of a document: 64 equally likely lengths, quantiles of a log-normal law with median 40 and sigma 0.8.
DOCUMENT_LENGTHS = (
    *(6, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 29, 30, 32, 33, 34, 35),
    *(36, 37, 38, 39, 41, 42, 43, 45, 46, 48, 49, 51, 52, 54, 56, 58, 60, 62, 65, 67, 70, 73, 76, 79, 83, 87, 92, 97),
    *(104, 111, 119, 130, 144, 164, 196, 277),
)


@dataclass(frozen=True, eq=False)
class Language:
    """Documents of a language, as many as are asked for, and the losses to compare a model's with.

    Attributes
    ----------
    followers : numpy.ndarray of int, shape (topics, vocabulary, DRAWS)
        What may come behind a word; ``followers[k, END]`` begins a document. ``END`` is never in it.
    lengths : numpy.ndarray of int
        Equally likely numbers of words of a document, without the ``END`` behind them.
    """

    followers: np.ndarray
    lengths: np.ndarray

    @property
    def vocabulary(self) -> int:
        """Different tokens, ``END`` among them."""
        return self.followers.shape[1]

    def documents(self, number: int, seed: int) -> list[np.ndarray]:
        """The first ``number`` documents of a seed, each with its ``END``."""
        lengths = self._lengths(whole_number("number", number, at_least=1), seed)
        return np.split(self._tokens(lengths, seed), np.cumsum(lengths + 1)[:-1])

    def stream(self, tokens: int, seed: int) -> np.ndarray:
        """The first ``tokens`` tokens of the same documents, joined: int64, cut where they end."""
        whole_number("tokens", tokens, at_least=1)
        lengths = self._lengths(tokens // (int(self.lengths.min()) + 1) + 1, seed)
        number = int(np.searchsorted(np.cumsum(lengths + 1), tokens)) + 1
        return self._tokens(lengths[:number], seed)[:tokens]

    def _lengths(self, number: int, seed: int) -> np.ndarray:
        return self.lengths[_raw(number, seed, LENGTHS) % np.uint64(len(self.lengths))]

    def _tokens(self, lengths: np.ndarray, seed: int) -> np.ndarray:
        """All documents at once, word by word, the longest ones first: those that go on stay in front."""
        longest = np.argsort(-lengths, kind="stable")
        topics = (_raw(len(lengths), seed, TOPICS) % np.uint64(len(self.followers)))[longest]
        ends = np.cumsum(lengths + 1)
        draws = _raw(int(ends[-1]), seed, WORDS) % np.uint64(DRAWS)
        starts, words = (ends - lengths - 1)[longest], np.full(len(lengths), END)
        tokens = np.full(ends[-1], END)
        for place, going_on in enumerate(len(lengths) - np.searchsorted(np.sort(lengths), range(1, max(lengths) + 1))):
            at = starts[:going_on] + place
            words = self.followers[topics[:going_on], words[:going_on], draws[at]]
            tokens[at] = words
        return tokens

    # What can be known about the next token -------------------------------------------------------

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Of each word behind each other in each topic: shape (topics, vocabulary, vocabulary)."""
        counts = [[np.bincount(row, minlength=self.vocabulary) for row in topic] for topic in self.followers]
        return np.array(counts) / DRAWS

    @cached_property
    def ends(self) -> np.ndarray:
        """Probability that a document ends after 0, 1, 2, ... words, if it has so many."""
        of_length = np.bincount(self.lengths)
        return of_length / of_length[::-1].cumsum()[::-1]

    @cached_property
    def places(self) -> np.ndarray:
        """Probability that a token, anywhere in an endless stream, is of a topic, a place and a word.

        Shape (topics, places, vocabulary); place 0 is the ``END`` before a document, place j its word number j.
        """
        words = np.zeros((len(self.followers), len(self.ends), self.vocabulary))
        words[:, 0, END] = 1
        for place in range(1, len(self.ends)):
            words[:, place] = np.einsum("kv,kvw->kw", words[:, place - 1], self.probabilities)
        reached = np.append(1.0, np.cumprod(1 - self.ends[:-1]))
        words *= reached[:, None]
        return words / words.sum()

    @cached_property
    def pairs(self) -> np.ndarray:
        """Probability of each pair of neighbours in an endless stream, shape (vocabulary, vocabulary)."""
        going_on = np.einsum("kjv,j,kvw->vw", self.places, 1 - self.ends, self.probabilities)
        going_on[:, END] += np.einsum("kjv,j->v", self.places, self.ends)
        return going_on

    @property
    def unigram(self) -> float:
        """Entropy of a token of an endless stream, in nats: the loss of who knows how often each comes. Exact."""
        return _entropy(self.pairs.sum(axis=0))

    @property
    def bigram(self) -> float:
        """Entropy of a token if the one before it is known, in nats: the loss of the best table of pairs. Exact."""
        return _entropy(self.pairs) - _entropy(self.pairs.sum(axis=1))

    def bayes_losses(self, rows: np.ndarray) -> np.ndarray:
        """What the best possible reader loses on each token of some rows, in nats; no model can lose less on average.

        The reader knows the language, sees the row from its first token on, and follows the probability
        of every topic and place (Bayes' rule). It is exact for each token if the row begins with
        ``END``, or anywhere in an endless stream. A mean over rows is an estimate from these rows.

        Parameters
        ----------
        rows : numpy.ndarray of int, shape (rows, T + 1)

        Returns
        -------
        numpy.ndarray of float, shape (rows, T)
            The loss on ``rows[:, 1:]``.
        """
        fresh = np.zeros(self.places.shape[:2])
        fresh[:, 0] = 1 / len(fresh)
        belief = np.moveaxis(self.places[:, :, rows[:, 0]], 2, 0)  # (rows, topics, places)
        losses = np.empty((len(rows), rows.shape[1] - 1))
        for t, (before, token) in enumerate(zip(rows[:, :-1].T, rows[:, 1:].T)):
            belief = belief / belief.sum((1, 2), keepdims=True)
            ends = (belief @ self.ends).sum(1)
            belief = belief * (1 - self.ends) * self.probabilities[:, before, token].T[:, :, None]
            belief = np.concatenate([np.zeros_like(belief[:, :, :1]), belief[:, :, :-1]], axis=2)
            losses[:, t] = -np.log(np.where(token == END, ends, belief.sum((1, 2))))
            belief[token == END] = fresh
        return losses


@cache
def language(topics: int = 4, words: int = 63, likely: int = 4, lengths: tuple = DOCUMENT_LENGTHS, seed: int = 1):
    """The course's language, or another one: with more topics, more words, or documents of other lengths.

    Parameters
    ----------
    topics, words : int
        Hidden topics; words beside ``END``.
    likely : int
        Words that are likely behind each word.
    lengths : sequence of int
        Equally likely numbers of words of a document.
    seed : int
        Of the language itself: which words are likely behind which.

    Returns
    -------
    Language
    """
    topics, likely = whole_number("topics", topics, at_least=1), whole_number("likely", likely, at_least=1)
    words = whole_number("words", words, at_least=likely)
    checked = [whole_number("a length", length, at_least=1) for length in lengths]
    zipf = [0, *(10**6 // (rank + 1) for rank in range(1, words + 1))]
    any_word = DRAWS * 3 // 20  # draws of each row that are any word, the common ones more often
    common, by_rank = _shared_out(any_word, zipf), np.repeat(np.arange(words + 1), _shared_out(DRAWS, zipf))
    draws = iter(_raw(topics * (words + 1) * likely * 1_000, seed, TOPICS).tolist())
    followers = np.empty((topics, words + 1, DRAWS), np.int16)
    for topic in followers:
        for word in range(words + 1):
            chosen: dict[int, int] = {}
            while len(chosen) < likely:
                drawn = int(by_rank[next(draws) % DRAWS])
                chosen.setdefault(drawn, (8 + next(draws) % 16) * 3 ** len(chosen) * 5 ** (likely - len(chosen)))
            counts = common.copy()
            counts[list(chosen)] += _shared_out(DRAWS - any_word, list(chosen.values()))
            topic[word] = np.repeat(np.arange(words + 1), counts)
    return Language(followers, np.array(checked))


def _raw(number: int, seed: int, stream: int) -> np.ndarray:
    """The upper halves of PCG64's 64-bit numbers; the first ones are the same, however many there are."""
    return generator(seed, stream).bit_generator.random_raw(number) >> np.uint64(32)


def _shared_out(total: int, weights: list[int]) -> np.ndarray:
    """Whole numbers in proportion to weights, with sum ``total``, in integer arithmetic."""
    sums = [0]
    for weight in weights:
        sums.append(sums[-1] + weight)
    return np.diff([total * part // sums[-1] for part in sums])


def _entropy(probabilities: np.ndarray) -> float:
    positive = probabilities[probabilities > 0]
    return float(-(positive * np.log(positive)).sum())
