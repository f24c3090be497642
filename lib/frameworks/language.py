"""Loops for language models, and spaCy and gensim."""

from fractions import Fraction

from lib.checks import whole_number
from lib.frameworks.base import Answer, framework
from lib.loading import Loader, Stream
from lib.plan import LoaderPlan, TrainingPlan
from lib.ramps import BatchRamp, Ramp


@framework(
    "deepspeed",
    name="DeepSpeed",
    package="deepspeed",
    version="0.19.8",
    executed=True,
    words={
        "iteration": "global_steps",
        "epoch": "your loop's",
        "batch": "micro_steps",
        "batch size": "train_micro_batch_size_per_gpu",
        "accumulation": "gradient_accumulation_steps",
        "global batch size": "train_batch_size",
        "budget": "your loop",
    },
    tail="carry",
    last_batch="kept; dropped with dataloader_drop_last",
    padding="DistributedSampler repeats samples from the start",
    shuffling="on",
    averaging="your loop's",
    scheduler="iteration",
    traps=(
        "train_batch_size is the global batch size; give two of the three sizes and the third follows.",
        "global_samples is global_steps times train_batch_size, not a count of samples.",
    ),
    sources=("deepspeed/runtime/config.py, engine.py",),
    own={
        "batch_size": "train_micro_batch_size_per_gpu",
        "accumulation_steps": "gradient_accumulation_steps",
        "drop_last": "dataloader_drop_last",
    },
)
def deepspeed(
    num_samples,
    *,
    train_batch_size=None,
    train_micro_batch_size_per_gpu=None,
    gradient_accumulation_steps=None,
    epochs=1,
    world_size=1,
    dataloader_drop_last=False,
) -> Answer:
    total, micro, steps = train_batch_size, train_micro_batch_size_per_gpu, gradient_accumulation_steps
    if total is None and micro is None:
        raise ValueError("DeepSpeed needs train_batch_size or train_micro_batch_size_per_gpu.")
    if micro is None:
        micro = total // world_size // (steps or 1)
        if micro < 1:
            raise ValueError(
                f"train_batch_size is {total}, but {world_size} devices with accumulation {steps or 1} need at least "
                f"{world_size * (steps or 1)} samples; use a larger train_batch_size."
            )
    if steps is None:
        steps = total // micro // world_size if total else 1
    total = total or micro * steps * world_size
    if total != micro * steps * world_size:
        raise ValueError(
            f"train_batch_size is {total}, but it must be micro-batch size times accumulation times devices, "
            f"{micro} x {steps} x {world_size} = {micro * steps * world_size}."
        )
    plan = TrainingPlan(
        num_samples,
        micro,
        epochs,
        drop_last=dataloader_drop_last,
        accumulation_steps=steps,
        world_size=world_size,
        tail="carry",
    )
    return Answer(plan, {"global_steps": plan.total_iterations, "global_samples": plan.total_iterations * total})


@framework(
    "torchtune",
    name="torchtune",
    package="torchtune",
    version="0.6.1",
    executed=True,
    words={
        "iteration": "step, global_step",
        "epoch": "epoch",
        "batch": "batch",
        "batch size": "batch_size",
        "accumulation": "gradient_accumulation_steps",
        "budget": "epochs, max_steps_per_epoch",
    },
    tail="merge",
    last_batch="dropped",
    padding="DistributedSampler repeats samples from the start",
    shuffling="the recipe's (shuffle)",
    averaging="mean over tokens of an iteration",
    scheduler="iteration",
    traps=(
        "Left-over micro-batches make the next epoch's first iteration bigger.",
        "With fewer batches than gradient_accumulation_steps the weights never change, without a word.",
    ),
    sources=("recipes/full_finetune_single_device.py",),
    own={"accumulation_steps": "gradient_accumulation_steps"},
)
def torchtune(
    num_samples, *, batch_size=2, gradient_accumulation_steps=1, epochs=1, max_steps_per_epoch=None, world_size=1
) -> Answer:
    choices = dict(
        num_samples=num_samples,
        batch_size=batch_size,
        epochs=epochs,
        drop_last=True,
        accumulation_steps=gradient_accumulation_steps,
        tail="merge",
        world_size=world_size,
    )
    plan = TrainingPlan(**choices)
    if max_steps_per_epoch is not None and max_steps_per_epoch <= plan.iterations_per_epoch:
        plan = TrainingPlan(**choices, limit_batches=max_steps_per_epoch * gradient_accumulation_steps)
    return Answer(plan, {"global_step": plan.total_iterations, "bar": plan.iterations_per_epoch})


