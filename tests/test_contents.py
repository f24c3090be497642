"""The list of lessons is made of the table of contents and the lessons' own headings, its times of their words."""

import re
from pathlib import Path

import pytest
import yaml

from book import contents

ROOT = Path(__file__).resolve().parents[1]
HEADER = "---\njupytext: {}\n---\n\n"


def small_book(folder, **pages):
    chapters = "".join(f"      - file: lessons/{name}\n" for name in pages)
    (folder / "_toc.yml").write_text(
        f"format: jb-book\nroot: index\nparts:\n  - caption: Counting\n    chapters:\n{chapters}"
        "  - caption: Appendix\n    chapters:\n      - file: glossary\n",
        encoding="utf-8",
    )
    (folder / "lessons").mkdir()
    (folder / "glossary.md").write_text("# Glossary\n", encoding="utf-8")
    for name, text in pages.items():
        (folder / f"lessons/{name}.md").write_text(text, encoding="utf-8")
    return folder


def test_a_lesson_is_listed_by_its_own_heading(tmp_path):
    root = small_book(tmp_path, first=f"{HEADER}# 1 · Epoch: how often?\n", second="# 2 · So?\n" + "word " * 600)
    first, second = contents.lessons(root)["Counting"]
    assert (first.heading, first.minutes, second.heading, second.minutes) == ("1 · Epoch: how often?", 1, "2 · So?", 3)
    table = contents.as_table(root).data
    assert "| [1 · Epoch: how often?](lessons/first.md) | 1 min |" in table and "| *all* | 0 h 4 min |" in table
    assert "glossary" not in table
    (root / "lessons/second.md").write_text("no heading", encoding="utf-8")
    with pytest.raises(ValueError, match="second.md has no heading"):
        contents.as_table(root)


def test_what_is_read_counts_and_what_is_folded_does_not():
    words = "word " * 500 + "\n"
    hidden = f"```{{code-cell}} ipython3\n:tags: [hide-input]\n\n{words}\n```\n"
    assert contents.minutes_to_read(words) == contents.minutes_to_read(words + hidden) == 2
    assert contents.minutes_to_read(words + hidden.replace("hide-input", "raises-exception")) == 5
    assert contents.minutes_to_read("$a + b + c$ " * 200) == 1
    assert contents.minutes_to_read(f"---\ntitle: {words}\n---\n{words}") == 2


def test_the_time_line_says_what_the_words_take():
    line = "**You need:** lesson 1. **Time:** 45 minutes to read, under 20 seconds to run.\n"
    assert "**Time:** 1 minute to read, under 20" in contents.with_reading_time(line)
    assert "**Time:** 3 minutes to read, under 20" in contents.with_reading_time(line + "word " * 600)


@pytest.mark.parametrize("lesson", sorted((ROOT / "lessons").glob("*.md")), ids=lambda path: path.name)
def test_a_lesson_states_the_time_that_its_words_take(lesson):
    text = lesson.read_text(encoding="utf-8")
    assert len(contents.TIME.findall(text)) == 1
    assert contents.with_reading_time(text) == text, "run: make lessons"


def test_every_lesson_is_in_the_list():
    listed = [page.name for pages in contents.lessons().values() for page in pages]
    assert sorted(listed) == sorted(f"lessons/{path.stem}" for path in (ROOT / "lessons").glob("*.md"))
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert listed == re.findall(r"lessons/[\w-]+", str(toc))
