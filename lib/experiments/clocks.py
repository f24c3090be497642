"""The same runs on four clocks: iterations, samples, compute and seconds."""

import pandas as pd

from lib.data import mnist1d
from lib.experiments.runs import NUM_SAMPLES, histories
from lib.models import mlp, num_parameters
from lib.profiling import memory, throughput
from lib.progress import bar
from lib.workload import classification

FLOPS_PER_SAMPLE = 6 * num_parameters(mlp())  # 2 a parameter forward, 4 backward (Kaplan et al. 2020, arXiv:2001.08361)


def speed(batch_sizes: list[int], neighbours: list[int], device: str) -> dict[str, pd.DataFrame]:
    """Seconds and memory of an iteration of the course's network against batch size.

    ``neighbours`` are batch sizes around powers of two, measured in turn with each other.
    """
    workload = classification(mlp(), mnist1d())
    return {
        "speed": throughput(workload, batch_sizes, device=device, rounds=5, min_seconds=0.15),
        "neighbours": throughput(workload, neighbours, device=device, rounds=9, min_seconds=0.1),
        "memory": memory(workload, batch_sizes, optimizer="adam", device=device),
    }


def curves(
    learning_rates: dict[str, float], iterations: dict[str, int], seeds: list[int], device: str, points: int = 40
) -> pd.DataFrame:
    """Loss curves of one network at several batch sizes, each with a learning rate and a length of its own.

    ``learning_rates`` and ``iterations`` map a batch size, written as text, to its value.
    """
    workload = classification(mlp(), mnist1d().first(NUM_SAMPLES))
    runs = [
        histories(
            workload,
            batch_size=int(size),
            learning_rate=rate,
            seed=seeds,
            iterations=iterations[size],
            evaluate_every=max(1, iterations[size] // points),
            device=device,
        )
        for size, rate in bar(learning_rates.items())
    ]
    columns = [
        "batch_size",
        "learning_rate",
        "seed",
        "iteration",
        "samples",
        "train_loss",
        "test_loss",
        "test_accuracy",
    ]
    return pd.concat(runs, ignore_index=True)[columns]
