"""65 samples in batches of 64, with BatchNorm.

The result: sizes of the batches on which training failed.
"""

import torch
from torch.utils.data import DataLoader

samples, norm = torch.ones(65, 3), torch.nn.BatchNorm1d(3)


def run(**options):
    failed = []
    for batch in DataLoader(samples, batch_size=64, **options):
        try:
            norm(batch)
        except ValueError:  # "Expected more than 1 value per channel when training"
            failed.append(len(batch))
    return failed


def wrong():
    return run()


def right():
    return run(drop_last=len(samples) % 64 == 1)


def error(failed):
    """Batches on which training fails."""
    return len(failed)
