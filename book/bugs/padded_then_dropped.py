"""10,001 samples, eight devices, batches of 100, the last dropped.

The result: samples (never seen, seen twice).
"""

from collections import Counter

from torch.utils.data.distributed import DistributedSampler

each = -(-10_001 // 8)  # padded, so that every device has equally many
kept = 8 * (each // 100 * 100)  # visits in whole batches


def wrong():
    repeated = 8 * each - 10_001
    return 10_001 + repeated - kept, repeated


def right():
    # the padding stands at the end, so it is dropped first
    return max(0, 10_001 - kept), max(0, kept - 10_001)


def error(result):
    """Samples wrongly reported, from a count of every visit."""
    visits = Counter()
    for rank in range(8):
        share = list(DistributedSampler(range(10_001), 8, rank, shuffle=False))
        visits.update(share[: len(share) // 100 * 100])
    never = 10_001 - len(visits)
    twice = sum(number > 1 for number in visits.values())
    return abs(result[0] - never) + abs(result[1] - twice)