@framework(
    "litgpt",
    name="LitGPT finetune",
    package="litgpt",
    version="0.5.13",
    executed=True,
    words={
        "iteration": "step",
        "epoch": "epoch",
        "batch": "iter",
        "batch size": "micro_batch_size",
        "global batch size": "global_batch_size",
        "budget": "epochs, max_steps",
    },
    tail="carry",
    last_batch="kept",
    padding="DistributedSampler repeats samples from the start",
    shuffling="on",
    averaging="mean over batches",
    scheduler="iteration; its horizon is epochs times floor(batches / accumulation)",
    traps=(
        "global_batch_size 18 with micro_batch_size 4 is really 16, without a word.",
        "iter counts micro-batches and ends one too high.",
    ),
    sources=("litgpt/finetune/full.py", "litgpt/args.py"),
    own={
        "use fewer accumulation_steps": "use a smaller global_batch_size",
        "accumulation_steps": "global_batch_size / devices / micro_batch_size, rounded down,",
        "batch_size": "micro_batch_size",
    },
)
def litgpt(num_samples, *, global_batch_size=16, micro_batch_size=1, epochs=5, max_steps=None, devices=1) -> Answer:
    steps = global_batch_size // devices // micro_batch_size
    if steps < 1:
        raise ValueError(
            f"global_batch_size is {global_batch_size}, but {devices} devices take {micro_batch_size} each; use more."
        )
    plan = TrainingPlan(
        num_samples,
        micro_batch_size,
        epochs,
        accumulation_steps=steps,
        world_size=devices,
        tail="carry",
        max_iterations=max_steps,
    )
    real = steps * micro_batch_size * devices
    notes = (f"global_batch_size is really {real}.",) if real != global_batch_size else ()
    return Answer(plan, {"step_count": plan.total_iterations}, notes)


@framework(
    "megatron",
    name="Megatron-LM",
    package="megatron-core",
    version="0.16.1",
    executed=False,
    words={
        "iteration": "iteration",
        "epoch": "(pre-training counts samples)",
        "batch": "micro-batch",
        "batch size": "--micro-batch-size",
        "accumulation": "num_microbatches, worked out",
        "global batch size": "--global-batch-size",
        "budget": "--train-iters or --train-samples",
    },
    tail="there is none: the data are repeated as long as needed",
    last_batch="dropped",
    shuffling="on, stored in an index file",
    averaging="mean over micro-batches, unless --calculate-per-token-loss",
    scheduler="sample, worked out from iterations (--lr-decay-samples) or iteration",
    traps=("With --rampup-batch-size iterations are smaller at first, so --train-samples needs more of them.",),
    sources=("megatron/core/num_microbatches_calculator.py", "megatron/training/arguments.py, training.py"),
    least={"rampup_batch_size": None},
)
def megatron(
    *,
    micro_batch_size,
    global_batch_size=None,
    train_iters=None,
    train_samples=None,
    rampup_batch_size=None,
    data_parallel_size=1,
) -> Answer:
    at_once = micro_batch_size * data_parallel_size
    total = global_batch_size or at_once
    if total % at_once:
        raise ValueError(
            f"global_batch_size is {total}, but it must be a multiple of micro_batch_size times data_parallel_size, "
            f"{at_once}."
        )
    if (train_iters is None) == (train_samples is None):
        raise ValueError("Megatron-LM takes train_iters or train_samples, one of them.")
    if rampup_batch_size is None and train_iters is None and train_samples < total:
        raise ValueError(f"train_samples is {train_samples}, less than global_batch_size, {total}; use more samples.")
    if rampup_batch_size is not None and train_iters is not None:
        raise ValueError(
            f"train_iters is {train_iters}, but with rampup_batch_size the length is counted in samples; "
            f"give train_samples instead."
        )
    plan: LoaderPlan | BatchRamp
    if rampup_batch_size is None:
        plan = LoaderPlan(
            Stream(None, micro_batch_size, world_size=data_parallel_size),
            accumulation_steps=total // at_once,
            max_iterations=train_iters or train_samples // total,
        )
    else:
        ramp = _megatron_ramp(total, rampup_batch_size)
        # As many as the ramp takes, then whole batches only.
        iterations = BatchRamp(ramp).iterations_for(min(rampup_batch_size[2], train_samples) + 1)
        iterations += max(0, train_samples - BatchRamp(ramp).samples_after(iterations)) // total
        plan = BatchRamp(ramp, iterations=iterations)
        for size in _sizes(plan):
            if size % at_once:
                raise ValueError(
                    f"rampup_batch_size makes a batch of {size}, but it must be a multiple of micro_batch_size times "
                    f"data_parallel_size, {at_once}; choose a start and an increment that are."
                )
    return Answer(plan, {"iteration": plan.total_iterations, "consumed_train_samples": plan.total_samples})


