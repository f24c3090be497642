"""A run of 1,000 iterations."""


def wrong(max_iters=1_000):
    iter_num = iterations = 0
    while True:
        iterations += 1  # here the weights change
        iter_num += 1
        if iter_num > max_iters:
            return iterations


def right(max_iters=1_000):
    iter_num = iterations = 0
    while iter_num < max_iters:
        iterations += 1
        iter_num += 1
    return iterations


def error(iterations):
    """Iterations too many."""
    return iterations - 1_000
