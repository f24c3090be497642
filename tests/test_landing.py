"""The landing page and the page of the claims, as a reader uses them. `make test` builds them first."""

import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect
from test_pages import HTML

from book import contents, landing
from book.claims import read_claims
from lib import records

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import freshness  # noqa: E402

INDEX, CLAIMS = HTML / "index.html", HTML / "claims.html"
ALL = read_claims()


@pytest.fixture
def tab(browser):
    context = browser.new_context(viewport={"width": 1300, "height": 850})
    yield context.new_page()
    context.close()


def test_the_first_screen_says_what_shows_it_and_leads_on(tab):
    tab.goto(INDEX.as_uri())
    tab.wait_for_selector(".live-widget button")
    start = tab.get_by_role("link", name="Start with lesson 1")
    for shown in (
        tab.get_by_text("For you if you train networks"),
        start,
        tab.locator("[data-number=iterations_per_epoch]"),
    ):
        box = shown.first.bounding_box()
        assert box["y"] + box["height"] < 850
    start.click()
    expect(tab.get_by_role("heading", level=1)).to_contain_text("1 · Epoch")


def test_the_landing_page_has_findings_score_and_all_lessons(tab):
    tab.goto(INDEX.as_uri())
    pictures = tab.locator(".finding svg[role=img]")
    assert pictures.count() == 3 and tab.locator(".score .bar span").count() == 3
    assert all(len(picture.get_attribute("aria-label").split()) > 15 for picture in pictures.all())
    listed = {" ".join(row.inner_text().split()) for row in tab.locator("table tr").all()}
    for page in (page for pages in contents.lessons().values() for page in pages):
        assert f"{page.heading} {page.minutes} min" in listed
    for name in ("ten minutes", "one hour", "a course to teach", "a run that puzzles me"):
        assert tab.locator(".way", has_text=f"I have {name}").get_by_role("link").count() >= 1
    assert "make book" in tab.locator("pre").last.inner_text() and "make test" in tab.locator("pre").last.inner_text()


def test_a_finding_that_its_record_leaves_is_no_finding(monkeypatch):
    load = records.load

    def turned(name, *where):
        record = load(name, *where)
        for table in record.tables.values():
            if "iteration" in table and "samples" in table:
                table["iteration"] = table["samples"].astype(float)  # then the order does not turn round
            if "mean" in table:
                table["mean"] = 1.0
        return record

    assert landing.findings().data.count("container} finding\n") == 3
    monkeypatch.setattr(records, "load", turned)
    for finding in (landing.faster_turns_round, landing.saving_ends, landing.noise_halves):
        with pytest.raises(AssertionError, match="The landing page says"):
            finding()


def test_claims_are_kept_by_verdict_and_word(tab):
    tab.goto(f"{INDEX.as_uri()}")
    tab.get_by_role("link", name="do not hold").click()
    wrong = [claim["id"] for claim in ALL if claim["verdict"] == "does not hold"]
    expect(tab.get_by_role("search").locator("output")).to_have_text(f"{len(wrong)} of {len(ALL)} claims")
    assert tab.locator(".claim:visible .claim-id").all_inner_texts() == wrong
    form = tab.get_by_role("search").filter(has_text="Keep claims with")
    form.get_by_label("verdict").select_option("any verdict")
    form.get_by_label("Keep claims with").fill("DROP_LAST none")
    assert tab.locator(".claim:visible .claim-id").all_inner_texts() == ["C19"]
    form.get_by_label("Keep claims with").fill("")
    assert tab.locator(".claim:visible").count() == len(ALL)


def test_a_link_to_a_claim_opens_it(tab):
    tab.goto(f"{CLAIMS.as_uri()}?verdict=holds#claim-b15")
    claim = tab.locator("#claim-b15")
    expect(claim).to_be_in_viewport()
    expect(claim.locator("details p").first).to_contain_text("Found in Lesson 3: the bytes of the weights")
    tab.get_by_role("link", name="Link to claim A7").click()
    expect(tab.locator("#claim-a7 details p").first).to_be_visible()


def test_without_scripts_every_claim_stands_there(browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{CLAIMS.as_uri()}?verdict=holds")
    assert page.locator(".claim:visible").count() == len(ALL)
    context.close()


def test_the_records_of_a_page_are_found_through_what_it_calls():
    dates = freshness.record_dates(ROOT / "lessons/07-four-clocks.md")
    assert {"four-clocks-cpu", "speed-cpu", "steps-to-target"} <= {name for names in dates.values() for name in names}
    of_landing = freshness.record_dates(ROOT / "index.md")
    assert {"gradient-noise"} <= {name for names in of_landing.values() for name in names}
    assert freshness.record_dates(ROOT / "lessons/01-epoch.md") == {}
    done = {"mtime": 0.0, "runtime": 2.4}
    assert "in 2 s, with Python 3." in freshness.sentence(done, {}) and "Records" not in freshness.sentence(done, {})
    assert "Records: a, b of 2026-01-01; c of 2026-01-02." in freshness.sentence(
        done, {"2026-01-01": ["a", "b"], "2026-01-02": ["c"]}
    )
    assert freshness.sentence(None, {}).startswith("Nothing is executed")
