"""Pages on paper, and the book as one PDF. `make test` builds the pages first."""

import io
import re
import sys
from pathlib import Path

import pytest
from pypdf import PdfReader
from test_pages import CONTENT, HTML, named

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import pdf  # noqa: E402

from book.contents import Page  # noqa: E402

FOUR_CLOCKS = HTML / "lessons/07-four-clocks.html"
PAPER_WIDTH = 680  # CSS pixels between the margins of A4
# Elements that stick out to the right of what the paper shows
CUT = """width => [...document.querySelectorAll(".bd-article :is(table, pre, svg, p, li)")].filter(each =>
    each.checkVisibility() && !each.closest("mjx-container, .live-widget, details")
    && each.getBoundingClientRect().right > width + 1).map(each => each.outerHTML.slice(0, 120))"""


@pytest.fixture
def on_paper(browser):
    """Opens a page as the printer sees it."""
    contexts = []

    def open_page(page):
        contexts.append(browser.new_context(viewport={"width": PAPER_WIDTH, "height": 1000}))
        tab = contexts[-1].new_page()
        tab.goto(page.as_uri())
        tab.wait_for_load_state("load")
        tab.evaluate("window.MathJax?.startup?.promise")
        tab.emulate_media(media="print")
        return tab

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("page", CONTENT, ids=named)
def test_nothing_is_cut_at_the_edge_of_the_paper(on_paper, page):
    assert on_paper(page).evaluate(CUT, PAPER_WIDTH) == []


def test_that_check_can_fail(on_paper):
    tab = on_paper(FOUR_CLOCKS)
    tab.add_style_tag(content=".bd-article table { width: 900px !important; max-width: none !important }")
    assert tab.evaluate(CUT, PAPER_WIDTH) != []


def test_answers_are_shown_on_paper(browser):
    context = browser.new_context()
    tab = context.new_page()
    tab.goto(FOUR_CLOCKS.as_uri())
    tab.wait_for_load_state("load")
    answers = [re.sub(r"\s+", " ", text).strip() for text in tab.locator(".widget-text details p").all_text_contents()]
    content = PdfReader(io.BytesIO(tab.pdf(**pdf.PAPER)))
    text = re.sub(r"\s+", " ", " ".join(page.extract_text() for page in content.pages))
    assert len(answers) >= 3 and all(answer[:40] in text for answer in answers)
    assert "Show code cell source" not in text and "Data of this figure" not in text
    context.close()


def test_the_cheat_sheet_is_one_page_of_a4(browser):
    content = PdfReader(io.BytesIO(pdf.printed(browser, HTML / "cheat-sheet.html", set())))
    assert len(content.pages) == 1
    assert [round(float(side) / 72 * 25.4) for side in content.pages[0].mediabox[2:]] == [210, 297]
    text = content.pages[0].extract_text()
    assert text.index("Cheat sheet") < text.index("Words") < text.index("Choosing")


SMALL = {
    "index": '<h1>One</h1><p><a href="lessons/b.html#there">two</a> <a href="https://example.org/">out</a></p>',
    "lessons/b": '<h1>Two</h1><p style="margin-top: 60em"><span id="there">there</span>, not <a href="#up">up</a></p>'
    '<h2 id="up" style="break-before: page">Up</h2><p><a href="../index.html">one</a> <a href="../no.html">no</a></p>',
}


def test_the_book_as_one_pdf_has_bookmarks_and_inner_links(tmp_path):
    """Of a small book: three sheets; each link leads to its place, none to a file of this machine."""
    if not any(Path(path).exists() for path in pdf.BROWSERS):
        pytest.skip("Chromium is not installed")
    for name, body in SMALL.items():
        path = tmp_path / f"html/{name}.html"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(f"<!doctype html><title>x</title><body>{body}", encoding="utf-8")
    pages = {None: [Page("index", "One", 1)], "A part": [Page("lessons/b", "Two", 1)]}
    pdf.make(tmp_path / "html", tmp_path / "out/book.pdf", pages)

    content = PdfReader(tmp_path / "out/book.pdf")
    numbers = [(each.title, content.get_destination_page_number(each)) for each in flat(content.outline)]
    assert numbers == [("One", 0), ("A part", 1), ("Two", 1)] and len(content.pages) == 3
    links = [link.get_object() for page in content.pages for link in page.get("/Annots", [])]
    addresses = [str(link["/A"]["/URI"]) for link in links if "/A" in link]
    assert addresses == ["https://example.org/"] and str(tmp_path) not in str(links)
    places = [content.get_page_number(link["/Dest"][0].get_object()) for link in links if "/Dest" in link]
    assert sorted(places) == [0, 1, 2]
    there = next(link for link in content.pages[0]["/Annots"] if "/Dest" in link.get_object()).get_object()["/Dest"]
    assert 0 < float(there[3]) < 400  # below the middle of its page


def flat(outline):
    """All bookmarks, whatever their depth."""
    return [each for item in outline for each in (flat(item) if isinstance(item, list) else [item])]
