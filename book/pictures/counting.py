"""Pictures of lessons 1 to 4: what is counted."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from book.pictures.board import ANSWER, GIVEN, QUIET, blank, board, box, line, percent, unknown, uprights, write
from lib import figures
from lib.figures import Shown
from lib.plan import TrainingPlan

WAYS = ("shuffled", "with replacement", "last batch dropped")


def epoch(visits: Mapping[str, np.ndarray] | None = None, drawn: np.ndarray | None = None) -> Shown:
    """Lesson 1: is every sample visited once?

    Parameters
    ----------
    visits : mapping, optional
        How often each of 20 samples was visited in an epoch, for each of ``WAYS``.
    drawn : array, optional
        The same for all samples of the lesson, drawn with replacement.
    """
    figure, axis = board(2.15)
    write(axis, 1.6, 1.98, "20 samples, one “epoch” of each kind")
    write(axis, 5.42, 1.98, "seen", ha="center")
    told = []
    for row, way in enumerate(WAYS):
        low = 1.3 - 0.58 * row
        write(axis, 0.05, low + 0.08, way)
        counts = np.zeros(20, dtype=int) if visits is None else visits[way]
        unit = min(0.15, 0.5 / max(1, counts.max()))
        for sample, count in enumerate(counts):
            left = 1.6 + 0.16 * sample
            for place in range(int(count)):
                box(axis, left, low + unit * place, 0.12, 0.8 * unit, color=GIVEN if place == 0 else ANSWER, alpha=0.7)
            if count == 0:
                box(axis, left, low, 0.12, 0.12, color=QUIET, alpha=0, linewidth=0.8)
        seen = None if visits is None else f"{(counts > 0).sum()} of {len(counts)}"
        blank(axis, 5.42, low + 0.08, seen, width=0.95)
        told.append(f"{way}: {seen}, at most {counts.max()} times")
    if visits is None or drawn is None:
        return Shown(
            figure,
            alt="Three rows of 20 empty squares, a sample each: one epoch that is shuffled, one drawn with "
            "replacement, one whose last batch is dropped. How many samples are seen in each is left open.",
            caption="An epoch is one pass. Does it visit every sample once? This lesson counts.",
        )
    share = float(np.mean(drawn > 0))
    return Shown(
        figure,
        alt=f"Three rows of 20 samples with a square for each visit. Seen at least once: {'; '.join(told)}.",
        caption=f"A square is a visit. Only the pass that draws each sample once is an epoch in our sense. Of "
        f"{len(drawn):,} samples, as many draws with replacement reached {100 * share:.1f} %.",
    )


def iteration(plan: TrainingPlan | None = None) -> Shown:
    """Lesson 2: how many updates are three epochs of 10,000 samples in batches of 300?"""
    choices = plan or TrainingPlan(10_000, 300, epochs=3)
    samples, size, epochs = choices.num_samples, choices.batch_size, int(choices.epochs)
    figure, axis = board(0.82 + 0.38 * epochs)
    write(axis, 1.0, 0.66 + 0.38 * epochs, f"{samples:,} samples, {size} in a batch")
    write(axis, 5.45, 0.66 + 0.38 * epochs, "iterations", ha="center")
    wide = 3.7
    for number in range(epochs):
        low = 0.48 + 0.38 * (epochs - 1 - number)
        write(axis, 0.05, low + 0.12, f"epoch {number + 1}")
        first = wide * size / samples
        if plan is None:
            box(axis, 1.0, low, first, 0.24)
            unknown(axis, 1.0 + first, low, wide - first, 0.24)
        else:
            whole = samples // size * size
            box(axis, 1.0, low, wide * whole / samples, 0.24, alpha=0.3, linewidth=0.7)
            uprights(axis, 1.0 + wide * np.arange(size, whole, size) / samples, low, low + 0.24, linewidth=0.7)
            if whole < samples:
                rest = wide * (samples - whole) / samples
                box(axis, 1.0 + wide - rest, low, rest, 0.24, color=ANSWER, alpha=0.9, linewidth=0.7)
        blank(axis, 5.45, low + 0.12, None if plan is None else f"{plan.iterations_in_epoch(number)}", width=0.8)
    write(axis, 4.7, 0.18, "in all", ha="right")
    blank(axis, 5.45, 0.18, None if plan is None else f"{plan.total_iterations:,}", width=0.8)
    if plan is None:
        return Shown(
            figure,
            alt=f"Three bars, an epoch of {samples:,} samples each. The first batch of {size} is cut off; how many "
            f"follow, and how many iterations that makes, is left open.",
            caption=f"How many updates of the weights are {epochs} epochs, if {size} does not divide {samples:,}? "
            f"This lesson counts them.",
        )
    wrong = math.ceil(epochs * samples / size)
    return Shown(
        figure,
        alt=f"{epochs} bars, an epoch of {samples:,} samples each, cut into {samples // size} batches of {size} and "
        f"a last one of {plan.last_batch_size}: {plan.iterations_per_epoch} iterations an epoch, "
        f"{plan.total_iterations} in all.",
        caption=f"The {plan.last_batch_size} samples that are left over make a batch of their own, in each epoch anew: "
        f"{epochs} times {plan.iterations_per_epoch} are {plan.total_iterations} iterations. Rounding at the end "
        f"would give {wrong}.",
    )


def batch_size(noise: Mapping[int, float] | None = None) -> Shown:
    """Lesson 3: what do more samples in a batch buy? ``noise`` is the standard deviation by batch size, 1 for one."""
    sizes = (1, 16, 64)
    figure, axis = board(2.1)
    write(axis, 0.05, 1.45, "samples\nin a batch")
    write(axis, 0.05, 0.42, "noise of\nits gradient")
    for size, middle in zip(sizes, (1.9, 3.5, 5.1)):
        side = math.isqrt(size)
        for dot in range(size):
            x, y = (0.11 * (place - (side - 1) / 2) for place in divmod(dot, side))
            axis.plot(middle + x, 1.42 + y, marker="o", markersize=4.5, color=GIVEN, linestyle="")
        write(axis, middle, 1.99, f"{size}", ha="center")
        if noise is None:
            blank(axis, middle, 0.42)
            continue
        half = 0.7 * noise[size] / noise[1]
        for end in (-half, half):
            line(axis, (middle + end, middle + end), (0.52, 0.78), color=ANSWER, linewidth=2)
        line(axis, (middle - half, middle + half), (0.65, 0.65), color=ANSWER, linewidth=2)
        blank(axis, middle, 0.22, f"{noise[size]:.2f}", width=0.62)
    if noise is None:
        return Shown(
            figure,
            alt="Three batches of 1, 16 and 64 dots, a sample each. How noisy the gradient of each batch is, is left "
            "open.",
            caption="A batch of 64 costs 64 times the work of one sample. How much better is its gradient? This lesson "
            "measures it.",
        )
    told = ", ".join(f"{noise[size]:.2f} with {size}" for size in sizes)
    return Shown(
        figure,
        alt=f"Three batches of 1, 16 and 64 dots, and below each a bar as wide as the noise of its gradient: {told}.",
        caption=f"{sizes[-1]} times the samples, and the work, leave {percent(noise[64] / noise[1])} of the noise; "
        f"{sizes[1]} times leave {percent(noise[16] / noise[1])}. At the same weights it shrinks with the "
        f"root of the size.",
        data=pd.DataFrame({"batch size": sizes, "noise, one sample being 1": [noise[size] for size in sizes]}),
    )


SPLITS = ((20, 3), (10, 6), (60, 1), (30, 3))


def steps_per_epoch(same: Mapping[tuple[int, int], bool] | None = None) -> Shown:
    """Lesson 4: is the length of an epoch a knob?

    Parameters
    ----------
    same : mapping, optional
        For each of ``SPLITS`` (steps, epochs) but the first: are the weights at the end those of the first?
    """
    figure, axis = board(2.0)
    write(axis, 1.6, 1.85, "marks: updates, lines: ends of “epochs”")
    write(axis, 5.45, 1.85, "weights", ha="center")
    most = max(steps * epochs for steps, epochs in SPLITS)
    for row, (steps, epochs) in enumerate(SPLITS):
        y = 1.45 - 0.4 * row
        write(axis, 0.05, y, f"{epochs} × {steps} steps")
        places = 1.62 + 3.1 * np.arange(steps * epochs) / most
        uprights(axis, places, y - 0.05, y + 0.05, linewidth=1.4)
        ends = places[steps - 1 :: steps] + 0.5 * 3.1 / most
        uprights(axis, ends, y - 0.15, y + 0.15, color=figures.INK, linewidth=1.4)
        if row == 0:
            write(axis, 5.45, y, "these", ha="center")
        else:
            blank(axis, 5.45, y, None if same is None else "the same" if same[steps, epochs] else "others", width=0.95)
    if same is None:
        return Shown(
            figure,
            alt="Four rows of marks, an update each, cut into epochs: 3 of 20 steps, 6 of 10, 1 of 60, and 3 of 30. "
            "Which rows end at the same weights as the first is left open.",
            caption="The steps of an epoch, set by hand: does that change what is learned, or only what it is called? "
            "This lesson tries it.",
        )
    alike, unlike = (
        " and ".join(f"{epochs} × {steps}" for (steps, epochs), equal in same.items() if equal is wanted) or "none"
        for wanted in (True, False)
    )
    return Shown(
        figure,
        alt=f"Four rows of marks, an update each, cut into epochs. At the weights of 3 epochs of 20 steps: {alike}. At "
        f"others: {unlike}.",
        caption=f"The same batches in the same order, cut into epochs otherwise: {alike} ended at the weights of "
        f"3 × 20 steps, to the last bit; {unlike} at others.",
    )
