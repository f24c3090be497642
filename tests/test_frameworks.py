"""The rules of frameworks as formulas, against numbers that were counted in a run or worked out by hand.

The frameworks themselves run in tests/frameworks (``make test-frameworks``).
"""

import dataclasses
import doctest
import importlib
import inspect
import math
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

import lib.frameworks
from lib.frameworks import FRAMEWORKS, SCHEDULERS, steps_in
from lib.frameworks.schedulers import UNITS, warmup_iterations
from lib.loading import Loader, Stream
from lib.plan import TAILS, TrainingPlan

ROOT = Path(__file__).resolve().parents[1]
ISSUE = (  # what a reader will look for
    "torch torch-sampler torch-iterable lightning transformers accelerate trl keras sklearn-mlp sklearn-sgd "
    "sklearn-kmeans optax skorch fastai xgboost lightgbm catboost sentence-transformers spacy sb3-ppo sb3-dqn pyg "
    "ultralytics deepspeed torchtune litgpt ignite gensim megatron torchtitan nanogpt timm yolov5"
).split()

KNOWN = [  # (framework, arguments, iterations, what it shows)
    ("torch", dict(num_samples=1_001, batch_size=8, num_replicas=8), 16, {"len(loader)": 16}),
    ("torch-sampler", dict(dataset_size=25, num_samples=60, batch_size=8, replacement=False), 8, {}),
    ("torch-iterable", dict(num_samples=46, batch_size=8, num_workers=3, split_by_worker=True, drop_last=True), 4, {}),
    ("torch-iterable", dict(num_samples=10, batch_size=2, num_workers=4), 20, {}),
    ("lightning", dict(num_samples=25, batch_size=4, accumulate_grad_batches=3, max_epochs=3), 9, {"global_step": 9}),
    ("lightning", dict(num_samples=25, batch_size=4), 7_000, {}),
    ("lightning", dict(num_samples=1_000, batch_size=10, limit_train_batches=30, max_epochs=1), 30, {}),
    ("lightning", dict(num_samples=25, batch_size=4, limit_train_batches=0.5, max_epochs=1), 3, {}),
    ("lightning", dict(num_samples=26, batch_size=4, accumulate_grad_batches=3, max_epochs=2, devices=2), 4, {}),
    (
        "lightning",
        dict(num_samples=25, batch_size=4, limit_train_batches=2.0, max_epochs=3),
        6,
        {"progress bar": "2/2"},
    ),
    ("lightning", dict(num_samples=25, batch_size=4, max_epochs=9, max_steps=10), 10, {"progress bar": "3/7"}),
    ("lightning", dict(num_samples=25, batch_size=4, max_steps=10), 10, {"progress bar": "3/3"}),
    ("lightning", dict(num_samples=25, accumulate_grad_batches=3, max_steps=2), 2, {"progress bar": "6/2"}),
    ("transformers", dict(num_samples=100, num_train_epochs=1), 13, {"global_step": 13}),
    ("transformers", dict(num_samples=100, gradient_accumulation_steps=4), 12, {}),
    ("transformers", dict(num_samples=100, gradient_accumulation_steps=4, num_train_epochs=2.5), 10, {"epoch": 2.6154}),
    ("transformers", dict(num_samples=1_000, per_device_train_batch_size=32, num_train_epochs=2.5), 80, {}),
    ("transformers", dict(num_samples=100, per_device_train_batch_size=1, num_train_epochs=0.07), 8, {"epoch": 0.08}),
    ("transformers", dict(num_samples=10, per_device_train_batch_size=3, gradient_accumulation_steps=2), 6, {}),
    (
        "transformers",
        dict(num_samples=91, per_device_train_batch_size=10, world_size=2, gradient_accumulation_steps=2, max_steps=20),
        20,
        {"epoch": 6.8},
    ),
    (
        "transformers",
        dict(num_samples=13, per_device_train_batch_size=1, gradient_accumulation_steps=4, max_steps=8, iterable=True),
        8,
        {},
    ),
    ("accelerate", dict(num_samples=91, batch_size=10, num_processes=2), 5, {"steps of a prepared scheduler": 10}),
    ("accelerate", dict(num_samples=10, batch_size=4, num_processes=2, split_batches=True), 3, {}),
    ("accelerate", dict(num_samples=10, gradient_accumulation_steps=4, epochs=2, sync_with_dataloader=False), 5, {}),
    ("trl", dict(lengths=[10] * 20, per_device_train_batch_size=4), 15, {}),
    ("trl", dict(lengths=[10] * 20, per_device_train_batch_size=4, packing=True, max_length=32), 6, {}),
    ("sentence-transformers", dict(num_samples=25, per_device_train_batch_size=4, num_train_epochs=2), 14, {}),
    ("keras", dict(num_samples=60_000), 1_875, {"bar": "1875/1875"}),
    ("keras", dict(num_samples=100, validation_split=0.2), 3, {"bar": "3/3"}),
    ("keras", dict(num_samples=10, batch_size=1, gradient_accumulation_steps=4, epochs=3), 7, {"bar": "10/10"}),
    ("keras", dict(num_samples=10, batch_size=2, steps_per_epoch=2, epochs=5), 9, {}),
    ("keras", dict(num_samples=10, batch_size=1, epochs=5, initial_epoch=3), 20, {}),
    ("optax", dict(num_samples=10, batch_size=1, every_k_schedule=4), 2, {"TrainState.step": 10}),
    ("optax", dict(num_samples=10, batch_size=1, every_k_schedule=((0, 1), (2, 4))), 4, {}),
    ("sklearn-mlp", dict(num_samples=1_000, max_iter=7), 35, {"t_": 7_000}),
    ("sklearn-mlp", dict(num_samples=1_001, max_iter=3), 18, {}),
    ("sklearn-mlp", dict(num_samples=1_001, max_iter=3, early_stopping=True), 15, {"n_iter_": 3}),
    ("sklearn-sgd", dict(num_samples=200, max_iter=5), 1_000, {"t_": 1_001}),
    ("sklearn-kmeans", dict(num_samples=1_000, batch_size=300, max_iter=10), 33, {"n_steps_": 33}),
    ("xgboost", dict(num_samples=90, num_class=3), 10, {"trees": 30}),
    ("xgboost", dict(num_samples=90, num_class=3, num_parallel_tree=4), 10, {"trees": 120}),
    ("xgboost", dict(num_samples=90, num_class=2), 10, {"trees": 20}),
    ("xgboost", dict(num_samples=90), 10, {"trees": 10}),
    ("lightgbm", dict(num_samples=90, num_class=3, num_boost_round=10), 10, {"num_trees()": 30}),
    ("lightgbm", dict(num_samples=90, num_class=2, num_boost_round=5), 5, {"num_trees()": 10}),
    ("lightgbm", dict(num_samples=90), 100, {"num_trees()": 100}),
    ("catboost", dict(num_samples=90, iterations=10), 10, {"tree_count_": 10}),
    (
        "deepspeed",
        dict(num_samples=10, train_micro_batch_size_per_gpu=1, gradient_accumulation_steps=4, epochs=2),
        5,
        {},
    ),
    ("deepspeed", dict(num_samples=10, train_batch_size=4, epochs=2), 6, {"global_samples": 24}),
    ("deepspeed", dict(num_samples=12, train_batch_size=12, gradient_accumulation_steps=4), 1, {}),
    ("ultralytics", dict(num_samples=200, batch=8, epochs=5), 29, {}),
    ("ultralytics", dict(num_samples=40, batch=8, epochs=4, warmup_epochs=0), 2, {}),
    ("yolov5", dict(num_samples=128), 224, {}),
    ("torchtune", dict(num_samples=10, batch_size=1, gradient_accumulation_steps=4, epochs=2), 4, {"bar": 2}),
    ("torchtune", dict(num_samples=10, batch_size=1, epochs=2, max_steps_per_epoch=3), 6, {"bar": 3}),
    ("litgpt", dict(num_samples=10, global_batch_size=4, micro_batch_size=1, epochs=2), 5, {}),
    ("litgpt", dict(num_samples=64, global_batch_size=18, micro_batch_size=4, epochs=1), 4, {}),
    ("ignite", dict(num_samples=7, epoch_length=3, max_epochs=4), 12, {"state.epoch": 4}),
    ("skorch", dict(num_samples=200, max_epochs=1), 2, {}),
    ("skorch", dict(num_samples=101, max_epochs=1, train_split=0.2, batch_size=20), 4, {}),
    ("fastai", dict(num_samples=40, bs=4, n_acc=10, n_epoch=2), 6, {"train_iter": 20}),
    ("timm", dict(num_samples=1_000, batch_size=100, grad_accum_steps=4, epochs=2), 6, {"updates_per_epoch": 3}),
    ("pyg", dict(num_seeds=45, batch_size=10), 5, {}),
    ("spacy", dict(num_samples=10, size=4, max_epochs=3, accumulate_gradient=2), 9, {"step": 8}),
    ("spacy", dict(num_samples=10, size=4, max_steps=8), 9, {"step": 8}),
    ("spacy", dict(num_samples=10, size=4, max_epochs=-1, max_steps=8), 9, {"step": 8}),
    ("gensim", dict(num_words=1_000), 5_000, {"raw words": 5_000}),
    ("megatron", dict(micro_batch_size=4, global_batch_size=64, train_samples=10_000, data_parallel_size=2), 156, {}),
    (
        "megatron",
        dict(micro_batch_size=8, global_batch_size=32, train_samples=400, rampup_batch_size=(8, 8, 100)),
        17,
        {"consumed_train_samples": 376},
    ),
    ("torchtitan", dict(), 10_000, {"tokens": 8 * 2_048 * 10_000}),
    ("nanogpt", dict(max_iters=600_000), 600_001, {"tokens": 491_520 * 600_001}),
    ("sb3-ppo", dict(total_timesteps=1_000, n_steps=64, batch_size=16, n_epochs=3), 192, {"_n_updates": 48}),
    ("sb3-ppo", dict(total_timesteps=100), 320, {"total_timesteps": 2_048}),
    ("sb3-dqn", dict(total_timesteps=1_000), 225, {}),
    ("sb3-dqn", dict(total_timesteps=1_000, gradient_steps=-1), 900, {}),
]


