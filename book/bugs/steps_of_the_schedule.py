"""How long is the schedule of the learning rate? 3,668 samples, 30 epochs."""

from torch.utils.data import DataLoader

num_samples, batch_size, accumulation, epochs = 3_668, 32, 1, 30


def wrong():
    batches = num_samples // batch_size
    return batches // (accumulation * epochs)


def right():
    batches = -(-num_samples // batch_size)
    return epochs * -(-batches // accumulation)


def error(total_steps):
    """Iterations that the schedule does not know of."""
    return epochs * len(DataLoader(range(num_samples), batch_size)) - total_steps
