"""An evaluation after each quarter of an epoch of 7 batches.

The result: the batches after which it comes.
"""


def wrong(batches=7, val_check_interval=0.25):
    every = int(batches * val_check_interval)
    return [batch for batch in range(1, batches + 1) if batch % every == 0]


def right(batches=7, val_check_interval=0.25):
    times = round(1 / val_check_interval)
    return [round(batches * part / times) for part in range(1, times + 1)]


def error(evaluations):
    """Evaluations too many."""
    return len(evaluations) - 4
