"""The widgets compute what Python computes, refuse bad input, and say in text what they show."""

import base64
import functools
import math
import random
import re

import numpy as np
import pandas as pd
import pytest
import torch
from playwright.sync_api import expect
from torch.utils.data import BatchSampler
from torch.utils.data.distributed import DistributedSampler

from lib import widgets
from lib.data import digits
from lib.loading import DEALS
from lib.models import mlp
from lib.plan import TAILS, TrainingPlan
from lib.statistics import critical_batch_size, steps_to_target
from lib.tokens import PACKINGS
from lib.training import train
from lib.widgets import (
    BatchSlicer,
    Devices,
    DocumentRows,
    ExplainNumber,
    FourClocks,
    PathViewer,
    Predict,
    StepsToTarget,
)
from lib.widgets.base import FOLDER, bundle
from lib.widgets.rows import BATCHINGS
from lib.workload import classification

COUNTED = [
    "samples_per_device",
    "batches_per_epoch",
    "last_batch_size",
    "iterations_per_epoch",
    "global_batch_size",
    "samples_repeated_per_epoch",
    "samples_dropped_per_epoch",
    "total_iterations",
    "total_samples",
]


@pytest.fixture(scope="module")
def in_javascript(browser):
    """Runs a JavaScript function of (module, argument) in the browser; gives back its result."""
    tab = browser.new_page()

    def run(name, function, argument):
        url = "data:text/javascript;base64," + base64.b64encode(bundle(name).encode()).decode()
        return tab.evaluate(f"async ([url, argument]) => ({function})(await import(url), argument)", [url, argument])

    yield run
    tab.close()


def random_choices(count, seed=0):
    """Choices of a plan, of all sizes; some of them impossible."""
    draw = random.Random(seed)
    for _ in range(count):
        largest = draw.choice([12, 300, 1_000_000])
        yield dict(
            num_samples=draw.randint(1, largest),
            batch_size=draw.randint(1, draw.choice([4, 40, largest])),
            epochs=draw.choice([draw.randint(1, 100), draw.randint(1, 10_000) / draw.choice([10, 100])]),
            drop_last=draw.random() < 0.5,
            accumulation_steps=draw.randint(1, draw.choice([1, 8])),
            world_size=draw.randint(1, draw.choice([1, 9])),
            pad_to_even=draw.random() < 0.5,
            tail=draw.choice(TAILS),
            deal=draw.choice(DEALS),
            limit_batches=draw.choice([None, None, draw.randint(1, 100)]),
        )


def counted_by_python(choices, share_of_run):
    try:
        plan = TrainingPlan(**choices)
    except ValueError:
        return None
    iterations = int(share_of_run * plan.total_iterations)
    return [
        *(getattr(plan, name) for name in COUNTED),
        plan.samples_after(iterations),
        plan.iterations_in_epoch(plan.epochs_started - 1),
    ]


def test_javascript_counts_like_the_plan(in_javascript):
    points = list(random_choices(6_000))
    found = in_javascript(
        "plan",
        """(module, [points, names]) => points.map(choices => {
        const plan = module.plan(choices);
        if (plan.refused) return null;
        return [...names.map(name => plan[name]), plan.samples_after(Math.floor(0.7 * plan.total_iterations)),
                plan.iterations_in_epoch(Math.ceil(choices.epochs) - 1)];
    })""",
        [points, COUNTED],
    )
    expected = [counted_by_python(choices, 0.7) for choices in points]
    assert 300 < expected.count(None) < 3_000  # both kinds are there
    for choices, javascript, python in zip(points, found, expected, strict=True):
        assert javascript == python, choices


def test_javascript_shares_samples_like_pytorch(in_javascript):
    points = [choices for choices in random_choices(600, seed=1) if choices["num_samples"] <= 60]
    points = [choices | {"deal": "samples", "limit_batches": None} for choices in points]
    points = [choices for choices in points if counted_by_python(choices, 0)]
    assert len(points) > 100
    found = in_javascript(
        "plan",
        """(module, points) => points.map(choices =>
        Array.from({ length: choices.world_size }, (_, device) => module.share(choices, device).batches.map(
            batch => batch.map(({ sample }) => sample))))""",
        points,
    )
    for choices, devices in zip(points, found, strict=True):
        for rank, batches in enumerate(devices):
            sampler = DistributedSampler(
                range(choices["num_samples"]),
                choices["world_size"],
                rank,
                shuffle=False,
                drop_last=not choices["pad_to_even"],
            )
            assert batches == list(BatchSampler(sampler, choices["batch_size"], choices["drop_last"])), choices


