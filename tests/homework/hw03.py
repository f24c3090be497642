"""Answers to homework 3: right ones written differently, and wrong ones with a piece of the hint they must get."""

_Q1 = """def best_first(batch_sizes, iterations, milliseconds, clock):
    rows = list(zip(batch_sizes, iterations, milliseconds))
    by_iterations = [r[0] for r in sorted(rows, key=lambda r: r[1])]
    by_samples = [r[0] for r in sorted(rows, key=lambda r: r[0] * r[1])]
    by_seconds = [r[0] for r in sorted(rows, key=lambda r: r[1] * r[2])]
    return {"iterations": by_iterations, "samples": by_samples, "seconds": by_seconds}[clock]
"""


def _order(line: str) -> str:
    """Question 1 with one order spoilt."""
    return _Q1.replace("    return", f"    {line}\n    return")


_Q2 = """import numpy as np
def tune(grid, runs):
    m = [np.median([np.inf if s is None else s for s in row]) for row in runs]
    i = int(np.argmin(m))
    return None if i in (0, len(grid) - 1) or m[i] == np.inf else grid[i]
"""
_Q3 = """def largest_within(batch_sizes, iterations):
    found = None
    if iterations[0] is None:
        return None
    samples = batch_sizes[0] * iterations[0]
    for place, (B, S) in enumerate(zip(batch_sizes, iterations)):
        if S is None:
            break
        if B * S > 1.2 * samples:
            break
        found = B
    return found

critical = largest_within(list(p.curve), list(p.curve.values()))
"""
_Q4 = """import numpy as np
validation, test = np.array(p.validation), np.array(p.test)
row = validation.mean(axis=1).argmax()
chosen_rate, reported = p.rates[row], test[row].mean()
d = test[row] - np.array(p.other_test)
half = 2.776 * d.std(ddof=1) / np.sqrt(5)
interval = [d.mean() - half, d.mean() + half]
"""
_JUDGED = {
    "linear": "right",
    "adam": "wrong",
    "forever": "wrong",
    "warmup": "wrong",
    "noisy labels": "wrong",
    "fresh": "right",
    "not trained": "wrong",
    "start": "right",
}
_STOP = """def stop_at(losses, eval_every, patience):
    best, since, best_at = float("inf"), 0, 0
    for number, loss in enumerate(losses, 1):
        if loss < best:
            best, since, best_at = loss, 0, number
        else:
            since += 1
        if since == patience:
            return number * eval_every
    return number * eval_every

"""
_RIGHT_ONES = ("halved", "twofold", "widen", "too good", "twice as often", "plateau", "other target")
_OWN = f"own_statements = {{k: 'right' if k in {_RIGHT_ONES} else 'wrong' for k in p.statements}}\n"
_Q5 = _STOP + _OWN + f"statements = {_JUDGED}\n"

_Q6 = """rates = {B: B / t for B, t in p.speed.items()}
largest_rate = rates[2048]
enough = min(B for B in rates if rates[B] >= 0.8 * max(rates.values()))
equal_epochs = p.E * (p.N // p.B2)
equal_iterations = p.E * (p.N // p.B1) * p.B2
power = rates[64] > rates[63] and rates[64] > rates[65]
found = {"weights": "stay", "activations": "grow", "optimizer state": "stay", "gradients": "stay",
         "power of two": "faster" if power else "not faster", "learning rate": "tuned for each",
         "target": "one for both"}
"""


def _misjudged(key: str, hint: str) -> tuple[str, str]:
    """Everything right but one statement."""
    return _Q5 + f"statements[{key!r}] = {'wrong' if _JUDGED[key] == 'right' else 'right'!r}", f"{key}: {hint}"


