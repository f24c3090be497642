"""A progress line in the last batch of an epoch: 10,000 samples in batches of 300.

The result: its number.
"""

from torch.utils.data import DataLoader

loader = DataLoader(range(10_000), batch_size=300)


def wrong():
    for batch, X in enumerate(loader):
        line = batch * len(X)  # shown as "so many samples looked at"
    return line


def right():
    line = 0
    for X in loader:
        line += len(X)
    return line


def error(line):
    """Samples that the line does not know of."""
    return 10_000 - line
