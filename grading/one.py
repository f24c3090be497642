"""One submission, from its file to its result: whatever it is, there is a result, and the others go on."""

import errno
import hashlib
import signal
import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass

from grading.autograder import Autograder
from grading.notebooks import NotGradable, read_notebook
from grading.sandbox import Sandbox, watch
from grading.submissions import Submission
from lib.homework import checks
from lib.homework.__main__ import code_cells
from lib.homework.inside import shown
from lib.homework.kernel import Kernel, KernelGone, NotStarted, unprotected
from lib.homework.parameters import identity

MOST_ERRORS = 50  # of cells, in one result
MOST_OF_A_HINT = 2000  # characters
TRIES = 3  # where the machine failed
HIDDEN = "A hidden check did not pass. It tries your answer on numbers that you have not seen."
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of a disk, or of what one may have of it
FAILED = "not graded"  # how the status starts where the machine failed: that is no result


@dataclass(frozen=True)
class Limits:
    """Seconds."""

    cell: float = 30
    call: float = 5
    check: float = 10  # of the grader's own work on an answer
    submission: float = 120


class TooLong(BaseException):
    """A check works on an answer for too long. Not an Exception: a check must not swallow it."""


class Ended(Exception):
    """The notebook's process ended for a reason that nobody here knows: its own code, or the machine."""


def grade(submission: Submission, autograder: Autograder, limits: Limits, safe: bool = True) -> dict:
    """Run one submission and its checks; whatever the submission does, there is a result.

    What the machine is to blame for is tried again, and so is what it might be to blame for.

    Returns
    -------
    dict
        ``status``, ``questions`` (each with points, and a hint a failed check), ``cells``
        (the errors of cells) and ``note``, ready for JSON.
    """
    started = time.monotonic()
    ended = None
    for attempt in range(TRIES):
        result = unmarked(submission)
        try:
            mark(result, submission, autograder, limits, safe)
            break
        except Ended as reason:  # twice is no accident
            result |= {"questions": {}, "status": f"not gradable: {reason}"}
            if ended is not None:
                break
            ended = reason
        except (NotStarted, OSError, MemoryError) as error:
            if getattr(error, "errno", None) in FULL:
                raise
            result |= {"questions": {}, "status": shown(f"{FAILED}: this machine failed ({error or 'out of memory'})")}
            time.sleep(attempt)
        except Exception as error:
            status = f"not gradable: it stopped the grader with {type(error).__name__}: {error}"
            result |= {"questions": {}, "status": shown(status)}
            break
    return result | {"seconds": round(time.monotonic() - started, 2)}


def unmarked(submission: Submission) -> dict:
    """A result with what is known before anything was opened."""
    return {
        "student": submission.student,
        "status": submission.status,
        "note": submission.note,  # for whoever grades
        "told": "",  # for the student, too
        "file": submission.file,
        "sha256": "",
        "questions": {},
        "cells": [],
        "others": submission.others,
    }


def mark(result: dict, submission: Submission, autograder: Autograder, limits: Limits, safe: bool):
    """Run the notebook and its checks, and write into ``result`` what they said."""
    if submission.status:
        return
    try:
        notebook, content = read_notebook(submission.path)
    except NotGradable as reason:
        result["status"] = shown(f"not gradable: {reason}")
        return
    result["sha256"] = hashlib.sha256(content).hexdigest()
    start = Sandbox(autograder.shared).start if safe else unprotected(autograder.shared)
    with Kernel(start, submission.student, limits.call, limits.submission) as kernel:
        with watch(kernel.pid) if safe else nullcontext() as watched:
            try:
                run_cells(result, notebook, kernel, limits.cell)
                result["told"] = other_id(kernel, submission.student)
                ask(result, autograder, kernel, limits.check)
                result["status"] = "graded"
            except KernelGone as reason:
                if watched and watched.reason:
                    result |= {"questions": {}, "status": f"not gradable: {watched.reason}"}
                elif reason.timeout:
                    result |= {"questions": {}, "status": f"timeout: {reason}"}
                else:
                    raise Ended(str(reason)) from None


def run_cells(result: dict, notebook: dict, kernel: Kernel, seconds: float):
    failed = 0
    for number, cell in enumerate(code_cells(notebook), start=1):
        if error := kernel.run(cell, min(seconds, kernel.seconds_left)):
            failed += 1
            if failed <= MOST_ERRORS:
                result["cells"].append({"cell": number, "error": error})
    if failed > MOST_ERRORS:
        result["note"] += f" {failed} cells ended with an error; the first {MOST_ERRORS} are listed."


def other_id(kernel: Kernel, student: str) -> str:
    """A sentence if the notebook's STUDENT_ID is not the one whose numbers its checks use."""
    given = kernel.ask({"value": "STUDENT_ID"}).get("plain")
    if isinstance(given, str) and identity(given) == identity(student):
        return ""
    what = f"is {given[:60]!r}" if isinstance(given, str) else "is missing or no text"
    return shown(
        f"STUDENT_ID {what}, but the list of the course has {student!r}. The numbers of a homework are drawn from that "
        f"name, so answers to other numbers count as wrong."
    )


def ask(result: dict, autograder: Autograder, kernel: Kernel, seconds: float):
    """Run the checks of all questions, and only then the hidden ones.

    So no public check's hint can show what a hidden one has asked a student's function before.
    """
    cases = [case for question in autograder.questions.values() for case in question.cases]
    env, outcomes = Clocked(kernel), {}
    for case in sorted(cases, key=lambda case: case.hidden):
        kernel.seconds_left  # noqa: B018 (it raises once the time is over)
        try:
            with time_limit(seconds):
                outcome = asdict(checks.outcome(case, env))
        except TooLong:
            hint = f"The check needed more than {seconds:g} seconds for your answer. Is it far larger than asked for?"
            outcome = asdict(checks.Outcome(0, case.points, case.hidden, hint))
        outcome["hint"] = outcome["hint"] and shown(outcome["hint"], MOST_OF_A_HINT)
        told = case.hidden and outcome["hint"] and outcome["hint"] not in autograder.sentences
        outcomes[id(case)] = outcome | {"shown": HIDDEN if told else outcome["hint"]}
    for name, question in autograder.questions.items():
        result["questions"][name] = [outcomes[id(case)] for case in question.cases]


class Clocked:
    """The far end of a sandbox for a check whose own work is timed; the student's functions have another limit."""

    def __init__(self, kernel: Kernel):
        self.student_id, self._kernel = kernel.student_id, kernel

    def ask(self, question: dict) -> dict:
        if not timed():
            return self._kernel.ask(question)
        left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            return self._kernel.ask(question)
        finally:
            signal.setitimer(signal.ITIMER_REAL, left)


@contextmanager
def time_limit(seconds: float):
    """Raise TooLong in what runs longer than that; where the system has such clocks."""
    if not timed():
        yield
        return

    def late(*_):
        raise TooLong

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def timed() -> bool:
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