RIGHT = {
    "q1": [
        _Q1,
        "import numpy as np\ndef best_first(batch_sizes, iterations, milliseconds, clock):\n"
        "    B, S, t = map(np.array, (batch_sizes, iterations, milliseconds))\n"
        "    needed = {'iterations': S, 'samples': S * B, 'seconds': S * t}[clock]\n    return B[np.argsort(needed)]",
        "def best_first(sizes, iterations, milliseconds, clock):\n    each = {'iterations': [1] * len(sizes),\n"
        "            'samples': sizes, 'seconds': milliseconds}[clock]\n"
        "    ranked = sorted((S * one, B) for S, one, B in zip(iterations, each, sizes))\n    return [B for _, B in ranked]",
    ],
    "q2": [
        _Q2,
        "import statistics\ndef tune(grid, runs):\n"
        "    m = [statistics.median([1e18 if s is None else s for s in r]) for r in runs]\n"
        "    b = min(m)\n    i = m.index(b)\n    return grid[i] if b < 1e18 and grid[0] < grid[i] < grid[-1] else None",
        "def tune(grid, runs):\n    key = lambda s: (s is None, s or 0)\n"
        "    ranked = sorted((key(sorted(r, key=key)[len(r) // 2]), g) for g, r in zip(grid, runs))\n"
        "    (failed, _), g = ranked[0]\n    return None if failed or g in (grid[0], grid[-1]) else g",
    ],
    "q3": [
        _Q3,
        "import numpy as np\ndef largest_within(batch_sizes, iterations):\n"
        "    S = np.array([np.nan if s is None else s for s in iterations], float)\n"
        "    lost = np.array(batch_sizes) * S / (batch_sizes[0] * S[0])\n"
        "    inside = np.logical_and.accumulate(lost <= 1.2)\n"
        "    return int(np.array(batch_sizes)[inside][-1]) if inside.any() else None\n"
        "critical = largest_within([*p.curve], [*p.curve.values()])",
        "from itertools import takewhile\ndef largest_within(batch_sizes, iterations):\n"
        "    def within(pair):\n        k = pair[0] / batch_sizes[0]\n"
        "        return pair[1] is not None and pair[1] <= 1.2 * iterations[0] / k\n"
        "    if not iterations[0]:\n        return None\n"
        "    return list(takewhile(within, zip(batch_sizes, iterations)))[-1][0]\n"
        "critical = max(B for B, S in p.curve.items() if S and B * S <= 4.8 * p.curve[4])",
    ],
    "q4": [
        _Q4,
        "import statistics as st\ni = max(range(5), key=lambda i: sum(p.validation[i]))\nchosen_rate = p.rates[i]\n"
        "reported = st.mean(p.test[i])\ngaps = [a - b for a, b in zip(p.test[i], p.other_test)]\n"
        "error = st.stdev(gaps) / 5 ** 0.5\ninterval = (st.mean(gaps) - 2.776 * error, st.mean(gaps) + 2.776 * error)",
        "import numpy as np\nby_rate = {r: (np.mean(v), t) for r, v, t in zip(p.rates, p.validation, p.test)}\n"
        "chosen_rate = max(by_rate, key=lambda r: by_rate[r][0])\nmine = np.array(by_rate[chosen_rate][1])\n"
        "reported = mine.sum() / 5\ngap = mine - p.other_test\n"
        "interval = gap.mean() + np.array([-1, 1]) * 2.776 * np.sqrt(np.var(gap, ddof=1) / 5)",
    ],
    "q5": [
        _Q5,
        "def stop_at(losses, eval_every, patience):\n    for n in range(1, len(losses) + 1):\n"
        "        seen = losses[:n]\n        if n - 1 - seen.index(min(seen)) >= patience:\n            break\n"
        f"    return n * eval_every\n{_OWN}statements = {_JUDGED}",
        "import numpy as np\ndef stop_at(losses, eval_every, patience):\n"
        "    best = np.minimum.accumulate(losses)\n    new = np.r_[True, best[1:] < best[:-1]]\n"
        "    place = np.arange(len(new))\n    age = place - np.maximum.accumulate(np.where(new, place, 0))\n"
        "    late = np.flatnonzero(age >= patience)\n"
        "    return int((late[0] if len(late) else len(losses) - 1) + 1) * eval_every\n"
        f"{_OWN}statements = { ({key: word.upper() for key, word in _JUDGED.items()}) }",
    ],
    "q6": [
        _Q6,
        _Q6 + "import numpy as np\nB, t = np.array(list(p.speed.items())).T\nr = B / t\nlargest_rate = r[-1]\n"
        "enough = int(B[(r >= 0.8 * r.max()).argmax()])\nequal_epochs = (p.N - p.N % p.B2) // p.B2 * p.E\n"
        "equal_iterations = sum(p.B2 for _ in range(p.E) for _ in range(p.N // p.B1))",
        _Q6 + "rows = sorted((B, t) for B, t in p.speed.items())\nlargest_rate = round(rows[-1][0] / rows[-1][1], 3)\n"
        "quick = min(t / B for B, t in rows)\nenough = next(B for B, t in rows if t / B <= quick / 0.8)\n"
        "equal_epochs = len(range(p.B2, p.N + 1, p.B2)) * p.E\n"
        "equal_iterations = len(range(p.B1, p.N + 1, p.B1)) * p.E * p.B2",
    ],
}
WRONG = {
    "q1": {
        "most iterations first": (_order("by_iterations = by_iterations[::-1]"), "most iterations"),
        "iterations for samples": (_order("by_samples = by_iterations"), "uses more samples"),
        "seconds of one iteration": (_order("by_seconds = batch_sizes"), "quick iteration"),
        "throughput for seconds": (_order("by_seconds = batch_sizes[::-1]"), "samples per second"),
        "one left out": (_order("by_seconds = by_seconds[1:]"), "once"),
        "a single size": (_order("by_samples = 8"), "list of batch sizes"),
        "always the small ones": (_order("by_samples = sorted(batch_sizes)"), "By samples the order of some runs"),
        "always the large ones": (
            _order("by_iterations = list(batch_sizes)[::-1]"),
            "By iterations the order of some runs",
        ),
    },
    "q2": {
        "edge kept": (_Q2.replace("i in (0, len(grid) - 1) or ", ""), "edge of its grid"),
        "one edge kept": (_Q2.replace("i in (0, len(grid) - 1)", "i == 0"), "both ends"),
        "failed runs left out": (
            _Q2.replace("[np.inf if s is None else s for s in row]", "[s for s in row if s is not None]"),
            "left out",
        ),
        "means": (_Q2.replace("np.median", "np.mean"), "One failed seed"),
        "best seed": (_Q2.replace("np.median", "np.min"), "most runs failed"),
        "most iterations": (_Q2.replace("argmin", "argmax"), "must return a rate"),
    },
    "q3": {
        "against the one before": (
            _Q3.replace("        found = B", "        samples, found = B * S, B"),
            "Small losses add up",
        ),
        "failed one skipped": (
            _Q3.replace("if S is None:\n            break", "if S is None:\n            continue"),
            "skipped a batch size that failed",
        ),
        "failed one counts as none": (
            _Q3.replace("        if S is None:\n            break\n", "        S = S or 0\n"),
            "not within 20 % of anything",
        ),
        "largest within": (
            _Q3.replace("samples:\n            break", "samples:\n            continue"),
            "a later one does not count",
        ),
        "batch size forgotten": (_Q3.replace("B * S > 1.2 * samples", "S > 1.2 * iterations[0]"), "On a plateau"),
        "no tolerance": (_Q3.replace("1.2 * samples", "samples"), "Up to 1.2 times"),
        "fall seen as a loss": (_Q3.replace("B * S > 1.2 * samples", "1.2 * S < iterations[0]"), "not a loss"),
        "place for size": (_Q3.replace("found = B", "found = place"), "not its place"),
        "first one outside": (
            _Q3.replace("samples:\n            break", "samples:\n            return B"),
            "first batch size outside",
        ),
        "smallest failed": (
            _Q3.replace("return None", "iterations, batch_sizes = iterations[1:], batch_sizes[1:]"),
            "nothing to count from",
        ),
        "curve never reached": (_Q3 + "critical = 2048", "did not reach the target"),
        "curve reached": (_Q3 + "critical = 1024", "Does it still scale"),
        "another curve": (_Q3 + "critical = largest_within(p.batch_sizes, p.iterations) + 1", "Is it p.curve"),
    },
    "q4": {
        "chosen on test": (_Q4 + "chosen_rate = p.rates[test.mean(axis=1).argmax()]", "has seen the test"),
        "luckiest seed": (_Q4 + "chosen_rate = p.rates[validation.max(axis=1).argmax()]", "best single seed"),
        "place of the rate": (_Q4 + "chosen_rate = row", "not a rate of the grid"),
        "validation reported": (_Q4 + "reported = validation.mean(axis=1).max()", "validation accuracy that won"),
        "best test reported": (_Q4 + "reported = test.mean(axis=1).max()", "best test accuracy of all rates"),
        "best seed reported": (_Q4 + "reported = test[row].max()", "Report the mean"),
        "normal interval": (_Q4.replace("2.776", "1.96"), "1.96"),
        "spread of one": (_Q4.replace(" / np.sqrt(5)", ""), "spread of single differences"),
        "divided by n": (_Q4.replace("ddof=1", "ddof=0"), "divides by n"),
        "unpaired": (
            _Q4.replace("d.std(ddof=1)", "np.sqrt(test[row].var(ddof=1) + np.var(p.other_test, ddof=1))"),
            "unpaired",
        ),
        "turned round": (_Q4 + "interval = [-interval[1], -interval[0]]", "other minus chosen"),
        "large end first": (_Q4 + "interval = interval[::-1]", "smaller one"),
        "half width only": (_Q4 + "interval = half", "list of two numbers"),
    },
    "q5": {
        "evaluation for iteration": (_Q5.replace("number * eval_every", "number"), "number of an evaluation"),
        "patience exceeded": (_Q5.replace("since == patience", "since > patience"), "exceeds the patience"),
        "counted from 0": (_Q5.replace("enumerate(losses, 1)", "enumerate(losses)"), "evaluations from 0"),
        "patience in iterations": (_Q5.replace("since == patience", "since * eval_every >= patience"), "one too early"),
        "best weights": (_Q5.replace("return number", "return best_at"), "iteration of the best weights"),
        "never set back": (_Q5.replace("loss, 0, number", "loss, since, number"), "sets the count back"),
        "against the one before": (
            _Q5.replace("            since += 1", "            best, since = loss, since + 1"),
            "best loss so far",
        ),
        "equal is new": (_Q5.replace("loss < best", "loss <= best"), "An equal loss"),
        "nothing at the end": (_Q5.replace("\n    return number * eval_every", ""), "If the patience never ends"),
        "own statements": (_Q5 + "own_statements = dict.fromkeys(p.statements, 'wrong')", "Look again at:"),
        "own statements left out": (_Q5 + "own_statements = {}", "has no entry"),
        "linear": _misjudged("linear", "Compare the best learning rates"),
        "adam": _misjudged("adam", "Adam divides"),
        "forever": _misjudged("forever", "The linear rule assumes"),
        "warmup": _misjudged("warmup", "Warm-up helps"),
        "noisy labels": _misjudged("noisy labels", "In lesson 11"),
        "fresh": _misjudged("fresh", "With other numbers of updates"),
        "not trained": _misjudged("not trained", "To generalize badly"),
        "start": _misjudged("start", "Past either one"),
    },
    "q6": {
        "iterations per second": (_Q6 + "largest_rate = 1 / p.speed[2048]", "iterations per second"),
        "seconds per sample": (_Q6 + "largest_rate = p.speed[2048] / 2048", "seconds per sample"),
        "best for largest": (_Q6 + "largest_rate = max(rates.values())", "best of the table"),
        "quickest iteration": (_Q6 + "enough = min(p.speed, key=p.speed.get)", "quickest iteration"),
        "largest batch size": (_Q6 + "enough = max(p.speed)", "Is it the fastest"),
        "part of the seconds": (
            _Q6 + "enough = min(B for B in p.speed if p.speed[B] >= 0.8 * p.speed[2048])",
            "Is it the fastest",
        ),
        "fastest batch size": (_Q6 + "enough = max(rates, key=rates.get)", "fastest batch size"),
        "part of the largest": (
            _Q6 + "enough = min(B for B in rates if rates[B] >= 0.8 * largest_rate)",
            "of the best",
        ),
        "other iterations": (_Q6 + "equal_epochs = p.E * (p.N // p.B1)", "iterations of the smaller"),
        "all epochs at once": (_Q6 + "equal_epochs = p.E * p.N // p.B2", "all epochs at once"),
        "last kept": (_Q6 + "equal_epochs = p.E * -(-p.N // p.B2)", "kept the last"),
        "one epoch": (_Q6 + "equal_epochs = p.N // p.B2", "one epoch"),
        "all samples": (_Q6 + "equal_iterations = p.E * p.N", "nothing dropped"),
        "samples of equal epochs": (_Q6 + "equal_iterations = p.B2 * equal_epochs", "sees more than all"),
        "samples of the smaller": (_Q6 + "equal_iterations = p.E * (p.N // p.B1) * p.B1", "sees more than all"),
        "last kept in iterations": (_Q6 + "equal_iterations = p.B2 * p.E * -(-p.N // p.B1)", "counted the iterations"),
        "iterations for samples": (_Q6 + "equal_iterations = p.E * (p.N // p.B1)", "sees more than all"),
        "weights": (_Q6 + "found['weights'] = 'grow'", "same for one sample"),
        "activations": (_Q6 + "found['activations'] = 'stay'", "keeps them for every sample"),
        "optimizer state": (_Q6 + "found['optimizer state'] = 'grow'", "for each weight"),
        "gradients": (_Q6 + "found['gradients'] = 'grow'", "are averaged"),
        "power of two": (_Q6 + "found['power of two'] = 'not faster' if power else 'faster'", "No rule decides"),
        "learning rate": (_Q6 + "found['learning rate'] = 'one for both'", "would win for that reason"),
        "target": (_Q6 + "found['target'] = 'its own for each'", "easier target"),
    },
}

