"""How fast the small language model trains here, in tokens per second; a part of ``bench.throughput``.

    python -m bench.tokens            # this part alone; prints, writes nothing; about two minutes
    python -m bench.tokens --quick    # one repeat

The transformer of ``lib.catalog.tokens``, 17,408 weights and rows of 32 tokens, Adam, float32, one thread. The
textbook loop has a DataLoader; the plain loop takes its rows from a tensor, which is faster and what a careful
reader would write. A jitted version in JAX takes part if that is installed.
"""

import argparse

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from lib import catalog
from lib.kernel_transformer import TransformerReplicas
from lib.models import initialized
from lib.recipe import Recipe
from lib.workload import Workload

RATE, REPLICAS = 0.01, 24
NETWORK = "Language model (tokens, not samples)"
ITERATIONS = {1: 300, 4: 200, 16: 80, 64: 24, 256: 6}  # of the textbook loop in one turn


def model_of_tokens() -> Workload:
    return catalog.tokens(4_000, 10)


def textbook(workload: Workload, batch_size: int, iterations: int) -> int:
    x, y = (torch.from_numpy(array) for array in workload.data.split("train"))
    loader = DataLoader(TensorDataset(x, y), batch_size=batch_size, shuffle=True)
    model = initialized(workload.model, 0)
    update = torch.optim.Adam(model.parameters(), lr=RATE)
    done = tokens = 0
    while True:
        for inputs, targets in loader:
            update.zero_grad()
            F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten()).backward()
            update.step()
            done, tokens = done + 1, tokens + inputs.numel()
            if done == iterations:
                return tokens


def plain(workload: Workload, batch_size: int, iterations: int) -> int:
    x, y = (torch.from_numpy(array) for array in workload.data.split("train"))
    model = initialized(workload.model, 0)
    update = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    for rows in torch.randint(len(x), (iterations, batch_size)):
        update.zero_grad()
        F.cross_entropy(model(x[rows]).flatten(0, 1), y[rows].flatten()).backward()
        update.step()
    return iterations * batch_size * x.shape[1]


def replicas(workload: Workload, batch_size: int, iterations: int) -> int:
    """What a sweep's group of runs does between two evaluations; some replicas."""
    iterations *= 4  # a turn beside which setting up is short
    many = max(1, min(REPLICAS, 64 // batch_size))
    group = TransformerReplicas(workload, Recipe(batch_size, optimizer="adam"), list(range(many)), "cpu")
    orders = np.random.default_rng(0).integers(len(workload), size=(many, iterations * batch_size))
    group.advance(orders, np.arange(many), batch_size, np.full((many, iterations), RATE))
    return orders.size * workload.tokens_per_sample


def jax_scan(replicas: int):
    """A contestant: ``jax.lax.scan`` over the iterations, jitted, for one run or under ``vmap``."""
    compiled: dict = {}

    def contestant(workload: Workload, batch_size: int, iterations: int) -> int:
        import jax
        import jax.numpy as jnp

        heads = workload.model.heads

        def norm(x):
            return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-6)

        def loss(w, tokens, targets):
            rows, length = tokens.shape
            x = norm(w["token.weight"][tokens] + w["place.weight"][:length])
            parts = (norm(x) @ w["attend0.weight"].T).reshape(rows, length, 3, heads, -1)
            query, key, value = jnp.moveaxis(parts, 2, 0)
            similar = jnp.einsum("bthd,bshd->bhts", query, key) / query.shape[-1] ** 0.5
            similar = jnp.where(jnp.tril(jnp.ones((length, length), bool)), similar, -jnp.inf)
            read = jnp.einsum("bhts,bshd->bthd", jax.nn.softmax(similar), value).reshape(x.shape)
            x = x + read @ w["mix0.weight"].T
            x = x + jax.nn.relu(norm(x) @ w["widen0.weight"].T) @ w["narrow0.weight"].T
            scores = jax.nn.log_softmax(norm(x) @ w["scores.weight"].T)
            return -jnp.take_along_axis(scores, targets[..., None], 2).mean()

        def run(weights, rows, x, y):
            def iteration(state, batch):
                w, m, v, t = state
                gradient, t = jax.grad(loss)(w, x[batch], y[batch]), t + 1
                m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradient)
                v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradient)

                def step(w, m, v):
                    return w - RATE / (1 - 0.9**t) * m / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8)

                return (jax.tree.map(step, w, m, v), m, v, t), None

            zeros = jax.tree.map(jnp.zeros_like, weights)
            return jax.lax.scan(iteration, (weights, zeros, zeros, 0.0), rows)[0][0]

        if not compiled:
            compiled["run"] = jax.jit(jax.vmap(run, (0, 0, None, None)) if replicas > 1 else run)
            compiled["data"] = [jnp.asarray(a.astype(np.int32)) for a in workload.data.split("train")]
        many = max(1, min(replicas, 64 // batch_size))
        parameters = initialized(workload.model, 0).named_parameters()
        weights = {name: jnp.asarray(p.detach().numpy()) for name, p in parameters}
        rows = np.random.default_rng(0).integers(len(workload), size=(iterations, batch_size), dtype=np.int32)
        if replicas > 1:
            weights, rows = jax.tree.map(lambda a: jnp.stack([a] * many), (weights, rows))
        jax.block_until_ready(compiled["run"](weights, rows, *compiled["data"]))
        return rows.size * workload.tokens_per_sample

    return contestant


CONTESTANTS = {"textbook DataLoader loop": textbook, "plain loop": plain, "replicas": replicas}
PEERS = {"jax.lax.scan": ("jax", jax_scan(1)), "jax.lax.scan under vmap": ("jax", jax_scan(REPLICAS))}


if __name__ == "__main__":
    from bench.throughput import installed, race  # which sets the number of threads before libraries load

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one repeat")
    options = parser.parse_args()
    torch.set_num_threads(1)
    contestants = CONTESTANTS | {name: run for name, (package, run) in PEERS.items() if installed(package)}
    race(model_of_tokens(), contestants, ITERATIONS, 1 if options.quick else 3)
