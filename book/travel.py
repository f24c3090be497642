"""The page of the matrix: claim by workload, a verdict and an effect each, and the runs behind them."""

import html
import warnings
from contextlib import suppress
from functools import cache

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown

from book.claims import lesson_link
from book.reasons import SHORT, listed, still_open, why, written
from lib import figures
from lib.experiments import travel
from lib.experiments.verdicts import CLAIMS, NAMES, Cell, Claim, Runs, law
from lib.experiments.verdicts import matrix as judged
from lib.figures import Shown
from lib.long_records import LongRecord
from lib.statistics import Interval


@cache
def records(device: str = "cpu") -> dict[str, LongRecord]:
    """The records that there are, by workload; what is out of date is said below each (:func:`provenance`)."""
    found = {}
    for workload in travel.WORKLOADS:
        with warnings.catch_warnings(), suppress(FileNotFoundError):
            warnings.simplefilter("ignore", UserWarning)
            found[workload] = travel.record(workload, device)
    return found


@cache
def runs(device: str = "cpu") -> dict[str, Runs]:
    """The tables of each record by what they are for."""
    return {workload: Runs(record.tables, record.runs) for workload, record in records(device).items()}


@cache
def cells(device: str = "cpu") -> list[Cell]:
    """The cells of the matrix."""
    return judged(runs(device))


