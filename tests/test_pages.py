"""The built pages: complete, accessible, and alone with themselves. `make test` builds them first."""

import re
from pathlib import Path

import pytest

HTML = Path(__file__).resolve().parents[1] / "_build/html"
PAGES = [page for page in sorted(HTML.rglob("*.html")) if "_static" not in page.parts]
CONTENT = [
    page
    for page in PAGES
    if page.name not in ("genindex.html", "search.html", "index.html")
    or page.parent.name == "html"
    and page.name == "index.html"
]


def named(page):
    return str(page.relative_to(HTML))


def test_the_book_is_built():
    assert len(CONTENT) >= 7, "no pages in _build/html; run: make book"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_loads_nothing_from_another_host(page):
    text = page.read_text(encoding="utf-8")
    loads = re.findall(
        r'<(?:script|img|iframe|source|video|audio|embed|object)\b[^>]*\b(?:src|data)="((?:https?:)?//[^"]+)', text
    )
    loads += [
        href
        for tag, href in re.findall(r'(<link\b[^>]*\bhref="((?:https?:)?//[^"]+)"[^>]*>)', text)
        if 'rel="canonical"' not in tag
    ]
    loads += re.findall(r'url\(["\']?((?:https?:)?//[^)"\']+)', text)
    assert loads == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_picture_has_alt_text(page):
    text = page.read_text(encoding="utf-8")
    for tag in re.findall(r"<img\b[^>]*>", text):
        alt = re.search(r'\balt="([^"]*)"', tag)
        assert alt and alt[1].strip() and not re.search(r"\.(svg|png|jpe?g|gif)$", alt[1]), tag
    for tag in re.findall(r'<svg\b[^>]*role="img"[^>]*>', text):
        label = re.search(r'\baria-label="([^"]*)"', tag)
        assert label and len(label[1].split()) >= 5, tag[:200]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_no_error_and_no_machine_path_in_a_page(page):
    text = page.read_text(encoding="utf-8")
    assert "Traceback (most recent call last)" not in text
    assert str(HTML.parents[1]) not in text


@pytest.mark.parametrize("width, scheme", [(1280, "light"), (1280, "dark"), (390, "light")])
@pytest.mark.parametrize("page", CONTENT, ids=named)
def test_page_in_a_browser(browser, page, width, scheme):
    """Opened as a file: no request leaves, no error, formulas are set, nothing is wider than the screen."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab, errors, requests = context.new_page(), [], []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(page.as_uri())
    tab.wait_for_load_state("load")
    if tab.locator(".math").count():
        tab.wait_for_selector("mjx-container")
        tab.evaluate("MathJax.startup.promise")
        assert tab.locator("mjx-container").count() >= tab.locator("span.math, div.math").count()
        assert tab.locator("mjx-merror").count() == 0
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert errors == []
    assert tab.evaluate("document.documentElement.dataset.theme") == scheme
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    context.close()
