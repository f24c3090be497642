"""Pictures of lessons 5 to 8: noise, time, clocks and iterations to a target."""

import math

import pandas as pd
from matplotlib.patches import Circle

from book.pictures.board import ANSWER, GIVEN, blank, board, box, line, percent, unknown, write
from lib.figures import Shown


def gradient_noise(measured: pd.DataFrame | None = None) -> Shown:
    """Lesson 5: what do larger batches leave of the variance of the gradient?

    Parameters
    ----------
    measured : pandas.DataFrame, optional
        Columns ``iteration``, ``replacement``, ``batch_size`` and ``mean``, the measured variance. Drawn is the first
        iteration, without replacement.
    """
    sizes = (16, 64, 256, 4000)
    figure, axis = board(2.1)
    write(axis, 0.05, 1.1, "variance of\nthe gradient")
    write(axis, 0.05, 0.17, "batch size")
    left: dict[int, float] = {}
    if measured is not None:
        start = measured[(measured["iteration"] == measured["iteration"].min()) & ~measured["replacement"]]
        variance = start.set_index("batch_size")["mean"]
        left = {size: float(variance[size] / variance[sizes[0]]) for size in sizes}
    for size, middle in zip(sizes, (1.7, 2.9, 4.1, 5.3)):
        known = size == sizes[0] or size in left
        height = 1.35 * left.get(size, 1.0)
        (box if known else unknown)(axis, middle - 0.3, 0.36, 0.6, height)
        if size == sizes[0]:
            write(axis, middle, 0.36 + height + 0.2, percent(1.0), ha="center")
        elif known:
            blank(axis, middle, 0.36 + height + 0.2, percent(left[size]), width=0.68)
        else:
            blank(axis, middle, 1.05)
        write(axis, middle, 0.17, f"{size:,}" + (" = all" if size == 4000 else ""), ha="center")
    line(axis, (1.2, 5.8), (0.36, 0.36))
    if measured is None:
        return Shown(
            figure,
            alt="Four bars for batches of 16, 64, 256 and all 4,000 samples. The variance of the gradient at 16 is "
            "drawn, the other three are left open.",
            caption="A batch guesses the gradient of all samples. How much less wrong is a larger one? This lesson "
            "measures it.",
        )
    told = ", ".join(f"{percent(left[size])} at {size:,}" for size in sizes)
    return Shown(
        figure,
        alt=f"Four bars, the measured variance of the gradient against that of 16 samples: {told}.",
        caption=f"At the same weights four times the batch leaves {percent(left[64])} of the variance, which is "
        f"{percent(math.sqrt(left[64]))} of the standard deviation. The batch of all samples leaves "
        f"{percent(left[4000])}.",
        data=pd.DataFrame({"batch size": sizes, "share of the variance": [left[size] for size in sizes]}),
    )


def time_of_an_iteration(speed: pd.DataFrame | None = None) -> Shown:
    """Lesson 6: how does the time of an iteration grow with its work? ``speed`` as in ``lib.profiling``."""
    pairs = ((1, 32), (1024, 10_000))
    figure, axis = board(1.95)
    unit, start, times = 3.5 / 32, 1.75, []
    for number, (small, large) in enumerate(pairs):
        low = 1.1 - 0.98 * number
        work = large / small
        write(axis, 0.05, low + 0.36, f"from {small:,}\nto {large:,}\nsamples")
        write(axis, start - 0.1, low + 0.55, "work", ha="right")
        box(axis, start, low + 0.43, unit * work, 0.24)
        write(axis, start + unit * work + 0.07, low + 0.55, f"× {work:.2g}")
        write(axis, start - 0.1, low + 0.17, "time", ha="right")
        if speed is None:
            unknown(axis, start, low + 0.05, unit * work, 0.24)
            blank(axis, start + unit * work / 2, low + 0.17)
            continue
        seconds = speed.set_index("batch_size")["seconds_per_iteration"]
        times.append(float(seconds[large] / seconds[small]))
        box(axis, start, low + 0.05, unit * times[-1], 0.24, color=ANSWER)
        blank(axis, start + unit * times[-1] + 0.42, low + 0.17, f"× {times[-1]:.1f}", width=0.68)
    if speed is None:
        return Shown(
            figure,
            alt="Two pairs of bars. From 1 to 32 samples in a batch the work grows 32 times, from 1,024 to 10,000 it "
            "grows about ten times. How much the time of an iteration grows is left open.",
            caption="Does an iteration with 32 times the work take 32 times as long? This lesson times it.",
        )
    told = [
        f"from {small:,} to {large:,} samples {time:.1f} times as long" for (small, large), time in zip(pairs, times)
    ]
    return Shown(
        figure,
        alt=f"Two pairs of bars, the work of an iteration and its time: {'; '.join(told)}.",
        caption=f"From 1 sample to 32 the work grew 32 times, and the time {times[0]:.1f} times. From 1,024 to 10,000 "
        f"the work grew {work:.2g} times, and the time {times[1]:.1f} times.",
        data=pd.DataFrame(
            {
                "from": [small for small, _ in pairs],
                "to": [large for _, large in pairs],
                "work": [large / small for small, large in pairs],
                "time": times,
            }
        ),
    )


