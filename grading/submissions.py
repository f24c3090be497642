"""Whose file is it? Finds the submissions in a folder, as people and learning platforms name them."""

import csv
import io
import json
import os
import re
import stat
import unicodedata
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

LARGEST = 20_000_000  # bytes of a notebook
CANVAS = re.compile(r"(?P<name>[^_]+)_(?:LATE_)?(?P<user>\d+)_(?P<number>\d+)_.+")
MOODLE = re.compile(r"(?P<name>.+)_(?P<number>\d+)_assignsubmission_(?:file|onlinetext)")


class NotGradable(Exception):
    """Why a file is not a notebook that can be run."""


@dataclass
class Submission:
    """One student's newest file, and the older ones that do not count."""

    student: str
    path: Path | None
    on_roster: bool = True
    others: list[Path] = field(default_factory=list)


def read_roster(path: Path) -> list[dict]:
    """The rows of a roster: a CSV file with a column ``student`` and, for learning platforms, ``name`` and ``canvas_id``."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if "student" not in (reader.fieldnames or []):
            raise ValueError(
                f"{path.name} has no column `student`; its first line names the columns, as in student,name,canvas_id."
            )
        rows = [{key: (value or "").strip() for key, value in row.items() if key} for row in reader]
    names = [row["student"].lower() for row in rows if row["student"]]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{path.name} has {twice[0]} more than once; every student needs one line.")
    return [row | {"student": row["student"].lower()} for row in rows if row["student"]]


def collect(folder: Path, homework: str, roster: list[dict] | None) -> list[Submission]:
    """One submission a student, sorted by name; with a roster also those who handed in nothing.

    A file belongs to the student whose name on the roster is its folder's name or a part
    of its own name. Canvas' and Moodle's downloads are recognised. Of several files the
    newest counts: by the platform's number, else by its time.
    """
    found = {}
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".ipynb", ".zip")
        and not path.is_dir()
        and not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts)
    ]
    for path in files:
        student, number, on_roster = owner(path.relative_to(folder), homework, roster)
        found.setdefault((student, on_roster), []).append((number, path.lstat().st_mtime, path.name, path))
    submissions = []
    for (student, on_roster), versions in found.items():
        *older, newest = [path for *_, path in sorted(versions)]
        submissions.append(Submission(student, newest, on_roster, older))
    handed_in = {submission.student for submission in submissions if submission.on_roster}
    submissions += [Submission(row["student"], None) for row in roster or [] if row["student"] not in handed_in]
    return sorted(submissions, key=lambda submission: (not submission.on_roster, submission.student))


def owner(path: Path, homework: str, roster: list[dict] | None) -> tuple[str, int, bool]:
    """Student, version and whether the roster has the student, for a path below the folder of submissions."""
    for text in (*path.parts[:-1], path.stem):
        if match := CANVAS.fullmatch(text) or MOODLE.match(text):
            parts = match.groupdict()
            row = next(
                (
                    row
                    for row in roster or []
                    if parts.get("user")
                    and row.get("canvas_id") == parts["user"]
                    or letters(parts["name"]) in names_of(row)
                ),
                None,
            )
            return (
                (row["student"] if row else letters(parts["name"])),
                int(parts["number"]),
                row is not None or roster is None,
            )
    texts = [part.lower() for part in (*path.parts[:-1], path.stem)]
    for row in sorted(roster or [], key=lambda row: -len(row["student"])):
        if any(re.search(rf"(^|[_\-. ()]){re.escape(row['student'])}($|[_\-. ()])", text) for text in texts):
            return row["student"], 0, True
    bare = re.sub(rf"(^|[_\-. ]){re.escape(homework)}($|[_\-. ])", "", texts[-1]) or texts[0]
    return bare, 0, roster is None


def names_of(row: dict) -> set[str]:
    """How platforms write a student: the name in both orders, and the name on the roster."""
    words = re.split(r"[\s,]+", row.get("name", "").strip())
    orders = {"".join(words[i:] + words[:i]) for i in range(len(words))}
    return {letters(text) for text in orders | {row["student"]}} - {""}


def letters(text: str) -> str:
    """A name without case, accents, blanks and punctuation."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode() or text
    return re.sub(r"[\W_]", "", plain).lower()


def read_notebook(path: Path) -> tuple[dict, bytes]:
    """The notebook in a file or in a zip file, as parsed JSON and as bytes; NotGradable says what is wrong."""
    content = read_file(path)
    if path.suffix == ".zip":
        content = from_zip(content)
    try:
        notebook = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise NotGradable("it is no notebook (not JSON)") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise NotGradable("it is no notebook of version 4 (no list of cells)")
    for cell in cells:
        source = cell.setdefault("source", "")
        text = isinstance(source, str) or isinstance(source, list) and all(isinstance(line, str) for line in source)
        if not text or not isinstance(cell.get("cell_type"), str):
            raise NotGradable("it has a cell without a type or a text")
    return notebook, content


def read_file(path: Path) -> bytes:
    """An ordinary file's bytes, however the path came about: a pipe or a device would never end."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise NotGradable("it is no ordinary file")
            content = file.read(LARGEST + 1)
    except OSError as error:
        link = path.is_symlink()
        raise NotGradable("it is a link" if link else f"it cannot be read ({error.strerror})") from None
    if len(content) > LARGEST:
        raise NotGradable("it is larger than 20 MB")
    return content


def from_zip(content: bytes) -> bytes:
    """The one notebook in a zip file; never more of it than a notebook may have."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            notebooks = [
                entry
                for entry in archive.infolist()
                if entry.filename.endswith(".ipynb")
                and "__MACOSX" not in entry.filename
                and "/." not in "/" + entry.filename
            ]
            if len(notebooks) != 1:
                raise NotGradable(f"the zip file has {len(notebooks)} notebooks instead of one")
            with archive.open(notebooks[0]) as file:
                content = file.read(LARGEST + 1)
    except NotGradable:
        raise
    except Exception as error:  # a damaged archive fails in as many ways as it has fields
        raise NotGradable(f"the zip file cannot be read ({type(error).__name__}: {str(error)[:200]})") from None
    if len(content) > LARGEST:
        raise NotGradable("the notebook in the zip file is larger than 20 MB")
    return content
