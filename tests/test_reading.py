"""The built pages for those who use a keyboard, a screen reader or a telephone: focus, names, order, sizes."""

import functools
import http.server
import io
import itertools
import re
import threading

import numpy as np
import pytest
from PIL import Image
from test_pages import CONTENT, HTML, PAGES, named
from test_widget_pages import Zipped

LESSONS = [HTML / "index.html", *sorted((HTML / "lessons").glob("*.html"))]


@pytest.fixture
def opened(browser):
    """Opens a page from disk, 900 pixels high."""
    contexts = []

    def open_page(page, width=1280, scheme="light"):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme))
        tab = contexts[-1].new_page()
        tab.goto(page.as_uri())
        tab.wait_for_load_state("load")
        return tab

    yield open_page
    for context in contexts:
        context.close()


TEXTS = """svg => [...svg.querySelectorAll("text, tspan")]
    .filter(node => [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim()))
    .map(node => [parseFloat(getComputedStyle(node).fontSize) * Math.abs(node.getScreenCTM().d), node.textContent])"""


@pytest.mark.parametrize("page", LESSONS, ids=named)
def test_text_in_pictures_can_be_read_on_a_telephone(opened, page):
    """At 390 pixels text has at least 11 pixels in a widget and 9 in a figure, indices of formulas apart."""
    tab = opened(page, width=390)
    small = []
    for pictures, least in [(".course-widget svg:has(text)", 11), (".course-figure svg", 9)]:
        for picture in tab.locator(pictures).all():
            texts = picture.evaluate(TEXTS)
            largest = max(size for size, _ in texts)
            small += [
                (round(size, 1), text) for size, text in texts if size < least and not 0.6 < size / largest < 0.72
            ]
            assert largest >= least
            assert picture.evaluate("picture => picture.getBoundingClientRect().right") <= 390
    assert small == []


BOXES = """svg => {
    const all = svg.getBoundingClientRect();
    return [...svg.querySelectorAll("text")].filter(text => text.textContent.trim()).map(text => {
        const box = text.getBoundingClientRect();
        return [text.textContent.trim(), box.left - all.left, box.top - all.top, box.right - all.left, box.bottom - all.top,
                all.width, all.height];
    });
}"""


@pytest.mark.parametrize("page", LESSONS, ids=named)
def test_text_of_a_figure_is_neither_cut_nor_on_other_text(opened, page):
    for figure in opened(page).locator(".course-figure svg").all():
        boxes = figure.evaluate(BOXES)
        room = 6  # a box is as high as a line, and taller than its letters
        for text, left, top, right, bottom, width, height in boxes:
            assert left > -room and top > -room and right < width + room and bottom < height + room, text
        for (one, *first), (other, *second) in itertools.combinations(boxes, 2):
            across = min(first[2], second[2]) - max(first[0], second[0])
            down = min(first[3], second[3]) - max(first[1], second[1])
            assert across < 2 or down < room, (one, other)


def test_a_finger_meets_every_control(opened):
    """Buttons, boxes, sliders and fields of the widgets are at least 24 pixels wide and high on a telephone."""
    for page in LESSONS:
        small = opened(page, width=390).evaluate("""[...document.querySelectorAll(
            ".course-widget :is(button, input, select)")].filter(each => each.offsetParent).map(each => [each.type,
            each.getBoundingClientRect().width, each.getBoundingClientRect().height])
            .filter(([, wide, high]) => wide < 24 || high < 24)""")
        assert small == [], named(page)


# What can be reached by the keyboard, in the order of the page.
REACHED = """[...document.querySelectorAll("a[href], button, input, select, summary, [tabindex]")].filter(each =>
    each.tabIndex >= 0 && !each.disabled && each.checkVisibility({ visibilityProperty: true }))"""


def looks(tab, box):
    clip = {
        "x": max(box["x"] - 5, 0),
        "y": max(box["y"] - 5, 0),
        "width": box["width"] + 10,
        "height": box["height"] + 10,
    }
    return np.asarray(Image.open(io.BytesIO(tab.screenshot(clip=clip, animations="disabled"))).convert("L"), dtype=int)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", [HTML / "index.html", HTML / "lessons/02-iteration.html"], ids=named)
