"""The same run in every framework: whole, true to lib.frameworks, and a table that can be filtered."""

import re

import pytest
from playwright.sync_api import expect
from test_pages import HTML

from book import dictionary
from lib.frameworks import FRAMEWORKS

PAGE = HTML / "frameworks.html"
BY_NAME = pytest.mark.parametrize("framework", dictionary.by_name(), ids=lambda framework: framework.key)


def test_at_least_twenty_five_frameworks():
    assert len({framework.package for framework in FRAMEWORKS.values()}) >= 25


@BY_NAME
@pytest.mark.parametrize("run", [dictionary.EASY, dictionary.HARD], ids=["easy", "hard"])
def test_the_run_can_be_written(framework, run):
    written = dictionary.arguments(framework, run)
    assert framework.plan(**written).total_iterations == dictionary.counted(framework, run)
    said = {dictionary.ROLES.get(name) for name in written}
    assert said & {"epochs", "iterations", "visits", "samples"}, "no argument says how long the run is"
    assert {"batch", "batch_size", "epochs", "max_epochs"} & set(framework.arguments) <= set(written)


def test_known_counts():
    """Seen in the running frameworks: 34 batches an epoch, 4 accumulated, 3 epochs; and 20 batches an epoch."""
    hard = {"transformers": 27, "lightning": 27, "keras": 25, "optax": 25, "deepspeed": 25, "litgpt": 25}
    hard |= {"torchtune": 24, "torch": 24, "sklearn-mlp": 102, "skorch": 102, "sklearn-kmeans": 100, "spacy": 27}
    assert {key: dictionary.counted(FRAMEWORKS[key], dictionary.HARD) for key in hard} == hard
    assert {dictionary.counted(FRAMEWORKS[key], dictionary.EASY) for key in hard} == {60}


@BY_NAME
def test_an_entry_says_how_it_is_known(framework):
    mark = "run" if framework.executed else "read"
    for table in (dictionary.runs(), dictionary.words(), dictionary.defaults(), dictionary.habits()):
        rows = [line.replace("`", "") for line in table.splitlines()]
        (row,) = [line for line in rows if line.startswith(f"| **{framework.name}** ")]
        assert row.split(" | ")[0].endswith(f"{framework.version} *{mark}*")
    entry = dictionary.entries().replace("`", "").split(f"### {framework.name}\n")[1]
    assert entry.strip().startswith("Run and counted" if framework.executed else "Read in the source")


@BY_NAME
def test_threads_have_their_address(framework):
    for text in framework.sources:
        assert dictionary.source(text).startswith("[" if re.fullmatch(r"\S+ #\d+", text) else "`")


def test_names_stand_as_code():
    assert dictionary._code("max_steps wins over epochs=3; f(x) of optimizer.step, `a_b`, --lr-x.") == (
        "`max_steps` wins over `epochs=3`; `f(x)` of `optimizer.step`, `a_b`, `--lr-x`."
    )


@pytest.fixture
def table(browser):
    context = browser.new_context()
    tab = context.new_page()
    tab.goto(PAGE.as_uri())
    yield tab.locator(".filterable").first
    context.close()


def test_filter_by_keyboard(table):
    rows, total = table.locator("tbody tr:visible"), len(FRAMEWORKS)
    expect(rows).to_have_count(total)
    word, shown = table.get_by_role("searchbox"), table.get_by_role("status")
    word.press_sequentially("keras")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Keras 3")
    expect(shown).to_have_text(f"1 of {total} rows")
    word.press("Enter")  # sends nothing anywhere
    expect(rows).to_have_count(1)
    word.press("ControlOrMeta+a")
    word.press("Delete")
    known = table.get_by_role("combobox")
    known.focus()
    known.press_sequentially("read")
    read = [one.name.replace("'", "’") for one in dictionary.by_name() if not one.executed]
    expect(rows.locator("td:first-child strong")).to_have_text(read, use_inner_text=True)
    word.fill("nothing has this")
    expect(rows).to_have_count(0)


def test_table_without_scripts_and_on_paper(browser, table):
    table.get_by_role("searchbox").fill("keras")
    table.page.emulate_media(media="print")
    expect(table.locator("tbody tr:visible")).to_have_count(len(FRAMEWORKS))
    expect(table.get_by_role("searchbox")).to_be_hidden()
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(PAGE.as_uri())
    expect(tab.locator(".filterable").first.locator("tbody tr:visible")).to_have_count(len(FRAMEWORKS))
    assert tab.locator(".filterable form").count() == 0
    context.close()
