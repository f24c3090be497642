"""How fast training is here: ``train`` and ``sweep`` against other ways to train the same network.

Run from the project's folder, on a machine that does nothing else::

    python -m bench.throughput            # writes records/throughput.json; about ten minutes
    python -m bench.throughput --quick    # writes nothing; about two minutes

The network is the multilayer perceptron 40-100-100-10 on MNIST-1D with 10,000 samples,
plain SGD, float32, one thread; then, without the peers, two convolutional networks, and a small
language model, whose tokens are counted (``bench.tokens``). Peers
take part if ``bench/requirements-peers.txt`` is installed. All contestants take turns,
``--repeats`` times, so that a slow minute of the machine hits each of them; the table shows
medians. The clock is CPU time, all threads added up; only the last line of the whole sweep
is wall time.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"  # before the libraries are loaded
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)  # where they are set, they take the processor's fast instructions from OpenBLAS alone
os.environ.update(
    KERAS_BACKEND="jax",
    JAX_PLATFORMS="cpu",
    TQDM_DISABLE="1",
    XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
)

import numpy as np
import torch
from threadpoolctl import threadpool_info
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from bench import tokens
from lib.data import Dataset, mnist1d
from lib.evaluation import mean_loss
from lib.files import write_atomically
from lib.models import cnn, initialized, mlp
from lib.sweep import sweep
from lib.training import train
from lib.workload import classification

RATE = 0.05
FLOP = 2 * (3 * (100 * 100 + 100 * 10) + 2 * 40 * 100)  # of a sample's forward and backward pass
ITERATIONS = {1: 2000, 8: 1500, 32: 1000, 128: 500, 500: 150, 10_000: 5}  # of the textbook loop in one turn
NETWORKS = {"CNN": cnn, "CNN with batch normalisation": partial(cnn, batch_norm=True)}
SWEPT = {mlp: 500_000, cnn: 200_000}  # networks that are compiled; others take long enough
NETWORK_ITERATIONS = {8: 400, 32: 300, 128: 100, 500: 30}
SWEEP = {
    "batch_size": [1, 8, 32, 64, 128, 500, 1024, 10_000],
    "learning_rate": [0.01, 0.02, 0.05, 0.1, 0.2],
    "seed": range(5),
}
PACKAGES = ("torch", "numpy", "numba", "joblib", "jax", "jaxlib", "lightning", "skorch", "keras")


def textbook(data: Dataset, batch_size: int, iterations: int, model: Callable = mlp) -> int:
    loader = DataLoader(
        TensorDataset(torch.from_numpy(data.x_train), torch.from_numpy(data.y_train)),
        batch_size=batch_size,
        shuffle=True,
    )
    network = model()
    update = torch.optim.SGD(network.parameters(), lr=RATE)
    done = samples = 0
    while True:
        for x, y in loader:
            update.zero_grad()
            F.cross_entropy(network(x), y).backward()
            update.step()
            done, samples = done + 1, samples + len(x)
            if done == iterations:
                return samples


def single(data: Dataset, batch_size: int, iterations: int, model: Callable = mlp) -> int:
    history, _ = train(
        classification(model(), data),
        batch_size=batch_size,
        learning_rate=RATE,
        iterations=iterations,
        evaluate_every=iterations,
        device="cpu",
    )
    return history["samples"].iloc[-1]


def swept(data: Dataset, batch_size: int, iterations: int, model: Callable = mlp) -> int:
    """Five runs of at least SWEPT samples each: setting a sweep up takes as long as some 20,000 samples."""
    iterations = max(6 * iterations, SWEPT.get(model, 0) // batch_size)
    table = sweep(
        classification(model(), data),
        batch_size=batch_size,
        learning_rate=RATE,
        seed=range(5),
        iterations=iterations,
        evaluate_every=iterations,
        device="cpu",
        n_jobs=1,
    )
    return table.groupby("seed")["samples"].last().sum()


def lightning(data: Dataset, batch_size: int, iterations: int) -> int:
    import logging

    import lightning as pl

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = mlp()

        def training_step(self, batch, _):
            return F.cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=RATE)

    loader = DataLoader(
        TensorDataset(torch.from_numpy(data.x_train), torch.from_numpy(data.y_train)),
        batch_size=batch_size,
        shuffle=True,
    )
    trainer = pl.Trainer(
        max_steps=iterations,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(), loader)
    return iterations * batch_size


def skorch(data: Dataset, batch_size: int, iterations: int) -> int:
    from skorch import NeuralNetClassifier

    net = NeuralNetClassifier(
        mlp(),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        lr=RATE,
        batch_size=batch_size,
        max_epochs=1,
        train_split=None,
        verbose=0,
        iterator_train__shuffle=True,
    )
    rows = np.arange(iterations * batch_size) % len(data)
    net.fit(data.x_train[rows], data.y_train[rows])
    return len(rows)


def keras(data: Dataset, batch_size: int, iterations: int) -> int:
    import keras

    if batch_size not in KERAS:
        layers = [keras.layers.Dense(100, "relu"), keras.layers.Dense(100, "relu"), keras.layers.Dense(10)]
        KERAS[batch_size] = keras.Sequential([keras.Input((40,)), *layers])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        KERAS[batch_size].compile(keras.optimizers.SGD(RATE), loss)
    rows = np.arange(iterations * batch_size) % len(data)
    KERAS[batch_size].fit(data.x_train[rows], data.y_train[rows], batch_size=batch_size, verbose=0)
    return len(rows)


def jax_scan(replicas: int):
    """A contestant: ``jax.lax.scan`` over the iterations, jitted, for one run or under ``vmap``."""
    compiled = {}

    def contestant(data: Dataset, batch_size: int, iterations: int) -> int:
        import jax
        import jax.numpy as jnp

        many = max(1, min(replicas, 2048 // batch_size))  # more of them leave the cache and are slower
        if not compiled:

            def loss(weights, x, y):
                for i, (w, b) in enumerate(weights):
                    x = x @ w + b
                    x = jax.nn.relu(x) if i < 2 else x
                return -jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], 1).mean()

            def run(weights, rows, x, y):
                def iteration(weights, batch):
                    gradient = jax.grad(loss)(weights, x[batch], y[batch])
                    return jax.tree.map(lambda w, g: w - RATE * g, weights, gradient), None

                return jax.lax.scan(iteration, weights, rows)[0]

            compiled["run"] = jax.jit(jax.vmap(run, (0, 0, None, None)) if replicas > 1 else run)
            compiled["data"] = jnp.asarray(data.x_train), jnp.asarray(data.y_train.astype(np.int32))
        parameters = [p.detach().numpy() for p in initialized(mlp(), 0).parameters()]
        weights = [(jnp.asarray(w.T), jnp.asarray(b)) for w, b in zip(parameters[::2], parameters[1::2])]
        rows = np.arange(iterations * batch_size, dtype=np.int32).reshape(iterations, batch_size) % len(data)
        rows = np.random.default_rng(0).permuted(rows.ravel()).reshape(rows.shape)
        if replicas > 1:
            weights, rows = jax.tree.map(lambda a: jnp.stack([a] * many), (weights, rows))
        jax.block_until_ready(compiled["run"](weights, rows, *compiled["data"]))
        return rows.size

    return contestant


KERAS = {}
CONTESTANTS = {"textbook DataLoader loop": textbook, "train": single, "sweep": swept}
PEERS = {
    "Lightning": ("lightning", lightning),
    "skorch": ("skorch", skorch),
    "Keras on JAX": ("keras", keras),
    "jax.lax.scan": ("jax", jax_scan(1)),
    "jax.lax.scan under vmap": ("jax", jax_scan(25)),
}


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def measured_peak() -> float:
    """Best float32 matrix product of one thread, in floating-point operations per second."""
    a = torch.randn(1024, 1024)
    best = np.inf
    for _ in range(20):
        start = time.process_time()
        a @ a
        best = min(best, time.process_time() - start)
    return 2 * 1024**3 / best


def race(data, contestants: dict, sizes: dict, repeats: int) -> dict:
    """Median samples (or tokens) per second of CPU time of every contestant at every batch size."""
    medians = {}
    for batch_size, iterations in sizes.items():
        rates = {name: [] for name in contestants}
        for turn in range(repeats + 1):  # the first turn warms up
            for name, contestant in contestants.items():
                start = time.process_time()
                samples = contestant(data, batch_size, iterations)
                if turn:
                    rates[name].append(samples / (time.process_time() - start))
        medians[batch_size] = {name: statistics.median(values) for name, values in rates.items()}
        base = medians[batch_size]["textbook DataLoader loop"]
        print(
            f"B = {batch_size:>6}: "
            + ", ".join(f"{name} {rate:,.0f}/s ({rate / base:.2f}x)" for name, rate in medians[batch_size].items()),
            flush=True,
        )
    return medians


def rows_of(medians: dict, network: str, peak: float | None = None) -> list[dict]:
    """A row a contestant and batch size; with ``peak``, how much of it the network's products reach."""
    return [
        {
            "what": name,
            "network": network,
            "batch_size": batch_size,
            "samples_per_second": rate,
            "ratio_to_textbook": rate / of_size["textbook DataLoader loop"],
            **({"share_of_peak": rate * FLOP / peak} if peak else {}),
        }
        for batch_size, of_size in medians.items()
        for name, rate in of_size.items()
    ]