def test_what_the_keyboard_reaches_is_seen(opened, page, scheme):
    """In the frame of a page and in its first screens, focus changes at least as much as a line under the element."""
    tab = opened(page, scheme=scheme)
    tab.add_style_tag(
        content="*, ::before, ::after { transition: none !important; caret-color: transparent !important; }"
    )
    unseen, seen = [], 0
    for _ in range(70):
        tab.keyboard.press("Tab")
        focused = tab.evaluate_handle("document.activeElement").as_element()
        box = focused.bounding_box()
        if tab.evaluate("document.activeElement === document.body") or box is None:
            continue
        wide, high = tab.viewport_size["width"], tab.viewport_size["height"]
        box |= {"width": min(box["width"], wide - box["x"] - 5), "height": min(box["height"], high - box["y"] - 5)}
        if box["height"] < 5 or box["width"] < 5 or box["y"] < 0:
            continue
        focus = looks(tab, box)
        focused.evaluate("each => each.blur()")
        changed = (abs(looks(tab, box) - focus) > 40).sum()
        focused.evaluate("each => each.focus({ preventScroll: true })")
        seen += 1
        if changed < box["width"]:
            unseen.append((focused.evaluate("each => each.outerHTML.slice(0, 120)"), int(changed)))
    assert seen > 20 and unseen == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_control_is_called_what_it_shows(opened, page):
    """Who says the words on a control reaches it: they are part of its accessible name (WCAG 2.5.3)."""
    other = opened(page).evaluate("""() => {
        const words = text => text.trim().toLowerCase().replace(/\\s+/g, " ");
        document.querySelectorAll("span:has(> kbd)").forEach(hint => hint.remove());  // "Ctrl+K" is no label
        return [...document.querySelectorAll("a, button, summary, [role=button], input, select")]
            .filter(each => each.ariaLabel && each.checkVisibility())
            .map(each => [words(each.innerText), words(each.ariaLabel)])
            .filter(([shown, name]) => /[a-z0-9]/.test(shown) && !name.includes(shown));
    }""")
    assert other == []


@pytest.mark.parametrize("page", CONTENT, ids=named)
def test_a_page_is_read_in_the_order_in_which_it_is_seen(opened, page):
    tab = opened(page)
    assert tab.locator("main").count() == 1 and tab.locator(".bd-article h1").count() == 1
    levels = (
        tab.locator(".bd-article")
        .locator("h1, h2, h3, h4, h5, h6")
        .evaluate_all("all => all.map(each => +each.tagName[1])")
    )
    assert levels[0] == 1 and all(after <= before + 1 for before, after in zip(levels, levels[1:]))
    assert tab.evaluate(f"{REACHED}.filter(each => each.tabIndex > 0).map(each => each.outerHTML)") == []
    tab.keyboard.press("Tab")
    assert "main" in tab.evaluate("document.activeElement.textContent").lower()  # the way past the menus
    # Down the page, or to the right in a line; what lies in a box that scrolls is left to the box.
    places = tab.evaluate(f"""{REACHED}.filter(each => each.closest(".bd-article")).map(each => {{
        const box = each.getClientRects()[0];  // of a link over two lines the first
        return [box.top, box.bottom, box.left, each.outerHTML.slice(0, 100)];
    }})""")
    back = [
        (one[3], other[3])
        for one, other in zip(places, places[1:])
        if other[1] <= one[0] or (abs(other[0] - one[0]) < 2 and other[2] < one[2])
    ]
    assert back == []


@pytest.fixture
def site():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Zipped, directory=str(HTML)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_the_search_shows_words_not_tex(browser, site):
    """Excerpts have no TeX, formulas are not among the words, and the glass leaves the first letter alone."""
    context = browser.new_context()
    tab = context.new_page()
    index = (HTML / "searchindex.js").read_text(encoding="utf-8")
    assert '"iter' in index and re.search(r'"?lceil"?: (?!\[\])', index) is None
    tab.goto(f"{site}/search.html?q=iterations+epoch+rounded")
    tab.wait_for_selector("#search-results p.context")
    tab.wait_for_timeout(500)
    excerpts = tab.locator("#search-results p.context").all_inner_texts()
    assert len(excerpts) > 2 and not [text for text in excerpts if "\\(" in text or "\\[" in text]
    formulas = [r"\(\lceil N / B \rceil\)", r"\(\frac{a}{b} \le 10{,}000\)", r"\(\mystery\)"]
    content = " ".join(f'<span class="math">{formula}</span>' for formula in formulas)
    plain = tab.evaluate("content => Search.htmlToText(content)", f'<div role="main">{content}</div>')
    assert plain == "⌈N / B⌉ a / b ≤ 10,000 …"
    glass, field = (tab.locator(f".bd-search {part}").first.bounding_box() for part in ("i", "input"))
    assert glass["x"] + glass["width"] <= field["x"] + 1
    context.close()
