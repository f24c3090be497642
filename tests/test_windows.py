"""What stops a reader on Windows, found elsewhere: text in the system's code page, and functions that are not there.

The tests in a process of its own run with tests/windows/sitecustomize.py, which makes Python read and write as there.
"""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_build import BOOK, Book
from test_twins import LESSON, LESSONS, Copy

from grading.release import release

ROOT = Path(__file__).resolve().parents[1]
MODE = re.compile(r"[rwax][bt+]{0,2}")
RUNS = {"run", "Popen", "call", "check_call", "check_output"}
TEMPORARY = {"NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile"}


def without_encoding(source: str) -> list[str]:
    """The calls in a Python source that open text in the system's encoding, each as ``line: call``."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [f"{call.lineno}: {ast.unparse(call)}" for call in calls if _in_systems_encoding(call)]


def _in_systems_encoding(call: ast.Call) -> bool:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    owner = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in given or None in given:  # None: **more
        return False
    if name in RUNS:
        return any(getattr(given.get(key), "value", False) for key in ("text", "universal_newlines"))
    if name in ("getoutput", "getstatusoutput") or (owner, name) == ("os", "popen"):
        return True
    if name == "read_text":
        return not call.args
    if name == "write_text":
        return len(call.args) < 2
    if name == "TextIOWrapper":
        return len(call.args) < 2
    is_opening = name in ("open", "fdopen") and owner in ("", "io", "os", "codecs")
    if is_opening or name in TEMPORARY:
        mode = given.get("mode") or next(iter(call.args[1 if is_opening else 0 :]), None)
        return "b" not in _text(mode, "r" if is_opening else "w+b") and len(call.args) < (4 if is_opening else 3)
    if name == "open":  # of a path, of an archive, of gzip
        compressed = owner in ("gzip", "bz2", "lzma")
        mode = given.get("mode") or next(iter(call.args[1 if compressed else 0 :]), None)
        text = _text(mode, "rb" if compressed else "r")
        return "t" in text if compressed else MODE.fullmatch(text) is not None and "b" not in text
    return False


def _text(mode, default: str) -> str:
    return default if mode is None else str(getattr(mode, "value", "b"))  # a computed mode: not to be known here


@pytest.mark.parametrize(
    "call, found",
    [
        ("path.read_text()", True),
        ("Path('a').read_text('utf-8')", False),
        ("path.write_text(text)", True),
        ("path.write_text(text, newline='')", True),
        ("path.write_text(text, encoding='utf-8')", False),
        ("open(path)", True),
        ("open(path, 'w')", True),
        ("open(path, mode='a')", True),
        ("open(path, 'rb')", False),
        ("io.open(path, 'r')", True),
        ("os.fdopen(1, 'w')", True),
        ("os.fdopen(1, 'wb')", False),
        ("path.open()", True),
        ("path.open('w')", True),
        ("path.open('rb')", False),
        ("archive.open(name)", False),
        ("archive.open('a.txt')", False),
        ("gzip.open(path)", False),
        ("gzip.open(path, 'rt')", True),
        ("tempfile.NamedTemporaryFile()", False),
        ("tempfile.NamedTemporaryFile('w')", True),
        ("NamedTemporaryFile(mode='w+', suffix='.csv')", True),
        ("subprocess.run(command, text=True)", True),
        ("subprocess.run(command, capture_output=True)", False),
        ("subprocess.check_output(command, universal_newlines=True)", True),
        ("subprocess.Popen(command, encoding='utf-8')", False),
        ("os.popen('ls')", True),
        ("io.TextIOWrapper(raw)", True),
    ],
)
def test_a_call_without_encoding_is_found(call, found):
    assert bool(without_encoding(call)) == found


def sources() -> dict[str, str]:
    """The Python in the repository, by file: scripts, and the cells of lessons and homeworks."""
    listed = subprocess.run(["git", "ls-files", "*.py", "*.md"], cwd=ROOT, capture_output=True, encoding="utf-8")
    assert listed.returncode == 0, listed.stderr
    found = {}
    for name in listed.stdout.splitlines():
        text = (ROOT / name).read_text(encoding="utf-8")
        if name.endswith(".md"):
            text = "\n".join(
                re.findall(r"^```\{code-cell\}.*?\n(?:---\n.*?---\n|(?::[^\n]*\n)+)?(.*?)^```", text, re.M | re.S)
            )
        found[name] = text
    return found


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no clone, so git cannot list the course's own files")
def test_no_text_is_opened_in_the_systems_encoding():
    found = sources()
    assert len(found) > 90 and sum("import" in text for name, text in found.items() if name.endswith(".md")) > 15
    assert [f"{name}:{call}" for name, text in found.items() for call in without_encoding(text)] == []


def on_windows(*command, folder: Path = ROOT):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "tests/windows"), str(folder)])}
    environment |= {"PYTHONUTF8": "0", "PYTHONIOENCODING": "", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, encoding="cp1252", capture_output=True
    )


SEEN_THERE = """
import io, os, subprocess, sys, tempfile
from pathlib import Path
path = Path(sys.argv[1])
path.write_bytes("é".encode())
child = subprocess.run([sys.executable, "-c", "print('é')"], stdout=subprocess.PIPE, text=True)
assert child.stdout == "é\\n", child
for read in (path.read_text(), path.open().read(), open(path).read(), os.fdopen(os.open(path, os.O_RDONLY)).read()):
    assert read == "Ã©", read
