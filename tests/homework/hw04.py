"""Answers to homework 4: right ones written differently, and wrong ones with a piece of the hint they must get."""

_Q1 = """def accumulated_gradient(w, micro_batches):
    total, count, means = 0.0, 0, []
    for batch in micro_batches:
        terms = [2 * (w * x - y) * x for xs, ys in zip(batch["x"], batch["labels"]) for x, y in zip(xs, ys) if y != -100]
        total, count = total + sum(terms), count + len(terms)
        means.append(sum(terms) / len(terms) if terms else 0.0)
    RETURN
"""
_SUM = _Q1.replace("RETURN", "return total / max(count, 1)")
_WALK = """def walk(num_micro_batches, accumulation, epochs, tail):
    w, waiting = 0.0, 0
    for epoch in range(epochs):
        for micro_batch in range(num_micro_batches):
            waiting += 1
            if waiting == accumulation:
                w, waiting = w - 1, 0
        if tail != "carry":
            if waiting and tail.startswith("flush"):
                w -= 1 if tail == "flush" else waiting / accumulation
            waiting = 0
    return w
"""
_SHORT = """def walk(M, A, E, tail):
    return {"flush": -E * -(-M // A), "flush-fixed": -E * M / A, "carry": -(E * M // A), "drop": -E * (M // A)}[tail]
"""
_SHARE = """def share(order, rank, world_size, pad_to_even):
    order = list(order)
    if pad_to_even:
        start = list(order)
        while len(order) % world_size:
            order += start[:world_size - len(order) % world_size]
    else:
        order = order[:len(order) - len(order) % world_size]
    return order[rank::world_size]
def combined(means, counts):
    return sum(m * c for m, c in zip(means, counts)) / sum(counts)
per_device, repeated, dropped = -(-p.N // p.W), -p.N % p.W, p.N % p.W
"""
_TRAIN = """def train(state, iterations):
    w, v, i = state.get("w", 0.0), state.get("v", 0.0), state.get("i", 0)
    epoch, place = state.get("epoch", 0), state.get("place", 0)
    for _ in range(iterations):
        batch = epoch_order(len(x), SEED, epoch)[place * BATCH_SIZE:(place + 1) * BATCH_SIZE]
        v = MOMENTUM * v + float(np.mean(2 * (w * x[batch] - y[batch]) * x[batch]))
        w, i, place = w - learning_rate(i) * v, i + 1, place + 1
        if place * BATCH_SIZE >= len(x):
            epoch, place = epoch + 1, 0
    return {"w": w, "v": v, "i": i, "epoch": epoch, "place": place}
"""
_SAVE = 'save_actions = [["write", "new"], ["flush", "new"], ["rename", "checkpoint", "previous"], ["rename", "new", "checkpoint"]]\n'
_CHOICE = (
    'choice = dict(hugging_face="flush", lightning="flush-fixed", optax="carry", batchnorm="no", '
    'set_epoch="the same batches", equal="256", meeting="weights")\n'
    'own_choice = {key: "yes" if key in ("50 and 50", "activations", "layer norm", "64 samples", "even", "told", '
    '"epoch 7") else "no" for key in p.choices}\n'
)

RIGHT = {
    "q1": [
        _SUM,
        "import numpy as np\n"
        + """def accumulated_gradient(w, micro_batches):
    total = count = 0
    for batch in micro_batches:
        x, y = np.array(batch["x"]), np.array(batch["labels"])
        total, count = total + (2 * (w * x - y) * x * (y != -100)).sum(), count + (y != -100).sum()
    return total / count if count else 0.0
""",
        _Q1.replace("RETURN", "return 0.0 if not count else total * (1 / count)"),
    ],
    "q2": [
        _WALK,
        _SHORT,
        """def walk(M, A, E, tail):
    if tail == "carry":
        return walk(M * E, A, 1, "drop")
    groups = [range(M)[start:start + A] for start in range(0, M, A)]
    return -E * sum(len(g) / A if len(g) == A or tail == "flush-fixed" else tail == "flush" for g in groups)
""",
    ],
    "q3": [
        _SHARE,
        _SHARE
        + """def share(order, rank, world_size, pad_to_even):
    rounds = -(-len(order) // world_size) if pad_to_even else len(order) // world_size
    return [order[(rank + turn * world_size) % len(order)] for turn in range(rounds)]
""",
        _SHARE + "import numpy as np\ndef combined(means, counts):\n    return np.average(means, weights=counts)\n",
    ],
    "q4": [
        _TRAIN,
        _TRAIN.replace('state.get("epoch", 0), state.get("place", 0)', "i // 7, i % 7").replace(
            ', "epoch": epoch, "place": place', ""
        ),
        """def train(state, iterations):
    state = dict(state) or {"w": 0.0, "v": 0.0, "i": 0}
    for _ in range(iterations):
        batch = batches(epoch_order(26, SEED, state["i"] // 7), BATCH_SIZE)[state["i"] % 7]
        state["v"] = MOMENTUM * state["v"] + float((2 * (state["w"] * x[batch] - y[batch]) * x[batch]).mean())
        state["w"] -= learning_rate(state["i"]) * state["v"]
        state["i"] += 1
    return state
""",
    ],
    "q5": [
        _SAVE,
        _SAVE.replace('"new"', '"tmp"'),
        _SAVE.replace('["flush", "new"]', '["flush", "new"], ["flush", "new"]'),
    ],
    "q6": [
        _CHOICE,
        _CHOICE + "choice = {key: word.upper() for key, word in choice.items()}",
        _CHOICE + "choice['equal'] = ' 256 '",
    ],
}