def _megatron_ramp(total: int, rampup_batch_size) -> Ramp:
    """From the start to ``total`` in steps of the increment, each of the same number of samples."""
    if len(rampup_batch_size) != 3:
        raise ValueError(f"rampup_batch_size is {rampup_batch_size}, but it must be a start, an increment and samples.")
    start, increment, samples = (whole_number("a number of rampup_batch_size", n, 1) for n in rampup_batch_size)
    if start >= total:
        raise ValueError(
            f"rampup_batch_size starts at {start}, but it must start below global_batch_size, {total}; "
            f"use a smaller start, or leave rampup_batch_size out."
        )
    stages, rest = divmod(total - start, increment)
    if rest:
        raise ValueError(
            f"rampup_batch_size has the increment {increment}, but it must divide the {total - start} samples from its "
            f"start, {start}, to global_batch_size, {total}; use one that does."
        )
    # Where stages begin at the same sample, the later one counts.
    begins = {-(-Fraction(samples * stage, stages) // 1): start + stage * increment for stage in range(stages + 1)}
    return Ramp(list(begins.items()), unit="samples")


def _sizes(plan: BatchRamp) -> set[int]:
    """The batch sizes that a ramp in samples comes to; a large batch may step over a stage."""
    firsts = (plan.iterations_for(begin) if begin else 0 for begin, _ in plan.ramp.stages)
    return {plan.ramp.at(plan.samples_after(first)) for first in firsts if first < plan.total_iterations}


@framework(
    "torchtitan",
    name="torchtitan",
    package="torchtitan",
    version="0.3.0",
    executed=False,
    words={
        "iteration": "step",
        "batch": "micro-batch",
        "batch size": "training.local_batch_size",
        "accumulation": "worked out",
        "global batch size": "training.global_batch_size",
        "budget": "training.steps",
    },
    tail="there is none: the data are repeated as long as needed",
    last_batch="there is none: tokens are cut into full sequences",
    shuffling="the data set's",
    averaging="mean over tokens of an iteration",
    scheduler="iteration",
    traps=("There is no epoch: count tokens, steps times global_batch_size times seq_len.",),
    sources=("torchtitan/trainer.py", "torchtitan/config/configs.py"),
)
def torchtitan(*, local_batch_size=8, global_batch_size=-1, seq_len=2048, steps=10_000, dp_degree=1) -> Answer:
    at_once = local_batch_size * dp_degree
    total = at_once if global_batch_size < 0 else global_batch_size
    if total < 1 or total % at_once:
        raise ValueError(
            f"global_batch_size is {total}, but it must be a multiple of local_batch_size times dp_degree, {at_once}."
        )
    plan = LoaderPlan(
        Stream(None, local_batch_size, world_size=dp_degree),
        accumulation_steps=total // at_once,
        max_iterations=steps,
    )
    return Answer(plan, {"step": steps, "tokens": plan.total_samples * seq_len})


@framework(
    "nanogpt",
    name="nanoGPT",
    package="(a repository)",
    version="train.py of 2024",
    executed=False,
    words={
        "iteration": "iter, step",
        "batch": "micro-step",
        "batch size": "batch_size",
        "accumulation": "gradient_accumulation_steps, divided by the number of devices",
        "budget": "max_iters",
    },
    tail="there is none: data are drawn with replacement",
    last_batch="there is none",
    shuffling="draws with replacement",
    averaging="mean over micro-batches, equal to the mean over tokens here",
    scheduler="iteration",
    traps=(
        "It makes max_iters + 1 updates, because it counts from 0 and stops behind max_iters.",
        "There is no epoch: each batch begins at random places of the text.",
    ),
    sources=("train.py",),
    least={"max_iters": 0},
)
def nanogpt(
    *, batch_size=12, block_size=1024, gradient_accumulation_steps=40, max_iters=600_000, world_size=1
) -> Answer:
    if gradient_accumulation_steps % world_size:
        raise ValueError(
            f"gradient_accumulation_steps is {gradient_accumulation_steps}, but it must be a multiple of world_size, "
            f"{world_size}."
        )
    plan = LoaderPlan(
        Stream(None, batch_size, world_size=world_size),
        accumulation_steps=gradient_accumulation_steps // world_size,
        max_iterations=max_iters + 1,
    )
    return Answer(plan, {"last iter": max_iters, "tokens": plan.total_samples * block_size})


@framework(
    "spacy",
    name="spaCy",
    package="spacy",
    version="3.8.18",
    executed=True,
    words={
        "iteration": "step (from 0)",
        "epoch": "epoch (from 0)",
        "batch": "batch; words by default",
        "batch size": "size of the batcher",
        "accumulation": "accumulate_gradient, which divides a batch into parts",
        "budget": "max_steps, max_epochs, patience; whichever comes first",
    },
    tail="there is none",
    last_batch="kept",
    shuffling="on",
    averaging="losses: sums since the last evaluation",
    scheduler="iteration",
    traps=(
        "max_steps=8 makes 9 updates.",
        "The default batcher counts words, from 100 up to 1,000 in a batch.",
        "accumulate_gradient does not change the number of updates.",
        "patience counts steps, not epochs.",
    ),
    sources=("spacy/training/loop.py",),
    least={"max_epochs": -1, "max_steps": 0},
    own={"batch_size": "size"},
)
def spacy(num_samples, size, *, max_epochs=0, max_steps=20_000, accumulate_gradient=1) -> Answer:
    most = max_steps + 1 if max_steps else None
    if max_epochs > 0:
        plan = TrainingPlan(num_samples, size, max_epochs, max_iterations=most)
    elif most:
        plan = TrainingPlan.for_iterations(most, num_samples=num_samples, batch_size=size)
    else:
        raise ValueError(
            f"max_epochs is {max_epochs} and max_steps is 0, so spaCy goes on until patience ends it; give one of them."
        )
    return Answer(plan, {"step": plan.total_iterations - 1}, ("This is with a batcher that counts sequences.",))


@framework(
    "gensim",
    name="gensim Word2Vec",
    package="gensim",
    version="4.4.0",
    executed=True,
    words={
        "iteration": "(no name: weights change at every pair of words)",
        "epoch": "epoch (logged from 0)",
        "batch": "job",
        "batch size": "batch_words, which sets jobs only",
        "budget": "epochs",
    },
    last_batch="kept",
    shuffling="off",
    averaging="–",
    scheduler="word: the rate falls with the share of words done",
    traps=(
        "batch_words changes neither updates nor gradients.",
        "A sentence of more than 10,000 words is cut off there.",
        "train returns the words of all epochs together.",
    ),
    sources=("gensim/models/word2vec.py",),
)
def gensim(num_words, *, epochs=5, batch_words=10_000) -> Answer:
    plan = LoaderPlan(Loader(num_words, 1), epochs)
    return Answer(
        plan,
        {"raw words": plan.total_samples},
        ("This counts a word as a sample and an iteration; each is trained with several neighbours.",),
    )
