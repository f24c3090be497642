"""A hidden point needs the right answer: neither trivial answers nor what is shipped to students earn one."""

import itertools
import sys

import pytest

from lib.homework import Answers, answers, checks, inside, parameters
from tests.test_homework import ANSWERS, HOMEWORKS, given, released  # noqa: F401

STUDENT = "a student"
CONSTANTS = [None, True, False, 0, 1, -1, 2, 0.0, 0.5, 1.0, "", "yes", [], [0], [[0]], {}, [[], []]]
NOT_ANSWERS = ("STUDENT_ID", "global_state")  # given to the student
FEWEST = 16  # answers among which somebody who knows all public checks must still guess


class Student:
    """A student's variables as a grader sees them; notes what was asked, and answers some questions otherwise."""

    student_id = STUDENT

    def __init__(self, variables: dict, otherwise: dict | None = None):
        self.variables, self.otherwise, self.asked = variables, otherwise or {}, []

    def ask(self, question: dict) -> dict:
        name = question.get("value") or question["call"]
        if name in self.otherwise:
            reply = inside.reply({name: self.otherwise[name]}, question)
        else:
            reply = inside.reply(self.variables, question)
        self.asked.append((question, reply))
        return reply


@pytest.fixture(autouse=True)
def draws_kept(monkeypatch):
    """The same student is asked thousands of times; the numbers are drawn once."""
    kept = {}

    def cached(assignment, student_id):
        if (assignment, student_id) not in kept:
            kept[assignment, student_id] = parameters(assignment, student_id)
        return kept[assignment, student_id]

    monkeypatch.setattr(answers, "parameters", cached)


def solved(released, hw, student=STUDENT) -> dict:  # noqa: F811
    """The variables of a student who has answered everything."""
    out, _, _ = released(hw)
    variables = given(out / "student" / f"{hw}.ipynb", student)
    for codes in ANSWERS[hw].RIGHT.values():
        exec(codes[0], variables)
    return variables


def points(case, student) -> float:
    """What one check gives."""
    return checks.run(checks.Question("", (case,)), student)[0].points


def asked_by(case, variables) -> list:
    """What a check asks of somebody who has everything right, and the replies."""
    student = Student(variables)
    assert points(case, student) == case.points, case.function.__name__
    return student.asked


def name_of(question: dict) -> str:
    return question.get("value") or question["call"]


def trivial_functions(right: list) -> list:
    """Functions that look at nothing, or hand an argument back; ``right`` are replies that are right somewhere."""
    made = [lambda *a, value=value, **k: value for value in [*CONSTANTS, *right]]
    made += [lambda *a, place=place, **k: a[place] for place in (0, 1, 2, 3, -1)]
    made += [lambda *a, **k: a, lambda *a, **k: list(a[0]), lambda *a, **k: len(a[0]), lambda *a, **k: sum(a)]
    made += [
        lambda *a, **k: max(a[0]),
        lambda *a, **k: min(a[0]),
        lambda *a, **k: sorted(a[0]),
        lambda *a, **k: a[0][0],
    ]
    made += [lambda *a, **k: a[0][-1], lambda *a, **k: list(range(a[0])), lambda *a, **k: [list(range(a[0]))]]
    return made


def from_memory(asked: list):
    """A function that knows what public checks want of it, and nothing else."""
    known = {repr(question["arguments"]): reply["plain"] for question, reply in asked}
    first = next(iter(known.values()), None)
    return lambda *a, **k: known.get(repr(list(a)), first)


def trivial_values(right) -> list:
    """Values that nobody computed: constants, and a dict with one word everywhere."""
    made = list(CONSTANTS)
    if isinstance(right, dict):
        made += [dict.fromkeys(right, word) for word in [*right.values(), *CONSTANTS]]
    if isinstance(right, list):
        made += [right[:1], right[::-1], sorted(right, key=repr), right[:1] * len(right), [0] * len(right)]
    return [value for value in made if value != right]


def hidden(questions) -> list:
    return [(question, case) for question in questions.values() for case in question.cases if case.hidden]


@pytest.mark.parametrize("hw", HOMEWORKS)
def test_a_trivial_answer_earns_no_hidden_point(released, hw):  # noqa: F811
    """Even if everything else in the same check is right."""
    _, questions, _ = released(hw)
    variables, earned = solved(released, hw), []
    for question, case in hidden(questions):
        everything = [(case, pair) for case in question.cases for pair in asked_by(case, variables)]
        asked = asked_by(case, variables)
        for name in dict.fromkeys(name_of(q) for q, _ in asked if name_of(q) not in NOT_ANSWERS):
            calls = [(of, q, reply) for of, (q, reply) in everything if q.get("call") == name]
            if calls:
                replies = {repr(reply): reply.get("plain") for _, _, reply in calls}
                memory = from_memory([(q, reply) for of, q, reply in calls if not of.hidden])
                tried = [*trivial_functions(list(replies.values())), memory]
            else:
                tried = trivial_values(next(reply["plain"] for q, reply in asked if q.get("value") == name))
            for number, answer in enumerate(tried):
                if points(case, Student(variables, {name: answer})):
                    earned.append((question.name, case.function.__name__, name, number, repr(answer)[:50]))
    assert earned == []


@pytest.mark.parametrize("hw", HOMEWORKS)
def test_answers_of_another_student_earn_no_hidden_point_for_values(released, hw):  # noqa: F811
    """Nor do the drawn numbers themselves, whichever is handed in for all."""
    _, questions, _ = released(hw)
    variables, earned = solved(released, hw), []
    others = [solved(released, hw, f"neighbour {number}") for number in range(3)]
    for question, case in hidden(questions):
        names = [name_of(q) for q, _ in asked_by(case, variables) if "value" in q and name_of(q) not in NOT_ANSWERS]
        drawn = list(vars(variables["p"]).values())
        copies = [{n: o[n] for n in names} for o in others]
        copies += [dict.fromkeys(names, value) for value in drawn]
        for copied in copies:
            if all(same(copied[name], variables[name]) for name in names):
                continue
            if names and points(case, Student(variables, copied)):
                earned.append((question.name, case.function.__name__, repr(copied)[:60]))
    assert earned == []