assert path.read_text(encoding="utf-8") == "é"
path.write_text("–\\n")
assert path.read_bytes() == b"\\x96\\r\\n"
with tempfile.NamedTemporaryFile("w+") as file:
    assert file.encoding == "cp1252"
assert not hasattr(os, "fork")
print("– and", sys.stdout.encoding)
"""


def test_a_process_reads_and_writes_as_on_windows(tmp_path):
    done = on_windows("-c", SEEN_THERE, str(tmp_path / "text.txt"))
    assert (done.stdout, done.returncode) == ("– and cp1252\n", 0), done.stderr


IMPORT_ALL = """
import importlib, json, pkgutil
import lib, lib.widgets
from lib.widgets import base
for module in pkgutil.walk_packages(lib.__path__, "lib."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
names = sorted(path.stem for path in base.FOLDER.glob("*.js"))
print(json.dumps({name: base.bundle(name) + base.style() for name in names}))
"""


def test_everything_imports_on_windows_and_widgets_keep_their_text():
    done = on_windows("-c", IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    here = subprocess.run([sys.executable, "-c", IMPORT_ALL], cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8")
    there = json.loads(done.stdout)
    assert there == json.loads(here.stdout)
    assert any(not text.isascii() for text in there.values()), "nothing here could have gone wrong"


def test_the_twins_are_found_up_to_date_on_windows():
    checks = ["tests/test_twins.py", "-k", "up_to_date or canonical"]
    done = on_windows("-m", "pytest", "-q", "-p", "no:cacheprovider", *checks)
    assert done.returncode == 0 and f"{2 * len(LESSONS)} passed" in done.stdout, done.stdout + done.stderr


def test_a_lesson_runs_on_windows():
    lesson = "lessons/02-iteration.md"
    assert not (ROOT / lesson).read_text(encoding="utf-8").isascii()
    done = on_windows("tools/twins.py", "run", lesson)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_twin_written_on_windows_is_the_same(tmp_path):
    course = Copy(tmp_path)
    course.md.write_text(LESSON.replace('"two"', '"two – zwölf ≤ ∞"'), encoding="utf-8")
    assert course.write().returncode == 0
    source, twin = course.md.read_bytes(), course.twin.read_bytes()
    course.twin.unlink()
    done = on_windows("tools/twins.py", "write", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (course.md.read_bytes(), course.twin.read_bytes()) == (source, twin)


def test_a_failing_cell_is_named_on_windows_whatever_its_letters(tmp_path):
    course = Copy(tmp_path)
    course.md.write_text(LESSON.replace("1 + 1", "'≤ ∞', 1 / 0"), encoding="utf-8")
    done = on_windows("tools/twins.py", "write", folder=tmp_path)
    assert done.returncode == 1 and "lesson.md fails in this cell" in done.stderr and "ZeroDivision" in done.stderr


def test_a_book_is_built_on_windows(tmp_path):
    book = Book(tmp_path)
    book.md.write_text(LESSON.replace('"two"', '"zwölf ≤ ∞"').replace("# A lesson", "# Größe ≥ 1"), encoding="utf-8")
    done = on_windows(str(BOOK), "build", ".", "-W", "--keep-going", "-n", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "zwölf ≤ ∞ 2" in book.page() and "Größe ≥ 1" in book.page()


def test_a_student_checks_a_homework_on_windows(tmp_path):
    student = release(ROOT / "exercises/hw01.md", tmp_path / "hw01") / "student"
    notebook = student / "hw01.ipynb"
    text = notebook.read_text(encoding="utf-8")
    notebook.write_text(text.replace("your id", "jürgen"), encoding="utf-8")
    done = on_windows("-m", "lib.homework", "hw01.ipynb", folder=student)
    assert done.returncode == 1 and "q1: " in done.stdout and "is not set" not in done.stdout, done.stderr
