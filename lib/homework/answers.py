"""What a check sees of a notebook: plain values, and hints for those that are wrong."""

import json
import os
from functools import partial
from pathlib import Path

from lib.homework import inside
from lib.homework.parameters import parameters

ON_GRADESCOPE = Path("/autograder/submission_metadata.json")  # where Gradescope says whose submission this is


class Hint(AssertionError):
    """What a student is told: which misconception the answer shows, never the answer."""


def expect(condition: bool, hint: str):
    """Fail a check with a hint unless the condition holds."""
    if not condition:
        raise Hint(hint)


class Answers:
    """A student's answers, asked for one by one and received as plain JSON values.

    Parameters
    ----------
    env : dict or object with ``ask`` and ``student_id``
        The notebook's variables, as otter-grader and a notebook hand them over, or the
        far end of a sandbox.
    assignment : str
        As in ``"hw01"``.

    Attributes
    ----------
    p : types.SimpleNamespace
        The numbers drawn for this student. A grader that knows whose notebook it has
        uses that name; elsewhere the notebook's own ``STUDENT_ID`` counts.
    """

    def __init__(self, env, assignment: str):
        self._ask = getattr(env, "ask", None) or partial(inside.reply, env)
        official = getattr(env, "student_id", None) or official_student_id()
        student_id = official or self.text("STUDENT_ID")
        try:
            self.p = parameters(assignment, student_id)
        except ValueError as error:
            raise Hint(str(error)) from None
        if not official:
            self._refuse_earlier_numbers(student_id)

    def value(self, name: str):
        """The value of a variable: None, bool, int, float, str, or lists and dicts of them."""
        return self._received(name, self._ask({"value": name}))

    def call(self, name: str, *arguments, **choices):
        """What the student's function returns for these arguments (plain values or NumPy arrays)."""
        choices = {key: _sent(value) for key, value in choices.items()}
        return self._received(
            name,
            self._ask({"call": name, "arguments": [_sent(value) for value in arguments], "choices": choices}),
            arguments,
        )

    def text(self, name: str) -> str:
        """A variable that must be a string."""
        text = self.value(name)
        expect(isinstance(text, str), f"`{name}` is {_shown(text)}, but it must be text, in quotation marks.")
        return text

    def whole_number(self, name: str, mistakes: dict | None = None) -> int:
        """A variable that must be a whole number; ``mistakes`` maps known wrong values to their hints."""
        return checked_whole_number(f"`{name}`", self.value(name), mistakes)

    def number(self, name: str, mistakes: dict | None = None, tolerance: float = 1e-6) -> float:
        """A variable that must be a finite number; a known wrong value counts within a relative tolerance."""
        return checked_number(f"`{name}`", self.value(name), mistakes, tolerance)

    def choices(self, name: str, allowed: dict[str, list[str]], mistakes: dict[tuple[str, str], str]) -> dict[str, str]:
        """A dict with one of the allowed words for each statement; ``mistakes`` has hints for (statement, word)."""
        given = self.value(name)
        expect(
            isinstance(given, dict), f"`{name}` is {_shown(given)}, but it must stay a dict with an entry a statement."
        )
        given = {key: word.strip().lower() if isinstance(word, str) else word for key, word in given.items()}
        for key, words in allowed.items():
            expect(key in given, f"`{name}` has no entry {key!r}.")
            expect(
                given[key] in words,
                f"`{name}[{key!r}]` is {_shown(given[key])}, but it must be one of {', '.join(map(repr, words))}.",
            )
        hints = [f"{key}: {mistakes[key, given[key]]}" for key in allowed if (key, given[key]) in mistakes]
        expect(not hints, " ".join(hints))
        return given

    def _refuse_earlier_numbers(self, student_id: str):
        given, drawn = self._ask({"value": "p"}).get("plain"), inside.plain(vars(self.p))
        expect(
            not isinstance(given, dict) or given.keys() != drawn.keys() or given == drawn,
            f"The numbers in `p` were not drawn for STUDENT_ID = {student_id!r}. Did you change the name later? "
            f"Run all cells again from the top.",
        )

    def _received(self, name: str, reply: dict, arguments=None):
        if "missing" in reply:
            raise Hint(f"There is no `{name}`. Was its cell run, and did you keep the name?")
        if "untouched" in reply:
            raise Hint(f"`{name}` is still `...`, or a part of it is. Put your answer there and run the cell.")
        if "error" in reply:
            what = f"`{name}`" if arguments is None else f"`{name}({', '.join(map(_shown, arguments))})`"
            raise Hint(f"{what} could not be read: {reply['error']}.")
        return reply["plain"]


def checked_whole_number(what: str, value, mistakes: dict | None = None) -> int:
    """``value`` if it is a whole number and no known mistake; otherwise a hint."""
    if isinstance(value, float):
        raise Hint(
            (mistakes or {}).get(value)
            or f"{what} is {value}, a float. Batches and iterations are counted, "
            f"so the answer is an int: decide whether to round up or down."
        )
    expect(type(value) is int, f"{what} is {_shown(value)}, but it must be a whole number.")
    expect(value not in (mistakes or {}), (mistakes or {}).get(value, ""))
    return value


def checked_number(what: str, value, mistakes: dict | None = None, tolerance: float = 1e-6) -> float:
    """``value`` if it is a finite number and no known mistake; otherwise a hint."""
    expect(type(value) in (int, float), f"{what} is {_shown(value)}, but it must be a number.")
    expect(abs(value) < float("inf"), f"{what} is {value}.")
    for wrong, hint in (mistakes or {}).items():
        expect(not close(value, wrong, tolerance), hint)
    return float(value)


def close(a: float, b: float, tolerance: float = 1e-6) -> bool:
    """Whether two numbers agree within a relative (near zero: absolute) tolerance."""
    return abs(a - b) <= tolerance * max(1.0, abs(a), abs(b))


def official_student_id() -> str | None:
    """Whose notebook a grader has, if it says so: Gradescope's students are known by their e-mail's first part."""
    if os.environ.get("GRADING_STUDENT_ID"):
        return os.environ["GRADING_STUDENT_ID"]
    if ON_GRADESCOPE.exists():
        return json.loads(ON_GRADESCOPE.read_text(encoding="utf-8"))["users"][0]["email"].split("@")[0]
    return None


def _sent(argument):
    if hasattr(argument, "dtype"):
        return {"array": argument.tolist(), "dtype": str(argument.dtype)}
    return argument


def _shown(value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + " …"