def random_layouts(count, seed=0):
    """Choices of documents and rows, of all kinds."""
    draw = random.Random(seed)
    for _ in range(count):
        longest = draw.choice([3, 30, 90])
        yield dict(
            lengths=[draw.randint(1, longest) for _ in range(draw.randint(1, draw.choice([3, 40])))][
                : 1_000 // longest
            ],
            sequence_length=draw.randint(1, 64),
            batch_size=draw.randint(1, 12),
            packing=draw.choice(PACKINGS),
            batching=draw.choice(BATCHINGS),
            pool_size=draw.choice([1, draw.randint(1, 40)]),
            document_mask=draw.random() < 0.5,
        )


def test_javascript_lays_documents_like_python(in_javascript):
    points = list(random_layouts(3_000))
    found = in_javascript(
        "tokens",
        """(module, points) => points.map(choices => {
        const { rows, moves, batches, places, tokens, cut_off, targets } = module.layout(choices);
        return [rows, batches.map(batch => batch.rows), places, tokens, cut_off, targets, moves.length];
    })""",
        points,
    )
    for choices, javascript in zip(points, found, strict=True):
        widget = DocumentRows(
            documents={"all": choices["lengths"]}, **{k: v for k, v in choices.items() if k != "lengths"}
        )
        rows, counted = widget.rows, widget.filling
        assert javascript == [
            [[list(piece) for piece in row] for row in rows],
            widget.batches,
            counted.places,
            counted.tokens,
            widget.cut_off,
            widget.targets,
            sum(map(len, rows)),
        ], choices


def line_data():
    rng = np.random.default_rng(0)
    feature = rng.uniform(0, 2, 50)
    return feature, 1 + 2 * feature + rng.normal(0, 1, 50)


@pytest.mark.parametrize("batch_size", [1, 7, 50])
def test_javascript_walks_like_python(in_javascript, batch_size):
    viewer = PathViewer(*line_data(), batch_size=batch_size, epochs=4, learning_rate=0.1)
    names = ["feature", "target", "orders", "start"]
    path, used = in_javascript(
        "path_viewer",
        """(module, [problem, size]) => {
        const { path, used } = module.walk(problem, size, 0.1);
        return [path, used];
    }""",
        [{name: getattr(viewer, name) for name in names}, batch_size],
    )
    assert np.allclose(path, viewer.path(), rtol=0, atol=1e-12)
    plan = TrainingPlan(50, batch_size, epochs=4)
    assert used == [plan.samples_after(iterations) for iterations in range(plan.total_iterations + 1)]


@pytest.mark.parametrize("module", sorted(FOLDER.glob("*.js")), ids=lambda path: path.name)
def test_modules_are_short_and_bundled_whole(module):
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 250
    text = bundle(module.stem)
    assert "import " not in text and text.count("export default") == (
        "export default" in module.read_text(encoding="utf-8")
    )


@functools.cache
def runs():
    """Real runs, small ones: three batch sizes, three seeds."""
    torch.set_num_threads(1)
    return pd.concat(
        [
            train(
                classification(mlp(64, 32, 10), digits()),
                batch_size=batch_size,
                learning_rate=0.2,
                samples=6_400,
                seed=seed,
                device="cpu",
                evaluate_every=640 // batch_size,
            )[0].assign(batch_size=batch_size, seed=seed)
            for batch_size in (10, 40, 160)
            for seed in range(3)
        ],
        ignore_index=True,
    )


@functools.cache
def steps_and_law():
    steps = steps_to_target(runs(), target=1.8)
    return steps, critical_batch_size(steps, least=3, num_resamples=50)


EXAMPLES = {
    BatchSlicer: (
        lambda: BatchSlicer(10_000, 300, epochs=3),
        ["10,000 samples", "34 iterations", "102 iterations", "100 samples"],
    ),
    Devices: (
        lambda: Devices(26, 2, accumulation_steps=2, world_size=3),
        ["global batch size of 12", "3 iterations", "epoch: 1 sample,"],
    ),
    ExplainNumber: (
        lambda: ExplainNumber(294, 9_400, batch_size=8, accumulation_steps=12, epochs=3, framework="Trainer"),
        ["294 = 3 × 98", "Before 4.52 it would show 291"],
    ),
    DocumentRows: (
        lambda: DocumentRows({"some": [3, 9, 4]}, sequence_length=8, batch_size=2),
        ["3 documents of 3 to 9 tokens", "2 batches", "25.0 %", "1 token is cut off", "12 tokens count"],
    ),
    PathViewer: (
        lambda: PathViewer(*line_data(), batch_size=10, epochs=2),
        ["50 samples", "10 iterations", "from the bottom"],
    ),
    Predict: (lambda: Predict("Which?", "this", "Because.", {"that": "No."}), ["Which?", "that, this"]),
    FourClocks: (
        lambda: FourClocks(runs(), least=3, targets={"train_loss": 1.8}),
        ["10, 40, 160", "3 seeds", "train loss and test accuracy", "seconds", "First to train loss 1.8"],
    ),
    StepsToTarget: (
        lambda: StepsToTarget(*steps_and_law(), "a training loss of 1.8", least=3),
        ["a training loss of 1.8", "critical batch size is"],
    ),
}


