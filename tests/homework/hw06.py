"""Answers to homework 6: right ones written differently, and wrong ones with a piece of the hint they must get."""

_Q1 = """tokens_per_iteration = p.T * p.B * p.A * p.W
iterations = -(-p.budget // tokens_per_iteration)
def epochs_read(T, B, A, W, budget, dataset):
    each = T * B * A * W
    return -(-budget // each) * each / dataset
"""
_Q2 = """def padding_share(lengths, batch_size):
    batches = [lengths[k:k + batch_size] for k in range(0, len(lengths), batch_size)]
    return 1 - sum(lengths) / sum(len(b) * max(b) for b in batches)
def sorted_share(lengths, batch_size, pool_size):
    order = []
    for k in range(0, len(lengths), pool_size):
        order += sorted(lengths[k:k + pool_size])
    return padding_share(order, batch_size)
"""
_Q3 = """def best_fit(lengths, T):
    rows = []
    for length in sorted([min(n, T) for n in lengths], reverse=True):
        best = None
        for row in rows:
            if sum(row) + length <= T and (best is None or sum(row) > sum(best)):
                best = row
        if best is None:
            rows.append([length])
        else:
            best.append(length)
    return rows
def wrapped(lengths, T):
    rows, room = [], 0
    for n in lengths:
        while n:
            if room == 0:
                rows.append([])
                room = T
            piece = min(n, room)
            rows[-1].append(piece)
            n, room = n - piece, room - piece
    return rows
"""
_Q4 = """def mean(values):
    return sum(values) / len(values)
def mean_over(micro_batches, over):
    documents = [d for part in micro_batches for d in part if d]
    if over == "tokens":
        return mean([loss for d in documents for loss in d])
    if over == "documents":
        return mean([mean(d) for d in documents])
    joined = [sum(part, []) for part in micro_batches]
    return mean([mean(j) for j in joined if j])
def device_factor(tokens):
    return len(tokens) / sum(tokens)
"""
_YES = "('scattered', 'wrapped', 'mask and places', 'same tokens', 'full rows', 'sums', 'grows', 'part of it')"
_Q5 = (
    'choice = dict(sample="a row", no_mask="worse", optimizer="SGD", parts="unequal", micro_batches="small")\n'
    'choice |= dict(critical="grows", fit="another number", ramp="learning rate", travels="unknown")\n'
    f'own_choice = {{key: "yes" if key in {_YES} else "no" for key in p.choices}}\n'
)

RIGHT = {
    "q1": [
        _Q1,
        "import math\n"
        + _Q1.replace("-(-p.budget // tokens_per_iteration)", "math.ceil(p.budget / tokens_per_iteration)"),
        _Q1
        + """def epochs_read(T, B, A, W, budget, dataset):
    each, rest = T * B * A * W, budget % (T * B * A * W)
    return (budget + (each - rest if rest else 0)) / dataset
""",
    ],
    "q2": [
        _Q2,
        _Q2.replace(
            "return 1 - sum(lengths) / sum(len(b) * max(b) for b in batches)",
            "empty = sum(max(b) - n for b in batches for n in b)\n    return empty / (empty + sum(lengths))",
        ),
        _Q2
        + """def sorted_share(lengths, batch_size, pool_size):
    places = sorted(range(len(lengths)), key=lambda k: (k // pool_size, lengths[k]))
    return padding_share([lengths[k] for k in places], batch_size)
""",
    ],
    "q3": [
        _Q3,
        _Q3
        + """def wrapped(lengths, T):
    owners = [k for k, n in enumerate(lengths) for _ in range(n)]
    cut = [owners[k:k + T] for k in range(0, len(owners), T)]
    return [[row.count(k) for k in sorted(set(row))] for row in cut]
""",
        _Q3.replace(
            "sorted([min(n, T) for n in lengths], reverse=True)", "sorted([n if n < T else T for n in lengths])[::-1]"
        ),
    ],
    "q4": [
        _Q4,
        "import numpy as np\n" + _Q4.replace("return sum(values) / len(values)", "return float(np.mean(values))"),
        _Q4.replace("return len(tokens) / sum(tokens)", "return 1 / (sum(tokens) / len(tokens))"),
    ],
    "q5": [
        _Q5,
        _Q5 + "choice = {key: word.upper() for key, word in choice.items()}",
        _Q5 + "choice['sample'] = ' a row '",
    ],
}

