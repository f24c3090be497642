"""The graders are graded: right answers pass, each known mistake gets its own hint, whoever the student is."""

import importlib
import json
import os
import re
import zipfile
from pathlib import Path

import pytest

from book import objectives
from grading.release import release
from lib.homework import checks, parameters
from lib.homework.__main__ import code_cells

ROOT = Path(__file__).resolve().parents[1]
HOMEWORKS = [path.stem for path in sorted((ROOT / "exercises").glob("hw*.md"))]
ANSWERS = {name: importlib.import_module(f"tests.homework.{name}") for name in HOMEWORKS}
RIGHT = [
    (hw, question, number)
    for hw in HOMEWORKS
    for question, codes in ANSWERS[hw].RIGHT.items()
    for number in range(len(codes))
]
WRONG = [
    (hw, question, mistake) for hw in HOMEWORKS for question, codes in ANSWERS[hw].WRONG.items() for mistake in codes
]


@pytest.fixture(scope="session")
def released(tmp_path_factory):
    """For each homework the folder of its release, its checks with the hidden ones, and a student's fresh variables."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = None
            out = release(ROOT / "exercises" / f"{name}.md", tmp_path_factory.mktemp("release") / name)
            with zipfile.ZipFile(out / "autograder.zip") as archive:
                questions = [
                    checks.read(archive.read(file).decode(), file)
                    for file in sorted(archive.namelist())
                    if file.startswith("tests/q")
                ]
            made[name] = (
                out,
                {question.name: question for question in questions},
                given(out / "student" / f"{name}.ipynb"),
            )
        assert made[name], f"{name} was not released; the first test that asked for it says why"
        return made[name]

    return get


def given(notebook: Path, student: str = "a student") -> dict:
    """The variables of a notebook in which nothing was answered yet."""
    variables, here = {}, os.getcwd()
    os.chdir(notebook.parent)
    try:
        for cell in code_cells(json.loads(notebook.read_text(encoding="utf-8"))):
            try:
                exec(cell.replace('"your id"', repr(student)), variables)
            except Exception:  # a cell that needs an answer
                pass
    finally:
        os.chdir(here)
    return variables


def hints(released, hw, question, code) -> list[str]:
    _, questions, variables = released(hw)
    # an answer may fill a dict that its cell was given, so everybody gets a dict of their own
    variables = {
        name: dict(value) if name != "__builtins__" and isinstance(value, dict) else value
        for name, value in variables.items()
    }
    exec(code, variables)
    return [outcome.hint for outcome in checks.run(questions[question], variables) if outcome.hint]


@pytest.mark.parametrize("hw, question, number", RIGHT, ids=lambda value: str(value))
def test_a_right_answer_passes_however_it_is_written(released, hw, question, number):
    assert hints(released, hw, question, ANSWERS[hw].RIGHT[question][number]) == []


@pytest.mark.parametrize("hw, question, mistake", WRONG, ids=lambda value: str(value))
def test_a_mistake_gets_its_hint(released, hw, question, mistake):
    code, hint = ANSWERS[hw].WRONG[question][mistake]
    said = hints(released, hw, question, code)
    assert said and any(hint in sentence for sentence in said), said


@pytest.mark.parametrize("hw", HOMEWORKS)
def test_every_question_has_wrong_and_right_answers_enough(released, hw):
    _, questions, _ = released(hw)
    assert list(questions) == list(ANSWERS[hw].RIGHT) == list(ANSWERS[hw].WRONG)
    for name in questions:
        assert len(ANSWERS[hw].RIGHT[name]) >= 3 and len(set(ANSWERS[hw].RIGHT[name])) >= 3, name
        assert len(ANSWERS[hw].WRONG[name]) >= 6, name


@pytest.mark.parametrize("hw", HOMEWORKS)
def test_a_blank_homework_gets_nothing_and_a_sentence_a_question(released, hw):
    _, questions, variables = released(hw)
    for question in questions.values():
        outcomes = checks.run(question, variables)
        assert sum(outcome.points for outcome in outcomes) == 0
        assert all(outcome.hint for outcome in outcomes)


@pytest.mark.parametrize("hw", HOMEWORKS)
def test_an_untouched_answer_is_called_untouched(released, hw):
    _, questions, variables = released(hw)
    for question in questions.values():
        said = [outcome.hint for outcome in checks.run(question, variables) if not outcome.hidden]
        assert all("still `...`" in hint for hint in said), said


@pytest.mark.parametrize("hw", HOMEWORKS)
def test_an_id_that_was_changed_after_the_draw_is_noticed(released, hw):
    _, questions, variables = released(hw)
    answered = dict(variables)
    for question, codes in ANSWERS[hw].RIGHT.items():
        exec(codes[0], answered)
        answered["STUDENT_ID"] = "  A Student "
        assert [outcome.hint for outcome in checks.run(questions[question], answered) if outcome.hint] == []
        answered["STUDENT_ID"] = "another student"
        for outcome in checks.run(questions[question], answered):
            assert "were not drawn for STUDENT_ID" in outcome.hint and "again from the top" in outcome.hint


@pytest.mark.parametrize("hw", HOMEWORKS)
def test_students_numbers_differ_and_come_back(hw):
    drawn = [parameters(hw, f"student {number}") for number in range(300)]
    assert len({str(p) for p in drawn}) > 290
    assert drawn[7] == parameters(hw, "  Student 7 ")


def test_every_objective_of_every_lesson_is_checked_by_a_question():
    questions = {f"{hw} {question}" for hw in HOMEWORKS for question in ANSWERS[hw].RIGHT}
    there, checked = objectives.objectives(), objectives.checked()
    assert not [words for words in map(objectives.plain, there.values()) if re.search(r"[{}$`\\\\]", words)]
    assert objectives.plain(r"Say what $W \cdot B$ and $1/\sqrt{B}$ do to an {term}`epoch`.").startswith(
        "Say what W·B and 1/√B"
    )
    assert set(checked) <= set(there), "objectives.yml names an objective that no lesson has"
    assert set(there) <= set(checked), f"not checked: {sorted(set(there) - set(checked))}"
    assert {question for its in checked.values() for question in its} == questions
