"""``python -m lib.homework hw01.ipynb``: run a notebook and its public checks in the terminal."""

import argparse
import json
import re
import sys
from pathlib import Path

from lib.homework import checks
from lib.homework.kernel import Kernel, KernelGone
from lib.homework.notebook import Report

CHECK = re.compile(r"^([ \t]*)grader\.check(_all)?\(.*$", re.MULTILINE)


def code_cells(notebook: dict) -> list[str]:
    """The sources of a notebook's code cells, without calls of the checks: those are made from outside."""
    sources = ["".join(cell.get("source", "")) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [
        source for source in (CHECK.sub(r"\1pass", source) for source in sources) if source.strip() not in ("", "pass")
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m lib.homework", description=__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--cell-limit", type=float, default=60, help="seconds a cell may run")
    options = parser.parse_args(arguments)
    folder = options.notebook.resolve().parent
    try:
        cells = code_cells(json.loads(options.notebook.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"{options.notebook} could not be read as a notebook: {error}", file=sys.stderr)
        return 2
    questions = checks.read_folder(folder / "tests")
    if not questions:
        print(
            f"There is no folder tests with check files beside {options.notebook.name}; "
            f"keep the homework's folder as you were given it.",
            file=sys.stderr,
        )
        return 2
    with Kernel(folder=folder) as kernel:
        try:
            for number, cell in enumerate(cells, start=1):
                if error := kernel.run(cell, options.cell_limit):
                    print(f"Cell {number} ended with {error}")
            report = Report({name: checks.run(question, kernel) for name, question in questions.items()})
        except KernelGone as gone:
            print(f"The checks ended early: {gone}.", file=sys.stderr)
            return 2
    print(report)
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