@pytest.mark.parametrize(
    "key, arguments, iterations, shows", KNOWN, ids=lambda value: value if isinstance(value, str) else ""
)
def test_known_answers(key, arguments, iterations, shows):
    answer = FRAMEWORKS[key].answer(**arguments)
    assert answer.plan.total_iterations == iterations
    assert shows.items() <= answer.shows.items()
    sentence = FRAMEWORKS[key].explain(**arguments)
    assert sentence.startswith(f"{iterations:,}") and sentence.endswith(".") and "\n" not in sentence


def test_every_framework_has_known_answers():
    assert {key for key, *_ in KNOWN} == set(FRAMEWORKS) == set(ISSUE)


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=lambda framework: framework.key)
def test_the_data_are_whole(framework):
    assert framework.version in framework.status and framework.words.keys() & {"iteration", "epoch"}
    known = {"sample", "iteration", "epoch", "batch", "batch size", "accumulation", "global batch size", "budget"}
    assert framework.words.keys() <= known and all(framework.words.values())
    for habit in ("tail", "last_batch", "padding", "shuffling", "averaging", "scheduler"):
        assert getattr(framework, habit).strip()
    assert framework.traps and framework.sources and all(trap.endswith(".") for trap in framework.traps)
    assert framework.defaults.keys() <= set(framework.arguments)
    assert framework.tail.split()[0].strip(",;") in {*TAILS, "–", "your", "there"}


