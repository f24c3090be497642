"""Pictures of lessons 12, 13 and 17: parts and wholes, devices, and a run that is killed."""

import pandas as pd

from book.pictures.board import ANSWER, GIVEN, blank, board, box, line, percent, unknown, write
from lib import figures
from lib.figures import Shown
from lib.plan import TrainingPlan

EQUAL = 1e-12  # no more than the rounding of a sum


def accumulation(
    plain: float | None = None, mean_of_means: float | None = None, batch_norm: float | None = None
) -> Shown:
    """Lesson 12: when do parts equal the whole?

    Parameters
    ----------
    plain, batch_norm : float, optional
        How far the weights of four micro-batches end from those of one batch, without BatchNorm and with it.
    mean_of_means : float, optional
        Relative error of the gradient, if unequal parts are averaged as if they were equal.
    """
    figure, axis = board(2.05)
    write(axis, 1.4, 1.9, "in parts")
    write(axis, 3.55, 1.9, "at once")
    rows = [
        ("equal parts", [125] * 4, plain, "a weight"),
        ("unequal parts", [2, 98], mean_of_means, "gradient"),
        ("BatchNorm", [125] * 4, batch_norm, "a weight"),
    ]
    told = []
    for number, (name, parts, apart, what) in enumerate(rows):
        low = 1.32 - 0.6 * number
        write(axis, 0.05, low + 0.16, name)
        unit, left = 1.6 / sum(parts), 1.4
        for part in parts:
            box(axis, left, low, unit * part - 0.03, 0.32)
            if unit * part > 0.3:
                write(axis, left + unit * part / 2 - 0.015, low + 0.15, f"{part}", ha="center")
            else:
                write(axis, left + unit * part / 2, low - 0.13, f"{part}", ha="center")
            left += unit * part + (0.04 if len(parts) == 2 else 0)
        box(axis, 3.55, low, 1.0, 0.32, alpha=0.5)
        write(axis, 4.05, low + 0.15, f"{sum(parts)}", ha="center")
        sign = None if apart is None else "=" if apart < EQUAL else "≠"
        blank(axis, 3.29, low + 0.16, sign, width=0.4)
        if apart is not None:
            size = percent(apart) if what == "gradient" else f"{apart:.2g}"
            found = "equal weights" if apart < EQUAL else f"{what} off\nby {size}"
            write(axis, 4.7, low + 0.16, found)
            told.append(f"{name}: {found.replace(chr(10), ' ')}")
    if plain is None or mean_of_means is None or batch_norm is None:
        return Shown(
            figure,
            alt="Three rows of micro-batches, each beside one big batch: four equal parts of 125 samples, two parts of "
            "2 and 98 tokens whose means are averaged, and four parts in a network with BatchNorm. Where the parts "
            "equal the whole is left open.",
            caption="Is a batch that is taken in parts the same as the batch at once? This lesson compares.",
        )
    equal = "at the weights of the whole, up to rounding" if plain < EQUAL else f"{plain:.2g} away from the whole"
    return Shown(
        figure,
        alt=f"Three rows of micro-batches, each beside one big batch. {'; '.join(told)}.",
        caption=f"Four equal parts end {equal}. A mean of means of 2 and 98 tokens "
        f"has a gradient that is off by {percent(mean_of_means)}, and with BatchNorm a weight ends "
        f"{batch_norm:.2g} away.",
    )


