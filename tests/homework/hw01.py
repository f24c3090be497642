"""Answers to homework 1: right ones written differently, and wrong ones with a piece of the hint they must get.

Each is code that is run after the cells that a student is given.
"""

RIGHT = {
    "q1": [
        "iterations_per_epoch = -(-p.N // p.B)\ntotal_iterations = p.E * iterations_per_epoch\nlast_batch = p.N % p.B",
        "import math\niterations_per_epoch = math.ceil(p.N / p.B)\ntotal_iterations = sum(iterations_per_epoch for _ in range(p.E))\n"
        "last_batch = p.N - p.B * (iterations_per_epoch - 1)",
        "import numpy as np\nbatches = np.array_split(np.arange(p.N), range(p.B, p.N, p.B))\niterations_per_epoch = len(batches)\n"
        "total_iterations = np.int64(len(batches) * p.E)\nlast_batch = np.int32(len(batches[-1]))",
        "from lib.plan import TrainingPlan\nplan = TrainingPlan(p.N, p.B, p.E)\niterations_per_epoch = plan.iterations_per_epoch\n"
        "total_iterations = plan.total_iterations\nlast_batch = plan.last_batch_size",
    ],
}

_Q1 = "iterations_per_epoch = -(-p.N // p.B)\ntotal_iterations = p.E * iterations_per_epoch\nlast_batch = p.N % p.B\n"
WRONG = {
    "q1": {
        "rounded down": (_Q1 + "iterations_per_epoch = p.N // p.B", "rounded down"),
        "a float": (_Q1 + "iterations_per_epoch = p.N / p.B", "counted"),
        "samples for iterations": (_Q1 + "iterations_per_epoch = p.N", "number of samples"),
        "batch size for number of batches": (_Q1 + "iterations_per_epoch = p.B", "batch size: samples"),
        "one ceiling for all epochs": (_Q1 + "total_iterations = -(-p.N * p.E // p.B)", "round up per epoch"),
        "tails left out": (_Q1 + "total_iterations = p.N // p.B * p.E", "left out the last batch"),
        "visits for updates": (_Q1 + "total_iterations = p.N * p.E", "visits"),
        "a full last batch": (_Q1 + "last_batch = p.B", "does not divide"),
        "what is missing": (_Q1 + "last_batch = p.B - p.N % p.B", "missing"),
        "an empty last batch": (_Q1 + "last_batch = 0", "without samples"),
        "text": (_Q1 + "last_batch = str(last_batch)", "must be a whole number"),
        "numbers of another student": ("q = grader.parameters('somebody else')\n" + _Q1.replace("p.", "q."), "samples"),
    },
}

RIGHT["q2"] = [
    """
def count_run(num_samples, batch_size, epochs, drop_last):
    iterations = visits = last_batch = 0
    for _ in range(epochs):
        left = num_samples
        while left >= batch_size or (left > 0 and not drop_last):
            last_batch = min(left, batch_size)
            left -= last_batch
            visits += last_batch
            iterations += 1
    return dict(iterations=iterations, visits=visits, last_batch=last_batch)
""",
    """
def count_run(num_samples, batch_size, epochs, drop_last):
    full, rest = divmod(num_samples, batch_size)
    sizes = [batch_size] * full + ([rest] if rest and not drop_last else [])
    return {"visits": epochs * sum(sizes), "iterations": epochs * len(sizes), "last_batch": sizes[-1] if sizes else 0}
""",
    """
import numpy as np
def count_run(num_samples, batch_size, epochs, drop_last):
    batches = [b for b in np.split(np.arange(num_samples), range(batch_size, num_samples, batch_size))]
    if drop_last:
        batches = [b for b in batches if len(b) == batch_size]
    return {"iterations": np.int64(epochs * len(batches)), "visits": np.sum([len(b) for b in batches * epochs], dtype=int),
            "last_batch": len(batches[-1]) if batches else 0}
""",
]
_LOOP = RIGHT["q2"][1]
WRONG["q2"] = {
    "always dropped": (_LOOP.replace("if rest and not drop_last", "if False"), "make an iteration too"),
    "never dropped": (_LOOP.replace(" and not drop_last", ""), "take part in no update"),
    "all epochs as one list": (
        _LOOP.replace("divmod(num_samples,", "divmod(num_samples * epochs,").replace("epochs * ", ""),
        "one long list",
    ),
    "one epoch": (_LOOP.replace("epochs * len", "len"), "counted one epoch"),
    "visits of one epoch": (_LOOP.replace("epochs * sum", "sum"), "samples of one epoch"),
    "a full last batch": (_LOOP.replace("[rest] if", "[batch_size] if"), "as a full one"),
    "nothing returned": (_LOOP.replace("return", "result ="), "Is there a `return`"),
    "a list": (
        _LOOP.replace("return {", "return list({").replace("else 0}", "else 0}.values())"),
        "must return a dict",
    ),
    "fails without batches": (_LOOP.replace("sizes[-1] if sizes else 0", "sizes[-1]"), "could not be read"),
    "floats": (_LOOP.replace("epochs * len(sizes)", "epochs * len(sizes) / 1"), "a float"),
}

