"""Answers to homework 2: right ones written differently, and wrong ones with a piece of the hint they must get.

Each is code that is run after the cells that a student is given.
"""

_Q1 = """
def epoch_batches(num_samples, batch_size, seed, epoch):
    order = np.random.default_rng([seed, epoch]).permutation(num_samples)
    return [order[i:i + batch_size] for i in range(0, num_samples, batch_size)]
"""
_Q2 = """
def epoch_loss(losses, sizes):
    return sum(l * s for l, s in zip(losses, sizes) if s) / sum(sizes)
short_weight = p.B / (p.N % p.B)
"""
_Q3 = """
def evaluate(sample_losses, batch_size):
    return sum(sample_losses) / len(sample_losses)
def visits(num_samples, batch_size, epochs, seed):
    rng = np.random.default_rng(seed)
    return [rng.permutation(num_samples) for _ in range(epochs)]
def train(weight, gradients, learning_rate, max_iters):
    for i in range(max_iters):
        weight -= learning_rate * gradients[i % len(gradients)]
    return weight
"""
_Q4 = """
effects = dict(memory='grows', noise='shrinks', constant_rate='no', full_batch='no', renamed='no',
               validation='yes', sorted='no')
own_effects = {key: {
    "iterations": "shrinks", "visits": "same", "gradient": "same", "wider": "grows", "nearly all": "shrinks",
    "summed": "grows", "halved": "same", "longer": "grows", "one more": "grows", "one more, dropped": "same",
}[key] for key in p.effects}
"""
_Q5 = """
sd_with = (p.trace / p.batch) ** 0.5
sd_without = (p.trace / p.batch * (p.M - p.batch) / (p.M - 1)) ** 0.5
factor_16 = 0.25
"""
_Q6 = """
def noise_scale(small_squared, big_squared, small, big):
    s, b = np.mean(small_squared), np.mean(big_squared)
    return (s - b) / (1 / small - 1 / big) / ((big * b - small * s) / (big - small))
bias = {'ratio': 'usually upwards'}
"""

RIGHT = {
    "q1": [
        _Q1,
        "import random\ndef epoch_batches(n, b, seed, epoch):\n    order = list(range(n))\n"
        "    random.Random(f'{seed},{epoch}').shuffle(order)\n    batches = []\n    while order:\n"
        "        batches.append(order[:b])\n        order = order[b:]\n    return batches",
        "from lib.sampling import batches, epoch_order\ndef epoch_batches(n, b, seed, epoch):\n"
        "    return batches(epoch_order(n, seed, epoch), b)",
        "def epoch_batches(n, b, seed, epoch):\n    keys = np.random.RandomState([seed, epoch]).rand(n)\n"
        "    return np.array_split(np.argsort(keys), range(b, n, b))",
    ],
    "q2": [
        _Q2,
        "def epoch_loss(losses, sizes):\n    sizes = np.array(sizes)\n    kept = sizes > 0\n"
        "    return np.average(np.array(losses)[kept], weights=sizes[kept])\n"
        "last = p.N - p.N // p.B * p.B\nshort_weight = np.float64((1 / last) / (1 / p.B))",
        "def epoch_loss(losses, sizes):\n    every = [l for l, s in zip(losses, sizes) for _ in range(s)]\n"
        "    return sum(every) / len(every)\nshort_weight = p.B / (p.N % p.B)",
    ],
    "q3": [
        _Q3,
        _Q3 + "import random\ndef visits(n, b, epochs, seed):\n    rng = random.Random(seed)\n"
        "    return [rng.sample(range(n), n) for _ in range(epochs)]\n"
        "def evaluate(l, b):\n    parts = [l[i:i + b] for i in range(0, len(l), b)]\n"
        "    return sum(np.mean(q) * len(q) for q in parts) / len(l)",
        _Q3 + "def train(w, g, lr, max_iters):\n    i = 0\n    while True:\n        if i >= max_iters:\n"
        "            return w\n        w = w - lr * g[i % len(g)]\n        i += 1\n"
        "def visits(n, b, epochs, seed):\n"
        "    return [np.random.default_rng([seed, e]).permutation(n) for e in range(epochs)]",
    ],
    "q4": [
        _Q4,
        _Q4.replace("'grows'", "' Grows '"),
        _Q4 + "effects = {key: word.upper() for key, word in effects.items()}",
    ],
    "q5": [
        _Q5,
        "import math\nsd_with = math.sqrt(p.trace) / math.sqrt(p.batch)\n"
        "sd_without = sd_with * math.sqrt((p.M - p.batch) / (p.M - 1))\nfactor_16 = 1 / math.sqrt(16)",
        "sd_with = np.sqrt(np.float64(p.trace) / p.batch)\n"
        "sd_without = np.sqrt(p.trace * (1 / p.batch - 1 / p.M) * p.M / (p.M - 1))\nfactor_16 = 16 ** -0.5",
    ],
    "q6": [
        _Q6,
        _Q6 + "def noise_scale(x, y, a, b):\n    A = [[1, 1 / a], [1, 1 / b]]\n"
        "    g, t = np.linalg.solve(A, [np.mean(x), np.mean(y)])\n    return t / g",
        _Q6 + "def noise_scale(x, y, a, b):\n    t = [(u - v) * a * b / (b - a) for u, v in zip(x, y)]\n"
        "    g = [v - k / b for v, k in zip(y, t)]\n    return sum(t) / sum(g)",
    ],
}


