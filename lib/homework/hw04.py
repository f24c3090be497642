"""What homework 4 gives to a student: the numbers to work with, and a tiny training problem."""

import math

from lib.sampling import generator

BATCH_SIZE, SEED, MOMENTUM, TOTAL_ITERATIONS = 4, 3, 0.9, 40  # of the run in question 4
IGNORED = -100  # the label of a token that does not count


def draw(draw) -> dict | None:
    """Accumulation A, M micro-batches and E epochs that leave tails, N samples that W devices cannot share evenly."""
    A, M, E = draw.whole(4, 7), draw.whole(13, 60), draw.whole(3, 6)
    N, W, seed = draw.whole(1_000, 4_999), draw.whole(5, 9), draw.whole(1, 9_999)
    no_tail = M % A == 0 or E * M % A == 0 or E * (M % A) < A
    even = N % W == 0 or N % W == W - N % W
    return None if no_tail or even else dict(A=A, M=M, E=E, N=N, W=W, seed=seed)


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
