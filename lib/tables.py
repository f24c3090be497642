"""Tables to be read: a caption, headings with units, formatted numbers, the same in a notebook and in the book."""

import html
import math
from collections.abc import Mapping
from numbers import Integral, Real

import pandas as pd


class Table:
    """A table with its caption; the last expression of a cell shows it.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a line. A named index becomes the first columns, and heads its rows.
    caption : str
        What the rows are, and what to look at.
    columns : dict, optional
        Which columns to show, in this order, and the heading of each; by default all of them, by their own names.
    units : dict, optional
        The unit of a column, such as ``{"seconds": "s"}``; it stands behind the heading.
    formats : dict, optional
        How to write a column's numbers, as in a format string: ``{"samples": ",.0f", "accuracy": ".1%"}``. By default
        whole numbers have commas and others three significant digits; a missing one is a dash.

    Raises
    ------
    ValueError
        The caption is empty, an index counts rows from another number than 0 without a name, a column is unknown, or
        its name is given twice.

    Examples
    --------
    >>> Table(pd.DataFrame({"B": [8, 1024], "t": [0.00012345, 0.002]}), "Time of an iteration.",
    ...       columns={"B": "batch size", "t": "time"}, units={"t": "s"})
    Time of an iteration.
    batch size  time (s)
             8  0.000123
         1,024     0.002
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        caption: str,
        columns: Mapping | None = None,
        units: Mapping | None = None,
        formats: Mapping | None = None,
    ):
        if not caption.strip():
            raise ValueError("caption is empty, but a table needs a sentence that says what its rows are.")
        self.caption = " ".join(caption.split())
        self.num_headers = 0 if _counts_rows(frame.index) else frame.index.nlevels
        if self.num_headers and None in frame.index.names:
            raise ValueError("frame has an index without a name; name it, or reset it with drop=True.")
        if not frame.columns.is_unique:
            raise ValueError("frame has two columns of one name; name each of them differently.")
        flat = frame.reset_index(drop=not self.num_headers)
        names = {name: _words(name) for name in flat}
        if columns is not None:
            headers = list(flat)[: self.num_headers]
            names = {name: names[name] for name in headers} | dict(columns)
        for given in (names, units or {}, formats or {}):
            if unknown := [name for name in given if name not in flat]:
                raise ValueError(
                    f"The table has no column {unknown[0]!r}; its columns are {', '.join(map(str, flat))}."
                )
        self.headings = [
            f"{heading} ({units[name]})" if units and name in units else heading for name, heading in names.items()
        ]
        self.cells = [[_written(value, (formats or {}).get(name)) for value in flat[name]] for name in names]
        self.is_number = [all(isinstance(value, Real) for value in flat[name]) for name in names]

    def __repr__(self) -> str:
        widths = [max(map(len, [heading, *cells])) for heading, cells in zip(self.headings, self.cells)]

        def line(texts) -> str:
            padded = [
                text.rjust(width) if number else text.ljust(width)
                for text, width, number in zip(texts, widths, self.is_number)
            ]
            return "  ".join(padded).rstrip()

        return "\n".join([self.caption, line(self.headings), *map(line, zip(*self.cells))])

    def _repr_html_(self) -> str:
        def cell(text: str, column: int, scope: str = "") -> str:
            tag = "th" if scope else "td"
            align = "" if self.is_number[column] else ' class="words"'
            return f"<{tag}{scope}{align}>{html.escape(text)}</{tag}>"

        head = "".join(cell(text, i, ' scope="col"') for i, text in enumerate(self.headings))
        rows = [
            "".join(cell(text, i, ' scope="row"' if i < self.num_headers else "") for i, text in enumerate(texts))
            for texts in zip(*self.cells)
        ]
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return (
            f'<figure class="course-table"><figcaption>{html.escape(self.caption)}</figcaption>'
            f'<table class="dataframe"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></figure>'
        )


def means(frame: pd.DataFrame, by: str | list[str], columns: list[str]) -> pd.DataFrame:
    """Means of some columns over the rows that are alike in ``by``, such as the seeds of one setting.

    Examples
    --------
    >>> frame = pd.DataFrame({"B": [8, 8, 64], "seed": [0, 1, 0], "loss": [1.0, 3.0, 4.0]})
    >>> means(frame, by="B", columns=["loss"]).loc[8, "loss"]
    np.float64(2.0)
    """
    return frame.groupby(by)[columns].mean()


def _counts_rows(index: pd.Index) -> bool:
    """Whether an index without a name only counts the rows from 0."""
    return index.nlevels == 1 and index.name is None and list(index) == list(range(len(index)))


def _words(name) -> str:
    """A column's name as a heading; the levels of a name of several are joined."""
    parts = name if isinstance(name, tuple) else (name,)
    return ", ".join(_written(part, None).replace("_", " ") for part in parts if part != "")


def _written(value, how: str | None) -> str:
    """A value as a reader should see it."""
    if value is None or (isinstance(value, Real) and math.isnan(value)):
        return "–"
    if how is not None:
        return format(value, how)
    if isinstance(value, bool) or type(value).__name__ == "bool":  # Python's and NumPy's
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    if isinstance(value, Real):
        return "infinite" if math.isinf(value) else _three_digits(float(value))
    return str(value)


def _three_digits(value: float) -> str:
    """Three significant digits, with commas and without an exponent where that can be read."""
    if value == 0 or 1e-4 <= abs(value) < 1e9:
        decimals = 0 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{decimals}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.2e}"
