"""The widgets in the built pages, used by keyboard and mouse in a real browser. `make test` builds the book first."""

import functools
import gzip
import http.server
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from test_pages import CONTENT, HTML, PAGES, named

from lib import records
from lib.explain import explain
from lib.plan import TrainingPlan
from lib.statistics import critical_batch_size, steps_to_target

LESSON = {
    name[:2]: HTML / f"lessons/{name}.html"
    for name in [
        "01-epoch",
        "02-iteration",
        "03-batch-size",
        "04-steps-per-epoch",
        "14-what-is-a-batch-of-tokens",
    ]
}
FOUR_CLOCKS, STEPS_TO_TARGET = HTML / "lessons/07-four-clocks.html", HTML / "lessons/08-steps-to-target.html"


@pytest.fixture
def opened(browser):
    """Opens a page from disk; at the end nothing may have been requested from elsewhere, and no error logged."""
    contexts, outside, errors = [], [], []

    def open_page(page, width=1280, scheme="light", **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
        tab.on(
            "request",
            lambda request: (
                outside.append(request.url) if not request.url.startswith(("file:", "data:", "blob:")) else None
            ),
        )
        tab.goto(page.as_uri())
        tab.wait_for_load_state("load")
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert outside == [] and errors == []


def number(widget, name):
    return int(widget.locator(f"[data-number={name}]").inner_text().replace(",", ""))


def press(locator, key, times=1):
    locator.focus()
    for _ in range(times):
        locator.press(key)


def drag(tab, slider, share):
    """Drag a slider's handle to a share of its length."""
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    first, last = (float(slider.get_attribute(name)) for name in ("min", "max"))
    at = (float(slider.input_value()) - first) / (last - first)
    tab.mouse.move(box["x"] + 8 + at * (box["width"] - 16), middle)
    tab.mouse.down()
    tab.mouse.move(box["x"] + share * box["width"], middle, steps=6)
    tab.mouse.up()


@pytest.mark.parametrize("page", [HTML / "index.html", LESSON["02"]], ids=named)
def test_batch_slicer(opened, page):
    tab = opened(page)
    slicer = tab.get_by_role("region", name="Batch slicer")
    assert number(slicer, "iterations_per_epoch") == 34 and number(slicer, "last_batch_size") == 100

    slider, field = (slicer.get_by_role(role, name="Batch size B") for role in ("slider", "spinbutton"))
    press(slider, "ArrowRight", 3)  # a logarithmic slider goes from one round number to the next
    assert field.input_value() == "330" and slider.get_attribute("aria-valuetext") == "330"
    assert number(slicer, "last_batch_size") == TrainingPlan(10_000, 330).last_batch_size == 100
    places = []
    for size in ("32", "64", "320", "640"):
        field.fill(size)
        field.press("Enter")
        places.append(int(slider.input_value()) / int(slider.get_attribute("max")))
    assert min(places[1] - places[0], places[3] - places[2]) > 0.1

    drag(tab, slider, 0.6)
    size = int(field.input_value())
    assert 70 < size < 300
    plan = TrainingPlan(10_000, size, epochs=3)
    assert number(slicer, "total_iterations") == plan.total_iterations
    assert slicer.locator("rect.cell:not(.end)").count() == 3 * plan.batches_per_epoch  # a row an epoch

    field.fill("9999")
    field.press("Enter")
    assert number(slicer, "last_batch_size") == 1 and number(slicer, "iterations_per_epoch") == 2
    tails = slicer.locator("rect.tail")
    assert tails.first.bounding_box()["width"] > 2  # one sample in 10,000, and still to be seen
    assert tails.last.bounding_box()["width"] > 15  # where the end of an epoch is enlarged
    slicer.get_by_role("checkbox", name="drop a last batch").press("Space")
    assert number(slicer, "samples_dropped_per_epoch") == 1 and number(slicer, "total_iterations") == 3
    height = slicer.bounding_box()["height"]
    field.fill("20000")
    field.press("Enter")
    expect(slicer.locator(".legend")).to_contain_text("every batch is dropped")
    assert abs(slicer.bounding_box()["height"] - height) < 1  # the page below does not jump
    assert slicer.locator("[data-number=total_iterations]").inner_text() == "–"


@pytest.mark.parametrize("width", [1280, 390])
def test_batch_slicer_shows_that_each_epoch_starts_anew(opened, width):
    slicer = opened(LESSON["02"], width).get_by_role("region", name="Batch slicer")
    texts = slicer.locator("svg.sheet text").all_text_contents()
    assert [text for text in texts if text.startswith("epoch ")] == ["epoch 1", "epoch 2", "epoch 3"]
    assert [text for text in texts if text in ("34", "68", "102")] == ["34", "68", "102"]
    assert texts[-5:-1] == ["300", "300", "300", "100"]  # the enlarged end
    one_row = TrainingPlan(30_000, 300).total_iterations
    expect(slicer.locator(".legend")).to_contain_text(
        f"3 times 34 is 102. In one row, all 30,000 samples would make {one_row}."
    )
    assert slicer.locator("path.group").count() == 0
    for name, size in [("Accumulation A", "4"), ("Batch size B", "800")]:
        field = slicer.get_by_role("spinbutton", name=name)
        field.fill(size)
        field.press("Enter")
    plan = TrainingPlan(10_000, 800, epochs=3, accumulation_steps=4)  # 13 batches: 4, 4, 4 and 1
    at_end = 2  # the last four batches belong to two iterations
    assert slicer.locator("path.group").count() == 3 * plan.iterations_per_epoch + at_end == 14
    expect(slicer.get_by_role("img")).to_have_accessible_name(re.compile("4 batches make one iteration, marked by"))
    picture = slicer.locator("svg.sheet").bounding_box()
    for text in slicer.locator("svg.sheet text").all():
        box = text.bounding_box()
        assert picture["x"] - 1 <= box["x"] and box["x"] + box["width"] <= picture["x"] + picture["width"] + 1


def test_batch_slicer_walks_through_a_run(opened):
    tab = opened(LESSON["02"])
    slicer = tab.get_by_role("region", name="Batch slicer")
    clock, plan = slicer.locator(".clock"), TrainingPlan(10_000, 300, epochs=3)
    press(slicer.get_by_role("button", name="One iteration"), "Enter", 2)
    expect(clock).to_contain_text(
        f"epoch 1 of 3 · iteration 2 of 34 · 2 of 102 iterations and {plan.samples_after(2)} of"
    )
    slicer.get_by_role("button", name="To the end of the epoch").click()
    slicer.get_by_role("button", name="One iteration").click()
    expect(clock).to_contain_text(
        "epoch 2 of 3 · iteration 1 of 34 · 35 of 102 iterations and 10,300 of 30,000 samples"
    )
    field = slicer.get_by_role("spinbutton", name="Batch size B")
    field.fill("2500")
    field.press("Enter")
    press(slicer.get_by_role("slider", name="Accumulation A"), "ArrowRight")
    slicer.get_by_role("button", name="Play").press("Space")
    expect(clock).to_contain_text(
        "epoch 3 of 3 · iteration 2 of 2 · 6 of 6 iterations and 30,000 of 30,000", timeout=6_000
    )
    expect(slicer.get_by_role("button", name="Play")).to_be_visible()
    expect(slicer.get_by_role("status")).to_contain_text("6 of 6 iterations")


def test_explain_my_number(opened):
    tab = opened(HTML / "explain.html")
    widget = tab.get_by_role("region", name="Explain my number")
    said, word = widget.locator(".explained"), widget.get_by_role("textbox", name="The number")
    expect(said.locator("p").first).to_have_text(
        explain(294, 9_400, batch_size=8, accumulation_steps=12, epochs=3, framework="transformers").found[0].because
    )
    expect(said).to_contain_text("Before 4.52 it would show 291.")
    word.fill("291")
    word.press("Enter")
    expect(said).to_contain_text("Hugging Face Trainer before 4.52 shows it as global_step")
    word.fill("1,875")
    word.press("Tab")  # on to the samples
    expect(said).to_contain_text("Nothing that is known here gives 1,875")
    tab.keyboard.type("60000")
    for name in ("Batch size B, per device", "Accumulation A", "Epochs E"):
        field = widget.get_by_role("textbox", name=name)
        field.click()
        field.fill("")
        field.press("Enter")
    widget.get_by_role("combobox", name="Framework").select_option(label="Keras")
    first = explain(1_875, 60_000, framework="keras").found[0]
    expect(said.locator("p").first).to_have_text(first.because)
    expect(said.locator("li").first).to_have_text(str(first.sources[0]))
    expect(widget.get_by_role("status")).to_have_text(first.because)
    word.fill("1.5")
    word.press("Enter")
    expect(said).to_have_text("The number is 1.5, but it must be a whole number.")


def test_path_viewer(opened):
    tab = opened(LESSON["03"])
    viewer = tab.get_by_role("region", name="Path viewer")
    text = tab.locator(".widget-text", has_text="Path viewer").text_content()  # made by Python
    distance = viewer.locator("[data-number=distance]")
    assert number(viewer, "iterations") == 100 and f"end {distance.inner_text()} from" in text

    viewer.get_by_role("button", name="Stochastic").press("Enter")
    assert number(viewer, "iterations") == 2_000 and distance.inner_text() in text
    press(viewer.get_by_role("slider", name="Batch size B"), "ArrowRight", 2)
    assert number(viewer, "iterations") == TrainingPlan(200, 3, epochs=10).total_iterations
    drag(tab, viewer.get_by_role("slider", name="Batch size B"), 1)
    assert number(viewer, "iterations") == 10 and distance.inner_text() in text
    viewer.get_by_role("button", name="Start again").click()
    press(viewer.get_by_role("button", name="One iteration"), "Enter", 3)
    assert number(viewer, "iterations") == 3 and number(viewer, "samples") == 600
    viewer.get_by_role("button", name="Play").click()
    expect(viewer.locator("[data-number=iterations]")).to_have_text("10", timeout=5_000)

    assert viewer.locator("line.tick").count() == viewer.locator(".picture text").count() - 2 == 9
    # The bottom is drawn after the walk, so above it, and with a rim.
    order = viewer.locator("polyline.walk, .here, .bottom").evaluate_all(
        "nodes => nodes.map(node => node.classList[0])"
    )
    assert order == ["walk", "here", "bottom", "bottom"] and viewer.locator(".bottom.halo").count() == 1
    before = float(distance.inner_text())
    press(viewer.get_by_role("slider", name="Learning rate"), "End")
    assert viewer.get_by_role("slider", name="Learning rate").input_value() == "1.2"
    assert float(distance.inner_text()) > 2 * before  # above 2/L full batch flies off
    rate, size = (viewer.get_by_role("spinbutton", name=name) for name in ("Learning rate", "Batch size B"))
    for batch_size, learning_rate, words in [
        (200, 1.2, "The walk diverges: above a learning rate of 0.997, full batch"),
        (200, 1.0, "The walk diverges"),
        (200, 0.98, "10 of 10 iterations in 10 epochs"),
        (20, 1.0, "The walk diverges: it ends farther from the bottom than it began"),
        (1, 1.0, "The walk flies off"),
        (1, 0.2, "2,000 of 2,000 iterations in 10 epochs"),
    ]:
        for field, value in ((size, batch_size), (rate, learning_rate)):
            field.fill(str(value))
            field.press("Enter")
        expect(viewer.locator(".clock")).to_contain_text(words)


def test_devices(opened):
    tab = opened(LESSON["04"])
    devices = tab.get_by_role("region", name="Devices and accumulation")
    assert number(devices, "global_batch_size") == 12 and number(devices, "samples_repeated_per_epoch") == 1
    press(devices.get_by_role("slider", name="Devices W"), "ArrowRight")
    plan = TrainingPlan(26, 2, accumulation_steps=2, world_size=4)
    for name in ["global_batch_size", "samples_per_device", "iterations_per_epoch", "samples_repeated_per_epoch"]:
        assert number(devices, name) == getattr(plan, name)
    assert devices.locator("thead th").count() == 4 and devices.locator("b[title=repeated]").count() == 2
    assert devices.locator("tbody tr").first.locator("td").nth(1).inner_text().split() == ["1", "5", "9", "13"]

    devices.get_by_role("checkbox", name="repeat samples").click()
    assert number(devices, "samples_dropped_per_epoch") == 2
    expect(devices.get_by_role("row", name="given to no device")).to_contain_text("24 25")
    drag(tab, devices.get_by_role("slider", name="Accumulation A"), 1)
    devices.get_by_role("combobox").select_option("carry")
    expect(devices.locator(".legend")).to_contain_text("too few batches for one iteration")
    press(devices.get_by_role("slider", name="Batch size B"), "ArrowLeft")
    assert number(devices, "global_batch_size") == 16 and number(devices, "iterations_per_epoch") == 1
    expect(devices.get_by_role("row", name="carried into the next epoch")).to_contain_text("16 20")


def test_documents_in_rows(opened):
    tab = opened(LESSON["14"])
    rows = tab.get_by_role("region", name="Documents in rows")
    text = tab.locator(".widget-text", has_text="Documents in rows").text_content()  # made by Python
    assert f"make {number(rows, 'rows')} rows" in text and f"{number(rows, 'targets')} tokens count" in text
    assert rows.locator("[data-number=waste]").inner_text() in text

    press(rows.get_by_role("combobox", name="Rows"), "ArrowDown")
    assert number(rows, "cut_off") == 0 and number(rows, "rows") == 12  # 375 tokens, 32 a row
    drag(tab, rows.get_by_role("slider", name="Row length T"), 1)
    assert rows.get_by_role("slider", name="Row length T").input_value() == "64" and number(rows, "rows") == 6
    rows.get_by_role("button", name="Start again").click()
    assert rows.locator(".piece.ahead").count() == rows.locator(".piece").count()
    press(rows.get_by_role("button", name="One document"), "Enter", 2)
    expect(rows.locator(".clock")).to_contain_text("2 of 25 laid: document 2")
    press(rows.get_by_role("slider", name="Sorted in pools of"), "End")
    expect(rows.get_by_role("status")).to_contain_text("6 rows")


def first_two(clock, value, sizes):
    """When the shortest of the recorded runs ends, and the best two batch sizes at that time with their values."""
    runs = records.load("four-clocks-cpu").table
    means = (
        runs[runs["batch_size"].isin(sizes)]
        .groupby(["batch_size", "iteration"], as_index=False)[["samples", value]]
        .mean()
    )
    time = means.groupby("batch_size")[clock].max().min()
    there = {size: np.interp(time, one[clock], one[value]) for size, one in means.groupby("batch_size")}
    best = sorted(there, key=there.get, reverse="accuracy" in value)[:2]
    return time, [(size, there[size]) for size in best]


def test_four_clocks(opened):
    tab = opened(FOUR_CLOCKS)
    clocks = tab.get_by_role("region", name="Four clocks")
    said, lines = clocks.locator(".said"), clocks.locator("polyline.line")
    sizes = [8, 32, 128, 512, 2048]

    def expect_order(clock, unit, sizes):
        """The ranks at a training loss of 1.0, as the record has them; gives back who is first."""
        runs = records.load("four-clocks-cpu").table
        reached = steps_to_target(runs[runs["batch_size"].isin(sizes)], 1.0, run=["batch_size", "seed"])
        order = reached.groupby("batch_size")[clock].mean().sort_values()
        ranks = clocks.get_by_role("listitem").all_inner_texts()
        assert [text.split(" (")[0].strip() for text in ranks] == [
            f"{size:,}: {f'{mean:,.0f}' if mean >= 1_000 else f'{mean:.3g}'} {unit}" for size, mean in order.items()
        ]
        expect(said).to_contain_text(f"batch size {order.index[0]:,} (")
        expect(clocks.get_by_role("img")).to_have_accessible_name(
            re.compile(f"^train loss against {unit}. First to train loss 1.0 ")
        )
        assert lines.count() == clocks.locator("circle.finish").count() == len(sizes)
        return order.index[0]

    def expect_said(clock, value, label, sizes):
        time, best = first_two(clock, value, sizes)
        first, second = (re.escape(f"batch size {size:,} ({at:.3f})") for size, at in best)
        expect(said).to_contain_text(re.compile(f"^After [0-9,]+ {label} {first} .*{second}"))
        assert float(said.inner_text().split()[1].replace(",", "")) == pytest.approx(time, rel=5e-3)
        expect(clocks.get_by_role("img")).to_have_accessible_name(
            f"{value.replace('_', ' ')} against {label}. {said.inner_text()}"
        )
        assert lines.count() == len(sizes) and clocks.locator("circle.finish").count() == 0

    clock, value = (clocks.get_by_role("combobox", name=name) for name in ("Clock", "Shown"))
    assert clock.locator("option").all_inner_texts() == ["iterations", "samples", "compute in GFLOP", "seconds"]
    assert expect_order("iteration", "iterations", sizes) == 2048
    press(clock, "ArrowDown")
    assert expect_order("samples", "samples", sizes) == 8  # the other end, in the same runs
    press(clock, "ArrowDown", 2)
    expect(said).to_have_text(re.compile(r"^First to train loss 1.0 (is|are) batch size [\d,]+ \([\d.]+ seconds\)"))
    press(clock, "ArrowUp", 3)
    press(clocks.get_by_role("checkbox", name="2,048"), "Space")
    assert expect_order("iteration", "iterations", sizes[:-1]) == 512
    value.press_sequentially("test")
    expect_said("iteration", "test_accuracy", "iterations", sizes[:-1])

    clocks.get_by_role("checkbox", name="512", exact=True).click()
    expect_said("iteration", "test_accuracy", "iterations", [8, 32, 128])
    clocks.get_by_role("group", name="Batch sizes").get_by_text("2,048").click()
    expect_said("iteration", "test_accuracy", "iterations", [8, 32, 128, 2048])
    expect(clocks.get_by_role("status")).to_have_text(said.inner_text())
    for box in clocks.get_by_role("checkbox", checked=True).all()[::-1]:
        box.click()
    expect(said).to_have_text("Choose at least one batch size.")
    assert lines.count() == 0 and clocks.get_by_role("listitem").count() == 0


def test_four_devices_find_room_on_a_telephone(opened):
    shares = opened(HTML / "lessons/13-many-devices.html", width=390).locator(".shares")
    assert shares.get_by_role("columnheader").count() == 4
    assert shares.evaluate("shares => shares.scrollWidth <= shares.clientWidth")


def test_steps_to_target(opened):
    tab = opened(STEPS_TO_TARGET)
    steps = records.load("steps-to-target").tables["steps"]
    steps = steps[steps["target"] == 1.0]
    mean, found = steps.groupby("batch_size")["iteration"].mean(), critical_batch_size(steps).b_crit
    widget = tab.get_by_role("region", name="Steps to target")
    guess, reply, picture = widget.get_by_role("textbox"), widget.get_by_role("status"), widget.get_by_role("img")
    expect(picture).to_have_accessible_name(
        re.compile(f"from {mean.iloc[0]:,.0f} down to {mean.iloc[-1]:,.0f}\\.$")
    )  # and nothing about the law yet
    assert widget.locator("circle.measured").count() == len(mean) == 9
    assert widget.locator(".perfect, .critical, .guessed").count() == 0
    press(guess, "Enter")
    expect(reply).to_contain_text("Write a batch size first")

    written = f"The critical batch size is {found.estimate:.3g} (95 % interval {found.low:.3g} to {found.high:.3g})"
    guess.press_sequentially("16")
    guess.press("Enter")
    expect(reply).to_contain_text(f"{written}; your guess 16 is below the interval.")
    expect(picture).to_have_accessible_name(re.compile("your guess 16 is below"))
    assert all(widget.locator(kind).count() == 1 for kind in (".perfect", ".line-1", ".critical", ".guessed"))
    critical, guessed = (widget.locator(kind) for kind in (".critical", ".guessed"))
    left = guessed.bounding_box()["x"]
    assert left < critical.bounding_box()["x"]

    widget.get_by_text("From which batch size on").click()  # the label leads to its field
    tab.keyboard.press("ControlOrMeta+a")
    tab.keyboard.type("1,024")
    widget.get_by_role("button", name="Show").click()
    expect(reply).to_contain_text(f"{written}; your guess 1,024 is above the interval.")
    assert guessed.bounding_box()["x"] > critical.bounding_box()["x"] > left
    guess.fill(f"{found.estimate:.0f}")
    widget.get_by_role("button", name="Show").click()
    expect(reply).to_contain_text("is within the interval.")


def test_predict_a_number(opened):
    tab = opened(LESSON["02"])
    question = tab.locator(".predict", has_text="N = 10,000, B = 300")
    answer, feedback = question.get_by_role("textbox", name="Your answer"), question.get_by_role("status")
    for text, reply in [
        ("", "Write a number first"),
        ("many", "Write a number first"),
        ("100", "You rounded at the end"),
        ("77", "The answer is larger"),
        ("1,000", "The answer is smaller"),
        ("102", "Right: 102."),
    ]:
        answer.fill(text)
        answer.press("Enter")
        expect(feedback).to_contain_text(reply)
    tab.reload()
    assert feedback.inner_text() == "" and answer.input_value() == ""
    question.get_by_role("button", name="Show the answer").click()
    expect(feedback).to_contain_text("The answer: 102.")
    assert tab.evaluate("document.cookie") == ""


def test_predict_a_choice(opened):
    tab = opened(LESSON["03"], width=390)
    question = tab.get_by_role("group", name="Which ends nearest to the bottom?")
    feedback = tab.locator(".predict", has=question).get_by_role("status")
    question.get_by_role("button", name="Check").click()
    expect(feedback).to_contain_text("Choose one first.")
    press(question.get_by_role("radio", name="mini-batch"), "ArrowUp")
    tab.keyboard.press("Enter")
    expect(feedback).to_contain_text("Not this one. Its directions are exact")
    question.get_by_text("mini-batch").click()
    question.get_by_role("button", name="Check").press("Enter")
    expect(feedback).to_contain_text("Right: mini-batch.")


def test_every_widget_in_a_page_is_alive(opened):
    for page in CONTENT:
        text = page.read_text(encoding="utf-8")
        views = text.count("widget-view+json")
        assert ("static-widgets.js" in text) == ("widget-state+json" in text) and text.count("widget-text") >= views
        if views:
            tab = opened(page)
            expect(tab.locator(".live-widget")).to_have_count(views)
            assert tab.locator(".widget-text:visible").count() == 0


def test_lessons_hold_the_widgets():
    """Each lesson asks for predictions, and its own widget is there."""
    for number, name in [
        ("02", "Batch slicer"),
        ("03", "Path viewer"),
        ("04", "Devices and accumulation"),
        ("14", "Documents in rows"),
    ]:
        assert name in LESSON[number].read_text(encoding="utf-8")
    assert all(page.read_text(encoding="utf-8").count("<p>Question: ") >= 3 for page in LESSON.values())


@pytest.mark.parametrize("page", LESSON.values(), ids=named)
def test_text_stands_without_scripts_and_on_paper(opened, page):
    views = page.read_text(encoding="utf-8").count("widget-view+json")
    without = opened(page, java_script_enabled=False)
    assert without.locator(".widget-text:visible").count() == views > 0
    printed = opened(page)
    expect(printed.locator(".live-widget")).to_have_count(views)
    printed.emulate_media(media="print")
    assert printed.locator(".widget-text:visible").count() == views
    assert printed.locator(".live-widget:visible").count() == 0


def test_a_control_that_needs_python_says_so(opened):
    note = opened(LESSON["03"], java_script_enabled=False).locator(".needs-python")
    expect(note).to_contain_text("needs Python")
    plan = TrainingPlan(10_000, 500)
    expect(note.locator("pre")).to_contain_text(f"{plan.total_iterations} iterations in")


COLORS = [
    "color-contrast",
    "link-in-text-block",
]  # the rules that take long and that a narrow screen leaves as they are
NARROW = {"rules": {rule: {"enabled": False} for rule in COLORS}}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_axe_finds_nothing(opened, page):
    """Every rule of axe in light and on a narrow screen, and its rules on colours in dark; also with answers shown."""
    tab = opened(page)
    if tab.locator(".math").count():
        tab.evaluate("MathJax.startup.promise")
    for button in tab.get_by_role("button", name="Show the answer").all():
        button.click()
    for button in tab.get_by_role("button", name="Check").all()[:1]:
        button.click()
    for width, scheme, options in [(1280, "light", {}), (1280, "dark", {"runOnly": COLORS}), (390, "light", NARROW)]:
        tab.set_viewport_size({"width": width, "height": 900})
        tab.emulate_media(color_scheme=scheme)
        expect(tab.locator("html")).to_have_attribute("data-theme", scheme)
        tab.wait_for_timeout(350)  # the theme's colours fade
        found = Axe().run(tab, options={"preload": False, **options}).response
        assert len(found["passes"]) >= len(options.get("runOnly", [0] * 30)) - 1
        assert [(rule["id"], node["html"][:200]) for rule in found["violations"] for node in rule["nodes"]] == []
        assert tab.evaluate("document.documentElement.scrollWidth") <= width


class Zipped(http.server.SimpleHTTPRequestHandler):
    """Serves text gzipped, as web servers do, and counts the bytes."""

    sent: dict = {}

    def do_GET(self):
        file = Path(self.translate_path(self.path))
        file = file / "index.html" if file.is_dir() else file
        if not file.exists():
            return self.send_error(404)
        zipped = file.suffix in (".html", ".js", ".css", ".svg", ".json", ".inv")
        body = gzip.compress(file.read_bytes(), 6) if zipped else file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(file)))
        self.send_header("Content-Length", str(len(body)))
        if zipped:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)
        self.sent[file.name] = len(body)

    def log_message(self, *message):
        pass


