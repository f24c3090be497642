"""An endless loader, for a run that counts iterations.

The result: the order of five epochs.
"""

from itertools import cycle, islice

import torch
from torch.utils.data import DataLoader

loader = DataLoader(range(200), batch_size=50, shuffle=True)


def orders(endless):
    stream = islice(endless, 5 * len(loader))
    batches = torch.stack(list(stream))
    return batches.view(5, 200).tolist()


def wrong():
    return orders(cycle(loader))


def right():
    def endless():
        while True:
            yield from loader  # a new iterator, so a new order

    return orders(endless())


def error(orders):
    """Epochs with the order of an earlier one."""
    return len(orders) - len({tuple(order) for order in orders})
