"""Homework that checks itself: per-student numbers, public checks with hints, and the way graders ask questions.

Standard library and NumPy only, so that a released folder works wherever Jupyter does.
A homework needs ``from lib.homework import Homework``; its checks need ``Answers`` and ``expect``.
"""

from lib.homework.answers import Answers, Hint, expect
from lib.homework.notebook import Homework
from lib.homework.parameters import parameters

__all__ = ["Answers", "Hint", "Homework", "expect", "parameters"]
