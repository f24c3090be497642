"""Two epochs on 10 samples in batches of 4.

The result: the samples that the log counts.
"""

from torch.utils.data import DataLoader

loader = DataLoader(range(10), batch_size=4)


def wrong():
    global_steps = sum(1 for epoch in range(2) for batch in loader)
    return global_steps * 4


def right():
    return sum(len(batch) for epoch in range(2) for batch in loader)


def error(samples):
    """Samples that nobody read."""
    return samples - 2 * 10
