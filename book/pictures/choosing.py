"""The picture of lesson 18: two laws and their product."""

from typing import Any

import numpy as np
import pandas as pd

from book.pictures.board import ANSWER, GIVEN, blank
from lib import figures
from lib.figures import Shown

TITLES = ("seconds of\nan iteration", "× iterations\nto the loss", "= seconds\nto the loss")


def choosing(law: Any = None, measured: pd.DataFrame | None = None) -> Shown:
    """Lesson 18: which batch size needs the fewest seconds?

    Parameters
    ----------
    law : lib.experiments.fastest.Prediction, optional
        Both laws, fitted to three batch sizes.
    measured : pandas.DataFrame, optional
        Columns ``batch_size`` and ``seconds``, to the loss.
    """
    figure, axes = figures.new(1, 3, height=2.1)
    sizes = np.geomspace(8, 2048, 60)
    for axis, title in zip(axes, TITLES):
        axis.set_title(title)
        axis.set(xscale="log", yscale="log", xticks=[], yticks=[], xlabel="batch size")
        axis.minorticks_off()
        axis.grid(False)
    if law is None or measured is None:
        axes[0].plot(sizes, 1 + sizes / 128, color=GIVEN, marker="")
        axes[1].plot(sizes, 1 + 128 / sizes, color=GIVEN, marker="")
        axes[2].set(xscale="linear", yscale="linear", xlim=(0, 2), ylim=(0, 1.4), xticks=[], yticks=[])
        blank(axes[2], 1, 0.7, width=0.5, height=0.28)
        return Shown(
            figure,
            alt="Three small charts against batch size. The seconds of an iteration rise, the iterations to a loss "
            "fall. Their product, the seconds to the loss, is left open.",
            caption="Lesson 6 found the first curve, lesson 8 the second. Where is their product smallest? This lesson "
            "predicts it, then measures.",
        )
    axes[0].plot(sizes, law.time(sizes), color=GIVEN, marker="")
    axes[1].plot(sizes, law.steps(sizes), color=GIVEN, marker="")
    axes[2].plot(sizes, law.seconds(sizes), color=GIVEN, marker="")
    axes[2].plot(measured["batch_size"], measured["seconds"], color=GIVEN, marker="o", linestyle="", markersize=4)
    best = law.batch_size.estimate
    axes[2].axvline(best, color=ANSWER, linewidth=1.6, linestyle=(0, (4, 2)))
    axes[2].text(1.15 * best, 0.97, f"B = {best:.0f}", color=ANSWER, fontweight="bold", va="top",
                 transform=axes[2].get_xaxis_transform())  # fmt: skip
    fewest = int(measured["batch_size"][measured["seconds"].idxmin()])
    near = measured["seconds"][np.abs(np.log(measured["batch_size"] / best)).idxmin()] / measured["seconds"].min()
    return Shown(
        figure,
        alt=f"Three small charts against batch size. The seconds of an iteration rise, the iterations to a loss fall, "
        f"and their product has a flat valley: predicted at batch size {best:.0f}, measured at {fewest}.",
        caption=f"The course’s network: the two laws, from three batch sizes, predict the fewest seconds at batch size "
        f"{best:.0f}; measured (dots) it was {fewest}. At the size nearest to the prediction a run "
        f"takes {near:.2f} times the fewest, each size at its own learning rate.",
        data=measured[["batch_size", "seconds"]],
    )