def _order(line: str) -> str:
    """Question 1 with another order."""
    return _Q1.replace("np.random.default_rng([seed, epoch]).permutation(num_samples)", line)


def _batches(line: str) -> str:
    return _Q1.replace("[order[i:i + batch_size] for i in range(0, num_samples, batch_size)]", line)


def _loss(line: str) -> str:
    return _Q2 + f"def epoch_loss(losses, sizes):\n    return {line}"


def _scale(line: str) -> str:
    return _Q6.replace("(s - b) / (1 / small - 1 / big) / ((big * b - small * s) / (big - small))", line)


_TRACE, _NORM = "(s - b) / (1 / small - 1 / big)", "((big * b - small * s) / (big - small))"
_SUM = "sum(l * s for l, s in zip(losses, sizes))"
WRONG = {
    "q1": {
        "last batch dropped": (
            _batches("[order[i:i + batch_size] for i in range(0, num_samples - batch_size + 1, batch_size)]"),
            "left out the last batch",
        ),
        "with replacement": (
            _order("np.random.default_rng([seed, epoch]).integers(num_samples, size=num_samples)"),
            "with replacement",
        ),
        "not shuffled": (_order("np.arange(num_samples)"), "order of the training set"),
        "counted from one": (
            _order("1 + np.random.default_rng([seed, epoch]).permutation(num_samples)"),
            "count from 0",
        ),
        "number of batches": (_batches("np.array_split(order, batch_size)"), "number of batches"),
        "filled up": (
            _order(
                "np.resize(np.random.default_rng([seed, epoch]).permutation(num_samples), "
                "-(-num_samples // batch_size) * batch_size)"
            ),
            "to fill a batch",
        ),
        "same every epoch": (_order("np.random.default_rng(seed).permutation(num_samples)"), "Epochs 0 and 1"),
        "seed ignored": (_order("np.random.default_rng(epoch).permutation(num_samples)"), "Seeds 3 and 4"),
        "not reproducible": (_order("np.random.default_rng().permutation(num_samples)"), "two different orders"),
        "seed plus epoch": (_order("np.random.default_rng(seed + epoch).permutation(num_samples)"), "mixes them up"),
        "global state": (
            _Q1.replace("order =", "np.random.seed(seed * 1000 + epoch)\n    order =").replace(
                "np.random.default_rng([seed, epoch])", "np.random"
            ),
            "global random state",
        ),
        "global state, and a constant for what looks at it": (
            _Q1.replace("order =", "np.random.seed(seed * 1000 + epoch)\n    order =").replace(
                "np.random.default_rng([seed, epoch])", "np.random"
            )
            + "global_state = lambda draws=0: 0",
            "could not make sense",
        ),
        "global state, and an old look at it": (
            _Q1.replace("order =", "np.random.seed(seed * 1000 + epoch)\n    order =").replace(
                "np.random.default_rng([seed, epoch])", "np.random"
            )
            + "_once = global_state()\nglobal_state = lambda draws=0: _once",
            "does not show",
        ),
        "empty batch": (_batches("np.split(order, range(batch_size, num_samples + 1, batch_size))"), "empty batch"),
    },
    "q2": {
        "mean of means": (_loss("sum(losses) / len(losses)"), "mean of the batch means"),
        "divided by N over B": (_loss("sum(losses) / (sum(sizes) / max(sizes))"), "divided by N/B"),
        "sum over samples": (_loss(_SUM), "not the mean"),
        "sum over batch count": (_loss(_SUM + " / len(sizes)"), "by the number of batches"),
        "sum of means over samples": (_loss("sum(losses) / sum(sizes)"), "Each mean stands"),
        "short batch as full": (_loss(_SUM + " / (max(sizes) * len(sizes))"), "as if it were full"),
        "empty batch counted": (_loss(_SUM + " / sum(sizes)"), "must not bring its loss in"),
        "turned over": (_Q2 + "short_weight = (p.N % p.B) / p.B", "turned the factor over"),
        "below one": (_Q2 + "short_weight = (p.N % p.B) / (p.B + 1)", "Did you turn it over"),
        "number of batches": (_Q2 + "short_weight = -(-p.N // p.B)", "number of batches"),
        "fair weight": (_Q2 + "short_weight = p.N / (-(-p.N // p.B) * (p.N % p.B))", "fair weight"),
        "rounded": (_Q2 + "short_weight = p.B / (p.N % p.B) * 1.01", "does not fit"),
    },
    "q3": {
        "still the mean of means": (_Q3 + "evaluate = broken_evaluate", "averages over batches"),
        "loss without the tail": (_Q3 + "evaluate = lambda l, b: np.mean(l[:len(l) // b * b])", "left out"),
        "still with replacement": (
            _Q3 + "visits = lambda n, b, e, s: [np.random.default_rng([s, i]).integers(n, size=n) for i in range(e)]",
            "with replacement",
        ),
        "still rounded down": (_Q3 + "visits = broken_visits", "Rounding down"),
        "same permutation": (
            _Q3 + "visits = lambda n, b, e, s: [np.random.default_rng(s).permutation(n) for i in range(e)]",
            "same permutation",
        ),
        "no seed": (
            _Q3 + "visits = lambda n, b, e, s: [np.random.default_rng(i).permutation(n) for i in range(e)]",
            "depend on the seed",
        ),
        "one update too many": (_Q3 + "train = broken_train", "too many"),
        "one update too few": (_Q3 + "_right = train\ntrain = lambda w, g, l, m: _right(w, g, l, m - 1)", "too few"),
        "at least one update": (
            _Q3 + "_right = train\ntrain = lambda w, g, l, m: _right(w, g, l, max(m, 1))",
            "max_iters = 0",
        ),
    },
    "q4": {
        "memory shrinks": (_Q4 + "effects['memory'] = 'shrinks'", "activations of each are kept"),
        "memory same": (_Q4 + "effects['memory'] = 'same'", "weights take the same memory"),
        "noise grows": (_Q4 + "effects['noise'] = 'grows'", "scatters less"),
        "settles": (_Q4 + "effects['constant_rate'] = 'yes'", "kicking"),
        "always stable": (_Q4 + "effects['full_batch'] = 'yes'", "diverges"),
        "renamed epochs matter": (_Q4 + "effects['renamed'] = 'yes'", "same batches in the same order"),
        "validation unmoved": (_Q4 + "effects['validation'] = 'no'", "validates at the end"),
        "one word for all of one's own": (_Q4 + "own_effects = dict.fromkeys(p.effects, 'same')", "Look again at:"),
        "another word": (_Q4 + "own_effects = dict.fromkeys(p.effects, 'yes')", "must be one of"),
        "more updates for shuffling": (_Q4 + "effects['sorted'] = 'yes'", "do not mix"),
    },
    "q5": {
        "a variance": (_Q5 + "sd_with = p.trace / p.batch", "That is a variance"),
        "divided by the batch size": (_Q5 + "sd_with = p.trace ** 0.5 / p.batch", "in proportion"),
        "one sample": (_Q5 + "sd_with = p.trace ** 0.5", "single sample"),
        "no factor": (_Q5 + "sd_without = sd_with", "tells more"),
        "swapped": (_Q5 + "sd_with, sd_without = sd_without, sd_with", "swap"),
        "factor outside the root": (
            _Q5 + "sd_without = sd_with * (p.M - p.batch) / (p.M - 1)",
            "belongs to the variance",
        ),
        "a variance without": (_Q5 + "sd_without = sd_without ** 2", "variance without replacement"),
        "divided by M": (_Q5 + "sd_without = sd_with * ((p.M - p.batch) / p.M) ** 0.5", "nearly right"),
        "factor of the variance": (_Q5 + "factor_16 = 1 / 16", "factor of the variance"),
        "noise that grows": (_Q5 + "factor_16 = 4", "below 1"),
    },
    "q6": {
        "upside down": (_scale(f"{_NORM} / ({_TRACE})"), "upside down"),
        "noise alone": (_scale(_TRACE), "noise alone"),
        "signal alone": (_scale(_NORM), "signal alone"),
        "big batch as the gradient": (_scale(f"{_TRACE} / b"), "big batch's gradient"),
        "small batch as the gradient": (_scale(f"{_TRACE} / s"), "small batch's gradient"),
        "difference of norms": (_scale(f"(s - b) / {_NORM}"), "difference of squared norms"),
        "mean of ratios": (
            _Q6 + "_one = noise_scale\nnoise_scale = lambda x, y, a, b: "
            "np.mean([_one([u], [v], a, b) for u, v in zip(x, y)])",
            "ratios of single draws",
        ),
        "no bias": (_Q6 + "bias['ratio'] = 'none'", "unbiased each"),
        "downwards": (_Q6 + "bias['ratio'] = 'usually downwards'", "lowers it"),
    },
}


