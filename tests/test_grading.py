"""A class of more than forty submissions of every kind, graded in real sandboxes; and what grading promises besides."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from grading import report, sandbox
from grading.grade import part_of
from grading.owner import letters
from grading.release import Refused, refuse_leaks, release
from grading.roster import read_roster
from grading.submissions import collect
from tests.homework.hw01 import RIGHT, WRONG

ROOT = Path(__file__).resolve().parents[1]
reason = sandbox.why_not()
needs_sandbox = pytest.mark.skipif(reason is not None and not os.environ.get("CI"), reason=str(reason))
PERFECT = {question: codes[0] for question, codes in RIGHT.items()}
FULL = 20.0  # points of homework 1


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    return release(ROOT / "exercises" / "hw01.md", tmp_path_factory.mktemp("grading") / "hw01")


def notebook(released, student: str, answers: dict[str, str], first: str = "", repeat: int = 1) -> dict:
    """A student's notebook; an answer stands in the cell that the homework gives for it."""
    made = json.loads((released / "student" / "hw01.ipynb").read_text(encoding="utf-8"))
    cells, question = [], None
    for cell in made["cells"]:
        source = "".join(cell["source"])
        if source.startswith("STUDENT_ID"):
            cell["source"] = f"STUDENT_ID = {student!r}\n{first}"
        if source.startswith("**Question"):
            question = f"q{source.split('.')[0].split()[-1]}"
        if "otter_answer_cell" in cell["metadata"].get("tags", []) and question in answers:
            cell["source"] = answers[question]
            cells += [cell] * (repeat - 1)
        cells.append(cell)
    return made | {"cells": cells}


