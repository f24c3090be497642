"""The known mistakes of homework 4 never give a right number, whoever the student is."""

from lib.homework import parameters


def collisions(p):
    """Pairs of a right number and what a misconception gives."""
    N, W, M, A, E = p.N, p.W, p.M, p.A, p.E
    yield from ((-(-N // W), N // W), (-N % W, N % W), (-N % W, 0), (N % W, 0))
    ends = [-E * -(-M // A), -E * M / A, -(E * M // A), -E * (M // A)]
    yield from zip(ends, ends[1:])


def test_mistakes_do_not_collide_with_right_answers():
    for number in range(300):
        for right, wrong in collisions(parameters("hw04", f"student {number}")):
            assert right != wrong, number
