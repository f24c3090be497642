"""The .ipynb twins are what their .md gives, and the checks that say so can fail."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import jupytext
import nbclient
import nbformat
import pytest

from lib import records

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import twins  # noqa: E402

LESSONS = twins.sources()


def test_there_are_lessons():
    assert len(LESSONS) >= 4


@pytest.mark.parametrize("md", LESSONS, ids=lambda md: md.name)
def test_twin_is_up_to_date(md):
    assert twins.problems(md) == []


@pytest.mark.parametrize("md", LESSONS, ids=lambda md: md.name)
def test_source_is_canonical(md):
    assert md.read_text(encoding="utf-8") == twins.canonical(md), (
        f"run: python tools/twins.py format {md.relative_to(ROOT)}"
    )


@pytest.mark.parametrize("md", LESSONS, ids=lambda md: md.name)
def test_visible_code_fits_the_page(md):
    visible, folded = code_of(md)
    long = [line for lines, width in ((visible, 84), (folded, 120)) for line in lines if len(line) > width]
    assert long == []


RESHAPING = r"\.(groupby|agg|pivot|pivot_table|merge|melt|stack|unstack|set_index|reset_index|query|transform)\("


@pytest.mark.parametrize("md", LESSONS, ids=lambda md: md.name)
def test_visible_code_shows_the_idea_and_reshapes_no_table(md):
    visible, _ = code_of(md)
    assert [line for line in visible if re.search(RESHAPING, line)] == []


def code_of(md: Path) -> tuple[list[str], list[str]]:
    """Lines of code that a reader sees at once, and those that are folded."""
    lines: tuple[list[str], list[str]] = [], []
    for cell in jupytext.read(md).cells:
        if cell.cell_type == "code":
            folded = {"hide-input", "remove-input"} & set(cell.metadata.get("tags", []))
            lines[bool(folded)].extend(cell.source.split("\n"))
    return lines


@pytest.mark.parametrize("md", LESSONS, ids=lambda md: md.name)
def test_no_machine_path_in_a_twin(md):
    twin = md.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert str(ROOT) not in twin and str(Path.home()) not in twin.replace("/root-", "")


LESSON = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A lesson

```{code-cell} ipython3
from lib.plan import TrainingPlan

TrainingPlan(10_000, 300).iterations_per_epoch
```

```{code-cell} ipython3
print("two", 1 + 1)
```
"""


class Copy:
    """A course with one small lesson, which may be broken."""

    def __init__(self, folder: Path):
        self.folder, self.md, self.twin = folder, folder / "lessons/lesson.md", folder / "lessons/lesson.ipynb"
        for name in [
            "lib",
            "tools",
            "conftest.py",
            "constraints.txt",
            "pyproject.toml",
            "requirements.txt",
            "tests/nbval_sanitize.cfg",
            "tests/test_twins.py",
        ]:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, folder / name)
        self.md.parent.mkdir()
        self.md.write_text(LESSON, encoding="utf-8")

    def run(self, *command):
        environment = os.environ | {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [sys.executable, *command], cwd=self.folder, env=environment, encoding="utf-8", capture_output=True
        )

    def write(self):
        return self.run("tools/twins.py", "write")

    def check(self):
        """Outcome of what `make test` runs on a lesson."""
        up_to_date = "tests/test_twins.py::test_twin_is_up_to_date"
        return self.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "lessons", up_to_date)

    def edit_twin(self, change):
        notebook = json.loads(self.twin.read_text(encoding="utf-8"))
        change(notebook["cells"])
        self.twin.write_text(json.dumps(notebook), encoding="utf-8")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    copy = Copy(tmp_path_factory.mktemp("course"))
    done = copy.write()
    assert done.returncode == 0, done.stdout + done.stderr
    return copy


@pytest.fixture
def course(written, tmp_path):
    copy = Copy(tmp_path)
    shutil.copy(written.twin, copy.twin)
    return copy


def test_writing_twice_gives_the_same_bytes(written):
    before = written.twin.read_bytes()
    assert written.write().returncode == 0
    assert written.twin.read_bytes() == before


def test_an_intact_lesson_passes(course):
    done = course.check()
    assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout


def test_a_cell_that_was_never_executed_fails(course):
    def forget(cells):
        cells[-1]["execution_count"], cells[-1]["outputs"] = None, []

    course.edit_twin(forget)
    done = course.check()
    assert done.returncode == 1 and "never executed in the stored notebook" in done.stdout, done.stdout


def test_a_cell_that_is_left_to_the_reader_is_not_run(tmp_path):
    course = Copy(tmp_path)
    tags = ":tags: [exercise, nbval-skip, skip-execution]"
    cell = f'\n```{{code-cell}} ipython3\n{tags}\n\nassert "changed"  == "to do"\n```\n'
    first, last = LESSON.split("\n```{code-cell} ipython3\nprint")
    course.md.write_text(f"{first}{cell}\n```{{code-cell}} ipython3\nprint{last}", encoding="utf-8")
    written = course.write()
    assert written.returncode == 0 and "executing" in written.stdout, written.stdout + written.stderr
    done = course.check()
    assert done.returncode == 0 and "3 passed, 1 skipped" in done.stdout, done.stdout


def test_a_stale_twin_fails(course):
    course.md.write_text(LESSON.replace("1 + 1", "1 + 2"), encoding="utf-8")
    done = course.check()
    assert done.returncode == 1 and "lesson.ipynb differs from lesson.md in cell 2" in done.stdout, done.stdout


