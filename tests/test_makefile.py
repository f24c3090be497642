"""The Makefile below a path with blanks, with paths that have blanks, and without GNU's tools. No package is installed:
the Python of its environment is a script that says what it was called with.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grading.grade import parse

ROOT = Path(__file__).resolve().parents[1]
SAYS = """#!/bin/bash
printf '%s\\n' "$@" "EPOCH_RECORDS=${EPOCH_RECORDS-}"
"""
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


class Folder:
    """A copy of what the Makefile looks at, with a Python that only talks."""

    def __init__(self, path: Path):
        self.path = path
        shutil.copytree(ROOT / "lessons", path / "lessons", ignore=shutil.ignore_patterns("*.ipynb"))
        for name in ("Makefile", "requirements.txt", "constraints.txt", "pyproject.toml"):
            shutil.copy(ROOT / name, path / name)
        for name in ("lib", "assets", "tools", "records"):
            (path / name).mkdir()
        self.script(path / ".venv/bin/python", SAYS)
        (path / ".venv/installed").touch()

    @staticmethod
    def script(file: Path, text: str) -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
        file.chmod(0o755)
        return file

    def make(self, *arguments, **environment):
        known = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "SEEDS"))}
        return subprocess.run(
            ["make", "--no-print-directory", *arguments],
            cwd=self.path,
            env=known | environment,
            encoding="utf-8",
            capture_output=True,
        )


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "cours d’été, part 1" / "epochs")


def test_help_lists_every_target_and_needs_nothing_but_awk(folder, tmp_path):
    (tmp_path / "bin").mkdir()
    for name in ("make", "bash", "awk"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    done = folder.make("help", PATH=str(tmp_path / "bin"))
    assert done.returncode == 0, done.stderr
    listed = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert listed == dict(re.findall(r"^([a-z-]+):.*?## (.*)$", text, re.MULTILINE)) and len(listed) == 20


NAMES = ["submissions", "my submissions", "l'été  2026", 'the "best"', "a;b&c (1)", "-x", "~"]
NAMES += ["cost $5", "$HOME", "$(HOME)", "$$", "#1 100%", "`ls`", r"a\b", "a=b", "*"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", ["on the command line", "in the environment"])
def test_paths_that_are_given_arrive_whole(folder, name, where):
    given = {"SUBMISSIONS": name, "OUT": f"-{name}", "ROSTER": f"{name}.csv"}
    if where == "in the environment":
        done = folder.make("grade", "HW=hw01", "GRADE=--workers 2", **given)
    else:
        done = folder.make("grade", "HW=hw01", "GRADE=--workers 2", *("=".join(pair) for pair in given.items()))
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    options = parse(said[said.index("grading.grade") + 1 : -1])
    assert (options.homework, options.submissions, options.out) == ("hw01", Path(name), Path(f"-{name}"))
    assert (options.roster, options.workers) == (Path(f"{name}.csv"), 2)


@pytest.mark.parametrize("name", ["class.csv", "-x", "cost $5", "my class"])
def test_a_roster_arrives_whole_at_a_release(folder, name):
    said = folder.make("release", "HW=hw01", f"ROSTER={name}").stdout.splitlines()
    assert said[-3:-1] == ["hw01", f"--roster={name}"]


@pytest.mark.parametrize("name", ["my Pythons", "cost $5", "l'été", 'the "best"'])
@pytest.mark.parametrize("target", ["install", "doctor", "test-frameworks", "canary"])
def test_a_python_is_found_wherever_it_is(folder, tmp_path, name, target):
    python = Folder.script(tmp_path / name / "python3", SAYS)
    for wanted in ("requirements-frameworks.txt", "constraints-frameworks.txt"):
        shutil.copy(ROOT / wanted, folder.path / wanted)
    shutil.rmtree(folder.path / ".venv")
    done = folder.make(target, f"PYTHON={python}")  # ends where the environment that it only talks of is missing
    wanted = ["-m", "lib.doctor"] if target == "doctor" else ["-m", "venv"]
    said = done.stdout.splitlines()
    assert any(said[i : i + 2] == wanted for i in range(len(said))), done.stderr


@pytest.mark.parametrize("name", ["speed-cpu.json", "my records.json", "cost $5.json", "-x.json"])
def test_a_record_is_kept_whatever_its_name(folder, name):
    (folder.path / name).write_text("{}", encoding="utf-8")
    done = folder.make("gpu", f"KEEP={name}")  # which calls make fresh
    assert done.returncode == 0, done.stderr
    assert (folder.path / ".cache/fresh-records" / name).exists()


def test_a_tilde_is_the_home_folder_in_every_shell(folder):
    done = folder.make("grade", "HW=hw01", "SUBMISSIONS=~/my class", "OUT=o", "ROSTER=a~/b", HOME="/home/ann lee")
    assert "/home/ann lee/my class" in done.stdout.splitlines() and "--roster=a~/b" in done.stdout.splitlines()


@pytest.mark.parametrize("missing", ["HW", "SUBMISSIONS", "OUT"])
def test_what_is_missing_is_asked_for(folder, missing):
    given = {"HW": "hw01", "SUBMISSIONS": "in", "OUT": "out"}
    done = folder.make("grade", *(f"{name}={value}" for name, value in given.items() if name != missing))
    assert done.returncode != 0 and f"{missing}=" in done.stderr


def test_fresh_measures_below_a_path_with_blanks(folder):
    kept = folder.path / "old records" / "speed-cpu.json"
    kept.parent.mkdir()
    kept.write_text("{}", encoding="utf-8")
    done = folder.make("fresh", "KEEP=old records/speed-cpu.json")
    assert done.returncode == 0, done.stderr
    assert f"EPOCH_RECORDS={folder.path}/.cache/fresh-records" in done.stdout.splitlines()
    assert "lessons/09-learning-rate.md" in done.stdout and "speed-cpu.json" in done.stdout


def test_lessons_are_left_to_their_contents(folder):
    done = folder.make("lessons")
    assert done.stdout.splitlines()[-3:-1] == ["tools/twins.py", "update"], done.stderr


def test_the_doctor_needs_no_environment(folder, tmp_path):
    assert folder.make("doctor").stdout.splitlines()[:2] == ["-m", "lib.doctor"]
    shutil.rmtree(folder.path / ".venv")
    python = Folder.script(tmp_path / "my Pythons" / "python3", SAYS)
    done = folder.make("doctor", f"PYTHON={python}")
    assert done.stdout.splitlines()[:2] == ["-m", "lib.doctor"] and not (folder.path / ".venv").exists()


PRETENDS = """#!/bin/bash
[ "$1" = -c ] || {{ echo "$@"; exit; }}
exec '{python}' -c 'import sys; sys.version_info, sys.version = {version}, "{text} (main)"; exec(sys.argv[1])' "$2"
"""


@pytest.mark.parametrize(
    "version, refused",
    [("3.10.14", True), ("3.11.2", False), ("3.12.0", False), ("3.14.3", False), ("3.15.0", True)],
)
def test_a_python_that_has_no_packages_is_refused(folder, tmp_path, version, refused):
    text = PRETENDS.format(python=sys.executable, version=tuple(map(int, version.split("."))), text=version)
    python = Folder.script(tmp_path / "my Pythons" / "python3", text)
    (folder.path / ".venv/installed").unlink()
    shutil.rmtree(folder.path / ".venv/bin")
    done = folder.make("install", f"PYTHON={python}")
    assert ("-m venv .venv" in done.stdout) != refused
    assert ("This course needs Python 3.11 to 3.14; this is " + version + "." in done.stderr) == refused
