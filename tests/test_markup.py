"""What the pages leave out of a table of pandas: an index without a name that counts the rows, and no other."""

import re
import sys
from pathlib import Path

import pandas as pd
import pytest
from test_pages import PAGES

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
from tidy_markup import TABLE, without_row_numbers  # noqa: E402

TWO = pd.DataFrame({"batch size": [32, 64], "iterations": [313, 157]})
KEPT = {
    "named": TWO.rename_axis("run"),
    "named, with a title": TWO.rename_axis("run").rename_axis(columns="numbers"),
    "with a title": TWO.rename_axis(columns="numbers"),
    "values": TWO.set_axis([32, 64]),
    "from 1": TWO.set_axis([1, 2]),
    "texts": TWO.set_axis(["small", "large"]),
    "filtered": pd.concat([TWO, TWO], ignore_index=True).query("iterations == 157"),
    "sorted": TWO.sort_values("iterations"),
    "two floors of rows": pd.concat([TWO, TWO], keys=[0, 1]),
    "two floors of columns with titles": pd.concat({"one": TWO, "other": TWO}, axis=1, names=["run", "number"]),
}
LEFT_OUT = {
    "counted": TWO,
    "counted by hand": TWO.set_axis([0, 1]),
    "one row": TWO.head(1),
    "texts in cells": pd.DataFrame({"0": ["<th>0</th>", "</table>"], "": ["", "..."]}),
    "long": pd.DataFrame({"iteration": range(200), "loss": 0.5}),
}


@pytest.mark.parametrize("table", KEPT.values(), ids=KEPT)
def test_an_index_that_says_something_stays(table):
    shown = table._repr_html_()
    assert without_row_numbers(shown) == shown


@pytest.mark.parametrize("table", LEFT_OUT.values(), ids=LEFT_OUT)
def test_row_numbers_are_left_out(table):
    shown = f"<p>before</p>{table._repr_html_()}<p>after</p>{TWO._repr_html_()}"
    tidied = TABLE.sub(lambda found: without_row_numbers(found[0]), shown)
    columns = re.findall(r"<th>(.*?)</th>", tidied)
    assert columns == [*map(str, table.columns), *TWO.columns]
    assert tidied.count("<td>") == shown.count("<td>")


def test_row_numbers_are_left_out_below_two_floors_of_columns():
    shown = pd.concat({"one": TWO, "other": TWO}, axis=1).to_html()
    assert re.findall(r"<th[^>]*>(.*?)</th>", without_row_numbers(shown)) == [
        "one",
        "other",
        *TWO.columns,
        *TWO.columns,
    ]


def row_numbered(page: str) -> list[str]:
    """The tables of pandas in a page with whole numbers before their rows and nothing that says what they are."""
    found = []
    for table in re.findall(r'<table\b[^>]*class="dataframe\b.*?</table>', page, re.DOTALL):
        head, body = table.split("<tbody>")
        named = re.search(r"<tr[^>]*>\s*<t[hd][^>]*>([^<]*)[^\n]*(?:(?!<tr).)*$", head, re.DOTALL)[1]
        before = re.findall(r"<tr[^>]*>\s*<th[^>]*>(.*?)</th>", body, re.DOTALL)
        if not named and before and all(label.isdecimal() or label == "..." for label in before):
            found.append(table)
    return found


def test_no_page_shows_row_numbers():
    pages = {page: page.read_text(encoding="utf-8") for page in PAGES}
    assert sum(text.count('class="dataframe') for text in pages.values()) > 50
    assert {page.name: row_numbered(text) for page, text in pages.items() if row_numbered(text)} == {}
