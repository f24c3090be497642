"""The list of a course: a CSV file as people and learning platforms make it."""

import csv
import io
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from lib.homework.parameters import identity

# The columns that may hold what we need, as they are called in our own format, by Canvas and by Moodle.
NUMBERS = {"canvas": ("canvas id",), "moodle": ("moodle id", "identifier")}  # which they put into names of files
CANVAS = ("sis login id", "sis user id", "id")  # beside a column `student` that holds the name
MOODLE = ("username", "id number", "email address", "email")
NAMES = ("name", "full name")
HALVES = (("first name", "last name"), ("first name", "surname"))
IN_ENGLISH = {  # what a German Moodle calls them
    "anmeldename": "username",
    "e-mail-adresse": "email address",
    "id-nummer": "id number",
    "nachname": "last name",
    "vollständiger name": "full name",
    "vorname": "first name",
}
NO_STUDENTS = ("points possible", "student, test", "test student", "manual posting")  # lines of Canvas
REMEDY = (
    "Its first line names the columns, as in student,name,canvas_id. Exports of Canvas in English and of Moodle in "
    "English or German are read, too."
)


@dataclass(frozen=True)
class Student:
    """One line of the roster: the name for grades, the name in full, and the numbers that platforms give them."""

    student: str
    name: str = ""
    canvas: str = ""
    moodle: str = ""


def read_roster(path: Path) -> list[Student]:
    """The students of a roster.

    Comma, semicolon or tab; UTF-8, UTF-16 or, with a word about it, what Excel writes in Western
    Europe; headers in any case. A column ``student``, or an export of Canvas or Moodle.

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
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "cp1252":
            print(
                f"{path.name} is no UTF-8, and was read as Windows-1252, as Excel writes it in Western Europe. If a "
                f"name with accents comes out wrong, save it from the spreadsheet as CSV in UTF-8.",
                file=sys.stderr,
            )
        return text
    raise ValueError(f"{path.name} is in no encoding that we know. Save it from the spreadsheet as CSV in UTF-8.")


def table(text: str, name: str) -> list[tuple[int, dict[str, str]]]:
    """The lines below the header as dicts, with their numbers; the header is the first line that holds a word.

    The separator is the one that gives the header most columns.
    """
    text = re.sub(r"\A\s*sep=.(?=\r?\n)", "", text, flags=re.IGNORECASE)
    written = list(io.StringIO(text, newline=""))
    first = next((line for line in written if re.search(r"\w", line)), "")
    separator = max(",;\t", key=first.count)
    reader = csv.reader(written, delimiter=separator, skipinitialspace=True, strict=True)
    lines, begins = [], 1
    try:
        for line in reader:
            inside = written[begins : reader.line_num]  # a text between quotation marks may have lines of its own
            if any(one.count(separator) >= first.count(separator) for one in inside):  # but none with all columns
                raise ValueError(unclosed(name, begins))
            lines.append((begins, [value.strip() for value in line]))
            begins = reader.line_num + 1
    except csv.Error as error:
        if '"' in text:
            raise ValueError(unclosed(name, begins)) from None
        raise ValueError(f"{name} is no CSV file ({error}). {REMEDY}") from None
    lines = [(number, line) for number, line in lines if any(line)]
    if len(lines) < 2:
        raise ValueError(f"{name} names no student. {REMEDY}")
    (_, header), *rest = lines
    header = [re.sub(r"[\s_]+", " ", title).casefold() for title in header]
    header = [IN_ENGLISH.get(title, title) for title in header]
    return [(number, dict(zip(header, line))) for number, line in rest]


def unclosed(name: str, line: int) -> str:
    return (
        f"{name}, line {line}: a quotation mark begins there that is not closed before the next comma or line, and "
        f"would swallow other students. Put one at both ends of the text, or none."
    )


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
