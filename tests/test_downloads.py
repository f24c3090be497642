"""From the page to running code: the zip is the course, and a downloaded notebook runs in an empty environment."""

import functools
import hashlib
import http.server
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import venv
import zipfile
from pathlib import Path

import nbformat
import pytest
from test_build import Book
from test_twins import LESSON, ROOT

from lib.files import write_atomically

sys.path.insert(0, str(ROOT / "tools"))
import archive  # noqa: E402
import downloads  # noqa: E402

WHERE = "\n```{code-cell} ipython3\nimport lib.plan\nprint('lib is', lib.plan.__file__)\n```\n"
RUN = """
import nbclient, nbformat, sys
notebook = nbformat.read(sys.argv[1], as_version=4)
for cell in notebook.cells:
    if cell.cell_type == "code":
        cell.outputs = []
try:
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
finally:
    nbformat.write(notebook, sys.argv[1])
"""
PUBLISHED = "https://somebody.github.io/epoch-by-epoch/"


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A built book of one lesson, with its twin; no address is set."""
    book = Book(tmp_path_factory.mktemp("book"))
    book.md.write_text(LESSON + WHERE, encoding="utf-8")
    path = os.environ | {"PYTHONPATH": str(book.folder)}
    subprocess.run(
        [sys.executable, "tools/twins.py", "write"], cwd=book.folder, env=path, check=True, capture_output=True
    )
    code, log = book.build()
    assert code == 0, log
    return book


def with_address(book, address):
    config = book.folder / "_config.yml"
    text, set_once = re.subn(r"course_address: \S+", f'course_address: "{address}"', config.read_text(encoding="utf-8"))
    assert set_once == 1
    write_atomically(config, text)
    code, log = book.build()
    assert code == 0, log


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """The Python of an empty environment that sees the course's packages, so that no index is asked, but not its lib."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, symlinks=os.name != "nt", with_pip=False)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(ask, capture_output=True, encoding="utf-8", check=True).stdout.strip())
    (packages / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python


def run_alone(python, notebook, folder):
    """What the cells of a downloaded notebook print; the error of the one that fails."""
    folder.mkdir(exist_ok=True)
    copy = Path(shutil.copy(notebook, folder))
    known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"no_proxy": "*"}
    done = subprocess.run([python, "-c", RUN, copy], cwd=folder, env=known, capture_output=True, encoding="utf-8")
    cells = [cell for cell in nbformat.read(copy, as_version=4).cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    printed = "".join(str(output.get("text", "")) for output in outputs)
    return done.returncode, printed, "".join(str(output.get("evalue", "")) for output in outputs) or done.stderr


def test_a_lesson_offers_its_notebook_and_the_course(book):
    page = book.page()
    assert 'href="../_sources/lessons/lesson.ipynb"' in page and 'href="../epoch-by-epoch.zip"' in page
    assert "launch-buttons" not in page and "Colab" not in page
    index = (book.folder / "_build/html/index.html").read_text(encoding="utf-8")
    assert 'href="epoch-by-epoch.zip"' in index and ".ipynb" not in index
    assert "find_the_course" not in page  # the cell is in the notebook alone


def test_the_notebook_is_the_twin_with_one_folded_cell_before_it(book):
    served = nbformat.read(book.folder / "_build/html/_sources/lessons/lesson.ipynb", as_version=4)
    twin = nbformat.read(book.folder / "lessons/lesson.ipynb", as_version=4)
    nbformat.validate(served)
    assert served.cells[1:] == twin.cells and "find_the_course('')" in served.cells[0].source
    assert served.cells[0].metadata["tags"] == ["remove-cell"] and served.cells[0].metadata["jupyter"]["source_hidden"]


def test_a_notebook_alone_says_what_to_do(book, empty, tmp_path):
    code, printed, error = run_alone(
        empty, book.folder / "_build/html/_sources/lessons/lesson.ipynb", tmp_path / "alone"
    )
    assert code != 0 and printed == "", error
    assert error == "The course is not here: unzip epoch-by-epoch.zip beside this notebook, and run this cell again."


def test_a_notebook_runs_beside_the_unzipped_course(book, empty, tmp_path):
    zipfile.ZipFile(book.folder / "_build/html/epoch-by-epoch.zip").extractall(tmp_path)
    code, printed, error = run_alone(empty, book.folder / "_build/html/_sources/lessons/lesson.ipynb", tmp_path)
    assert code == 0, error
    assert f"lib is {tmp_path / 'epoch-by-epoch' / 'lib' / 'plan.py'}\n" in printed and "two 2" in printed


def test_with_an_address_there_are_buttons_and_the_course_is_fetched(book, empty, tmp_path):
    with_address(book, PUBLISHED)
    links = re.findall(r'href="(https://[^"]*)"[^>]*title="Start on (\w+)"', re.sub(r"\s+", " ", book.page()))
    assert [name for _, name in links] == ["Colab", "Kaggle", "Binder"]
    assert [address for address, _ in links] == [
        "https://colab.research.google.com/github/somebody/epoch-by-epoch/blob/gh-pages/_sources/lessons/lesson.ipynb",
        "https://www.kaggle.com/kernels/welcome?src="
        "https%3A%2F%2Fsomebody.github.io%2Fepoch-by-epoch%2F_sources%2Flessons%2Flesson.ipynb",
        "https://mybinder.org/v2/gh/somebody/epoch-by-epoch/HEAD?urlpath=lab%2Ftree%2Flessons%2Flesson.ipynb",
    ]
    asked = []

    class Served(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            asked.append(self.path)

    html = book.folder / "_build/html"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Served, directory=html)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with_address(book, f"http://127.0.0.1:{server.server_port}")
        lesson = html / "_sources/lessons/lesson.ipynb"
        code, printed, error = run_alone(empty, lesson, tmp_path)
        assert code == 0, error
        course = tmp_path / "epoch-by-epoch"
        assert f"lib is {course / 'lib' / 'plan.py'}\n" in printed
        assert asked == ["/epoch-by-epoch.zip", "/epoch-by-epoch.zip.sha256"]
        code, printed, error = run_alone(empty, lesson, tmp_path)
        assert code == 0 and len(asked) == 2, "what is here is fetched again"
        write_atomically(html / "epoch-by-epoch.zip.sha256", "0" * 64)
        code, printed, error = run_alone(empty, lesson, tmp_path / "elsewhere")
        assert code == 0, "the folder above has the course"
        shutil.rmtree(course)
        code, printed, error = run_alone(empty, lesson, tmp_path)
        assert code != 0 and "is not whole; run this cell again" in error and not course.exists()
        server.shutdown()


def test_the_zip_has_the_same_bytes_whoever_makes_it(book, tmp_path):
    made = book.folder / "_build/html/epoch-by-epoch.zip"
    copy = tmp_path / "copy"
    shutil.copytree(book.folder, copy, ignore=shutil.ignore_patterns("_build"))
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o777)
    if (copy / "_config.yml").read_bytes() == (book.folder / "_config.yml").read_bytes():
        archive.write(book.folder, made.parent)
    again = archive.write(copy, tmp_path / "out")
    assert again.read_bytes() == made.read_bytes()
    digest, name = again.with_name("epoch-by-epoch.zip.sha256").read_text(encoding="utf-8").split()
    assert (digest, name) == (hashlib.sha256(made.read_bytes()).hexdigest(), "epoch-by-epoch.zip")
    before = again.stat().st_mtime_ns
    assert archive.write(copy, tmp_path / "out").stat().st_mtime_ns == before, "written again, and nothing changed"


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no clone, so git cannot list the course's own files")
def test_the_zip_of_the_course_holds_what_git_tracks(tmp_path):
    with zipfile.ZipFile(archive.write(ROOT, tmp_path)) as zipped:
        names = {name.removeprefix("epoch-by-epoch/") for name in zipped.namelist()}
        assert zipped.testzip() is None
    for wanted in ("lib/plan.py", "lessons/01-epoch.ipynb", "lessons/01-epoch.md", "records/steps-to-target.json",
                   "exercises/hw01.md", "requirements.txt", "constraints.txt", "Makefile", "README.md"):  # fmt: skip
        assert wanted in names
    assert not [name for name in names if name.split("/")[0] in ("_build", ".venv", ".cache", "build")]
    assert not [name for name in names if "__pycache__" in name or ".git/" in name]


