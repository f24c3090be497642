"""Pages with widgets as a first visitor meets them: nothing in the cache, and 50 ms until each answer begins.

Then a page's scripts start in another order than from disk. None may lay hands on a widget, whichever comes first.
"""

import functools
import http.server
import threading
import time

import pytest
from test_pages import HTML, PAGES, named
from test_widget_pages import Zipped

WITH_WIDGETS = [page for page in PAGES if "widget-view+json" in page.read_text(encoding="utf-8")]
# What each widget is made of: elements, classes, texts; not what it says aloud half a second later.
MADE_OF = """nodes => nodes.map(node => [...node.querySelectorAll(":not([role=status])")].map(each =>
    `${each.localName} ${each.getAttribute("class")} ${each.children.length ? "" : each.textContent}`).join("\\n"))"""


class Slow(Zipped):
    """Each answer begins 50 ms late."""

    def do_GET(self):
        time.sleep(0.05)
        super().do_GET()


@pytest.fixture(scope="module")
def slow_site():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Slow, directory=str(HTML)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


class Scripts:
    """In which order the scripts of a page run. The theme's and MathJax are deferred, and the others wait for them."""

    def __init__(self, first: str):
        self.first, self.held = first, []

    def __call__(self, route):
        url = route.request.url
        if self.first == "widgets" and any(name in url for name in ("bootstrap", "pydata", "mathjax")):
            self.held.append(route)
        elif self.first == "page" and "static-widgets.js" in url:
            script = (HTML / "_static/static-widgets.js").read_text(encoding="utf-8")
            route.fulfill(body=f"addEventListener('load', () => {{ {script} }});", content_type="text/javascript")
        elif self.first == "nothing else" and "static-widgets.js" not in url:
            route.abort()
        else:
            route.continue_()


@pytest.fixture
def first_visit(browser, slow_site):
    contexts = []

    def visit(page, scripts):
        """Open a page with an empty cache; when all its scripts have run: the tab, and what its widgets are made of."""
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 900}))
        tab = contexts[-1].new_page()
        if scripts.first:
            tab.route("**/*.js*", scripts)
        tab.goto(f"{slow_site}/{named(page)}", wait_until="commit")
        number = page.read_text(encoding="utf-8").count("widget-view+json")
        tab.wait_for_function(f"document.querySelectorAll('.live-widget > *').length === {number}")
        for route in scripts.held:
            route.continue_()
        tab.wait_for_load_state("load")
        return tab, tab.locator(".live-widget").evaluate_all(MADE_OF)

    yield visit
    for context in contexts:
        context.close()


def test_there_are_pages_with_widgets():
    assert len(WITH_WIDGETS) >= 16 and HTML / "index.html" in WITH_WIDGETS


@pytest.mark.parametrize("page", WITH_WIDGETS, ids=named)
def test_no_script_of_the_page_touches_a_widget(first_visit, page):
    _, alone = first_visit(page, Scripts(first="nothing else"))
    assert all(alone)
    for first in ("", "widgets", "page"):
        scripts = Scripts(first)
        tab, widgets = first_visit(page, scripts)
        assert bool(scripts.held) == (first == "widgets")
        assert tab.get_by_text("Click to show").count() == 0, first
        assert widgets == alone, first