def test_a_changed_output_fails(course):
    def change(cells):
        cells[-1]["outputs"][0]["text"] = ["two 3\n"]

    course.edit_twin(change)
    done = course.check()
    assert done.returncode == 1 and "two 3" in done.stdout, done.stdout


def test_a_changed_lib_fails(course):
    plan = course.folder / "lib/loading.py"
    broken = plan.read_text(encoding="utf-8").replace("return -(-a // b)", "return a // b")
    assert broken != plan.read_text(encoding="utf-8")
    plan.write_text(broken, encoding="utf-8")
    done = course.check()
    assert done.returncode == 1 and "34" in done.stdout and "33" in done.stdout, done.stdout


def test_a_failing_cell_is_named(course):
    course.md.write_text(LESSON.replace("1 + 1", "1 / 0"), encoding="utf-8")
    before = course.twin.read_bytes()
    done = course.write()
    assert done.returncode == 1
    assert "lesson.md fails in this cell" in done.stderr and "1 / 0" in done.stderr and "ZeroDivision" in done.stderr
    assert course.twin.read_bytes() == before


MEASURED = LESSON.replace(
    """print("two", 1 + 1)""",
    """from lib.records import remember


def squares(n):
    import pandas as pd

    return pd.DataFrame({"square": [i * i for i in range(n)]})


print(remember("squares", squares, n=3).table["square"].tolist())""",
)


def executed(done):
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"executing (\S+)", done.stdout)


def test_only_what_changed_is_executed_again_whatever_the_files_times(course, tmp_path, monkeypatch):
    both, record = ["lesson.md", "measured.md"], course.folder / "records/squares.json"
    (course.folder / "lessons/measured.md").write_text(MEASURED, encoding="utf-8")
    course.twin.unlink()
    assert executed(course.run("tools/twins.py", "update")) == both
    assert executed(course.run("tools/twins.py", "update")) == []

    clone = Copy(tmp_path / "clone")
    for file in [*(course.folder / "lessons").iterdir(), record]:
        (clone.folder / file.parent.name).mkdir(exist_ok=True)
        shutil.copy(file, clone.folder / file.parent.name)  # with new times, the twins older than lib
    for file in (clone.folder / "lessons").iterdir():
        os.utime(file, (1, 1))
    assert executed(clone.run("tools/twins.py", "update")) == []

    record.unlink()
    assert executed(course.run("tools/twins.py", "update")) == ["measured.md"] and record.exists()
    monkeypatch.setattr(records, "RECORDS", record.parent)
    measured = records.load("squares")
    records.save("squares", dataclasses.replace(measured, provenance=measured.provenance | {"seconds": 9.0}))
    assert executed(course.run("tools/twins.py", "update")) == ["measured.md"]
    course.md.write_text(LESSON.replace("1 + 1", "1 + 2"), encoding="utf-8")
    assert executed(course.run("tools/twins.py", "update")) == ["lesson.md"]
    with open(course.folder / "lib/advise/pairs.csv", "a", encoding="utf-8") as pairs:
        pairs.write("mlp,sgd,1.0,1,1,1,1\n")  # data of lib, which outputs may show
    assert executed(course.run("tools/twins.py", "update")) == both
    (course.folder / "lib/new.py").write_text("", encoding="utf-8")
    assert executed(course.run("tools/twins.py", "update")) == both


def test_a_lesson_that_fails_does_not_stop_the_others(course):
    (course.folder / "lessons/a-broken.md").write_text(LESSON.replace("1 + 1", "1 / 0"), encoding="utf-8")
    course.twin.unlink()
    done = course.run("tools/twins.py", "update")
    assert done.returncode == 1 and "a-broken.md fails in this cell" in done.stderr
    assert course.twin.exists() and not (course.folder / "lessons/a-broken.ipynb").exists()


def test_the_records_of_a_lesson_are_found_in_its_code():
    found = {md.stem[:2]: twins.records_of(twins.code(jupytext.read(md))) for md in LESSONS}
    assert found["01"] == found["17"] == set()
    assert found["05"] == {"gradient-noise", "batch-losses", "travel-*"}
    assert found["09"] == {"learning-rate", "travel-*"}
    assert "speed-*" in found["06"] and {"four-clocks-*", "steps-to-target"} <= found["07"]
    assert any(fnmatch("travel-mlp", pattern) for pattern in found["10"]), "its verdicts travel"
    pages = [twins.records_of(twins.code(jupytext.read(page))) for page in ROOT.glob("*.md")]
    patterns = set().union(*found.values(), *pages)
    # one is read by book.benchmark, which no function of lib leads to; the other is only there to be run again
    names = {path.stem for path in (ROOT / "records").glob("*.json")} - {"throughput", "token-float64"}
    assert [name for name in sorted(names) if not any(fnmatch(name, pattern) for pattern in patterns)] == []


def test_nothing_is_sent_to_a_kernel_that_is_about_to_reply():  # importing twins sees to it
    cells = [
        "import ipywidgets",
        "@ipywidgets.interact(size=[1, 2])\ndef show(size):\n    print('shown', size)",
        "print('in the kernel:', show.widget.out.outputs)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, kernel_name="python3").execute()
    assert notebook.cells[2].outputs[0].text == "in the kernel: ()\n"
    assert "shown 1" in str(notebook.metadata.widgets)
