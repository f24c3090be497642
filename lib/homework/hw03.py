"""What homework 3 gives to a student: measured runs to compare."""

from statistics import mean, stdev, variance

STATEMENTS = [  # of each pair, one is right and one is wrong
    {
        "halved": "With SGD and small batches, half the batch size goes with about half the learning rate.",
        "unmoved": "With SGD and small batches, the best learning rate does not depend on the batch size.",
    },
    {
        "twofold": "With Adam and four times the batch size, start the search at twice the learning rate.",
        "fourfold": "With Adam and four times the batch size, start the search at four times the learning rate.",
    },
    {
        "widen": "The best rate is the largest of the grid. So the grid must be widened.",
        "wide enough": "The best rate is the largest of a wide grid. So it may be reported.",
    },
    {
        "too good": "Choosing and reporting on the same seeds makes a result look too good.",
        "best of five": "The best of five seeds tells how good a batch size is.",
    },
    {
        "twice as often": "Evaluations twice as often, the same number of them as patience: half as many iterations.",
        "three": "A patience of 3 evaluations is equally long at every `eval_every`.",
    },
    {
        "plateau": "Far past the critical batch size, twice the batch size saves hardly any iterations.",
        "free": "Far past the critical batch size, twice the batch size needs hardly more samples.",
    },
    {
        "other target": "A critical batch size measured at one target loss need not hold at another.",
        "other machine": "A machine that is twice as fast has twice the critical batch size.",
    },
]
CURVES = [  # of each pair, the two do not have the same answer
    {
        "curve A": "Test loss has risen for 60 epochs. Test accuracy has stood still.",
        "curve B": "Test loss has risen for 60 epochs, and test accuracy has fallen.",
    },
    {
        "curve C": "Test loss still falls. Test accuracy has stood still for 40 epochs.",
        "curve D": "Test loss still falls a little. Test accuracy has fallen for 40 epochs.",
    },
    {
        "curve E": "Training accuracy is 100 %. Test loss and test accuracy are best at the last epoch.",
        "curve F": "Training accuracy is 100 %. Test loss was best at epoch 12, test accuracy at the last epoch.",
    },
    {
        "curve G": "The learning rate was raised. Training loss, test loss and both accuracies got worse at once.",
        "curve H": "Training loss falls. Test loss and test accuracy were best at epoch 30 of 100 and got worse since.",
    },
]


def draw(draw) -> dict | None:
    """Runs on four clocks, a steps-to-target curve, accuracies, a machine's speed, and a budget."""
    batch_sizes = [8, 32, 128, 512, 2048]
    plateau, bend, full = draw.whole(60, 240), draw.whole(60, 400), draw.whole(40, 400)
    iterations = [round(plateau * (1 + bend / B)) for B in batch_sizes]
    milliseconds = [round(0.2 * (1 + B / full) * (1 + draw.whole(0, 5) / 100), 3) for B in batch_sizes]
    seconds = [S * t / 1000 for S, t in zip(iterations, milliseconds)]
    order = sorted(seconds)
    tie = any(b < 1.02 * a for a, b in zip(order, order[1:]))
    edge = order[0] in (seconds[0], seconds[-1])

    plateau, bend = draw.whole(40, 200), draw.whole(120, 1500)
    curve = {B: round(plateau * (1 + bend / B)) for B in (4, 8, 16, 32, 64, 128, 256, 512, 1024)} | {2048: None}
    samples = [B * S / (4 * curve[4]) for B, S in curve.items() if S]
    close = any(abs(ratio - 1.2) < 0.01 for ratio in samples)

    rates = [0.03, 0.05, 0.08, 0.12, 0.18]
    height = [draw.whole(870, 930) for _ in rates]
    validation = [[(h + draw.whole(-12, 12)) / 10 for _ in range(5)] for h in height]
    test = [[(h + draw.whole(-30, 30)) / 10 for _ in range(5)] for h in height]
    means = [mean(row) for row in validation]
    chosen, luckiest = means.index(max(means)), max(range(5), key=lambda i: mean(test[i]))
    unclear = sorted(means)[-2] > max(means) - 0.1 or chosen == luckiest or chosen in (0, 4)
    unclear = unclear or max(max(row) for row in validation) in validation[chosen]
    other = [round(value - draw.whole(2, 14) / 10, 1) for value in test[chosen]]
    unclear = unclear or len({round(a - b, 1) for a, b in zip(test[chosen], other)}) < 3
    # The right mean is no known mistake, and the right interval is none that ignores the pairs.
    reported, gaps = mean(test[chosen]), [a - b for a, b in zip(test[chosen], other)]
    unclear = unclear or any(abs(reported - known) < 0.01 for known in (max(means), mean(test[luckiest])))
    unclear = unclear or max(validation[chosen]) == max(test[chosen])
    unpaired = (variance(test[chosen]) + variance(other)) ** 0.5
    unclear = unclear or any(abs(2.776 * stdev(gaps) - t * unpaired) < 0.01 for t in (1.96, 2.306, 2.776))

    half_full, special = draw.whole(15, 90), draw.one_of([0.85, 1.03])
    exact = {B: 1e-5 * (half_full + B) for B in (1, 8, 32, 63, 64, 65, 128, 256, 512, 1024, 2048)}
    exact[64] *= special
    exact[2048] *= draw.whole(120, 135) / 100  # past saturation it gets worse, so the largest is not the best
    speed = {B: round(t, 6) for B, t in exact.items()}
    rate = {B: B / t for B, t in speed.items()}
    best = max(rate, key=lambda B: rate[B])
    enough, of_largest = (min(B for B in rate if rate[B] >= 0.8 * rate[top]) for top in (best, 2048))
    unclear = unclear or enough in (of_largest, best) or any(abs(r / rate[best] - 0.8) < 0.01 for r in rate.values())

    N, B1, E = draw.whole(2000, 6000), draw.one_of([20, 24, 30, 36]), draw.whole(6, 15)
    B2 = B1 * draw.one_of([5, 7, 9])
    unclear = unclear or E * (N % B2) < B2 or N % B1 == 0 or (N // B1) * B1 == (N // B2) * B2
    if tie or edge or close or unclear:
        return None
    return dict(
        batch_sizes=batch_sizes,
        iterations=iterations,
        milliseconds=milliseconds,
        curve=curve,
        rates=rates,
        validation=validation,
        test=test,
        other_test=other,
        speed=speed,
        N=N,
        B1=B1,
        B2=B2,
        E=E,
        statements=draw.statements(STATEMENTS, 5),
        curves=draw.statements(CURVES, 3),
    )