_READING = {
    "keskar": "1",
    "masters": "2",
    "hoffer": "3",
    "loss rises": "loss",
    "training loss falls": "neither",
    "samples a second": "known",
    "same critical size": "hoped",
    "a warm machine": "median after a warm-up",
}
_CURVES = {
    "curve A": "loss",
    "curve B": "both",
    "curve C": "neither",
    "curve D": "accuracy",
    "curve E": "neither",
    "curve F": "loss",
    "curve G": "neither",
    "curve H": "both",
}
_OWN = f"own_curves = {{key: {_CURVES}[key] for key in p.curves}}\n"
RIGHT["q7"] = [
    _OWN + f"reading = {_READING}",
    _OWN + f"reading = { {key: word.upper() for key, word in _READING.items()} }",
    _OWN + "reading = {}\n" + "".join(f"reading[{key!r}] = {word!r}\n" for key, word in _READING.items()),
]
WRONG["q7"] = {
    f"{key} {word}": (_OWN + f"reading = {_READING | {key: word}}", hint)
    for key, word, hint in [
        ("keskar", "2", "Was the learning rate changed with the batch size there?"),
        ("keskar", "3", "Was the number of updates held fixed there?"),
        ("masters", "1", "They ran a range of learning rates at each batch size."),
        ("masters", "3", "They held the computational cost fixed, which is not the number of updates."),
        ("hoffer", "1", "They adapted the learning rate and gave large batches something more."),
        ("hoffer", "2", "They say that the gap comes from the number of updates, and held that fixed."),
        ("loss rises", "accuracy", "A score that still gets better does not overfit."),
        ("loss rises", "both", "One of them still gets better."),
        ("loss rises", "neither", "One of them turned around and got worse."),
        ("training loss falls", "loss", "It stands still. Overfitting makes it worse."),
        ("training loss falls", "both", "A low training loss alone does not make a test score worse."),
        ("training loss falls", "accuracy", "It stands still. Overfitting makes it worse."),
        ("samples a second", "hoped", "You measured it, on the machine that will train."),
        ("same critical size", "known", "In lesson 8 another target had another critical batch size."),
        ("a warm machine", "mean of all", "One slow start would count for many ordinary iterations."),
    ]
} | {
    "own curves": (f"reading = {_READING}\nown_curves = dict.fromkeys(p.curves, 'loss')", "Look again at:"),
    "own curves left out": (f"reading = {_READING}\nown_curves = 'loss'", "must stay a dict"),
}
