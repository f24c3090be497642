"""What was found, for people: a table in a terminal, a display in a notebook, a page that needs no network."""

import html
import math
import os
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import yaml

from lib.advise import combine, drawings
from lib.advise.noise import Noise
from lib.advise.rates import Rates
from lib.advise.speed import MARGIN, Speed
from lib.advise.subject import LINEAR, ROOT, Subject
from lib.files import write_atomically
from lib.plan import TrainingPlan
from lib.profiling import machine
from lib.recipe import Budget, Recipe
from lib.statistics import Interval

LESSONS = {
    5: "05-gradient-noise",
    6: "06-time-and-memory",
    7: "07-four-clocks",
    8: "08-steps-to-target",
    9: "09-learning-rate",
    12: "12-gradient-accumulation",
    4: "04-steps-per-epoch",
    18: "18-choosing-a-batch-size",
}
CANNOT_KNOW = (
    "It cannot know how well a run ends: it never trained to the end and never looked at validation samples. The "
    "critical batch size comes from gradients near the present weights and usually grows later; with another "
    "optimizer, schedule or augmentation it is another one. Seconds leave out the loading of samples and are those of "
    "this machine, as busy as it was. A run of your own at two sizes of the range is better evidence than all of this."
)
HERE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Answer:
    """One line: what, the number, its 95 % interval (or what bounds it), and the lesson that explains it."""

    what: str
    number: str
    interval: str
    lesson: int


