"""Keras (torch backend) and optax."""

import io
import os
import re
from contextlib import redirect_stdout

import numpy as np
import torch

from tests.frameworks.harness import check

os.environ["KERAS_BACKEND"] = "torch"  # before Keras is imported
torch.set_num_threads(1)


@check("keras", 120)
def arrays(draw):
    import keras

    choices = dict(
        num_samples=draw.randint(2, 60),
        batch_size=draw.choice([32, draw.randint(1, 12)]),
        epochs=draw.randint(1, 4),
        validation_split=draw.choice([0.0, 0.0, round(draw.uniform(0.05, 0.5), 2)]),
        steps_per_epoch=draw.choice([None, None, draw.randint(1, 9)]),
        gradient_accumulation_steps=draw.choice([None, draw.randint(2, 5)]),
    )
    choices["initial_epoch"] = draw.randint(0, choices["epochs"] - 1)
    yield choices
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    optimizer = keras.optimizers.SGD(0.0, gradient_accumulation_steps=choices["gradient_accumulation_steps"])
    model.compile(optimizer, "mse")
    x = np.zeros((choices["num_samples"], 1), "float32")
    names = ("batch_size", "epochs", "initial_epoch", "validation_split", "steps_per_epoch")
    with redirect_stdout(io.StringIO()) as printed:
        model.fit(x, x, verbose=2, **{name: choices[name] for name in names})
    bars = set(re.findall(r"^ *(\d+/\d+) - ", printed.getvalue(), flags=re.MULTILINE))
    updates = int(optimizer.iterations)
    yield {"iterations": updates, "optimizer.iterations": updates, "bar": " ".join(sorted(bars))}


@check("optax", 60)
def accumulation(draw):
    import jax
    import jax.numpy as jnp
    import optax

    ramp = [(0, draw.randint(1, 5)), (draw.randint(1, 4), draw.randint(1, 6))]
    choices = dict(
        num_samples=draw.randint(1, 40),
        batch_size=draw.randint(1, 9),
        epochs=draw.randint(1, 4),
        drop_last=draw.random() < 0.3,
        every_k_schedule=draw.choice([draw.randint(1, 6), ramp]),
    )
    yield choices
    k = choices["every_k_schedule"]
    if not isinstance(k, int):
        first, (begins, then) = ramp[0][1], ramp[1]
        k = lambda step: jnp.where(step < begins, first, then)  # noqa: E731
    multi = optax.MultiSteps(optax.sgd(1.0), k)
    weight = jnp.zeros(())
    state = multi.init(weight)
    batches, update = 0, jax.jit(multi.update)
    for _ in range(choices["epochs"]):
        for start in range(0, choices["num_samples"], choices["batch_size"]):
            if choices["drop_last"] and start + choices["batch_size"] > choices["num_samples"]:
                continue
            updates, state = update(jnp.ones(()), state, weight)
            weight = optax.apply_updates(weight, updates)
            batches += 1
    assert int(state.gradient_step) == -float(weight)  # each update has a mean gradient of 1
    yield {
        "iterations": int(state.gradient_step),
        "gradient_step": int(state.gradient_step),
        "TrainState.step": batches,
    }
