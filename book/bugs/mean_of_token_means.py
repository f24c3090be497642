"""The loss of one iteration: two micro-batches of 2 and 98 tokens."""

import torch

few, many = torch.full((2,), 4.0), torch.full((98,), 1.0)  # the loss of each token
micro_batches = [few, many]


def wrong():
    loss = 0.0
    for tokens in micro_batches:
        loss += tokens.mean().item() / len(micro_batches)
    return loss


def right():
    total = sum(len(tokens) for tokens in micro_batches)
    loss = 0.0
    for tokens in micro_batches:
        loss += tokens.sum().item() / total
    return loss


def error(loss):
    """How far the loss is from the mean over all tokens."""
    exact = torch.cat(micro_batches).mean(dtype=torch.float64).item()
    return round(loss - exact, 9)