def whole_sweep(data: Dataset, medians: dict, epochs: int) -> list[dict]:
    """A sweep of 200 runs, evaluated every epoch; the others' cost scaled from their medians, not run."""
    workload = classification(mlp(), data)
    runs = len(SWEEP["learning_rate"]) * len(SWEEP["seed"])
    tensors = [torch.from_numpy(a) for a in (data.x_train[:1000], data.y_train[:1000], data.x_test, data.y_test)]
    start = time.process_time()
    for _ in range(10):
        mean_loss(workload, mlp(), *tensors[:2]), mean_loss(workload, mlp(), *tensors[2:])
    evaluation = (time.process_time() - start) / 10 * (epochs + 1) * runs * len(SWEEP["batch_size"])
    samples = runs * epochs * len(data)
    scaled = {
        name: sum(samples / medians[b][name] for b in SWEEP["batch_size"])
        for name in ("textbook DataLoader loop", "jax.lax.scan under vmap")
        if name in medians[1]
    }
    scaled["textbook DataLoader loop"] += evaluation
    rows = [
        {"what": f"whole sweep, {name}", "cpu_seconds": seconds, "scaled": True} for name, seconds in scaled.items()
    ]
    for jobs in (1, os.cpu_count()):
        wall, cpu = time.perf_counter(), time.process_time()
        sweep(workload, **SWEEP, epochs=epochs, n_jobs=jobs, device="cpu")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        rows.append(
            {
                "what": f"whole sweep, sweep with {jobs} process(es)",
                "wall_seconds": wall,
                "ratio_of_wall_time": scaled["textbook DataLoader loop"] / wall,
                "scaled": False,
                **(
                    {"cpu_seconds": cpu, "ratio_of_cpu_time": scaled["textbook DataLoader loop"] / cpu}
                    if jobs == 1
                    else {}
                ),
            }
        )
    return [{**row, "epochs": epochs, "runs": runs * len(SWEEP["batch_size"])} for row in rows]


