"""The list of a course: a CSV file as people and learning platforms make it."""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from lib.homework.parameters import identity

# The columns that may hold what we need, as they are called in our own format, by Canvas and by Moodle.
NUMBERS = {"canvas": ("canvas_id",), "moodle": ("moodle_id", "identifier")}  # which they put into names of files
CANVAS = ("sis login id", "sis user id", "id")  # beside a column `student` that holds the name
MOODLE = ("username", "id number", "email address", "email")
NAMES = ("name", "full name")
HALVES = (("first name", "last name"), ("first name", "surname"))
NO_STUDENTS = ("points possible", "student, test", "test student", "manual posting")  # lines of Canvas
REMEDY = "Its first line names the columns, as in student,name,canvas_id; exports of Canvas and Moodle are read, too."


@dataclass(frozen=True)
class Student:
    """One line of the roster: the name for grades, the name in full, and the numbers that platforms give them."""

    student: str
    name: str = ""
    canvas: str = ""
    moodle: str = ""


def read_roster(path: Path) -> list[Student]:
    """The students of a roster.

    Comma, semicolon or tab; UTF-8, UTF-16 or what Excel writes in Western Europe; headers in
    any case. A column ``student``, or an export of Canvas or Moodle.

    Raises
    ------
    ValueError
        What is wrong with it, and what to do.
    """
    rows = table(decoded(path), path.name)
    students = []
    for line, row in rows:
        student = one(row)
        if student is None:
            raise ValueError(f"{path.name} has no column `student`, but {', '.join(filter(None, row))}. {REMEDY}")
        if re.fullmatch(r"\d[.,]\d+e\+\d+", student.student):
            raise ValueError(
                f"{path.name}, line {line}: a spreadsheet made a number of the name {student.student!r}. Set the "
                f"column to text there and fill it in again."
            )
        if student.student:
            students.append(student)
    if not students:
        raise ValueError(f"{path.name} names no student. {REMEDY}")
    for what, values in (
        ("", [student.student for student in students]),
        ("the Canvas number ", [student.canvas for student in students if student.canvas]),
        ("the Moodle number ", [student.moodle for student in students if student.moodle]),
    ):
        if twice := sorted({value for value in values if values.count(value) > 1}):
            raise ValueError(f"{path.name} has {what}{twice[0]} more than once; every student needs one line.")
    return students


def decoded(path: Path) -> str:
    """The text of a file of unknown encoding."""
    content = path.read_bytes()
    if content.startswith(b"PK"):
        raise ValueError(f"{path.name} is a workbook, not a CSV file. Save it from the spreadsheet as CSV.")
    sparse = len(content) > 1 and (content[1] == 0, content[0] == 0)  # ASCII letters in UTF-16 without its mark
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif sparse and any(sparse):
        encodings = ["utf-16-le" if sparse[0] else "utf-16-be"]
    else:
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            pass
    raise ValueError(f"{path.name} is in no encoding that we know. Save it from the spreadsheet as CSV in UTF-8.")


def table(text: str, name: str) -> list[tuple[int, dict[str, str]]]:
    """The lines below the first as dicts, with their numbers; the separator is the one that gives most columns."""
    text = re.sub(r"\A\s*sep=.\r?\n", "", text, flags=re.IGNORECASE)
    first = text.lstrip().split("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        lines = list(csv.reader(io.StringIO(text.lstrip(), newline=""), delimiter=separator))
    except csv.Error as error:
        raise ValueError(f"{name} is no CSV file ({error}). {REMEDY}") from None
    if len(lines) < 2:
        raise ValueError(f"{name} names no student. {REMEDY}")
    header = [title.strip().casefold() for title in lines[0]]
    return [
        (number, dict(zip(header, [value.strip() for value in line])))
        for number, line in enumerate(lines[1:], start=2)
        if any(value.strip() for value in line)
    ]


def one(row: dict[str, str]) -> Student | None:
    """The student of a line; None if no column says who that is."""

    def first(columns) -> str:
        return next((row[column] for column in columns if row.get(column)), "")

    numbers = {platform: re.sub(r"\D", "", first(columns)) for platform, columns in NUMBERS.items()}
    name = first(NAMES) or next((f"{row[a]} {row[b]}".strip() for a, b in HALVES if a in row and b in row), "")
    if "student" in row and "id" in row and "section" in row:  # Canvas' gradebook
        if row["student"].casefold() in NO_STUDENTS or not row["id"]:
            return Student("")
        name, numbers["canvas"] = row["student"], row["id"]
        student = first(CANVAS).split("@")[0]
    elif "student" in row:
        student = row["student"]
    elif any(column in row for column in MOODLE):
        student = first(MOODLE).split("@")[0]
    else:
        return None
    return Student(identity(student), name, **numbers)
