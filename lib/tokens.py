"""Counting in tokens: budgets, sequences, and texts packed into rows. Pure Python, exact integers."""

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

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

    def sequences_in(self, dataset_tokens: int) -> int:
        """Full sequences that a data set can be cut into if each needs the token behind it as its last target."""
        return (whole_number("dataset_tokens", dataset_tokens, at_least=1) - 1) // self.sequence_length


def packed(lengths: Iterable[int], sequence_length: int, packing: str = "none") -> list[list[int]]:
    """The rows that texts of these lengths become: what a batch then counts as its samples.

    Parameters
    ----------
    lengths : iterable of int
        Tokens of each text.
    sequence_length : int
        Tokens that a row can hold.
    packing : {"none", "wrapped", "best fit", "best fit, split"}
        "none": each text is a row, what is too long is cut off. "wrapped": all texts are
        joined and cut every ``sequence_length`` tokens. "best fit": the longest text first,
        each into the fullest row that still has room; what is too long is cut off. "best
        fit, split": the same, but a text that is too long is split into several first.

    Returns
    -------
    list of list of int
        For each row the tokens of its pieces. ``sum(map(sum, rows))`` tokens are left.

    Examples
    --------
    >>> len(packed([10] * 20, 32, "wrapped")), len(packed([10] * 20, 32, "best fit")), len(packed([10] * 20, 32))
    (7, 7, 20)
    """
    sequence_length = whole_number("sequence_length", sequence_length, at_least=1)
    lengths = [whole_number("a length", length, at_least=1) for length in lengths]
    if packing not in PACKINGS:
        raise ValueError(f"packing is {packing!r}, but it must be one of {', '.join(map(repr, PACKINGS))}.")
    if packing == "wrapped":
        return _wrapped(lengths, sequence_length)
    if packing == "best fit, split":
        lengths = [piece for length in lengths for piece in _pieces(length, sequence_length)]
    lengths = [min(length, sequence_length) for length in lengths]
    return [[length] for length in lengths] if packing == "none" else _best_fit(lengths, sequence_length)


def _pieces(length: int, most: int) -> list[int]:
    return [most] * (length // most) + ([length % most] if length % most else [])


def _wrapped(lengths: list[int], most: int) -> list[list[int]]:
    rows: list[list[int]] = []
    for length in lengths:
        while length:
            if not rows or sum(rows[-1]) == most:
                rows.append([])
            piece = min(length, most - sum(rows[-1]))
            rows[-1].append(piece)
            length -= piece
    return rows


def _best_fit(lengths: list[int], most: int) -> list[list[int]]:
    rows: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (tokens that still fit, row), sorted
    for length in sorted(lengths, reverse=True):
        place = bisect_left(room, (length, -1))
        if place == len(room):
            rows.append([])
            left, row = most, len(rows) - 1
        else:
            left, row = room.pop(place)
        rows[row].append(length)
        insort(room, (left - length, row))
    return rows
