"""The first 4 iterations at rate 0.1, the others at 0.01.

The result: the rate of each iteration.
"""


def schedule(step):
    return 0.1 if step < 4 else 0.01


def wrong(accumulation=2):
    rates, step = [], 0
    for micro_batch in range(20):
        rate = schedule(step)
        step += 1
        if step % accumulation == 0:
            rates.append(rate)  # here the weights change
    return rates


def right(accumulation=2):
    rates, step = [], 0
    for micro_batch in range(20):
        if (micro_batch + 1) % accumulation == 0:
            rates.append(schedule(step))
            step += 1
    return rates


def error(rates):
    """Iterations that the first rate is short of."""
    return 4 - rates.count(0.1)
