"""A number is traced back to what made it: the ways of counting against lib.frameworks, known cases, planted runs."""

import base64
import doctest
import importlib
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from lib.explain import NAMES, SENSIBLE, explain, find, main
from lib.frameworks import FRAMEWORKS
from lib.frameworks.readings import Shown
from lib.frameworks.ways import WAYS
from lib.widgets.base import bundle
from lib.widgets.explain import table

ROOT = Path(__file__).resolve().parents[1]


def shown_by(way, answer, label):
    """The number that a rule of lib.frameworks gives for a label."""
    plan = answer.plan
    if label.endswith("of iterations"):
        return plan.total_iterations
    if label.endswith("of batches"):
        return plan.epochs * plan.batches_per_epoch
    value = answer.shows[{"the bar": "bar", "the progress bar": "progress bar"}.get(label, label)]
    return int(str(value).split("/")[0])


def draw_run(draw, way):
    run = {
        "N": draw.randint(1, draw.choice([10, 300, 20_000])),
        "B": draw.randint(1, draw.choice([3, 40, 600])),
        "A": draw.randint(1, draw.choice([1, 3, 30])),
        "W": draw.randint(1, draw.choice([1, 2, 9])),
        "E": draw.randint(1, draw.choice([3, 40])),
    }
    if way.framework in ("transformers", "sentence-transformers", "trl") and draw.random() < 0.3:
        run["E"] = draw.randint(1, 400) / draw.choice([10, 100])
    return {letter: value if letter in way.letters + "N" else 1 for letter, value in run.items()}


@pytest.mark.parametrize("way", [way for way in WAYS if way.shows and not way.version], ids=lambda way: way.framework)
def test_a_way_counts_like_the_framework(way):
    draw, compared, refused = random.Random(way.framework), 0, 0
    for _ in range(150):
        run = draw_run(draw, way)
        try:
            answer = way.about.answer(**way.call(run))
        except ValueError:
            refused += 1
            continue
        for label, shown in way.shows.items():
            assert way.count(shown, run) == shown_by(way, answer, label), (label, run)
            compared += 1
    assert compared > 50 and refused < 120


def test_every_entry_is_there():
    assert {way.framework for way in WAYS} == set(FRAMEWORKS)


def test_ways_of_a_version_that_is_not_pinned_are_few():
    """They were read, not run, so they are named here: Trainer, whose rule changed between 4.51.3 and 4.52.1."""
    assert {way.name for way in WAYS if way.version} == {"Hugging Face Trainer before 4.52"}


PLANTED = [(way, label) for way in WAYS for label in way.shows if not way.version]


@pytest.mark.parametrize("way, label", PLANTED, ids=lambda value: getattr(value, "framework", ""))
def test_a_planted_run_is_found(way, label):
    """Whatever is known of it, and whether or not the framework is."""
    draw, shown, planted = random.Random(f"{way.framework} {label}"), way.shows[label], 0
    for attempt in range(60):
        run = {"N": draw.randint(20, 30_000), **dict.fromkeys("BAWE", 1)}
        known = {}
        for letter in way.letters:
            told = draw.random() < 0.6
            run[letter] = draw.choice(list(range(1, 40)) if told or letter == "E" else SENSIBLE[letter][:9])
            if told and letter in shown.uses:
                known[NAMES[letter]] = run[letter]
        try:
            answer = way.about.answer(**way.call(run))
        except ValueError:
            continue
        number = shown_by(way, answer, label)
        if number < 1:
            continue
        name = None if len(known) >= max(2, len(way.letters) - 1) else way.framework
        explained = explain(number, run["N"], framework=name, **known)
        if shown == Shown("epochs") and "epochs" not in known:
            assert way.framework in {source.framework for source in explained.asked} or way.given
        else:
            wanted = {letter: run[letter] for letter in "N" + shown.uses}
            found = [one.run for one in explained.found for source in one.sources if is_of(way, label, source)]
            assert wanted in [{letter: one.get(letter, 1) for letter in wanted} for one in found], (run, known)
        planted += 1
        if planted == 6:
            return
    assert planted >= 5


def is_of(way, label, source):
    return (source.framework, source.label) == (way.framework, label)


# the widget -----------------------------------------------------------------------------------


