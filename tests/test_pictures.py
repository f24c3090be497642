"""The pictures that open and close the lessons: a question that gives nothing away, an answer that is the numbers."""

import ast
import html
import re
from pathlib import Path

import jupytext
import nbformat
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from book import pictures
from lib.experiments.fastest import IterationTime, Prediction
from lib.plan import TrainingPlan
from lib.sampling import epoch_order
from lib.statistics import CriticalBatchSize, Interval

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "lessons").glob("*.md"))


# What each picture is given: numbers like those of its lesson, all of them changed by `factor`.


def near(estimate):
    return Interval(estimate, estimate - 0.01, estimate + 0.01, 5)


def epoch(factor):
    order = epoch_order(20, seed=int(10 * factor), epoch=0, replacement=True)
    again = np.bincount(order, minlength=20)
    whole = np.ones(20, dtype=int)
    dropped = np.r_[whole[:-2], 0, 0]
    drawn = np.r_[np.ones(632), np.zeros(int(368 * factor))]
    return {"shuffled": whole, "with replacement": again, "last batch dropped": dropped}, drawn


def gradient_noise(factor):
    sizes = [1, 16, 64, 256, 4000]
    values = [7, 0.44, 0.11 * factor, 0.026 * factor, 0.0]
    first = pd.DataFrame({"iteration": 0, "replacement": False, "batch_size": sizes, "mean": values})
    return (pd.concat([first, first.assign(replacement=True, mean=9.0), first.assign(iteration=290, mean=8.0)]),)


def four_clocks(factor):
    table = pd.DataFrame(
        {
            "iteration": [1836, 193, 111 * factor],
            "samples": [15e3, 25e3, 227e3 * factor],
            "seconds": [0.2, 0.05 * factor**20, 0.25],
        },
        index=pd.Index([8, 128, 2048], name="batch_size"),
    )
    return (table.assign(compute=table["samples"] * 90_000),)


def generalization(factor):
    ends = {"as is": -0.31, "tuned, epochs": -0.08, "tuned, iterations": 0.15}
    return ({panel: [near(end * factor), near(1.2 * end * factor)] for panel, end in ends.items()},)


def more_epochs(factor):
    losses = {40_000: 0.9, 10_000: 0.95, 2_500: 1.2, 625: 2.4}
    rows = [[n, seed, loss * factor + 0.01 * seed] for n, loss in losses.items() for seed in range(5)]
    return (pd.DataFrame(rows, columns=["samples", "seed", "test_loss"]),)


def mean_of_what(factor):
    weights = pd.DataFrame({"a": [1, 1.0], "b": [5 * factor, 0.55], "c": [12.5 * factor, 0.42]})
    return weights, {"micro-batch": near(0.1 * factor), "document": near(0.22 * factor)}


def tokens_in_a_batch(factor):
    rows = [
        [target, sizes, tokens * factor, 0.9 * tokens * factor, 1.1 * tokens * factor]
        for target, found in {"bigram": (2318, 2211, 2364), "lower": (5020, 4465 * factor, 5458 * factor)}.items()
        for sizes, tokens in zip(["all", "without the smallest", "every second"], found)
    ]
    return (pd.DataFrame(rows, columns=["target", "sizes", "tokens", "low", "high"]),)


def choosing(factor):
    time, steps = IterationTime(1e-4, 1.1e-6), CriticalBatchSize(near(105.0), near(120.0 * factor), True)
    best = (1e-4 / 1.1e-6 * 120 * factor) ** 0.5
    law = Prediction(time, steps, near(best))
    sizes = 8 * 2 ** np.arange(9)
    return law, pd.DataFrame({"batch_size": sizes, "seconds": law.seconds(sizes) * (sizes / 100) ** (4 * factor - 4)})


