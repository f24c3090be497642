"""Figures and claim boxes: complete, the same each time, and loud when the numbers leave them."""

import re
from xml.etree import ElementTree

import pandas as pd
import pytest

from lib import figures
from lib.claims import ClaimTested

ALT = "A loss that falls from 3 over 1 to 0.5 in three epochs"


def shown(**changes):
    figure, axis = figures.new()
    for line in range(6):
        axis.plot([0, 1, 2], [3, 1 + line, 0.5], label=f"line {line}")
    axis.legend()
    data = pd.DataFrame({"epoch": [0, 1, 2], "loss": [3, 1, 0.5]})
    return figures.Shown(figure, **{"alt": ALT, "caption": "Loss < 4 & falling", "data": data} | changes)


def test_svg_is_well_formed_labelled_and_repeats():
    svg = shown().svg()
    root = ElementTree.fromstring(svg)
    assert root.attrib["aria-label"] == ALT and root.attrib["role"] == "img"
    assert "\n" not in svg and "<style" not in svg and "width=" not in svg.split(">")[0]
    assert svg == shown().svg()


def test_every_colour_follows_the_theme():
    bare = set(
        re.findall(r"(?<!, )#[0-9a-f]{6}", re.sub(r"var\([^)]*\)|url\(#[^)]*\)|href=\"#[^\"]*\"", "", shown().svg()))
    )
    assert bare == set()
    assert all(f"var(--figure-{name}" in shown().svg() for name in ["ink", "grid", *"123456"])


def test_lines_differ_without_colour():
    styles = [(line["linestyle"], line["marker"]) for line in figures.STYLE["axes.prop_cycle"]]
    assert len(set(styles)) == len(figures.COLORS) == len(styles)


def test_ids_of_two_figures_do_not_clash():
    one, two = shown().svg(), shown(alt=ALT + " again").svg()
    figure, axis = figures.new()
    axis.plot([1, 2], [5, 7])
    two = figures.Shown(figure, ALT, "c").svg()
    assert not set(re.findall(r'\bid="([^"]*)"', one)) & set(re.findall(r'\bid="([^"]*)"', two))
    for svg in (one, two):
        ids, used = set(re.findall(r'\bid="([^"]*)"', svg)), set(re.findall(r'(?:href="#|url\(#)([^")]*)', svg))
        assert used and used <= ids


def test_page_holds_caption_data_and_alt_text():
    page = shown()._repr_html_()
    assert "Loss &lt; 4 &amp; falling" in page and "<summary>Data of this figure</summary>" in page
    assert "<td>0.5</td>" in page and ALT in page
    assert repr(shown()) == f"Figure: {ALT}"


def test_a_figure_without_words_is_refused():
    with pytest.raises(ValueError, match="alt is 'loss'"):
        shown(alt="loss")


BOX = dict(claim="B <is> good", verdict="holds only if", precisely="p", finding="f", held_fixed="h", ids="A1")


def test_claim_box():
    box = ClaimTested(**BOX, supported=True)
    assert "Verdict: holds only if" in repr(box) and "Held fixed: h" in repr(box)
    assert "B &lt;is&gt; good" in box._repr_html_() and "holds-only-if" in box._repr_html_()


def test_an_unsupported_verdict_stops_the_lesson():
    with pytest.raises(AssertionError, match="no longer support the verdict 'holds only if' on 'B <is> good': f"):
        ClaimTested(**BOX, supported=False)
    with pytest.raises(ValueError, match="verdict is 'maybe'"):
        ClaimTested(**BOX | {"verdict": "maybe"}, supported=True)


def test_a_flow_chart_has_all_its_words_and_is_no_wider_than_a_telephone_needs():
    boxes = [("first", "of all"), ("then", "this"), ("last", "that")]
    chart = figures.flow_chart(boxes, alt=ALT, caption="From top to bottom.", back="again")
    svg, page = chart.svg(), chart._repr_html_()
    assert all(f">{word}<" in svg for box in boxes for word in box) and ">again<" in svg
    assert svg == figures.flow_chart(boxes, ALT, "From top to bottom.", "again").svg()
    assert 'style="max-width: 26rem"' in page and "max-width" not in shown()._repr_html_()