@dataclass
class Advice:
    """What ``advise`` found. Each part is None where it could not be measured; ``problems`` says why.

    Attributes
    ----------
    facts : dict
        About model, samples, optimizer and device.
    speed, rates, noise : Speed, Rates, Noise
        The measurements.
    rate : Interval
        The best learning rate at the batch size of ``rates``, as wide as the course's sweeps scatter about such runs.
    b_crit : Interval
        The critical batch size, as wide as the course's sweeps scatter about the noise scale.
    sizes : Sizes
        Best by each clock.
    choice : list of int
        Batch sizes to choose from: low, middle, high.
    table : pandas.DataFrame
        What each batch size costs.
    notes, problems : list of str
    """

    facts: dict
    present: int | None
    budget: Budget
    price: float | None
    speed: Speed | None = None
    rates: Rates | None = None
    noise: Noise | None = None
    rate: Interval | None = None
    b_crit: Interval | None = None
    sizes: combine.Sizes | None = None
    choice: list[int] = field(default_factory=list)
    table: pd.DataFrame | None = None
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def tried(self) -> Interval | None:
        """The learning rate of the short runs: the middle of the range test, or a part of it where that failed."""
        if self.rates is None:
            return None
        middle = self.rates.middle
        part = self.noise.learning_rate / middle.estimate if self.noise else 1.0
        return Interval(middle.estimate * part, middle.low * part, middle.high * part, middle.num)

    def finished(self, subject: Subject) -> "Advice":
        """With the table of batch sizes, where there is enough for one."""
        if self.b_crit is not None and self.speed is not None and self.choice:
            shown = combine.shown_sizes(subject.num_samples, self.choice[1])
            shown = sorted({*shown, *self.choice, *([self.present] if self.present else [])})
            rates = (self.rate.low, self.rate.high, self.rates.batch_size) if self.rate and self.rates else None
            try:
                self.table = combine.table(
                    shown, self.b_crit, self.speed, self.plan, self.facts["rule"], rates, self.price
                )
            except ValueError as error:  # a budget that no plan can be made for
                self.problems.append(str(error))
        return self

    def plan(self, batch_size: int) -> TrainingPlan:
        """The plan of the training budget at a batch size, accumulated where it does not fit."""
        assert self.speed is not None
        micro, accumulated = combine.micro_batches(batch_size, self.speed.fits)
        recipe = Recipe(micro, accumulation_steps=accumulated, drop_last=self.facts["drop_last"])
        budget, num_samples = self.budget, self.facts["num_samples"]
        if budget.seconds is not None:
            if self.speed.overhead is None:
                raise ValueError("The budget of the run is in seconds, but an iteration was not timed; give epochs.")
            iterations = max(1, int(budget.seconds / (accumulated * float(self.speed.seconds(micro)))))
            budget = Budget(iterations=iterations)
        made = budget.plan(recipe, num_samples)
        assert isinstance(made, TrainingPlan)
        return made

    def answers(self) -> list[Answer]:
        """Every number, with its interval and its lesson."""
        return [*self._of_speed(), *self._of_noise(), *self._of_rates(), *self._of_sizes(), *self._of_plan()]

    def _of_speed(self) -> list[Answer]:
        speed, found = self.speed, []
        if speed is None:
            return []
        if speed.overhead is not None and speed.per_sample is not None and speed.ratio is not None:
            found += [
                Answer("an iteration costs, whatever its size, t₀", *_times(speed.overhead), 6),
                Answer("and for each sample, c", *_times(speed.per_sample), 6),
                Answer("t₀ / c, in samples", *_texts(speed.ratio), 6),
            ]
        if speed.saturates is not None:
            most = f"not up to {speed.most:,}, the largest timed"
            number = _text(speed.saturates.estimate) if math.isfinite(speed.saturates.estimate) else most
            found.append(Answer("throughput saturates at batch size", number, _ends(speed.saturates), 6))
        fits = f"about {_text(speed.fits)}" if math.isfinite(speed.fits) else "unknown"
        bound = f"out of memory at {speed.failed_at:,}" if speed.failed_at else f"{speed.most:,} was run"
        found.append(Answer(f"fits into memory, {MARGIN:.0%} left free", fits, bound, 6))
        return found

    def _of_noise(self) -> list[Answer]:
        if self.noise is None or self.b_crit is None:
            return []
        how = "to the target" if self.noise.reached else f"over {self.noise.iterations:,} iterations"
        return [
            Answer("gradient noise scale at the present weights", *_texts(self.noise.now), 5),
            Answer(f"gradient noise scale {how}", *_texts(self.noise.along), 8),
            Answer(
                "critical batch size: its order of magnitude", _text(self.b_crit.estimate), _in_nine(self.b_crit), 8
            ),
        ]

    def _of_rates(self) -> list[Answer]:
        if self.rates is None or self.rate is None:
            return []
        rates, at = self.rates, f"at batch size {self.rates.batch_size:,}"
        more = "or more" if rates.open else _ends(rates.lowest)
        return [
            Answer(f"the loss falls fastest at the learning rate, {at}", *_texts(rates.steepest), 9),
            Answer(f"the loss is lowest at the learning rate, {at}", _text(rates.lowest.estimate), more, 9),
            Answer(f"look for the best learning rate near, {at}", _text(self.rate.estimate), _in_nine(self.rate), 9),
        ]

    def _of_sizes(self) -> list[Answer]:
        if self.sizes is None:
            return []
        low, middle, high = self.choice
        found = [
            Answer("fewest iterations: a batch size from", *_texts(self.sizes.iterations), 8),
            Answer("fewest samples: a batch size up to", *_texts(self.sizes.samples), 7),
        ]
        if self.sizes.seconds is not None:
            found.append(Answer("fewest seconds: a batch size near", *_texts(self.sizes.seconds), 7))
        clock = "by seconds" if self.sizes.seconds is not None else "by samples"
        found.append(Answer(f"start with a batch size of, {clock}", f"{middle:,}", f"{low:,} to {high:,}", 18))
        return found

    def _of_plan(self) -> list[Answer]:
        if self.table is None:
            return []
        rows = self.table.set_index("batch_size")
        low, middle, high = self.choice
        found = []
        micro, accumulated = int(rows["micro_batch"][middle]), int(rows["accumulated"][middle])
        if accumulated > 1:
            found.append(
                Answer(f"{middle:,} does not fit: accumulate", f"{accumulated} × {micro:,}", "with the margin", 12)
            )
        if "rate_low" in rows:
            text = f"{_text(rows['rate_low'][middle])} to {_text(rows['rate_high'][middle])}"
            rule = f"by the {self.facts['rule']} rule" if self.facts["rule"] else "no rule: as tested"
            found.append(Answer(f"learning rate at batch size {middle:,}", text, rule, 9))
        columns = [("plan_iterations", "iterations", 4), ("plan_epochs", "epochs", 4), ("hours", "hours", 6)]
        columns += [("cost", "cost, in the unit of the price", 6)]
        for column, what, lesson in columns:
            if column in rows:
                ends = sorted((rows[column][low], rows[column][high]))
                interval = f"{_text(ends[0])} to {_text(ends[1])} for {low:,} to {high:,}"
                found.append(Answer(f"your run at {middle:,}: {what}", _text(rows[column][middle]), interval, lesson))
        return found

    def sentences(self) -> list[str]:
        """What to do, in words."""
        found = []
        if self.choice:
            low, middle, high = self.choice
            found.append(
                f"Start near batch size {middle:,}; anything from {low:,} to {high:,} agrees with what was measured."
            )
        if self.table is not None and self.present:
            row = self.table.set_index("batch_size").loc[self.present]
            clock = "seconds" if "seconds" in row else "samples"
            found.append(f"Your present {self.present:,} takes about {row[clock]:.2g} times the fewest {clock}.")
        if self.rates is not None:
            rule = self.facts["rule"]
            moves = {
                LINEAR: "in proportion to the batch size far below the critical one, and hardly above it",
                ROOT: "with the square root of the batch size",
                None: "in a way that you must test",
            }[rule]
            found.append(f"With {self.facts['optimizer']} the learning rate moves {moves}. {combine.evidence(rule)}")
        if self.speed is not None and self.speed.misfit > 0.25:
            found.append(
                f"The line t₀ + cB misses a measured size by up to {self.speed.misfit:.0%}: trust the figure more."
            )
        return found

    def figures(self) -> list:
        """The course's figures, of what was measured."""
        return drawings.all_of(self)

    def __str__(self) -> str:
        lines = [f"Advice for {self.facts['title']}", ""]
        rows = [(a.what, a.number, a.interval, f"lesson {a.lesson}") for a in self.answers()]
        if rows:
            rows.insert(0, ("", "number", "95 % interval or bound", "explained in"))
            widths = [max(len(row[i]) for row in rows) for i in range(4)]
            lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        for title, texts in self._texts_below():
            lines += ["", title, *[f"- {text}" for text in texts]]
        return "\n".join(lines)

    def _texts_below(self) -> list[tuple[str, list[str]]]:
        blocks = [("What to do", self.sentences()), ("Not measured", self.problems), ("Notes", self.notes)]
        return [block for block in [*blocks, ("What it cannot know", [CANNOT_KNOW])] if block[1]]

    def _repr_html_(self) -> str:
        return f'<style>{STYLE}</style><div class="advice">{self._body("lessons/", "h4")}</div>'

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/plain": str(self), "text/html": self._repr_html_()}

    def _body(self, lessons: str, heading: str) -> str:
        rows = "".join(
            f'<tr><th scope="row">{html.escape(a.what)}</th><td>{html.escape(a.number)}</td>'
            f'<td>{html.escape(a.interval)}</td><td><a href="{html.escape(lessons)}{LESSONS[a.lesson]}.html">lesson '
            f"{a.lesson}</a></td></tr>"
            for a in self.answers()
        )
        head = "".join(
            f'<th scope="col">{c}</th>' for c in ("what", "number", "95 % interval or bound", "explained in")
        )
        table = (
            f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
            if rows
            else ""
        )
        texts = [
            f"<{heading}>{title}</{heading}><ul>{''.join(f'<li>{html.escape(t)}</li>' for t in texts)}</ul>"
            for title, texts in self._texts_below()
        ]
        first = texts.pop(0) if self.sentences() else ""
        pictures = "".join(figure._repr_html_() for figure in self.figures())
        sizes = ""
        if self.table is not None:
            shown = self.table.to_html(index=False, border=0, float_format="{:.3g}".format)
            sizes = f"<{heading}>Batch sizes side by side</{heading}><p>{TABLE}</p><div class='wide'>{shown}</div>"
        return f"<p>{html.escape(self.facts['title'])}.</p>{first}{table}{pictures}{sizes}{''.join(texts)}"

    def save(self, path: str | os.PathLike) -> Path:
        """Write the report as one HTML file that loads nothing."""
        place = Path(path).resolve()
        title = "Advice about your run"
        return write_atomically(
            place,
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<meta name="color-scheme" content="light dark"><style>{PAGE}{STYLE}</style></head>'
            f'<body><main class="advice">'
            f"<h1>{title}</h1>{self._body(lessons_from(place.parent), 'h2')}</main></body></html>\n",
        )