WRONG = {
    "q1": {
        "mean of means": (_Q1.replace("RETURN", "return sum(means) / len(means)"), "mean of means"),
        "mean of means, seen at once": (
            _Q1.replace("RETURN", "return sum(means) / len(means)"),
            "in one micro-batch and in three",
        ),
        "divided by A": (_Q1.replace("RETURN", "return total / p.A"), "by A"),
        "divided by micro-batches": (
            _Q1.replace("RETURN", "return total / len(micro_batches)"),
            "sum over tokens by the number of micro-batches",
        ),
        "divided by sequences": (
            _Q1.replace("RETURN", "return total / sum(len(b['x']) for b in micro_batches)"),
            "by sequences",
        ),
        "divided by all tokens": (
            _Q1.replace("RETURN", "return total / sum(len(r) for b in micro_batches for r in b['x'])"),
            "all tokens",
        ),
        "sum not reset": (
            "kept = []\n" + _Q1.replace("RETURN", "kept.append(total)\n    return sum(kept) / max(count, 1)"),
            "reset",
        ),
        "empty micro-batch": (_SUM.replace(" if terms else 0.0", ""), "ZeroDivisionError"),
    },
    "q2": {
        "flush with fixed divisor": (_WALK.replace('1 if tail == "flush" else waiting', "waiting"), "divisors"),
        "carry dropped": (_WALK.replace('tail != "carry"', "True"), "carried"),
        "one epoch": (_WALK.replace("range(epochs)", "range(1)"), "carry and drop"),
        "uphill": (_WALK.replace("w - 1", "w + 1"), "against"),
        "sum for mean": (_SHORT.replace("return", "return A *"), "mean"),
        "leak": (_WALK.replace("waiting = 0\n    return", "waiting += 0\n    return"), "leak"),
        "carry flushed at the end": (_SHORT.replace("-(E * M // A)", "-E * M / A"), "flush-fixed, carry"),
    },
    "q3": {
        "blocks": (
            _SHARE.replace(
                "order[rank::world_size]",
                "order[rank * len(order) // world_size:(rank + 1) * len(order) // world_size]",
            ),
            "blocks",
        ),
        "uneven": (
            _SHARE.replace("    if pad_to_even:", "    return order[rank::world_size]\n    if pad_to_even:"),
            "equally long",
        ),
        "equal weights": (_SHARE + "def combined(means, counts):\n    return sum(means) / len(means)", "equal weights"),
        "no division": (
            _SHARE + "def combined(means, counts):\n    return sum(m * c for m, c in zip(means, counts))",
            "did not divide",
        ),
        "rounded down": (_SHARE + "per_device = p.N // p.W", "rounded down"),
        "repeated for dropped": (_SHARE + "dropped = repeated", "missing for padding"),
        "dropped for repeated": (_SHARE + "repeated = dropped", "beyond equal shares"),
        "padded with the end": (
            _SHARE.replace(
                "start[:world_size - len(order) % world_size]", "start[-1:] * (world_size - len(order) % world_size)"
            ),
            "start of the order",
        ),
    },
    "q4": {
        "velocity": (_TRAIN.replace('state.get("v", 0.0)', "0.0"), "velocity was forgotten"),
        "iteration": (_TRAIN.replace('state.get("i", 0)', "0"), "schedule was forgotten"),
        "place": (_TRAIN.replace('state.get("place", 0)', "0"), "place in the epoch was forgotten"),
        "epoch": (_TRAIN.replace('state.get("epoch", 0)', "0"), "epoch was forgotten"),
        "place public": (_TRAIN.replace('state.get("place", 0)', "0"), "look at the place"),
        "changes the state": (_TRAIN.replace("    return", "    state['w'] = w\n    return"), "Make a new dict"),
        "kept elsewhere": (
            "kept = {}\n"
            + _TRAIN.replace("state.get", "kept.get").replace(
                "    return", "    kept.update(w=w, v=v, i=i, epoch=epoch, place=place)\n    return"
            ),
            "outside",
        ),
        "no momentum": (_TRAIN.replace("MOMENTUM * v", "0 * v"), "not that of the run"),
    },
    "q5": {
        "over the newest": ('save_actions = [["write", "checkpoint"], ["flush", "checkpoint"]]', "over the newest"),
        "over the previous": ('save_actions = [["write", "previous"], ["flush", "previous"]]', "over the previous"),
        "no rename": ('save_actions = [["write", "new"], ["flush", "new"]]', "Nothing is renamed"),
        "no flush": (_SAVE.replace('["flush", "new"], ', ""), "not flushed"),
        "one kept": (_SAVE.replace('["rename", "checkpoint", "previous"], ', ""), "Two are kept"),
        "not an action": ('save_actions = ["write"]', "An action is"),
        "swapped": (
            'save_actions = [["rename", "checkpoint", "new"], ["rename", "new", "previous"]]',
            "not under 'checkpoint'",
        ),
    },
    "q6": {
        "batchnorm": (_CHOICE + "choice['batchnorm'] = 'yes'", "deviation"),
        "set_epoch": (_CHOICE + "choice['set_epoch'] = 'new batches'", "nobody told"),
        "equal": (_CHOICE + "choice['equal'] = '32'", "together"),
        "meeting": (_CHOICE + "choice['meeting'] = 'batch size'", "one number for each weight"),
        "lightning": (_CHOICE + "choice['lightning'] = 'flush'", "divisor"),
        "optax": (_CHOICE + "choice['optax'] = 'drop'", "forget"),
        "own questions": (_CHOICE + "own_choice = dict.fromkeys(p.choices, 'yes')", "Look again at:"),
        "own questions left out": (_CHOICE + "own_choice = {}", "has no entry"),
        "hugging face": (_CHOICE + "choice['hugging_face'] = 'drop'", "makes an iteration"),
    },
}