def test_executed_means_executed():
    """What is called run and counted has a check in tests/frameworks, and nothing else has one."""
    checks = (path.read_text(encoding="utf-8") for path in (ROOT / "tests/frameworks").glob("*.py"))
    checked = set(re.findall(r'^@check\("([\w-]+)"', "".join(checks), flags=re.M))
    assert checked == {key for key, framework in FRAMEWORKS.items() if framework.executed}


def test_versions_are_the_pinned_ones():
    pins = {}
    for name in ("requirements-frameworks.txt", "requirements-frameworks-with-care.txt"):
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            if match := re.fullmatch(r"([\w.-]+)==(\S+)", line):
                pins[match[1]] = match[2]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    pins["xgboost"] = re.search(r"xgboost==(\S+)", makefile)[1]
    for framework in FRAMEWORKS.values():
        if framework.executed:
            assert framework.version == pins[framework.package], framework.key


@pytest.mark.parametrize(
    "key, arguments, error, words",
    [
        (
            "keras",
            dict(num_samples=3, batchsize=5),
            TypeError,
            "has no argument 'batchsize' here. Did you mean batch_size?",
        ),
        ("keras", dict(), TypeError, "Keras needs num_samples to count"),
        ("nanogpt", dict(zzz=3), TypeError, "It takes batch_size"),
        ("transformers", dict(num_samples=10, iterable=True), ValueError, "max_steps is -1"),
        ("transformers", dict(num_samples=5, dataloader_drop_last=True), ValueError, "every batch is dropped"),
        (
            "accelerate",
            dict(num_samples=10, batch_size=3, num_processes=2, split_batches=True),
            ValueError,
            "a multiple of",
        ),
        (
            "accelerate",
            dict(num_samples=10, batch_size=4, num_processes=2, even_batches=False),
            ValueError,
            "waited for",
        ),
        ("lightning", dict(num_samples=10, limit_train_batches=0.01), ValueError, "less than one batch"),
        ("keras", dict(num_samples=6, batch_size=2, gradient_accumulation_steps=9), ValueError, "never updated"),
        ("ignite", dict(num_samples=6, max_epochs=2, max_iters=3), ValueError, "only one of them"),
        ("deepspeed", dict(num_samples=6), ValueError, "needs train_batch_size or"),
        (
            "deepspeed",
            dict(num_samples=6, train_batch_size=10, train_micro_batch_size_per_gpu=4),
            ValueError,
            "4 x 2 x 1",
        ),
        ("torchtune", dict(num_samples=6, gradient_accumulation_steps=8), ValueError, "never updated"),
        ("trl", dict(lengths=[3], packing=True, packing_strategy="tight"), ValueError, "must be one of bfd"),
        ("sb3-dqn", dict(total_timesteps=50), ValueError, "never updated"),
        ("megatron", dict(micro_batch_size=4, global_batch_size=6, train_iters=2), ValueError, "must be a multiple"),
        ("megatron", dict(micro_batch_size=4, global_batch_size=8, train_samples=7), ValueError, "train_samples is 7"),
        ("deepspeed", dict(num_samples=9, train_batch_size=1, world_size=2), ValueError, "train_batch_size is 1"),
        ("keras", dict(num_samples=9, steps_per_epoch=0), ValueError, "steps_per_epoch is 0"),
        ("keras", dict(num_samples=9, epochs=3, initial_epoch=3, steps_per_epoch=2), ValueError, "epochs is 3"),
        ("keras", dict(num_samples=3, validation_split=0.9), ValueError, "validation_split is 0.9"),
        ("sb3-dqn", dict(total_timesteps=900, train_freq=0), ValueError, "train_freq is 0"),
        ("sb3-dqn", dict(total_timesteps=900, gradient_steps=0), ValueError, "gradient_steps is 0"),
        ("sb3-ppo", dict(total_timesteps=900, batch_size=1), ValueError, "batch_size is 1"),
        ("sb3-ppo", dict(total_timesteps=900, n_steps=1), ValueError, "n_steps is 1"),
        ("litgpt", dict(num_samples=9, micro_batch_size=0), ValueError, "micro_batch_size is 0"),
        ("litgpt", dict(num_samples=9, epochs=1), ValueError, "micro_batch_size, rounded down, is 16"),
        ("megatron", dict(micro_batch_size=0, train_iters=2), ValueError, "micro_batch_size is 0"),
        ("accelerate", dict(num_samples=9, num_processes=0, split_batches=True), ValueError, "num_processes is 0"),
        ("nanogpt", dict(world_size=0), ValueError, "world_size is 0"),
        ("lightning", dict(num_samples=9, limit_train_batches=2.5), ValueError, "a share from 0.0 to 1.0"),
        ("lightning", dict(num_samples=9, max_epochs=-1, max_steps=-1), ValueError, "the run has no end"),
        ("lightning", dict(num_samples=9, max_epochs=0), ValueError, "max_epochs is 0"),
        ("skorch", dict(num_samples=3), ValueError, "train_split is 5"),
        ("skorch", dict(num_samples=9, train_split=0.99), ValueError, "train_split is 0.99"),
        (
            "sklearn-mlp",
            dict(num_samples=9, early_stopping=True, validation_fraction=0.0),
            ValueError,
            "validation_fraction is 0.0",
        ),
        ("timm", dict(num_samples=9), ValueError, "so every batch is dropped; use a smaller batch_size."),
        ("torchtitan", dict(global_batch_size=0), ValueError, "global_batch_size is 0"),
        ("lightgbm", dict(num_samples=9, num_class=0), ValueError, "num_class is 0"),
    ],
)
def test_bad_arguments_get_one_sentence(key, arguments, error, words):
    with pytest.raises(error) as caught:
        FRAMEWORKS[key].plan(**arguments)
    message = str(caught.value)
    assert words in message and "\n" not in message and message.endswith(".")


