"""The accuracy on 10 test samples, computed by four devices together."""

import torch
from torch.utils.data.distributed import DistributedSampler

correct = torch.tensor([0, 0, 1, 1, 1, 1, 1, 1, 1, 1])  # of each sample


def wrong():
    hits = visits = 0
    for rank in range(4):
        share = list(DistributedSampler(correct, 4, rank, shuffle=False))
        hits += correct[share].sum().item()
        visits += len(share)
    return hits / visits


def right():
    hits = visits = 0
    for rank in range(4):
        share = list(range(rank, len(correct), 4))  # of unequal length
        hits += correct[share].sum().item()
        visits += len(share)
    return hits / visits


def error(accuracy):
    """How much the accuracy is too low."""
    return correct.double().mean().item() - accuracy
