"""Tokens or a text of your own as a workload: rows of T tokens, and the token behind each of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from lib.checks import whole_number
from lib.data import Dataset
from lib.tokens import laid
from lib.transformer import Transformer
from lib.workload import Workload, next_token


def windows(tokens: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """A stream cut into rows of ``length`` tokens, and the same rows a token later; what is left over is left out."""
    rows = (len(tokens) - 1) // length
    return tokens[: rows * length].reshape(rows, length), tokens[1 : rows * length + 1].reshape(rows, length)


def rows_of_documents(documents: Sequence[np.ndarray], length: int, packing: str = "none", start: int = 0):
    """Documents laid into rows: inputs (rows, 2, T), tokens and numbers of documents, and targets (rows, T).

    A document is read from a token ``start`` in front of it on, so that even its first token has something
    before it, and all its tokens count, whatever the packing. Padding is a document of its own, and its
    targets are -1.

    Parameters
    ----------
    documents : sequence of numpy.ndarray of int
        Each with the token that ends it.
    length : int
        Places of a row, T.
    packing : str
        As for ``lib.tokens.laid``.
    """
    laid_out = laid([len(document) for document in documents], length, packing)
    inputs, targets = np.full((len(laid_out), 2, length), start), np.full((len(laid_out), length), -1)
    for row, pieces in enumerate(laid_out):
        at = 0
        for number, (document, begin, end) in enumerate(pieces):
            here = slice(at, at := at + end - begin)
            inputs[row, 0, here] = np.append(start, documents[document])[begin:end]
            inputs[row, 1, here], targets[row, here] = number, documents[document][begin:end]
        inputs[row, 1, at:] = len(pieces)
    return inputs, targets


def from_tokens(
    tokens: Any,
    length: int = 32,
    *,
    vocabulary: int | None = None,
    held: float = 0.1,
    model: nn.Module | None = None,
    name: str = "your tokens",
) -> Workload:
    """A language model of your tokens: its samples are rows of ``length`` tokens, in their order.

    Parameters
    ----------
    tokens : sequence of int
        One stream, such as the whole text; numbers from 0 on.
    length : int
        Tokens of a row, T.
    vocabulary : int, optional
        Different tokens that there can be; by default the largest number plus 1.
    held : float
        Shares of the rows, from the end, that are kept for testing, and before them for
        validation: a model must not meet them in training.
    model : torch.nn.Module, optional
        (rows, T) in, (rows, T, vocabulary) out; by default a small ``lib.transformer.Transformer``.
    name : str
        What messages call the tokens.

    Raises
    ------
    TypeError, ValueError
        There are no tokens, too few for three rows, or numbers outside the vocabulary.
    """
    length = whole_number("length", length, at_least=1)
    stream = np.asarray(tokens)
    if stream.ndim != 1 or (stream.size and stream.dtype.kind not in "iu"):
        raise TypeError(
            f"tokens has shape {stream.shape} and the type {stream.dtype}, but it must be one row of whole numbers."
        )
    least = 3 * length + 1
    if len(stream) < least:
        raise ValueError(
            f"{name} has {len(stream):,} tokens, but rows of {length} need {least:,} or more: one row each for "
            f"training, validation and testing, and a token behind the last; give more tokens or a smaller length."
        )
    vocabulary = whole_number("vocabulary", int(stream.max()) + 1 if vocabulary is None else vocabulary, at_least=1)
    if (wrong := stream[(stream < 0) | (stream >= vocabulary)]).size:
        raise ValueError(
            f"{name} has the token {wrong[0]}, but with a vocabulary of {vocabulary} tokens are numbers from 0 to "
            f"{vocabulary - 1}; number them anew or give a larger vocabulary."
        )
    if not 0 < held < 0.5:
        raise ValueError(f"held is {held}, but it must be a share above 0 and below 0.5; it is taken twice.")
    x, y = windows(stream.astype(np.int64), length)
    each = max(1, int(held * len(x)))
    end = len(x) - 2 * each
    data = Dataset(name, x[:end], y[:end], x[end:], y[end:]).hold_out(each)
    made = next_token(model or Transformer(vocabulary, length), data)
    made.check()
    return made


def from_text(text: str, length: int = 32, *, name: str = "your text", **more) -> Workload:
    """A language model of a text, whose tokens are its characters; ``more`` as for :func:`from_tokens`.

    A character's number is its place among the sorted characters of the text: ``sorted(set(text))[number]``
    reads it back.
    """
    if not isinstance(text, str):
        raise TypeError(f"text is a {type(text).__name__}, but it must be a str; read files with encoding='utf-8'.")
    characters = np.array(list(text), dtype="U1")
    return from_tokens(np.unique(characters, return_inverse=True)[1], length, name=name, **more)
