"""Who handed in what: one decision, from the names of folders and file, that never guesses.

1. A folder speaks before the file in it, and an outer folder before an inner one.
2. A learning platform's number speaks before the name beside it.
3. A whole name speaks before a part of one.
4. Names are compared in one form. If several students fit, all of them are named and none is chosen.
"""

import re
import unicodedata
from dataclasses import dataclass
from operator import attrgetter

from grading.roster import Student
from lib.homework.parameters import identity

CANVAS = re.compile(r"(?P<name>[^_]+)_(?:LATE_)?(?P<account>\d+)_(?P<version>\d+)_.+")
MOODLE = re.compile(r"(?P<name>.+)_(?P<account>\d+)_assignsubmission_(?:file|onlinetext)")
ENDINGS = re.compile(
    r"(\.(ipynb|txt|json|html?|pdf|docx?|md|py|zip|7z|rar|tar|tgz|gz|bz2|xz))+([ _-]*\(?\d*\)?)$", re.IGNORECASE
)


@dataclass(frozen=True)
class Owner:
    """The students whose file it may be: one if it is decided, none if nobody on the roster fits."""

    students: tuple[str, ...]
    account: str = ""  # the platform's number for whoever handed it in, where the roster does not have it
    version: int = 0
    contradicted: str = ""  # whom the file's own name says, if its folder says another


def owner(parts: tuple[str, ...], homework: str, roster: list[Student]) -> Owner:
    """Whose file it is, by its path below the folder of submissions."""
    texts = [*parts[:-1], ENDINGS.sub("", parts[-1])]
    version = 0
    for rule in (by_whole_name, by_part_of_name):
        for text in texts:
            platform = by_a_platform(text, homework)
            if platform:
                version = int(platform.groupdict().get("version") or 0)
            found, account = by_number(platform, roster) if platform else (rule(text, homework, roster), "")
            if found:
                students = tuple(sorted(student.student for student in found))
                others = by_whole_name(texts[-1], homework, roster) or by_part_of_name(texts[-1], homework, roster)
                other = others[0].student if len(others) == 1 and text is not texts[-1] else ""
                return Owner(students, account, version, "" if other in students else other)
            if platform:  # its name says who it is, and the roster does not have them
                return Owner((), platform["account"], version)
    return Owner((), "", version)


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
    text = identity(re.sub(r"\(\d{1,2}\)", "", text))  # not the copy's number, as in hw01 (2).ipynb
    spans = [
        (match.start(), match.end(), student)
        for student in roster
        for match in re.finditer(rf"(?<![^\W_]){re.escape(student.student)}(?![^\W_])", text)
    ]
    whole = [
        student
        for start, end, student in spans
        if not any(a <= start and end <= b and (a, b) != (start, end) for a, b, _ in spans)
    ]
    return list(dict.fromkeys(whole))


def by_name(text: str, roster: list[Student]) -> list[Student]:
    """Those who are called so, in whatever order the words stand; accents count where the text has some."""
    found = [student for student in roster if letters(text) and letters(text) in orders(student, letters)]
    if len(found) > 1 and letters(text) != letters_and_accents(text):
        found = [s for s in found if letters_and_accents(text) in orders(s, letters_and_accents)] or found
    return found


def orders(student: Student, form) -> set[str]:
    """How platforms write a student: the name in each order of its words, and the name on the roster."""
    words = re.split(r"[\s,]+", student.name.strip())
    return {form("".join(words[i:] + words[:i])) for i in range(len(words))} | {form(student.student)}


def letters_and_accents(text: str) -> str:
    """A name without case, blanks and signs."""
    return re.sub(r"[\W_]", "", identity(text))


def letters(text: str) -> str:
    """A name without case, accents, blanks and signs, as platforms write it in the names of files."""
    split = unicodedata.normalize("NFKD", letters_and_accents(text))
    return "".join(letter for letter in split if not unicodedata.combining(letter))


def without_homework(text: str, homework: str) -> str:
    return re.sub(rf"(?i)(^|[_\-. ]){re.escape(homework)}($|[_\-. ])", " ", text).strip()