CLOCKS = {"iteration": "iterations", "samples": "samples", "compute": "compute", "seconds": "seconds"}


def four_clocks(needed: pd.DataFrame | None = None) -> Shown:
    """Lesson 7: which batch size is first? ``needed`` has a column for each of ``CLOCKS``, and batch sizes as index."""
    figure, axis = board(2.0)
    axis.set_aspect("equal")
    told = []
    for middle, (clock, name) in zip((0.75, 2.25, 3.75, 5.25), CLOCKS.items()):
        write(axis, middle, 1.87, name, ha="center")
        axis.add_patch(Circle((middle, 1.12), 0.55, fill=False, edgecolor=GIVEN, linewidth=1.6))
        for hour in range(12):
            x, y = math.sin(math.pi * hour / 6), math.cos(math.pi * hour / 6)
            line(axis, (middle + 0.48 * x, middle + 0.53 * x), (1.12 + 0.48 * y, 1.12 + 0.53 * y), color=GIVEN)
        if needed is None:
            blank(axis, middle, 1.12)
            write(axis, middle, 0.3, "first to the\ntarget?", ha="center")
            continue
        used = needed[clock]
        first, last = used.idxmin(), used.idxmax()
        blank(axis, middle, 1.12, f"{first:,}", width=0.66)
        write(axis, middle, 0.3, f"{last:,} needs\n{used[last] / used[first]:.1f} times it", ha="center")
        told.append(f"in {name} batch size {first:,}, and {last:,} needs {used[last] / used[first]:.1f} times as much")
    if needed is None:
        return Shown(
            figure,
            alt="Four clocks, for iterations, samples, compute and seconds. Which batch size is the first to the "
            "target on each of them is left open.",
            caption="The same runs, four clocks. Which batch size is the fastest? This lesson lets them race.",
        )
    winners = {name: f"{needed[clock].idxmin():,}" for clock, name in CLOCKS.items()}
    return Shown(
        figure,
        alt=f"Four clocks. First to the target: {'; '.join(told)}.",
        caption="The batch size that is first to the same loss, each with its own tuned learning rate: "
        + ", ".join(f"{size} in {name}" for name, size in winners.items())
        + ". “Faster” needs its clock.",
        data=needed[list(CLOCKS)].reset_index(),
    )


def steps_to_target(iterations: pd.Series | None = None, critical: float | None = None) -> Shown:
    """Lesson 8: what does each doubling of the batch save?

    Parameters
    ----------
    iterations : pandas.Series, optional
        Mean iterations to the target by batch size, 8 to 2,048.
    critical : float, optional
        The critical batch size.
    """
    sizes = [8 * 2**power for power in range(9)]
    figure, axis = board(2.2)
    write(axis, 0.05, 2.06, "iterations to the same loss, by batch size")
    factors = [] if iterations is None else [iterations[a] / iterations[b] for a, b in zip(sizes, sizes[1:])]
    for place, size in enumerate(sizes):
        middle = 0.36 + 0.66 * place
        height = 1.15 if iterations is None else 1.15 * iterations[size] / iterations[sizes[0]]
        (unknown if iterations is None and place else box)(axis, middle - 0.2, 0.34, 0.4, height)
        write(axis, middle, 0.16, f"{size:,}", ha="center")
        if place:
            text = f"÷{factors[place - 1]:.1f}" if factors else None
            blank(axis, middle - 0.33, 1.72, text, width=0.52, height=0.26)
    line(axis, (0.1, 5.9), (0.34, 0.34))
    if iterations is None or critical is None:
        return Shown(
            figure,
            alt="Nine bars, for batch sizes 8 to 2,048, each twice the one before. The first is drawn; by what the "
            "iterations to the same loss are divided at each doubling is left open.",
            caption="Each batch is twice the one before. What does it save, and does the saving go on? This lesson "
            "measures it.",
        )
    x = 0.36 + 0.66 * math.log2(critical / sizes[0])
    line(axis, (x, x), (0.34, 1.5), color=ANSWER, linewidth=1.6, linestyle=(0, (4, 2)))
    write(axis, x + 0.08, 1.32, f"critical batch size {critical:.0f}", color=ANSWER)
    return Shown(
        figure,
        alt=f"Nine bars that fall from {iterations[sizes[0]]:,.0f} iterations at batch size {sizes[0]} to "
        f"{iterations[sizes[-1]]:,.0f} at {sizes[-1]:,}. The doublings divide them by "
        f"{', '.join(f'{factor:.1f}' for factor in factors)}. The critical batch size is {critical:.0f}.",
        caption=f"The first doubling divides the iterations by {factors[0]:.1f}, the last by {factors[-1]:.1f}, each "
        f"size at its own learning rate. The critical batch size, {critical:.0f}, marks the bend.",
        data=pd.DataFrame({"batch size": sizes, "iterations": [iterations[size] for size in sizes]}),
    )