# Each kind: what the student writes, the points expected (None: no score), and how the status starts.
MISTAKES = {
    f"{question}-{name}": (question, code)
    for question in ("q1", "q3", "q5")
    for name, (code, _) in list(WRONG[question].items())[:6]
}
ATTACKS = {
    "crashed": (PERFECT | {"q2": "1 / 0"}, 16, "graded"),
    "syntax-error": (PERFECT | {"q2": "def count_run(:"}, 16, "graded"),
    "loops": (PERFECT | {"q2": "while True:\n    pass"}, 16, "graded"),
    "loops-when-called": (PERFECT | {"q2": "def count_run(*numbers):\n    while True:\n        pass"}, 16, "graded"),
    "loops-for-ever": (
        PERFECT | {"q2": "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True:\n    pass"},
        None,
        "timeout",
    ),
    "eats-memory": (PERFECT | {"q2": "hoard = bytearray(20 * 2**30)"}, 16, "graded"),
    "mis-typed": (
        PERFECT | {"q1": "iterations_per_epoch = '42'\ntotal_iterations = [1]\nlast_batch = None"},
        16,
        "graded",
    ),
    "renamed-variable": (PERFECT | {"q4": PERFECT["q4"].replace("true_passes", "my_passes")}, 18, "graded"),
    "exits": (PERFECT | {"q2": "import os\nos._exit(0)"}, None, "not gradable: the notebook ended"),
    "sys-exit": (PERFECT | {"q6": PERFECT["q6"] + "\nimport sys\nsys.exit()"}, FULL, "graded"),
    "kills": (
        PERFECT | {"q2": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"},
        None,
        "not gradable: the notebook ended",
    ),
    "network": (PERFECT | {"q2": "import socket\nsocket.create_connection(('192.0.2.1', 80), 2)"}, 16, "graded"),
    "prints-much": (PERFECT | {"q6": PERFECT["q6"] + "\nprint('x' * 30_000_000)"}, FULL, "graded"),
    "always-equal": (
        PERFECT
        | {
            "q1": "class A(int):\n    __eq__ = lambda s, o: True\n    __hash__ = int.__hash__\n"
            "    __lt__ = __gt__ = __le__ = __ge__ = __eq__\n"
            "iterations_per_epoch = total_iterations = last_batch = A(7)"
        },
        16,
        "graded",
    ),
    "tampers-with-checks": (
        {
            "q1": "import lib.homework.checks as c, lib.homework.answers as a\nc.run = lambda *x: []\n"
            "a.expect = lambda *x: None\ngrader.check = lambda *x: 'passed'"
        },
        0,
        "graded",
    ),
    "tampers-with-json": (
        {"q1": 'import json\njson.dumps = lambda *x, **y: \'{"plain": 1, "points": 99}\''},
        None,
        "timeout",
    ),
    "floods": (
        PERFECT
        | {
            "q2": "import os\nfor n in range(3, 20):\n    try:\n        while True:\n            os.write(n, b'x' * 65536)\n"
            "    except OSError:\n        pass"
        },
        None,
        ("not gradable", "timeout"),
    ),
}


@pytest.fixture(scope="module")
def classroom(released, tmp_path_factory):
    """The folder of submissions, the roster and what is expected of each student."""
    folder = tmp_path_factory.mktemp("class")
    submissions, expected = folder / "submissions", {}
    submissions.mkdir()
    outside = folder / "not-yours.txt"
    outside.write_text("untouched", encoding="utf-8")

    def hand_in(student, answers, points, status="graded", name=None, **choices):
        (submissions / (name or f"{student}.ipynb")).write_text(
            json.dumps(notebook(released, student, answers, **choices)), encoding="utf-8"
        )
        expected[student] = (points, status)

    hand_in("blank", {}, 0)
    for number in range(3):
        hand_in(
            f"right{number}",
            {question: codes[number] for question, codes in RIGHT.items()},
            FULL,
            name=f"right{number}_hw01.ipynb",
        )
    for name, (question, code) in MISTAKES.items():
        hand_in(letters(name), PERFECT | {question: code}, (1, FULL - 1))
    for name, (answers, points, status) in ATTACKS.items():
        hand_in(name, answers, points, status)
    hand_in("duplicated-cells", PERFECT, FULL, repeat=2)
    hand_in(
        "writes-files",
        PERFECT,
        FULL,
        first=f"open('mine.txt', 'w').write('x')\n"
        f"for path in ({str(outside)!r}, '/usr/bin/owned', 'lib/plan.py'):\n"
        f"    try:\n        open(path, 'w').write('owned')\n    except OSError:\n        pass",
    )
    copied = notebook(
        released, "right0", {question: code.replace("p.", "right.") for question, code in PERFECT.items()}
    )
    (submissions / "copied.ipynb").write_text(json.dumps(copied).replace("right.", "p."), encoding="utf-8")
    expected["copied"] = ((7, 13), "graded")  # functions and judgements are the same for all, numbers are not
    for name, content in {
        "not-json": b"PK maybe",
        "no-cells": b'{"cells": 7}',
        "odd-cells": b'{"cells": [{"source": 1}]}',
        "deep": b"[" * 100_000,
    }.items():
        (submissions / f"{name}.ipynb").write_bytes(content)
        expected[name] = (None, "not gradable: it")
    with zipfile.ZipFile(submissions / "zip-bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("hw01.ipynb", b" " * 300_000_000)
    with zipfile.ZipFile(submissions / "zipped.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/hw01.ipynb", json.dumps(notebook(released, "zipped", PERFECT)))
        archive.writestr("__MACOSX/folder/._hw01.ipynb", "")
    with zipfile.ZipFile(submissions / "two-in-one.zip", "w") as archive:
        archive.writestr("a.ipynb", "{}")
        archive.writestr("b.ipynb", "{}")
    (submissions / "link.ipynb").symlink_to(outside)
    os.mkfifo(submissions / "pipe.ipynb")
    (submissions / "loop.ipynb").symlink_to("loop.ipynb")
    damaged = bytearray((submissions / "zipped.zip").read_bytes())
    damaged[60:4000] = b"\xff" * (4000 - 60)  # the list of files is whole, their compressed bytes are not
    (submissions / "damaged.zip").write_bytes(damaged)
    bare = notebook(released, "no-source", PERFECT)
    bare["cells"].insert(3, {"cell_type": "code", "metadata": {}, "outputs": []})
    (submissions / "no-source.ipynb").write_text(json.dumps(bare), encoding="utf-8")
    expected |= {
        "no-source": (FULL, "graded"),
        "pipe": (None, "not gradable: it is no ordinary file"),
        "loop": (None, "not gradable: it is a link"),
        "damaged": (None, "not gradable: the zip file cannot be read"),
        "zip-bomb": (None, "not gradable: the notebook in the zip"),
        "zipped": (FULL, "graded"),
        "two-in-one": (None, "not gradable: the zip file has 2"),
        "link": (None, "not gradable: it is a link"),
        "absent": (None, "no submission"),
    }
    hand_in("twice", {}, FULL, name="twice.ipynb")
    os.utime(submissions / "twice.ipynb", (1, 1))
    hand_in("twice", PERFECT, FULL, name="hw01_twice.ipynb")
    roster = folder / "roster.csv"
    roster.write_text("student,name\n" + "".join(f"{student},\n" for student in expected), encoding="utf-8")
    hand_in("stranger", PERFECT, None, "not on the roster")
    (submissions / "=cmd.ipynb").write_text("{}", encoding="utf-8")
    expected["=cmd"] = (None, "not on the roster")
    return submissions, roster, expected, outside


def start(released, classroom, out, *more, **choices):
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "grading.grade",
            "hw01",
            str(classroom[0]),
            str(out),
            "--roster",
            str(classroom[1]),
            "--autograder",
            str(released / "autograder.zip"),
            "--cell-limit",
            "3",
            *more,
        ],
        cwd=ROOT,
        encoding="utf-8",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **choices,
    )


