"""Figures that read in light, dark and grey, with alt text and data made from the run.

A figure is drawn by matplotlib and shown as one inline SVG whose colours are CSS
variables: the page's style sheet gives them a light and a dark value.
"""

import hashlib
import html
import io
import re

import matplotlib as mpl
import pandas as pd
from cycler import cycler
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text
from matplotlib.ticker import LogFormatterSciNotation

LEAST_SIZE = 11.0  # points; on a telephone, where a figure of 6 inches is 358 pixels wide, these are 9 pixels
INK, GRID = "#1f2328", "#d0d7de"
COLORS = ("#0f5fa8", "#b84e00", "#00735c", "#8b3d88", "#5c5f66", "#7a6400")
STYLE: dict = {
    "svg.fonttype": "none",
    "svg.hashsalt": "course",
    "font.family": "sans-serif",
    "font.size": LEAST_SIZE,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.titlesize": LEAST_SIZE,
    "axes.titlelocation": "left",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
    "legend.columnspacing": 1.0,
    "legend.handlelength": 1.7,
    "legend.handletextpad": 0.4,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "figure.constrained_layout.use": True,
    # Line style and marker change with the colour, so that a grey print still tells lines apart.
    "axes.prop_cycle": cycler(color=COLORS, linestyle=["-", "--", "-.", ":", "-", "--"], marker=list("os^Dvx")),
}
VARIABLES = {INK: "ink", GRID: "grid", **{color: str(i + 1) for i, color in enumerate(COLORS)}}


mpl.rcParams.update(STYLE)


def new(rows: int = 1, columns: int = 1, height: float = 2.9, width: float = 6.0, **subplots) -> tuple:
    """A figure and its axes in the course's style; sizes in inches, ``subplots`` as in ``Figure.subplots``."""
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(rows, columns, **subplots)


RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class PlainNumbers(LogFormatterSciNotation):
    """Numbers of a logarithmic axis as 1,000 and 0.01, and only the long ones as 10⁸: small exponents are hard to read."""

    def __call__(self, x, pos=None):
        if not super().__call__(x, pos):
            return ""
        if 1e-4 <= x < 1e6:
            return f"{x:,.10g}"
        digits, power = f"{x:.0e}".split("e")
        return ("" if digits == "1" else f"{digits}·") + f"10{str(int(power)).translate(RAISED)}"


class Shown:
    """A finished figure with its caption, alt text and data, for a notebook and for the book.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Made by :func:`new`.
    alt : str
        What the figure shows, in words and numbers taken from the data.
    caption : str
        What to look at.
    data : pandas.DataFrame, optional
        What is drawn, as a table one click below the figure.
    """

    def __init__(self, figure: Figure, alt: str, caption: str, data: pd.DataFrame | None = None):
        if len(alt.split()) < 5:
            raise ValueError(f"alt is {alt!r}, but it must say in a sentence what the figure shows.")
        self.figure, self.alt, self.caption, self.data = figure, " ".join(alt.split()), caption, data
        _make_readable(figure)

    def __repr__(self) -> str:
        return f"Figure: {self.alt}"

    def _repr_html_(self) -> str:
        narrow = ' style="max-width: 26rem"' if self.figure.get_figwidth() < 5 else ""
        return (
            f'<figure class="course-figure"{narrow}>{self.svg()}<figcaption>{html.escape(self.caption)}</figcaption>'
            f"{_details(self.data)}</figure>"
        )

    def svg(self) -> str:
        """The figure as one line of SVG that can stand in a page beside others."""
        file = io.StringIO()
        self.figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
        svg = file.getvalue()
        svg = svg[svg.index("<svg") :]
        svg = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>", "", svg, flags=re.DOTALL)
        svg = re.sub(r" font-family: [^;\"]*;", "", svg)  # the page's own font
        for color, name in VARIABLES.items():
            svg = svg.replace(color, f"var(--figure-{name}, {color})")
        mark = "f" + hashlib.sha256(svg.encode()).hexdigest()[:8] + "-"  # ids must be unique in a page
        svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{mark}", svg)
        svg = re.sub(
            r'<svg [^>]*?(viewBox="[^"]*")[^>]*>',
            rf'<svg \1 role="img" aria-label="{html.escape(self.alt)}" xmlns="http://www.w3.org/2000/svg" '
            r'xmlns:xlink="http://www.w3.org/1999/xlink" style="stroke-linejoin: round">',
            svg,
            count=1,
        )
        return re.sub(r"\s*\n\s*", " ", svg).strip()


def flow_chart(boxes: list[tuple[str, str]], alt: str, caption: str, back: str = "") -> Shown:
    """Boxes from top to bottom with arrows between them, two lines of text in each; readable on a telephone.

    Parameters
    ----------
    back : str, optional
        When one goes back from the last box to the first: the words along that arrow.
    """
    figure, axis = new(width=3.9, height=0.78 * len(boxes))
    axis.set(xlim=(0, 10.6), ylim=(len(boxes) - 0.55, -0.45))
    axis.axis("off")
    for place, (first, second) in enumerate(boxes):
        color = COLORS[place % 2]
        frame = {"boxstyle": "round,pad=0.02,rounding_size=0.12", "facecolor": "none", "edgecolor": color}
        axis.add_patch(FancyBboxPatch((0.2, place - 0.3), 9.2, 0.6, linewidth=1.4, mutation_aspect=0.3, **frame))
        axis.text(0.5, place - 0.11, first, va="center", fontsize=10)
        axis.text(0.5, place + 0.13, second, va="center", fontsize=10)
        if place:
            axis.annotate("", (4.8, place - 0.32), (4.8, place - 0.68), arrowprops={"arrowstyle": "->", "color": INK})
    if back:
        last = len(boxes) - 1
        axis.plot([9.4, 10.0, 10.0], [last, last, 0], color=INK, linewidth=1, linestyle="-", marker="")
        axis.annotate("", (9.4, 0), (10.0, 0), arrowprops={"arrowstyle": "->", "color": INK, "shrinkA": 0})
        axis.text(10.3, last / 2, back, rotation=90, va="center", ha="center", fontsize=9)
    return Shown(figure, alt, caption)


def _make_readable(figure: Figure) -> None:
    """No text smaller than ``LEAST_SIZE``, and no power of ten where a number would do."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if type(axis.get_major_formatter()) is LogFormatterSciNotation:
                axis.set_major_formatter(PlainNumbers())
            if type(axis.get_minor_formatter()) is LogFormatterSciNotation:
                axis.set_minor_formatter(PlainNumbers(minor_thresholds=(1, 0.4)))
            small = axis.get_tick_params().get("labelsize", LEAST_SIZE)
            axis.set_tick_params(which="both", labelsize=max(small, LEAST_SIZE))
    for text in figure.findobj(Text):
        text.set_fontsize(max(text.get_fontsize(), LEAST_SIZE))


def _details(data: pd.DataFrame | None) -> str:
    if data is None:
        return ""
    return (
        "<details><summary>Data of this figure</summary>"
        + data.to_html(index=False, border=0, float_format="{:.4g}".format).replace("\n", "")
        + "</details>"
    )
