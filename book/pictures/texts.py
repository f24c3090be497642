"""Pictures of lessons 14 to 16: batches of texts."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from book.pictures.board import (
    ANSWER,
    DASHES,
    GIVEN,
    QUIET,
    arrow,
    blank,
    board,
    box,
    line,
    percent,
    signed,
    unknown,
    write,
)
from lib.figures import Shown
from lib.statistics import Interval


def batch_of_texts(padding: pd.Series | None = None, packed: float | None = None) -> Shown:
    """Lesson 14: how much of a batch is padding?

    Parameters
    ----------
    padding : pandas.Series, optional
        Its share by batch size, documents in random order.
    packed : float, optional
        Its share in packed rows.
    """
    figure, axis = board(2.1)
    write(axis, 1.75, 1.95, "places in a batch: tokens, then padding")
    told = []
    for row, size in enumerate((1, 8, 128, None)):
        low = 1.46 - 0.44 * row
        name = "packed rows" if size is None else f"{size} document{'s' if size > 1 else ''}"
        write(axis, 0.05, low + 0.14, name)
        share = packed if size is None else None if padding is None else float(padding[size])
        if share is None:
            unknown(axis, 1.75, low, 3.2, 0.28)
            blank(axis, 5.45, low + 0.14, width=0.8)
            continue
        box(axis, 1.75, low, 3.2 * (1 - share), 0.28, alpha=0.5)
        if share > 0:
            box(axis, 1.75 + 3.2 * (1 - share), low, 3.2 * share, 0.28, color=ANSWER, alpha=0.12)
        blank(axis, 5.45, low + 0.14, percent(share), width=0.8)
        told.append(f"{percent(share)} with {name}")
    if padding is None or packed is None:
        return Shown(
            figure,
            alt="Four empty bars, for a batch of 1, of 8 and of 128 documents and for packed rows. Which share of the "
            "places is padding is left open.",
            caption="Texts are not equally long, and a batch is a rectangle. How much of it is empty? This lesson "
            "counts.",
        )
    return Shown(
        figure,
        alt=f"Four bars, the places of a batch, tokens and padding. Padding: {', '.join(told)}; for the packed rows "
        f"documents longer than a row were cut.",
        caption=f"Padding, documents in random order: {percent(padding[1])} of a batch of one, "
        f"{percent(padding[8])} of 8, {percent(padding[128])} of 128. Packed into rows, what is longer than a row "
        f"cut off: {percent(packed)}.",
        data=padding.rename("padding").rename_axis("batch size").reset_index(),
    )


MEANS = {"token": "over tokens", "micro-batch": "over micro-batches", "document": "over documents"}


def mean_of_what(weights: pd.DataFrame | None = None, costs: Mapping[str, Interval] | None = None) -> Shown:
    """Lesson 15: what does one token weigh?

    Parameters
    ----------
    weights : pandas.DataFrame, optional
        The weight of a token of each of four documents (rows), by each mean (columns, in the order of ``MEANS``).
    costs : mapping, optional
        Test loss of a run that took a mean, minus that of the mean over tokens; for the other two of ``MEANS``.
    """
    documents = (2, 8, 30, 60)
    figure, axis = board(2.2)
    write(axis, 0.05, 1.99, "two micro-batches")
    left, unit = 1.95, 3.6 / 100
    for number, length in enumerate(documents):
        left += 0.2 if number == 2 else 0
        box(axis, left, 1.84, unit * length, 0.28, alpha=0.5 if number % 2 else 0.25)
        if length > 8:
            write(axis, left + unit * length / 2, 1.97, f"{length} tokens", ha="center")
        left += unit * length
    write(axis, 1.93, 1.69, "2 + 8", ha="left")
    write(axis, 3.3, 1.4, "a token of the\nshortest weighs", ha="center")
    write(axis, 5.2, 1.4, "test loss", ha="center")
    for row, (key, name) in enumerate(MEANS.items()):
        y = 1.0 - 0.36 * row
        write(axis, 0.05, y, f"mean {name}")
        ratio = None if weights is None else float(weights.iloc[0, row] / weights.iloc[-1, row])
        blank(axis, 3.3, y, None if ratio is None else f"× {ratio:.0f}", width=0.7)
        if key == "token":
            write(axis, 5.2, y, "reference", ha="center")
        else:
            cost = None if costs is None else signed(costs[key].estimate)
            blank(axis, 5.2, y, cost, width=0.8)
    if weights is None or costs is None:
        return Shown(
            figure,
            alt="Two micro-batches, of documents with 2 and 8 tokens and with 30 and 60, and three means: over tokens, "
            "over micro-batches, over documents. What a token of the shortest weighs against one of the longest, and "
            "what each mean does to the test loss of a run, is left open.",
            caption="The loss of a batch is a mean. Over what, and does it matter? This lesson weighs single tokens, "
            "then trains.",
        )
    ratios = [float(weights.iloc[0, row] / weights.iloc[-1, row]) for row in range(3)]
    told = [f"{name} {ratio:.0f} times" for name, ratio in zip(MEANS.values(), ratios)]
    return Shown(
        figure,
        alt=f"Two micro-batches, and what a token of the shortest document weighs against one of the longest by three "
        f"means: {', '.join(told)}. Test loss of runs with them, above that of the mean over tokens: "
        f"{costs['micro-batch']} and {costs['document']}.",
        caption=f"By the mean of means a token of the shortest document weighs {ratios[1]:.0f} times as much as one of "
        f"the longest, by the mean over documents {ratios[2]:.0f} times. Runs of these ended "
        f"{costs['micro-batch'].estimate:.2f} and {costs['document'].estimate:.2f} above that of the mean over "
        f"tokens, each with its own tuned learning rate.",
        data=pd.DataFrame(
            {
                "mean": MEANS.values(),
                "weight, shortest over longest": ratios,
                "test loss above": ["", *(str(costs[key]) for key in list(MEANS)[1:])],
            }
        ),
    )


TARGETS = {"bigram": "to a high loss", "lower": "to a lower loss"}


def tokens_in_a_batch(fits: pd.DataFrame | None = None) -> Shown:
    """Lesson 16: where does a larger batch stop paying?

    Parameters
    ----------
    fits : pandas.DataFrame, optional
        A row a fit: ``target`` (one of ``TARGETS``), ``sizes`` (from which batch sizes; ``all`` is one of them),
        ``tokens`` (the critical batch size), ``low`` and ``high``.
    """
    figure, axis = board(1.95)
    write(axis, 0.05, 1.8, "where larger batches stop paying, in tokens")
    first, last = 32, 16_384

    def place(tokens: float) -> float:
        return 1.5 + 4.2 * math.log(tokens / first) / math.log(last / first)

    for tick in (100, 1_000, 10_000):
        line(axis, (place(tick), place(tick)), (0.34, 0.42))
        write(axis, place(tick), 0.17, f"{tick:,}", ha="center")
    line(axis, (1.5, 5.75), (0.38, 0.38))
    if fits is None:
        for y, name in zip((1.3, 0.75), TARGETS.values()):
            write(axis, 0.05, y, name)
            for ends in ((1.5, 3.3), (3.9, 5.7)):
                line(axis, ends, (y, y), color=QUIET, linestyle=DASHES)
            blank(axis, 3.6, y)
        return Shown(
            figure,
            alt="Two empty lines above an axis of tokens in a batch, one for a high loss and one for a lower loss. "
            "Where on them larger batches stop paying is left open.",
            caption="How many tokens should a batch have? And is it the same number for as long as a run lasts? This "
            "lesson measures two moments.",
        )
    found = fits[fits["sizes"] == "all"].set_index("target")
    for y, (target, name) in zip((1.3, 0.75), TARGETS.items()):
        write(axis, 0.05, y, name)
        for _, fit in fits[fits["target"] == target].iterrows():
            line(axis, (place(fit["low"]), place(fit["high"])), (y, y), color=GIVEN, linewidth=6, alpha=0.35)
            axis.plot(place(fit["tokens"]), y, marker="o", color=GIVEN, markersize=5, linestyle="")
        estimate = found.loc[target, "tokens"]
        blank(axis, place(estimate) - 0.95, y, f"{estimate:,.0f}", width=0.75)
    arrow(axis, (place(found.loc["bigram", "tokens"]), 1.2), (place(found.loc["lower", "tokens"]), 0.86), color=ANSWER)
    grown = fits.pivot(index="sizes", columns="target", values="tokens")
    ratio = grown["lower"] / grown["bigram"]
    return Shown(
        figure,
        alt=f"Two lines above an axis of tokens in a batch. The critical batch size is "
        f"{found.loc['bigram', 'tokens']:,.0f} tokens for the high loss and {found.loc['lower', 'tokens']:,.0f} "
        f"for the lower loss, each with the fits from other batch sizes around it.",
        caption=f"The critical batch size grew from {found.loc['bigram', 'tokens']:,.0f} to "
        f"{found.loc['lower', 'tokens']:,.0f} tokens as the loss fell: {np.min(ratio):.1f} to {np.max(ratio):.1f} "
        f"times, depending on the batch sizes it was fitted to (dots; bands: 95 % intervals).",
        data=fits[["target", "sizes", "tokens", "low", "high"]],
    )
