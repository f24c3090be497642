"""One epoch over 10,000 samples.

The result: how many of them it has shown.
"""

import numpy as np

num_samples, batch_size = 10_000, 32


def wrong():
    random, seen = np.random.default_rng(0), set()
    for step in range(num_samples // batch_size):
        batch = random.integers(num_samples, size=batch_size)
        seen.update(batch)
    return len(seen)


def right():
    random, seen = np.random.default_rng(0), set()
    order = random.permutation(num_samples)
    for start in range(0, num_samples, batch_size):
        seen.update(order[start : start + batch_size])
    return len(seen)


def error(seen):
    """Samples that the epoch never saw."""
    return num_samples - seen
