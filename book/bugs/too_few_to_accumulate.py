"""Three micro-batches an epoch, eight make an iteration.

The result: iterations in each of three epochs.
"""


def wrong():
    iterations = []
    for epoch in range(3):
        updates = 0
        for i in range(3):
            if (i + 1) % 8 == 0:
                updates += 1  # here the weights change
        iterations.append(updates)
    return iterations


def right():
    iterations = []
    for epoch in range(3):
        updates = 0
        for i in range(3):
            if (i + 1) % 8 == 0 or i + 1 == 3:
                updates += 1
        iterations.append(updates)
    return iterations


def error(iterations):
    """Epochs without an iteration."""
    return iterations.count(0)