RIGHT["q3"] = [
    "from lib.plan import TrainingPlan\ndef shared_epoch(N, B, A, W):\n"
    "    plan = TrainingPlan(N, B, world_size=W, accumulation_steps=A)\n"
    "    return dict(global_batch=plan.global_batch_size, repeated=plan.samples_repeated_per_epoch,\n"
    "                passes=plan.batches_per_epoch, steps_per_epoch=plan.iterations_per_epoch)",
    "import math\ndef shared_epoch(N, B, A, W):\n    share = math.ceil(N / W)\n    passes = math.ceil(share / B)\n"
    "    return {'repeated': share * W - N, 'passes': passes, 'steps_per_epoch': math.ceil(passes / A), 'global_batch': A * B * W}",
    """
def shared_epoch(N, B, A, W):
    repeated = -N % W
    passes = len(range(0, (N + repeated) // W, B))
    steps_per_epoch = len(range(0, passes, A))
    global_batch = sum(B for device in range(W) for micro_batch in range(A))
    return {"global_batch": global_batch, "repeated": repeated, "passes": passes, "steps_per_epoch": steps_per_epoch}
""",
]


def _q3(line: str) -> str:
    """Question 3 with one count spoilt."""
    return RIGHT["q3"][2].replace("    return", f"    {line}\n    return")


WRONG["q3"] = {
    "one device's batch": (_q3("global_batch = B"), "one pass on one device"),
    "devices forgotten": (_q3("global_batch = B * A"), "forgot the devices"),
    "accumulation forgotten": (_q3("global_batch = B * W"), "forgot the accumulation"),
    "nothing repeated": (_q3("repeated = 0"), "must be repeated"),
    "left over for repeated": (_q3("repeated = N % W"), "left over after equal shares"),
    "passes of one device alone": (_q3("passes = -(-N // B)"), "one device alone"),
    "last batch left out": (_q3("passes = -(-N // W) // B"), "left out the smaller last batch"),
    "passes for steps": (_q3("steps_per_epoch = passes"), "counts passes"),
    "accumulation tail left out": (_q3("steps_per_epoch = passes // A"), "iteration of their own"),
    "divided by the global batch": (_q3("steps_per_epoch = N // (A * B * W)"), "micro-batches"),
    "devices added up": (_q3("steps_per_epoch = passes * W"), "at the same time"),
    "nothing returned": (RIGHT["q3"][2].replace("return", "result ="), "Is there a `return`"),
    "one device is special": (_q3("repeated += W == 1"), "With other numbers"),
}

RIGHT["q4"] = [
    "true_passes = p.B\ndef stopped_at(N, B, M):\n    epochs, rest = divmod(M, -(-N // B))\n"
    "    return dict(complete_epochs=epochs, samples_of_the_next=rest * B)",
    "import math\ntrue_passes = p.N * p.B / p.N\ndef stopped_at(N, B, M):\n    per_epoch = math.ceil(N / B)\n"
    "    epochs = M // per_epoch\n"
    "    return {'complete_epochs': epochs, 'samples_of_the_next': B * (M - epochs * per_epoch)}",
    """
def stopped_at(N, B, M):
    complete_epochs = samples_of_the_next = 0
    for step in range(M):
        samples_of_the_next += B
        if samples_of_the_next >= N:
            complete_epochs += 1
            samples_of_the_next = 0
    return {"complete_epochs": complete_epochs, "samples_of_the_next": samples_of_the_next}
true_passes = float(p.B)
""",
]


def _q4(line: str) -> str:
    return RIGHT["q4"][2].replace("    return", f"    {line}\n    return")


WRONG["q4"] = {
    "one pass": (RIGHT["q4"][0] + "\ntrue_passes = 1", "far more than each sample once"),
    "steps for passes": (RIGHT["q4"][0] + "\ntrue_passes = p.N", "number of steps"),
    "batches for passes": (RIGHT["q4"][0] + "\ntrue_passes = -(-p.N // p.B)", "how many batches an epoch has"),
    "the last epoch counted": (_q4("complete_epochs += 1"), "not complete"),
    "divided by the batch size": (_q4("complete_epochs = M // B"), "iterations by the batch size"),
    "iterations for samples": (_q4("samples_of_the_next //= B"), "counts iterations"),
    "tails taken for full": (_q4("samples_of_the_next = M * B % N"), "was smaller"),
    "a fraction of epochs": (_q4("complete_epochs = M / 7.3"), "a float"),
    "an epoch held back at its end": (
        _q4("if not samples_of_the_next:\n        complete_epochs, samples_of_the_next = complete_epochs - 1, N"),
        "at the end of an epoch",
    ),
}

