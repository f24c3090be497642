"""Which homework question checks which objective of which lesson."""

import html
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def objectives() -> dict[tuple[int, int], str]:
    """The objectives of all lessons: (lesson, number in its list from 1) and the sentence."""
    found = {}
    for path in sorted((ROOT / "lessons").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        block = "".join(re.findall(r"\{admonition\} What you will learn\n(.*?)```", text, re.DOTALL)[:1])
        for number, sentence in enumerate(re.findall(r"^- (.*)$", block, re.MULTILINE), start=1):
            found[int(path.name[:2]), number] = sentence
    return found


def plain(sentence: str) -> str:
    """A sentence without its markup: terms as words, formulas as the characters they show."""
    for pattern, instead in {
        r"{[a-z]+}`([^`<]*?)(?: <[^`]*>)?`": r"\1",
        r"\\sqrt{?(\w+)}?": r"√\1",
        r"\s*\\(?:cdot|times)\s*": "·",
        r"[$*`{}]": "",
    }.items():
        sentence = re.sub(pattern, instead, sentence)
    return sentence


def checked() -> dict[tuple[int, int], list[str]]:
    """For each objective the questions that check it, as in ``hw01 q1``; written down in exercises/objectives.yml."""
    found: dict[tuple[int, int], list[str]] = {}
    for homework, questions in yaml.safe_load(
        (ROOT / "exercises" / "objectives.yml").read_text(encoding="utf-8")
    ).items():
        for question, its in questions.items():
            for lesson, number in its:
                found.setdefault((lesson, number), []).append(f"{homework} {question}")
    return found


def as_table() -> str:
    """An HTML table: lesson, objective, questions."""
    questions = checked()
    rows = "".join(
        f"<tr><td>{lesson}</td><td>{html.escape(plain(sentence))}</td>"
        f"<td>{', '.join(questions.get((lesson, number), ['none']))}</td></tr>"
        for (lesson, number), sentence in objectives().items()
    )
    return (
        '<table><thead><tr><th scope="col">lesson</th><th scope="col">objective</th>'
        f'<th scope="col">questions</th></tr></thead><tbody>{rows}</tbody></table>'
    )
