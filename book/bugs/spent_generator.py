"""A generator of 7 batches, trained on for three epochs.

The result: batches of each epoch.
"""

from itertools import chain, islice


def generator():
    yield from range(7)


def wrong():
    data = generator()
    peeked = list(islice(data, 2))  # to learn the shapes before training starts
    return [len(list(chain(peeked, data))) for epoch in range(3)]


def right():
    return [len(list(generator())) for epoch in range(3)]  # a new one each


def error(batches):
    """Batches that are missing from the run."""
    return 3 * 7 - sum(batches)