@pytest.fixture(scope="module")
def site():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Zipped, directory=str(HTML)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize("page", [HTML / "index.html", *LESSON.values()], ids=named)
def test_usable_soon_on_a_slow_link(browser, site, page, capsys):
    """Cold cache, 1.6 Mbit/s, 150 ms: the first widget answers in under 2.5 s. The best of up to three loads counts,
    because another process may have the processor."""
    Zipped.sent.clear()
    times = []
    while len(times) < 3 and min(times, default=9) > 2.5:
        context = browser.new_context()
        tab = context.new_page()
        link = context.new_cdp_session(tab)
        link.send("Network.enable")
        link.send(
            "Network.emulateNetworkConditions",
            {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 93_750},
        )
        tab.add_init_script("""new MutationObserver(() => {
            if (!window.usable && document.querySelector(".live-widget button")) window.usable = performance.now();
        }).observe(document, { childList: true, subtree: true })""")
        tab.goto(f"{site}/{named(page)}", wait_until="commit")
        tab.wait_for_function("window.usable", timeout=20_000)
        times.append(tab.evaluate("window.usable") / 1_000)
        tab.wait_for_load_state("load")
        context.close()
    with capsys.disabled():
        own = Zipped.sent[page.name]
        print(
            f"\n{named(page)}: usable after {min(times):.1f} s; page {own / 1e3:.0f} kB, with all it loads "
            f"{sum(Zipped.sent.values()) / 1e3:.0f} kB (gzip)",
            end=" ",
        )
    assert min(times) < 2.5