TABLE = (
    "Iterations, samples and seconds to the same loss, as multiples of the fewest in this table, by the fitted laws; "
    "then your budget at each size, the micro-batch that fits, and the range of learning rates."
)
STYLE = """
.advice table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.advice .wide { overflow-x: auto; }
.advice :is(th, td) { text-align: left; padding: .3rem .8rem .3rem 0;
  border-bottom: 1px solid var(--figure-grid, #d0d7de);
  font-weight: 400; vertical-align: top; background: none; color: inherit; }
.advice thead th { font-weight: 600; }
.advice table.dataframe :is(th, td) { text-align: right; }
.advice tbody td:nth-child(2) { font-weight: 600; }
.advice table.dataframe tbody td:nth-child(2) { font-weight: 400; }
.advice li { max-width: 46rem; margin: .3rem 0; }
.advice figure svg { width: 100%; max-width: 40rem; height: auto; display: block; }
""".replace("\n", " ")
PAGE = """
:root { --ink: #1f2328; --paper: #fff; --link: #0f5fa8; --figure-ink: #1f2328; --figure-grid: #d0d7de; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --paper: #14181f; --link: #6fb3f2; --figure-ink: #e6e9ee;
  --figure-grid: #3d4550; --figure-1: #6fb3f2; --figure-2: #f0a35e; --figure-3: #4cc9a4; --figure-4: #d795d3;
  --figure-5: #b3b8c2; --figure-6: #d8bd4a; } }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
main { max-width: 56rem; margin: 0 auto; padding: 1rem; }
figure { margin: 1.5rem 0; } figcaption, details { font-size: .92em; max-width: 40rem; } details { overflow-x: auto; }
a, summary { color: var(--link); }
""".replace("\n", " ")