WRONG = {
    "q1": {
        "one pass": (_Q1.replace("p.T * p.B * p.A * p.W", "p.T * p.B"), "one pass"),
        "no devices": (_Q1.replace("p.T * p.B * p.A * p.W", "p.T * p.B * p.A"), "Count all devices"),
        "no accumulation": (_Q1.replace("p.T * p.B * p.A * p.W", "p.T * p.B * p.W"), "added up"),
        "sequences": (_Q1.replace("p.T * p.B * p.A * p.W", "p.B * p.A * p.W"), "Count their tokens"),
        "rounded down": (
            _Q1.replace("-(-p.budget // tokens_per_iteration)", "p.budget // tokens_per_iteration"),
            "Round up",
        ),
        "budget divided": (_Q1.replace("-(-budget // each) * each", "budget"), "last iteration"),
        "epochs rounded down": (_Q1.replace("-(-budget // each) * each", "budget // each * each"), "whole one"),
        "iterations for epochs": (_Q1.replace("* each / dataset", "* 1.0"), "iterations"),
    },
    "q2": {
        "longest of all": (_Q2.replace("max(b) for", "max(lengths) for"), "longest of all"),
        "share of tokens": (_Q2.replace("return 1 - ", "return "), "share with a token"),
        "places": (
            _Q2.replace(
                "1 - sum(lengths) / sum(len(b) * max(b) for b in batches)",
                "sum(len(b) * max(b) for b in batches) - sum(lengths)",
            ),
            "number of places",
        ),
        "mean of shares": (
            _Q2.replace(
                "1 - sum(lengths) / sum(len(b) * max(b) for b in batches)",
                "sum(1 - sum(b) / len(b) / max(b) for b in batches) / len(batches)",
            ),
            "mean of means",
        ),
        "last batch full": (_Q2.replace("len(b) * max(b)", "batch_size * max(b)"), "padding"),
        "sorted everything": (
            _Q2.replace("order += sorted(lengths[k:k + pool_size])", "order = sorted(lengths)"),
            "Pools of one",
        ),
        "pools not sorted": (_Q2.replace("sorted(lengths[k:k + pool_size])", "lengths[k:k + pool_size]"), "pool size"),
        "batches in pools": (
            _Q2
            + """def sorted_share(lengths, batch_size, pool_size):
    width = 0
    for k in range(0, len(lengths), pool_size):
        pool = sorted(lengths[k:k + pool_size])
        width += sum(len(pool[j:j + batch_size]) * max(pool[j:j + batch_size]) for j in range(0, len(pool), batch_size))
    return 1 - sum(lengths) / width
""",
            "Pools of one",
        ),
    },
    "q3": {
        "not packed": (_Q3 + "def best_fit(lengths, T):\n    return [[min(n, T)] for n in lengths]", "Several fit"),
        "too long": (_Q3 + "def best_fit(lengths, T):\n    return [list(lengths)]", "more than T"),
        "split": (
            _Q3.replace("[min(n, T) for n in lengths]", "[m for n in lengths for m in [T] * (n // T) + [n % T] if m]"),
            "cut off, not split",
        ),
        "long ones left out": (
            _Q3.replace("[min(n, T) for n in lengths]", "[n for n in lengths if n <= T]"),
            "cut off, not split",
        ),
        "first fit": (_Q3.replace("sum(row) > sum(best)", "False"), "not the first one"),
        "worst fit": (_Q3.replace("sum(row) > sum(best)", "sum(row) < sum(best)"), "not the first one"),
        "in their order": (
            _Q3.replace("sorted([min(n, T) for n in lengths], reverse=True)", "[min(n, T) for n in lengths]"),
            "longest goes first",
        ),
        "the rest lost": (_Q3.replace("n, room = n - piece", "n, room = 0"), "loses tokens"),
        "numbers for rows": (_Q3 + "def wrapped(lengths, T):\n    return -(-sum(lengths) // T)", "list of rows"),
        "rows of sums": (
            _Q3
            + "def wrapped(lengths, T):\n    s = sum(lengths)\n    return [[T]] * (s // T) + [[s % T]] * (s % T > 0)",
            "not those of the joined",
        ),
    },
    "q4": {
        "tokens everywhere": (_Q4.replace('over == "tokens"', "True"), "the same"),
        "documents for micro-batches": (
            _Q4.replace('over == "documents"', "True").replace('if over == "tokens"', 'if over == "tokens" '),
            "the same",
        ),
        "empty documents": (_Q4.replace("for d in part if d]", "for d in part]"), "ZeroDivisionError"),
        "empty counted": (
            _Q4.replace("mean([mean(j) for j in joined if j])", "sum(mean(j) for j in joined if j) / len(joined)"),
            "Leave it out",
        ),
        "three means": (
            _Q4.replace(
                "return mean([mean(j) for j in joined if j])",
                "return mean([mean([mean(d) for d in part if d]) for part in micro_batches if any(part)])",
            ),
            "means three times",
        ),
        "no devices": (_Q4.replace("len(tokens) / sum(tokens)", "1 / sum(tokens)"), "Make up for it"),
        "plain average": (_Q4.replace("len(tokens) / sum(tokens)", "1 / len(tokens)"), "plain average"),
        "number of devices": (_Q4.replace("len(tokens) / sum(tokens)", "float(len(tokens))"), "tokens of all"),
    },
    "q5": {
        "sample": (_Q5 + "choice['sample'] = 'a document'", "489"),
        "no mask": (_Q5 + "choice['no_mask'] = 'as well'", "hoped"),
        "better": (_Q5 + "choice['no_mask'] = 'better'", "box"),
        "optimizer": (_Q5 + "choice['optimizer'] = 'Adam'", "first step"),
        "parts": (_Q5 + "choice['parts'] = 'equal'", "is right"),
        "micro-batches": (_Q5 + "choice['micro_batches'] = 'large'", "differ less"),
        "shrinks": (_Q5 + "choice['critical'] = 'shrinks'", "two targets"),
        "stays": (_Q5 + "choice['critical'] = 'stays'", "two targets"),
        "fit": (_Q5 + "choice['fit'] = 'the same number'", "subsets"),
        "ramp": (_Q5 + "choice['ramp'] = 'number of tokens'", "not equal"),
        "travels": (_Q5 + "choice['travels'] = 'right'", "measured"),
        "does not travel": (_Q5 + "choice['travels'] = 'wrong'", "measured"),
        "own questions": (_Q5 + "own_choice = dict.fromkeys(p.choices, 'yes')", "Look again at:"),
        "own questions left out": (_Q5 + "own_choice = {}", "has no entry"),
    },
}
