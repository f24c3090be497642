"""The build is strict and its cache tells the truth: shown on small books that are broken on purpose."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_twins import LESSON, ROOT

BOOK = Path(sys.executable).with_name("jupyter-book")
TOC = "format: jb-book\nroot: index\nchapters:\n  - file: lessons/lesson\n"
EXECUTED = "Execution Successful"
INDEX = "# A book\n\n## A section\n\nSee [the lesson](lessons/lesson.md).\n"


class Book:
    """A book with the course's own configuration, lib and tools, and one small lesson."""

    def __init__(self, folder: Path):
        self.folder, self.md = folder, folder / "lessons/lesson.md"
        for name in [
            "_config.yml",
            "lib",
            "records",
            "tools",
            "assets",
            "constraints.txt",
            "requirements.txt",
            "references.bib",
        ]:
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, folder / name)
        shutil.rmtree(folder / "assets/vendor")
        (folder / "assets/vendor/mathjax").mkdir(parents=True)
        (folder / "assets/vendor/mathjax/tex-mml-chtml.js").write_text("", encoding="utf-8")
        self.md.parent.mkdir()
        self.md.write_text(LESSON, encoding="utf-8")
        (folder / "_toc.yml").write_text(TOC, encoding="utf-8")
        (folder / "index.md").write_text(INDEX, encoding="utf-8")

    def build(self):
        environment = os.environ | {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [BOOK, "build", ".", "-W", "--keep-going", "-n"],
            cwd=self.folder,
            env=environment,
            encoding="utf-8",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return done.returncode, done.stdout

    def page(self):
        return (self.folder / "_build/html/lessons/lesson.html").read_text(encoding="utf-8")

    def change_lib(self, old, new):
        plan = self.folder / "lib/loading.py"
        assert old in plan.read_text(encoding="utf-8")
        plan.write_text(plan.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path)


def test_the_cache_tells_the_truth(book):
    code, log = book.build()
    assert code == 0, log
    assert ">34\n" in book.page() and EXECUTED in log and "Using cached notebook" in log, "executed twice"

    code, log = book.build()
    assert code == 0 and EXECUTED not in log, "nothing changed, yet a lesson was executed again"

    (book.folder / "index.md").write_text(INDEX + "\nMore.\n", encoding="utf-8")
    code, log = book.build()
    assert code == 0 and EXECUTED not in log, "only prose changed, yet a lesson was executed again"

    (book.folder / "records/speed-cpu.json").write_text("measured anew", encoding="utf-8")
    code, log = book.build()
    assert code == 0 and EXECUTED in log, "a record changed, yet the lessons were not executed again"

    book.change_lib("return -(-a // b)", "return a // b")
    code, log = book.build()
    assert code == 0, log
    assert ">33\n" in book.page(), "lib changed, and the page still shows the old result"

    book.change_lib("return a // b", "raise RuntimeError('half-way')")  # breaks off, then comes back
    assert book.build()[0] != 0
    book.change_lib("raise RuntimeError('half-way')", "return -(-a // b)")
    assert book.build()[0] == 0 and ">34\n" in book.page()


def test_a_tested_claim_is_shown_as_html_without_a_warning(book):
    box = "from lib.claims import ClaimTested\nClaimTested('c', 'holds', 'p', 'f', 'h', True, ids='A1')"
    book.md.write_text(LESSON.replace('print("two", 1 + 1)', box), encoding="utf-8")
    code, log = book.build()
    assert code == 0, log
    assert '<div class="claim-tested holds">' in book.page() and "held_fixed" not in book.page()


@pytest.mark.parametrize(
    "old, new, words",
    [
        ('print("two", 1 + 1)', 'print("two", 1 / 0)', ["ZeroDivisionError", "lesson.md", "1 / 0"]),
        (
            'print("two", 1 + 1)',
            "import sys; print('careful', file=sys.stderr)",
            ["stderr was found in the cell outputs"],
        ),
        ("# A lesson\n", "# A lesson\n\n[nowhere](nowhere.md)\n", ["nowhere"]),
        ("# A lesson\n", "# A lesson\n\n{term}`nonsense`\n", ["nonsense"]),
        ("# A lesson\n", "# A lesson\n\n![](missing.svg)\n", ["missing.svg"]),
        (
            'print("two", 1 + 1)',
            "get_ipython().display_pub.publish({'application/vnd.nobody+json': {}, 'text/plain': 'two 2'})",
            ["unknown output mime type"],
        ),
    ],
    ids=[
        "error in a cell",
        "stderr in a cell",
        "broken link",
        "unknown term",
        "missing image",
        "data of an unknown type",
    ],
)
def test_the_build_fails_on(book, old, new, words):
    book.md.write_text(LESSON.replace(old, new), encoding="utf-8")
    code, log = book.build()
    assert code != 0, log
    assert all(word in log for word in words), log