_Q7 = """
def samples_seen(num_samples, batch_size, iterations):
    seen, left = 0, num_samples
    for iteration in range(iterations):
        batch = min(batch_size, left)
        seen, left = seen + batch, left - batch
        left = left or num_samples
    return seen
def updates(num_micro_batches, accumulation, epochs):
    made, waiting = [], []
    for epoch in range(epochs):
        for number in range(num_micro_batches):
            waiting.append([epoch, number])
            if (number + 1) % accumulation == 0 or number + 1 == num_micro_batches:
                made.append(waiting)
                waiting = []
    return made
"""
RIGHT["q7"] = [
    _Q7,
    _Q7 + "def samples_seen(N, B, i):\n    per = -(-N // B)\n    return N * (i // per) + B * (i % per)",
    _Q7 + "def updates(M, A, E):\n    every = np.arange(M)\n"
    "    groups = np.split(every, range(A, M, A))\n"
    "    return [[[e, int(n)] for n in g] for e in range(E) for g in groups]",
]


def _q7(old: str, new: str) -> str:
    assert old in _Q7
    return _Q7.replace(old, new)


WRONG["q7"] = {
    "full batches": (_Q7 + "samples_seen = broken_samples_seen", "still counts as a full one"),
    "one smaller batch": (_Q7 + "samples_seen = lambda N, B, i: i * B - (B - N % B)", "one batch smaller"),
    "whole epochs": (_Q7 + "samples_seen = lambda N, B, i: i // -(-N // B) * N", "whole epochs only"),
    "an empty batch where B divides N": (
        _Q7 + "samples_seen = lambda N, B, i: i // (N // B + 1) * N + i % (N // B + 1) * B",
        "divides the samples",
    ),
    "a float": (_q7("return seen", "return seen / 1"), "a float"),
    "counted from 0": (_Q7 + "updates = broken_updates", "when have three of them passed"),
    "carried": (_q7(" or number + 1 == num_micro_batches", ""), "mixes gradients of two epochs"),
    "dropped": (
        _q7(" or number + 1 == num_micro_batches", "").replace(
            "        for number", "        waiting = []\n        for number"
        ),
        "in no update",
    ),
    "not reset": (
        _q7(
            "made.append(waiting)\n                waiting = []",
            "made.append(list(waiting))\n                waiting = waiting if number < 4 else []",
        ),
        "more than one update",
    ),
    "an update for the tail in any case": (
        _q7(
            "    return made",
            "        made += [made[-1]] if num_micro_batches % accumulation == 0 else []\n    return made",
        ),
        "nothing is left over",
    ),
}


def collisions(p):
    """Pairs of a right number and a known wrong one, which must not agree for any student."""
    short, count = p.N % p.B, -(-p.N // p.B)
    for wrong in (short / p.B, count, p.N / (count * short), 1, p.B):
        yield p.B / short, wrong
    one, factor = p.trace / p.batch, (p.M - p.batch) / (p.M - 1)
    for wrong in (one, p.trace**0.5 / p.batch, p.trace**0.5, (one * factor) ** 0.5):
        yield one**0.5, wrong
    for wrong in (one * factor, one**0.5 * factor, (one * (p.M - p.batch) / p.M) ** 0.5):
        yield (one * factor) ** 0.5, wrong