def numbers_of(key, arguments):
    """The framework's arguments that may be numbers, and the values at which such a rule breaks."""
    size = next(iter(arguments.values()), 100)
    more = size + 1 if isinstance(size, int) else 100
    for name, default in ({name: None for name in FRAMEWORKS[key].arguments} | FRAMEWORKS[key].defaults).items():
        if not isinstance(default, bool | str) and name not in ("lengths", "rampup_batch_size"):
            yield name, (0, -1, 1, 2, more, 0.5, 2.0)


def answered_or_refused(key, arguments):
    """True if there is an answer; else the sentence must be one that a user of this framework can act upon."""
    framework = FRAMEWORKS[key]
    try:
        assert framework.answer(**arguments).plan.total_iterations > 0, arguments
        return True
    except ValueError as error:
        sentence = str(error)
    words = set(re.findall(r"\w+", sentence))
    assert words & set(framework.arguments), (arguments, sentence)
    assert not words & (PLAN_WORDS - set(framework.arguments)), (arguments, sentence)
    assert sentence.endswith(".") and "\n" not in sentence and "  " not in sentence
    return False


PLAN_WORDS = {field.name for of in (TrainingPlan, Loader, Stream) for field in dataclasses.fields(of)} - {"workers"}


@pytest.mark.parametrize("key, given", [(key, given) for key, given, *_ in KNOWN], ids=lambda value: str(value)[:40])
def test_each_number_is_answered_or_refused_in_own_words(key, given):
    for name, values in numbers_of(key, given):
        for value in values:
            answered_or_refused(key, {**given, name: value})


