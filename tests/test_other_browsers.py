"""The built pages in Firefox ESR and in WebKitGTK: sliders by keyboard, charts, formulas."""

import os
import time

import other_browsers
import pytest
from test_pages import HTML

from lib.plan import TrainingPlan

SLICER, FOUR_CLOCKS = HTML / "lessons/02-iteration.html", HTML / "lessons/07-four-clocks.html"
REGION = """document.querySelector('.course-widget[aria-label="{}"]')"""


@pytest.fixture(scope="module", params=["firefox", "webkit"])
def tab(request):
    lacking = other_browsers.missing(request.param)
    if lacking:
        message = f"{request.param} is not installed; on Debian: apt-get install {' '.join(lacking)}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    browser = {"firefox": other_browsers.Firefox, "webkit": other_browsers.WebKit}[request.param]
    with browser.start() as tab:
        yield tab


def becomes(tab, expression, wanted):
    """Wait until an expression has a value, at most ten seconds."""
    end = time.monotonic() + 10
    while (found := tab.evaluate(expression)) != wanted and time.monotonic() < end:
        time.sleep(0.1)
    assert found == wanted, expression


def test_a_slider_follows_the_keyboard(tab):
    tab.open(SLICER.as_uri())
    slicer = REGION.format("Batch slicer")
    becomes(tab, f"{slicer} !== null", True)
    number = f"{slicer}.querySelector('[data-number={{}}]').textContent".format
    assert tab.evaluate(number("total_iterations")) == f"{TrainingPlan(10_000, 300, epochs=3).total_iterations}"
    tab.evaluate(f"""{slicer}.querySelector('[type=range][aria-label="Epochs E"]').focus()""")
    tab.press("ArrowRight", "ArrowRight")
    becomes(tab, number("total_iterations"), f"{TrainingPlan(10_000, 300, epochs=5).total_iterations}")
    tab.evaluate(f"""{slicer}.querySelector('[type=range][aria-label="Batch size B"]').focus()""")
    tab.press("ArrowLeft", "ArrowLeft")
    size = int(tab.evaluate(f"""{slicer}.querySelector('[type=number][aria-label="Batch size B, exact"]').value"""))
    assert 250 < size < 300
    becomes(tab, number("iterations_per_epoch"), f"{TrainingPlan(10_000, size).iterations_per_epoch}")


def test_a_chart_is_drawn_and_changes(tab):
    tab.open(FOUR_CLOCKS.as_uri())
    clocks = REGION.format("Four clocks")
    becomes(tab, f"{clocks} !== null", True)
    count = f"{clocks}.querySelectorAll('{{}}').length".format
    assert tab.evaluate(count("polyline.line")) == tab.evaluate(count("circle.finish")) == 5
    box = f"(box => [box.width, box.height])({clocks}.querySelector('svg.sheet').getBoundingClientRect())"
    width, height = tab.evaluate(box)
    assert width > 300 and height > 200
    said = f"{clocks}.querySelector('.said').textContent"
    before = tab.evaluate(said)
    tab.evaluate(f"""(list => {{ list.value = "samples"; list.dispatchEvent(new Event("change")); }})(
        {clocks}.querySelector('select'))""")
    after = tab.evaluate(said)
    assert "iterations" in before and "samples" in after and before != after
    figures = "[...document.querySelectorAll('.course-figure svg')].map(svg => svg.getBoundingClientRect().height)"
    heights = tab.evaluate(figures)
    assert heights and min(heights) > 100


def test_formulas_are_set(tab):
    tab.open(SLICER.as_uri())
    becomes(tab, "!!(window.MathJax && MathJax.startup && MathJax.startup.promise)", True)
    tab.evaluate("MathJax.startup.promise.then(() => true)")
    count = "document.querySelectorAll('{}').length".format
    assert tab.evaluate(count("mjx-container")) >= tab.evaluate(count("span.math, div.math")) > 0
    assert tab.evaluate(count("mjx-merror")) == 0
    height = "document.querySelector('mjx-container').getBoundingClientRect().height"
    assert tab.evaluate(height) > 5