_KINDS = dict(
    replacement="both",
    drop_last="some missing",
    padded="some twice",
    shuffled="once",
    whole="batch",
    single="stochastic",
    between="mini-batch",
    straight="batch",
)
_OWN_KINDS = {
    "stored": "once",
    "filled": "some twice",
    "half": "some missing",
    "weighted": "both",
    "cut": "some missing",
    "even": "once",
    "one less": "some missing",
    "one more": "some twice",
    "divides": "once",
    "apart": "both",
}
_OWN = f"own_kinds = {{key: {_OWN_KINDS}[key] for key in p.kinds}}\n"
RIGHT["q5"] = [
    _OWN + f"kinds = {_KINDS}",
    _OWN + f"kinds = { {key: word.upper() for key, word in _KINDS.items()} }",
    _OWN + "kinds = {}\n" + "".join(f"kinds[{key!r}] = {' ' + word + ' '!r}\n" for key, word in _KINDS.items()),
]
WRONG["q5"] = {
    f"{key} {word}": (_OWN + f"kinds = {_KINDS | {key: word}}", hint)
    for key, word, hint in [
        ("replacement", "once", "do not remember"),
        ("replacement", "some missing", "never drawn"),
        ("replacement", "some twice", "drawn twice"),
        ("drop_last", "once", "last batch"),
        ("padded", "once", "Equal shares"),
        ("padded", "some missing", "What is added"),
        ("shuffled", "some twice", "no sample twice"),
        ("whole", "mini-batch", "part of the training set"),
        ("single", "mini-batch", "name of its own"),
        ("between", "stochastic", "one sample at a time"),
        ("straight", "mini-batch", "depends on the seed"),
        ("straight", "none", "must be one of"),
        ("drop_last", "both", "Look again at: drop_last"),
    ]
} | {
    "own sentences: once everywhere": (
        f"kinds = {_KINDS}\nown_kinds = dict.fromkeys(p.kinds, 'once')",
        "Look again at:",
    ),
    "own sentences: no such word": (f"kinds = {_KINDS}\nown_kinds = dict.fromkeys(p.kinds, 'twice')", "must be one of"),
    "own sentences: none": (f"kinds = {_KINDS}\nown_kinds = {{}}", "has no entry"),
}

_JUDGED = dict(
    learning="holds only if",
    iterations="holds only if",
    stable="holds only if",
    best="does not hold",
    activations="holds",
    weights="does not hold",
    passes="holds only if",
)
_OWN_JUDGED = {
    "half the iterations": "holds",
    "half the seconds": "holds only if",
    "per epoch": "holds",
    "at once": "holds only if",
    "dropped": "holds only if",
    "draws": "does not hold",
    "several": "holds",
    "one longer": "holds only if",
    "nearer": "holds",
    "always nearer": "does not hold",
}
_OWN = f"own_judged = {{key: {_OWN_JUDGED}[key] for key in p.judged}}\n"
RIGHT["q6"] = [
    _OWN + f"judged = {_JUDGED}",
    _OWN + f"judged = { {key: word.title() for key, word in _JUDGED.items()} }",
    _OWN + "judged = {}\n" + "".join(f"judged[{key!r}] = {word!r}\n" for key, word in reversed(_JUDGED.items())),
]
WRONG["q6"] = {
    f"{key} {word}": (_OWN + f"judged = {_JUDGED | {key: word}}", hint)
    for key, word, hint in [
        ("learning", "holds", "turned around"),
        ("learning", "does not hold", "did fall"),
        ("iterations", "holds", "not ahead"),
        ("iterations", "does not hold", "was ahead"),
        ("stable", "holds", "too large a learning rate"),
        ("best", "holds", "depend on the model"),
        ("activations", "does not hold", "every sample of the batch"),
        ("weights", "holds", "one set of weights"),
        ("passes", "holds", "share one update"),
        ("passes", "does not hold", "Without accumulation"),
        ("best", "holds only if", "Look again at: best"),
    ]
} | {
    "own sentences: one word everywhere": (
        f"judged = {_JUDGED}\nown_judged = dict.fromkeys(p.judged, 'holds only if')",
        "Look again at:",
    )
}
