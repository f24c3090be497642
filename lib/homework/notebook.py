"""``Homework``: what a notebook's check cells call."""

import html
import sys
from pathlib import Path

from lib.homework import checks
from lib.homework.parameters import parameters, unlike_the_course

PUBLIC = "Public checks only: hidden ones are added when the homework is graded."


class Homework:
    """One homework's public checks, on the variables of the notebook that made this object.

    Parameters
    ----------
    assignment : str
        As in ``"hw01"``.
    folder : path
        Where the check files lie.

    Examples
    --------
    ``grader = Homework("hw01")`` in the first cell; then ``grader.check("q1")``.
    """

    def __init__(self, assignment: str, folder: str | Path = "tests"):
        self.assignment, self.folder = assignment, Path(folder)
        self._variables = sys._getframe(1).f_globals

    def parameters(self, student_id: str):
        """The numbers drawn for this student in this homework; a warning if the name is none of this course."""
        drawn = parameters(self.assignment, student_id)
        if unlike := unlike_the_course(student_id, self.folder):
            print(unlike)
        return drawn

    def check(self, name: str) -> "Report":
        """Run the public checks of a question."""
        questions = self._questions()
        if name not in questions:
            raise ValueError(f"There is no question {name!r}; this homework has {', '.join(questions)}.")
        return Report({name: checks.run(questions[name], self._variables)})

    def check_all(self) -> "Report":
        """Run the public checks of every question."""
        return Report({name: checks.run(question, self._variables) for name, question in self._questions().items()})

    def _questions(self) -> dict[str, checks.Question]:
        questions = checks.read_folder(self.folder)
        if not questions:
            raise FileNotFoundError(
                f"There are no checks in the folder {self.folder}; start Jupyter in the homework's "
                f"own folder, and keep the folder as you were given it."
            )
        return questions


class Report:
    """What the checks said, readable in a notebook and in a terminal."""

    def __init__(self, outcomes: dict[str, list[checks.Outcome]]):
        self.outcomes = outcomes

    @property
    def passed(self) -> bool:
        return all(outcome.hint is None for outcomes in self.outcomes.values() for outcome in outcomes)

    def lines(self) -> list[tuple[str, str]]:
        """A question and a sentence each."""
        lines = []
        for name, outcomes in self.outcomes.items():
            hints = list(dict.fromkeys(outcome.hint for outcome in outcomes if outcome.hint))
            lines += [(name, hint) for hint in hints] or [(name, "passed.")]
        return lines

    def __repr__(self) -> str:
        return "\n".join([f"{name}: {sentence}" for name, sentence in self.lines()] + [PUBLIC])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<li><b>{html.escape(name)}</b>: {html.escape(sentence)}</li>" for name, sentence in self.lines()
        )
        return f"<ul>{rows}</ul><p><small>{PUBLIC}</small></p>"
