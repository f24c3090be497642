"""Hugging Face's Trainer, what is built on it, and Accelerate below it."""

import math

from lib.frameworks.base import Answer, framework
from lib.loading import Stream
from lib.plan import LoaderPlan, TrainingPlan
from lib.tokens import packed

TRAINER_WORDS = {
    "iteration": "step",
    "epoch": "epoch (a fraction inside an epoch)",
    "batch": "batch",
    "batch size": "per_device_train_batch_size",
    "accumulation": "gradient_accumulation_steps",
    "global batch size": "total train batch size",
    "budget": "num_train_epochs (may be a fraction), max_steps; max_steps wins",
}
TRAINER_OWN = {
    "batch_size": "per_device_train_batch_size",
    "accumulation_steps": "gradient_accumulation_steps",
    "drop_last": "dataloader_drop_last",
    "epochs": "num_train_epochs",
}
TRAINER_HABITS: dict = {
    "tail": "flush; with iterable data merge",
    "last_batch": "kept; dropped with dataloader_drop_last=True",
    "padding": "batches are dealt whole, the last ones filled to full size on every device",
    "shuffling": "on",
    "averaging": "train loss: mean over iterations; eval_loss: mean over samples",
    "scheduler": "iteration",
    "own": TRAINER_OWN,
}


def trainer_plan(num_samples, batch_size, epochs, max_steps, accumulation, drop_last, world_size) -> TrainingPlan:
    """The Trainer's rule for data with a length."""
    choices = dict(
        num_samples=num_samples,
        batch_size=batch_size,
        drop_last=drop_last,
        accumulation_steps=accumulation,
        world_size=world_size,
        deal="batches",
    )
    if max_steps > 0:
        return TrainingPlan.for_iterations(max_steps, **choices)
    plan = TrainingPlan(epochs=epochs, **choices)
    total = math.ceil(epochs * plan.iterations_per_epoch)  # floating point: 0.07 * 100 is a little more than 7
    return plan if total == plan.total_iterations else TrainingPlan.for_iterations(total, **choices)


@framework(
    "transformers",
    name="Hugging Face Trainer",
    package="transformers",
    version="5.24.0",
    executed=True,
    words=TRAINER_WORDS,
    **TRAINER_HABITS,
    traps=(
        "A fraction of an epoch is rounded up to a whole step, so the log ends behind num_train_epochs.",
        "dataloader_drop_last with fewer samples than a batch is told as a loader without a length.",
        "train_samples_per_second is worked out from what was asked for, not from what was read.",
    ),
    sources=("transformers/trainer.py", "transformers #36297", "transformers #33455"),
)
def trainer(
    num_samples,
    *,
    per_device_train_batch_size=8,
    gradient_accumulation_steps=1,
    num_train_epochs=3.0,
    max_steps=-1,
    dataloader_drop_last=False,
    world_size=1,
    iterable=False,
) -> Answer:
    if not iterable:
        plan = trainer_plan(
            num_samples,
            per_device_train_batch_size,
            num_train_epochs,
            max_steps,
            gradient_accumulation_steps,
            dataloader_drop_last,
            world_size,
        )
        epoch = float(plan.epochs_after(plan.total_iterations))
        return Answer(plan, {"global_step": plan.total_iterations, "epoch": round(epoch, 4)})
    if max_steps < 1:
        raise ValueError(f"max_steps is {max_steps}, but iterable data have no length, so the Trainer needs it.")
    if world_size > 1:
        raise ValueError(f"world_size is {world_size}, but iterable data are counted here on one device only.")
    streamed = LoaderPlan.for_iterations(
        max_steps,
        Stream(num_samples, per_device_train_batch_size),
        accumulation_steps=gradient_accumulation_steps,
        tail="merge",
    )
    return Answer(
        streamed,
        {"global_step": max_steps},
        ("The epoch in its log is worked out from max_steps and is not the number of passes.",),
    )


