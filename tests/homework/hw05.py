"""Answers to homework 5: right ones written differently, and wrong ones with a piece of the hint they must get.

The tables are measured, which takes seconds once: a run that was made is not made again.
"""

_MEASURE = """
def measure(sizes=(4, 8, 16, 32, 64, 128, 256), grid=(0.08, 0.16, 0.32), tuning=(1, 2, 3), report=(11, 12, 13, 14, 15),
            widen=True, p=p):
    rows = []
    for size in sizes:
        spent, rates = {}, list(grid)
        while True:
            for rate in [rate for rate in rates if rate not in spent]:
                its = [run(p, "tuning", size, rate, seed) for seed in tuning]
                spent[rate] = sorted(row["seconds"] or float("inf") for row in its)[len(its) // 2]
                rows += its
            best = min(sorted(spent), key=spent.get)
            if not widen or len(spent) > 8 or len(spent) > 3 and min(spent) < best < max(spent):
                break
            rates += [min(spent) / 2] if best == min(spent) else [max(spent) * 2]
        rows += [run(p, "report", size, best, seed) for seed in report]
    return rows


rows = measure()
runs = as_text(rows)
"""
_TUNED = (
    _MEASURE
    + """
from statistics import mean, median, stdev
sizes = sorted({row["batch_size"] for row in rows})
def tune(rows):
    spent = {}
    for row in rows:
        if row["used_for"] == "tuning":
            spent.setdefault((row["batch_size"], row["learning_rate"]), []).append(row["seconds"] or float("inf"))
    return {size: min((median(its), rate) for (s, rate), its in spent.items() if s == size)[1] for size in sizes}
tuned = tune(rows)
"""
)
_INTERVALS = (
    _TUNED
    + """
def interval(values):
    half = T[len(values)] * stdev(values) / len(values) ** 0.5
    return [mean(values) - half, mean(values) + half]
def seconds(size, used_for="report"):
    return [row["seconds"] for row in rows if (row["batch_size"], row["used_for"]) == (size, used_for)]
intervals = {size: interval(seconds(size)) for size in sizes}
"""
)
_CHOICE = (
    _INTERVALS
    + """
ranked = sorted(sizes, key=lambda size: mean(seconds(size)))
chosen = ranked[0]
difference = interval([b - a for a, b in zip(seconds(ranked[0]), seconds(ranked[1]))])
settled = "yes" if difference[0] > 0 else "no"
"""
)
_WORDS = {
    "overhead": "larger",
    "per sample": "smaller",
    "slower machine": "same",
    "noisier": "larger",
    "samples": "smaller",
    "updates": "larger",
    "ten seeds": "same",
    "two devices": "larger",
}
_CHANGES = f"changes = {{key: {_WORDS}[key] for key in p.changes}}\n"
_MORE = _MEASURE + "rows = measure(sizes=(8, 16, 32, 64, 128), tuning=(5, 6, 7), report=range(20, 28))\n"

RIGHT = {
    "q1": [
        _MEASURE,
        _MORE + "runs = rows",
        _MEASURE + "import pandas as pd\nruns = pd.DataFrame(rows).to_csv(index=False)",
    ],
    "q2": [
        _TUNED,
        _TUNED.replace("rows = measure()", "rows = measure(sizes=(8, 16, 32, 64, 128), grid=(0.06, 0.12, 0.24, 0.48))"),
        _TUNED + "import pandas as pd\ntable = pd.DataFrame(rows)\n"
        "table = table[table.used_for == 'tuning'].fillna({'seconds': float('inf')})\n"
        "median = table.groupby(['batch_size', 'learning_rate']).seconds.median().unstack()\n"
        "tuned = median.idxmin(axis=1).to_dict()",
    ],
    "q3": [
        _INTERVALS,
        _INTERVALS.replace("report=(11, 12, 13, 14, 15)", "report=(31, 32, 33, 34, 35, 36)"),
        _INTERVALS + "import numpy as np\nfor size in sizes:\n    x = np.array(seconds(size))\n"
        "    intervals[size] = x.mean() + np.array([-1, 1]) * 2.776 * np.sqrt(x.var(ddof=1) / len(x))",
    ],
    "q4": [
        _CHOICE,
        _CHOICE + "import numpy as np\ntable = np.array([seconds(size) for size in sizes])\n"
        "place = table.mean(axis=1).argsort()\n"
        "chosen = np.int64(sizes[place[0]])\ngap = table[place[1]] - table[place[0]]\n"
        "difference = gap.mean() + np.array([-1, 1]) * T[5] * gap.std(ddof=1) / 5 ** 0.5",
        _CHOICE + "settled = settled.upper()",
    ],
    "q5": [
        _CHANGES,
        _CHANGES + "changes = {key: word.upper() for key, word in changes.items()}",
        "changes = {}\nfor key in p.changes:\n"
        "    changes[key] = 'smaller' if key in ('per sample', 'samples') else "
        "'same' if key in ('ten seeds', 'slower machine') else 'larger'",
    ],
}


