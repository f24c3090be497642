"""Three epochs on 48 samples.

The result: iterations in each epoch.
"""

from torch.utils.data import DataLoader

samples, batch_size = range(48), 64


def wrong():
    loader = DataLoader(samples, batch_size, shuffle=True, drop_last=True)
    return [sum(1 for batch in loader) for epoch in range(3)]


def right():
    drop = len(samples) >= batch_size  # never the only batch there is
    loader = DataLoader(samples, batch_size, shuffle=True, drop_last=drop)
    return [sum(1 for batch in loader) for epoch in range(3)]


def error(iterations):
    """Epochs without an iteration."""
    return iterations.count(0)
