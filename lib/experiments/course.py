"""The measured results that lessons share, each from its record or, if that is stale, measured now.

python -m lib.experiments.course     on a machine with a CUDA GPU: its records, beside the CPU's
"""

import os
import sys

import torch

from lib.experiments import clocks, fastest, noise, seeds, target, token_budget, tokens
from lib.records import Record, load, remember

BATCH_SIZES = [8, 16, 32, 64, 128, 256, 512, 1024, 2048]
CLOCK_SIZES = [8, 32, 128, 512, 2048]


def gradient_noise() -> Record:
    """Lesson 5: moments of the gradient along runs, drawn variances, two-batch estimates."""
    return remember(
        "gradient-noise",
        noise.noise,
        batch_size=64,
        learning_rate=0.74,
        iterations=[0, 10, 30, 85, 150, 290],
        seeds=seeds(5),
        sizes=[1, 4, 16, 64, 256, 1024, 2000, 4000],
        draws=300,
        small=16,
        big=256,
    )


def batch_losses() -> Record:
    """Lesson 5: losses of random batches at fixed weights."""
    return remember(
        "batch-losses", noise.batch_losses, sizes=[10, 100, 1000], num_batches=200, iterations=85, learning_rate=0.74
    )


def speed(device: str = "cpu") -> Record:
    """Lesson 6: seconds and bytes of an iteration against batch size."""
    return remember(
        f"speed-{device}",
        clocks.speed,
        device=device,
        batch_sizes=[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 10_000],
        neighbours=[24, 31, 32, 33, 48, 63, 64, 65, 96, 127, 128, 129, 192, 255, 256, 257],
    )


def steps_to_target() -> Record:
    """Lesson 8: iterations to two losses, the learning rate tuned at each batch size."""
    return remember(
        "steps-to-target",
        target.steps,
        batch_sizes=BATCH_SIZES,
        targets=[1.5, 1.0],
        seeds=seeds(5),
        fresh_seeds=seeds(5, first=10),
    )


def four_clocks(device: str = "cpu") -> Record:
    """Lesson 7: loss curves at the learning rates that lesson 8 found for the loss 1.0, twice as long as needed."""
    steps = steps_to_target().tables["steps"]
    tuned = steps[steps["target"] == 1.0].groupby("batch_size")[["learning_rate", "iteration"]].mean()
    return remember(
        f"four-clocks-{device}",
        clocks.curves,
        device=device,
        seeds=seeds(5, first=10),
        learning_rates={str(size): tuned["learning_rate"][size] for size in CLOCK_SIZES},
        iterations={str(size): int(2 * tuned["iteration"][size]) for size in CLOCK_SIZES},
    )


def races(device: str = "cpu") -> Record:
    """Lesson 18: iterations to a loss and seconds of an iteration, for two more workloads."""
    return remember(
        f"fastest-{device}",
        fastest.races,
        device=device,
        batch_sizes=[8, 16, 32, 64, 128, 256, 512],
        seeds=seeds(5),
        fresh_seeds=seeds(5, first=10),
    )


def token_ramps() -> Record:
    """Lesson 16: a small batch, a large one and a ramp, with a constant and with a decayed rate."""
    return remember("token-ramps", token_budget.ramps, seeds=seeds(3), fresh_seeds=seeds(5, 10))


def token_memories() -> Record:
    """Lesson 16: one row a batch, Adam's second beta as it is and held by its half-life in tokens."""
    return remember("token-memories", token_budget.memories, seeds=seeds(3), fresh_seeds=seeds(5, 10))


def token_repeats() -> Record:
    """Lesson 16: the same number of tokens, from fewer different ones."""
    return remember(
        "token-repeats",
        token_budget.repeats,
        epochs=[1, 4, 16, 64],
        shares=[2, 4, 8, 16],
        seeds=seeds(3),
        fresh_seeds=seeds(5, 10),
    )


def on_gpu(name: str) -> Record | None:
    """What a GPU gave for ``speed``, ``four-clocks`` or ``token-steps``, by whatever code; None if none did."""
    try:
        return load(f"{name}-cuda")
    except FileNotFoundError:
        return None


if __name__ == "__main__":
    if not torch.cuda.is_available():
        sys.exit("This machine has no CUDA GPU that PyTorch can use. The records of the CPU are made by the lessons.")
    os.environ["MEASURE_LONG"] = "1"  # where a GPU is, its long record is made too
    for record in (speed("cuda"), four_clocks("cuda"), tokens.steps_to_targets("cuda")):
        print(record)