@pytest.fixture(scope="module")
def graded(released, classroom, tmp_path_factory):
    """The class, graded; killed once on the way."""
    out = tmp_path_factory.mktemp("out")
    killed = start(released, classroom, out)
    while len(list(out.glob("results/*.json"))) < 8:
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    kept = {path: path.stat().st_mtime_ns for path in out.glob("results/*.json")}
    done = start(released, classroom, out)
    said = done.communicate(timeout=400)
    assert done.returncode == 0, said
    again = {path: path.stat().st_mtime_ns for path in kept}
    assert len(kept) >= 8 and again == kept  # nothing finished was done again
    with open(out / "grades.csv", encoding="utf-8", newline="") as file:
        return out, {row["student"]: row for row in csv.DictReader(file)}


@needs_sandbox
def test_every_kind_of_submission_gets_what_is_written_down_for_it(graded, classroom):
    _, rows = graded
    expected = classroom[2]
    assert len(expected) > 45
    assert {name.lstrip("'") for name in rows} == set(expected)
    for student, (points, status) in expected.items():
        row = rows.get(student) or rows["'" + student]
        assert row["status"].startswith(status), (student, row)
        low, high = points if isinstance(points, tuple) else (points, points)
        if low is None:
            assert row["total"] == "", (student, row)
        else:
            assert low <= float(row["total"]) <= high, (student, row)


@needs_sandbox
def test_the_newest_counts_and_the_other_is_named(graded):
    row = graded[1]["twice"]
    assert (row["file"], row["other_files"], float(row["total"])) == ("hw01_twice.ipynb", "twice.ipynb", FULL)


@needs_sandbox
def test_nothing_outside_changed(graded, classroom):
    assert classroom[3].read_text(encoding="utf-8") == "untouched"
    assert not Path("/usr/bin/owned").exists()
    assert sorted(path.name for path in graded[0].iterdir()) == ["feedback", "grades.csv", "results", "summary.html"]


@needs_sandbox
def test_feedback_and_summary_name_the_misconceptions(graded):
    out, rows = graded
    page = (out / "feedback" / f"{report.file_name(letters('q1-rounded down'))}.html").read_text(encoding="utf-8")
    assert "You divided and rounded down" in page and "of 20 points" in page
    assert "This is no score" in (out / "feedback" / "exits.html").read_text(encoding="utf-8")
    summary = (out / "summary.html").read_text(encoding="utf-8")
    assert "You divided and rounded down" in summary and "not gradable" in summary
    assert "'=cmd" in rows


def test_without_a_sandbox_it_refuses(released, classroom, tmp_path):
    done = start(released, classroom, tmp_path / "out", env=os.environ | {"PATH": str(tmp_path)})
    _, said = done.communicate(timeout=60)
    assert done.returncode == 2 and "bwrap is missing" in said and "--unsafe" in said
    assert not (tmp_path / "out").exists()


def test_unsafe_grades_the_same_without_a_sandbox(released, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ann.ipynb").write_text(json.dumps(notebook(released, "ann", PERFECT)), encoding="utf-8")
    (tmp_path / "roster.csv").write_text("student\nann\n", encoding="utf-8")
    done = start(released, (tmp_path / "in", tmp_path / "roster.csv"), tmp_path / "out", "--unsafe")
    _, said = done.communicate(timeout=60)
    assert done.returncode == 0, said
    assert "ann,graded,4,4,4,3,3,2,20,20" in (tmp_path / "out" / "grades.csv").read_text(encoding="utf-8")


def test_a_student_checks_in_the_terminal(released, tmp_path):
    folder = tmp_path / "student"
    shutil.copytree(released / "student", folder)
    for answers, code in ((PERFECT, 0), (PERFECT | {"q1": WRONG["q1"]["rounded down"][0]}, 1)):
        (folder / "hw01.ipynb").write_text(json.dumps(notebook(released, "ann", answers)), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "lib.homework", "hw01.ipynb"], cwd=folder, capture_output=True, encoding="utf-8"
        )
        assert done.returncode == code, done.stderr
        assert "Public checks only" in done.stdout
    assert "q1: You divided and rounded down" in done.stdout and "q2: passed" in done.stdout


