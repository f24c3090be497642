"""The ways of counting of each framework, as data for ``lib.frameworks.readings``.

Of two that explain a number equally well the earlier one is named first, so the best known lead.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

from lib.frameworks.readings import Shown, Way

ITERATIONS, OF_AN_EPOCH = Shown("iterations"), Shown("iterations of an epoch")
BATCHES, LENGTH = Shown("batches"), Shown("batches of an epoch")
LOOP = {"your loop's count of iterations": ITERATIONS, "your loop's count of batches": BATCHES}
TRAINER = {
    "num_samples": "N",
    "per_device_train_batch_size": "B",
    "gradient_accumulation_steps": "A",
    "world_size": "W",
    "num_train_epochs": "E",
}
LOADER = {"num_samples": "N", "batch_size": "B"}
DROPS: dict[str, Any] = {"drop_last": True}


def _best_known() -> Iterator[Way]:
    trainer = Way("transformers", TRAINER, {"global_step": ITERATIONS}, {"global_step": "max_steps"})
    yield trainer
    yield replace(trainer, version="before 4.52")  # read in 4.45.2, 4.46.3, 4.49.0, 4.50.3, 4.51.3; 4.52.1 flushes
    yield replace(trainer, given={"dataloader_drop_last": True})
    torch = {**LOADER, "accumulation_steps": "A", "num_replicas": "W", "epochs": "E"}
    for given in ({}, {"tail": "flush"}, DROPS, {"tail": "flush", **DROPS}, {"sampler_drop_last": True}):
        yield Way("torch", torch, {"len(loader)": LENGTH, **LOOP}, given=given)
    lightning = {**LOADER, "accumulate_grad_batches": "A", "devices": "W", "max_epochs": "E"}
    shown = {"global_step": ITERATIONS, "the progress bar": LENGTH}
    for given in ({}, DROPS):
        yield Way("lightning", lightning, shown, {"global_step": "max_steps"}, given, {"E": 1000})
    keras = {**LOADER, "gradient_accumulation_steps": "A", "epochs": "E"}
    shown = {"the bar": LENGTH, "optimizer.iterations": ITERATIONS}
    yield Way("keras", keras, shown, {"the bar": "steps_per_epoch"})
    for share in (0.1, 0.2, 0.25, 0.3):
        yield Way("keras", keras, shown, given={"validation_split": share}, held_out=("floor", share))
    accelerate = {**LOADER, "gradient_accumulation_steps": "A", "num_processes": "W", "epochs": "E"}
    shown = {"batches of a device": LENGTH, **LOOP, "steps of a prepared scheduler": Shown("iterations", "W")}
    for given in ({}, DROPS, {"sync_with_dataloader": False}):
        yield Way("accelerate", accelerate, shown, given=given)
    split = {**shown, "steps of a prepared scheduler": ITERATIONS}
    yield Way("accelerate", {**accelerate, "batch_size": "BW"}, split, given={"split_batches": True})
    texts = {"lengths" if name == "num_samples" else name: letter for name, letter in TRAINER.items()}
    packed = "With packing=True, TRL counts packed rows as samples: there are fewer rows than texts."
    yield Way("trl", texts, {"global_step": ITERATIONS}, {"global_step": "max_steps"}, caution=packed)
    yield replace(trainer, framework="sentence-transformers")
    yield replace(trainer, framework="sentence-transformers", given={"dataloader_drop_last": True})


def _scikit_learn() -> Iterator[Way]:
    mlp, shown = {**LOADER, "max_iter": "E"}, {"n_iter_": Shown("epochs"), "t_": Shown("visits")}
    yield Way("sklearn-mlp", mlp, shown, {"n_iter_": "max_iter"})
    stopping = {"early_stopping": True}
    yield Way("sklearn-mlp", mlp, shown, given=stopping, held_out=("ceil", 0.1))
    sgd = {"n_iter_": Shown("epochs"), "t_": Shown("visits", plus=1)}
    yield Way("sklearn-sgd", {"num_samples": "N", "max_iter": "E"}, sgd, {"n_iter_": "max_iter"})
    yield Way("sklearn-kmeans", mlp, {"n_steps_": ITERATIONS})


def _boosting() -> Iterator[Way]:
    for key, argument, rounds, trees in (
        ("xgboost", "num_boost_round", "num_boosted_rounds()", "trees"),
        ("lightgbm", "num_boost_round", "current_iteration()", "num_trees()"),
    ):
        arguments, per_round = {"num_samples": "N", argument: "E"}, Shown("epochs")
        yield Way(key, arguments, {rounds: per_round, trees: per_round}, {rounds: argument})
        yield Way(key, arguments, {trees: Shown("epochs", "3")}, given={"num_class": 3})
    catboost = {"num_samples": "N", "iterations": "E"}
    yield Way("catboost", catboost, {"tree_count_": Shown("epochs")}, {"tree_count_": "iterations"})


def _pytorch_family() -> Iterator[Way]:
    sampler = {"dataset_size": "N", "batch_size": "B", "epochs": "E"}
    stream = {**LOADER, "epochs": "E"}
    for given in ({}, DROPS):
        yield Way("torch-sampler", sampler, {"len(loader)": LENGTH, **LOOP}, given=given)
    for workers in (0, 2, 4, 8):
        for split in (False, True) if workers else (False,):
            given = {"num_workers": workers, "split_by_worker": split} if workers else {}
            yield Way("torch-iterable", stream, {"batches in an epoch": LENGTH, **LOOP}, given=given)
    yield Way("torch-iterable", stream, {"batches in an epoch": LENGTH, **LOOP}, given=DROPS)
    ignite = {**LOADER, "max_epochs": "E"}
    for given in ({}, DROPS):
        yield Way("ignite", ignite, {"state.iteration": BATCHES}, {"state.iteration": "max_iters"}, given, {"E": 1})
    shown = {"train_batch_count of an epoch": LENGTH, "epochs": Shown("epochs")}
    asked = {"epochs": "max_epochs"}
    yield Way("skorch", ignite, shown, asked, held_out=("part", 5))
    yield Way("skorch", ignite, shown, asked, {"train_split": None})
    fastai = {"num_samples": "N", "bs": "B", "n_epoch": "E"}
    for given in ({}, {"drop_last": False}):
        yield Way("fastai", fastai, {"train_iter": BATCHES}, given=given)
    timm = {**LOADER, "grad_accum_steps": "A", "world_size": "W", "epochs": "E"}
    yield Way("timm", timm, {"updates_per_epoch": OF_AN_EPOCH})
    pyg = {"num_seeds": "N", "batch_size": "B", "epochs": "E"}
    for given in ({}, DROPS):
        yield Way("pyg", pyg, {"len(loader)": LENGTH, **LOOP}, given=given)


def _engines() -> Iterator[Way]:
    optax = {**LOADER, "every_k_schedule": "A", "epochs": "E"}
    for given in ({}, DROPS):
        yield Way("optax", optax, {"gradient_step": ITERATIONS, "TrainState.step": BATCHES}, given=given)
    sizes = {"train_micro_batch_size_per_gpu": "B", "gradient_accumulation_steps": "A", "world_size": "W"}
    shown = {"global_steps": ITERATIONS, "global_samples": Shown("iterations", "BAW")}
    for given in ({}, {"dataloader_drop_last": True}):
        yield Way("deepspeed", {"num_samples": "N", **sizes, "epochs": "E"}, shown, given=given)
    tune = {**LOADER, "gradient_accumulation_steps": "A", "world_size": "W", "epochs": "E"}
    shown = {"global_step": ITERATIONS, "the bar": OF_AN_EPOCH}
    yield Way("torchtune", tune, shown, {"the bar": "max_steps_per_epoch"})
    lit = {"num_samples": "N", "micro_batch_size": "B", "global_batch_size": "BAW", "devices": "W", "epochs": "E"}
    yield Way("litgpt", lit, {"step_count": ITERATIONS}, {"step_count": "max_steps"}, usual={"A": 16})
    meg = {"train_samples": "N", "micro_batch_size": "B", "global_batch_size": "BAW", "data_parallel_size": "W"}
    total = Shown("iterations for N")
    shown = {"iteration": total, "consumed_train_samples": total._replace(times="BAW")}
    yield Way("megatron", meg, shown, {"iteration": "train_iters"})
    yield Way("torchtitan", {}, {}, {"step": "steps"})
    yield Way("nanogpt", {}, {}, {"last iter": "max_iters"})
    spacy = {"num_samples": "N", "size": "B", "max_epochs": "E"}
    unlimited = {"max_steps": 0}
    yield Way("spacy", spacy, {"step": Shown("iterations", plus=-1)}, {"step": "max_steps"}, unlimited)
    yield Way("gensim", {"num_words": "N", "epochs": "E"}, {"raw words": Shown("visits")})


def _vision() -> Iterator[Way]:
    for key, size in (("ultralytics", "batch"), ("yolov5", "batch_size")):
        yield Way(key, {"num_samples": "N", size: "B", "epochs": "E"}, {"batches of an epoch": LENGTH})


def _reinforcement() -> Iterator[Way]:
    ppo = {"total_timesteps": "N", "n_envs": "W", "n_epochs": "E"}
    shown = {
        "total_timesteps": Shown("timesteps"),
        "iterations": Shown("rollouts"),
        "_n_updates": Shown("passes over rollouts"),
    }
    for steps in (2048, 1024, 512, 256, 128):
        yield Way("sb3-ppo", ppo, shown, given={"n_steps": steps} if steps != 2048 else {})
    dqn = {"total_timesteps": "N", "n_envs": "W"}
    switches: list[dict] = [{}, {"train_freq": 1}, {"gradient_steps": -1}]
    for given in switches:
        yield Way("sb3-dqn", dqn, {"_n_updates": Shown("updates from memory")}, given=given)


FAMILIES = (_best_known, _scikit_learn, _boosting, _pytorch_family, _engines, _vision, _reinforcement)
WAYS = tuple(chain.from_iterable(ways() for ways in FAMILIES))
