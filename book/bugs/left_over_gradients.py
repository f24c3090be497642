"""Ten micro-batches an epoch, four make an iteration, every gradient is 1.

The result: the move of each iteration.
"""

import torch


def wrong():
    w, moves = torch.zeros((), requires_grad=True), []
    for epoch in range(2):
        for i in range(10):
            (w / 4).backward()
            if (i + 1) % 4 == 0:
                moves.append(w.grad.item())  # how far SGD at rate 1 moves w
                w.grad = None
    return moves


def right():
    w, moves = torch.zeros((), requires_grad=True), []
    for epoch in range(2):
        for i in range(10):
            held = min(4, 10 - i // 4 * 4)  # 4, 4, and 2 in the last
            (w / held).backward()
            if (i + 1) % 4 == 0 or i + 1 == 10:
                moves.append(w.grad.item())
                w.grad = None
    return moves


def error(moves):
    """How much too large the largest iteration is."""
    return max(moves) - 1
