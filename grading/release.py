"""Make a homework's student folder and its autograder.zip from the master in exercises/.

    python -m grading.release hw01

otter-grader compiles the master and runs every check on the master's own solution.
This module adds what it leaves open: the result is the same to the last byte each
time, and it is refused if a solution or a hidden check is in the student's files, or
if a cell without its solution is no Python.
"""

import argparse
import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import jupytext
import nbformat

from grading.autograder import hidden_functions
from grading.roster import Student, read_roster
from lib.homework.parameters import form

ROOT = Path(__file__).resolve().parents[1]
EXERCISES = ROOT / "exercises"
# What a released homework needs of the course; it travels with it, so that checks and code stay together.
SHARED = ["__init__.py", "checks.py", "loading.py", "plan.py", "sampling.py"]
PLACEHOLDER, EXAMPLE = 'STUDENT_ID = "your id"', 'STUDENT_ID = "example"'
IMPORT = "from lib.homework import Homework"
NO_LIB = f"""try:
    {IMPORT}
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "There is no folder lib beside this notebook. Keep the homework's folder as you were given it, "
        "and start Jupyter there."
    ) from None"""
LEAKS = ["# SOLUTION", "BEGIN SOLUTION", "END SOLUTION", "hidden=True", "BEGIN TEST", "# IGNORE", EXAMPLE]


class Refused(Exception):
    """Why a homework is not released."""


def release(master: Path, out: Path, roster: list[Student] | None = None) -> Path:
    """Write ``out/student`` and ``out/autograder.zip``, whole or not at all.

    Parameters
    ----------
    master : path
        The homework in MyST Markdown, as ``exercises/hw01.md``.
    out : path
        A folder that is made, or replaced.
    roster : list of Student, optional
        Then the student's checks say so if a STUDENT_ID looks like no name on it. Of the names
        only their forms go into the student's folder: which kinds of signs follow each other.

    Returns
    -------
    path
        ``out``.

    Raises
    ------
    Refused
        The master's own solution does not get full marks, a cell without its solution is no Python, or
        something leaked.
    """
    name = master.stem
    text = master.read_text(encoding="utf-8")
    if text.count(PLACEHOLDER) != 1:
        raise Refused(f"{master.name} must have the line {PLACEHOLDER} once.")
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "source"), Path(folder, "made")
        copy_shared(name, source / "lib")
        shutil.copy(EXERCISES / "requirements.txt", source)
        nbformat.write(
            without_marks(jupytext.reads(text.replace(PLACEHOLDER, EXAMPLE), fmt="md:myst")), source / f"{name}.ipynb"
        )
        assign(name, source, made)
        student, autograder = made / "student", next(made.glob("autograder/*.zip"))
        notebook = nbformat.read(student / f"{name}.ipynb", as_version=4)
        for cell in notebook.cells:
            cell.source = re.sub(rf"^{IMPORT}$", NO_LIB, cell.source.replace(EXAMPLE, PLACEHOLDER), flags=re.MULTILINE)
        refuse_broken_cells(notebook)
        nbformat.write(without_marks(notebook), student / f"{name}.ipynb")
        for cache in [*student.rglob("__pycache__")]:
            shutil.rmtree(cache)
        if roster:
            (student / "tests" / "student_ids.json").write_text(forms(roster), encoding="utf-8")
        same_every_time(autograder, made / "autograder.zip")
        refuse_leaks(master, student, made / "autograder.zip")
        staged = out.with_name(out.name + ".part")
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        shutil.move(student, staged / "student")
        shutil.move(made / "autograder.zip", staged / "autograder.zip")
        shutil.rmtree(out, ignore_errors=True)
        staged.rename(out)
    return out


def forms(roster: list[Student]) -> str:
    """What the names of a course look like, without any of them."""
    names = [student.student for student in roster]
    example = re.sub(r"[^\W\d_]", "x", re.sub(r"\d", "0", names[0]))
    return json.dumps({"forms": sorted({form(name) for name in names}), "example": example}) + "\n"


def copy_shared(name: str, folder: Path):
    """The modules of ``lib`` that a homework needs, and of ``lib.homework`` no other homework's."""
    (folder / "homework").mkdir(parents=True)
    for module in SHARED:
        shutil.copy(ROOT / "lib" / module, folder / module)
    for module in sorted((ROOT / "lib" / "homework").glob("*.py")):
        if module.stem == name or not re.match(r"hw\d", module.name):
            shutil.copy(module, folder / "homework" / module.name)


