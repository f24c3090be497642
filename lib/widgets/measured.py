"""Two views of measured runs: progress on four clocks, and iterations to a target against batch size."""

import html

import pandas as pd
import traitlets

from lib.statistics import CriticalBatchSize, intervals, steps_to_target
from lib.widgets.base import Widget, bundle, style

CLOCKS = {"iteration": "iterations", "samples": "samples", "compute": "compute", "seconds": "seconds"}
PREFIXES = ("", "k", "M", "G", "T", "P", "E")


class FourClocks(Widget):
    """Measured runs against iterations, samples, compute or seconds: who is first depends on the clock.

    Parameters
    ----------
    runs : pandas.DataFrame
        Histories of ``lib.training.train`` with the columns ``batch_size`` and ``seed``
        beside: every seed of a batch size evaluated at the same iterations. A column
        ``compute`` (in floating-point operations) and one ``seconds`` are two more clocks.
    values : list of str
        The columns to be shown, such as a loss and an accuracy.
    targets : dict, optional
        For a column of losses the value that runs race to: what each clock shows when a run
        first reaches it, over the seeds. Columns without a target are compared where the
        shortest runs end.
    least : int
        Seeds below which there is no interval.

    Raises
    ------
    ValueError
        A column is missing, a batch size has too few seeds, a run diverged, or a target is
        of no column that is shown.
    """

    _esm = bundle("four_clocks")
    _css = style("chart")
    series: traitlets.List = traitlets.List().tag(sync=True)
    clocks: traitlets.List = traitlets.List().tag(sync=True)  # [name, label, unit]; in a page, a dict loses its order
    values: traitlets.List = traitlets.List().tag(sync=True)  # [name, label]
    targets = traitlets.Dict().tag(sync=True)
    clock = traitlets.Unicode().tag(sync=True)
    value = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        runs: pd.DataFrame,
        values: tuple[str, ...] = ("train_loss", "test_accuracy"),
        least: int = 5,
        targets: dict[str, float] | None = None,
    ):
        targets = targets or {}
        if not set(targets) <= set(values):
            raise ValueError(f"targets is {targets}, but the columns shown are {', '.join(values)}.")
        clocks = [[name, label, label] for name, label in CLOCKS.items() if name in runs]
        if "compute" in runs:
            runs, unit = _with_prefix(runs)
            clocks = [[name, f"compute in {unit}", unit] if name == "compute" else [name, *r] for name, *r in clocks]
        names = [name for name, *_ in clocks]
        self.num_seeds = runs["seed"].nunique()
        series = []
        for batch_size, group in runs.groupby("batch_size"):
            means = group.groupby("iteration")[names[1:]].mean().reset_index()
            one = {"batch_size": int(batch_size), **{name: means[name].astype(float).tolist() for name in names}}
            for value in values:
                found = intervals(group, value, "iteration", least)
                if found["missing"].any():
                    raise ValueError(
                        f"{value} of a run with batch size {batch_size} is not a number: it diverged; "
                        f"leave that batch size out, and say so."
                    )
                one[value] = found[["mean", "low", "high"]].to_dict("list")
            one["finish"] = {
                value: _finish(group, value, target, names, least) for value, target in sorted(targets.items())
            }
            series.append(one)
        super().__init__(
            series=series,
            clocks=clocks,
            clock=names[0],
            value=values[0],
            values=[[name, name.replace("_", " ")] for name in values],
            targets={value: float(target) for value, target in targets.items()},
        )

    def sentence(self) -> str:
        sizes = ", ".join(f"{one['batch_size']:,}" for one in self.series)
        return (
            f"Four clocks: runs with batch sizes {sizes}, {self.num_seeds} seeds each; "
            f"{' and '.join(label for _, label in self.values)} against "
            f"{', '.join(label for _, label, _ in self.clocks)}.{self._first()}"
        )

    def _first(self) -> str:
        """Who reaches each target first, clock by clock."""
        said = ""
        for value, label in self.values:
            finished = [one for one in self.series if all(one["finish"].get(value, {}).values())]
            if value in self.targets and finished:
                firsts = [
                    f"batch size {min(finished, key=lambda one: one['finish'][value][name]['mean'])['batch_size']:,} "
                    f"in {CLOCKS[name]}"
                    for name, *_ in self.clocks
                ]
                said += f" First to {label} {self.targets[value]}, in the mean of the seeds: {', '.join(firsts)}."
        return said

    def details(self) -> str:
        races = [value for value, _ in self.values if value in self.targets]
        labels = dict(self.values)
        head = ["batch size"]
        head += [f"{clock} to {labels[value]} {self.targets[value]}" for value in races for _, clock, _ in self.clocks]
        head += [] if races else [f"{label} at the end" for _, label, _ in self.clocks]
        head += [f"{label} at the end, mean and 95 % interval" for label in labels.values()]
        rows = []
        for one in self.series:
            row = [f"{one['batch_size']:,}"]
            row += [_amount(one["finish"][value][name]) for value in races for name, *_ in self.clocks]
            row += [] if races else [_number(one[name][-1]) for name, *_ in self.clocks]
            found = [{part: numbers[-1] for part, numbers in one[name].items()} for name in labels]
            rows.append([*row, *("{mean:.3f} ({low:.3f} to {high:.3f})".format(**each) for each in found)])
        return _table(head, rows)


def _with_prefix(runs: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Runs whose compute has one to three digits before the point, and its unit, such as GFLOP."""
    power = min(max(len(f"{runs['compute'].max():.0f}") - 1, 0) // 3, len(PREFIXES) - 1)
    return runs.assign(compute=runs["compute"] / 1_000.0**power), f"{PREFIXES[power]}FLOP"


def _finish(group: pd.DataFrame, value: str, target: float, clocks: list[str], least: int) -> dict[str, dict]:
    """What each clock shows at a target, over the seeds of one batch size; nothing if a run does not reach it."""
    reached = steps_to_target(group, target, loss=value, run=["batch_size", "seed"])
    if not reached["reached"].all():
        return {clock: {} for clock in clocks}
    at_target = reached[["batch_size", "seed", "iteration"]].merge(group, on=["batch_size", "seed", "iteration"])
    found = {clock: intervals(at_target, clock, "batch_size", least).iloc[0] for clock in clocks}
    return {clock: {part: float(one[part]) for part in ("mean", "low", "high")} for clock, one in found.items()}


def _number(amount: float) -> str:
    """What a clock shows: whole from 1,000 on, with three digits below."""
    return f"{amount:,.0f}" if amount >= 1_000 else f"{amount:,.3g}"


def _amount(found: dict) -> str:
    """A mean and its interval as text."""
    return (
        "{mean} ({low} to {high})".format(**{part: _number(amount) for part, amount in found.items()})
        if found
        else "not reached in every run"
    )


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
