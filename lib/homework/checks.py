"""Check files in otter-grader's format, read and run without otter-grader.

The same files serve the notebook, the terminal, Gradescope (where otter runs them) and
``grading.grade``. A file holds one question: its name, its points, and functions
decorated with ``test_case``, public or hidden.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.homework.inside import sentence
from lib.homework.kernel import KernelGone

OTTERS_IMPORT = "from otter.test_files import test_case"
OUR_IMPORT = "from lib.homework.checks import test_case"


@dataclass
class test_case:
    """otter-grader's decorator: what a check is worth and who may see it."""

    name: str | None = None
    points: float | None = None
    hidden: bool = False
    success_message: str | None = None
    failure_message: str | None = None
    function: Any = None

    def __call__(self, function) -> "test_case":
        self.function = function
        return self


@dataclass(frozen=True)
class Question:
    """One question's checks, and what they are worth together."""

    name: str
    cases: tuple[test_case, ...]

    @property
    def points(self) -> float:
        return sum(case.points or 0 for case in self.cases)


@dataclass(frozen=True)
class Outcome:
    """What one check said: the points it gave, and a hint if it gave none."""

    points: float
    out_of: float
    hidden: bool
    hint: str | None


def read(source: str, path: str = "") -> Question:
    """The question in a check file."""
    if OTTERS_IMPORT not in source:
        raise ValueError(f"{path or 'This file'} is not a check file; it lacks the line: {OTTERS_IMPORT}")
    names: dict[str, Any] = {}
    exec(compile(source.replace(OTTERS_IMPORT, OUR_IMPORT), path, "exec"), names)
    cases = tuple(value for value in names.values() if isinstance(value, test_case))
    for case in cases:
        if case.points is None:
            raise ValueError(f"{path}: {case.function.__name__} does not say how many points it is worth.")
    return Question(names["name"], cases)


def read_folder(folder: Path) -> dict[str, Question]:
    """All questions of a homework, by name, in order."""
    questions = [read(path.read_text(encoding="utf-8"), str(path)) for path in sorted(Path(folder).glob("q*.py"))]
    return {question.name: question for question in questions}


def run(question: Question, env) -> list[Outcome]:
    """Run every check of a question on a notebook's variables, or on the far end of a sandbox."""
    return [outcome(case, env) for case in question.cases]


def outcome(case: test_case, env) -> Outcome:
    """What one check says; whatever a strange answer does to it, the other checks go on."""
    hint = None
    try:
        case.function(env)
    except KernelGone:
        raise
    except AssertionError as error:
        hint = str(error) or "This check failed without a hint."
    except Exception as error:
        hint = f"The check could not make sense of your answer ({sentence(error)})."
    worth = case.points or 0
    return Outcome(0 if hint else worth, worth, case.hidden, hint)
