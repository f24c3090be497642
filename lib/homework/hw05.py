"""What homework 5 gives to a student: a workload and a machine of one's own, and the rules for a table of runs."""

import csv
import io
from collections import Counter
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from lib.homework.answers import expect

MOST_ROWS = 200
T = {5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}  # 97.5 % point of Student's t, by number of seeds
CHANGES = [  # of each pair, the two do not have the same answer
    {
        "overhead": "The fixed time of an iteration doubles. The batch size with the fewest seconds becomes ...",
        "per sample": "The time that each sample adds doubles. The batch size with the fewest seconds becomes ...",
    },
    {
        "slower machine": "Both times of the machine double. The batch size with the fewest seconds is then ...",
        "noisier": "The critical batch size doubles. The batch size with the fewest seconds becomes ...",
    },
    {
        "samples": "Samples are dear, seconds are not. Against your choice, the best batch size is ...",
        "updates": "Only iterations count, seconds do not. Against your choice, the best batch size is ...",
    },
    {
        "ten seeds": "You report ten seeds instead of five. The batch size with the fewest mean seconds is then ...",
        "two devices": "A second device halves the time that a sample adds, and costs nothing. It becomes ...",
    },
]


def draw(draw) -> dict | None:
    """A data set by its seed and noise, and a machine: milliseconds of an iteration and of each of its samples."""
    half_full, per_sample = draw.whole(18, 60), draw.whole(5, 20) / 100
    return dict(
        data_seed=draw.whole(1, 9_999),
        noise=draw.whole(25, 35) / 10,
        overhead=round(half_full * per_sample, 3),
        per_sample=per_sample,
        budget=round(80 * per_sample, 2),
        changes=draw.statements(CHANGES, 4),
    )


@cache
def data(data_seed: int, noise: float):
    """Inputs and targets for training (4,000 samples) and for evaluation (500), and the loss to reach."""
    random = np.random.default_rng([data_seed, 5])
    scale = np.geomspace(1, 0.1, 20)
    x = random.normal(size=(4_500, 20)) * scale
    y = x @ (random.choice([-1.0, 1.0], size=20) / scale**0.5) + noise * random.normal(size=4_500)
    best = np.linalg.lstsq(x[:4_000], y[:4_000], rcond=None)[0]
    least, start = np.mean((x[4_000:] @ best - y[4_000:]) ** 2), np.mean(y[4_000:] ** 2)
    return x[:4_000], y[:4_000], x[4_000:], y[4_000:], float(least + 0.05 * (start - least))


def target(p) -> float:
    """The loss at which a run of this student has reached its target."""
    return data(p.data_seed, p.noise)[-1]


def seconds(p, batch_size: int, iterations: int) -> float:
    """What so many iterations take on this student's machine."""
    return round(iterations * (p.overhead + p.per_sample * batch_size) / 1000, 6)


def run(p, used_for: str, batch_size: int, learning_rate: float, seed: int) -> dict:
    """Train with SGD until the target or the end of the budget; one row of the table.

    ``iterations`` and ``seconds`` are None if the target was not reached. ``loss`` is the last one on the evaluation
    samples, looked at after every iteration.
    """
    limit = int(p.budget * 1000 / (p.overhead + p.per_sample * batch_size))
    reached, loss = _trained(p.data_seed, p.noise, limit, batch_size, learning_rate, seed)
    return dict(
        used_for=used_for,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        budget=p.budget,
        iterations=reached,
        seconds=None if reached is None else seconds(p, batch_size, reached),
        loss=loss,
    )


@cache
def _trained(data_seed, noise, limit, batch_size, learning_rate, seed):
    x, y, x_test, y_test, goal = data(data_seed, noise)
    random = np.random.default_rng(seed)
    w, order = 0.1 * random.normal(size=20), np.arange(0)
    reached = None
    for iteration in range(1, limit + 1):
        if len(order) < batch_size:
            order = random.permutation(len(x))
        batch, order = order[:batch_size], order[batch_size:]
        w = w - learning_rate * 2 / batch_size * (x[batch] @ w - y[batch]) @ x[batch]
        loss = float(np.mean((x_test @ w - y_test) ** 2))
        if loss <= goal or not loss < 1e6:
            reached = iteration if loss <= goal else None
            break
    return reached, round(loss if loss < 1e6 else 1e6, 6)


class Run(NamedTuple):
    """A row of the table of runs."""

    used_for: str
    batch_size: int
    learning_rate: float
    seed: int
    budget: float
    iterations: int | None
    seconds: float | None
    loss: float