def allowed_words(public, variables, name, key) -> list[str]:
    """The words that a public check names when it gets another one."""
    given_words = variables[name] | {key: "no such word"}
    for case in public:
        for outcome in checks.run(checks.Question("", (case,)), Student(variables, {name: given_words})):
            if outcome.hint and f"{name}[{key!r}]" in outcome.hint and "must be one of" in outcome.hint:
                listed = outcome.hint.split("must be one of ")[1].rstrip(".")
                return [word.strip("'\"") for word in listed.split(", ")]
    return []


def survivors_of_words(public, variables, name) -> dict[str, list[str]]:
    """For each statement the words against which no public check objects."""
    right = variables[name]
    return {
        key: [
            word
            for word in allowed_words(public, variables, name, key)
            if all(points(case, Student(variables, {name: right | {key: word}})) for case in public)
        ]
        or ["no public check"] * FEWEST
        for key in right
    }


def survivors_of_numbers(public, variables, name) -> list[int]:
    """The whole numbers against which no public check objects: small ones, and those around the right one."""
    tried = sorted({*range(-2, 5_000), *range(variables[name] - 200, variables[name] + 200)})
    return [n for n in tried if all(points(case, Student(variables, {name: n})) for case in public)]


class Given:
    """Marks what a check received, so it is not taken for something that the check computed."""


def received(value, kinds):
    return type("Given", (Given, type(value)), {})(value) if type(value) in kinds else value


def computed_by(public, variables, monkeypatch) -> list:
    """Every value that a public check computes and keeps in a variable, or in a list or dict there."""
    held = []
    for method, kinds in {"value": (list, dict), "number": (float,), "whole_number": (int,)}.items():
        real = getattr(Answers, method)
        monkeypatch.setattr(
            Answers, method, lambda self, *a, real=real, kinds=kinds, **k: received(real(self, *a, **k), kinds)
        )

    def note(value, depth=0):
        if isinstance(value, Given):
            return
        if isinstance(value, (int, float, str, list, dict)):
            held.append(value)
        if depth < 3 and isinstance(value, (list, tuple, dict)):
            for item in [*value, *(value.values() if isinstance(value, dict) else ())]:
                note(item, depth + 1)

    def trace(frame, event, _):
        if frame.f_code.co_filename.startswith("tests/q") or "/tests/q" in frame.f_code.co_filename:
            if event == "return":
                for name, value in frame.f_locals.items():
                    if name not in ("env", "answers", "p"):
                        note(value)
            return trace
        return None

    for case in public:
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            case.function(Student(variables))
        finally:
            sys.settrace(before)
    return held


@pytest.mark.parametrize("hw", HOMEWORKS)
def test_what_is_shipped_does_not_tell_a_hidden_answer(released, hw, monkeypatch):  # noqa: F811
    """Somebody asks the shipped checks about every possible answer, and must still guess."""
    out, questions, _ = released(hw)
    shipped = checks.read_folder(out / "student" / "tests")
    assert not any(case.hidden for question in shipped.values() for case in question.cases)
    variables, neighbour, told = solved(released, hw), solved(released, hw, "neighbour"), []
    for question, case in hidden(questions):
        asked = asked_by(case, variables)
        if any("call" in q and name_of(q) not in NOT_ANSWERS for q, _ in asked):
            continue  # a function: what it must do elsewhere is not in the public checks, see the test above
        public = shipped[question.name].cases
        left, guesses = 1, []
        for name in dict.fromkeys(name_of(q) for q, _ in asked if name_of(q) not in NOT_ANSWERS):
            if isinstance(variables[name], dict):
                words = survivors_of_words(public, variables, name)
                for choice in words.values():
                    left *= len(choice)
                guesses.append((name, [dict(zip(words, combination)) for combination in firsts(words)]))
            elif type(variables[name]) is int:
                numbers = survivors_of_numbers(public, variables, name)
                left *= len(numbers)
                guesses.append((name, [numbers[0], numbers[-1], numbers[len(numbers) // 2]]))
            else:
                left *= 10**6  # a measured number or an order: too many to try
                guesses.append((name, [0.0]))
        if left < FEWEST:
            told.append((question.name, case.function.__name__, left))
        for combination in itertools.product(*(values for _, values in guesses)):
            answer = dict(zip([name for name, _ in guesses], combination))
            if points(case, Student(variables, answer)):
                told.append((question.name, case.function.__name__, repr(answer)[:80]))
        with monkeypatch.context() as patch:
            held = computed_by(public, variables, patch)
        own = [variables[name] for name, _ in guesses if not same(variables[name], neighbour[name])]
        if own and all(any(same(value, other) for other in held) for value in own):
            told.append((question.name, case.function.__name__, "held by the public checks"))
    assert told == []


def same(a, b) -> bool:
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return abs(a - b) <= 1e-6 * max(1, abs(a))
    return type(a) is type(b) and a == b


def firsts(words: dict[str, list[str]]) -> list[tuple]:
    """Some of the combinations that are left."""
    return [tuple(choice[place % len(choice)] for choice in words.values()) for place in range(3)]


def test_answers_are_asked_by_name():
    student = Student({"a": 3}, {"b": 4})
    assert Answers(student, "hw01").value("a") == 3 and Answers(student, "hw01").value("b") == 4
