"""An epoch of 25 samples breaks off after 3 batches of 4 and is resumed.

The result: the samples it has shown.
"""

import numpy as np

from lib.sampling import batches, epoch_order


def wrong():
    before = batches(epoch_order(25, seed=0, epoch=0), 4)[:3]
    after = batches(epoch_order(25, seed=1, epoch=0), 4)[:4]  # a loader starts anew
    return np.concatenate(before + after)


def right():
    order = epoch_order(25, seed=0, epoch=0)
    before = batches(order, 4)[:3]
    after = batches(order, 4)[3:]  # the same order, from where it broke off
    return np.concatenate(before + after)


def error(samples):
    """Samples of the epoch that were never seen."""
    return 25 - len(set(samples))
