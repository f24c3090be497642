"""What homework 4 gives to a student: the numbers to work with, and a tiny training problem."""

import math

from lib.sampling import generator

BATCH_SIZE, SEED, MOMENTUM, TOTAL_ITERATIONS = 4, 3, 0.9, 40  # of the run in question 4
IGNORED = -100  # the label of a token that does not count
CHOICES = [  # of each pair, one is answered yes and one no
    {
        "2 and 98": "Micro-batches of 2 and 98 counted tokens: is the mean of mean losses the mean over tokens?",
        "50 and 50": "Micro-batches of 50 and 50 counted tokens: is the mean of mean losses the mean over tokens?",
    },
    {
        "passes": "Does accumulation save passes, against one batch with all the samples?",
        "activations": "Does accumulation save memory for activations, against one batch with all the samples?",
    },
    {
        "layer norm": "A network with LayerNorm, accumulated in equal micro-batches: the weights of the big batch?",
        "dropout": "A network with dropout, drawn anew in each pass: exactly the weights of the big batch?",
    },
    {
        "64 samples": "Does one iteration on 4 devices, batches of 16, take 64 samples?",
        "as many": "At the same batch size per device: does an epoch have as many iterations on 4 devices as on one?",
    },
    {
        "padded": "With padding: is the mean of the devices' mean test losses exactly the mean over the test samples?",
        "even": "Equal shares, nothing padded: is the mean of the devices' mean test losses the mean over the samples?",
    },
    {
        "two ranks": "Without `set_epoch`, W divides N: do two ranks meet some of the same samples in an epoch?",
        "told": "`set_epoch(epoch)` in every epoch: does rank 0 meet other batches in the next epoch?",
    },
    {
        "momentum": "Weights, epoch and place were saved, the momentum was not: is the run that goes on the same run?",
        "epoch 7": "The order comes from seed and epoch alone: can epoch 7 go on without epochs 0 to 6?",
    },
]


def draw(draw) -> dict | None:
    """Accumulation A, M micro-batches and E epochs that leave tails, N samples that W devices cannot share evenly."""
    A, M, E = draw.whole(4, 7), draw.whole(13, 60), draw.whole(3, 6)
    N, W, seed = draw.whole(1_000, 4_999), draw.whole(5, 9), draw.whole(1, 9_999)
    no_tail = M % A == 0 or E * M % A == 0 or E * (M % A) < A
    even = N % W == 0 or N % W == W - N % W
    if no_tail or even:
        return None
    return dict(A=A, M=M, E=E, N=N, W=W, seed=seed, choices=draw.statements(CHOICES, 5))


def token_batches(seed: int, counted: list[int], ignored: int = 2) -> list[dict]:
    """Micro-batches of two sequences each: inputs ``x`` and ``labels`` of their tokens; some labels are ignored."""
    random = generator(seed, 4)
    made = []
    for count in counted:
        length = -(-(count + ignored) // 2)
        x, labels = random.normal(size=2 * length), random.normal(size=2 * length) + count
        labels[random.permutation(2 * length)[count:]] = IGNORED
        made.append({"x": x.reshape(2, length).tolist(), "labels": labels.reshape(2, length).tolist()})
    return made


def samples(seed: int = SEED, num_samples: int = 26):
    """Inputs and targets of a regression with one weight."""
    random = generator(seed, 5)
    x = random.normal(size=num_samples)
    return x, 2 * x + random.normal(size=num_samples)


def learning_rate(iteration: int) -> float:
    """A cosine that falls from 0.05 to 0 in ``TOTAL_ITERATIONS``; ``iteration`` counts from 0."""
    return 0.025 * (1 + math.cos(math.pi * iteration / TOTAL_ITERATIONS))
