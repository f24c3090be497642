"""A class of more than forty submissions of every kind, graded in real sandboxes; and what grading promises besides."""

import csv
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import unicodedata
import zipfile
from pathlib import Path

import pytest

from grading import one, report, sandbox
from grading.autograder import unpack
from grading.grade import grade_all, part_of
from grading.owner import letters
from grading.release import Refused, refuse_leaks, release
from grading.roster import Student, read_roster
from grading.submissions import Submission, collect
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
    "drips": (
        PERFECT
        | {
            "q2": "import os, time\nwhile True:\n    for n in range(3, 20):\n        try:\n"
            "            os.write(n, b'\\n')\n"
            "        except BaseException:\n            pass\n    try:\n        time.sleep(0.2)\n"
            "    except BaseException:\n        pass"
        },
        None,
        "timeout",
    ),
    "stops": (PERFECT | {"q2": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"}, None, "timeout"),
    "leaves-a-child": (
        PERFECT
        | {
            "q2": "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(60)\n"
            "    os._exit(0)\nos._exit(0)"
        },
        None,
        ("not gradable", "timeout"),
    ),
    "takes-all-threads": (
        PERFECT
        | {
            "q6": PERFECT["q6"] + "\nimport threading, time\ntry:\n    while True:\n"
            "        threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n"
            "except RuntimeError:\n    pass"
        },
        FULL,
        "graded",
    ),
    "forks-for-ever": (
        PERFECT | {"q2": "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"},
        None,
        ("not gradable", "timeout"),
    ),
    "takes-all-memory": (
        PERFECT
        | {
            "q2": "import os, time\nfor _ in range(8):\n    if os.fork() == 0:\n        hoard = b'x' * (700 * 2**20)\n"
            "        time.sleep(9)\n        os._exit(0)\ntime.sleep(2.5)"
        },
        (None, 16),  # it is ended, unless this machine is too slow to fill so much in time
        ("not gradable: the notebook used more than", "graded"),
    ),
    "fills-the-disk": (
        PERFECT
        | {
            "q2": "for folder in ('/', '/dev', '/dev/shm', '/homework', '/tmp'):\n    try:\n"
            "        for n in range(40):\n"
            "            open(f'{folder}/{n}', 'wb').write(bytes(2**26))\n    except OSError:\n        pass"
        },
        16,
        "graded",
    ),
    "makes-empty-files": (
        PERFECT | {"q2": "import os, time\nfor n in range(25_000):\n    os.mkdir(f'/dev/shm/{n}')\ntime.sleep(1)"},
        None,
        "not gradable: the notebook made more than 20,000 files",
    ),
    "spies": (
        PERFECT
        | {
            "q1": "iterations_per_epoch = total_iterations = last_batch = open('/proc/1/environ').read() + "
            "open('/proc/1/cmdline').read()"
        },
        16,
        "graded",
    ),
    "much-of-nothing": (
        PERFECT | {"q1": "iterations_per_epoch = total_iterations = last_batch = [[]] * 99_999"},
        16,
        "graded",
    ),
    "asks-back": (
        PERFECT
        | {"q2": "def count_run(*given, **choices):\n    raise type(f'A{given}', (Exception,), {})(f'asked {given}')"},
        16,
        "graded",
    ),
    "answers-with-the-question": (
        PERFECT
        | {
            "q2": PERFECT["q2"] + "\nasked, right = [], count_run\ndef count_run(*given):\n    asked.append(given)\n"
            "    return right(*given) | {'iterations': str(given)}",
            "q4": "class Late(list):\n    def tolist(self):\n        return str(asked)\ntrue_passes = Late()",
        },
        (FULL - 9, FULL - 4),
        "graded",
    ),
    "half-a-character": (PERFECT | {"q2": "raise ValueError('\\ud800')"}, 16, "graded"),
    "endless-error": (
        PERFECT | {"q2": "raise type('X' * 1_000_000, (Exception,), {})('y' * 1_000_000)"},
        16,
        "graded",
    ),
    "magics": (PERFECT | {"q6": "%time 1\n!true\n" + PERFECT["q6"]}, FULL, "graded"),
    "awaits": (
        PERFECT | {"q6": "import asyncio\nawait asyncio.sleep(0)\n" + PERFECT["q6"]},
        FULL,
        "graded",
    ),
    "untouched-function": (
        PERFECT | {"q2": "def count_run(num_samples, batch_size, epochs, drop_last):\n    ..."},
        16,
        "graded",
    ),
    "floods": (
        PERFECT
        | {
            "q2": "import os\nfor n in range(3, 20):\n    try:\n        while True:\n"
            "            os.write(n, b'x' * 65536)\n"
            "    except OSError:\n        pass"
        },
        None,
        ("not gradable", "timeout"),
    ),
}


# How students call a check in the cell of an answer; each has to do there what it does in Jupyter.
CALLS = [
    'grader.check("q1")',
    'said = grader.check("q1")',
    'grader.check("q1");',
    'grader.check(\n    "q1",\n)',
    'print(grader.check("q1"))',
    'if True:\n    grader.check("q1")\n    done = 1\nassert done',
    'assert grader.check("q1").passed',
    'x = [grader.check(name) for name in ("q1",)][0].lines()\nassert x == [("q1", "passed.")]',
    "grader.check_all() ; y = 2",
    'def look():\n    return grader.check("q1")\nlook()',
]


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
    for number, call in enumerate(CALLS):
        hand_in(f"calls{number}", PERFECT | {"q6": f"{call}\n{PERFECT['q6']}"}, FULL)
    hand_in("fails-often", PERFECT | {"q6": PERFECT["q6"] + "\n1 / 0"}, FULL, repeat=60)
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
    kinds_of_files(submissions, expected, hand_in)
    hand_in("twice", {}, FULL, name="twice.ipynb")
    os.utime(submissions / "twice.ipynb", (1, 1))
    hand_in("twice", PERFECT, FULL, name="hw01_twice.ipynb")
    roster = folder / "roster.csv"
    lines = [f"{student};{PEOPLE.get(student, '')};" for student in expected]
    roster.write_text("\n".join(["STUDENT;Name;Moodle_ID", *lines, "ida;Ida König;77"]), encoding="cp1252")
    expected["ida"] = (FULL, "graded")
    hand_in("stranger", PERFECT, None, "not on the roster")
    (submissions / "=cmd.ipynb").write_text("{}", encoding="utf-8")
    expected["=cmd"] = (None, "not on the roster")
    return submissions, roster, expected, outside


PEOPLE = {"namesake1": "Anna Miller", "namesake2": "Anna Miller", "jo": "Jo Öz"}


def kinds_of_files(submissions, expected, hand_in):
    """Files as systems, browsers, platforms and people make them of a notebook."""
    for name, file in {
        "as-text": "as-text_hw01.ipynb.txt",
        "capitals": "capitals/hw01.IPYNB",
        "as-json": "as-json.ipynb.json",
        "copied-twice": "copied-twice (2).ipynb",
        "dated": "dated/hw01_2026_11_05.ipynb",
        "deep-inside": "week 3/group/deep-inside/hw01.ipynb",
        "jo": "jooz_12_34_hw01.ipynb",
        "ida": "Ida König_77_assignsubmission_file/hw01.ipynb",
        "ren\u00e9": unicodedata.normalize("NFD", "ren\u00e9.ipynb"),
    }.items():
        (submissions / file).parent.mkdir(parents=True, exist_ok=True)
        hand_in(name, PERFECT, FULL, name=file)
    del expected["ida"]  # of whom the roster has more
    for number, name in enumerate(("namesake1", "namesake2")):
        folder = f"Anna Miller_{101 + number}_assignsubmission_file"
        (submissions / folder).mkdir()
        hand_in(name, PERFECT, None, "not decided", name=f"{folder}/hw01.ipynb")
    for name, ending in {"web-page": "html", "seven": "7z", "tarred": "tar.gz", "program": "py"}.items():
        (submissions / f"{name}.{ending}").write_text("no notebook", encoding="utf-8")
        expected[name] = (None, "no notebook")
    whole = json.loads((submissions / "right0_hw01.ipynb").read_text(encoding="utf-8"))
    (submissions / "wide.ipynb").write_text(json.dumps(whole).replace("right0", "wide"), encoding="utf-16")
    with zipfile.ZipFile(submissions / "nested.zip", "w") as archive:
        archive.writestr("inner.zip", b"PK")
    (submissions / "a-folder.ipynb").mkdir()
    with socket.socket(socket.AF_UNIX) as here:
        here.bind(os.path.relpath(submissions / "a-socket.ipynb"))
    (submissions / "huge.ipynb").write_bytes(b" " * 21_000_000)
    (submissions / "v3.ipynb").write_text('{"worksheets": [], "nbformat": 3}', encoding="utf-8")
    with open(os.fsencode(submissions) + b"/bytes_\xff\xfe.ipynb", "w", encoding="utf-8") as file:
        file.write(json.dumps(whole).replace("right0", "bytes"))
    mistyped = json.dumps(whole).replace("'right0'", "'mis.typed@uni.example'")
    (submissions / "mistyped.ipynb").write_text(mistyped, encoding="utf-8")
    expected |= {
        "wide": ((7, FULL), "graded"),
        "bytes": ((7, FULL), "graded"),
        "nested": (None, "not gradable: the zip file has 0 notebooks instead of one: inner.zip"),
        "a-folder": (None, "not gradable: it is a folder"),
        "a-socket": (None, "not gradable: it is no ordinary file"),
        "huge": (None, "not gradable: it is larger than 20 MB"),
        "v3": (None, "not gradable: it is no notebook"),
        "mistyped": ((7, 13), "graded"),
    }


def start_command(released, classroom, out, *more) -> list[str]:
    command = [sys.executable, "-m", "grading.grade", "hw01", str(classroom[0]), str(out)]
    how = ["--roster", str(classroom[1]), "--autograder", str(released / "autograder.zip"), "--cell-limit", "3"]
    return [*command, *how, *more]


def start(released, classroom, out, *more, **choices):
    command = start_command(released, classroom, out, *more)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, encoding="utf-8", **pipes, **choices)


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
    assert len(expected) >= 90
    assert {name.lstrip("'") for name in rows} == set(expected)
    for student, (points, status) in expected.items():
        row = rows.get(student) or rows["'" + student]
        assert row["status"].startswith(status), (student, row)
        low, high = points if isinstance(points, tuple) else (points, points)
        if low is None and (high is None or not row["total"]):
            assert row["total"] == "", (student, row)
        else:
            assert (low or 0) <= float(row["total"]) <= high, (student, row)


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


