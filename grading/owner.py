"""Who handed in what: one decision, from the names of folders and file, that never guesses.

1. A folder speaks before the file in it. Folders that contradict each other decide nothing.
2. A learning platform's number speaks before the name beside it.
3. A whole name speaks before a part of one.
4. Names are compared in one form. If several students fit, all of them are named and none is chosen.
5. A number in brackets counts copies and is no part of a name. A last number that is set apart, as in
   anna-2, may be either: it names both, anna and anna2, if there are both. Only a folder that is
   called exactly as the roster has it means nobody else.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from operator import attrgetter

from grading.roster import Student
from lib.homework.inside import shown
from lib.homework.parameters import identity

CANVAS = re.compile(r"(?P<name>[^_]+)_(?:LATE_)?(?P<account>\d+)_(?P<version>\d+)_.+")
MOODLE = re.compile(r"(?P<name>.+)_(?P<account>\d+)_assignsubmission_(?:file|onlinetext)")
ENDINGS = re.compile(
    r"(\.(ipynb|txt|json|html?|pdf|docx?|md|py|zip|7z|rar|tar|tgz|gz|bz2|xz))+([ _-]*\(?\d*\)?)$", re.IGNORECASE
)
COPY = re.compile(r"[\s_-]*[(\[（]\s*\d+\s*[)\]）]")  # what browsers and systems put behind a name, as in anna (2)
LAST_NUMBER = re.compile(r"[\s_-]+(\d+)$")


@dataclass(frozen=True)
class Owner:
    """The students whose file it may be: one if it is decided, none if nobody on the roster fits."""

    students: tuple[str, ...]
    account: str = ""  # the platform's number for whoever handed it in, where the roster does not have it
    version: int = 0
    contradicted: str = ""  # what else in its path says whom, if that is somebody else


@dataclass(frozen=True)
class Says:
    """Whom the name of one folder, or of the file, means."""

    where: str  # as the beginning of a sentence that the student ends
    students: tuple[str, ...]
    strength: int  # the rule by which it does; the first is the strongest
    account: str = ""
    version: int = 0
    is_folder: bool = True
    by_platform: bool = False


def owner(parts: tuple[str, ...], homework: str, roster: list[Student]) -> Owner:
    """Whose file it is, by its path below the folder of submissions."""
    *folders, name = parts
    said = [says(folder, f"the folder {shown(folder, 100)} says", homework, roster) for folder in folders]
    said.append(says(without_endings(name), "its own name", homework, roster, is_folder=False))
    said = [one for one in said if one]
    version = max((one.version for one in said), default=0)
    if not said:
        return Owner((), "", version)
    first = min(said, key=lambda one: one.strength)  # and of equals the outermost
    students = set(first.students)
    others = [one for one in said if students and one.students and not students & set(one.students)]
    for one in list(others):
        if first.is_folder and one.is_folder and not first.by_platform and one.strength == first.strength:
            students |= set(one.students)
            others.remove(one)
    contradicted = ", ".join(f"{one.where} {' or '.join(one.students)}" for one in others)
    return Owner(tuple(sorted(students)), first.account, version, contradicted)


def says(name: str, where: str, homework: str, roster: list[Student], is_folder: bool = True) -> Says | None:
    """What one name in a path says; None if it says nothing."""
    text = COPY.sub(" ", name).strip()
    if platform := by_a_platform(text, homework):
        found, account = by_number(platform, roster)  # and if there is nobody: the roster does not have them
        version = int(platform.groupdict().get("version") or 0)
        return Says(where, names(found), 0, account, version, is_folder, by_platform=True)
    if is_folder and (exact := [student for student in roster if student.student == identity(name)]):
        return Says(where, names(exact), 0)
    for strength, rule in enumerate((by_whole_name, by_part_of_name, by_name_and_number)):
        if rule(text, homework, roster):
            found = [student for reading in readings(text, homework) for student in rule(reading, homework, roster)]
            return Says(where, names(found), strength, is_folder=is_folder)
    return None


def readings(text: str, homework: str) -> list[str]:
    """A text as it is written; with its last number joined to the name; and without it, for it may count copies."""
    found = [text, LAST_NUMBER.sub(r"\1", bare := without_homework(text, homework))]
    while LAST_NUMBER.search(bare):
        found.append(bare := LAST_NUMBER.sub("", bare))
    return found


def names(students: list[Student]) -> tuple[str, ...]:
    return tuple(sorted({student.student for student in students}))


def by_a_platform(text: str, homework: str) -> re.Match | None:
    """The parts of a name that Canvas or Moodle has made, which a date is not, as in hw01_2026_11_05."""
    platform = MOODLE.match(text) or CANVAS.fullmatch(text)
    return None if platform is None or identity(platform["name"]) == homework else platform


def by_number(platform: re.Match, roster: list[Student]) -> tuple[list[Student], str]:
    """By the number, and if the roster does not have it, by the name of those who have no number there."""
    number = attrgetter("canvas" if platform.re is CANVAS else "moodle")
    if found := [student for student in roster if number(student) == platform["account"]]:
        return found, ""
    return by_name(platform["name"], [student for student in roster if not number(student)]), platform["account"]


def by_whole_name(text: str, homework: str, roster: list[Student]) -> list[Student]:
    bare = without_homework(text, homework)
    exact = [student for student in roster if student.student in (identity(text), identity(bare))]
    return exact or by_name(bare, roster)


def by_part_of_name(text: str, homework: str, roster: list[Student]) -> list[Student]:
    """Those whose name on the roster stands in the text, between blanks and signs; a longer name hides its parts."""
    text = identity(text)
    spans = [
        (match.start(), match.end(), student)
        for student in roster
        if student.student in text  # quick, and for most of a roster the end of it
        for match in re.finditer(rf"(?<![^\W_]){re.escape(student.student)}(?![^\W_])", text)
    ]
    whole = [
        student
        for start, end, student in spans
        if not any(a <= start and end <= b and (a, b) != (start, end) for a, b, _ in spans)
    ]
    return list(dict.fromkeys(whole))


def by_name_and_number(text: str, homework: str, roster: list[Student]) -> list[Student]:
    """Those whose whole name it is but for the last number."""
    return by_whole_name(LAST_NUMBER.sub("", without_homework(text, homework)), homework, roster)


def by_name(text: str, roster: list[Student]) -> list[Student]:
    """Those who are called so, in whatever order the words stand; accents count where the text has some."""
    found = [student for student in roster if letters(text) and letters(text) in orders(student, letters)]
    if len(found) > 1 and letters(text) != letters_and_accents(text):
        found = [s for s in found if letters_and_accents(text) in orders(s, letters_and_accents)] or found
    return found


@cache
def orders(student: Student, form) -> set[str]:
    """How platforms write a student: the name in each order of its words, and the name on the roster."""
    words = re.split(r"[\s,]+", student.name.strip())
    return {form("".join(words[i:] + words[:i])) for i in range(len(words))} | {form(student.student)}


@cache
def letters_and_accents(text: str) -> str:
    """A name without case, blanks and signs."""
    return re.sub(r"[\W_]", "", identity(text))


@cache
def letters(text: str) -> str:
    """A name without case, accents, blanks and signs, as platforms write it in the names of files."""
    split = unicodedata.normalize("NFKD", letters_and_accents(text))
    return "".join(letter for letter in split if not unicodedata.combining(letter))


def without_endings(name: str) -> str:
    """The name of a file without its endings and the numbers in brackets that count copies."""
    return ENDINGS.sub("", COPY.sub(" ", name).strip()).strip()


def without_homework(text: str, homework: str) -> str:
    """The rest of a name; behind a homework that stands behind a name, a number counts copies, as in anna_hw01-2."""
    text = re.sub(rf"(?i)(?<=[_\-. ]{re.escape(homework)})[_\- ]+\d{{1,2}}$", "", text)
    return re.sub(rf"(?i)(^|[_\-. ]){re.escape(homework)}($|[_\-. ])", " ", text).strip()