def _table(change: str) -> str:
    """Question 1 with a table that was spoilt."""
    return _MEASURE + change + "\nruns = as_text(rows)\n"


def _each(change: str) -> str:
    return _table(f"for row in rows:\n    {change}")


def _invented(iterations: str, loss: str = "target(p) - 1e-3 * random.random()") -> str:
    """A table of the right form in which nothing was measured."""
    return _table(
        "import random\nfrom lib.homework.hw05 import seconds as clock\nrandom.seed(4)\nrows = []\n"
        "for B in (4, 8, 16, 32, 64, 128, 256):\n"
        "    for k in range(4):\n        for s in (1, 2, 3, 11, 12, 13, 14, 15):\n            if s < 9 or k == 2:\n"
        f"                n = max(1, round({iterations}))\n"
        "                rows += [dict(used_for='report' if s > 9 else 'tuning', batch_size=B,\n"
        "                    seed=s, budget=p.budget, learning_rate=0.04 * 2 ** k, iterations=n,\n"
        f"                    seconds=clock(p, B, n), loss=round({loss}, 6))]"
    )


WRONG = {
    "q1": {
        "a pandas table": (_MEASURE + "import pandas as pd\nruns = pd.DataFrame(rows)", "to_csv"),
        "no table": (_MEASURE + "runs = 7", "must be a table"),
        "an empty one": (_MEASURE + "runs = ''", "has 0 runs"),
        "too many runs": (_table("rows = rows * 3"), "at most 200"),
        "no seed": (_MEASURE + "runs = [{k: v for k, v in row.items() if k != 'seed'} for row in rows]", "has no seed"),
        "rows of numbers": (_MEASURE + "runs = [list(row.values()) for row in rows]", "no row with the columns"),
        "half an iteration": (_each("row['iterations'] = 10.5"), "which is no count"),
        "words": (_each("row['loss'] = 'low'"), "no measurement"),
        "another use": (_each("row['used_for'] = 'test'"), "'tuning' or 'report'"),
        "seconds alone": (_table("rows[0]['seconds'], rows[0]['iterations'] = 1.0, None"), "but not both"),
        "another machine": (_table("rows = measure(p=grader.parameters('somebody else'))"), "another budget"),
        "a stopwatch": (
            _each("row['seconds'] = (row['seconds'] or 1) * 1.01\n    row['iterations'] = 9"),
            "your machine",
        ),
        "a longer budget": (_table("rows[3]['budget'] *= 2"), "another budget"),
        "later than the budget": (
            _table(
                "rows[3]['iterations'] = 99_999\nfrom lib.homework.hw05 import seconds as clock\n"
                "rows[3]['seconds'] = clock(p, rows[3]['batch_size'], 99_999)"
            ),
            "longer than the budget",
        ),
        "stopped too early": (_each("row['loss'] += 0.5"), "its loss is"),
        "a run twice": (_table("rows += rows[:1]"), "more than once"),
        "four batch sizes": (_table("rows = measure((8, 16, 32, 128))"), "at least 5"),
        "near neighbours": (_table("rows = measure((20, 24, 28, 32, 36))"), "16 times the smallest"),
        "nothing reported": (_table("rows = measure(report=())"), "no run for report"),
        "one size not reported": (
            _table("rows = [r for r in rows if (r['batch_size'], r['used_for']) != (32, 'report')]"),
            "no run for report",
        ),
        "two tuning seeds": (_table("rows = measure(tuning=(1, 2))"), "at least 3 seeds"),
        "three reported seeds": (_table("rows = measure(report=(11, 12, 13))"), "at least 5 seeds"),
        "eleven reported seeds": (_table("rows = measure((8, 16, 32, 64, 128), report=range(11, 22))"), "at most 10"),
        "other seeds for one size": (
            _table("rows = measure((4, 8, 16, 32, 64)) + measure((128,), report=(21, 22, 23, 24, 25))"),
            "the same seeds",
        ),
        "two rates reported": (
            _table("rows += [run(p, 'report', 32, 0.01, seed) for seed in (11, 12, 13, 14, 15)]"),
            "Report one learning rate",
        ),
        "invented: no scatter": (_invented("20 * (1 + 60 / B) * (1 + abs(k - 2))"), "scatter"),
        "invented: one loss": (_invented("20 * (1 + 60 / B) * random.uniform(1, 2)", "target(p) - 0.001"), "same loss"),
        "invented: the same steps": (
            _invented("20 * (1 + 60 / B) + s % 7 * (s % 3 + 1)"),
            "change by the same numbers",
        ),
        "invented: perfect scaling": (
            _invented("8192 / B + (random.choice([-1, 1]) if B > 8 else random.randint(-9, 9))"),
            "exactly half the iterations",
        ),
        "invented: a loss from nowhere": (
            _invented("20 * (1 + 60 / B) * random.uniform(1, 2)", "target(p) * random.random()"),
            "far below the target",
        ),
    },
    "q2": {
        "a list": (_TUNED + "tuned = list(tuned.values())", "must be a dict"),
        "one left out": (_TUNED + "del tuned[4]", "has no batch size 4"),
        "a rate never tried": (_TUNED + "tuned[32] = 0.123", "not one of your grid"),
        "three rates": (_TUNED.replace("rows = measure()", "rows = measure(widen=False)"), "at least 4"),
        "a gap in the grid": (
            _TUNED.replace("rows = measure()", "rows = measure(grid=(0.001, 0.01, 0.1, 1.0), widen=False)"),
            "four times apart",
        ),
        "on the edge": (
            _TUNED.replace("rows = measure()", "rows = measure(grid=(0.01, 0.02, 0.04, 0.08), widen=False)"),
            "on the edge of its grid",
        ),
        "another rate": (_TUNED + "tuned[32] = 0.08", "not the rate with the smallest median"),
        "the seeds that chose": (
            _TUNED.replace("tuning=(1, 2, 3)", "tuning=(1, 2, 11)")
            .replace("report=(11,", "report=(1, 2,")
            .replace(
                "rows = measure()",
                "rows = measure()\nrows = [row for row in rows if row['used_for'] == 'tuning']\n"
                "for size in (4, 8, 16, 32, 64, 128, 256):\n"
                "    spent = {}\n    for row in rows:\n        if row['batch_size'] == size:\n"
                "            spent.setdefault(row['learning_rate'], []).append(row['seconds'] or float('inf'))\n"
                "    second = sorted(spent, key=lambda rate: sorted(spent[rate])[1])[1]\n"
                "    rows += [run(p, 'report', size, second * 1.01, seed) for seed in (1, 2, 11, 12, 13)]",
            ),
            "seeds that chose",
        ),
        "another rate reported": (
            _TUNED.replace('"report", size, best, seed)', '"report", size, best / 2, seed)'),
            "report another learning rate",
        ),
    },
    "q3": {
        "a list": (_INTERVALS + "intervals = list(intervals.values())", "must be a dict"),
        "one left out": (_INTERVALS + "del intervals[4]", "has no batch size 4"),
        "half widths": (
            _INTERVALS + "intervals = {s: high - low for s, (low, high) in intervals.items()}",
            "two numbers",
        ),
        "turned round": (_INTERVALS + "intervals = {s: [b, a] for s, (a, b) in intervals.items()}", "smaller one"),
        "of iterations": (
            _INTERVALS.replace('row["seconds"] for row in rows if (row', 'row["iterations"] for row in rows if (row'),
            "another clock",
        ),
        "normal": (_INTERVALS.replace("T[len(values)]", "1.96"), "1.96"),
        "spread of one": (_INTERVALS.replace(" / len(values) ** 0.5", ""), "spread of single runs"),
        "divided by n": (
            _INTERVALS.replace("stdev(values)", "stdev(values) * (1 - 1 / len(values)) ** 0.5"),
            "divides by n",
        ),
        "wider than need be": (_INTERVALS.replace("T[len(values)]", "T[5] * 1.1"), "not that of its reported"),
    },
    "q4": {
        "the largest": (_CHOICE + "chosen = max(sizes)", "Few iterations are not few seconds"),
        "the smallest": (_CHOICE + "chosen = min(sizes)", "try smaller ones"),
        "one never tried": (_CHOICE + "chosen = 48", "not a batch size of your table"),
        "a float": (_CHOICE + "chosen = chosen / 1", "a float"),
        "the second best": (_CHOICE + "chosen = next(s for s in ranked[1:] if s not in (4, 256))", "does not follow"),
        "turned round": (_CHOICE + "difference = [-difference[1], -difference[0]]", "turn it round"),
        "not paired": (
            _CHOICE + "a, b = interval(seconds(ranked[0])), interval(seconds(ranked[1]))\n"
            "difference = [b[0] - a[1], b[1] - a[0]]\nsettled = 'yes' if difference[0] > 0 else 'no'",
            "not the paired interval",
        ),
        "settled against one's own interval": (
            _CHOICE + "settled = 'no' if settled == 'yes' else 'yes'",
            "does not follow",
        ),
        "settled by feeling": (_CHOICE + "settled = 'nearly'", "'yes' or 'no'"),
    },
    "q5": {
        f"{key}": (
            _CHANGES + f"for key in p.changes:\n    if key in ({key!r}, {other!r}):\n        changes[key] = {word!r}",
            "Look again at:",
        )
        for key, other, word in [
            ("overhead", "per sample", "same"),
            ("slower machine", "noisier", "smaller"),
            ("samples", "updates", "same"),
            ("ten seeds", "two devices", "smaller"),
        ]
    }
    | {
        "one word": (_CHANGES + "changes = dict.fromkeys(p.changes, 'larger')", "Look again at:"),
        "another word": (_CHANGES + "changes = dict.fromkeys(p.changes, 'more')", "must be one of"),
        "none": (_CHANGES + "changes = {}", "has no entry"),
    },
}
