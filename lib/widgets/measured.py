"""Two views of measured runs: progress on four clocks, and iterations to a target against batch size."""

import html

import pandas as pd
import traitlets

from lib.statistics import CriticalBatchSize, intervals
from lib.widgets.base import Widget, bundle, style

CLOCKS = {"iteration": "iterations", "samples": "samples", "compute": "compute", "seconds": "seconds"}


class FourClocks(Widget):
    """Measured runs against iterations, samples, compute or seconds: who is ahead depends on the clock.

    Parameters
    ----------
    runs : pandas.DataFrame
        Histories of ``lib.training.train`` with the columns ``batch_size`` and ``seed``
        beside: every seed of a batch size evaluated at the same iterations. A column
        ``compute`` (in a unit of your choice) is one more clock.
    values : list of str
        The columns to be shown, such as a loss and an accuracy.
    least : int
        Seeds below which there is no interval.

    Raises
    ------
    ValueError
        A column is missing, a batch size has too few seeds, or a run diverged.
    """

    _esm = bundle("four_clocks")
    _css = style("chart")
    series: traitlets.List = traitlets.List().tag(sync=True)
    clocks = traitlets.Dict().tag(sync=True)
    values = traitlets.Dict().tag(sync=True)
    clock = traitlets.Unicode().tag(sync=True)
    value = traitlets.Unicode().tag(sync=True)

    def __init__(self, runs: pd.DataFrame, values: tuple[str, ...] = ("train_loss", "test_accuracy"), least: int = 5):
        clocks = {name: label for name, label in CLOCKS.items() if name in runs}
        self.num_seeds = runs["seed"].nunique()
        series = []
        for batch_size, group in runs.groupby("batch_size"):
            means = group.groupby("iteration")[[name for name in clocks if name != "iteration"]].mean().reset_index()
            one = {"batch_size": int(batch_size), **{name: means[name].astype(float).tolist() for name in clocks}}
            for value in values:
                found = intervals(group, value, "iteration", least)
                if found["missing"].any():
                    raise ValueError(
                        f"{value} of a run with batch size {batch_size} is not a number: it diverged; "
                        f"leave that batch size out, and say so."
                    )
                one[value] = found[["mean", "low", "high"]].to_dict("list")
            series.append(one)
        super().__init__(
            series=series,
            clocks=clocks,
            clock=next(iter(clocks)),
            value=values[0],
            values={name: name.replace("_", " ") for name in values},
        )

    def sentence(self) -> str:
        sizes = ", ".join(f"{one['batch_size']:,}" for one in self.series)
        return (
            f"Four clocks: runs with batch sizes {sizes}, {self.num_seeds} seeds each; "
            f"{' and '.join(self.values.values())} against {', '.join(self.clocks.values())}."
        )

    def details(self) -> str:
        head = [
            "batch size",
            *(f"{label} at the end" for label in self.clocks.values()),
            *(f"{label}, mean and 95 % interval" for label in self.values.values()),
        ]
        rows = []
        for one in self.series:
            ends = [f"{one[name][-1]:,.4g}" if name == "seconds" else f"{one[name][-1]:,.0f}" for name in self.clocks]
            found = [{part: numbers[-1] for part, numbers in one[name].items()} for name in self.values]
            rows.append(
                [
                    f"{one['batch_size']:,}",
                    *ends,
                    *("{mean:.3f} ({low:.3f} to {high:.3f})".format(**each) for each in found),
                ]
            )
        return _table(head, rows)


class StepsToTarget(Widget):
    """Iterations to a target loss against batch size, beside perfect scaling; the reader guesses the bend first.

    Parameters
    ----------
    steps : pandas.DataFrame
        Columns ``batch_size``, ``seed``, ``iteration``, as ``lib.statistics.steps_to_target``
        makes them; every run reached the target.
    law : lib.statistics.CriticalBatchSize
        What ``critical_batch_size(steps)`` found.
    target : str
        What was reached, such as "training loss 0.5".
    least : int
        Seeds below which there is no interval.

    Raises
    ------
    ValueError
        A column is missing, a batch size has too few seeds, or a run did not reach the target.
    """

    _esm = bundle("steps_to_target")
    _css = style("chart")
    points: traitlets.List = traitlets.List().tag(sync=True)
    law = traitlets.Dict().tag(sync=True)
    target = traitlets.Unicode().tag(sync=True)

    def __init__(self, steps: pd.DataFrame, law: CriticalBatchSize, target: str, least: int = 5):
        found = intervals(steps, "iteration", "batch_size", least)
        if found["missing"].any():
            bad = found.loc[found["missing"] > 0, "batch_size"].tolist()
            raise ValueError(f"At batch sizes {bad} a run did not reach the target; lengthen it or leave them out.")
        super().__init__(
            points=[
                {name: float(value) for name, value in row.items()}
                for row in found[["batch_size", "mean", "low", "high"]].to_dict("records")
            ],
            law={
                "s_min": law.s_min.estimate,
                "b_crit": law.b_crit.estimate,
                "low": law.b_crit.low,
                "high": law.b_crit.high,
                "bracketed": law.bracketed,
            },
            target=target,
        )

    def sentence(self) -> str:
        first, last = self.points[0], self.points[-1]
        return (
            f"Steps to target: {self.target} takes {first['mean']:,.0f} iterations at batch size "
            f"{first['batch_size']:,.0f} and {last['mean']:,.0f} at {last['batch_size']:,.0f}; the critical batch "
            f"size is {self.law['b_crit']:.3g} (95 % interval {self.law['low']:.3g} to {self.law['high']:.3g})."
        )

    def details(self) -> str:
        first = self.points[0]
        rows = [
            [
                f"{one['batch_size']:,.0f}",
                f"{one['mean']:,.0f} ({one['low']:,.0f} to {one['high']:,.0f})",
                f"{first['mean'] * first['batch_size'] / one['batch_size']:,.0f}",
            ]
            for one in self.points
        ]
        return _table(["batch size", "iterations, mean and 95 % interval", "by perfect scaling"], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    top = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