EXAMPLES = {
    "epoch": epoch,
    "iteration": lambda factor: (TrainingPlan(10_000, 300 if factor == 1 else 320, epochs=3),),
    "batch_size": lambda factor: ({1: 1.0, 16: 0.24 * factor, 64: 0.1 * factor},),
    "steps_per_epoch": lambda factor: ({(10, 6): True, (60, 1): factor == 1, (30, 3): False},),
    "gradient_noise": gradient_noise,
    "time_of_an_iteration": lambda factor: (
        pd.DataFrame({"batch_size": [1, 32, 1024, 10_000], "seconds_per_iteration": [1, 1.4 * factor, 12, 128]}),
    ),
    "four_clocks": four_clocks,
    "steps_to_target": lambda factor: (
        pd.Series([1836, 947, 501, 288, 193, 153, 139, 125 * factor, 111], index=8 * 2 ** np.arange(9)),
        123.0 * factor,
    ),
    "learning_rate": lambda factor: (
        pd.Series(
            [0.12, 0.97, 1.07 * factor, 0.0029, 0.008, 0.02],
            index=pd.MultiIndex.from_product([["sgd", "adam"], [8, 64, 512]], names=["optimizer", "batch_size"]),
        ),
    ),
    "generalization": generalization,
    "more_epochs": more_epochs,
    "accumulation": lambda factor: (1e-16 * factor**100, 0.6 * factor, 0.021 * factor),
    "many_devices": lambda factor: (1e-16 * factor**100,),
    "batch_of_texts": lambda factor: (pd.Series({1: 0.0, 8: 0.55 / factor, 128: 0.79 / factor}), 0.02 * factor),
    "mean_of_what": mean_of_what,
    "tokens_in_a_batch": tokens_in_a_batch,
    "survival": lambda factor: (
        pd.Series(
            [0.0, 0.036 * factor, 0.25 * factor],
            index=pd.Index(["everything saved", "optimizer forgotten", "only the weights saved"], name="resumed with"),
        ),
    ),
    "choosing": choosing,
}


def drawn(shown):
    """All words of a picture: in it, beside it and for those who do not see it."""
    return [text.get_text() for text in shown.figure.findobj(Text) if text.get_text()] + [shown.alt, shown.caption]


def named(md):
    return md.name


def calls(source):
    """(name, number of arguments) of each picture that a cell asks for."""
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    of_pictures = [call for call in found if getattr(getattr(call.func, "value", None), "id", "") == "pictures"]
    return [(call.func.attr, len(call.args) + len(call.keywords)) for call in of_pictures]


def places(notebook):
    """Where a lesson has its pictures: (name, number of arguments, tags, section, Predicts before it)."""
    section, predicts, found = "", 0, []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            predicts += cell.source.count("**Predict")
            section = ([section] + re.findall(r"^## (.*)$", cell.source, flags=re.MULTILINE))[-1]
        elif "pictures." in cell.source:
            found += [(*call, cell.metadata.get("tags", []), section, predicts) for call in calls(cell.source)]
    return found


def check_shape(notebook):
    first, last = places(notebook)
    assert first[0] == last[0], "the same picture"
    assert (first[1], *first[2:]) == (0, ["remove-input"], "", 0), "a question above all sections and predictions"
    assert last[1] > 0 and last[2:4] == (["remove-input"], "Take away"), "the answer, last"
    return first[0]


def test_every_lesson_opens_with_a_picture_of_its_own_and_closes_with_its_answer():
    assert sorted(check_shape(jupytext.read(md)) for md in LESSONS) == pictures.__all__ == sorted(EXAMPLES)


def test_that_a_wrong_shape_is_seen():
    question = "```{code-cell} ipython3\n:tags: [remove-input]\n\nfrom book import pictures\n\npictures.epoch()\n```\n"
    text = (ROOT / "lessons/01-epoch.md").read_text(encoding="utf-8")
    assert text.count(question) == 1 and check_shape(jupytext.reads(text, "md:myst")) == "epoch"
    moved = text.replace(question, "").replace("## Check yourself", f"{question}\n## Check yourself")
    for wrong in (moved, text.replace(question, ""), text.replace(question, 2 * question)):
        with pytest.raises((AssertionError, ValueError)):
            check_shape(jupytext.reads(wrong, "md:myst"))


def predictions(md):
    """(question, answer, wrong choices) of each Predict of a lesson, from the lesson and its executed twin."""
    twin = nbformat.read(md.with_suffix(".ipynb"), as_version=4)
    asked = []
    for cell in [cell for cell in twin.cells if cell.cell_type == "code" and "Predict(" in cell.source]:
        data = next(output["data"] for output in cell.outputs if "Question: " in str(output.get("data", "")))
        answer = html.unescape(re.search(r"<strong>(.*?)\.</strong>", data["text/html"])[1])
        call = next(
            node for node in ast.walk(ast.parse(cell.source)) if getattr(node, "func", None) and is_predict(node)
        )
        choices = next((ast.literal_eval(each.value) for each in call.keywords if each.arg == "choices"), [answer])
        asked.append((data["text/plain"], answer, set(choices) - {answer}))
    return asked


def is_predict(node):
    return getattr(getattr(node, "func", None), "id", "") == "Predict"


def numbers(text):
    """Its numbers, 1,000 as 1000."""
    return set(re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w])", re.sub(r"(?<=\d),(?=\d{3})", "", text)))


