"""What the book holds: its parts and pages as ``_toc.yml`` orders them, with their headings and reading times."""

import re
from dataclasses import dataclass
from pathlib import Path

import yaml
from IPython.display import Markdown

ROOT = Path(__file__).resolve().parents[1]
WORDS_PER_MINUTE = 200
CELL = re.compile(r"^```\{code-cell\}.*\n(?P<head>(?::.*\n)*)(?P<code>(?:.*\n)*?)```$", flags=re.MULTILINE)
FOLDED = re.compile(r"hide-input|remove-input|remove-cell")  # tags of cells whose code the page does not show
TIME = re.compile(r"(?<=\*\*Time:\*\* )\d+ minutes?(?= to read\b)")  # in a lesson's box


@dataclass(frozen=True)
class Page:
    """A page of the book, by its own heading.

    Attributes
    ----------
    name : str
        Its path without the ending, as in ``lessons/01-epoch``.
    heading : str
        Of a lesson its number, name and question: ``1 · Epoch: how often has the network seen each sample?``
    minutes : int
        To read it, see :func:`minutes_to_read`.
    """

    name: str
    heading: str
    minutes: int


def parts(root: Path = ROOT) -> dict[str, list[Page]]:
    """The pages of each part, by the part's caption."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    return {
        part["caption"]: [read_page(root, chapter["file"]) for chapter in part["chapters"]] for part in toc["parts"]
    }


def read_page(root: Path, name: str) -> Page:
    """A page by its path without the ending; ValueError if it has no heading."""
    text = (root / f"{name}.md").read_text(encoding="utf-8")
    heading = re.search(r"^# (.+)$", text, flags=re.MULTILINE)
    if heading is None:
        raise ValueError(f"{name}.md has no heading; start it with a line such as: # 1 · Epoch: how often?")
    return Page(name, heading[1], minutes_to_read(text))


def minutes_to_read(text: str) -> int:
    """Minutes for what a page shows, in Markdown, at 200 words a minute, at least 1.

    Prose and visible code count, folded code and outputs do not. A formula is one word.
    """
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = CELL.sub(lambda cell: "" if FOLDED.search(cell["head"]) else cell["code"], text)
    text = re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$", " formula ", text, flags=re.DOTALL)
    text = re.sub(r"\{[\w:-]+\}|\]\([^)]*\)|^:[\w-]+:.*$|^\([\w-]+\)=$", " ", text, flags=re.MULTILINE)
    words = re.findall(r"\w[\w'’.,-]*", text)
    return max(1, round(len(words) / WORDS_PER_MINUTE))


def minutes(number: int) -> str:
    """As in *1 minute*, *12 minutes*."""
    return f"{number} minute{'' if number == 1 else 's'}"


def with_reading_time(text: str) -> str:
    """A lesson whose *Time* line says what its words take."""
    return TIME.sub(minutes(minutes_to_read(text)), text)


def lessons(root: Path = ROOT) -> dict[str, list[Page]]:
    """The parts that hold lessons."""
    found = {
        caption: [page for page in pages if page.name.startswith("lessons/")] for caption, pages in parts(root).items()
    }
    return {caption: pages for caption, pages in found.items() if pages}


def as_table(root: Path = ROOT) -> Markdown:
    """All lessons by their headings, with the time to read each and all."""
    lines = ["| lesson | to read |", "|---|--:|"]
    total = 0
    for caption, pages in lessons(root).items():
        lines.append(f"| *{caption}* | |")
        for page in pages:
            lines.append(f"| [{page.heading}]({page.name}.md) | {page.minutes} min |")
            total += page.minutes
    lines.append(f"| *all* | {total // 60} h {total % 60} min |")
    return Markdown("\n".join(lines))
