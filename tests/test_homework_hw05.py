"""Homework 5 can be solved whoever the student is, and its tables are read whole or refused with a sentence."""

import pytest

from lib.homework import Hint, checks, parameters
from lib.homework.hw05 import MOST_ROWS, Run, as_text, data, read, run
from tests.homework.hw05 import RIGHT
from tests.test_homework import given, released  # noqa: F401

ROW = dict(zip(Run._fields, ("tuning", 8, 0.1, 1, 3.0, 40, 0.5, 9.5)))


@pytest.mark.parametrize("student", ["ada", "bob", "chidi", "dora"])
def test_whoever_measures_and_analyses_gets_every_point(released, student):  # noqa: F811
    out, questions, _ = released("hw05")
    variables = given(out / "student" / "hw05.ipynb", student)
    for name, codes in RIGHT.items():
        exec(codes[0], variables)
        outcomes = checks.run(questions[name], variables)
        assert [outcome.hint for outcome in outcomes if outcome.hint] == [], (student, name)
    assert len(read(variables["runs"])) <= MOST_ROWS and len(variables["runs"]) < 20_000


def test_a_table_comes_back_from_its_text_and_from_its_rows():
    missed = ROW | {"iterations": None, "seconds": None, "seed": 2}
    assert read(as_text([ROW, missed])) == read([ROW, missed]) == [Run(**ROW), Run(**missed)]
    assert read(as_text([missed]).replace(",,,", ",nan,nan,")) == [Run(**missed)]  # as pandas writes it


@pytest.mark.parametrize(
    "row, said",
    [
        (ROW | {"seed": -1}, "seed = '-1'"),
        (ROW | {"batch_size": 0}, "empty batch"),
        (ROW | {"batch_size": 2.5}, "batch_size = '2.5'"),
        (ROW | {"loss": float("nan")}, "loss = 'nan'"),
        (ROW | {"loss": float("inf")}, "loss = 'inf'"),
        (ROW | {"learning_rate": "x" * 10_000}, "learning_rate"),
        (ROW | {"iterations": [1]}, "iterations"),
        (ROW | {"seconds": None}, "but not both"),
        ({}, "has no used_for"),
        (None, "no row"),
    ],
)
def test_a_row_that_is_none_is_named(row, said):
    with pytest.raises(Hint) as hint:
        read([ROW, row])
    assert "Run 2" in str(hint.value) and said in str(hint.value) and len(str(hint.value)) < 200


def test_a_run_is_the_same_every_time_and_another_for_another_seed():
    p = parameters("hw05", "ada")
    first = run(p, "tuning", 32, 0.2, 1)
    again = {key: value for key, value in first.items()}
    data.cache_clear()
    assert run(p, "tuning", 32, 0.2, 1) == again
    assert run(p, "tuning", 32, 0.2, 2)["loss"] != first["loss"]
    assert run(p, "tuning", 64, 50.0, 1)["iterations"] is None  # it diverges, and says so