def test_a_release_is_the_same_to_the_byte(released, tmp_path):
    again = release(ROOT / "exercises" / "hw01.md", tmp_path / "hw01")
    files = sorted(
        path.relative_to(released) for path in released.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    for path in files:
        assert (released / path).read_bytes() == (again / path).read_bytes(), path


def test_a_wrong_solution_is_not_released(tmp_path):
    master = tmp_path / "hw01.md"
    text = (ROOT / "exercises" / "hw01.md").read_text(encoding="utf-8")
    master.write_text(text.replace("true_passes = p.B  # SOLUTION", "true_passes = p.E  # SOLUTION"), encoding="utf-8")
    with pytest.raises(Refused, match="(?s)failed.*q4"):
        release(master, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_cell_that_breaks_without_its_solution_is_not_released(tmp_path):
    master = tmp_path / "hw01.md"
    text = (ROOT / "exercises" / "hw01.md").read_text(encoding="utf-8")
    whole = "true_passes = p.B  # SOLUTION"
    assert whole in text
    master.write_text(
        text.replace(whole, "true_passes = [\n    p.B,  # SOLUTION\n    p.E,  # SOLUTION\n][0]"), encoding="utf-8"
    )
    with pytest.raises(Refused, match="Without its solution this cell is no Python"):
        release(master, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "leak", ["repeated = -(-p.N // p.W) * p.W - p.N", "def test_the_plan(env):", "# BEGIN SOLUTION"]
)
def test_a_leak_is_refused(released, tmp_path, leak):
    student = tmp_path / "student"
    shutil.copytree(released / "student", student)
    refuse_leaks(ROOT / "exercises" / "hw01.md", student, released / "autograder.zip")
    with open(student / "tests" / "q1.py", "a", encoding="utf-8") as file:
        file.write("\n" + leak)
    with pytest.raises(Refused, match="has a"):
        refuse_leaks(ROOT / "exercises" / "hw01.md", student, released / "autograder.zip")


def test_names_of_learning_platforms(tmp_path):
    roster = tmp_path / "roster.csv"
    roster.write_text(
        '\ufeffstudent,name,canvas_id\nann,"Lee, Ann",4711\nbo,Bo Müller,\nCy,Cy de la Cruz,\n', encoding="utf-8"
    )
    rows = read_roster(roster)
    folder = tmp_path / "in"
    for name in (
        "leeann_4711_900_hw01.ipynb",
        "leeann_LATE_4711_1000_hw01-1.ipynb",
        "Bo Muller_123_assignsubmission_file/hw01.ipynb",
        "hw01 cy.ipynb",
        "nobody_1_2_hw01.ipynb",
        ".ipynb_checkpoints/cy.ipynb",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}", encoding="utf-8")
    found = {one.student: (one.file, one.others, one.on_roster) for one in collect(folder, "hw01", rows)}
    assert found == {
        "ann": ("leeann_LATE_4711_1000_hw01-1.ipynb", ["leeann_4711_900_hw01.ipynb"], True),
        "bo": ("Bo Muller_123_assignsubmission_file/hw01.ipynb", [], True),
        "cy": ("hw01 cy.ipynb", [], True),
        "nobody": ("nobody_1_2_hw01.ipynb", [], False),
    }


def test_bad_input_gets_a_sentence(tmp_path):
    for text, sentence in (("name\nann\n", "no column `student`"), ("student\nann\nAnn\n", "ann more than once")):
        (tmp_path / "roster.csv").write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=sentence):
            read_roster(tmp_path / "roster.csv")
    for text in ("0/3", "4/3", "x"):
        with pytest.raises(ValueError, match="I/N"):
            part_of(text)


def test_cells_of_a_spreadsheet():
    assert [report.for_spreadsheets(value) for value in ("=1+1", "+1", "-1", "@x", "\tx", "ann", 2.0, None)] == [
        "'=1+1",
        "'+1",
        "'-1",
        "'@x",
        "'\tx",
        "ann",
        "2",
        "",
    ]
    assert len({report.file_name(name) for name in ("a b", "a_b", "A b", "a/b")}) >= 3
