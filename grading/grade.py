"""Grade a folder of submissions.

    python -m grading.grade hw01 submissions/ out/ --roster roster.csv

Every submission runs in a sandbox and a process of its own. The checks stay outside
and ask it questions in JSON. What is finished is kept in ``out/results``: the same
command, started again, goes on where it was ended.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import threading
import zipfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from pathlib import Path

from tqdm import tqdm

from grading import one, report, sandbox
from grading.autograder import ROOT, Autograder, unpack
from grading.notebooks import NotGradable, read_file
from grading.one import FAILED, FULL, Limits
from grading.roster import read_roster
from grading.submissions import Submission, collect
from lib.files import write_atomically
from lib.homework import kernel

INCOMPLETE = 1  # exit code: something could not be graded here and now
NOTHING = 2  # exit code: nothing was graded
INTERRUPTED = 130  # exit code: Ctrl-C, as shells have it


class DiskFull(Exception):
    """Nothing more can be kept."""


def key(submission: Submission, autograder: Autograder, limits: Limits, safe: bool) -> str:
    """What a result depends on; a result with another key is made anew."""
    try:
        content = b"" if submission.path is None else read_file(submission.path)
    except NotGradable as reason:
        content = str(reason).encode()
    parts = [
        autograder.digest,
        str(limits),
        sandbox.description() if safe else "unsafe",
        str(submission),
        hashlib.sha256(content).hexdigest(),
    ]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "backslashreplace")).hexdigest()


def result_file(out: Path, submission: Submission) -> Path:
    return out / "results" / f"{report.file_name(submission.student)}{'' if submission.on_roster else '.unknown'}.json"


def finished(out: Path, submission: Submission, key: str) -> dict | None:
    """The result of an earlier start, if it is the result of the same thing."""
    try:
        stored = json.loads(result_file(out, submission).read_text(encoding="utf-8"))
        return stored["result"] if stored["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def grade_all(
    submissions: list[Submission],
    autograder: Autograder,
    out: Path,
    limits: Limits,
    safe: bool = True,
    workers: int = 1,
) -> list[dict | None]:
    """The results of all submissions, in their order; each is kept in ``out`` as soon as it is there.

    Raises
    ------
    DiskFull
        A result could not be kept.
    """
    keys = [key(submission, autograder, limits, safe) for submission in submissions]
    results = [finished(out, submission, its) for submission, its in zip(submissions, keys)]
    todo = [number for number, result in enumerate(results) if result is None]
    progress = tqdm(total=len(submissions), initial=len(submissions) - len(todo), unit="submission")
    for attempt in (workers, 1):  # a worker that dies takes its neighbours along: then one at a time
        work = [(number, submissions[number]) for number in todo if results[number] is None]
        for number, result in graded(work, autograder, limits, safe, attempt):
            results[number] = result
            progress.update()
            if not result["status"].startswith(FAILED):
                kept = json.dumps({"key": keys[number], "result": result})
                with telling_if_full():
                    write_atomically(result_file(out, submissions[number]), kept)
    for number in todo:
        if results[number] is None:
            what = f"{FAILED}: the process that graded it ended"
            results[number] = one.unmarked(submissions[number]) | {"status": what, "seconds": 0.0}
    progress.close()
    return results


def graded(work: list[tuple[int, Submission]], autograder: Autograder, limits: Limits, safe: bool, workers: int):
    """Yield each submission's number and result, as they come; what a dying worker leaves is left out.

    Processes and not threads, because a check that works too long can only be interrupted in the
    main thread of one.
    """
    if not work:
        return
    context = multiprocessing.get_context("spawn")
    shares = context.Queue()
    for number in range(workers):
        shares.put(number)
    prepare = (shares, workers, autograder, limits, safe)
    pool = ProcessPoolExecutor(min(workers, len(work)), context, _be_worker, prepare)
    try:
        jobs = {pool.submit(_grade, submission): number for number, submission in work}
        for job in as_completed(jobs):
            try:
                with telling_if_full():
                    yield jobs[job], job.result()
            except BrokenProcessPool:
                pass
    except BaseException:  # Ctrl-C, a full disk: end what runs
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _be_worker(shares, workers: int, *how):
    """Prepare a worker: it and its notebook end when its parent says so or is gone; Ctrl-C is for the parent.

    Each has processors of its own where there are enough, so that no notebook's processes slow down another's.
    """
    global _how
    _how = how
    share = shares.get()
    if hasattr(os, "sched_setaffinity") and len(processors := sorted(os.sched_getaffinity(0))) >= workers:
        os.sched_setaffinity(0, processors[share::workers])

    def end(*_):
        kernel.end_all()
        os._exit(1)

    def end_with_parent():
        connection.wait([multiprocessing.parent_process().sentinel])
        end()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=end_with_parent, daemon=True).start()


def _grade(submission: Submission) -> dict:
    return one.grade(submission, *_how)


@contextmanager
def telling_if_full():
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskFull(f"{error.strerror}: {error.filename or 'the disk'}") from None
        raise


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        return grade_folder(options)
    except DiskFull as full:
        print(
            f"The disk is full ({full}). What is finished is kept in {options.out / 'results'}; make room and give "
            f"the same command again, and it goes on from there.",
            file=sys.stderr,
        )
        return INCOMPLETE
    except KeyboardInterrupt:
        print(
            f"Ended. What is finished is kept in {options.out / 'results'}; the same command goes on from there.",
            file=sys.stderr,
        )
        return INTERRUPTED
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        print(f"Nothing was graded. {error}", file=sys.stderr)
        return NOTHING


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m grading.grade", description=__doc__.split("\n")[0])
    parser.add_argument("homework", help="as in hw01; released before with: make release HW=hw01")
    parser.add_argument("submissions", type=Path, help="a folder of .ipynb and .zip files")
    parser.add_argument("out", type=Path, help="grades.csv, feedback and summary go here")
    parser.add_argument("--roster", type=Path, help="CSV with the column student, or an export of Canvas or Moodle")
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
    return parser.parse_args(arguments)


def grade_folder(options: argparse.Namespace) -> int:
    """What the command does, once its words are understood; its exit code."""
    archive = options.autograder or ROOT / "build" / options.homework / "autograder.zip"
    if not archive.exists():
        raise ValueError(
            f"There is no {archive.name} of {options.homework}; make it with: make release HW={options.homework}"
        )
    if not options.submissions.is_dir():
        raise ValueError(f"There is no folder {options.submissions} with submissions.")
    if options.workers < 1 or options.cell_limit <= 0 or options.limit <= 0:
        raise ValueError("--workers, --cell-limit and --limit must be larger than 0.")
    part = part_of(options.part)
    roster = read_roster(options.roster) if options.roster else None
    limits = Limits(options.cell_limit, submission=options.limit)
    with tempfile.TemporaryDirectory() as folder:
        autograder = unpack(archive, Path(folder).resolve())
        if not options.unsafe and (reason := sandbox.why_not(autograder.shared)):
            raise ValueError(reason)
        submissions = collect(options.submissions, options.homework, roster)
        if part:
            submissions = submissions[part[0] - 1 :: part[1]]
        results = grade_all(submissions, autograder, options.out, limits, not options.unsafe, options.workers)
        failed = [result for result in results if result["status"].startswith(FAILED)]
        if part:
            print(
                f"Part {options.part}: {len(results)} submissions. "
                f"When all parts are done, run the command without --part."
            )
        else:
            with telling_if_full():
                report.write_all(results, autograder, options.out)
            print(report.in_one_line(results, options.out))
    if failed:
        print(
            f"{len(failed)} of {len(results)} could not be graded because of this machine, not of what was handed in "
            f"({failed[0]['status']}). They were not kept: give the same command again.",
            file=sys.stderr,
        )
    return INCOMPLETE if failed else 0


def part_of(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f"--part is {text!r}, but it must be I/N with I from 1 to N, as in 3/10.")
    return int(match[1]), int(match[2])


if __name__ == "__main__":
    sys.exit(main())