@needs_sandbox
def test_feedback_shows_no_argument_of_a_hidden_check(graded):
    """Public checks ask ``count_run(10, 4, 2, ...)``, and nothing else may be seen of any call."""
    out, _ = graded
    for student in ("asks-back", "answers-with-the-question"):
        page = (out / "feedback" / f"{student}.html").read_text(encoding="utf-8")
        result = json.loads((out / "results" / f"{student}.json").read_text(encoding="utf-8"))["result"]
        hidden = [outcome for outcomes in result["questions"].values() for outcome in outcomes if outcome["hidden"]]
        asked = [re.findall(r"\((\d+, \d+, \d+)", outcome["hint"] or "") for outcome in hidden]
        assert any(asked), "the attack must have reached a hidden check"
        assert all(numbers not in page for its in asked for numbers in its if not numbers.startswith("10, 4, 2"))
        assert "A hidden check did not pass" in page


@needs_sandbox
def test_notes_for_the_grader_and_words_for_the_student(graded):
    out, rows = graded
    assert "STUDENT_ID is 'mis.typed@uni.example'" in rows["mistyped"]["note"]
    page = (out / "feedback" / "mistyped.html").read_text(encoding="utf-8")
    assert "STUDENT_ID is &#39;mis.typed@uni.example&#39;" in page
    assert "60 cells ended with an error" in rows["fails-often"]["note"]
    assert "namesake1 or of namesake2" in rows["namesake1"]["status"]
    assert not list((out / "feedback").glob("namesake*"))  # a page would tell one of the other
    for page in (out / "feedback").glob("*.html"):
        assert page.stat().st_size < 40_000, page
    assert rows["untouched-function"]["q2"] == "0"
    assert "`count_run` is still `...`" in (out / "feedback" / "untouched-function.html").read_text(encoding="utf-8")


