"""Numbers of a student's own, drawn from a hash of assignment and student id: copied answers do not fit."""

import hashlib
import importlib
import json
import random
import re
import unicodedata
from pathlib import Path
from types import SimpleNamespace


class Draw:
    """Random choices that are the same on every machine and Python version.

    Only ``random.Random.random`` promises that, so everything is made of it.
    """

    def __init__(self, key: str):
        self._random = random.Random(int.from_bytes(hashlib.sha256(key.encode()).digest())).random

    def statements(self, pairs, count: int) -> dict[str, str]:
        """Sentences to judge, by name: both of one pair and one of each of ``count - 1`` others, in any order.

        The two of a pair have different right answers, so no student's sentences all have the same one.
        """
        left, drawn = list(pairs), []
        for number in range(count):
            pair = list(left.pop(self.whole(0, len(left) - 1)).items())
            drawn += pair if number == 0 else [self.one_of(pair)]
        mixed = [drawn.pop(self.whole(0, len(drawn) - 1)) for _ in range(len(drawn))]
        return dict(mixed)

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self._random() * (high - low + 1))

    def one_of(self, options):
        return options[self.whole(0, len(options) - 1)]


def identity(student_id: str) -> str:
    """The one form in which names of students are compared, however they were typed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", student_id).strip().casefold())


def form(student_id: str) -> str:
    """What a name looks like: every run of letters is an ``a``, every run of digits a ``0``."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", identity(student_id)))


def unlike_the_course(student_id, folder: Path) -> str | None:
    """A sentence if a name looks like none of the course, whose forms lie in ``folder/student_ids.json``."""
    try:
        known = json.loads((folder / "student_ids.json").read_text(encoding="utf-8"))
    except OSError:  # released without a list
        return None
    if not isinstance(student_id, str) or form(student_id) in known["forms"]:
        return None
    return (
        f"STUDENT_ID is {student_id[:60]!r}, but names on the list of your course look like {known['example']!r}. "
        f"Your numbers are drawn from that name: write it as your course does."
    )


def parameters(assignment: str, student_id: str) -> SimpleNamespace:
    """The numbers of one student in one homework.

    ``lib.homework.<assignment>.draw`` makes them; it returns None for a degenerate draw
    (one with which a misconception would give the right answer), and the next is taken.

    Raises
    ------
    ValueError
        The student id is missing.
    """
    student_id = identity(student_id) if isinstance(student_id, str) else ""
    if not student_id or student_id == "your id":
        raise ValueError("STUDENT_ID is not set; put the name under which you hand in between the quotation marks.")
    draw = importlib.import_module(f"lib.homework.{assignment}").draw
    for attempt in range(1000):
        drawn = draw(Draw(f"{assignment}:{student_id}:{attempt}"))
        if drawn is not None:
            return SimpleNamespace(**drawn)
    raise RuntimeError(f"{assignment} rejects every draw; look at lib/homework/{assignment}.py.")
