"""Object detection and reinforcement learning."""

import math

from lib.frameworks.base import Answer, framework
from lib.loading import Loader, Stream
from lib.plan import LoaderPlan, TrainingPlan
from lib.ramps import AccumulationRamp, Ramp

YOLO_WORDS = {
    "iteration": "optimizer step",
    "epoch": "epoch",
    "batch": "batch, iteration of the bar",
    "batch size": "batch",
    "accumulation": "accumulate, from the nominal batch size nbs",
    "global batch size": "nbs, nearly",
    "budget": "epochs, patience, time",
}
YOLO_HABITS = {
    "tail": "carry",
    "last_batch": "kept",
    "padding": "DistributedSampler repeats samples from the start",
    "shuffling": "on",
    "averaging": "mean over batches",
    "scheduler": "epoch",
}


def warmed_up(loader: Loader, epochs: int, warmup: int, highest: float, steps: int) -> AccumulationRamp:
    """Accumulation that grows along a line to ``highest`` within ``warmup`` batches, and is ``steps`` afterwards."""
    grown = [max(1, round(1 + (highest - 1) * batch / warmup)) for batch in range(warmup + 1)] if warmup else []
    stages = [(0, grown[0] if grown else steps)]
    for batch, value in enumerate(grown + [steps] if warmup else []):
        if value != stages[-1][1]:
            stages.append((batch, value))
    return AccumulationRamp(loader, Ramp(stages, unit="batches"), epochs)


@framework(
    "ultralytics",
    name="Ultralytics YOLO",
    package="ultralytics",
    version="8.4.190",
    executed=False,
    words=YOLO_WORDS,
    **YOLO_HABITS,
    traps=(
        "The nominal batch of 64 is met only if batch divides it: batch 24 gives 72, 40 gives 80.",
        "Accumulation is warmed up, so the first epochs have more iterations.",
        "With few images there may be very few iterations in a whole run.",
    ),
    sources=("ultralytics/engine/trainer.py", "yolov5 #4362", "yolov5 #3722"),
    own={"batch_size": "batch"},
)
def ultralytics(num_samples, *, batch=16, epochs=100, nbs=64, warmup_epochs=3.0) -> Answer:
    loader = Loader(num_samples, batch)
    steps = min(max(round(nbs / batch), 1), loader.batches_per_epoch * epochs)
    warmup = round(min(warmup_epochs, max(epochs - 1, 0)) * loader.batches_per_epoch)
    # At the last batch of the warm-up its line has come to the steps that follow.
    return Answer(warmed_up(loader, epochs, warmup, steps, steps), {"batches of an epoch": loader.batches_per_epoch})


@framework(
    "yolov5",
    name="YOLOv5",
    package="(a repository)",
    version="7.0",
    executed=False,
    words=YOLO_WORDS,
    **YOLO_HABITS,
    traps=("The warm-up of accumulation has at least 100 batches, which may be the whole run.",),
    sources=("train.py of yolov5", "yolov5 #4362"),
)
def yolov5(num_samples, *, batch_size=16, epochs=100, nbs=64, warmup_epochs=3.0) -> Answer:
    loader = Loader(num_samples, batch_size)
    warmup = max(round(warmup_epochs * loader.batches_per_epoch), 100)
    last = max(1, round(nbs / batch_size))  # behind the warm-up it stays at what it had come to
    plan = warmed_up(loader, epochs, warmup, nbs / batch_size, last)
    return Answer(plan, {"batches of an epoch": loader.batches_per_epoch})


RL_HABITS = {
    "last_batch": "kept, with a warning",
    "shuffling": "on within a rollout",
    "averaging": "mean over batches of a rollout's training",
    "scheduler": "share of total_timesteps that is left, at every rollout",
}


@framework(
    "sb3-ppo",
    name="stable-baselines3 PPO",
    package="stable-baselines3",
    version="2.9.2",
    executed=True,
    words={
        "sample": "timestep of one environment",
        "iteration": "(no name; iteration is a rollout)",
        "epoch": "epoch: one pass over a rollout",
        "batch": "minibatch",
        "batch size": "batch_size",
        "budget": "total_timesteps, rounded up to whole rollouts",
    },
    **RL_HABITS,
    traps=(
        "n_updates counts epochs, and the log shows it before the last training.",
        "An epoch is a pass over the last rollout, not over all that was seen.",
        "total_timesteps=100 trains on 2,048.",
    ),
    sources=("stable_baselines3/ppo/ppo.py",),
    least={"batch_size": 2},
)
def ppo(total_timesteps, *, n_steps=2048, n_envs=1, batch_size=64, n_epochs=10) -> Answer:
    rollout = n_steps * n_envs
    if rollout < 2:  # it divides by their standard deviation
        raise ValueError(
            "n_steps is 1 and n_envs is 1, but a rollout must have at least 2 timesteps; use more n_steps."
        )
    rollouts = math.ceil(total_timesteps / rollout)
    plan = TrainingPlan(rollout, batch_size, epochs=rollouts * n_epochs)
    shows = {"total_timesteps": rollouts * rollout, "iterations": rollouts, "_n_updates": rollouts * n_epochs}
    return Answer(plan, shows, (f"A rollout of {rollout:,} timesteps is an epoch's samples, {n_epochs} times over.",))


@framework(
    "sb3-dqn",
    name="stable-baselines3 DQN",
    package="stable-baselines3",
    version="2.9.2",
    executed=True,
    words={
        "sample": "timestep of one environment",
        "iteration": "gradient step, _n_updates",
        "batch": "minibatch from the replay buffer",
        "batch size": "batch_size",
        "budget": "total_timesteps",
    },
    **{**RL_HABITS, "last_batch": "there is none: batches are drawn", "shuffling": "draws with replacement"},
    traps=(
        "train_freq counts steps of all environments at once; gradient_steps=-1 trains once a timestep.",
        "Nothing is learned before learning_starts timesteps.",
    ),
    sources=("stable_baselines3/common/off_policy_algorithm.py",),
    least={"learning_starts": 0, "gradient_steps": -1},
)
def dqn(total_timesteps, *, learning_starts=100, train_freq=4, gradient_steps=1, batch_size=32, n_envs=1) -> Answer:
    if gradient_steps == 0:
        raise ValueError("gradient_steps is 0, so the weights are never updated; use more, or -1 for one a timestep.")
    at_once = train_freq * n_envs
    trainings = math.ceil(total_timesteps / at_once) - learning_starts // at_once
    updates = trainings * (at_once if gradient_steps == -1 else gradient_steps)
    if updates < 1:
        raise ValueError(
            f"total_timesteps is {total_timesteps}, but learning starts behind {learning_starts}, so the weights are "
            f"never updated; use more."
        )
    return Answer(LoaderPlan(Stream(None, batch_size), max_iterations=updates), {"_n_updates": updates})
