"""Counting in tokens: budgets, documents laid into rows, rows made into batches. Pure Python, exact integers."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb
from typing import NamedTuple

from lib.checks import whole_number
from lib.loading import ceil_div, check_fields

PACKINGS = ("none", "wrapped", "best fit", "best fit, split")


@dataclass(frozen=True)
class TokenPlan:
    """What a language model's run counts, if every sequence is full.

    Parameters
    ----------
    sequence_length : int
        Tokens of one sequence, T.
    batch_size : int
        Sequences of one batch on one device, B.
    accumulation_steps, world_size : int
        Micro-batches of an iteration, A, and devices, W.

    Examples
    --------
    >>> plan = TokenPlan(1_024, 12, accumulation_steps=40)
    >>> plan.tokens_per_iteration, plan.iterations_for(300_000_000_000)
    (491520, 610352)
    """

    sequence_length: int
    batch_size: int
    accumulation_steps: int = 1
    world_size: int = 1

    def __post_init__(self):
        check_fields(self, at_least=dict.fromkeys(self.__dataclass_fields__, 1))

    @property
    def sequences_per_iteration(self) -> int:
        """The global batch size in sequences, B · A · W."""
        return self.batch_size * self.accumulation_steps * self.world_size

    @property
    def tokens_per_iteration(self) -> int:
        """The global batch size in tokens, T · B · A · W."""
        return self.sequence_length * self.sequences_per_iteration

    def iterations_for(self, tokens: int) -> int:
        """Iterations until at least so many tokens have been read."""
        return ceil_div(whole_number("tokens", tokens, at_least=1), self.tokens_per_iteration)

    def tokens_after(self, iterations: int) -> int:
        """Tokens that so many iterations read."""
        return whole_number("iterations", iterations, at_least=0) * self.tokens_per_iteration

    def epochs_after(self, iterations: int, dataset_tokens: int) -> Fraction:
        """How often so many iterations read a data set of ``dataset_tokens`` tokens, on average."""
        return Fraction(self.tokens_after(iterations), whole_number("dataset_tokens", dataset_tokens, at_least=1))

    def epochs_for(self, tokens: int, dataset_tokens: int) -> Fraction:
        """How often a budget of ``tokens`` reads a data set, on average; the last iteration is a whole one."""
        return self.epochs_after(self.iterations_for(tokens), dataset_tokens)


class Piece(NamedTuple):
    """The tokens ``start`` to ``stop`` (left out) of one document, beside each other in a row."""

    document: int
    start: int
    stop: int

    @property
    def tokens(self) -> int:
        return self.stop - self.start


def laid(lengths: Iterable[int], sequence_length: int, packing: str = "none") -> list[list[Piece]]:
    """Documents laid into rows: which tokens of which document each row holds, from left to right.

    Parameters
    ----------
    lengths : iterable of int
        Tokens of each document, in the order in which they come.
    sequence_length : int
        Tokens that a row can hold, T.
    packing : {"none", "wrapped", "best fit", "best fit, split"}
        "none": each document is a row, what is too long is cut off. "wrapped": all
        documents are joined and cut every ``sequence_length`` tokens. "best fit": the
        longest document first, each into the fullest row that still has room (of equally
        full ones the first; TRL takes the one that has waited longest); what is too long is
        cut off. "best fit, split": the same, but a document that is too long is split into
        several first.

    Raises
    ------
    ValueError
        A length or ``sequence_length`` is no whole number of at least 1, or the packing is unknown.

    Examples
    --------
    >>> laid([3, 4], 5, "wrapped")[1]
    [Piece(document=1, start=2, stop=4)]
    """
    sequence_length = whole_number("sequence_length", sequence_length, at_least=1)
    lengths = _checked(lengths)
    if packing not in PACKINGS:
        raise ValueError(f"packing is {packing!r}, but it must be one of {', '.join(map(repr, PACKINGS))}.")
    if packing == "wrapped":
        return _wrapped(lengths, sequence_length)
    if packing == "best fit, split":
        return _best_fit(
            [piece for n, length in enumerate(lengths) for piece in _split(n, length, sequence_length)], sequence_length
        )
    pieces = [Piece(n, 0, min(length, sequence_length)) for n, length in enumerate(lengths)]
    return [[piece] for piece in pieces] if packing == "none" else _best_fit(pieces, sequence_length)


def packed(lengths: Iterable[int], sequence_length: int, packing: str = "none") -> list[list[int]]:
    """The rows of :func:`laid`, each as the tokens of its pieces. ``sum(map(sum, rows))`` tokens are left.

    Examples
    --------
    >>> len(packed([10] * 20, 32, "wrapped")), len(packed([10] * 20, 32, "best fit")), len(packed([10] * 20, 32))
    (7, 7, 20)
    """
    return [[piece.tokens for piece in row] for row in laid(lengths, sequence_length, packing)]


def num_targets(rows: Iterable[Sequence[int]], document_mask: bool) -> int:
    """Tokens that count for the loss: all that have a token before them to be predicted from.

    Parameters
    ----------
    rows : iterable of sequences of int
        Tokens of the pieces of each row, as :func:`packed` gives them.
    document_mask : bool
        Each piece is read alone, so its first token has nothing before it. Without, only
        the first token of a row has nothing before it.
    """
    return sum(sum(row) - (len(row) if document_mask else 1) for row in rows if sum(row))


@dataclass(frozen=True)
class Filling:
    """What batches hold, and what a device computes for them.

    Parameters
    ----------
    tokens : int
        Real tokens.
    places : int
        Tokens and padding: rows times width, summed over the batches.
    """

    tokens: int
    places: int

    @property
    def padding(self) -> int:
        """Places without a token."""
        return self.places - self.tokens

    @property
    def waste(self) -> Fraction:
        """The share of the places that holds no token."""
        return Fraction(self.padding, self.places)


def filling(batches: Iterable[Sequence[int]], width: int | None = None) -> Filling:
    """Count batches of rows that are padded to one width.

    Parameters
    ----------
    batches : iterable of sequences of int
        For each batch the tokens of its rows.
    width : int or None
        Places of every row; None pads the rows of a batch to the longest of them.

    Examples
    --------
    >>> filling([[10, 30], [20, 20]]).waste, filling([[10, 30], [20, 20]], width=40).waste
    (Fraction(1, 5), Fraction(1, 2))
    """
    batches = [_checked(batch) for batch in batches]
    if not batches or not all(batches):
        raise ValueError("There is no row to count; give at least one batch, and at least one row in each.")
    widest = max(map(max, batches))
    if width is not None and whole_number("width", width, at_least=1) < widest:
        raise ValueError(f"width is {width}, but a row has {widest} tokens; cut the rows first, or pad to more.")
    places = sum(len(batch) * (width or max(batch)) for batch in batches)
    return Filling(sum(map(sum, batches)), places)


def sorted_pools(lengths: Sequence[int], pool_size: int, order: Iterable[int] | None = None) -> list[int]:
    """An order of documents, cut into pools of ``pool_size`` and sorted by length in each of them.

    Documents of about the same length then stand beside each other, and come into the same
    batch. A pool of 1 changes nothing; one pool for all is a sorted order, with nothing
    random left but the order of the batches.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each document.
    pool_size : int
        Documents of a pool.
    order : iterable of int, optional
        Which document comes when, for instance shuffled; as they stand if left out.
    """
    lengths, pool_size = _checked(lengths), whole_number("pool_size", pool_size, at_least=1)
    order = list(range(len(lengths)) if order is None else order)
    pools = (order[first : first + pool_size] for first in range(0, len(order), pool_size))
    return [document for pool in pools for document in sorted(pool, key=lambda document: lengths[document])]


def token_batches(lengths: Sequence[int], max_tokens: int, order: Iterable[int] | None = None) -> list[list[int]]:
    """Batches limited by their places: rows times the longest row is at most ``max_tokens``.

    Documents are taken in their order; one that would make the batch too large begins the
    next. This is fairseq's ``--max-tokens`` (its rounding to multiples of 8 left out).

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each document.
    max_tokens : int
        Most places of a batch, padding included.
    order : iterable of int, optional
        As in :func:`sorted_pools`, of which the result fits here.

    Returns
    -------
    list of list of int
        The documents of each batch.

    Raises
    ------
    ValueError
        A document alone is longer than ``max_tokens``.

    Examples
    --------
    >>> token_batches([10, 30, 10, 10, 10], max_tokens=60)
    [[0, 1], [2, 3, 4]]
    """
    lengths, max_tokens = _checked(lengths), whole_number("max_tokens", max_tokens, at_least=1)
    batches: list[list[int]] = []
    widest = 0
    for document in range(len(lengths)) if order is None else order:
        length = lengths[document]
        if length > max_tokens:
            raise ValueError(
                f"Document {document} has {length} tokens, but max_tokens is {max_tokens}; cut it, or take more."
            )
        widest = max(widest, length)
        if not batches or (len(batches[-1]) + 1) * widest > max_tokens:
            batches.append([])
            widest = length
        batches[-1].append(document)
    return batches


def expected_longest(lengths: Sequence[int], batch_size: int) -> Fraction:
    """The mean length of the longest of ``batch_size`` documents, over all batches that can be drawn; exact.

    Of the n documents in sorted order the k-th (from 1) is the longest of
    C(k - 1, batch_size - 1) of the C(n, batch_size) batches.

    Examples
    --------
    >>> expected_longest([1, 2, 3], 2)
    Fraction(8, 3)
    """
    lengths = sorted(_checked(lengths))
    batch_size = whole_number("batch_size", batch_size, at_least=1)
    if batch_size > len(lengths):
        raise ValueError(f"batch_size is {batch_size}, but there are {len(lengths)} documents; take a smaller one.")
    longest_of = (comb(k, batch_size - 1) for k in range(len(lengths)))
    return Fraction(sum(map(int.__mul__, lengths, longest_of)), comb(len(lengths), batch_size))


def expected_waste(lengths: Sequence[int], batch_size: int) -> Fraction:
    """The share of padding in random batches, each padded to its longest document, in the long run; exact."""
    mean = Fraction(sum(lengths), len(lengths))
    return 1 - mean / expected_longest(lengths, batch_size)


def _checked(lengths: Iterable[int]) -> list[int]:
    return [whole_number("a length", length, at_least=1) for length in lengths]


def _split(document: int, length: int, most: int) -> list[Piece]:
    return [Piece(document, start, min(start + most, length)) for start in range(0, length, most)]


def _wrapped(lengths: list[int], most: int) -> list[list[Piece]]:
    rows: list[list[Piece]] = []
    room = 0  # of the last row
    for document, length in enumerate(lengths):
        start = 0
        while start < length:
            if not room:
                rows.append([])
                room = most
            stop = min(length, start + room)
            rows[-1].append(Piece(document, start, stop))
            room -= stop - start
            start = stop
    return rows


def _best_fit(pieces: list[Piece], most: int) -> list[list[Piece]]:
    rows: list[list[Piece]] = []
    room: list[tuple[int, int]] = []  # (tokens that still fit, row), sorted
    for piece in sorted(pieces, key=lambda piece: -piece.tokens):
        place = bisect_left(room, (piece.tokens, -1))
        if place == len(room):
            rows.append([])
            left, row = most, len(rows) - 1
        else:
            left, row = room.pop(place)
        rows[row].append(piece)
        insort(room, (left - piece.tokens, row))
    return rows
