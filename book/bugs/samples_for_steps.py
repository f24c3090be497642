"""60,000 images in batches of 32.

The result: how often an epoch shows each image, on average.
"""

from itertools import cycle, islice

import numpy as np

from lib.sampling import batches

images = np.arange(60_000)


def wrong(steps_per_epoch=60_000):
    seen = 0
    for batch in islice(cycle(batches(images, 32)), steps_per_epoch):
        seen += len(batch)
    return seen / len(images)


def right():
    return wrong(steps_per_epoch=-(-len(images) // 32))


def error(passes):
    """Passes too many in what is called one epoch."""
    return passes - 1
