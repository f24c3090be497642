"""Ramps against loops that count one batch, or one sample, at a time."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lib.ramps
from lib.loading import Loader, Stream
from lib.plan import LoaderPlan
from lib.ramps import AccumulationRamp, BatchRamp, Ramp


@st.composite
def ramps(draw, *units):
    begins = [0, *sorted(draw(st.sets(st.integers(1, 60), max_size=4)))]
    values = draw(st.lists(st.integers(1, 9), min_size=len(begins), max_size=len(begins)))
    return Ramp(list(zip(begins, values)), unit=draw(st.sampled_from(units)))


def yolov5(num_samples, batch_size, epochs, nominal=64, warmup_epochs=3):
    """The loop of YOLOv5's train.py (v7.0), with nothing in it but the counting."""
    batches = -(-num_samples // batch_size)
    accumulate, last, updates = max(round(nominal / batch_size), 1), -1, []
    warmup = max(round(warmup_epochs * batches), 100)
    for ni in range(batches * epochs):
        if ni <= warmup:
            accumulate = max(1, np.interp(ni, [0, warmup], [1, nominal / batch_size]).round())
        if ni - last >= accumulate:
            updates.append(ni)
            last = ni
    return updates


def test_a_warmed_up_accumulation():
    """N=128, B=16, E=100, nominal batch 64: 224 updates, not 200 (yolov5 #4362)."""
    updates = yolov5(128, 16, 100)
    stages = [(0, 1), (17, 2), (51, 3), (84, 4)]
    plan = AccumulationRamp(Loader(128, 16), Ramp(stages, unit="batches"), epochs=100)
    assert plan.total_iterations == len(updates) == 224
    assert [plan.batches_after(i + 1) for i in range(224)] == [ni + 1 for ni in updates]
    assert plan.iterations_per_epoch == sum(ni < 8 for ni in updates) and plan.total_samples == 16 * (updates[-1] + 1)
    assert sum(plan.iterations_in_epoch(e) for e in range(100)) == 224


@settings(max_examples=300, deadline=None)
@given(ramps("batches", "iterations"), st.integers(1, 40), st.integers(1, 9), st.integers(1, 8))
def test_accumulation_ramps(ramp, num_samples, batch_size, epochs):
    loader = Loader(num_samples, batch_size)
    waiting, sizes, updates = [], [], [0] * epochs
    for epoch in range(epochs):
        for start in range(0, num_samples, batch_size):
            waiting.append(min(batch_size, num_samples - start))
            batch = epoch * loader.batches_per_epoch + start // batch_size
            if len(waiting) >= ramp.at(batch if ramp.unit == "batches" else len(sizes)):
                sizes, waiting = sizes + [sum(waiting)], []
                updates[epoch] += 1
    if not sizes:
        with pytest.raises(ValueError, match="never updated"):
            AccumulationRamp(loader, ramp, epochs)
        return
    plan = AccumulationRamp(loader, ramp, epochs)
    assert plan.total_iterations == len(sizes)
    assert [plan.iterations_in_epoch(epoch) for epoch in range(epochs)] == updates
    assert [plan.samples_after(i) for i in range(len(sizes) + 1)] == [sum(sizes[:i]) for i in range(len(sizes) + 1)]
    assert "iterations in all" in str(plan)


@given(st.integers(1, 7), st.integers(1, 60), st.integers(1, 9), st.integers(1, 6))
def test_a_level_ramp_is_a_plan_that_carries(steps, num_samples, batch_size, epochs):
    loader = Loader(num_samples, batch_size)
    try:
        plan = LoaderPlan(loader, epochs, accumulation_steps=steps, tail="carry")
    except ValueError:
        return
    for unit in ("batches", "iterations"):
        ramped = AccumulationRamp(loader, Ramp([(0, steps)], unit=unit), epochs)
        assert (ramped.total_iterations, ramped.total_samples) == (plan.total_iterations, plan.total_samples)


@settings(max_examples=300, deadline=None)
@given(ramps("samples", "iterations"), st.integers(1, 400))
def test_batch_size_ramps(ramp, samples):
    taken = [0]
    while taken[-1] < samples:
        taken.append(taken[-1] + ramp.at(taken[-1] if ramp.unit == "samples" else len(taken) - 1))
    assert BatchRamp(ramp).iterations_for(samples) == len(taken) - 1
    run = BatchRamp(ramp, samples=samples)
    assert (run.total_iterations, run.total_samples) == (len(taken) - 1, taken[-1])
    assert BatchRamp(ramp, samples=samples, iterations=2).total_iterations == min(2, len(taken) - 1)
    assert [BatchRamp(ramp).samples_after(i) for i in range(len(taken))] == taken


@given(ramps("epochs"), st.integers(1, 100), st.integers(1, 80))
def test_batch_size_ramps_in_epochs(ramp, num_samples, epochs):
    counted = sum(len(range(0, num_samples, ramp.at(epoch))) for epoch in range(epochs))
    assert BatchRamp(ramp).iterations_in_epochs(num_samples, epochs) == counted


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Ramp([(0, 1)], unit="hours"), "unit is 'hours'"),
        (lambda: Ramp([(1, 1)], unit="samples"), "must begin at 0"),
        (lambda: Ramp([], unit="samples"), "must begin at 0"),
        (lambda: Ramp([(0, 1), (5, 2), (5, 3)], unit="samples"), "each later"),
        (lambda: Ramp([(0, 0)], unit="samples"), "value is 0"),
        (lambda: AccumulationRamp(Loader(3, 1), Ramp([(0, 2)], unit="samples")), "unit is 'samples'"),
        (lambda: AccumulationRamp(Loader(3, 1), Ramp([(0, 4)], unit="batches")), "never updated"),
        (lambda: AccumulationRamp(Stream(None, 1), Ramp([(0, 4)], unit="batches")), "no length"),
        (lambda: BatchRamp(Ramp([(0, 4)], unit="samples")).total_iterations, "has no end"),
        (lambda: BatchRamp(Ramp([(0, 4)], unit="batches")), "unit is 'batches'"),
        (lambda: BatchRamp(Ramp([(0, 4)], unit="epochs")).iterations_for(5), "iterations_in_epochs"),
        (lambda: BatchRamp(Ramp([(0, 4)], unit="samples")).iterations_in_epochs(5, 1), "unit is 'samples'"),
    ],
)
def test_bad_input_gets_one_sentence(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_doctests():
    result = doctest.testmod(lib.ramps)
    assert result.attempted >= 4 and result.failed == 0