@pytest.mark.parametrize("name", ["02-iteration", "12-gradient-accumulation"])
def test_a_lesson_of_the_course_runs_from_its_zip(empty, tmp_path, name):
    with zipfile.ZipFile(archive.write(ROOT, tmp_path)) as zipped:
        zipped.extractall(tmp_path)
    text = downloads.notebook(ROOT / f"lessons/{name}.ipynb", "")
    code, printed, error = run_alone(empty, write_atomically(tmp_path / f"{name}.ipynb", text), tmp_path / "mine")
    assert code == 0 and printed, error


@pytest.mark.parametrize("address, words", [("ftp://x", "must be an address"), ("my book", "must be an address")])
def test_a_wrong_address_is_refused(address, words):
    app = type("App", (), {"config": type("Config", (), {"course_address": address})})
    with pytest.raises(ValueError, match=words):
        downloads.address_of(app)


def test_elsewhere_than_on_github_only_kaggle_is_offered():
    assert [name for name, _ in downloads.places("https://example.org/book/", "lessons/a")] == ["Kaggle"]


def test_the_courses_own_address_is_empty_so_nothing_is_fetched():
    assert 'course_address: ""' in (ROOT / "_config.yml").read_text(encoding="utf-8")


def test_the_first_cell_finds_what_requirements_pin():
    """It looks between two comments of requirements.txt, and asks for what lessons import."""
    asked = (ROOT / "requirements.txt").read_text(encoding="utf-8").split("# lessons and lib")[1].split("#")[0]
    assert {"torch", "numpy", "pandas", "matplotlib", "mnist1d"} <= set(re.findall(r"^([\w-]+)==", asked, re.MULTILINE))
