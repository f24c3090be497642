"""Grade a folder of submissions.

    python -m grading.grade hw01 submissions/ out/ --roster roster.csv

Every submission runs in a sandbox and a process of its own. The checks stay outside
and ask it questions in JSON. What is finished is kept in ``out/results``: the same
command, started again, goes on where it was ended.
"""

import argparse
import compileall
import hashlib
import json
import os
import re
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from grading import report, sandbox
from grading.submissions import NotGradable, Submission, collect, read_file, read_notebook, read_roster
from lib.homework import checks
from lib.homework.__main__ import code_cells
from lib.homework.kernel import Kernel, KernelGone

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Limits:
    """Seconds."""

    cell: float = 30
    call: float = 5
    submission: float = 120


@dataclass(frozen=True)
class Autograder:
    """A released homework, unpacked once for all submissions."""

    homework: str
    digest: str
    questions: dict[str, checks.Question]
    shared: Path

    @property
    def points(self) -> float:
        return sum(question.points for question in self.questions.values())


def unpack(archive: Path, shared: Path) -> Autograder:
    """Read an autograder.zip; what the sandboxes share goes into the folder ``shared``.

    Raises
    ------
    ValueError
        It was released from another version of ``lib``, so students had other numbers.
    """
    with zipfile.ZipFile(archive) as released:
        homework = json.loads(released.read("otter_config.json"))["assignment_name"]
        for name in released.namelist():
            if name.startswith("files/lib/"):
                content, here = released.read(name), ROOT / name.removeprefix("files/")
                if not here.exists() or here.read_bytes() != content:
                    raise ValueError(
                        f"{archive} was released with another {name.removeprefix('files/')}; grade with the "
                        f"version of the course that released it, or release it again."
                    )
                target = shared / name.removeprefix("files/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
        questions = [
            checks.read(released.read(name).decode(), name)
            for name in sorted(released.namelist())
            if re.fullmatch(r"tests/q\w+\.py", name)
        ]
    compileall.compile_dir(shared, quiet=1)  # once for all
    return Autograder(
        homework,
        hashlib.sha256(archive.read_bytes()).hexdigest(),
        {question.name: question for question in questions},
        shared,
    )


def grade(submission: Submission, autograder: Autograder, limits: Limits, command: list[str] | None) -> dict:
    """Run one submission and its checks; whatever the submission does, there is a result.

    Returns
    -------
    dict
        ``status``, ``questions`` (each with points, and a hint a failed check) and
        ``cells`` (the errors of cells), ready for JSON.
    """
    result = {
        "status": "",
        "student": submission.student,
        "file": "",
        "sha256": "",
        "questions": {},
        "cells": [],
        "seconds": 0.0,
        "others": [path.name for path in submission.others],
    }
    if submission.path is None:
        return result | {"status": "no submission"}
    result["file"] = submission.path.name
    if not submission.on_roster:
        return result | {"status": "not on the roster"}
    started = time.monotonic()
    try:
        notebook, content = read_notebook(submission.path)
        result["sha256"] = hashlib.sha256(content).hexdigest()
        with Kernel(command, submission.student, None if command else autograder.shared, limits.call) as kernel:
            for number, cell in enumerate(code_cells(notebook), start=1):
                left = limits.submission - (time.monotonic() - started)
                if left <= 0:
                    raise KernelGone("all cells together ran too long", timeout=True)
                if error := kernel.run(cell, min(limits.cell, left)):
                    result["cells"].append({"cell": number, "error": error})
            for name, question in autograder.questions.items():
                if time.monotonic() - started > limits.submission:
                    raise KernelGone("the checks of it ran too long", timeout=True)
                result["questions"][name] = [asdict(outcome) for outcome in checks.run(question, kernel)]
        result["status"] = "graded"
    except NotGradable as reason:
        result["status"] = f"not gradable: {reason}"
    except KernelGone as reason:
        result["questions"] = {}
        result["status"] = f"timeout: {reason}" if reason.timeout else f"not gradable: {reason}"
    except Exception as error:  # whatever one file is, the others are graded, and it is named
        result["questions"] = {}
        result["status"] = f"not gradable: it stopped the grader with {type(error).__name__}: {str(error)[:200]}"
    return result | {"seconds": round(time.monotonic() - started, 2)}


def key(submission: Submission, autograder: Autograder, limits: Limits) -> str:
    """What a result depends on; a result with another key is made anew."""
    path = submission.path
    try:
        content = b"" if path is None else read_file(path)
    except NotGradable as reason:
        content = str(reason).encode()
    parts = [
        autograder.digest,
        str(limits),
        submission.student,
        str(submission.on_roster),
        path.name if path else "",
        *(other.name for other in submission.others),
        hashlib.sha256(content).hexdigest(),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def result_file(out: Path, submission: Submission) -> Path:
    return out / "results" / f"{report.file_name(submission.student)}{'' if submission.on_roster else '.unknown'}.json"


def finished(out: Path, submission: Submission, key: str) -> dict | None:
    """The result of an earlier start, if it is the result of the same thing."""
    try:
        stored = json.loads(result_file(out, submission).read_text(encoding="utf-8"))
        return stored["result"] if stored["key"] == key else None
    except (OSError, ValueError, KeyError):
        return None


def write(path: Path, text: str):
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_file = path.with_name(path.name + ".part")
    partial_file.write_text(text, encoding="utf-8", newline="")
    os.replace(partial_file, path)


def grade_all(
    submissions: list[Submission],
    autograder: Autograder,
    out: Path,
    limits: Limits = Limits(),
    command: list[str] | None = None,
    workers: int = 1,
) -> list[dict]:
    """The results of all submissions, in their order; each is kept in ``out`` as soon as it is there."""
    keys = [key(submission, autograder, limits) for submission in submissions]
    results = [finished(out, submission, its) for submission, its in zip(submissions, keys)]
    todo = [number for number, result in enumerate(results) if result is None]
    pool = ThreadPoolExecutor(workers)  # threads: the work is in the processes that they start
    try:
        jobs = {pool.submit(grade, submissions[number], autograder, limits, command): number for number in todo}
        for job in tqdm(
            as_completed(jobs), total=len(submissions), initial=len(submissions) - len(todo), unit="submission"
        ):
            number = jobs[job]
            results[number] = job.result()
            write(result_file(out, submissions[number]), json.dumps({"key": keys[number], "result": results[number]}))
    finally:
        pool.shutdown(cancel_futures=True)
    return results


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m grading.grade", description=__doc__.split("\n")[0])
    parser.add_argument("homework", help="as in hw01; released before with: make release HW=hw01")
    parser.add_argument("submissions", type=Path, help="a folder of .ipynb and .zip files")
    parser.add_argument("out", type=Path, help="grades.csv, feedback and summary go here")
    parser.add_argument("--roster", type=Path, help="CSV with the column student, and perhaps name and canvas_id")
    parser.add_argument("--autograder", type=Path, help="default: build/HOMEWORK/autograder.zip")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="submissions at a time")
    parser.add_argument("--cell-limit", type=float, default=Limits.cell, help="seconds of one cell")
    parser.add_argument("--limit", type=float, default=Limits.submission, help="seconds of one submission")
    parser.add_argument(
        "--part",
        metavar="I/N",
        help="grade only every N-th submission from the I-th (1 to N) on, and write "
        "no grades.csv: for array jobs that share OUT",
    )
    parser.add_argument("--unsafe", action="store_true", help="no sandbox: students' code may do whatever you may do")
    options = parser.parse_args(arguments)
    try:
        archive = options.autograder or ROOT / "build" / options.homework / "autograder.zip"
        if not archive.exists():
            raise ValueError(
                f"There is no {archive.name} of {options.homework}; make it with: make release HW={options.homework}"
            )
        if not options.submissions.is_dir():
            raise ValueError(f"There is no folder {options.submissions} with submissions.")
        part = part_of(options.part)
        if not options.unsafe and (reason := sandbox.why_not()):
            raise ValueError(reason)
        roster = read_roster(options.roster) if options.roster else None
        with tempfile.TemporaryDirectory() as folder:
            autograder = unpack(archive, Path(folder).resolve())
            submissions = collect(options.submissions, options.homework, roster)
            if part:
                submissions = submissions[part[0] - 1 :: part[1]]
            command = None if options.unsafe else sandbox.command(autograder.shared)
            results = grade_all(
                submissions,
                autograder,
                options.out,
                Limits(options.cell_limit, submission=options.limit),
                command,
                options.workers,
            )
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        print(f"Nothing was graded. {error}", file=sys.stderr)
        return 2
    if part:
        print(
            f"Part {options.part}: {len(results)} submissions. When all parts are done, run the command without --part."
        )
        return 0
    report.write_all(results, autograder, options.out, write)
    print(report.in_one_line(results, options.out))
    return 0


def part_of(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f"--part is {text!r}, but it must be I/N with I from 1 to N, as in 3/10.")
    return int(match[1]), int(match[2])


if __name__ == "__main__":
    sys.exit(main())