def cpu_name() -> str:
    if not Path("/proc/cpuinfo").exists():
        return platform.processor() or "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")


def main(arguments: list[str] | None = None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30, help="of the whole sweep (default 30)")
    parser.add_argument("--quick", action="store_true", help="one repeat, two epochs, nothing written")
    parser.add_argument("--output", type=Path, default=Path("records/throughput.json"))
    options = parser.parse_args(arguments)
    if options.quick:
        options.repeats, options.epochs = 1, 2
    torch.set_num_threads(1)
    data = mnist1d()
    short = Dataset(data.name, data.x_train, data.y_train, data.x_test[:10], data.y_test[:10])  # next to no evaluation
    contestants = CONTESTANTS | {name: run for name, (package, run) in PEERS.items() if installed(package)}
    load = os.getloadavg()[0]
    peak = measured_peak()
    medians = race(short, contestants, ITERATIONS, options.repeats)
    others = {b: max(3, round(150_000 / (b + 100))) for b in SWEEP["batch_size"] if b not in ITERATIONS}
    scaled = {
        name: contestants[name]
        for name in ("textbook DataLoader loop", "jax.lax.scan under vmap")
        if name in contestants
    }
    rows = rows_of(medians, "MLP", peak)
    for network, model in NETWORKS.items():
        print(network)
        same = {name: partial(contestant, model=model) for name, contestant in CONTESTANTS.items()}
        rows += rows_of(race(short, same, NETWORK_ITERATIONS, options.repeats), network)
    print(tokens.NETWORK)
    languages = tokens.CONTESTANTS | {name: run for name, (package, run) in tokens.PEERS.items() if installed(package)}
    medians_of_tokens = race(tokens.model_of_tokens(), languages, tokens.ITERATIONS, options.repeats)
    rows += rows_of(medians_of_tokens, tokens.NETWORK)
    rows += whole_sweep(data, medians | race(short, scaled, others, options.repeats), options.epochs)
    for row in rows[-4:]:
        print({k: round(v, 1) if isinstance(v, float) else v for k, v in row.items()})
    provenance = {
        "command": "python -m bench.throughput " + " ".join(arguments or sys.argv[1:]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": "cpu",
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": 1,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: installed(name) for name in PACKAGES if installed(name)},
        "load_before": load,
        "load_after": os.getloadavg()[0],
        "repeats": options.repeats,
        "statistic": "median",
        "clock": "CPU seconds of the process; wall seconds where the name says so",
        "network": "MLP 40-100-100-10, MNIST-1D, N = 10,000, plain SGD, float32",
        "matrix_product_peak_flops": peak,
        "openblas": sorted({each["architecture"] for each in threadpool_info() if each["internal_api"] == "openblas"}),
        "note": "rows with scaled = true are computed from the measured samples per second, not run",
    }
    if not options.quick:
        write_atomically(options.output, json.dumps({"provenance": provenance, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