@pytest.mark.parametrize("key", FRAMEWORKS)
def test_numbers_together_are_answered_or_refused_in_own_words(key):
    draw, answered = random.Random(key), 0
    known = [arguments for known, arguments, *_ in KNOWN if known == key]
    for _ in range(300):
        given = dict(draw.choice(known))
        for name, values in numbers_of(key, given):
            if draw.random() < 0.4:
                given[name] = draw.choice([*values[2:5], draw.choice(values), 3, 5, 8])
        for name, default in FRAMEWORKS[key].defaults.items():
            if isinstance(default, bool) and draw.random() < 0.3:
                given[name] = not default
        answered += answered_or_refused(key, given)
    assert 10 < answered < 300


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 200), st.integers(1, 100), st.integers(1, 20), st.integers(0, 5))
def test_ultralytics_loop(num_samples, batch, epochs, warmup_epochs):
    """Its training loop (engine/trainer.py, 8.4.190) with nothing in it but the counting."""
    nb = math.ceil(num_samples / batch)
    accumulate = acc0 = min(max(round(64 / batch), 1), nb * epochs)
    warmup = min(warmup_epochs, max(epochs - 1, 0))
    nw, last_opt_step, updates = round(warmup * nb) if warmup > 0 else 0, -1, 0
    for ni in range(nb * epochs):
        if nw and ni <= nw:
            accumulate = max(1, int(np.interp(ni, [0, nw], [1, acc0]).round()))
        if ni - last_opt_step >= accumulate:
            last_opt_step, updates = ni, updates + 1
    arguments = dict(num_samples=num_samples, batch=batch, epochs=epochs, warmup_epochs=warmup_epochs)
    assert FRAMEWORKS["ultralytics"].plan(**arguments).total_iterations == updates


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 200), st.integers(1, 100), st.integers(1, 60))
def test_yolov5_loop(num_samples, batch_size, epochs):
    """The loop of YOLOv5's train.py (7.0), in the same manner."""
    nb = math.ceil(num_samples / batch_size)
    nw, last_opt_step, updates = max(round(3 * nb), 100), -1, 0
    for ni in range(nb * epochs):
        if ni <= nw:
            accumulate = max(1, np.interp(ni, [0, nw], [1, 64 / batch_size]).round())
        if ni - last_opt_step >= accumulate:
            last_opt_step, updates = ni, updates + 1
    arguments = dict(num_samples=num_samples, batch_size=batch_size, epochs=epochs)
    assert FRAMEWORKS["yolov5"].plan(**arguments).total_iterations == updates


