"""The gallery of bugs: every symptom shows and vanishes, every entry is whole, every number in it was measured."""

import re
from importlib import import_module
from pathlib import Path

import jupytext
import pytest
from test_prose import numbers

from book import bugs

ROOT = Path(__file__).resolve().parents[1]
PAGE = jupytext.read(ROOT / "gallery.md")
ERRORS = {  # the size of each error, known before the programs ran
    "batch_of_one": 1,
    "cosine_in_epochs": 1.0,
    "cycled_loader": 4,
    "drawn_with_replacement": 3_653,
    "each_drops_its_own": 1,
    "epochs_by_division": 34 / 5 - 20 / 3,
    "every_worker": 10,
    "fixed_divisor": 0.5,
    "forgotten_set_epoch": 4,
    "frozen_order": 4,
    "left_over_gradients": 0.5,
    "looked_at": 10_000 - 33 * 100,
    "mean_of_means": (2.5 + 6.5 + 9.5) / 3 - 5.5,
    "mean_of_token_means": 2.5 - 1.06,
    "nothing_is_trained": 3,
    "one_cycle_floor": 3,
    "one_too_many": 1,
    "packed_and_cut": 5 * (50 - 32),
    "padded_then_dropped": (408 - 401) + 7,
    "padding_counted": 8 / 10 - 8 / 12,
    "points_of_a_curve": 3_000 / 92 / 12 - 2,
    "quarter_of_an_epoch": 3,
    "rate_by_micro_batch": 2,
    "resumed_at_the_start": 7,
    "samples_by_multiplication": 6 * 4 - 20,
    "samples_for_steps": 31,
    "scheduler_by_device": 75,
    "seeded_nothing": 1,
    "spent_generator": 10,
    "steps_of_the_schedule": 30 * 115 - 3,
    "too_few_to_accumulate": 3,
}


def entries():
    """The text of each entry by the name of its program."""
    sections = re.split(r"^#{2,3} ", (ROOT / "gallery.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {program[1]: text for text in sections if (program := re.search(r"book/bugs/(\w+)\.py", text))}


def test_there_are_at_least_twenty():
    assert len(bugs.NAMES) >= 20 and set(bugs.NAMES) == set(ERRORS)


@pytest.mark.parametrize("name", bugs.NAMES)
def test_symptom_shows_and_vanishes(name):
    measured = bugs.measure(name)
    assert measured.error == pytest.approx(ERRORS[name], abs=1e-12)
    assert import_module(f"book.bugs.{name}").error(measured.right) == 0


def test_a_bug_without_symptom_or_with_a_useless_remedy_is_refused(monkeypatch):
    bug = import_module("book.bugs.one_too_many")
    monkeypatch.setattr(bug, "wrong", bug.right)
    with pytest.raises(AssertionError, match="one_too_many"):
        bugs.measure("one_too_many")
    monkeypatch.undo()
    monkeypatch.setattr(bug, "right", bug.wrong)
    with pytest.raises(AssertionError, match="with the remedy 1"):
        bugs.measure("one_too_many")


@pytest.mark.parametrize("name", bugs.NAMES)
def test_an_entry_is_whole(name):
    text = entries()[name]
    assert text.count(f"book/bugs/{name}.py") == 2 and "\nPredict(" in text and ":::{dropdown}" in text
    assert re.search(r"\*Seen in\*.*(\]\(https://|\d+\.\d+\.\d+|this course)", text), "no link, no version"
    remedy = text.split(":::{dropdown}")[1]
    assert f"{{glue:text}}`{name}-" in remedy, "the size of the error is not measured"


def test_lines_fit_the_page():
    for name in bugs.NAMES:
        program = (ROOT / "book/bugs" / f"{name}.py").read_text(encoding="utf-8")
        remedy = program.split("\ndef right")[1].split("\ndef error")[0]  # stands in a box
        for text, width in [(program, 84), (remedy, 76)]:
            assert [line for line in text.splitlines() if len(line) > width] == [], name


def unbound(text, code):
    """Numbers of a text that neither its code nor a measured value gives; versions, years and threads are sources."""
    text = re.sub(r"^:[\w-]+:.*$|^---.*?^---$", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\]\([^)]*\)|`[^`]*`|#\d+|\b\d+\.\d+\.\d+\b|\b20\d\d\b", " ", text)
    text = re.sub(r"[Ll]essons? \d+|chapters? \d+( to \d+)?|notebook \d+", " ", text)
    return sorted(number for number in numbers(text) if len(number.lstrip("0.")) > 1 and number not in numbers(code))


def test_numbers_in_the_text_are_measured():
    text = "\n".join(cell.source for cell in PAGE.cells if cell.cell_type == "markdown")
    code = "\n".join(cell.source for cell in PAGE.cells if cell.cell_type == "code")
    code += "".join((ROOT / "book/bugs" / f"{name}.py").read_text(encoding="utf-8") for name in bugs.NAMES)
    assert unbound(text, code) == []


def test_that_check_can_fail():
    assert unbound("In 2024 it gave 6.17 of 1,234 ([a #12](https://a.b/99)), with 3.8.18 and `77`.", "x = 1_234") == [
        "6.17"
    ]
