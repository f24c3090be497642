"""Pictures of lessons 9 to 11: learning rate, generalization, more epochs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.patches import Circle

from book.pictures.board import ANSWER, DASHES, GIVEN, QUIET, arrow, blank, board, box, line, signed, uprights, write
from lib.figures import Shown
from lib.statistics import Interval, paired_difference

OPTIMIZERS = {"sgd": "SGD", "adam": "Adam"}


def learning_rate(best: pd.Series | None = None) -> Shown:
    """Lesson 9: what does the best learning rate do? ``best`` by optimizer and batch size."""
    sizes, places = (8, 64, 512), (1.55, 3.5, 5.45)
    figure, axis = board(2.0)
    write(axis, 0.05, 1.76, "best rate at\nbatch size")
    told = []
    for size, x in zip(sizes, places):
        write(axis, x, 1.82, f"{size}", ha="center")
    for row, (key, name) in enumerate(OPTIMIZERS.items()):
        y = 1.28 - 0.82 * row
        write(axis, 0.05, y, name)
        for size, x in zip(sizes, places):
            axis.add_patch(Circle((x, y), 0.09, facecolor=GIVEN, linewidth=0))
            if best is not None:
                write(axis, x, y - 0.28, f"{best[key, size]:.2g}", ha="center")
        for (small, large), (start, end) in zip(zip(sizes, sizes[1:]), zip(places, places[1:])):
            middle = (start + end) / 2
            line(axis, (start + 0.16, middle - 0.4), (y, y), color=QUIET)
            arrow(axis, (middle + 0.4, y), (end - 0.16, y), color=QUIET)
            factor = None if best is None else f"× {best[key, large] / best[key, small]:.1f}"
            blank(axis, middle, y, factor, width=0.72)
            told.append(f"{name} from {small} to {large} {factor}")
    if best is None:
        return Shown(
            figure,
            alt="Two rows, SGD and Adam, with batch sizes 8, 64 and 512 on each. From one to the next the batch grows "
            "eight times. By what the best learning rate grows is left open.",
            caption="The batch grows 8 times, and 8 times again. By what does the best learning rate grow? This lesson "
            "tunes it.",
        )
    grown = {key: [best[key, b] / best[key, a] for a, b in zip(sizes, sizes[1:])] for key in OPTIMIZERS}
    return Shown(
        figure,
        alt=f"Two rows of the best learning rate at batch sizes 8, 64 and 512. It changes: {'; '.join(told)}.",
        caption=f"For 8 times the batch the best rate of SGD grew {grown['sgd'][0]:.1f} times at first, then "
        f"{grown['sgd'][1]:.1f} times; that of Adam {grown['adam'][0]:.1f} and {grown['adam'][1]:.1f} times. "
        f"(The root of 8 is {8**0.5:.1f}. Tuned by training loss, at equal epochs.)",
        data=best.rename("learning rate").reset_index(),
    )


PANELS = {
    "as is": "one rate for all,\nsame epochs",
    "tuned, epochs": "tuned for each,\nsame epochs",
    "tuned, iterations": "tuned for each,\nsame iterations",
}


def generalization(gaps: Mapping[str, Sequence[Interval]] | None = None) -> Shown:
    """Lesson 10: is a large batch worse on test samples?

    Parameters
    ----------
    gaps : mapping, optional
        For each of ``PANELS`` the test accuracy at batch size 256 minus that at 4, by every rule and schedule.
    """
    figure, axis = board(2.2)
    level, told = 0.88, {}
    scale = 1.0
    if gaps is not None:
        scale = 0.5 / max(abs(gap.estimate) for found in gaps.values() for gap in found)
    write(axis, 0.05, 1.56, "test accuracy", color=QUIET)
    for left, (panel, title) in zip((0.05, 2.05, 4.05), PANELS.items()):
        write(axis, left, 1.98, title)
        write(axis, left + 0.28, 0.14, "B = 4", ha="center")
        write(axis, left + 1.2, 0.14, "B = 256", ha="center")
        start, stop = left + 0.28, left + 1.2
        axis.add_patch(Circle((start, level), 0.06, facecolor=GIVEN, linewidth=0))
        if gaps is None:
            line(axis, (start + 0.12, stop - 0.3), (level, level), color=QUIET, linestyle=DASHES)
            for way in (-1, 1):
                arrow(axis, (stop, level + 0.2 * way), (stop, level + 0.5 * way), color=QUIET)
            blank(axis, stop, level)
            continue
        line(axis, (start, stop), (level, level), color=QUIET, linewidth=0.9, linestyle=DASHES)
        ends = [gap.estimate for gap in gaps[panel]]
        for end in ends:
            line(axis, (start, stop), (level, level + scale * end), color=ANSWER)
        told[panel] = f"{signed(float(np.mean(ends)))}"
        blank(axis, stop + 0.38, level + scale * float(np.mean(ends)), told[panel], width=0.66)
    if gaps is None:
        return Shown(
            figure,
            alt="Three panels, each from batch size 4 to 256: one learning rate for all and the same epochs, tuned for "
            "each and the same epochs, tuned for each and the same iterations. Whether the test accuracy falls, stays "
            "or rises is left open.",
            caption="Three ways to compare a small batch with a large one, by test accuracy. Do they agree? This "
            "lesson asks each of them.",
        )
    words = [f"{title.replace(chr(10), ' ')}: {told[panel]}" for panel, title in PANELS.items()]
    spans = [_span(gaps[panel]) for panel in PANELS]
    return Shown(
        figure,
        alt=f"Three panels of lines from batch size 4 to 256, test accuracy. On average the change is "
        f"{'; '.join(words)}.",
        caption=f"Test accuracy at batch size 256 minus that at 4, a line for each rule and schedule: {spans[0]} "
        f"with one rate for all, {spans[1]} tuned, {spans[2]} at the same iterations. Say what is held fixed.",
        data=pd.DataFrame(
            [
                {
                    "held fixed": PANELS[panel].replace("\n", " "),
                    "difference": gap.estimate,
                    "low": gap.low,
                    "high": gap.high,
                }
                for panel in PANELS
                for gap in gaps[panel]
            ]
        ),
    )


def more_epochs(runs: pd.DataFrame | None = None) -> Shown:
    """Lesson 11: what do repeats cost?

    Parameters
    ----------
    runs : pandas.DataFrame, optional
        Columns ``samples``, ``seed``, ``test_loss``, and ``rule`` if several rules chose the learning rates.
    """
    visits = 40_000
    figure, axis = board(2.1)
    write(axis, 0.05, 1.95, f"{visits:,} visits: new samples dark, repeats pale")
    write(axis, 5.2, 1.95, "test loss", ha="center")
    tables: list[pd.DataFrame] = []
    if runs is not None:
        parts = [part for _, part in runs.groupby("rule", sort=False)] if "rule" in runs else [runs]
        tables = [part.pivot(index="seed", columns="samples", values="test_loss") for part in parts]
    costs = {}
    for row, epochs in enumerate((1, 4, 16, 64)):
        low, samples, wide = 1.48 - 0.43 * row, visits // epochs, 3.0 / epochs
        write(axis, 0.05, low + 0.13, f"{epochs} × {samples:,}")
        box(axis, 1.15, low, 3.0, 0.26, alpha=0.12, linewidth=0.6)
        box(axis, 1.15, low, wide, 0.26, alpha=0.75, linewidth=0.6)
        uprights(axis, 1.15 + wide * np.arange(1, epochs), low, low + 0.26, linewidth=0.6)
        if epochs > 1:
            costs[epochs] = [paired_difference(table[samples], table[visits]) for table in tables]
            blank(axis, 5.2, low + 0.13, _span(costs[epochs]) if tables else None, width=1.5)
        else:
            fresh = " to ".join(dict.fromkeys(f"{table[visits].mean():.2f}" for table in tables))
            write(axis, 5.2, low + 0.13, fresh or "all fresh", ha="center")
    if not tables:
        return Shown(
            figure,
            alt="Four bars of 40,000 visits: 40,000 samples once, 10,000 four times, 2,500 sixteen times, 625 "
            "sixty-four times. What the repeats cost in test loss is left open.",
            caption="More epochs, or more samples, for the same number of updates? This lesson measures, among "
            "other things, what repeats are worth.",
        )
    told = "; ".join(f"{epochs} epochs over {visits // epochs:,} samples {_span(costs[epochs])}" for epochs in costs)
    chosen = "the learning rate tuned for each" + (f" by {len(tables)} rules" if len(tables) > 1 else "")
    return Shown(
        figure,
        alt=f"Four bars of 40,000 visits. Test loss with 40,000 fresh samples {fresh}; above it: {told}.",
        caption=f"Test loss above that of fresh samples: {_span(costs[4])} with 4 epochs over a quarter of them, "
        f"{_span(costs[16])} with 16, {_span(costs[64])} with 64, at the same number of updates, {chosen}.",
        data=pd.DataFrame(
            [
                {"epochs": epochs, "different samples": visits // epochs, "test loss above fresh": str(cost)}
                for epochs, found in costs.items()
                for cost in found
            ]
        ),
    )


def _span(found: Sequence[Interval]) -> str:
    """The smallest and the largest of some estimates, or the one that they are."""
    ends = [signed(end(interval.estimate for interval in found)) for end in (min, max)]
    return " to ".join(dict.fromkeys(ends))
