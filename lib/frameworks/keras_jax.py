"""Keras, and JAX's optax."""

import math
from collections.abc import Sequence

from lib.frameworks.base import Answer, framework
from lib.loading import Loader
from lib.plan import TrainingPlan
from lib.ramps import AccumulationRamp, Ramp


@framework(
    "keras",
    name="Keras",
    package="keras",
    version="3.15.1",
    executed=True,
    words={
        "iteration": "optimizer.iterations (the bar's step is a batch)",
        "epoch": "epoch; with steps_per_epoch that many batches",
        "batch": "step, batch",
        "batch size": "batch_size",
        "accumulation": "gradient_accumulation_steps of the optimizer",
        "budget": "epochs (the final index), steps_per_epoch",
    },
    tail="carry",
    last_batch="kept",
    padding="–",
    shuffling="on for arrays, ignored otherwise",
    averaging="mean over samples",
    scheduler="batch, even with accumulation",
    traps=(
        "The bar counts batches, not samples: 1875/1875 is all of 60,000 images.",
        "validation_split is cut off the end before anything is counted.",
        "epochs=5 with initial_epoch=3 trains two epochs.",
        "A rate schedule counts batches, optimizer.iterations counts iterations.",
        "A finite generator of 7 batches gives epochs of 7, 2 and 2 batches: the two that were peeked at.",
        "With steps_per_epoch an epoch of arrays goes on where the last one stopped, and is cut where the data end.",
    ),
    sources=("keras/src/trainers/epoch_iterator.py", "tensorflow #38596", "keras #19037"),
    own={"accumulation_steps": "gradient_accumulation_steps"},
)
def keras(
    num_samples,
    batch_size=32,
    *,
    epochs=1,
    initial_epoch=0,
    steps_per_epoch=None,
    validation_split=0.0,
    gradient_accumulation_steps=None,
) -> Answer:
    if epochs <= initial_epoch:
        raise ValueError(
            f"epochs is {epochs}, but it must be above initial_epoch, {initial_epoch}, or nothing is trained."
        )
    if not 0 <= validation_split < 1:
        raise ValueError(f"validation_split is {validation_split}, but it must be at least 0 and below 1.")
    trained = math.floor(num_samples * (1 - validation_split))
    if trained == 0:
        raise ValueError(
            f"validation_split is {validation_split}, which leaves none of {num_samples} samples for training; "
            f"use a smaller share."
        )
    choices = dict(
        num_samples=trained,
        batch_size=batch_size or 32,
        accumulation_steps=gradient_accumulation_steps or 1,
        tail="carry",
    )
    notes: tuple[str, ...] = ()
    if validation_split:
        notes = (f"validation_split keeps the last {num_samples - trained:,} samples for validation.",)
    if steps_per_epoch is None:
        plan = TrainingPlan(epochs=epochs - initial_epoch, **choices)
        bar = plan.batches_per_epoch
    else:  # an epoch goes on where the one before stopped, and is cut where the data end
        a_pass = math.ceil(trained / choices["batch_size"])
        passes, rest = divmod(epochs - initial_epoch, math.ceil(a_pass / steps_per_epoch))
        batches = passes * a_pass + min(rest * steps_per_epoch, a_pass)
        if batches < choices["accumulation_steps"]:
            raise ValueError(
                f"gradient_accumulation_steps is {gradient_accumulation_steps}, but the run has only {batches} "
                f"batches, so the weights are never updated; use fewer."
            )
        plan = TrainingPlan.for_iterations(batches // choices["accumulation_steps"], **choices)
        bar = steps_per_epoch
    return Answer(plan, {"bar": f"{bar}/{bar}", "optimizer.iterations": plan.total_iterations}, notes)


@framework(
    "optax",
    name="optax (with Flax)",
    package="optax",
    version="0.2.8",
    executed=True,
    words={
        "iteration": "gradient_step of MultiSteps",
        "epoch": "your loop's",
        "batch": "mini_step; TrainState.step counts these",
        "batch size": "your loop's",
        "accumulation": "MultiSteps(every_k_schedule)",
        "budget": "your loop",
    },
    tail="carry",
    last_batch="your loop's",
    padding="–",
    shuffling="your loop's",
    averaging="your loop's",
    scheduler="iteration",
    traps=(
        "TrainState.step counts batches, gradient_step counts iterations.",
        "every_k_schedule may be a function of gradient_step.",
    ),
    sources=("optax/transforms/_accumulation.py",),
    least={"every_k_schedule": None},
    own={"use fewer accumulation_steps": "use a smaller one", "accumulation_steps": "every_k_schedule"},
)
def optax(num_samples, batch_size, *, epochs=1, drop_last=False, every_k_schedule=1) -> Answer:
    plan: TrainingPlan | AccumulationRamp
    if isinstance(every_k_schedule, Sequence):  # ((first iteration, k), ...)
        ramp = Ramp(every_k_schedule, unit="iterations")
        plan = AccumulationRamp(Loader(num_samples, batch_size, drop_last=drop_last), ramp, epochs)
    else:
        plan = TrainingPlan(
            num_samples, batch_size, epochs, drop_last=drop_last, accumulation_steps=every_k_schedule, tail="carry"
        )
    return Answer(
        plan, {"gradient_step": plan.total_iterations, "TrainState.step": plan.epochs * plan.batches_per_epoch}
    )
