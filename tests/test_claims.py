"""Every statement of the two notes has a verdict, a lesson, and evidence that stands in it."""

import re
from pathlib import Path

import pytest

from lib.claims import VERDICTS
from lib.experiments.appendix import CONTRADICTIONS, benchmark, boxes, claims, read_claims, summary

ROOT = Path(__file__).resolve().parents[1]
CLAIMS = read_claims()
IDS = [f"{note}{number}" for note, last in [("A", 13), ("B", 20), ("C", 21)] for number in range(1, last + 1)]
KEYS = set(re.findall(r"^@\w+\{([^,]+),", (ROOT / "references.bib").read_text(encoding="utf-8"), flags=re.MULTILINE))


BOXES = boxes()


def test_every_claim_is_there_once():
    assert [claim["id"] for claim in CLAIMS] == IDS


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim["id"])
def test_a_claim_has_the_verdict_of_its_lesson(claim):
    assert claim["verdict"] in VERDICTS and claim["quote"] and claim["precisely"].endswith(".")
    assert set(claim.get("sources", [])) <= KEYS
    if "evidence" in claim:  # an exact statement: its lesson asserts it
        lines = (ROOT / "lessons" / f"{claim['lesson']}.md").read_text(encoding="utf-8").splitlines()
        assert claim["evidence"].startswith("assert ")
        assert any(line.strip().startswith(claim["evidence"]) for line in lines), "the lesson no longer asserts this"
    else:  # a measured one: a box of its lesson names it and came to the same verdict
        found = {box["verdict"] for box in BOXES if box["lesson"] == claim["lesson"] and claim["id"] in box["ids"]}
        assert claim["verdict"] in found, f"the boxes of the lesson that name it say {found or 'nothing'}"


def test_every_box_is_read_and_names_known_claims():
    sources = [
        (ROOT / "lessons" / f"{lesson}.md").read_text(encoding="utf-8")
        for lesson in sorted({box["lesson"] for box in BOXES})
    ]
    assert len(BOXES) == sum(len(re.findall(r"^ClaimTested\(", text, flags=re.MULTILINE)) for text in sources)
    for box in BOXES:
        assert box["found"] and {i for i in box["ids"] if re.fullmatch(r"[ABC]\d+", i)} <= set(IDS)


def test_contradictions_name_claims_and_lessons():
    assert len(CONTRADICTIONS) == 10
    for ids, _, _, lesson in CONTRADICTIONS:
        assert set(re.findall(r"[ABC]\d+", ids)) <= set(IDS)
        assert (ROOT / "lessons" / f"{lesson}.md").exists()


def test_pages_show_them():
    page = "".join(claims(note).data for note in "ABC")
    assert all(f":name: claim-{claim.lower()}\n" in page for claim in IDS)
    assert summary().data.startswith("Of 54 statements ")
    assert all(box["found"] in page for box in BOXES if box["ids"] == ["B19"]) and "`assert count.sum()" in page
    table = benchmark().data
    assert "textbook DataLoader loop" in table and "B = 10,000" in table and "Load of the machine" in table
