"""What homework 2 gives to a student: numbers to compute with, and a look at the global random state."""

import random

import numpy as np


def draw(draw) -> dict | None:
    """N samples in batches of B, the last one short; M samples whose gradients scatter by ``trace``, and a batch."""
    N, B = draw.whole(500, 3_000), draw.whole(24, 96)
    # trace < batch: a variance of 1 would be its own root
    M, batch, trace = draw.whole(800, 4_000), draw.whole(100, 400), draw.whole(20, 90)
    short = N % B
    # the factor asked for must not be the number of batches
    degenerate = short < 3 or short > B // 2 or B == short * -(-N // B)
    return None if degenerate else dict(N=N, B=B, M=M, batch=batch, trace=trace)


def global_state() -> list[str]:
    """NumPy's and Python's global random state: equal before and after a call that left them alone."""
    numpys = np.random.get_state()
    return [str(numpys[1].tolist()), str(numpys[2:]), str(random.getstate())]
