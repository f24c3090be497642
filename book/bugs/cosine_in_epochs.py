"""Ten epochs of ten batches, the rate falls from 1 to 0.

The result: the rate after each iteration.
"""

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR


def wrong(T_max=10):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, rates = CosineAnnealingLR(optimizer, T_max), []
    for epoch in range(10):
        for batch in range(10):
            optimizer.step()
            scheduler.step()
            rates.append(scheduler.get_last_lr()[0])
    return rates


def right():
    return wrong(T_max=10 * 10)


def error(rates):
    """The rate at the end, which should be 0."""
    return round(rates[-1], 9)