def lessons_from(folder: Path) -> str:
    """The address of the lessons: what ``_config.yml`` names, else the way from a folder to the built book."""
    config = HERE / "_config.yml"
    address = (
        (yaml.safe_load(config.read_text(encoding="utf-8")) if config.exists() else {}).get("html", {}).get("baseurl")
    )
    if address:
        return f"{address.rstrip('/')}/lessons/"
    return Path(os.path.relpath(HERE / "_build" / "html" / "lessons", folder)).as_posix() + "/"


def facts(subject: Subject) -> dict:
    """What the advice is about."""
    name = type(subject.mine).__name__
    title = (
        f"{name} with {subject.num_parameters:,} weights on {subject.num_samples:,} samples, "
        f"by {subject.optimizer.name}, "
        f"on {machine()['gpu'] if subject.device.type == 'cuda' else machine()['cpu']}"
    )
    return {
        "title": title,
        "num_samples": subject.num_samples,
        "drop_last": subject.drop_last,
        "optimizer": subject.optimizer.name,
        "rule": subject.optimizer.rule,
    }


def _text(number: float) -> str:
    """Three significant digits, with commas."""
    number = float(number)
    if not math.isfinite(number):
        return "no upper limit" if number > 0 else "unknown"
    if number == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(number))))
    if abs(number) >= 1e9 or digits > 6:
        return f"{number:.2e}"
    rounded = float(f"{number:.3g}")
    return f"{rounded:,.{digits}f}".rstrip("0").rstrip(".") if digits else f"{rounded:,.0f}"


def _ends(interval: Interval) -> str:
    high = _text(interval.high) if math.isfinite(interval.high) else "no upper limit"
    return f"{_text(interval.low)} to {high}"


def _in_nine(interval: Interval) -> str:
    """The ends of an interval that was made for 9 of 10 cases (``lib.advise.calibration``)."""
    return f"{_ends(interval)} (9 of 10)"


def _texts(interval: Interval) -> tuple[str, str]:
    return _text(interval.estimate), _ends(interval)


def _times(interval: Interval) -> tuple[str, str]:
    """Seconds in the unit in which the estimate has one to three digits before the point."""
    factor, unit = next(
        ((f, u) for f, u in ((1, "s"), (1e3, "ms"), (1e6, "µs"), (1e9, "ns")) if interval.estimate * f >= 1),
        (1e9, "ns"),
    )
    low, high = (_text(end * factor) for end in (interval.low, interval.high))
    return f"{_text(interval.estimate * factor)} {unit}", f"{low} to {high} {unit}"
