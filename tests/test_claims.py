"""Every statement of the two notes, and of papers on tokens, has a verdict, a lesson, and evidence in it."""

import re
from pathlib import Path

import nbclient
import nbformat
import pytest
from myst_nb.core.render import MimeData, load_mime_renders
from test_prose import computed, numbers

from book.benchmark import benchmark
from book.claims import BoxData, boxes, contradictions, of_note, read_claims, read_contradictions, score, summary
from lib.claims import MIME, VERDICTS, ClaimTested

ROOT = Path(__file__).resolve().parents[1]
CLAIMS = read_claims()
ON_TOKENS = sum(claim["id"].startswith("D") for claim in CLAIMS)
LAST = [
    ("A", 13),
    ("B", 20),
    ("C", 21),
    ("D", ON_TOKENS),
    ("T", 3),
]  # the two notes are closed; statements on tokens may be added
IDS = [f"{note}{number}" for note, last in LAST for number in range(1, last + 1)]
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
        assert claim["found"].endswith(".") and "assert" not in claim["found"]
        twin = nbformat.read(ROOT / "lessons" / f"{claim['lesson']}.ipynb", as_version=4)
        assert not foreign_numbers(claim["found"], computed(twin)), "the lesson has no such number"
    else:  # a measured one: a box of its lesson names it and came to the same verdict
        found = {box["verdict"] for box in BOXES if box["lesson"] == claim["lesson"] and claim["id"] in box["ids"]}
        assert claim["verdict"] in found, f"the boxes of the lesson that name it say {found or 'nothing'}"


def foreign_numbers(text, known):
    """Numbers of two or more digits in a text that a lesson's code neither has nor gives."""
    known = known | {f"{float(number):.0f}" for number in known if float(number) < 1e6}
    return [number for number in numbers(text) if len(number.lstrip("0.")) > 1 and number not in known]


def test_that_check_can_fail():
    assert foreign_numbers("It made 102 iterations, 34.5 % of 10,000 and 8.", {"102", "10000"}) == ["34.5"]


def test_every_box_is_read_and_names_known_claims():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "lessons").glob("*.md")]
    assert len(BOXES) == sum(len(re.findall(r"^ClaimTested\(", text, flags=re.MULTILINE)) for text in sources) > 0
    for box in BOXES:
        assert box["found"] and {i for i in box["ids"] if re.fullmatch(r"[ABCDT]\d+", i)} <= set(IDS)


def test_a_box_is_stored_as_data_beside_text_and_html(tmp_path):
    """Executed as a lesson is: two boxes in one notebook, in any words, come back as they were."""
    words = 'claim="It says: ”a\\nb” <i>", verdict="holds", precisely="P: q.", finding="Found: 1", held_fixed="h"'
    code = f"from lib.claims import ClaimTested\nClaimTested({words}, supported=True, ids='A1, B2')"
    shown = "display(ClaimTested('c', 'does not hold', 'p', 'f', 'h', True)); print(1)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in (code, shown)])
    nbclient.NotebookClient(notebook, kernel_name="python3").execute()
    nbformat.write(notebook, tmp_path / "03-example.ipynb")
    first, second = boxes(tmp_path)
    assert first == {
        "lesson": "03-example",
        "ids": ["A1", "B2"],
        "claim": "It says: ”a\nb” <i>",
        "verdict": "holds",
        "precisely": "P: q.",
        "found": "Found: 1",
        "held_fixed": "h",
    }
    assert (second["verdict"], second["ids"]) == ("does not hold", [])
    data = notebook.cells[0].outputs[0]["data"]
    assert set(data) == {"text/plain", "text/html", MIME}
    assert "Found: Found: 1" in data["text/plain"] and "&lt;i&gt;" in data["text/html"]


def test_a_verdict_that_the_numbers_leave_is_no_box():
    with pytest.raises(AssertionError, match="no longer support"):
        ClaimTested("c", "holds", "p", "f", "h", supported=False)
    with pytest.raises(ValueError, match="must be one of"):
        ClaimTested("c", "perhaps", "p", "f", "h", supported=True)


def test_contradictions_name_claims_and_lessons():
    assert len(read_contradictions()) == 10
    for each in read_contradictions():
        assert set(re.findall(r"[ABC]\d+", each["claims"])) <= set(IDS)
        assert (ROOT / "lessons" / f"{each['lesson']}.md").exists()
        assert each["said"] in contradictions().data and each["resolved"] in contradictions().data


def test_pages_show_them():
    page = "".join(of_note(note).data for note in "ABCDT")
    assert all(f":name: claim-{claim.lower()}\n" in page for claim in IDS)
    assert all(box["found"] in page for box in BOXES if box["ids"] == ["B19"])
    assert all(claim["found"] in page for claim in CLAIMS if "evidence" in claim) and "assert" not in page
    table = benchmark().data
    assert "textbook DataLoader loop" in table and "B = 10,000" in table and "Load of the machine" in table


def test_the_bar_counts_every_claim():
    assert f"Of <strong>{len(IDS)}</strong> statements" in score() and summary().data.startswith(score())
    shares = re.findall(r'<span class="([\w-]+)" style="flex-grow: (\d+)">\2</span>', score())
    assert [kind for kind, _ in shares] == [verdict.replace(" ", "-") for verdict in VERDICTS]
    for kind, number in shares:
        assert int(number) == sum(claim["verdict"].replace(" ", "-") == kind for claim in CLAIMS) > 0
        assert f'<a href="claims.html?verdict={kind}"><strong>{number}</strong>' in score(page="claims.html")


def test_the_book_shows_the_html_of_a_box_and_not_its_data():
    """MyST-NB warns of types that it does not know, and a build with a warning fails; the package names a renderer."""
    assert BoxData in load_mime_renders(), "the package is installed as it was before; run: make install"
    data = MimeData(MIME, {"ids": []})
    assert BoxData.handle_mime(None, data, False) == [] and BoxData.handle_mime(None, data, True) == []
    assert BoxData.handle_mime(None, MimeData("text/html", "<b>"), False) is None
