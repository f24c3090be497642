"""Tables to be read: caption, headings with units, formatted numbers, and one sentence for what cannot be shown."""

import doctest
import re

import numpy as np
import pandas as pd
import pytest

import lib.tables
from lib.statistics import Interval
from lib.tables import Table

RUNS = pd.DataFrame(
    {"batch_size": [8, 1024], "seconds": [0.00012345, 0.0021], "share": [0.5, np.nan], "rule": ["best <mean>", "a_b"]}
)


def cells(table: Table) -> list[list[str]]:
    """The texts of a table's rows, headings first, as a page shows them."""
    rows = re.findall(r"<tr>(.*?)</tr>", table._repr_html_())
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


def test_a_table_has_its_caption_headings_units_and_readable_numbers():
    shown = Table(RUNS, "Two sizes & no more.", units={"seconds": "s"}, formats={"share": ".0%"})
    assert cells(shown) == [
        ["batch size", "seconds (s)", "share", "rule"],
        ["8", "0.000123", "50%", "best &lt;mean&gt;"],
        ["1,024", "0.0021", "–", "a_b"],
    ]
    assert "<figcaption>Two sizes &amp; no more.</figcaption>" in shown._repr_html_()
    assert repr(shown).splitlines()[:2] == ["Two sizes & no more.", "batch size  seconds (s)  share  rule"]


def test_columns_are_chosen_ordered_and_named():
    shown = Table(RUNS, "c", columns={"rule": "chosen by", "batch_size": "B"})
    assert cells(shown)[0] == ["chosen by", "B"] and cells(shown)[1][1] == "8"


def test_a_named_index_heads_its_rows_and_stays_when_columns_are_chosen():
    table = RUNS.set_index(["rule", "batch_size"])
    shown = Table(table, "c", columns={"batch_size": "B", "share": "wrong"}, formats={"share": ".2f"})
    assert cells(shown) == [["rule", "B", "wrong"], ["best &lt;mean&gt;", "8", "0.50"], ["a_b", "1,024", "–"]]
    assert shown._repr_html_().count('scope="row"') == 4


def test_columns_of_a_pivot_are_named_by_their_values():
    table = RUNS.assign(seed=0).pivot(index="seed", columns="batch_size", values="seconds")
    assert cells(Table(table, "c"))[0] == ["seed", "8", "1,024"]
    table = RUNS.assign(seed=0).pivot(index="seed", columns="batch_size", values=["seconds", "share"])
    assert cells(Table(table, "c"))[0] == ["seed", "seconds, 8", "seconds, 1,024", "share, 8", "share, 1,024"]


@pytest.mark.parametrize(
    "value, text",
    [
        (0, "0"),
        (1_234_567, "1,234,567"),
        (1234.567, "1,235"),
        (0.5, "0.5"),
        (0.00001234, "1.23e-05"),
        (np.inf, "infinite"),
        (None, "–"),
        (True, "yes"),
        (np.False_, "no"),
        (Interval(0.5, 0.4, 0.6, 5), "0.50 ± 0.10"),
        ("", ""),
    ],
)
def test_values_are_written_for_readers(value, text):
    assert cells(Table(pd.DataFrame({"x": pd.Series([value], dtype=object)}), "c"))[1] == [text]


def test_it_is_the_same_each_time():
    assert Table(RUNS, "c")._repr_html_() == Table(RUNS.copy(), "c")._repr_html_()


@pytest.mark.parametrize(
    "frame, more, sentence",
    [
        (RUNS, {"caption": " "}, "caption is empty"),
        (RUNS.iloc[1:], {}, "index without a name"),
        (RUNS, {"columns": {"seeds": "s"}}, "no column 'seeds'; its columns are batch_size, seconds"),
        (RUNS, {"units": {"second": "s"}}, "no column 'second'"),
        (pd.concat([RUNS, RUNS], axis=1), {}, "two columns of one name"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_a_sentence(frame, more, sentence):
    with pytest.raises(ValueError, match=sentence):
        Table(frame, **{"caption": "c"} | more)


def test_the_docstring_shows_what_it_does():
    result = doctest.testmod(lib.tables)
    assert result.attempted and not result.failed
