"""91 samples, batches of 10, two devices, A = 2: iteration 20, in epochs."""

iterations, batches_per_epoch, accumulation = 20, 5, 2


def wrong():
    iterations_per_epoch = -(-batches_per_epoch // accumulation)
    return iterations / iterations_per_epoch


def right():
    iterations_per_epoch = -(-batches_per_epoch // accumulation)
    epochs, rest = divmod(iterations, iterations_per_epoch)
    return epochs + rest * accumulation / batches_per_epoch


def error(epochs):
    """Epochs by which the log is behind, from a count of every micro-batch."""
    done = micro_batches = 0
    while done < iterations:
        micro_batches += 1
        ends_epoch = micro_batches % batches_per_epoch == 0
        done += micro_batches % batches_per_epoch % accumulation == 0 or ends_epoch
    return micro_batches / batches_per_epoch - epochs
