"""The submissions in a folder: one for each student, and every file that was found is named in one of them."""

import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from grading.notebooks import is_debris, listed, may_hold_one
from grading.owner import COPY, Owner, by_a_platform, letters, owner, without_endings, without_homework
from grading.roster import Student
from lib.homework.inside import shown
from lib.homework.parameters import identity

MOST_OTHERS = 20  # names of files beside the one that counts
COPIED = re.compile(r"^(copy of|kopie von)\s+|[\s_-]+(copy|kopie)([\s_-]*\d+)?$", re.IGNORECASE)  # in words
REMEDY = "Put each file into a folder with the student's name, or the platform's numbers into the roster."


@dataclass
class Submission:
    """One student's file that counts, and what else there is of theirs.

    ``status`` is set where nothing is to be graded; ``note`` is for whoever grades.
    """

    student: str
    path: Path | None = None
    file: str = ""
    on_roster: bool = True
    others: list[str] = field(default_factory=list)
    status: str = ""
    note: str = ""


@dataclass(frozen=True)
class Found:
    """One file, and how it counts among several of one student."""

    path: Path
    name: str
    homework: str
    owner: Owner
    time: float

    @property
    def rank(self) -> tuple:
        """A notebook before all else, none of another homework; then the platform's count, then the file's time."""
        other = re.search(r"(?i)hw\d+", self.path.name)
        right = other is None or self.homework in self.path.name.lower()
        return may_hold_one(self.path.name), right, self.owner.version, self.time, self.name


def collect(folder: Path, homework: str, roster: list[Student] | None) -> list[Submission]:
    """One submission a student, sorted by name; with a roster also those who handed in nothing.

    See ``grading.owner`` for whose file it is. A file that may be of several students is graded
    for none of them, and the lines of all of them say so.
    """
    files = [found(path, folder, homework, roster or []) for path in walk(folder)]
    if roster is None:
        return by_label(files, homework)
    sure, unsure = defaultdict(list), defaultdict(list)
    for file in files:
        for student in file.owner.students:
            (sure if len(file.owner.students) == 1 else unsure)[student].append(file)
    for student, its in list(sure.items()):
        accounts = {file.owner.account for file in its if file.owner.account}
        if len(accounts) > 1:  # several people of one name, of whom the roster has one
            unsure[student] += [file for file in its if file.owner.account]
            sure[student] = [file for file in its if not file.owner.account]
    submissions = [of_student(row.student, sure[row.student], unsure[row.student]) for row in roster]
    strangers = by_label([file for file in files if not file.owner.students], homework)
    for stranger in strangers:
        stranger.on_roster, stranger.status = False, "not on the roster"
    return sorted(submissions, key=lambda one: one.student) + strangers


def of_student(student: str, sure: list[Found], unsure: list[Found]) -> Submission:
    """What the roster's student handed in, with what may be theirs or somebody else's."""
    candidates = sorted({name for file in unsure for name in file.owner.students})
    doubt = ""
    if unsure:
        who = f"of {' or of '.join(candidates)}" if len(candidates) > 1 else f"of {student} or of a namesake"
        doubt = f"{listed([file.name for file in unsure])} may be {who}. {REMEDY}"
    if not sure:
        status = f"not decided: {doubt}" if doubt else "no submission"
        return Submission(student, file=listed([file.name for file in unsure]) if unsure else "", status=status)
    one = counted(student, sure)
    newest = max(sure, key=lambda file: file.rank)
    if newest.owner.contradicted:
        doubt = f"Its path says {student}, but {newest.owner.contradicted}. {doubt}"
    one.note = doubt.strip()
    return one


def by_label(files: list[Found], homework: str) -> list[Submission]:
    """A submission for each name that folders and files give; accounts and places of one name stay apart.

    Folders are people where every notebook lies in one, and not all in the same; so are those
    whose files are called alike, as in anna/draft.ipynb and bob/draft.ipynb.
    """
    num_files = Counter(file.path.parent for file in files)
    holders = {file.path.parent if "/" in file.name else None for file in files if may_hold_one(file.path.name)}
    folders_say = len(holders) > 1 and None not in holders
    alike = defaultdict(set)
    for file in files:
        if "/" in file.name:
            alike[called(without_endings(file.path.name), homework)].add(file.path.parent)
    groups, places = defaultdict(list), defaultdict(set)
    for file in files:
        alone = num_files[file.path.parent] == 1
        shared = len(alike[called(without_endings(file.path.name), homework)]) > 1
        name, place = label(file, homework, folders_say or alone or shared)
        groups[name, place].append(file)
        places[name].add(place)
    made = [
        counted(f"{name} ({place})" if len(places[name]) > 1 and place else name, its)
        for (name, place), its in groups.items()
    ]
    return sorted(made, key=lambda one: one.student)


def counted(student: str, files: list[Found]) -> Submission:
    """The newest of a student's files; the older ones do not count, but are named."""
    *older, newest = sorted(files, key=lambda file: file.rank)
    names = [file.name for file in reversed(older)]
    if len(names) > MOST_OTHERS:
        names = [*names[:MOST_OTHERS], f"and {len(names) - MOST_OTHERS} more"]
    status = "" if may_hold_one(newest.path.name) else f"no notebook: there is {newest.name}"
    return Submission(student, newest.path, newest.name, others=names, status=status)


def found(path: Path, folder: Path, homework: str, roster: list[Student]) -> Found:
    below = path.relative_to(folder)
    parts = tuple(os.fsencode(part).decode("utf-8", "backslashreplace") for part in below.parts)
    try:
        time = path.lstat().st_mtime
    except OSError:
        time = 0.0
    return Found(path, shown("/".join(parts)), homework, owner(parts, homework, roster), time)


def label(file: Found, homework: str, folder_says: bool) -> tuple[str, str]:
    """What to call somebody whom no roster names, and the account or the folders that tell namesakes apart.

    The platform says it, or the innermost folder that is not called like the homework, or the file.
    """
    *folders, name = file.name.split("/")
    for text in (*folders, name):
        if platform := by_a_platform(text, homework):
            return letters(platform["name"]), platform["account"]
    own = called(without_endings(name), homework)
    people = [number for number, folder in enumerate(folders) if called(folder, homework)]
    if people and (folder_says or not own):
        return called(folders[people[-1]], homework), "/".join(folders[: people[-1]])
    return own or identity(name), ""


def called(text: str, homework: str) -> str:
    """A name without the homework and without what says that it is a copy; empty if nothing is left."""
    return identity(COPIED.sub("", without_homework(COPY.sub(" ", text).strip(), homework)))


def walk(folder: Path) -> list[Path]:
    """Everything below a folder that somebody may have meant to hand in, links not followed.

    A folder comes up itself if it cannot be opened, or if it is called like a notebook and is empty.
    """
    closed, paths = [], []
    for here, folders, files in os.walk(folder, onerror=lambda error: closed.append(Path(error.filename))):
        folders[:] = sorted(name for name in folders if not is_debris(name))
        links = [name for name in folders if os.path.islink(os.path.join(here, name))]
        empty = not files and not folders and may_hold_one(os.path.basename(here))
        paths += [Path(here)] if empty and Path(here) != folder else []
        paths += [Path(here, name) for name in sorted([*files, *links]) if not is_debris(name)]
    if folder in closed:
        raise ValueError(f"The folder {folder} cannot be opened.")
    return paths + closed