def given_away(words, asked):
    """Answers that a picture names, though no question of the lesson does, nor does the picture name all choices."""
    told = " | ".join(words)
    questions = " ".join(question for question, *_ in asked)
    found = []
    for _, answer, wrong in asked:
        if not re.search("[a-z]", answer):
            found += [answer] if numbers(answer) & numbers(told) - numbers(questions) else []
        elif says(told, answer) and not (wrong and all(says(told, other) for other in wrong)):
            found.append(answer)
    return found


def says(text, words):
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text) is not None


PICTURE_OF = {md: [*places(jupytext.read(md)), ("",)][0][0] for md in LESSONS}


@pytest.mark.parametrize("md", LESSONS, ids=named)
def test_a_question_gives_no_answer_away(md):
    assert given_away(drawn(getattr(pictures, PICTURE_OF[md])()), predictions(md)) == []


def test_that_an_answer_would_be_seen():
    lesson = {name: md for md, name in PICTURE_OF.items()}
    closing = {name: drawn(getattr(pictures, name)(*EXAMPLES[name](1))) for name in lesson}
    assert given_away(closing["iteration"], predictions(lesson["iteration"])) == ["102"]
    assert given_away(closing["mean_of_what"], predictions(lesson["mean_of_what"]))[0] == "9"
    assert given_away(["the tokens: it grows"], predictions(lesson["tokens_in_a_batch"])) == ["it grows"]
    assert given_away(["10,000 samples, 60"], [("Of 10,000?", "10,000", ()), ("How many?", "60", ())]) == ["60"]


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_question_has_blanks_and_an_answer_has_none(name):
    picture = getattr(pictures, name)
    question, answer = drawn(picture()), drawn(picture(*EXAMPLES[name](1)))
    assert "?" in question and "?" not in answer
    assert "left open" in question[-2] and question[-1].count("This lesson") == 1
    assert "left open" not in answer[-2] and numbers(answer[-1]) - numbers(question[-1])


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_other_numbers_make_another_picture(name):
    picture = getattr(pictures, name)
    one, again, other = (picture(*EXAMPLES[name](factor)) for factor in (1, 1, 1.1))
    assert one.svg() == again.svg() and drawn(one) == drawn(again)
    assert one.alt != other.alt and one.caption != other.caption
    if name != "many_devices":  # its numbers are counted by a plan, and its answers are yes and no
        assert drawn(one)[:-2] != drawn(other)[:-2]
    if one.data is not None:
        assert not one.data.equals(other.data)
    typed_in = numbers(one.caption) & numbers(other.caption) - numbers(" | ".join(drawn(picture())))
    drawn_too = numbers(" | ".join(drawn(one)[:-2])) | {"95"}  # as in 95 % intervals
    assert name == "many_devices" or typed_in <= drawn_too, "what stays the same belongs to the set-up or is drawn"


@pytest.mark.parametrize("answered", [False, True], ids=["question", "answer"])
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_picture_is_small_and_its_words_have_room(name, answered):
    """With the widest letters, those of matplotlib; a browser's are narrower."""
    figure = getattr(pictures, name)(*(EXAMPLES[name](1) if answered else ())).figure
    width, height = figure.get_size_inches()
    assert width == 6 and height <= 2.2
    figure.draw_without_rendering()
    boxes = [(text.get_text(), text.get_window_extent()) for text in figure.findobj(Text) if text.get_text().strip()]
    for place, (word, box) in enumerate(boxes):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y0 >= -2 and box.y1 <= figure.bbox.height + 2, word
        for other, beside in boxes[:place]:
            across = min(box.x1, beside.x1) - max(box.x0, beside.x0)
            down = min(box.y1, beside.y1) - max(box.y0, beside.y0)
            assert across < 1 or down < 3, (word, other)


def test_a_picture_loads_nothing():
    """Its numbers are those of its lesson, so a lesson that measures anew shows what it measured."""
    for file in (ROOT / "book/pictures").glob("*.py"):
        imported = [
            node.module
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom)
        ]
        ours = {module for module in imported if module.split(".")[0] == "lib"}
        assert ours <= {"lib", "lib.figures", "lib.plan", "lib.statistics"}, file.name


def test_where_several_rules_chose_the_picture_shows_from_where_to_where():
    (runs,) = more_epochs(1)
    other = runs.assign(test_loss=runs["test_loss"] + 0.1 * (runs["samples"] < 5_000))
    shown = pictures.more_epochs(pd.concat([runs.assign(rule="best mean"), other.assign(rule="margin")]))
    assert "+0.30 to +0.40" in drawn(shown) and "+0.05" in drawn(shown) and "by 2 rules" in shown.caption
    assert "rules" not in pictures.more_epochs(runs).caption
