"""Three epochs on 1,000 samples with a one-cycle schedule.

The result: iterations done.
"""

import torch
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader

loader = DataLoader(range(1_000), batch_size=64)


def run(steps):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = OneCycleLR(optimizer, max_lr=1.0, epochs=3, steps_per_epoch=steps)
    iterations = 0
    try:
        for epoch in range(3):
            for batch in loader:
                optimizer.step()
                scheduler.step()
                iterations += 1
    except ValueError:  # "Tried to step ... times"
        pass
    return iterations


def wrong():
    return run(steps=1_000 // 64)


def right():
    return run(steps=len(loader))


def error(iterations):
    """Iterations that are never done."""
    return 3 * len(loader) - iterations