def megatron_iterations(total, at_once, start, increment, ramp_samples, train_samples):
    """Megatron's ramp and its way from samples to iterations (megatron-core 0.16.1, Megatron-LM's training.py).

    Its assertions stand where it has them; with a ramp of no stage or no samples it divides by zero.
    """
    assert start > 0 and increment > 0 and ramp_samples >= 0 and total >= start and (total - start) % increment == 0
    assert total % at_once == 0
    per_increment = ramp_samples / ((total - start) // increment)

    def size(consumed):
        return total if consumed > ramp_samples else start + int(consumed / per_increment) * increment

    size(0)
    iterations = consumed = 0
    while consumed <= ramp_samples and consumed <= train_samples:
        consumed, iterations = consumed + size(consumed), iterations + 1
    iterations += max(0, train_samples - consumed) // total
    consumed = 0
    for _ in range(iterations):  # the run itself
        assert size(consumed) % at_once == 0
        consumed += size(consumed)
    return iterations


@settings(max_examples=500, deadline=None)
@given(
    *(st.integers(1, 4), st.integers(1, 3), st.integers(1, 24), st.integers(0, 60), st.integers(-1, 9)),
    *(st.integers(0, 500), st.integers(1, 2_000), st.sampled_from([1, 1, 4, 8])),
)
def test_megatron_ramp(micro, devices, start, increment, stages, ramp_samples, train_samples, unit):
    """What Megatron takes is counted as it counts; what it refuses is refused."""
    at_once = micro * devices
    start, increment = start * unit, increment * unit // 4
    total = -(-max(1, start + stages * increment) // at_once) * at_once
    arguments = dict(micro_batch_size=micro, global_batch_size=total, data_parallel_size=devices)
    arguments |= dict(train_samples=train_samples, rampup_batch_size=(start, increment, ramp_samples))
    try:
        iterations = megatron_iterations(total, at_once, start, increment, ramp_samples, train_samples)
    except (AssertionError, ZeroDivisionError):
        with pytest.raises(ValueError, match="rampup_batch_size"):
            FRAMEWORKS["megatron"].plan(**arguments)
    else:
        assert FRAMEWORKS["megatron"].plan(**arguments).total_iterations == iterations


@pytest.mark.parametrize(
    "ramp, more, words",
    [
        ((16, 8, 100), dict(train_iters=9), "train_iters is 9"),
        ((16, 20, 100), dict(train_samples=900), "the increment 20"),
        ((4, 4, 100), dict(train_samples=900), "makes a batch of 4"),
        ((16, 4, 100), dict(train_samples=900), "makes a batch of 20"),
        ((64, 8, 100), dict(train_samples=900), "starts at 64"),
        ((80, 8, 100), dict(train_samples=900), "starts at 80"),
        ((16, 0, 100), dict(train_samples=900), "rampup_batch_size is 0"),
        ((16, 8, 0), dict(train_samples=900), "rampup_batch_size is 0"),
        ((16, 8), dict(train_samples=900), "a start, an increment and samples"),
    ],
)
def test_what_megatron_refuses_of_a_ramp(ramp, more, words):
    with pytest.raises(ValueError) as caught:
        FRAMEWORKS["megatron"].plan(
            micro_batch_size=4, data_parallel_size=2, global_batch_size=64, rampup_batch_size=ramp, **more
        )
    assert words in str(caught.value) and str(caught.value).endswith(".")


def test_schedulers_name_frameworks():
    assert {scheduler.framework for scheduler in SCHEDULERS} <= set(FRAMEWORKS) and len(SCHEDULERS) >= 15
    for scheduler in SCHEDULERS:
        assert scheduler.unit in UNITS and scheduler.lengths and scheduler.trap.endswith(".")


def rates(make, steps):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    found = [scheduler.get_last_lr()[0]]
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
        found.append(scheduler.get_last_lr()[0])
    return found


def test_lengths_count_calls_of_step():
    """What SCHEDULERS says of PyTorch's, run."""
    cosine = rates(lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=10), 100)
    assert [i for i, rate in enumerate(cosine) if rate < 1e-9] == [10, 30, 50, 70, 90] and cosine[100] == pytest.approx(
        1
    )
    per_epoch = rates(lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=100), 10)
    assert round(per_epoch[-1], 3) == 0.976

    def one_cycle(optimizer):
        return lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, epochs=3, steps_per_epoch=13)

    rates(one_cycle, 38)  # making it was the first step
    with pytest.raises(ValueError, match="Tried to step 40 times"):
        rates(one_cycle, 40)
    stairs = rates(lambda optimizer: lr_scheduler.StepLR(optimizer, 30), 60)
    assert [i for i in range(1, 61) if stairs[i] < stairs[i - 1]] == [30, 60]