@framework(
    "accelerate",
    name="Accelerate",
    package="accelerate",
    version="1.15.0",
    executed=True,
    words={
        "iteration": "a step with sync_gradients",
        "epoch": "one pass over the prepared loader, in your loop",
        "batch": "batch",
        "batch size": "batch_size of your loader, per device; with split_batches=True over all devices",
        "accumulation": "gradient_accumulation_steps",
        "budget": "your loop",
    },
    tail="flush, but divided by gradient_accumulation_steps; carry with sync_with_dataloader=False",
    last_batch="kept on one device, filled to full size on several; dropped with drop_last=True",
    padding="batches are dealt whole, the last ones filled to full size on every device",
    shuffling="the loader's",
    averaging="your loop's",
    scheduler="a prepared scheduler steps once a device and iteration",
    traps=(
        "even_batches=False can leave one device with a batch more, and the others wait for ever.",
        "A prepared scheduler steps W times an iteration unless split_batches=True.",
    ),
    sources=("accelerate/data_loader.py", "accelerate #2708"),
    own={
        "world_size": "num_processes",
        "accumulation_steps": "gradient_accumulation_steps",
        "pad_to_even": "even_batches",
    },
)
def accelerate(
    num_samples,
    batch_size=1,
    *,
    epochs=1,
    drop_last=False,
    gradient_accumulation_steps=1,
    num_processes=1,
    split_batches=False,
    even_batches=True,
    sync_with_dataloader=True,
) -> Answer:
    if split_batches and batch_size % num_processes:
        raise ValueError(
            f"batch_size is {batch_size}, but with split_batches=True it must be a multiple of "
            f"num_processes, {num_processes}."
        )
    plan = TrainingPlan(
        num_samples,
        batch_size // num_processes if split_batches else batch_size,
        epochs,
        drop_last=drop_last,
        accumulation_steps=gradient_accumulation_steps,
        world_size=num_processes,
        pad_to_even=even_batches,
        deal="batches",
        tail="flush" if sync_with_dataloader else "carry",
    )
    times = 1 if split_batches else num_processes
    return Answer(
        plan,
        {"batches of a device": plan.batches_per_epoch, "steps of a prepared scheduler": times * plan.total_iterations},
    )


@framework(
    "trl",
    name="TRL SFTTrainer",
    package="trl",
    version="1.16.0",
    executed=True,
    words=TRAINER_WORDS,
    **TRAINER_HABITS,
    traps=(
        "With packing=True a sample is a packed row: 8,861 texts became about 2,600 rows, and the bar said 489.",
        "packing_strategy='bfd' cuts off what is longer than max_length.",
        "max_length is 1,024 by default: longer texts are cut off.",
        "With packing the rows of a batch become one long row, so the first axis of a tensor is no batch size.",
    ),
    sources=("trl/trainer/sft_trainer.py, data_utils.py",),
    least={"lengths": None},
)
def trl(
    lengths,
    *,
    packing=False,
    packing_strategy="bfd",
    max_length=1024,
    per_device_train_batch_size=8,
    gradient_accumulation_steps=1,
    num_train_epochs=3.0,
    max_steps=-1,
    world_size=1,
) -> Answer:
    how = {"bfd": "best fit", "bfd_split": "best fit, split", "wrapped": "wrapped"}
    if packing and packing_strategy not in how:
        raise ValueError(f"packing_strategy is {packing_strategy!r}, but it must be one of {', '.join(how)}.")
    if not lengths:
        raise ValueError("lengths is empty, but it must hold the tokens of at least one text.")
    rows = packed(lengths, max_length, how[packing_strategy] if packing else "none")
    plan = trainer_plan(
        len(rows),
        per_device_train_batch_size,
        num_train_epochs,
        max_steps,
        gradient_accumulation_steps,
        False,
        world_size,
    )
    lost = sum(lengths) - sum(map(sum, rows))
    notes: tuple[str, ...] = (
        (f"{len(lengths):,} texts became {len(rows):,} rows of at most {max_length:,} tokens.",) if packing else ()
    )
    if lost:
        notes += (f"{lost:,} tokens are cut off.",)
    return Answer(plan, {"global_step": plan.total_iterations}, notes)


@framework(
    "sentence-transformers",
    name="sentence-transformers",
    package="sentence-transformers",
    version="6.2.0",
    executed=True,
    words={**TRAINER_WORDS, "sample": "pair, triplet"},
    **TRAINER_HABITS,
    traps=(
        "fit(steps_per_epoch=..., epochs=2) is no longer honoured.",
        "batch_sampler='no_duplicates' ends at an estimate and may leave pairs out.",
    ),
    sources=("sentence_transformers/trainer.py",),
)
def sentence_transformers(
    num_samples,
    *,
    per_device_train_batch_size=8,
    gradient_accumulation_steps=1,
    num_train_epochs=3.0,
    max_steps=-1,
    dataloader_drop_last=False,
    world_size=1,
) -> Answer:
    plan = trainer_plan(
        num_samples,
        per_device_train_batch_size,
        num_train_epochs,
        max_steps,
        gradient_accumulation_steps,
        dataloader_drop_last,
        world_size,
    )
    return Answer(plan, {"global_step": plan.total_iterations})
