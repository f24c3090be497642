"""Every statement of the two notes has a verdict, a lesson, and evidence that stands in it."""
import re
from pathlib import Path

import pytest

from lib.claims import VERDICTS
from lib.experiments.appendix import CONTRADICTIONS, NOTES, benchmark, claims, read_claims

ROOT = Path(__file__).resolve().parents[1]
CLAIMS = read_claims()
IDS = [f"{note}{number}" for note, last in [("A", 13), ("B", 20), ("C", 21)] for number in range(1, last + 1)]
KEYS = set(re.findall(r"^@\w+\{([^,]+),", (ROOT / "references.bib").read_text(), flags=re.MULTILINE))


def boxes(text):
    """(ids, verdict) of the ClaimTested boxes of a lesson."""
    return [(set(re.split(r",\s*", ids)), verdict) for verdict, ids in
            re.findall(r'verdict="([^"]+)".*?ids="([^"]+)"', text, flags=re.DOTALL)]


def test_every_claim_is_there_once():
    assert [claim["id"] for claim in CLAIMS] == IDS


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim["id"])
def test_a_claim_has_a_verdict_and_evidence(claim):
    assert claim["verdict"] in VERDICTS and claim["quote"] and claim["precisely"].endswith(".")
    lesson = ROOT / "lessons" / f"{claim['lesson']}.md"
    text = lesson.read_text()
    assert claim["evidence"] in text, f"{lesson.name} no longer has {claim['evidence']!r}"
    assert set(claim.get("sources", [])) <= KEYS
    judged = [verdict for ids, verdict in boxes(text) if claim["id"] in ids]
    if claim["evidence"].startswith("ids="):
        assert judged, f"no box of {lesson.name} names {claim['id']}"


def test_every_box_of_a_lesson_is_in_the_list():
    named = {claim["id"] for claim in CLAIMS}
    for lesson in sorted((ROOT / "lessons").glob("*.md")):
        for ids, _ in boxes(lesson.read_text()):
            assert {i for i in ids if re.fullmatch(r"[ABC]\d+", i)} <= named


def test_contradictions_name_claims_and_lessons():
    assert len(CONTRADICTIONS) == 10
    for ids, _, _, lesson in CONTRADICTIONS:
        assert set(re.findall(r"[ABC]\d+", ids)) <= set(IDS)
        assert (ROOT / "lessons" / f"{lesson}.md").exists()


def test_pages_show_them():
    page = claims().data
    assert all(f"| {claim} |" in page for claim in IDS) and all(title in page for title in NOTES.values())
    table = benchmark().data
    assert "textbook DataLoader loop" in table and "B = 10,000" in table and "Load of the machine" in table
