"""The known mistakes of homework 6 never give a right number, whoever the student is."""

from lib.homework import parameters


def collisions(p):
    """Pairs of a right number and what a misconception gives."""
    each = p.T * p.B * p.A * p.W
    iterations = -(-p.budget // each)
    for wrong in (p.T * p.B, p.T * p.B * p.A, p.T * p.B * p.W, p.B * p.A * p.W):
        yield each, wrong
        yield iterations, -(-p.budget // wrong)
    yield iterations, p.budget // each
    yield p.T * p.B * p.A, p.T * p.B * p.W  # which of the two was forgotten
    yield max(p.lengths), min(32, max(p.lengths))  # something is cut off


def test_mistakes_do_not_collide_with_right_answers():
    for number in range(300):
        for right, wrong in collisions(parameters("hw06", f"student {number}")):
            assert right != wrong, number
