"""``python -m lib.homework hw01.ipynb``: run a notebook and its public checks in the terminal."""

import argparse
import ast
import json
import sys
from pathlib import Path

from lib.homework import checks
from lib.homework.inside import sentence
from lib.homework.kernel import Kernel, KernelGone, NotStarted, unprotected
from lib.homework.notebook import Report
from lib.homework.parameters import unlike_the_course

LONGEST_CHECKS = 2000  # characters of a cell that only calls checks


def code_cells(notebook: dict) -> list[str]:
    """The sources of a notebook's code cells, without those that only show what the checks say.

    A cell that does more with a check runs as it is: it gets the public checks, as in Jupyter.
    """
    sources = ["".join(cell.get("source", "")) for cell in notebook["cells"] if cell.get("cell_type") == "code"]
    return [source for source in sources if not only_checks(source)]


def only_checks(source: str) -> bool:
    """Whether a cell is nothing but calls of ``grader.check`` and ``grader.check_all``."""
    if len(source) > LONGEST_CHECKS:  # Python's parser is not for strangers' texts of any size
        return not source.strip()
    try:
        return all(
            isinstance(statement, ast.Expr)
            and isinstance(statement.value, ast.Call)
            and ast.unparse(statement.value.func) in ("grader.check", "grader.check_all")
            and all(isinstance(argument, ast.Constant) for argument in statement.value.args)
            and not statement.value.keywords
            for statement in ast.parse(source).body
        )
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # a magic, half a program, or an attack
        return False


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m lib.homework", description=__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--cell-limit", type=float, default=60, help="seconds a cell may run")
    options = parser.parse_args(arguments)
    folder = options.notebook.resolve().parent
    try:
        cells = code_cells(json.loads(options.notebook.read_text(encoding="utf-8-sig")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"{options.notebook} could not be read as a notebook: {sentence(error)}", file=sys.stderr)
        return 2
    questions = checks.read_folder(folder / "tests")
    if not questions:
        print(
            f"There is no folder tests with check files beside {options.notebook.name}; "
            f"keep the homework's folder as you were given it.",
            file=sys.stderr,
        )
        return 2
    try:
        with Kernel(unprotected(folder)) as kernel:
            for number, cell in enumerate(cells, start=1):
                if ended := kernel.run(cell, options.cell_limit):
                    print(f"Cell {number} ended with {ended}")
            student_id = kernel.ask({"value": "STUDENT_ID"}).get("plain")
            report = Report({name: checks.run(question, kernel) for name, question in questions.items()})
    except (KernelGone, NotStarted) as gone:
        print(f"The checks ended early: {gone}.", file=sys.stderr)
        return 2
    print(report)
    if unlike := unlike_the_course(student_id, folder / "tests"):
        print(unlike)
    return 0 if report.passed and not unlike else 1


if __name__ == "__main__":
    sys.exit(main())
