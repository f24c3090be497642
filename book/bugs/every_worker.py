"""A stream of 10 samples, read by two workers.

The result: the samples that arrive.
"""

from torch.utils.data import DataLoader, IterableDataset, get_worker_info


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(10))


class Shared(IterableDataset):
    def __iter__(self):
        worker = get_worker_info()
        return iter(range(worker.id, 10, worker.num_workers))


def wrong():
    loader = DataLoader(Stream(), batch_size=2, num_workers=2)
    return [int(sample) for batch in loader for sample in batch]


def right():
    loader = DataLoader(Shared(), batch_size=2, num_workers=2)
    return [int(sample) for batch in loader for sample in batch]


def error(samples):
    """Samples that arrive a second time."""
    return len(samples) - len(set(samples))
