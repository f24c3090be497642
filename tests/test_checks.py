"""One check for whole numbers: NumPy's are some, truth values and floats are none."""

import operator
from fractions import Fraction

import numpy as np
import pytest
import torch

from lib.checks import NotAWholeNumber, whole_number
from lib.data import digits, mnist1d
from lib.models import mlp
from lib.sampling import generator
from lib.widgets import PathViewer


class Index:
    def __repr__(self):  # the name of a test must be the same in every process
        return "Index()"

    def __index__(self):
        return 7


@pytest.mark.parametrize(
    "value", [7, np.int64(7), np.uint8(7), np.int32(7), np.array(7), torch.tensor(7), Index()], ids=repr
)
def test_whole_numbers_become_plain_ints(value):
    number = whole_number("n", value, at_least=1)
    assert type(number) is int and number == operator.index(value)


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        np.True_,
        np.array(True),
        torch.tensor(True),
        7.0,
        np.float64(7),
        "7",
        None,
        [7],
        np.array([7]),
        torch.tensor([7]),
        Fraction(7),
        7 + 0j,
        float("nan"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("error", [TypeError, ValueError, NotAWholeNumber])
def test_everything_else_is_refused_as_a_wrong_type_and_a_wrong_value(value, error):
    with pytest.raises(error, match="^seed is .*, but it must be a whole number of at least 0"):
        whole_number("seed", value, at_least=0)


@pytest.mark.parametrize(
    "value, limits, message",
    [
        (0, {"at_least": 1}, "n is 0, but it must be a whole number of at least 1."),
        (np.int64(-3), {"at_least": 1}, "n is -3, but it must be a whole number of at least 1."),
        (0, {"at_least": 1, "at_most": 9}, "n is 0, but it must be a whole number from 1 to 9."),
        (10, {"at_least": 1, "at_most": 9}, "n is 10, but it must be a whole number from 1 to 9."),
        (10, {"at_most": 9}, "n is 10, but it must be a whole number of at most 9."),
        ("x", {}, "n is 'x', but it must be a whole number."),
        (2.0, {}, "n is 2.0, but it must be a whole number; convert it with int(...) if that is what you mean."),
    ],
)
def test_the_sentence_names_value_and_limits(value, limits, message):
    with pytest.raises(ValueError) as caught:
        whole_number("n", value, **limits)
    assert str(caught.value) == message


def test_the_limits_are_included_and_numbers_may_be_huge():
    assert [whole_number("n", n, 1, 3) for n in (1, 2, 3)] == [1, 2, 3]
    assert whole_number("n", 10**30, at_least=1) == 10**30 and whole_number("n", -5) == -5


def test_the_course_takes_numpy_integers_wherever_it_counts():
    four = np.int64(4)
    assert generator(four, 1).integers(1000) == generator(4, 1).integers(1000)
    assert [tuple(p.shape) for p in mlp(four, np.uint8(2)).parameters()] == [(2, 4), (2,)]
    viewer = PathViewer(np.arange(8.0), np.arange(8.0), batch_size=four, epochs=np.int32(2), seed=np.int64(0))
    assert viewer.batch_size == 4 and len(viewer.orders) == 2


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: generator(True), "seed is True, but it must be a whole number of at least 0."),
        (lambda: generator(np.int64(-1)), "seed is -1, but it must be a whole number of at least 0."),
        (lambda: mlp(4, 0), r"widths\[1\] is 0, but it must be a whole number of at least 1."),
        (lambda: mnist1d(num_train=10.0), "num_train is 10.0, but it must be a whole number of at least 1; convert"),
        (lambda: digits(1797), "num_test is 1797, but it must be a whole number from 1 to 1796."),
        (
            lambda: PathViewer(np.arange(8.0), np.arange(8.0), batch_size=2.5),
            "batch_size is 2.5, but it must be a whole",
        ),
    ],
)
def test_the_course_refuses_what_cannot_be_counted(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