def questions(count, seed=0):
    """Questions of all kinds: most have an answer, some have none."""
    draw = random.Random(seed)
    while count:
        way = draw.choice(WAYS)
        if not way.shows:
            continue
        label = draw.choice(list(way.shows))
        run = draw_run(draw, way)
        number = way.count(way.shows[label], run) + draw.choice([0, 0, 0, 1, 40])
        known = {NAMES[letter]: run[letter] for letter in way.letters if draw.random() < 0.7}
        framework = way.framework if draw.random() < 0.8 or len(known) < len(way.letters) - 1 else None
        if number >= 1:
            count -= 1
            yield number, run["N"], framework, known


def test_javascript_says_what_python_says(browser):
    asked = [*questions(400), *((1, 1, key, {}) for key in FRAMEWORKS)]
    tab = browser.new_page()
    url = "data:text/javascript;base64," + base64.b64encode(bundle("explanations").encode()).decode()
    letters = {name: letter for letter, name in NAMES.items()}
    found = tab.evaluate(
        """async ([url, table, asked]) => {
        const { explain, lines } = await import(url);
        return asked.map(([shown, known, framework]) => lines(shown, explain(shown, known, framework, table), 30));
    }""",
        [url, table(), [(n, {"N": N} | {letters[k]: v for k, v in known.items()}, f) for n, N, f, known in asked]],
    )
    tab.close()
    nothing = 0
    for (number, N, framework, known), javascript in zip(asked, found, strict=True):
        python = explain(number, N, framework=framework, **known)
        nothing += not python.found
        assert javascript == python.lines(30), (number, N, framework, known)
    assert 40 < nothing < 300  # both kinds are there


# known cases, words, refusals ------------------------------------------------------------------


def first(number, num_samples, **known):
    return explain(number, num_samples, **known).found[0]


def test_a_flushed_tail_and_what_an_older_version_made_of_it():
    run = dict(batch_size=8, accumulation_steps=12, epochs=3, framework="transformers")
    now, before = first(294, 9_400, **run), first(291, 9_400, **run)
    assert now.because.startswith(
        "294 = 3 × 98: 9,400 samples in batches of 8 make 1,175 batches; 12 make an iteration"
    )
    assert str(now.sources[0]).endswith("Before 4.52 it would show 291.")
    assert "the 11 left over are not counted" in before.because
    assert before.sources[0].name == "Hugging Face Trainer before 4.52"
    assert str(before.sources[0]).endswith(f"Version {FRAMEWORKS['transformers'].version} would show 294.")
    few = first(3, 10, batch_size=8, accumulation_steps=12, epochs=3, framework="transformers")
    assert "before" not in few.sources[0].name and len(few.sources) == 2  # at least one iteration an epoch, in both


@pytest.mark.parametrize(
    "number, num_samples, known, source, words",
    [
        (1_875, 60_000, {"framework": "keras"}, "the bar, with batch_size=32", "1,875 is one epoch in batches"),
        (3, 100, {"framework": "keras"}, "validation_split=0.2", "80 samples of 100"),
        (7, 10, {"framework": "keras", "batch_size": 1, "epochs": 3}, "optimizer.iterations", "10 batches"),
        (7, 25, {"framework": "lightning", "batch_size": 4}, "the progress bar", "the last one of 1"),
        (7_000, 25, {"framework": "lightning", "batch_size": 4}, "max_epochs=1000", "7,000 = 1,000 × 7"),
        (33, 1_000, {"framework": "kmeans", "batch_size": 300, "epochs": 10}, "n_steps_", "batches are drawn"),
        (10, 91, {"framework": "accelerate", "batch_size": 10, "world_size": 2}, "prepared scheduler", "10 = 2 × 5"),
        (8, 10, {"framework": "spacy", "batch_size": 4, "epochs": 3}, "step", "8 = 9 - 1, and 9 = 3 × 3"),
        (2_048, 100, {"framework": "PPO"}, "total_timesteps", "100 timesteps are rounded up"),
        (20, 10, {"framework": "torch-iterable", "batch_size": 2}, "num_workers=4", "all read by each of 4 workers"),
        (120, 90, {"framework": "lightgbm", "epochs": 40}, "num_class=3", "120 = 3 × 40"),
        (80, 1_000, {"framework": "Trainer", "batch_size": 32, "epochs": 2.5}, "num_train_epochs=2.5", "80 = 2.5 × 32"),
        (8, 100, {"framework": "Trainer", "batch_size": 1, "epochs": 0.07}, "global_step", "0.07 × 100, rounded up"),
    ],
)
def test_known_numbers_are_explained(number, num_samples, known, source, words):
    explained = explain(number, num_samples, **known)
    assert any(words in one.because and any(source in str(each) for each in one.sources) for one in explained.found[:6])