def without_marks(notebook):
    """A notebook without what changes from run to run or tells how it was made: ids, outputs, jupytext's notes."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    } | {key: value for key, value in notebook.metadata.items() if key == "otter"}
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number:03d}"
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def assign(name: str, source: Path, made: Path):
    """Let otter-grader compile the master and run its checks on its own solution."""
    command = [sys.executable, "-m", "otter", "assign", f"{name}.ipynb", str(made), "--no-pdfs"]
    done = subprocess.run(
        command,
        cwd=source,
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        said = re.search(r"(?:RuntimeError|\w+Error): (.*)", done.stderr, re.DOTALL)
        raise Refused(f"otter-grader did not take {name}: {(said.group(1) if said else done.stderr).strip()[:2000]}")


def same_every_time(made: Path, out: Path):
    """Copy a zip without times, permissions and the order of files."""
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in sorted(source.namelist()):
            if "__pycache__" in name or name.endswith("/"):
                continue
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            target.writestr(entry, source.read(name))


def refuse_broken_cells(notebook):
    """A cell must run while half of it is still ``...``: else a student who answers the other half gets nothing."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            try:
                ast.parse(cell.source)
            except SyntaxError as error:
                raise Refused(
                    f"Without its solution this cell is no Python ({error}); give each answer a line of its "
                    f"own:\n{cell.source}"
                ) from None


def refuse_leaks(master: Path, student: Path, autograder: Path):
    """Look for the master's solutions and hidden checks in every file a student gets."""
    solutions = solution_lines(master)
    with zipfile.ZipFile(autograder) as archive:
        hidden = [
            f"def {function.name}("
            for name in archive.namelist()
            if re.fullmatch(r"tests/q\w+\.py", name)
            for function in hidden_functions(archive.read(name).decode())
        ]
    for path in sorted(student.rglob("*")):
        if not path.is_file() or "lib" in path.relative_to(student).parts:
            continue
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            text = "\n".join(cell["source"] for cell in nbformat.reads(text, as_version=4).cells)
        given = {line.strip() for line in text.split("\n")}
        for line in [mark for mark in LEAKS if mark in text] + [line for line in solutions if line in given]:
            raise Refused(f"{path.relative_to(student)} has a line of the solution: {line}")
        for case in hidden:
            if case in text:
                raise Refused(f"{path.relative_to(student)} has a hidden check: {case}")


def solution_lines(master: Path) -> list[str]:
    """The lines of a master that students must write themselves."""
    lines = []
    text = master.read_text(encoding="utf-8")
    for block in re.findall(
        r"\{raw-cell\}\n# BEGIN SOLUTION\n```(.*?)```\{raw-cell\}\n# END SOLUTION", text, re.DOTALL
    ):
        for cell in re.findall(r"```\{code-cell\}[^\n]*\n(.*?)```", block, re.DOTALL):
            inside = whole = "SOLUTION" not in cell  # a cell without marks of its own is a solution from end to end
            for line in cell.split("\n"):
                if line.strip().startswith(("# BEGIN SOLUTION", "# END SOLUTION")):
                    inside = whole or "BEGIN" in line
                elif inside or line.rstrip().endswith("# SOLUTION"):
                    lines.append(line.rsplit("# SOLUTION", 1)[0].strip())
    return [line for line in lines if len(line) > 12]  # `return x` may well be given elsewhere


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m grading.release", description=__doc__.split("\n")[0])
    parser.add_argument("homework", help="as in hw01")
    parser.add_argument("--roster", type=Path, help="the course's list, so that students see if they mistype their id")
    parser.add_argument("--out", type=Path, help="default: build/HOMEWORK")
    options = parser.parse_args(arguments)
    master = EXERCISES / f"{options.homework}.md"
    if not master.exists():
        there = ", ".join(path.stem for path in sorted(EXERCISES.glob("hw*.md")))
        print(f"There is no homework {options.homework!r}; there are {there}.", file=sys.stderr)
        return 2
    try:
        roster = read_roster(options.roster) if options.roster else None
        out = release(master, options.out or ROOT / "build" / options.homework, roster)
    except (Refused, ValueError, OSError) as refused:
        print(f"Not released. {refused}", file=sys.stderr)
        return 1
    print(f"For students: {out / 'student'}\nFor Gradescope and for grading: {out / 'autograder.zip'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
