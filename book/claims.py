"""The page of the claims: their verdicts and what the lessons found, and the contradictions between them."""

from collections import Counter
from functools import cache
from pathlib import Path

import nbformat
import yaml
from IPython.display import Markdown

from lib.claims import MIME

ROOT = Path(__file__).resolve().parents[1]


def read_claims() -> list[dict]:
    """The entries of ``claims.yml``, in order."""
    return yaml.safe_load((ROOT / "claims.yml").read_text(encoding="utf-8"))


def read_contradictions() -> list[dict]:
    """The entries of ``contradictions.yml``, in order."""
    return yaml.safe_load((ROOT / "contradictions.yml").read_text(encoding="utf-8"))


@cache
def boxes(lessons: Path = ROOT / "lessons") -> list[dict]:
    """The *claim tested* boxes in the executed twins, as data: ``lesson`` and what ``ClaimTested.as_data`` gives."""
    found = []
    for twin in sorted(lessons.glob("*.ipynb")):
        for cell in nbformat.read(twin, as_version=4).cells:
            for output in cell.get("outputs", []):
                if MIME in output.get("data", {}):
                    found.append({"lesson": twin.stem, **output["data"][MIME]})
    return found


class BoxData:
    """Tells MyST-NB that the data of a box are not to be shown: its HTML is."""

    mime_priority_overrides: tuple = ()

    @staticmethod
    def handle_mime(renderer, data, inline):
        return [] if data.mime_type == MIME else None


def lesson_link(name: str) -> str:
    """A link to a lesson by its number."""
    return f"[Lesson {int(name.split('-')[0])}](lessons/{name}.md)"


def summary() -> Markdown:
    """How many claims have which verdict."""
    number = Counter(claim["verdict"] for claim in read_claims())
    return Markdown(
        f"Of {number.total()} statements {number['holds']} hold, {number['holds only if']} hold only under a "
        f"condition, and {number['does not hold']} do not hold."
    )


def of_note(note: str) -> Markdown:
    """The claims of a note: verdict, the statement that holds, what the lessons' runs found, the literature."""
    lines = []
    for claim in (claim for claim in read_claims() if claim["id"].startswith(note)):
        naming = [box for box in boxes() if claim["id"] in box["ids"]]
        own = [box["found"] for box in naming if (box["lesson"], box["verdict"]) == (claim["lesson"], claim["verdict"])]
        if not own and "evidence" not in claim:
            raise AssertionError(
                f"Claim {claim['id']} {claim['verdict']}, it says here, but no box of "
                f"{claim['lesson']} that names it has this verdict."
            )
        found = "; ".join(own) or f"`{claim['evidence']}`"
        rows = [
            ("Claim", f"“{claim['quote']}”"),
            ("Verdict", claim["verdict"]),
            ("Precisely", claim["precisely"]),
            ("Found", f"{lesson_link(claim['lesson'])}: {found}"),
        ]
        others = sorted({box["lesson"] for box in naming} - {claim["lesson"]})
        if others:
            rows.append(("See also", ", ".join(map(lesson_link, others))))
        if "sources" in claim:
            rows.append(("Literature", f"{{cite}}`{','.join(claim['sources'])}`"))
        lines += [
            f":::{{container}} claim-tested {claim['verdict'].replace(' ', '-')}",
            f":name: claim-{claim['id'].lower()}",
            "",
            "{.claim-title}",
            claim["id"],
            "",
            *(f"{name}\n: {text}\n" for name, text in rows),
            ":::",
            "",
        ]
    return Markdown("\n".join(lines))


def contradictions() -> Markdown:
    """The ten contradictions between and within the notes."""
    rows = [
        f"| {each['claims']} | {each['said']} | {each['resolved']} | {lesson_link(each['lesson'])} |"
        for each in read_contradictions()
    ]
    return Markdown("\n".join(["| claims | said | resolved | shown in |", "|---|---|---|---|", *rows]))
