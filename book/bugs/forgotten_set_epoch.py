"""Five epochs on one of two devices.

The result: the order of each epoch.
"""

from torch.utils.data.distributed import DistributedSampler

samples = range(200)


def wrong():
    sampler = DistributedSampler(samples, 2, rank=0, shuffle=True)
    return [list(sampler) for epoch in range(5)]


def right():
    sampler = DistributedSampler(samples, 2, rank=0, shuffle=True)
    orders = []
    for epoch in range(5):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    return orders


def error(orders):
    """Epochs with the order of an earlier one."""
    return len(orders) - len({tuple(order) for order in orders})
