"""CPU time of one graded submission: this course's grader in its sandbox, and otter-grader's `otter run`.

    python -m bench.grading

Both grade the same notebook, in turns; the least of several turns counts. CPU time is
that of the whole machine, because bubblewrap hides its children's: it wants a quiet one.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import psutil

from grading.autograder import unpack
from grading.one import Limits, grade
from grading.release import release
from grading.submissions import Submission

ROOT = Path(__file__).resolve().parents[1]


def cpu_seconds(work) -> float:
    """What all cores did while ``work`` ran."""

    def busy():
        times = psutil.cpu_times()
        return times.user + times.system + times.nice

    before = busy()
    work()
    return busy() - before


def solved(homework: str, folder: Path) -> Path:
    """A student's notebook with right answers, from the tests' answers."""
    answers = __import__(f"tests.homework.{homework}", fromlist=["RIGHT"]).RIGHT
    notebook = json.loads((folder / "student" / f"{homework}.ipynb").read_text(encoding="utf-8"))
    given = None
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"]).replace("your id", "ann")
        if "otter_answer_cell" in cell["metadata"].get("tags", []):
            given = cell
        elif check := re.match(r'grader\.check\("(q\d+)"\)', cell["source"]):
            given["source"] += "\n" + answers[check[1]][0]
    path = folder / "ann.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def _ours(submission: Submission, autograder, results: list[dict]):
    results.append(grade(submission, autograder, Limits()))


def _otters(archive: Path, notebook: Path, folder: Path):
    command = [sys.executable, "-m", "otter", "run", "-a", str(archive), "-o", str(folder), "--no-logo", str(notebook)]
    environment = os.environ | {"GRADING_STUDENT_ID": "ann"}
    subprocess.run(command, check=True, cwd=folder, capture_output=True, env=environment)


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.grading", description=__doc__.split("\n")[0])
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    print(f"{'homework':10}{'ours':>8}{'otter':>8}{'ratio':>8}   (CPU seconds, least of {options.turns} turns)")
    for master in sorted((ROOT / "exercises").glob("hw*.md")):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            made = release(master, folder / master.stem)
            notebook = solved(master.stem, made)
            autograder = unpack(made / "autograder.zip", folder / "shared")
            results = []
            ours = partial(_ours, Submission("ann", notebook), autograder, results)
            others = partial(_otters, made / "autograder.zip", notebook, folder)
            seconds = [(cpu_seconds(ours), cpu_seconds(others)) for _ in range(options.turns)]
            scores = {
                sum(outcome["points"] for outcomes in result["questions"].values() for outcome in outcomes)
                for result in results
            }
            theirs = json.loads((folder / "results.json").read_text(encoding="utf-8"))
            scores.add(sum(test.get("score", 0) for test in theirs["tests"]))
        assert scores == {autograder.points}, f"{master.stem}: not all points for right answers: {scores}"
        our, other = map(min, zip(*seconds))
        print(f"{master.stem:10}{our:8.2f}{other:8.2f}{our / other:8.2f}", flush=True)


if __name__ == "__main__":
    main()
