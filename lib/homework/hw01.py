"""What homework 1 gives to a student: the numbers to count with."""

from lib.homework.answers import checked_whole_number, expect
from lib.plan import TrainingPlan

KINDS = [  # two of a pair do not have the same answer
    {
        "stored": "The training set in its stored order, the smaller last batch kept.",
        "filled": "A permutation; the smaller last batch is filled up with samples from the start of the order.",
    },
    {
        "half": "N/2 indices are drawn without replacement.",
        "weighted": "N indices are drawn with replacement; a rare class has a higher chance.",
    },
    {
        "cut": "Shared by devices that do not divide N; what is too much for equal shares is cut off.",
        "even": "Shared by devices that divide N; each takes its part of one permutation.",
    },
    {
        "one less": "A permutation; `steps_per_epoch` is one less than the number of its batches.",
        "one more": "B divides N, `steps_per_epoch` is N/B + 1; a new permutation starts when one is used up.",
    },
    {
        "divides": "Shuffled, B divides N, `drop_last=True`.",
        "apart": "N/B batches; each draws B < N samples without replacement from all N, whatever the others drew.",
    },
]
JUDGED = [
    {
        "half the iterations": "Twice the batch size, which divides N: an epoch has half as many iterations.",
        "half the seconds": "Twice the batch size: an epoch takes half as many seconds.",
    },
    {
        "per epoch": "One device, no accumulation: the iterations of a run are the iterations of an epoch times E.",
        "at once": "The iterations of a run are E times N/B, rounded up at the end.",
    },
    {
        "dropped": "With `drop_last=True` an epoch visits every sample.",
        "draws": "Of N > 1 draws with replacement, N different samples are expected.",
    },
    {
        "several": "With A > 1 micro-batches an iteration takes several passes.",
        "one longer": "An epoch that keeps its last batch has one iteration more than one that drops it.",
    },
    {
        "nearer": "At the same weights: the gradient of more independent draws is nearer to the full one, on average.",
        "always nearer": "At the same weights: the gradient of more draws is nearer to the full one, in every draw.",
    },
]


def draw(draw) -> dict | None:
    """Samples N, batch size B, epochs E, accumulation A, devices W and iterations M; no number divides another."""
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
    if any(right in wrong for right, wrong in right_and_wrong):
        return None
    kinds, judged = draw.statements(KINDS, 3), draw.statements(JUDGED, 4)
    return dict(N=N, B=B, E=E, A=A, W=W, M=M, kinds=kinds, judged=judged)


def counted(
    counts, function: str = "count_run", names: tuple[str, ...] = ("iterations", "visits", "last_batch")
) -> dict[str, int]:
    """The counts that a function must return, or a hint."""
    expect(isinstance(counts, dict), f"`{function}` must return a dict with {len(names)} counts. Is there a `return`?")
    for name in names:
        expect(name in counts, f"The dict of `{function}` has no {name!r}.")
        checked_whole_number(f"`{function}(...)[{name!r}]`", counts[name])
    return {name: counts[name] for name in names}