def test_packed_rows_are_named_when_texts_do_not_fit():
    explained = explain(489, 8_861, batch_size=4, accumulation_steps=4, epochs=3, framework="trl")
    assert explained.found == [] and "with 2,593 to 2,608 samples, not 8,861" in str(explained)
    assert "packed into rows" in str(explained) and "would show global_step 1,662, 1,173 more: 1,662 = 3 × 554" in str(
        explained
    )


def test_packing_is_named_even_where_something_fits():
    explained = explain(489, 8_861, framework="trl")
    assert explained.found and "TRL counts packed rows as samples" in str(explained)
    assert "TRL" not in "".join(explain(489, 8_861).notes)


def test_what_would_have_to_differ_is_named():
    explained = explain(40, 10_000, batch_size=500, accumulation_steps=1, epochs=3, world_size=1, framework="torch")
    assert explained.differs[0].startswith("If epochs were 2, not 3: 40 = 2 × 20")
    assert any(line.startswith("If batch_size were") for line in explain(50, 10_000, batch_size=500, epochs=1).differs)


def test_the_order_is_the_one_that_is_said():
    explained = explain(294, 9_400, framework="transformers")
    costs = [one.cost for one in explained.found]
    assert costs == sorted(costs) and len(set(costs)) > 2
    assert first(3_525, 9_400, framework="transformers").cost == 0  # all at their defaults
    assert first(3_525, 9_400, framework="transformers").run == {"N": 9_400, "B": 8, "A": 1, "W": 1, "E": 3}


@pytest.mark.parametrize("known", [{}, {"epochs": 7}])
def test_rounds_may_have_been_asked_for(known):
    explained = explain(30, 90, framework="xgboost", **known)
    assert [str(source) for source in explained.asked] == [
        "XGBoost shows it as num_boosted_rounds(), with num_boost_round=30."
    ]


def test_what_a_framework_has_no_place_for_is_said():
    assert explain(5_000, 200, batch_size=8, epochs=25, framework="sgd").notes == [
        "scikit-learn SGDClassifier has no place for batch_size here, so 8 was passed over."
    ]


@pytest.mark.parametrize(
    "meant, key",
    [("Trainer", "transformers"), ("pytorch lightning", "lightning"), ("YOLO", "ultralytics"), ("pytorch", "torch")]
    + [(key, key) for key in FRAMEWORKS]
    + [(framework.name, key) for key, framework in FRAMEWORKS.items()],
)
def test_a_framework_is_found_by_what_people_call_it(meant, key):
    assert find(meant) == key


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["-294", "--samples", "9400"], "the number is -294, but it must be a whole number of at least 1."),
        (["294.5", "--samples", "9400"], "the number is 294.5, but it must be a whole number."),
        (["many", "--samples", "9400"], "the number is 'many', but it must be a number"),
        (["294", "--samples", "0"], "num_samples is 0"),
        (["294", "--samples", "inf"], "--samples is inf, but it must be a whole number."),
        (["294", "--samples", "9400", "--batch-size", "-8"], "batch_size is -8"),
        (["294", "--samples", "9400", "--batch-size", "2.5"], "--batch-size is 2.5, but it must be a whole number."),
        (["294", "--samples", "9400", "--epochs", "-1.5"], "epochs is -1.5, but it must be a number above 0"),
        (["294", "--samples", "9400", "--framework", "lightening"], "did you mean lightning"),
        (["294", "--samples", "9400", "--framework", "§"], "it must be one of sklearn-mlp"),
    ],
)
def test_the_command_refuses_with_a_sentence(capsys, arguments, words):
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert words in said.err and said.err.count("\n") == 1 and said.out == ""


def test_the_command_answers_in_sentences_and_in_json(capsys):
    known = ["--samples", "9,400", "--batch-size", "8", "--accumulation", "12", "--epochs", "3", "--framework", "trl"]
    assert main(["294", *known]) == 0
    assert capsys.readouterr().out.startswith("294 = 3 × 98: 9,400 samples")
    assert main(["294", *known, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["found"][0]["run"] == {"N": 9_400, "B": 8, "A": 12, "W": 1, "E": 3} and said["differs"] == []
    assert main(["295", *known]) == 0 and "Nothing that is known here gives 295" in capsys.readouterr().out
    assert main(["295", "--samples", "9400", "--framework", "timm", "--batch-size", "8"]) == 1


def test_the_search_needs_the_standard_library_alone():
    code = "import sys, lib.explain; print([m for m in ('torch', 'numpy', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["lib.explain", "lib.widgets.explain"])
def test_examples(module):
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted and result.failed == 0
