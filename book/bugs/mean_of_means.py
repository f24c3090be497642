"""The test loss. Ten samples, in batches of 4."""

import torch

losses = torch.arange(1.0, 11.0)  # of each sample


def wrong():
    test_loss, num_batches = 0.0, 0
    for batch in losses.split(4):
        test_loss += batch.mean().item()
        num_batches += 1
    return test_loss / num_batches


def right():
    test_loss, size = 0.0, 0
    for batch in losses.split(4):
        test_loss += batch.sum().item()
        size += len(batch)
    return test_loss / size


def error(test_loss):
    """How far the loss is from the mean over all samples."""
    return test_loss - losses.mean().item()
