"""Documents laid into the rows of batches: what is padding, what is cut off, which tokens count."""

import html

import traitlets

from lib.checks import whole_number
from lib.tokens import PACKINGS, Filling, Piece, filling, laid, num_targets, sorted_pools, token_batches
from lib.widgets.base import Widget, bundle, style

MOST_DOCUMENTS, MOST_TOKENS = 40, 1_000  # each document is drawn
BATCHINGS = ("fixed", "longest", "tokens")


class DocumentRows(Widget):
    """Documents laid into rows, one after the other, and rows made into batches.

    Parameters
    ----------
    documents : dict of str to list of int
        Tokens of each document, by the name of the set: the reader can choose one.
    sequence_length : int
        Tokens that a row can hold, T.
    batch_size : int
        Rows of a batch, B.
    packing : str
        One of ``lib.tokens.PACKINGS``.
    batching : {"fixed", "longest", "tokens"}
        ``batch_size`` rows, padded to ``sequence_length`` or to the longest of the batch; or as
        many rows as ``batch_size * sequence_length`` places hold, padded to the longest.
    pool_size : int
        Documents that are sorted by length together; 1 leaves them as they come.
    document_mask : bool
        Each document is read alone, so its first token counts no more.

    Raises
    ------
    TypeError, ValueError
        A choice is impossible, or there is too much to draw.

    Examples
    --------
    >>> DocumentRows({"three": [3, 9, 4]}, sequence_length=8, batch_size=2)
    Documents in rows: 3 documents of 3 to 9 tokens, not packed, make 3 rows of at most 8 tokens and 2 batches. 25.0 % of the 20 places are padding, 1 token is cut off, and 12 tokens count for the loss.
    """

    _esm = bundle("rows")
    _css = style("rows")
    documents: traitlets.Dict = traitlets.Dict().tag(sync=True)
    chosen = traitlets.Unicode().tag(sync=True)
    sequence_length = traitlets.Int().tag(sync=True)
    batch_size = traitlets.Int().tag(sync=True)
    packing = traitlets.Enum(PACKINGS).tag(sync=True)
    batching = traitlets.Enum(BATCHINGS).tag(sync=True)
    pool_size = traitlets.Int().tag(sync=True)
    document_mask = traitlets.Bool().tag(sync=True)

    def __init__(
        self,
        documents: dict[str, list[int]],
        sequence_length: int = 32,
        batch_size: int = 4,
        packing: str = "none",
        batching: str = "longest",
        pool_size: int = 1,
        document_mask: bool = False,
    ):
        if not documents or not all(documents.values()):
            raise ValueError("There is no document; give at least one set of documents, and none that is empty.")
        for name, lengths in documents.items():
            laid(lengths, sequence_length, packing)  # refuses bad choices with a sentence
            if len(lengths) > MOST_DOCUMENTS or sum(lengths) > MOST_TOKENS:
                raise ValueError(
                    f"{name} has {len(lengths)} documents and {sum(lengths):,} tokens, but each is drawn: at most "
                    f"{MOST_DOCUMENTS} documents and {MOST_TOKENS:,} tokens."
                )
        if batching not in BATCHINGS:
            raise ValueError(f"batching is {batching!r}, but it must be one of {', '.join(map(repr, BATCHINGS))}.")
        super().__init__(
            documents={name: [int(length) for length in lengths] for name, lengths in documents.items()},
            chosen=next(iter(documents)),
            sequence_length=int(sequence_length),
            batch_size=whole_number("batch_size", batch_size, at_least=1),
            packing=packing,
            batching=batching,
            pool_size=whole_number("pool_size", pool_size, at_least=1),
            document_mask=document_mask,
        )

    @property
    def lengths(self) -> list[int]:
        """Tokens of each document of the chosen set."""
        return self.documents[self.chosen]

    @property
    def rows(self) -> list[list[Piece]]:
        """The pieces of each row, as the controls show them now."""
        order = sorted_pools(self.lengths, self.pool_size)
        rows = laid([self.lengths[document] for document in order], self.sequence_length, self.packing)
        return [[piece._replace(document=order[piece.document]) for piece in row] for row in rows]

    @property
    def batches(self) -> list[list[int]]:
        """The rows of each batch."""
        if self.batching == "tokens":
            return token_batches([_tokens(row) for row in self.rows], self.batch_size * self.sequence_length)
        rows = list(range(len(self.rows)))
        return [rows[first : first + self.batch_size] for first in range(0, len(rows), self.batch_size)]

    @property
    def filling(self) -> Filling:
        """Tokens and places of all batches."""
        tokens = [_tokens(row) for row in self.rows]
        width = self.sequence_length if self.batching == "fixed" else None
        return filling([[tokens[row] for row in batch] for batch in self.batches], width)

    @property
    def cut_off(self) -> int:
        """Tokens that no row holds."""
        return sum(self.lengths) - self.filling.tokens

    @property
    def targets(self) -> int:
        """Tokens that count for the loss."""
        return num_targets([[piece.tokens for piece in row] for row in self.rows], self.document_mask)

    def sentence(self) -> str:
        found, lengths, lost = self.filling, self.lengths, self.cut_off
        how = "not packed" if self.packing == "none" else f"packed ({self.packing})"
        return (
            f"Documents in rows: {len(lengths)} documents of {min(lengths)} to {max(lengths)} tokens, {how}, make "
            f"{len(self.rows)} rows of at most {self.sequence_length} tokens and {len(self.batches)} batches. "
            f"{100 * float(found.waste):.1f} % of the {found.places:,} places are padding, {lost:,} "
            f"{'token is' if lost == 1 else 'tokens are'} cut off, and {self.targets:,} tokens count for the loss."
        )

    def details(self) -> str:
        rows = "".join(
            f"<tr><td>{number}</td><td>{html.escape(', '.join(map(_written, self.rows[row])))}</td>"
            f"<td>{_tokens(self.rows[row])}</td></tr>"
            for number, batch in enumerate(self.batches, 1)
            for row in batch
        )
        head = "<tr><th>Batch</th><th>Documents of the row (tokens)</th><th>Tokens</th></tr>"
        return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _tokens(row: list[Piece]) -> int:
    return sum(piece.tokens for piece in row)


def _written(piece: Piece) -> str:
    return f"{piece.document + 1} ({piece.tokens})"
