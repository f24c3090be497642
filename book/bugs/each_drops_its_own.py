"""A stream of 46 samples, shared by two workers, in whole batches of 8.

The result: batches that arrive.
"""

from torch.utils.data import DataLoader, IterableDataset, get_worker_info


class Samples(IterableDataset):
    def __iter__(self):
        worker = get_worker_info()
        return iter(range(worker.id, 46, worker.num_workers))


class Batches(IterableDataset):
    def __iter__(self):
        worker = get_worker_info()
        whole = [list(range(start, start + 8)) for start in range(0, 46 - 7, 8)]
        return iter(whole[worker.id :: worker.num_workers])


def wrong():
    loader = DataLoader(Samples(), batch_size=8, num_workers=2, drop_last=True)
    return sum(1 for batch in loader)


def right():
    loader = DataLoader(Batches(), batch_size=None, num_workers=2)
    return sum(1 for batch in loader)


def error(batches):
    """Whole batches that were dropped."""
    return 46 // 8 - batches
