"""The page of the claims: their verdicts and what the lessons found, and the contradictions between them."""

from collections import Counter
from functools import cache
from pathlib import Path

import nbformat
import yaml
from IPython.display import Markdown

from lib.claims import MIME, VERDICTS

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


def score(page: str = "") -> str:
    """How many claims have which verdict, as a bar in HTML.

    ``page`` is the address of the page of the claims; there each part of the bar keeps the claims with its verdict.
    """
    number = Counter(claim["verdict"] for claim in read_claims())
    said = {"holds": "hold", "holds only if": "hold only under a condition", "does not hold": "do not hold"}
    parts, keys = "", ""
    for verdict in VERDICTS:
        kind = verdict.replace(" ", "-")
        parts += f'<span class="{kind}" style="flex-grow: {number[verdict]}">{number[verdict]}</span>'
        link = f'<a href="{page}?verdict={kind}"><strong>{number[verdict]}</strong> {said[verdict]}</a>'
        keys += f'<li class="{kind}">{link}</li>'
    return (
        f'<div class="score"><p>Of <strong>{number.total()}</strong> statements:</p>'
        f'<div class="bar" aria-hidden="true">{parts}</div><ul>{keys}</ul></div>'
    )


def summary() -> Markdown:
    """How many claims have which verdict."""
    return Markdown(score())


def found_by(claim: dict) -> str:
    """What the lesson of a claim found, in words: of its box, or for an exact statement as ``claims.yml`` has it."""
    if "found" in claim:
        return claim["found"]
    own = [
        box["found"]
        for box in boxes()
        if claim["id"] in box["ids"] and (box["lesson"], box["verdict"]) == (claim["lesson"], claim["verdict"])
    ]
    if not own:
        raise AssertionError(
            f"Claim {claim['id']} {claim['verdict']}, it says here, but no box of "
            f"{claim['lesson']} that names it has this verdict."
        )
    return "; ".join(own)


def of_note(note: str) -> Markdown:
    """The claims of a note: verdict and the statement that holds; one click away what the lessons found, and papers."""
    lines = []
    for claim in (claim for claim in read_claims() if claim["id"].startswith(note)):
        name, kind = claim["id"].lower(), claim["verdict"].replace(" ", "-")
        others = sorted({box["lesson"] for box in boxes() if claim["id"] in box["ids"]} - {claim["lesson"]})
        more = [f"**Found** in {lesson_link(claim['lesson'])}: {found_by(claim)}"]
        if others:
            more.append(f"**See also** {', '.join(map(lesson_link, others))}.")
        if "sources" in claim:
            more.append(f"**Literature** {{cite}}`{','.join(claim['sources'])}`")
        lines += [
            f"::::{{container}} claim {kind}",
            f":name: claim-{name}",
            "",
            f'<a class="claim-id" href="#claim-{name}" aria-label="Link to claim {claim["id"]}">{claim["id"]}</a> '
            f"“{claim['quote']}”",
            "",
            f'<span class="verdict">{claim["verdict"]}</span> {claim["precisely"]}',
            "",
            f"<details><summary>Found in lesson {int(claim['lesson'].split('-')[0])}</summary>",
            "",
            *(f"{each}\n" for each in more),
            "</details>",
            "",
            "::::",
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
