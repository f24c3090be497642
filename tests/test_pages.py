"""The built pages: complete, accessible, and alone with themselves. `make test` builds them first."""

import html
import re
import struct
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


def field(page, name):
    """What a page says of itself in one of its <meta> elements, of which there must be exactly one."""
    found = re.findall(
        rf'<meta (?:name|property)="{name}" content="([^"]*)"', page.read_text(encoding="utf-8").split("</head>")[0]
    )
    assert len(found) == 1, f"{named(page)} has {len(found)} of {name}"
    return html.unescape(found[0])


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_page_says_what_it_is(page):
    head = page.read_text(encoding="utf-8").split("</head>")[0]
    assert len(re.findall(r'<meta\b[^>]*name="viewport"', head)) == 1
    title = html.unescape(re.search(r"<title>(.*?)</title>", head, re.DOTALL)[1])
    assert title.count("Epoch by epoch") == 1 and "<" not in title
    assert 20 <= len(field(page, "description")) <= 400 and "\\" not in field(page, "og:title")
    assert field(page, "og:description") == field(page, "description")
    card = field(page, "og:image")  # an address where _config.yml has html_baseurl, else a file
    assert (
        card.endswith("/_static/card.png") if ":" in card else (page.parent / card).samefile(HTML / "_static/card.png")
    )
    assert field(page, "og:image:alt")


def test_descriptions_tell_pages_apart():
    said = [field(page, "description") for page in CONTENT if page.name != "404.html"]
    assert len(set(said)) == len(said)


def test_the_card_has_the_size_that_readers_of_cards_want():
    start = (HTML / "_static/card.png").read_bytes()[:24]
    assert start[1:4] == b"PNG" and struct.unpack(">II", start[16:24]) == (1200, 630)


def test_an_address_that_leads_nowhere_has_a_page():
    text = (HTML / "404.html").read_text(encoding="utf-8")
    assert "<h1>This page is not here</h1>" in text
    main = text[text.index("<h1>") : text.index("</section>", text.index("<h1>"))]
    assert all((HTML / address).exists() for address in re.findall(r'href="([^"]+)"', main))


@pytest.mark.parametrize("page", CONTENT, ids=named)
def test_a_page_says_when_it_was_made(page):
    if page.name == "404.html":
        return
    (line,) = re.findall(r'<p class="freshness">(.*?)</p>', page.read_text(encoding="utf-8"))
    executed = r"Executed on 20\d\d-\d\d-\d\d in \d+ s, with Python 3[\d.]+, PyTorch \S+ and NumPy [\d.]+\."
    records = r"( Records: ([a-z0-9-]+(, )?)+ of 20\d\d-\d\d-\d\d(; ([a-z0-9-]+(, )?)+ of 20\d\d-\d\d-\d\d)*\.)?"
    course = r"Epoch by epoch [\d.]+\."
    assert re.fullmatch(rf"({executed}{records}|Nothing is executed on this page\.) {course}", line), line
    if page.parent.name == "lessons":
        assert line.startswith("Executed")


def test_a_citation_is_found_in_the_bibliography():
    entries = (HTML / "bibliography.html").read_text(encoding="utf-8")
    labels = dict(
        re.findall(r'<div class="citation" id="(\w+)"[^>]*>\s*<span class="label">(.*?)</span>\s*<p>', entries)
    )
    labels = {name: re.sub(r"<[^>]*>|[\[\]]", "", label) for name, label in labels.items()}
    assert len(labels) >= 30 and list(labels.values()) == sorted(labels.values(), key=str.casefold)
    cited = 0
    for page in CONTENT:
        for place, shown in re.findall(r'href="[^"]*bibliography\.html#(\w+)"[^>]*>(.*?)</a>', page.read_text("utf-8")):
            cited += 1
            assert re.sub(r"<[^>]*>", "", shown) == html.unescape(labels[place])
    assert cited > 30