def test_steps_of_a_scheduler():
    plan = TrainingPlan(100, 8, epochs=3, accumulation_steps=4)
    assert [steps_in(plan, unit) for unit in ("batch", "iteration", "epoch")] == [39, 12, 3]
    stopped = TrainingPlan.for_iterations(5, num_samples=100, batch_size=8, accumulation_steps=4)
    assert [steps_in(stopped, unit) for unit in ("batch", "iteration", "epoch")] == [17, 5, 2]
    with pytest.raises(ValueError, match="unit is 'rollout'"):
        steps_in(plan, "rollout")
    assert [warmup_iterations(294, share) for share in (0, 0.1, 1, 50)] == [0, 30, 1, 50]


def test_modules_are_short_and_need_nothing():
    """Only the standard library, the plan's floor and each other: importing them is instant."""
    code = "import sys; import lib.frameworks; print([m for m in ('torch', 'numpy', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
    below = {"checks", "loading", "plan", "ramps", "tokens", "frameworks"}
    for path in (ROOT / "lib/frameworks").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"^from lib\.(\w+)", text, flags=re.M)) <= below


def test_rules_have_few_parameters():
    for framework in FRAMEWORKS.values():
        assert len(inspect.signature(framework.count).parameters) <= 10, framework.key


@pytest.mark.parametrize("name", ["lib.frameworks", "lib.frameworks.schedulers"])
def test_doctests(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted >= 2 and result.failed == 0


def test_package_exports():
    assert set(lib.frameworks.__all__) >= {"FRAMEWORKS", "SCHEDULERS"}
