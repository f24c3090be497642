"""A seed, so that the same cell run twice gives the same batches.

The result: the orders of both runs.
"""

import numpy as np
import torch
from torch.utils.data import DataLoader

x = torch.arange(100)


def wrong():
    orders = []
    for run in range(2):
        loader = DataLoader(x, 10, shuffle=True, worker_init_fn=np.random.seed(1))
        orders.append(torch.cat(list(loader)))
    return orders


def right():
    orders = []
    for run in range(2):
        seeded = torch.Generator().manual_seed(1)
        loader = DataLoader(x, 10, shuffle=True, generator=seeded)
        orders.append(torch.cat(list(loader)))
    return orders


def error(orders):
    """Runs whose order is not that of the first."""
    return sum(not torch.equal(order, orders[0]) for order in orders)
