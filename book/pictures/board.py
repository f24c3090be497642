"""What all pictures are drawn with: a board whose units are inches, boxes, bars, arrows, and blanks to be filled in."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from lib import figures

WIDTH = 6.0
GIVEN, ANSWER, QUIET = figures.COLORS[0], figures.COLORS[1], figures.COLORS[4]
LINE = 1.2  # points
PALE = 0.25  # opacity of a filling
DASHES = (0, (3, 2))


def board(height: float) -> tuple[Figure, Axes]:
    """A figure and one axis that fills it, in inches from the lower left corner."""
    figure = Figure(figsize=(WIDTH, height))
    figure.set_layout_engine("none")
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, WIDTH), ylim=(0, height))
    axis.axis("off")
    return figure, axis


def write(axis: Axes, x: float, y: float, text: str, **look) -> None:
    """Text on a board; ``y`` is the middle of its line."""
    axis.text(
        x,
        y,
        text,
        **{
            "va": "center_baseline" if "\n" not in text else "center",
            "fontsize": figures.LEAST_SIZE,
            "linespacing": 1.15,
        }
        | look,
    )


def box(
    axis: Axes, x: float, y: float, width: float, height: float, color: str = GIVEN, alpha: float = PALE, **look
) -> None:
    """A box by its lower left corner; ``alpha`` is the opacity of its filling, ``look`` that of its outline."""
    axis.add_patch(Rectangle((x, y), width, height, facecolor=color, alpha=alpha, linewidth=0))
    outline: dict[str, Any] = {"fill": False, "edgecolor": color, "linewidth": LINE} | look
    axis.add_patch(Rectangle((x, y), width, height, **outline))


def percent(share: float) -> str:
    """A share as in *25 %*."""
    return f"{100 * share:.0f} %"


def signed(number: float) -> str:
    """A difference with its sign, two decimals."""
    return f"{number:+.2f}".replace("-", "−")


def unknown(axis: Axes, x: float, y: float, width: float, height: float) -> None:
    """A dashed outline: what will stand here is not known yet."""
    box(axis, x, y, width, height, color=QUIET, alpha=0, linestyle=DASHES)


def blank(axis: Axes, x: float, y: float, answer: str | None = None, width: float = 0.5, height: float = 0.28) -> None:
    """A blank around its middle: dashed with a question mark, or filled in."""
    corner, rounded = (x - width / 2, y - height / 2), "round,pad=0,rounding_size=0.06"
    axis.add_patch(FancyBboxPatch(corner, width, height, rounded, facecolor=ANSWER, alpha=0.07, linewidth=0))
    edge: Any = DASHES if answer is None else "-"
    outline = FancyBboxPatch(
        corner, width, height, rounded, fill=False, edgecolor=ANSWER, linewidth=LINE, linestyle=edge
    )
    axis.add_patch(outline)
    write(axis, x, y + 0.02, "?" if answer is None else answer, ha="center", color=ANSWER, fontweight="bold")


def arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float], color: str = figures.INK, **look) -> None:
    """An arrow from one point to another."""
    style = {"arrowstyle": "->", "color": color, "linewidth": LINE, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", end, start, arrowprops=style | look)


def line(axis: Axes, x: tuple[float, float], y: tuple[float, float], color: str = figures.INK, **look) -> None:
    """A straight line between two points, given as in ``axis.plot``."""
    looks: dict[str, Any] = {"color": color, "linewidth": LINE, "linestyle": "-", "marker": ""} | look
    axis.plot(x, y, **looks)


def uprights(axis: Axes, places: Iterable[float], low: float, high: float, **look) -> None:
    """Upright lines at many places, as one path: pages stay light."""
    x = np.array([(place, place, np.nan) for place in places]).ravel()
    y = np.tile([low, high, np.nan], len(x) // 3)
    looks: dict[str, Any] = {"color": GIVEN, "linewidth": LINE, "linestyle": "-", "marker": ""} | look
    axis.plot(x, y, **looks)
