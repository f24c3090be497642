"""A question to be answered before the run answers it."""

import html
import math

import traitlets

from lib.widgets.base import Widget, bundle, style


class Predict(Widget):
    """A question with a number or one of several choices as its answer. It remembers nothing about the reader.

    Parameters
    ----------
    question : str
        A full sentence that ends with a question mark.
    answer : int, float or str
        A number is typed in, a text is chosen among ``choices``.
    why : str
        Shown with the right answer.
    wrong : dict
        For each wrong answer that people give the reason why it is wrong; for a choice,
        every wrong one.
    choices : list of str, optional
        The order of the choices, by default the alphabet's.
    tolerance : float
        How far from the answer a number may be.

    Raises
    ------
    TypeError, ValueError
        The answer is no number or text, stands among the wrong ones, or a wrong choice
        has no reason.
    """

    _esm = bundle("predict")
    _css = style("predict")
    question = traitlets.Unicode().tag(sync=True)
    answer = traitlets.Union([traitlets.Float(), traitlets.Unicode()]).tag(sync=True)
    why = traitlets.Unicode().tag(sync=True)
    wrong: traitlets.List = traitlets.List().tag(sync=True)
    choices = traitlets.List(traitlets.Unicode()).tag(sync=True)
    tolerance = traitlets.Float().tag(sync=True)

    def __init__(
        self,
        question: str,
        answer: int | float | str,
        why: str,
        wrong: dict | None = None,
        choices: list[str] | None = None,
        tolerance: float = 0,
    ):
        wrong = wrong or {}
        if isinstance(answer, bool) or not isinstance(answer, (int, float, str)):
            raise TypeError(f"answer is {answer!r}, but it must be a number, or a text for a choice.")
        if not question.endswith("?"):
            raise ValueError(f"question is {question!r}, but it must end with a question mark.")
        if any(_is(other, answer, tolerance) for other in wrong):
            raise ValueError(f"answer is {answer!r}, but wrong has a reason why it is wrong; leave that out.")
        if isinstance(answer, str):
            choices = choices or sorted([answer, *wrong])
            if sorted(choices) != sorted([answer, *wrong]) or len(choices) < 2:
                raise ValueError(
                    f"choices are {choices}, but they must be the answer and the keys of wrong, each "
                    f"wrong one with its reason."
                )
        elif choices:
            raise ValueError(f"answer is the number {answer}, so there can be no choices; give the answer as a text.")
        super().__init__(
            question=question,
            answer=answer,
            why=why,
            choices=choices or [],
            tolerance=tolerance,
            wrong=[[other, reason] for other, reason in wrong.items()],
        )

    def written_answer(self) -> str:
        """The answer as people write it, such as 10,000 or 0.25."""
        return self.answer if isinstance(self.answer, str) else f"{self.answer:,.10g}"

    def sentence(self) -> str:
        choices = f" ({', '.join(self.choices)})" if self.choices else ""
        return f"Question: {self.question}{choices}"

    def details(self) -> str:
        answer, why = html.escape(self.written_answer()), html.escape(self.why)
        return f"<details><summary>Answer</summary><p><strong>{answer}.</strong> {why}</p></details>"


def _is(first, second, tolerance: float) -> bool:
    if isinstance(first, str) or isinstance(second, str):
        return first == second
    return math.isclose(first, second, rel_tol=1e-12, abs_tol=tolerance)
