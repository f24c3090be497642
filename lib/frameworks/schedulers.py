"""Learning-rate schedulers: what unit one step is, and what their lengths count.

A schedule of the wrong length is the commonest silent mistake: ``T_max`` counts calls of
``step()``, whatever happens between two of them.
"""

import math
from dataclasses import dataclass

from lib.plan import Plan

UNITS = ("batch", "iteration", "epoch", "device and iteration", "rollout", "call")


@dataclass(frozen=True)
class Scheduler:
    """A scheduler in a framework.

    Attributes
    ----------
    name, framework : str
        The scheduler; the key in ``FRAMEWORKS``.
    unit : str
        What makes it step once: a "batch", an "iteration", an "epoch", a "device and
        iteration", a "rollout"; or a "call", if you call ``step()`` yourself.
    lengths : dict
        The arguments that are lengths, and what each counts.
    trap : str
        What goes wrong, with the numbers of a small case.
    executed : bool
        Tested by running it; otherwise read in its source.
    """

    name: str
    framework: str
    unit: str
    lengths: dict[str, str]
    trap: str
    executed: bool = True


CALLS = "calls of step()"
SCHEDULERS = (
    Scheduler(
        "CosineAnnealingLR",
        "torch",
        "call",
        {"T_max": f"{CALLS} until the lowest rate; then it climbs again"},
        "T_max=10 stepped 100 times, once a batch, makes five full waves and ends at the full rate; T_max=100 stepped "
        "once in each of 10 epochs ends at 0.976 of it.",
    ),
    Scheduler(
        "OneCycleLR",
        "torch",
        "call",
        {"total_steps": CALLS, "epochs, steps_per_epoch": f"their product is {CALLS}"},
        "One step too many raises an error: with epochs=3 and steps_per_epoch=13 the 40th.",
    ),
    Scheduler(
        "StepLR",
        "torch",
        "call",
        {"step_size": CALLS},
        "step_size=30 stepped once a batch lowers the rate every 30 batches, not every 30 epochs.",
    ),
    Scheduler(
        "LinearLR",
        "torch",
        "call",
        {"total_iters": CALLS},
        "total_iters=5 stepped once an epoch warms up for 5 epochs.",
    ),
    Scheduler(
        "lr_scheduler_type",
        "transformers",
        "iteration",
        {
            "warmup_steps": "iterations; below 1 a share of all iterations, rounded up",
            "num_training_steps": "iterations, the bar's total",
        },
        "With accumulation the horizon is in iterations: one worked out from len(loader) is A times too long.",
    ),
    Scheduler(
        "a prepared scheduler",
        "accelerate",
        "device and iteration",
        {"its own lengths": "iterations times devices, unless split_batches=True"},
        "After 2 iterations on 2 devices it has made 4 steps: a schedule of the right length ends half-way.",
    ),
    Scheduler(
        "lr_scheduler with interval='epoch', the default",
        "lightning",
        "epoch",
        {"its own lengths": "epochs"},
        "OneCycleLR with total_steps in iterations needs interval='step'.",
    ),
    Scheduler(
        "lr_scheduler with interval='step'",
        "lightning",
        "iteration",
        {"its own lengths": "iterations", "trainer.estimated_stepping_batches": "iterations of the whole run"},
        "A step is an iteration, not a batch: with accumulate_grad_batches=3 there are a third as many.",
    ),
    Scheduler(
        "LearningRateSchedule",
        "keras",
        "batch",
        {"decay_steps": "batches, even with accumulation"},
        "With gradient_accumulation_steps=2 a boundary at 4 comes after 2 iterations.",
    ),
    Scheduler(
        "a schedule inside MultiSteps",
        "optax",
        "iteration",
        {"decay_steps, transition_steps": "iterations"},
        "The opposite of Keras: it counts updates, not batches.",
    ),
    Scheduler(
        "LRScheduler",
        "skorch",
        "epoch",
        {"its own lengths": "epochs; with step_every='batch' batches"},
        "T_max in batches needs step_every='batch'.",
        executed=False,
    ),
    Scheduler(
        "fit_one_cycle",
        "fastai",
        "batch",
        {"pct_start": "a share of all batches"},
        "Batches are counted even when GradientAccumulation makes fewer iterations.",
        executed=False,
    ),
    Scheduler(
        "create_scheduler_v2",
        "timm",
        "epoch",
        {"warmup_epochs, num_epochs": "epochs; with --sched-on-updates they are turned into iterations"},
        "The rate changes once an epoch unless --sched-on-updates is given.",
        executed=False,
    ),
    Scheduler(
        "scheduler in the configuration",
        "deepspeed",
        "iteration",
        {"warmup_num_steps, total_num_steps": "iterations"},
        "It steps with global_steps; a scheduler of your own must not be stepped beside it.",
        executed=False,
    ),
    Scheduler(
        "get_lr_scheduler",
        "litgpt",
        "iteration",
        {"lr_warmup_steps": "iterations", "horizon": "epochs times floor(batches / accumulation)"},
        "What is carried over epochs makes more iterations than the horizon, so the cosine turns up again at the end.",
        executed=False,
    ),
    Scheduler(
        "--lr-decay-iters, --lr-decay-samples",
        "megatron",
        "iteration",
        {"lr-decay-iters, lr-warmup-iters": "iterations", "lr-decay-samples, lr-warmup-samples": "samples"},
        "With a batch-size ramp only the sample-based ones keep their place in the data.",
        executed=False,
    ),
    Scheduler(
        "lr0, lrf",
        "ultralytics",
        "epoch",
        {"warmup_epochs": "epochs, turned into batches"},
        "The warm-up changes the rate, and the accumulation, every batch; afterwards the rate changes every epoch.",
        executed=False,
    ),
    Scheduler(
        "learning_rate as a function",
        "sb3-ppo",
        "rollout",
        {"progress_remaining": "the share of total_timesteps that is left"},
        "It changes once a rollout, not once an iteration.",
        executed=False,
    ),
)


def steps_in(plan: Plan, unit: str) -> int:
    """How often a scheduler steps in the run of a plan, if it steps once in each ``unit`` of ``UNITS``.

    This is what ``T_max`` or ``total_steps`` should be. In a last epoch that is not
    finished only the batches are counted that have been gone through, and "epoch" counts
    it as one.

    Examples
    --------
    >>> from lib.plan import TrainingPlan
    >>> plan = TrainingPlan(100, 8, epochs=3, accumulation_steps=4, world_size=2)
    >>> [steps_in(plan, unit) for unit in ("batch", "iteration", "epoch", "device and iteration")]
    [21, 6, 3, 12]
    """
    if unit == "iteration":
        return plan.total_iterations
    if unit == "device and iteration":
        return plan.total_iterations * plan.loader.world_size
    if unit == "epoch":
        return plan.epochs_started
    if unit == "batch":
        stopped = plan.max_iterations is not None or plan.epochs != plan.epochs_started
        whole = plan.epochs_started * (plan.batches_per_epoch or 0)
        return plan.batches_after(plan.total_iterations) if stopped or not whole else whole
    raise ValueError(f"unit is {unit!r}, but a plan knows 'batch', 'iteration', 'epoch' and 'device and iteration'.")


def warmup_iterations(total_iterations: int, warmup_steps: float) -> int:
    """What the Hugging Face Trainer makes of ``warmup_steps``: a number, or below 1 a share, rounded up.

    Examples
    --------
    >>> warmup_iterations(294, 0.1), warmup_iterations(294, 100)
    (30, 100)
    """
    return int(warmup_steps) if warmup_steps >= 1 else math.ceil(total_iterations * warmup_steps)
