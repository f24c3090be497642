"""What homework 2 gives to a student: numbers to compute with, and a look at the global random state."""

import random

import numpy as np

EFFECTS = [  # of each pair, the two do not have the same answer
    {
        "iterations": "The batch size doubles. What happens to the iterations of an epoch?",
        "visits": "The batch size doubles, nothing is dropped. What happens to the visits of an epoch?",
    },
    {
        "gradient": "The batch size grows. What happens to the memory for the gradient of the weights?",
        "wider": "The batch size stays, the layers become wider. What happens to the memory for activations?",
    },
    {
        "nearly all": "Without replacement, B grows towards N. What happens to the noise of the gradient?",
        "summed": "The loss is the sum over the batch. B grows. What happens to the length of the gradient?",
    },
    {
        "halved": "`steps_per_epoch` doubles, `epochs` halves. What happens to the updates of the run?",
        "longer": "`steps_per_epoch` stays, `epochs` doubles. What happens to the updates of the run?",
    },
    {
        "one more": "B divides N, tails are kept. One sample is added. What happens to the iterations of an epoch?",
        "one more, dropped": "B divides N, tails are dropped. One sample is added. And the iterations of an epoch?",
    },
]


def draw(draw) -> dict | None:
    """N samples in batches of B, the last one short; M samples whose gradients scatter by ``trace``, and a batch."""
    N, B = draw.whole(500, 3_000), draw.whole(24, 96)
    # trace < batch: a variance of 1 would be its own root
    M, batch, trace = draw.whole(800, 4_000), draw.whole(100, 400), draw.whole(20, 90)
    short = N % B
    # the factor asked for must not be the number of batches
    degenerate = short < 3 or short > B // 2 or B == short * -(-N // B)
    if degenerate:
        return None
    return dict(N=N, B=B, M=M, batch=batch, trace=trace, effects=draw.statements(EFFECTS, 4))


def global_state(draws: int = 0) -> dict[str, list]:
    """NumPy's and Python's global random state, after so many draws from each of them."""
    for _ in range(draws):
        np.random.random_sample()
        random.random()
    return state_of(np.random, random)


def state_of(numpys, pythons) -> dict[str, list]:
    """The state of two generators in JSON's types."""
    _, keys, *rest = numpys.get_state()
    version, numbers, gauss = pythons.getstate()
    return {"numpy": [keys.tolist(), *rest], "python": [version, list(numbers), gauss]}


def after_one_draw(state: dict[str, list]) -> dict[str, list]:
    """The state that follows: so a check can tell whether it was shown the real one."""
    numpys, pythons = np.random.RandomState(), random.Random()
    numpys.set_state(("MT19937", *state["numpy"]))
    version, numbers, gauss = state["python"]
    pythons.setstate((version, tuple(numbers), gauss))
    numpys.random_sample()
    pythons.random()
    return state_of(numpys, pythons)