def many_devices(difference: float | None = None) -> Shown:
    """Lesson 13: is it the same training? ``difference`` is that of two devices at 250 from one at 500."""
    figure, axis = board(2.0)
    for x, name in ((1.35, "one iteration"), (4.15, "iterations\nan epoch"), (5.35, "the same\ntraining")):
        write(axis, x, 1.8, name, ha="left" if x < 2 else "center")
    cases = [(1, 500), (2, 250), (2, 500)]
    plans = [TrainingPlan(10_000, size, world_size=devices) for devices, size in cases]
    for number, (devices, size) in enumerate(cases):
        low = 1.1 - 0.52 * number
        write(axis, 0.05, low + 0.16, f"{devices} device{'s' if devices > 1 else ''}")
        for device in range(devices):
            wide = 1.05 * size / 500
            box(axis, 1.35 + device * (wide + 0.05), low, wide, 0.32, alpha=0.25 if device == 0 else 0.5)
            write(axis, 1.35 + device * (wide + 0.05) + wide / 2, low + 0.15, f"{size}", ha="center")
        known = difference is not None
        blank(axis, 4.15, low + 0.16, f"{plans[number].iterations_per_epoch}" if known else None, width=0.6)
        if number == 0:
            write(axis, 5.35, low + 0.16, "this one", ha="center")
        elif difference is None:
            blank(axis, 5.35, low + 0.16)
        else:
            same = difference < EQUAL and plans[number].global_batch_size == plans[0].global_batch_size
            blank(axis, 5.35, low + 0.16, "yes" if same else "no", width=0.6)
    if difference is None:
        return Shown(
            figure,
            alt="Three rows: one device with a batch of 500, two devices with 250 each, two devices with 500 each. How "
            "many iterations an epoch has in each, and which trainings are the same, is left open.",
            caption="Two devices in place of one: is it the same training? This lesson starts two processes and "
            "compares.",
        )
    one, two, more = plans
    equal = "end at the same weights, up to rounding" if difference < EQUAL else f"end {difference:.2g} apart"
    return Shown(
        figure,
        alt=f"Three rows. One device at 500 and two at 250: {one.iterations_per_epoch} and {two.iterations_per_epoch} "
        f"iterations an epoch, they {equal}. Two at 500: {more.iterations_per_epoch} iterations, another training.",
        caption=f"Two devices at 250 and one at 500 {equal}. Two at 500 are a batch of {more.global_batch_size:,}: "
        f"{more.iterations_per_epoch} iterations an epoch instead of {one.iterations_per_epoch}.",
    )


SAVED = ("everything saved", "optimizer forgotten", "only the weights saved")


def survival(apart: pd.Series | None = None) -> Shown:
    """Lesson 17: does a resumed run end at the same weights? ``apart`` says how far away, for each of ``SAVED``."""
    figure, axis = board(2.0)
    write(axis, 2.0, 1.83, "60 iterations, killed after 30")
    write(axis, 5.3, 1.83, "weights", ha="center")
    told = []
    for row, name in enumerate(SAVED):
        y = 1.4 - 0.55 * row
        write(axis, 0.05, y, name.replace("only the weights saved", "only the weights"))
        box(axis, 2.0, y - 0.13, 1.2, 0.26, alpha=0.5)
        line(axis, (3.26, 3.4), (y - 0.16, y + 0.16), color=figures.INK, linewidth=2)
        line(axis, (3.26, 3.4), (y + 0.16, y - 0.16), color=figures.INK, linewidth=2)
        if apart is None:
            unknown(axis, 3.46, y - 0.13, 1.2, 0.26)
            blank(axis, 5.3, y)
            continue
        same = apart[name] == 0
        box(axis, 3.46, y - 0.13, 1.2, 0.26, color=GIVEN if same else ANSWER, alpha=0.5)
        found = "the same" if same else f"{apart[name]:.3f} off"
        blank(axis, 5.3, y, found, width=1.0)
        told.append(f"{name}: {found}")
    if apart is None:
        return Shown(
            figure,
            alt="Three runs of 60 iterations, killed after 30 and started again: with everything saved, with the "
            "optimizer forgotten, with only the weights. Whether they end where a run ends that never stopped is left "
            "open.",
            caption="A run is killed halfway and goes on from a file. Does it end where it would have ended? This "
            "lesson kills one.",
        )
    return Shown(
        figure,
        alt=f"Three runs of 60 iterations, killed after 30 and resumed. Weights at the end, against a run that never "
        f"stopped: {'; '.join(told)}.",
        caption=f"With everything saved the weights are {'' if apart[SAVED[0]] == 0 else 'not '}the same, to the last "
        f"bit. Without the optimizer one ends {apart[SAVED[1]]:.3f} away, with the weights alone "
        f"{apart[SAVED[2]]:.3f}.",
        data=apart.rename("largest difference of a weight").reset_index(),
    )
