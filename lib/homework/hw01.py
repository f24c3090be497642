"""What homework 1 gives to a student: the numbers to count with."""
from lib.plan import TrainingPlan


def draw(draw) -> dict | None:
    """Samples N, batch size B, epochs E, accumulation A and devices W, none of which divide what they share."""
    N, B, E = draw.whole(2_000, 9_999), draw.whole(24, 96), draw.whole(3, 9)
    A, W = draw.whole(3, 6), draw.whole(3, 7)
    one, shared = TrainingPlan(N, B, E), TrainingPlan(N, B, E, world_size=W, accumulation_steps=A)
    even = N % B == 0 or one.batches_per_epoch % A == 0 or N % W == 0
    even = even or shared.samples_per_device % B in (0, B - 1) or shared.batches_per_epoch % A == 0
    few = N % B < 3 or N % B > B - 3 or round(N / B) == one.iterations_per_epoch
    # "the tail of all epochs together" must give another number than the tail of each
    few = few or -(-N * E // B) in (one.total_iterations, E * (N // B)) or N * E // B == E * (N // B)
    return None if even or few else dict(N=N, B=B, E=E, A=A, W=W)
