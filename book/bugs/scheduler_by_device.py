"""100 iterations on four devices, the rate falls from 1 to 0.

The result: the rate of each iteration.
"""

import torch
from torch.optim.lr_scheduler import LinearLR


def run(num_devices, total_iters):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = LinearLR(optimizer, 1.0, end_factor=0.0, total_iters=total_iters)
    rates = []
    for iteration in range(100):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        for device in range(num_devices):  # as a prepared scheduler does
            scheduler.step()
    return rates


def wrong():
    return run(num_devices=4, total_iters=100)


def right():
    return run(num_devices=4, total_iters=4 * 100)


def error(rates):
    """Iterations at rate 0."""
    return sum(rate < 1e-12 for rate in rates)