def as_text(rows: list[dict]) -> str:
    """The table as text, a line a run, to be stored in the notebook."""
    out = io.StringIO()
    writer = csv.DictWriter(out, Run._fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def read(runs) -> list[Run]:
    """The table that a student handed in, as text or as a list of rows; a hint if it is none."""
    expect(
        runs != list(Run._fields), "`runs` is a pandas table; store its text instead, as `runs.to_csv(index=False)`."
    )
    if isinstance(runs, str):
        expect(len(runs) < 60_000, "`runs` is too long for a table of 200 runs.")
        runs = list(csv.DictReader(io.StringIO(runs.strip())))
    expect(isinstance(runs, list), "`runs` must be a table: the text of `as_text(rows)`, or the list of rows.")
    expect(0 < len(runs) <= MOST_ROWS, f"The table has {len(runs)} runs; hand in at least one and at most {MOST_ROWS}.")
    return [_row(number, row) for number, row in enumerate(runs, start=1)]


def _row(number: int, row) -> Run:
    kinds = Run.__annotations__
    expect(isinstance(row, dict), f"Run {number} of the table is no row with the columns {', '.join(kinds)}.")
    missing = [name for name in kinds if name not in row]
    expect(not missing, f"Run {number} of the table has no {', '.join(missing)}.")
    values: dict[str, Any] = {}
    for name in kinds:
        text = "" if row[name] is None else str(row[name]).strip()
        empty = text.lower() in ("", "none", "nan") and name in ("iterations", "seconds")
        try:
            number_ = None if empty or name == "used_for" else float(text)
        except ValueError:
            number_ = float("nan")
        whole = name in ("batch_size", "seed", "iterations")
        fine = number_ is None or 0 <= number_ < 1e9 and (not whole or number_ == int(number_))
        expect(fine, f"Run {number} has {name} = {text[:30]!r}, which is no {'count' if whole else 'measurement'}.")
        values[name] = text if name == "used_for" else int(number_) if whole and number_ is not None else number_
    expect(
        values["used_for"] in ("tuning", "report"),
        f"Run {number} is used for {values['used_for'][:30]!r}; write 'tuning' or 'report'.",
    )
    expect(values["batch_size"] >= 1, f"Run {number} has an empty batch.")
    expect(
        (values["iterations"] is None) == (values["seconds"] is None),
        f"Run {number} has iterations or seconds, but not both: a run reached the target or it did not.",
    )
    return Run(**values)


def evidence(answers) -> list[Run]:
    """The student's table, if its runs are the student's and can be compared; a hint if not."""
    p, runs = answers.p, read(answers.value("runs"))
    goal = target(p)
    for number, each in enumerate(runs, start=1):
        expect(
            each.budget == p.budget, f"Run {number} had another budget than your {p.budget} seconds: all need the same."
        )
        reached = each.iterations is not None
        due = float("inf") if each.iterations is None else seconds(p, each.batch_size, each.iterations)
        took = float("inf") if each.seconds is None else each.seconds
        expect(
            not reached or abs(took - due) <= 2e-6,
            f"The seconds of run {number} are not those of your machine: it has another time for {each.iterations} "
            f"iterations of {each.batch_size} samples.",
        )
        expect(not reached or took <= p.budget, f"Run {number} took longer than the budget allows.")
        expect(
            reached == (each.loss <= goal + 1e-6),
            f"Run {number} says that it {'reached' if reached else 'missed'} the target, but its loss is {each.loss}.",
        )
    keys = Counter((each.batch_size, each.learning_rate, each.seed) for each in runs)
    twice = [key for key, count in keys.items() if count > 1]
    expect(not twice, f"A run is in the table more than once: batch size, rate and seed {twice[:1]}.")
    _comparable(runs)
    return runs


def _comparable(runs: list[Run]):
    sizes = sorted({each.batch_size for each in runs})
    expect(len(sizes) >= 5, f"The table has {len(sizes)} batch sizes; compare at least 5.")
    expect(sizes[-1] >= 16 * sizes[0], "The largest batch size must be at least 16 times the smallest.")
    for used_for, fewest in (("tuning", 3), ("report", 5)):
        seeds: dict[tuple, set] = {}
        for each in runs:
            if each.used_for == used_for:
                seeds.setdefault((each.batch_size, each.learning_rate), set()).add(each.seed)
        without = [size for size in sizes if not any(key[0] == size for key in seeds)]
        expect(not without, f"Batch size {without[:1]} has no run for {used_for}.")
        few = [key for key, its in seeds.items() if len(its) < fewest]
        expect(not few, f"For {used_for}, at least {fewest} seeds: batch size and learning rate {few[:1]} have fewer.")
        unlike = len({frozenset(its) for its in seeds.values()}) > 1
        expect(
            not unlike, f"For {used_for}, every batch size and learning rate needs the same seeds: pairs are compared."
        )
        if used_for == "report":
            rates = Counter(size for size, _ in seeds)
            expect(max(rates.values()) == 1, "Report one learning rate for each batch size: the one that tuning chose.")
            expect(len(next(iter(seeds.values()))) <= 10, "Report at most 10 seeds.")


def reported(runs: list[Run]) -> dict[int, dict[int, float | None]]:
    """For each batch size, rising, the seconds of its reported runs by seed."""
    sizes = sorted({each.batch_size for each in runs})
    chosen = {
        size: {each.seed: each.seconds for each in runs if (each.batch_size, each.used_for) == (size, "report")}
        for size in sizes
    }
    return {size: dict(sorted(by_seed.items())) for size, by_seed in chosen.items()}


def grids(runs: list[Run]) -> dict[int, dict[float, list[float]]]:
    """For each batch size the seconds of its tuning runs by rising learning rate; a missed target is endless."""
    made: dict[int, dict[float, list[float]]] = {}
    for each in sorted(runs, key=lambda each: (each.batch_size, each.learning_rate)):
        if each.used_for == "tuning":
            row = made.setdefault(each.batch_size, {}).setdefault(each.learning_rate, [])
            row.append(float("inf") if each.seconds is None else each.seconds)
    return made


def pair(value, name: str) -> tuple[float, float]:
    """An interval: two finite numbers, the smaller one first; or a hint."""
    fine = isinstance(value, list) and len(value) == 2 and all(type(end) in (int, float) for end in value)
    expect(fine and all(abs(end) < 1e12 for end in value), f"{name} must be a list of two numbers.")
    expect(value[0] < value[1], f"The first number of {name} must be the smaller one.")
    return value[0], value[1]
