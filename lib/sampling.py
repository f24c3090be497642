"""The order of samples in an epoch, and its batches.

An order depends on ``(seed, epoch)`` alone: epoch 7 needs no epochs 0 to 6, a
resumed run meets the same batches, and runs with the same seed see the same order
whatever their batch size.
"""

import numpy as np

from lib.checks import whole_number

ORDER, WEIGHTS, AUGMENTATION = 0, 1, 3  # streams of one seed, so that its draws are independent (2: lib.noise_scale)


def generator(seed: int, *stream: int) -> np.random.Generator:
    """An independent random generator for each ``(seed, *stream)``; the global state is not touched."""
    return np.random.default_rng([whole_number("seed", seed, at_least=0), *stream])


def epoch_order(num_samples: int, seed: int, epoch: int, shuffle: bool = True, replacement: bool = False) -> np.ndarray:
    """Indices of the samples in the order in which an epoch visits them.

    Parameters
    ----------
    num_samples : int
        Samples in the training set, N.
    seed, epoch : int
        Together they determine the order. Epochs count from 0.
    shuffle : bool
        False keeps the order of the training set, the same in every epoch.
    replacement : bool
        Draw N times independently: some samples come twice and about 37 % not at
        all, so such an "epoch" is not a pass over the training set.

    Returns
    -------
    numpy.ndarray of int64, shape (num_samples,)
    """
    if replacement:
        return generator(seed, ORDER, epoch).integers(num_samples, size=num_samples)
    if shuffle:
        return generator(seed, ORDER, epoch).permutation(num_samples)
    return np.arange(num_samples)


def batches(order: np.ndarray, batch_size: int, drop_last: bool = False) -> list[np.ndarray]:
    """Cut an order into batches of ``batch_size``; the last may be smaller, or be dropped."""
    end = len(order) - len(order) % batch_size if drop_last else len(order)
    return [order[start : start + batch_size] for start in range(0, end, batch_size)]
