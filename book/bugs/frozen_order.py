"""Five epochs, shuffled.

The result: the order of each epoch.
"""

import numpy as np


def wrong():
    orders, key = [], 0
    for epoch in range(5):
        key += 1  # a new key for each epoch
        random = np.random.default_rng(1)
        orders.append(random.permutation(200))
    return orders


def right():
    orders, key = [], 0
    for epoch in range(5):
        key += 1
        random = np.random.default_rng(key)
        orders.append(random.permutation(200))
    return orders


def error(orders):
    """Epochs with the order of an earlier one."""
    return len(orders) - len({tuple(order) for order in orders})