def matrix(page: str = "") -> HTML:
    """Claims as rows, workloads as columns; a cell links to its effects, on another page if ``page`` is its address."""
    of = {(cell.claim.name, cell.workload): cell for cell in cells()}
    head = "".join(f'<th scope="col">{html.escape(each.title)}</th>' for each in travel.WORKLOADS.values())
    rows = []
    for claim in CLAIMS:
        row = [
            _matrix_cell(of.get((claim.name, workload)), workload in records(), page) for workload in travel.WORKLOADS
        ]
        number = int(claim.lesson.split("-")[0])
        rows.append(f'<tr><th scope="row">{html.escape(claim.says)} ({number})</th>{"".join(row)}</tr>')
    caption = (
        "Each claim, its lesson in brackets, on each workload: the verdict, the effect under the first condition with "
        "its 95 % interval, and under how many conditions the claim holds and fails. A click leads to all of them."
    )
    return HTML(
        f'<div class="travel"><table class="matrix"><caption>{caption}</caption><thead><tr><th scope="col">claim</th>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _matrix_cell(cell: Cell | None, measured: bool, page: str) -> str:
    if cell is None:
        return f"<td>{'makes no sense here' if measured else 'not measured'}</td>"
    found = [verdict for _, verdict in cell.conditions]
    count = f"<br>{found.count('holds')} hold, {found.count('does not hold')} fail of {len(found)}"
    return (
        f'<td class="{cell.verdict.replace(" ", "-")}"><a href="{page}#{anchor(cell)}">{cell.verdict}</a>'
        f"<br><small>{written(cell.conditions[0][0].effect)}{count if len(found) > 1 else ''}</small></td>"
    )


def anchor(cell: Cell) -> str:
    """Where the effects of a cell stand on the page."""
    return f"travel-{cell.workload}-{cell.claim.name}"


def found(claim: str, workload: str) -> dict[str, tuple[Interval, str]]:
    """The effect of a claim on a workload and its verdict, by the name of the condition."""
    cell = next(each for each in cells() if (each.claim.name, each.workload) == (claim, workload))
    return {condition.name: (condition.effect, verdict) for condition, verdict in cell.conditions}


def verdicts(claim: str) -> dict[str, str]:
    """The verdict of a claim on each workload where it makes sense."""
    return {each.workload: each.verdict for each in cells() if each.claim.name == claim}


def effects(workload: str) -> HTML:
    """Every condition of every claim on a workload, with the verdict there."""
    rows = []
    for cell in (cell for cell in cells() if cell.workload == workload):
        for number, (condition, verdict) in enumerate(cell.conditions):
            first = ""
            if number == 0:
                span = f' rowspan="{len(cell.conditions)}"'
                first = (
                    f'<th scope="rowgroup"{span} id="{anchor(cell)}">{html.escape(cell.claim.says)}: {cell.verdict}'
                    f"<br><small>{html.escape(cell.claim.effect).replace('-', '−')}</small></th>"
                )
            rows.append(
                f"<tr>{first}<td>{html.escape(condition.name)}</td><td>{written(condition.effect)}</td>"
                f"<td>{verdict}</td></tr>"
            )
    return HTML(
        f'<div class="travel"><table><caption>{html.escape(travel.WORKLOADS[workload].title)}: the effect of each '
        "claim under each condition, its 95 % interval, and the verdict there.</caption><thead><tr>"
        + "".join(f'<th scope="col">{each}</th>' for each in ("claim and effect", "condition", "found", "verdict"))
        + f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def on_gpu() -> Markdown:
    """Which verdicts a GPU gave otherwise, where one has run all this."""
    on_cpu = {(cell.workload, cell.claim.name): cell.verdict for cell in cells()}
    there = {(cell.workload, cell.claim.name): cell.verdict for cell in cells("cuda")}
    if not there:
        return Markdown("No GPU has run this yet. `make gpu` does, and keeps records of its own.")
    other = [f"{claim} on {name}" for name, claim in there if there[name, claim] != on_cpu.get((name, claim))]
    gpu = next(iter(records("cuda").values())).provenance["machine"]["gpu"]
    same = f"On {gpu}, {len(there) - len(other)} of {len(there)} verdicts are the same."
    return Markdown(f"{same} Others: {', '.join(other) or 'none'}.")


def provenance(workload: str, again: bool = True) -> Markdown:
    """Where and when the runs were made, how many failed, and how many were run again for this page."""
    if workload not in records():
        return Markdown("There is no record of it yet. `make records` makes it.")
    record = records()[workload]
    table = record.tables["runs"]
    tried, reported = (table[table["stage"] == stage] for stage in ("chosen", "reported"))
    lines = [
        f"{record} In them {len(tried):,} networks were trained to choose learning rates "
        f"({tried['failed'].sum():,} failed) and {len(reported):,} with other seeds to report "
        f"({reported['failed'].sum():,} failed)."
    ]
    if record.out_of_date:
        lines.append(record.out_of_date)
    elif again:
        lines.append(str(record.run_again(seconds=20.0, num_runs=1)))
    return Markdown("\n\n".join(lines))


def figure(workload: str) -> Shown | Markdown:
    """Iterations to the target, the best learning rate, and what is wrong at equal length, against batch size."""
    if workload not in records():
        return Markdown("No figure without a record.")
    its = runs()[workload]
    drawn, axes = figures.new(1, 3, width=9.0, height=3.0)
    data = []
    for number, optimizer in enumerate(its.optimizers()):
        color = figures.COLORS[number]
        steps, rates = its.to_target(optimizer), its.best_rates("target", optimizer)
        for axis, table in ((axes[0], steps), (axes[1], rates)):
            axis.loglog(table.columns, np.exp(np.log(table).mean()), color=color, label=NAMES[optimizer])
        if fitted := law(its, optimizer):
            line = np.geomspace(steps.columns[0], steps.columns[-1], 40)
            axes[0].loglog(line, fitted(line), color=color, linestyle=":", marker="", linewidth=1)
        for size in steps:
            row = {"optimizer": NAMES[optimizer], "batch size": size, "iterations": steps[size].mean()}
            data.append(row | {"best learning rate": rates[size].mean()})
    scores = at_equal_length(its)
    for number, (name, part) in enumerate(scores.groupby("runs", sort=False)):
        axes[2].semilogx(part["batch size"], part["test score"], color=figures.COLORS[number], label=name)
    axes[0].set(title="iterations to the target", xlabel="batch size")
    axes[1].set(title="best learning rate", xlabel="batch size")
    axes[2].set(title="test samples: wrong, or loss", xlabel="batch size")
    axes[0].legend(fontsize=8)
    axes[2].legend(fontsize=7)
    first = its.to_target("sgd").mean()
    small, large = first.index[0], first.index[-1]
    title = travel.WORKLOADS[workload].title
    return Shown(
        drawn,
        alt=f"{title}, three panels against batch size. With SGD the iterations to the target go from "
        f"{first[small]:,.0f} at batch size {small} to {first[large]:,.0f} at {large:,}. Beside it the best learning "
        f"rates, and the test score of runs of equal length.",
        caption=f"{title}. Means over five seeds; dotted: the fitted law. Left and middle: until the test loss is "
        f"{travel.WORKLOADS[workload].target:g}. Right: runs of equal length, a constant rate or one that falls "
        f"along a cosine; where a run diverged there is no point.",
        data=pd.concat([pd.DataFrame(data), scores], ignore_index=True),
    )


def at_equal_length(its: Runs) -> pd.DataFrame:
    """The mean test score of the runs of equal length, by what was held fixed."""
    rows = []
    for schedule in travel.SCHEDULES:
        panels: list[tuple[str, str, str]] = [
            ("as is, equal epochs", "epochs", travel.FIXED),
            ("tuned, equal epochs", "epochs", "best mean"),
        ]
        panels.append(("tuned, equal iterations", "iterations", "best mean"))
        for name, kind, rule in panels:
            for size in its.sizes(kind, schedule=schedule):
                score = its.reported(size, kind, schedule=schedule, rule=rule)["score"].mean()
                rows.append({"runs": f"{name}, {schedule}", "batch size": size, "test score": score})
    return pd.DataFrame(rows).replace(np.inf, np.nan)


def rules() -> Markdown:
    """What each verdict asks for, from the table that the code judges by."""
    lines = ["| claim | lesson | effect, and what is claimed of it |", "|---|---|---|"]
    lines += [f"| {claim.says} | {lesson_link(claim.lesson)} | {claim.effect} |" for claim in CLAIMS]
    return Markdown("\n".join(lines))


def of_lesson(lesson: str) -> Markdown:
    """What :func:`travels` says of the claims of one lesson, for that lesson's page."""
    return Markdown("\n".join(_sentences(claim, "") for claim in CLAIMS if claim.lesson == lesson))


def travels() -> Markdown:
    """For each claim: on which workloads it has which verdict, what separates the conditions there, and why."""
    return Markdown("\n".join(_sentences(claim, f" ({lesson_link(claim.lesson)})") for claim in CLAIMS))


def _sentences(claim: Claim, link: str) -> str:
    """A line of verdicts, and below it what was measured, what separates conditions, the reason, and what is open."""
    here = [cell for cell in cells() if cell.claim is claim]
    by: dict[str, list[str]] = {}
    for cell in here:
        by.setdefault(cell.verdict, []).append(SHORT[cell.workload])
    where = "; ".join(f"*{verdict}* on {listed(names)}" for verdict, names in by.items())
    below = [separated(cell) for cell in here if cell.verdict == "holds only if"]
    below += [sentence for sentence in (why(claim, here, runs()), *still_open(here)) if sentence]
    measured, claimed = claim.effect.replace(" -", " −").split("; ")
    below.insert(0, f"Measured: {measured}. {claimed.capitalize()}.")
    return "\n".join([f"- **{claim.says}**{link}: {where or 'not measured'}.", *(f"  - {line}" for line in below)])


def separated(cell: Cell) -> str:
    """Under which conditions a claim holds on a workload, and under which it fails."""
    names = {
        verdict: "; ".join(condition.name for condition, each in cell.conditions if each == verdict)
        for verdict in ("holds", "does not hold")
    }
    return f"On {SHORT[cell.workload]} it holds with: {names['holds']}. It fails with: {names['does not hold']}."
