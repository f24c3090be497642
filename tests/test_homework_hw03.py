"""The known mistakes of homework 3 never give a right number, whoever the student is."""

import numpy as np

from lib.homework import parameters


def collisions(p):
    """Pairs of a right number and what a misconception gives."""
    within = max(B for B, S in p.curve.items() if S and B * S <= 1.2 * 4 * p.curve[4])
    yield from ((within, 1024), (within, 2048))
    validation, test = np.array(p.validation), np.array(p.test)
    row = validation.mean(axis=1).argmax()
    yield from ((row, test.mean(axis=1).argmax()), (row, validation.max(axis=1).argmax()))
    reported = test[row].mean()
    yield from ((reported, validation[row].mean()), (reported, test.mean(axis=1).max()), (reported, test[row].max()))
    d = test[row] - p.other_test
    half = 2.776 * d.std(ddof=1) / 5**0.5
    unpaired = (test[row].var(ddof=1) / 5 + np.var(p.other_test, ddof=1) / 5) ** 0.5
    yield from ((half, t * unpaired) for t in (1.96, 2.306, 2.776))
    yield from ((half, 2.776 * d.std() / 5**0.5), (half, 1.96 / 2.776 * half), (d.mean(), -d.mean()))
    rates = {B: B / seconds for B, seconds in p.speed.items()}
    best, largest = max(rates, key=rates.get), max(rates)
    enough, of_largest = (min(B for B in rates if rates[B] >= 0.8 * rates[top]) for top in (best, largest))
    yield from ((enough, wrong) for wrong in (min(rates), largest, best, of_largest))
    yield rates[largest], rates[best]
    N, B1, B2, E = p.N, p.B1, p.B2, p.E
    iterations, smaller = E * (N // B2), E * (N // B1)
    yield from ((iterations, wrong) for wrong in (smaller, E * N // B2, E * -(-N // B2), N // B2))
    yield from ((B2 * smaller, wrong) for wrong in (E * N, B2 * iterations, B1 * smaller, B2 * E * -(-N // B1)))


def test_mistakes_do_not_collide_with_right_answers():
    for number in range(300):
        for right, wrong in collisions(parameters("hw03", f"student {number}")):
            assert abs(right - wrong) > 2e-3, (number, right, wrong)