# What the machine does is no result


def class_of(released, folder, students, answers=PERFECT):
    (folder / "in").mkdir()
    for student in students:
        text = json.dumps(notebook(released, student, answers))
        (folder / "in" / f"{student}.ipynb").write_text(text, encoding="utf-8")
    (folder / "roster.csv").write_text("\n".join(["student", *students]), encoding="utf-8")
    return folder / "in", folder / "roster.csv"


def grades_in(out):
    with open(out / "grades.csv", encoding="utf-8", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


@pytest.fixture
def flaky(tmp_path):
    """An environment whose bubblewrap fails as often as a file says; the first time is ``why_not``'s."""
    (tmp_path / "bin").mkdir()
    program, turns = tmp_path / "bin" / "bwrap", tmp_path / "turns"
    program.write_text(
        f"#!/bin/sh\nread n <{turns}; echo $((n + 1)) >{turns}\n"
        f'case " $(cat {turns}.fail) " in *" $n "*) echo "no more processes" >&2; exit 1;; esac\n'
        f'exec {shutil.which("bwrap")} "$@"\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    turns.write_text("0\n", encoding="utf-8")

    def failing(times):
        Path(f"{turns}.fail").write_text(" ".join(map(str, times)) + "\n", encoding="utf-8")
        return os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}

    return failing


@needs_sandbox
def test_a_sandbox_that_fails_once_is_tried_again(released, tmp_path, flaky):
    folder = class_of(released, tmp_path, ["ann", "bob"])
    done = start(released, folder, tmp_path / "out", "--workers", "1", env=flaky([1, 3]))
    said = done.communicate(timeout=100)
    assert done.returncode == 0, said
    assert {row["total"] for row in grades_in(tmp_path / "out").values()} == {"20"}


@needs_sandbox
def test_a_sandbox_that_fails_is_no_result(released, tmp_path, flaky):
    folder = class_of(released, tmp_path, ["ann", "bob"])
    done = start(released, folder, tmp_path / "out", "--workers", "1", env=flaky([1, 2, 3]))
    said, errors = done.communicate(timeout=100)
    assert done.returncode == 1 and "1 of 2 could not be graded because of this machine" in errors, (said, errors)
    rows = grades_in(tmp_path / "out")
    assert rows["ann"]["status"] == "not graded: this machine failed (no more processes)" and rows["ann"]["total"] == ""
    assert rows["bob"]["total"] == "20" and not (tmp_path / "out" / "feedback" / "ann.html").exists()
    assert [path.name for path in (tmp_path / "out" / "results").iterdir()] == ["bob.json"]
    again = start(released, folder, tmp_path / "out", "--workers", "1")
    assert again.communicate(timeout=100) and again.returncode == 0
    assert grades_in(tmp_path / "out")["ann"]["total"] == "20"


class Bomb:
    """Ends the process that receives it."""

    def __reduce__(self):
        return os._exit, (1,)


def test_a_worker_that_dies_takes_nobody_along(released, tmp_path):
    (tmp_path / "shared").mkdir()
    autograder = unpack(released / "autograder.zip", tmp_path / "shared")
    folder, _ = class_of(released, tmp_path, ["ann", "bob", "cy", "dora"])
    submissions = collect(folder, "hw01", [Student(name) for name in ("ann", "bob", "cy", "dora")])
    submissions[1].others = [Bomb()]
    results = grade_all(submissions, autograder, tmp_path / "out", one.Limits(), safe=False, workers=2)
    statuses = [result["status"] for result in results]
    assert statuses[0] == statuses[2] == statuses[3] == "graded" and statuses[1].startswith("not graded")
    assert len(list((tmp_path / "out" / "results").iterdir())) == 3


def test_a_file_that_cannot_be_looked_at_takes_nobody_along(released, tmp_path):
    """The name that is too long stands for all errors of the file system, which root does not have."""
    (tmp_path / "shared").mkdir()
    autograder = unpack(released / "autograder.zip", tmp_path / "shared")
    folder, _ = class_of(released, tmp_path, ["ann"])
    submissions = [Submission("ann", folder / "ann.ipynb"), Submission("bob", folder / ("b" * 300))]
    ann, bob = grade_all(submissions, autograder, tmp_path / "out", one.Limits(), safe=False)
    assert ann["status"] == "graded" and bob["status"] == "not gradable: it cannot be read (File name too long)"


@needs_sandbox
def test_a_full_disk_is_said_once_and_loses_nothing(released, tmp_path):
    """OUT on a file system of its own, with room for two results."""
    folder = class_of(released, tmp_path, ["ann", "bob", "cy", "dora", "eve", "fay"])
    (tmp_path / "out").mkdir()
    (tmp_path / "kept").mkdir()
    small = ["bwrap", "--dev-bind", "/", "/", "--size", str(4 * 4096), "--tmpfs", str(tmp_path / "out"), "--"]
    copy = f'"$@"; code=$?; cp -r {tmp_path}/out/* {tmp_path}/kept; exit $code'
    command = start_command(released, folder, tmp_path / "out", "--workers", "1")
    done = subprocess.run([*small, "sh", "-c", copy, "sh", *command], cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 1 and done.stderr.count("The disk is full") == 1, done.stderr
    assert "Traceback" not in done.stderr and "same command again" in done.stderr
    kept = list((tmp_path / "kept" / "results").glob("*"))
    assert 1 <= len(kept) < 6 and all(json.loads(path.read_text(encoding="utf-8"))["result"] for path in kept)
    again = start(released, folder, tmp_path / "kept")
    assert again.communicate(timeout=100) and again.returncode == 0
    assert {row["total"] for row in grades_in(tmp_path / "kept").values()} == {"20"}


@pytest.mark.parametrize("how", [pytest.param([], marks=needs_sandbox), ["--unsafe"]], ids=["sandbox", "unsafe"])
def test_ctrl_c_ends_the_run_in_two_seconds_and_keeps_what_is_finished(released, tmp_path, how):
    loops = "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True:\n    marked_4242 = 1"
    folder = class_of(released, tmp_path, ["zoe", "yan"], PERFECT | {"q2": loops})
    text = json.dumps(notebook(released, "ann", PERFECT))
    (folder[0] / "ann.ipynb").write_text(text, encoding="utf-8")
    folder[1].write_text("student\nann\nyan\nzoe\n", encoding="utf-8")
    (tmp_path / "tmp").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp")}
    more = {"start_new_session": True, "env": environment}
    run = start(released, folder, tmp_path / "out", *how, "--cell-limit", "60", **more)
    until = time.monotonic() + 60
    while not (tmp_path / "out" / "results" / "ann.json").exists() and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(1)
    assert processes_with(tmp_path / "tmp")
    os.killpg(run.pid, signal.SIGINT)
    pressed = time.monotonic()
    said = run.communicate(timeout=30)
    assert time.monotonic() - pressed < 2
    # What is inside a sandbox is killed by the kernel because bubblewrap was, a moment later.
    while processes_with(tmp_path / "tmp") and time.monotonic() - pressed < 2:
        time.sleep(0.02)
    assert not processes_with(tmp_path / "tmp")
    assert run.returncode == 130 and "same command" in said[1] and "Traceback" not in said[1], said
    assert [path.name for path in (tmp_path / "out" / "results").iterdir()] == ["ann.json"]


def processes_with(folder: Path) -> list[str]:
    """Processes that work in a folder, or in a sandbox into which something of it is mounted."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = f"{os.readlink(process / 'cwd')} {(process / 'mountinfo').read_text(encoding='utf-8')}"
        except OSError:
            continue
        if str(folder) in told:
            found.append((process / "cmdline").read_text(encoding="utf-8"))
    return found


@needs_sandbox
def test_a_result_without_a_sandbox_is_another_result(released, tmp_path):
    folder = class_of(released, tmp_path, ["ann"])
    for how, home in ((["--unsafe"], os.environ["HOME"]), ([], "/homework")):
        look = PERFECT | {"q1": "import os\niterations_per_epoch = total_iterations = last_batch = os.environ['HOME']"}
        text = json.dumps(notebook(released, "ann", look))
        (folder[0] / "ann.ipynb").write_text(text, encoding="utf-8")
        assert start(released, folder, tmp_path / "out", *how).communicate(timeout=60)
        assert home in (tmp_path / "out" / "results" / "ann.json").read_text(encoding="utf-8")


def test_a_check_that_works_too_long_on_an_answer_ends(released, tmp_path):
    """Checks are ours, and still: what a student returns may make one slow."""
    autograder = unpack(released / "autograder.zip", tmp_path)
    slow = next(iter(autograder.questions.values())).cases[0]
    slow.function = lambda env: [None for _ in iter(int, 1)]
    path = tmp_path / "ann.ipynb"
    path.write_text(json.dumps(notebook(released, "ann", PERFECT)), encoding="utf-8")
    result = one.grade(Submission("ann", path), autograder, one.Limits(check=0.5), safe=False)
    assert result["status"] == "graded" and "more than 0.5 seconds" in result["questions"]["q1"][0]["hint"]
    assert sum(outcome["points"] for its in result["questions"].values() for outcome in its) == FULL - 1


@needs_sandbox
@pytest.mark.parametrize("platform", ["canvas", "moodle"])
def test_a_download_and_a_list_of_a_platform_go_in_as_they_come_out(released, tmp_path, platform):
    """Both in the layout that the platform documents, with a late file, a second attempt and two namesakes."""
    (tmp_path / "in").mkdir()
    files = {
        "canvas": {
            "ann": "leeann_4711_900_hw01.ipynb",
            "ann2": "leeann_LATE_4711_1000_hw01-1.ipynb",
            "bob": "leeann_4712_905_hw01.ipynb",
        },
        "moodle": {
            "ann2": "Ann Lee_101_assignsubmission_file/hw01.ipynb",
            "bob": "Ann Lee_205_assignsubmission_file/hw01.ipynb",
        },
    }[platform]
    for student, name in files.items():
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        answers = {} if student == "ann" else PERFECT
        made = notebook(released, student.strip("2"), answers)
        (tmp_path / "in" / name).write_text(json.dumps(made), encoding="utf-8")
    exports = {
        "canvas": "Student,ID,SIS User ID,SIS Login ID,Section,hw01 (77)\n    Points Possible,,,,,20\n"
        '"Lee, Ann",4711,u1,ann,S1,\n"Lee, Ann",4712,u2,bob,S1,\n"Cruz, Cy",4713,u3,cy,S1,\n',
        "moodle": "Identifier,Full name,Email address,Status,Grade\nParticipant 101,Ann Lee,ann@uni.example,,\n"
        "Participant 205,Ann Lee,bob@uni.example,,\nParticipant 300,Cy Cruz,cy@uni.example,,\n",
    }
    (tmp_path / "roster.csv").write_text(exports[platform], encoding="utf-8-sig")
    done = start(released, (tmp_path / "in", tmp_path / "roster.csv"), tmp_path / "out")
    assert done.communicate(timeout=100) and done.returncode == 0
    rows = grades_in(tmp_path / "out")
    assert {name: row["total"] for name, row in rows.items()} == {"ann": "20", "bob": "20", "cy": ""}
    assert rows["ann"]["file"] == files["ann2"] and rows["cy"]["status"] == "no submission"


# Before handing in


def test_a_student_sees_an_id_that_is_none_of_the_course(tmp_path):
    roster = [Student("ab1234"), Student("xyz77")]
    out = release(ROOT / "exercises" / "hw01.md", tmp_path / "hw01", roster)
    everything = b"".join(path.read_bytes() for path in (out / "student").rglob("*") if path.is_file())
    assert b"ab1234" not in everything and b"xyz77" not in everything
    for student, told in (("ab999", False), ("ab999@uni.example", True), ("Ann Lee", True)):
        made = notebook(out, student, PERFECT)
        (out / "student" / "hw01.ipynb").write_text(json.dumps(made), encoding="utf-8")
        command = [sys.executable, "-m", "lib.homework", "hw01.ipynb"]
        done = subprocess.run(command, cwd=out / "student", capture_output=True, encoding="utf-8")
        assert ("names on the list of your course look like 'xx0000'" in done.stdout) == told, done.stdout
        assert done.returncode == int(told)


def test_a_name_changed_after_the_draw_is_said_in_a_sentence(released, tmp_path):
    folder = tmp_path / "student"
    shutil.copytree(released / "student", folder)
    made = notebook(released, "ann", PERFECT | {"q6": PERFECT["q6"] + "\nSTUDENT_ID = 'bob'"})
    (folder / "hw01.ipynb").write_text(json.dumps(made), encoding="utf-8")
    command = [sys.executable, "-m", "lib.homework", "hw01.ipynb"]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8")
    assert done.returncode == 1 and done.stdout.count("Did you change the name later?") == 6
    assert "q1: The numbers in `p` were not drawn for STUDENT_ID = 'bob'" in done.stdout


def test_a_notebook_without_its_lib_says_so(released, tmp_path):
    shutil.copy(released / "student" / "hw01.ipynb", tmp_path)
    cells = json.loads((tmp_path / "hw01.ipynb").read_text(encoding="utf-8"))["cells"]
    first = next("".join(c["source"]) for c in cells if "import Homework" in "".join(c["source"]))
    command = [sys.executable, "-I", "-c", "import sys; sys.modules['lib'] = None\n" + first]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert "There is no folder lib beside this notebook" in done.stderr and "During handling" not in done.stderr


def test_without_a_sandbox_it_refuses(released, classroom, tmp_path):
    done = start(released, classroom, tmp_path / "out", env=os.environ | {"PATH": str(tmp_path)})
    _, said = done.communicate(timeout=60)
    assert done.returncode == 2
    assert "bwrap is missing" in said and "--unsafe" in said or os.geteuid() == 0 and "You are root" in said
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


@pytest.mark.parametrize("leak", ["passes = -(-share // B)", "def test_the_plan(env):", "# BEGIN SOLUTION"])
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
