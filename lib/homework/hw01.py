"""What homework 1 gives to a student: the numbers to count with."""

from lib.homework.answers import checked_whole_number, expect
from lib.plan import TrainingPlan


def draw(draw) -> dict | None:
    """Samples N, batch size B, epochs E, accumulation A, devices W and iterations M, with no number dividing another."""
    N, B, E = draw.whole(2_000, 9_999), draw.whole(24, 96), draw.whole(3, 9)
    A, W = draw.whole(3, 6), draw.whole(3, 7)
    one, shared = TrainingPlan(N, B, E), TrainingPlan(N, B, world_size=W, accumulation_steps=A)
    iterations, passes, rest = one.iterations_per_epoch, shared.batches_per_epoch, N % B
    M = draw.whole(2, 5) * iterations + draw.whole(2, iterations - 2)
    right_and_wrong = [
        (iterations, [N // B, round(N / B), B, E]),
        (one.total_iterations, [-(-N * E // B), N * E // B, N // B * E, E]),
        (rest, [0, B - rest, N // B]),
        (shared.global_batch_size, [B * A, B * W, A * W]),
        (shared.samples_repeated_per_epoch, [0, N % W]),
        (passes, [iterations, shared.samples_per_device // B, shared.samples_per_device]),
        (shared.iterations_per_epoch, [passes, passes // A, iterations, N // (B * A * W)]),
        (B, [N // B, iterations]),
        (M // iterations, [-(-M // iterations), M // B, M // N]),
        (M % iterations * B, [M % iterations, M * B % N]),
    ]
    if M // B == M // iterations + 1:  # two mistakes with one number
        return None
    return None if any(right in wrong for right, wrong in right_and_wrong) else dict(N=N, B=B, E=E, A=A, W=W, M=M)


def counted(counts) -> dict[str, int]:
    """The three counts that ``count_run`` must return, or a hint."""
    expect(isinstance(counts, dict), "`count_run` must return a dict with the three counts. Is there a `return`?")
    for name in ("iterations", "visits", "last_batch"):
        expect(name in counts, f"The dict of `count_run` has no {name!r}.")
        checked_whole_number(f"`count_run(...)[{name!r}]`", counts[name])
    return {name: counts[name] for name in ("iterations", "visits", "last_batch")}