@pytest.mark.parametrize("name", widgets.__all__)
def test_text_alternative(name):
    make, words = EXAMPLES[getattr(widgets, name)]
    widget, again = make(), make()
    data, _ = widget._repr_mimebundle_()
    assert data["text/plain"] == repr(widget) and "application/vnd.jupyter.widget-view+json" in data
    for word in words:
        assert word in data["text/plain"] and word in data["text/html"]
    same, _ = again._repr_mimebundle_()
    assert (same["text/html"], same["text/plain"]) == (data["text/html"], data["text/plain"])  # no ids of one run


def test_what_is_dropped_is_said():
    assert "100 samples are dropped" in repr(BatchSlicer(10_000, 300, drop_last=True))


def test_controls_and_plan_agree():
    slicer = BatchSlicer(10_000, 300, epochs=3)
    slicer.batch_size = 500  # what a slider does
    assert slicer.plan == TrainingPlan(10_000, 500, epochs=3)
    slicer.batch_size, slicer.drop_last = 20_000, True
    with pytest.raises(ValueError, match="every batch is dropped"):
        slicer.plan


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: BatchSlicer(0, 1), ValueError, "num_samples is 0"),
        (lambda: BatchSlicer(10, 2.5), TypeError, "batch_size is 2.5"),
        (lambda: BatchSlicer(10, 2, epochs=2.5), TypeError, "epochs is 2.5"),
        (lambda: Devices(61, 1), ValueError, "at most 60"),
        (lambda: Devices(6, 1, tail="keep"), ValueError, "tail is 'keep'"),
        (lambda: DocumentRows({}), ValueError, "no document"),
        (lambda: DocumentRows({"a": [3, 0]}), ValueError, "a length is 0"),
        (lambda: DocumentRows({"a": [3] * 41}), ValueError, "a has 41 documents"),
        (lambda: DocumentRows({"a": [1_001]}), ValueError, "1,001 tokens, but each is drawn"),
        (lambda: DocumentRows({"a": [3]}, packing="tight"), ValueError, "packing is 'tight'"),
        (lambda: DocumentRows({"a": [3]}, batching="rows"), ValueError, "batching is 'rows'"),
        (lambda: DocumentRows({"a": [3]}, batch_size=0), ValueError, "batch_size is 0"),
        (lambda: FourClocks(runs()), ValueError, "at least 5"),
        (lambda: FourClocks(runs().assign(train_loss=math.nan), least=3), ValueError, "batch size 10 is not a number"),
        (lambda: FourClocks(runs(), values=["perplexity"], least=3), KeyError, "perplexity"),
        (lambda: FourClocks(runs(), least=3, targets={"perplexity": 2}), ValueError, "targets is {'perplexity': 2}"),
        (lambda: FourClocks(runs(), least=3, targets={"train_loss": 9.0}), ValueError, "before its first iteration"),
        (
            lambda: StepsToTarget(steps_and_law()[0].assign(iteration=math.nan), None, "x", least=3),
            ValueError,
            "did not reach",
        ),
        (lambda: ExplainNumber(0, 10), ValueError, "the number is 0"),
        (lambda: ExplainNumber(5, 10, batchsize=2), TypeError, "batchsize cannot be known"),
        (lambda: ExplainNumber(5, 10, framework="kerass"), ValueError, "did you mean keras"),
        (lambda: PathViewer([1, 2], [1]), ValueError, r"feature has shape \(2,\)"),
        (lambda: PathViewer([1, 2], [1, 2], batch_size=0), ValueError, "batch_size is 0"),
        (lambda: Predict("How many?", None, ""), TypeError, "answer is None"),
        (lambda: Predict("How many", 3, ""), ValueError, "question mark"),
        (lambda: Predict("How many?", 3, "", {3.0: "No."}), ValueError, "leave that out"),
        (lambda: Predict("Which?", "a", ""), ValueError, "choices are"),
        (lambda: Predict("Which?", "a", "", {"b": "No."}, choices=["a", "c"]), ValueError, "choices are"),
        (lambda: Predict("How many?", 3, "", choices=["3"]), ValueError, "give the answer as a text"),
    ],
)
def test_bad_input_gets_a_sentence(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_written_answers():
    answers = [Predict("How many?", number, "").written_answer() for number in (10_000, 0.25, 2.012)]
    assert answers == ["10,000", "0.25", "2.012"] and math.isclose(Predict("How many?", 2, "").answer, 2)


@pytest.fixture
def shown(browser):
    """Shows one widget alone in a page, as a notebook would."""
    tab = browser.new_page()

    def show(widget):
        state = {name: value for name, value in widget.get_state().items() if name not in ("layout", "_esm", "_css")}
        url = "data:text/javascript;base64," + base64.b64encode(widget._esm.encode()).decode()
        tab.set_content(f"<style>{widget._css}</style>")
        tab.evaluate(
            """async ([url, state]) => {
            const handlers = {};
            const model = { get: name => state[name], save_changes() {}, off() {},
                on: (name, act) => { (handlers[name] ??= []).push(act); },
                set: (name, value) => { state[name] = value; handlers[`change:${name}`]?.forEach(act => act()); } };
            (await import(url)).default.render({ model, el: document.body });
        }""",
            [url, state],
        )
        return tab

    yield show
    tab.close()


def test_documents_are_laid_before_the_readers_eyes(shown):
    tab = shown(DocumentRows({"mixed": [20, 6, 30, 12, 9], "alike": [16] * 5}, sequence_length=32, batch_size=2))
    number = lambda name: tab.locator(f"[data-number={name}]").inner_text()  # noqa: E731
    clock = tab.locator(".clock")
    assert [number(name) for name in ("rows", "batches", "targets")] == ["5", "3", "72"]
    assert tab.locator(".piece").count() == 5 and tab.locator(".piece.alone").count() == 5
    tab.get_by_role("combobox", name="Rows").select_option("wrapped")
    assert [number(name) for name in ("rows", "waste", "cut_off", "targets")] == ["3", "0.0 %", "0", "74"]
    assert tab.locator(".piece").all_inner_texts() == ["1", "2", "3", "3", "4", "4", "5"]
    tab.get_by_role("button", name="Start again").press("Enter")
    expect(clock).to_have_text("nothing laid yet")
    assert tab.locator(".piece.ahead").count() == 7
    tab.get_by_role("button", name="One document").click(click_count=3)
    expect(clock).to_contain_text("3 of 7 laid: document 3, 6 of its 30 tokens, into row 1 · 1 of 3 rows begun")
    assert tab.locator(".piece.ahead").count() == 4
    tab.get_by_role("button", name="Play").press("Space")
    expect(clock).to_contain_text("7 of 7 laid", timeout=5_000)
    tab.get_by_role("checkbox", name="read alone").press("Space")
    assert number("targets") == "70" and tab.locator(".piece.alone").count() == 7
    tab.get_by_role("combobox", name="Documents").select_option("alike")
    tab.get_by_role("combobox", name="Rows").select_option("best fit")
    assert [number(name) for name in ("rows", "waste", "targets")] == ["3", "0.0 %", "75"]
    tab.get_by_role("combobox", name="Batches").select_option("fixed")
    assert number("waste") == "16.7 %"
    for _ in range(2):
        tab.get_by_role("slider", name="Row length T").press("ArrowLeft")
    assert [number(name) for name in ("rows", "waste")] == ["5", "46.7 %"]
    sizes = tab.evaluate("[...document.querySelectorAll('*')].map(one => parseFloat(getComputedStyle(one).fontSize))")
    assert min(sizes) >= 11


def expected_order(clock):
    """Batch sizes from the lowest loss to the highest, where the shortest of these clocks ends; and that time."""
    means = runs().groupby(["batch_size", "iteration"]).mean(numeric_only=True).reset_index()
    time = means.groupby("batch_size")[clock].max().min()
    losses = {size: np.interp(time, one[clock], one["train_loss"]) for size, one in means.groupby("batch_size")}
    return sorted(losses, key=losses.get), losses, time


@pytest.mark.parametrize("clock", ["iteration", "samples", "seconds"])
def test_four_clocks_say_who_is_ahead(shown, clock):
    tab = shown(FourClocks(runs(), least=3))
    order, losses, time = expected_order(clock)
    tab.get_by_role("combobox", name="Clock").select_option(clock)
    said = tab.locator(".said").inner_text()
    words = [f"batch size {size} ({losses[size]:.3f})" for size in order[:2]]
    assert said.index(words[0]) < said.index(words[1])
    assert float(said.split()[1].replace(",", "")) == pytest.approx(time, rel=5e-3)
    for size in order[:2]:
        tab.get_by_role("checkbox", name=str(size)).press("Space")
    expect(tab.locator(".said")).to_contain_text(f"batch size {order[2]} (")
    assert tab.locator("polyline.line").count() == 1


@pytest.mark.parametrize("clock, first", [("iteration", 160), ("samples", 10), ("compute", 10)])
def test_four_clocks_say_who_is_first_at_the_target(shown, clock, first):
    per_sample = 1_000_000
    timed = runs().assign(compute=runs()["samples"] * per_sample)
    tab = shown(FourClocks(timed, least=3, targets={"train_loss": 1.8}))
    options = tab.get_by_role("combobox", name="Clock").locator("option")
    assert options.all_inner_texts() == ["iterations", "samples", "compute in GFLOP", "seconds"]
    tab.get_by_role("combobox", name="Clock").select_option(clock)
    steps = steps_to_target(runs(), 1.8, run=["batch_size", "seed"]).groupby("batch_size").mean()
    steps["compute"] = steps["samples"] * per_sample / 1e9
    order = steps[clock].sort_values()
    assert order.index[0] == first
    ranked = tab.get_by_role("listitem").all_inner_texts()
    assert [int(text.split(":")[0]) for text in ranked] == order.index.tolist()
    assert [float(text.split()[1].replace(",", "")) for text in ranked] == pytest.approx(order.tolist(), rel=5e-3)
    marks = tab.locator("circle.finish").evaluate_all("marks => marks.map(mark => mark.cx.baseVal.value)")
    assert tab.locator("line.target").count() == 1 and marks == sorted(marks) and len(marks) == 3
    expect(tab.locator(".said")).to_contain_text(re.compile(f"^First to train loss 1.8 (is|are) batch size {first} "))


def test_four_clocks_without_one_that_reaches_the_target(shown):
    lowest = runs().groupby(["batch_size", "seed"])["train_loss"].min().groupby("batch_size").max()
    tab = shown(FourClocks(runs(), least=3, targets={"train_loss": float(lowest.iloc[:2].max())}))
    ranked = tab.get_by_role("listitem").all_inner_texts()
    assert lowest.idxmax() == 160 and ranked[-1].strip().startswith("160: not reached in every run")
    assert tab.locator("circle.finish").count() == 2


def test_the_key_of_a_line_looks_like_the_line(shown):
    tab = shown(FourClocks(runs(), least=3))
    dash = "lines => lines.map(line => getComputedStyle(line).strokeDasharray + getComputedStyle(line).stroke)"
    lines, keys = (tab.locator(kind).evaluate_all(dash) for kind in ("polyline.line", ".sizes line.stroke"))
    assert lines == keys and len(set(lines)) == 3


def test_four_clocks_turn_around():
    assert expected_order("samples")[0] == [10, 40, 160]
    assert expected_order("iteration")[0][0] == 160


def test_the_path_viewer_knows_where_full_batch_diverges(shown):
    feature, target = line_data()
    inputs = np.column_stack([np.ones(len(feature)), feature])
    limit = 2 / np.linalg.eigvalsh(inputs.T @ inputs / len(feature)).max()
    for rate, diverges in [(0.98 * limit, False), (1.02 * limit, True)]:
        viewer = PathViewer(feature, target, batch_size=len(feature), epochs=40, learning_rate=rate)
        steps = np.linalg.norm(np.diff(viewer.path(), axis=0), axis=1)
        assert (steps[-1] > steps[-2]) == diverges
        said = shown(viewer).locator(".clock").inner_text()
        assert (f"above a learning rate of {limit:.3f}" in said) == diverges == ("diverges" in said)


def test_steps_to_target_asks_first(shown):
    tab = shown(StepsToTarget(*steps_and_law(), "a training loss of 1.8", least=3))
    found = steps_and_law()[1].b_crit
    assert tab.locator("circle.measured").count() == 3 and tab.locator(".perfect").count() == 0
    assert f"{found.estimate:.3g}" not in tab.locator("body").inner_text()
    guess = tab.get_by_role("textbox", name="Your guess")
    for text, reply in [
        ("", "Write a batch size first"),
        (f"{found.low / 3:.4f}", "below the interval"),
        (f"{found.high * 3:.4f}", "above the interval"),
    ]:
        guess.fill(text)
        guess.press("Enter")
        expect(tab.get_by_role("status")).to_contain_text(reply)
    assert tab.locator(".perfect").count() == 1
