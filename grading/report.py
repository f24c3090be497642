"""What a grading leaves behind: grades.csv, a page of feedback a student, and a page on the class."""

import csv
import hashlib
import io
import re
from collections import Counter
from pathlib import Path

import jinja2

from lib.files import write_atomically

NO_FEEDBACK = ("no submission", "not on the roster", "not decided", "not graded")  # nothing to tell, or not to this one
PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


def file_name(student: str) -> str:
    """A student's name as a file's: two students never share one."""
    safe = re.sub(r"[^a-z0-9@.-]", "_", student.lower()).lstrip(".")[:80]
    return safe if safe == student else f"{safe}-{hashlib.sha256(student.encode()).hexdigest()[:8]}"


def points(result: dict, question: str) -> float:
    return sum(outcome["points"] for outcome in result["questions"][question])


def total(result: dict) -> float | None:
    """A student's points; None where nothing was graded, which is not the same as 0."""
    return sum(points(result, name) for name in result["questions"]) if result["status"] == "graded" else None


def hints(outcomes: list[dict], what: str = "hint") -> list[str]:
    """What the failed checks said; ``what="shown"``: what the student may read of it."""
    return list(dict.fromkeys(outcome[what] for outcome in outcomes if outcome[what]))


def kind(result: dict) -> str:
    """A status without its reason."""
    return result["status"].split(":")[0]


def for_spreadsheets(value) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return "'" + text if isinstance(value, str) and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def grades(results: list[dict], autograder) -> str:
    """grades.csv: a line a student, the score and the status in columns of their own."""
    questions = list(autograder.questions)
    text = io.StringIO()
    writer = csv.writer(text)
    columns = ["student", "status", *questions, "total", "out_of", "file", "note", "other_files", "sha256", "seconds"]
    writer.writerow(columns)
    for result in results:
        scores = [float(points(result, name)) if result["status"] == "graded" else None for name in questions]
        given = total(result)
        row = [
            result["student"],
            result["status"],
            *scores,
            None if given is None else float(given),
            float(autograder.points),
            result["file"],
            " ".join(filter(None, [result["note"], result["told"]])),
            "; ".join(result["others"]),
            result["sha256"][:12],
            result["seconds"],
        ]
        writer.writerow([for_spreadsheets(value) for value in row])
    return text.getvalue()


def write_all(results: list[dict], autograder, out: Path):
    """Write grades.csv, feedback/*.html and summary.html."""
    write_atomically(out / "grades.csv", grades(results, autograder))
    for result in results:
        if kind(result) not in NO_FEEDBACK:
            page = PAGES.get_template("feedback.html").render(
                result=result,
                homework=autograder.homework,
                total=total(result),
                out_of=autograder.points,
                questions=[
                    (
                        name,
                        points(result, name) if name in result["questions"] else None,
                        question.points,
                        hints(result["questions"].get(name, []), "shown"),
                    )
                    for name, question in autograder.questions.items()
                ],
            )
            write_atomically(out / "feedback" / f"{file_name(result['student'])}.html", page)
    write_atomically(out / "summary.html", summary(results, autograder))


def summary(results: list[dict], autograder) -> str:
    """How the class did, and which misconceptions it showed."""
    graded = [result for result in results if result["status"] == "graded"]
    totals = [total(result) for result in graded]
    bins = [
        (
            low,
            sum(
                low <= 10 * given / autograder.points < low + 1 or (low == 9 and given == autograder.points)
                for given in totals
            ),
        )
        for low in range(10)
    ]
    met = Counter(
        (name, hint) for result in graded for name, outcomes in result["questions"].items() for hint in hints(outcomes)
    )
    questions = (
        [
            (
                name,
                question.points,
                sum(points(result, name) for result in graded) / len(graded),
                sum(points(result, name) == question.points for result in graded),
            )
            for name, question in autograder.questions.items()
        ]
        if graded
        else []
    )
    return PAGES.get_template("summary.html").render(
        homework=autograder.homework,
        out_of=autograder.points,
        num_graded=len(graded),
        num_all=len(results),
        mean=sum(totals) / len(totals) if totals else None,
        bins=bins,
        most=max([count for _, count in bins] + [1]),
        statuses=Counter(map(kind, results)).most_common(),
        questions=questions,
        met=met.most_common(),
        attention=[
            result
            for result in results
            if result["note"] or result["told"] or result["status"] not in ("graded", "no submission")
        ],
    )


def in_one_line(results: list[dict], out: Path) -> str:
    statuses = Counter(map(kind, results)).most_common()
    counts = ", ".join(f"{count} {status}" for status, count in statuses)
    return f"{counts}. See {out / 'grades.csv'} and {out / 'summary.html'}."
