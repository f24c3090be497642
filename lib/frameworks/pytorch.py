"""PyTorch and the training loops built closely on its loaders."""

import math

from lib.frameworks.base import Answer, framework
from lib.loading import Loader, Stream
from lib.plan import LoaderPlan, TrainingPlan


@framework(
    "torch",
    name="PyTorch",
    package="torch",
    version="2.13.0",
    executed=True,
    words={
        "iteration": "optimizer.step()",
        "epoch": "one pass over the loader, in your loop",
        "batch": "batch",
        "batch size": "batch_size",
        "accumulation": "backward() without step(), in your loop",
        "budget": "your loop",
    },
    tail="your loop's; what stays in .grad is merged into the next epoch's first iteration",
    last_batch="kept; dropped with drop_last=True",
    padding="DistributedSampler repeats samples from the start; with drop_last=True it leaves samples out",
    shuffling="off for DataLoader, on for DistributedSampler (which needs set_epoch)",
    averaging="your loop's",
    scheduler="whatever unit you call scheduler.step() in",
    traps=(
        "The default batch_size is 1.",
        "DistributedSampler pads first, and drop_last of DataLoader drops afterwards.",
        "Without sampler.set_epoch(epoch) every epoch has the same order.",
    ),
    sources=("torch/utils/data/dataloader.py, distributed.py", "pytorch #12474", "pytorch #25162"),
    own={"world_size": "num_replicas"},
)
def torch_loader(
    num_samples,
    batch_size=1,
    *,
    epochs=1,
    drop_last=False,
    accumulation_steps=1,
    tail="merge",
    num_replicas=1,
    sampler_drop_last=False,
) -> Answer:
    plan = TrainingPlan(
        num_samples,
        batch_size,
        epochs,
        drop_last=drop_last,
        accumulation_steps=accumulation_steps,
        tail=tail,
        world_size=num_replicas,
        pad_to_even=not sampler_drop_last,
    )
    return Answer(plan, {"len(loader)": plan.batches_per_epoch})


@framework(
    "torch-sampler",
    name="PyTorch samplers with num_samples",
    package="torch",
    version="2.13.0",
    executed=True,
    words={
        "iteration": "optimizer.step()",
        "epoch": "num_samples draws of the sampler",
        "batch": "batch",
        "batch size": "batch_size",
    },
    last_batch="kept; dropped with drop_last=True",
    shuffling="the sampler's: RandomSampler and WeightedRandomSampler draw by chance",
    averaging="your loop's",
    scheduler="whatever unit you call scheduler.step() in",
    traps=("WeightedRandomSampler draws with replacement: an epoch misses samples and repeats others.",),
    sources=("torch/utils/data/sampler.py",),
)
def torch_sampler(
    dataset_size, num_samples=None, batch_size=1, *, replacement=True, epochs=1, drop_last=False
) -> Answer:
    loader = Loader(dataset_size, batch_size, drop_last=drop_last, draws=num_samples, replacement=replacement)
    plan = LoaderPlan(loader, epochs)
    missed = loader.expected_never_seen(plan.batches_per_epoch)
    notes = (f"With equal weights about {missed:.0f} samples are never seen in an epoch.",) if replacement else ()
    return Answer(plan, {"len(loader)": plan.batches_per_epoch}, notes)


@framework(
    "torch-iterable",
    name="PyTorch IterableDataset",
    package="torch",
    version="2.13.0",
    executed=True,
    words={
        "iteration": "optimizer.step()",
        "epoch": "the stream until it ends",
        "batch": "batch, made by one worker",
        "batch size": "batch_size",
    },
    last_batch="each worker's own, kept; dropped with drop_last=True",
    padding="none",
    shuffling="the stream's",
    averaging="your loop's",
    scheduler="whatever unit you call scheduler.step() in",
    traps=(
        "Each worker reads the whole stream unless the data set splits itself: everything comes several times.",
        "len(loader) knows nothing of workers.",
    ),
    sources=("torch/utils/data/dataloader.py", "pytorch #33413", "pytorch #30599"),
)
def torch_iterable(
    num_samples, batch_size=1, *, num_workers=0, split_by_worker=False, drop_last=False, epochs=1
) -> Answer:
    stream = Stream(num_samples, batch_size, drop_last=drop_last, workers=num_workers, split=split_by_worker)
    plan = LoaderPlan(stream, epochs)
    notes: tuple[str, ...] = ()
    if plan.batches_per_epoch != stream.length_of_loader:
        notes = (f"If the data set has a length, len(loader) says {stream.length_of_loader:,} all the same.",)
    return Answer(plan, {"batches in an epoch": plan.batches_per_epoch}, notes)


@framework(
    "lightning",
    name="PyTorch Lightning",
    package="lightning",
    version="2.6.6",
    executed=True,
    words={
        "iteration": "global step",
        "epoch": "epoch (labelled from 0)",
        "batch": "batch; what the progress bar counts",
        "batch size": "batch_size of your loader",
        "accumulation": "accumulate_grad_batches",
        "budget": "max_epochs, max_steps; whichever comes first",
    },
    tail="flush, but divided by accumulate_grad_batches as if it were full",
    last_batch="the loader's",
    padding="DistributedSampler repeats samples from the start",
    shuffling="the loader's; with several devices on for training",
    averaging="self.log(on_epoch=True): mean over samples",
    scheduler="epoch; with interval='step' an iteration",
    traps=(
        "Nothing given means 1,000 epochs.",
        "The progress bar counts batches, global_step counts iterations.",
        "With max_steps alone the bar of the last epoch has the iterations left as its total, and may run past it.",
        "limit_train_batches=1 is one batch, 1.0 is all of them.",
        "With two optimizers global_step rises by two for each batch.",
        "val_check_interval=0.25 of 7 batches validates after every batch, 7 times and not 4.",
        "With drop_last and fewer samples than a batch fit returns at once, without a word.",
    ),
    sources=("lightning #19987", "lightning #15595", "lightning #7407"),
    least={"max_epochs": -1},
    own={
        "accumulation_steps": "accumulate_grad_batches",
        "world_size": "devices",
        "limit_batches": "limit_train_batches",
    },
)
def lightning(
    num_samples,
    batch_size=1,
    *,
    drop_last=False,
    max_epochs=None,
    max_steps=-1,
    accumulate_grad_batches=1,
    limit_train_batches=1.0,
    devices=1,
) -> Answer:
    choices = dict(
        num_samples=num_samples,
        batch_size=batch_size,
        drop_last=drop_last,
        accumulation_steps=accumulate_grad_batches,
        world_size=devices,
    )
    if max_epochs == -1 and max_steps == -1:
        raise ValueError("max_epochs is -1 and max_steps is -1, so the run has no end; give one of them.")
    for name, value in (("max_epochs", max_epochs), ("max_steps", max_steps)):
        if value == 0:
            raise ValueError(f"{name} is 0, so the weights are never updated; use at least 1, or -1 for no limit.")
    limit = None if limit_train_batches == 1.0 and isinstance(limit_train_batches, float) else limit_train_batches
    if isinstance(limit, float) and limit > 1 and limit.is_integer():
        limit = int(limit)
    if isinstance(limit, float):
        if not 0 <= limit <= 1:
            raise ValueError(
                f"limit_train_batches is {limit}, but it must be a share from 0.0 to 1.0 or a whole number of batches."
            )
        limit = int(TrainingPlan(**choices).batches_per_epoch * limit)
        if limit == 0:
            raise ValueError(
                f"limit_train_batches is {limit_train_batches}, which is less than one batch; use a larger share."
            )
    choices["limit_batches"] = limit
    notes: tuple[str, ...] = ()
    if max_epochs is None and max_steps == -1:
        max_epochs, notes = 1000, ("Neither max_epochs nor max_steps was given, so it trains 1,000 epochs.",)
    if max_epochs in (None, -1):
        plan = TrainingPlan.for_iterations(max_steps, **choices)
    else:
        plan = TrainingPlan(epochs=max_epochs, max_iterations=None if max_steps == -1 else max_steps, **choices)
    before = (plan.total_iterations - 1) // plan.iterations_per_epoch  # epochs; the next one's bar is left standing
    at, of = plan.batches_after(plan.total_iterations) - before * plan.batches_per_epoch, plan.batches_per_epoch
    if max_epochs in (None, -1):
        of = min(of, max_steps - before * plan.iterations_per_epoch)
    return Answer(plan, {"global_step": plan.total_iterations, "progress bar": f"{at}/{of}"}, notes)


@framework(
    "ignite",
    name="PyTorch Ignite",
    package="pytorch-ignite",
    version="0.5.5",
    executed=True,
    words={
        "iteration": "iteration (a batch; your update function may do less)",
        "epoch": "epoch, epoch_length iterations",
        "batch": "batch",
        "batch size": "batch_size of your loader",
        "budget": "max_epochs or max_iters, never both",
    },
    last_batch="the loader's",
    padding="–",
    shuffling="the loader's",
    averaging="what you attach",
    scheduler="iteration, if attached to ITERATION_STARTED",
    traps=("With epoch_length an epoch is no pass: the data go on where they stopped, and start again in its middle.",),
    sources=("ignite/engine/engine.py",),
)
def ignite(num_samples, batch_size=1, *, drop_last=False, max_epochs=None, max_iters=None, epoch_length=None) -> Answer:
    if max_epochs is not None and max_iters is not None:
        raise ValueError(f"max_epochs is {max_epochs} and max_iters is {max_iters}, but Ignite takes only one of them.")
    choices = dict(num_samples=num_samples, batch_size=batch_size, drop_last=drop_last)
    length = epoch_length or TrainingPlan(**choices).batches_per_epoch
    iterations = max_iters or (max_epochs or 1) * length
    plan = TrainingPlan.for_iterations(iterations, **choices)
    return Answer(plan, {"state.iteration": iterations, "state.epoch": -(-iterations // length)})


@framework(
    "skorch",
    name="skorch",
    package="skorch",
    version="1.4.0",
    executed=True,
    words={
        "iteration": "batch (train_batch_count)",
        "epoch": "epoch",
        "batch": "batch",
        "batch size": "batch_size, -1 for all",
        "budget": "max_epochs",
    },
    last_batch="kept",
    padding="–",
    shuffling="off (iterator_train__shuffle)",
    averaging="mean over samples",
    scheduler="epoch; LRScheduler(step_every='batch') a batch",
    traps=(
        "It holds out a fifth of the samples for validation unless train_split=None.",
        "fit starts anew, partial_fit goes on.",
    ),
    sources=("skorch/net.py, dataset.py",),
    least={"batch_size": -1, "train_split": None},
)
def skorch(num_samples, *, batch_size=128, max_epochs=10, train_split=5) -> Answer:
    held_out = 0 if train_split is None else _split_off(num_samples, train_split)
    trained = num_samples - held_out
    plan = TrainingPlan(trained, trained if batch_size == -1 else batch_size, epochs=max_epochs)
    notes = (f"train_split holds out {held_out:,} samples for validation.",) if held_out else ()
    return Answer(plan, {"epochs": max_epochs, "train_batch_count of an epoch": plan.batches_per_epoch}, notes)


def _split_off(num_samples: int, train_split: int | float) -> int:
    """Samples that ``ValidSplit(train_split)`` holds out: the first of so many folds, or a share of them."""
    if isinstance(train_split, float):
        held_out = math.ceil(train_split * num_samples)
        if not 0 < train_split < 1 or held_out == num_samples:
            raise ValueError(
                f"train_split is {train_split}, but a share must be above 0 and below 1 and leave one of the "
                f"{num_samples} samples for training; use a smaller one, a number of folds or None."
            )
        return held_out
    if not 2 <= train_split <= num_samples:
        raise ValueError(
            f"train_split is {train_split}, but the number of folds must be from 2 to num_samples, {num_samples}; "
            f"use another one, a share such as 0.2 or None."
        )
    return math.ceil(num_samples / train_split)


@framework(
    "fastai",
    name="fastai",
    package="fastai",
    version="2.8.12",
    executed=True,
    words={
        "iteration": "train_iter (a batch, even with accumulation)",
        "epoch": "epoch",
        "batch": "batch, mini-batch",
        "batch size": "bs",
        "accumulation": "GradientAccumulation(n_acc), counted in samples",
        "budget": "n_epoch",
    },
    tail="carry",
    last_batch="dropped for training",
    padding="–",
    shuffling="on for training",
    averaging="train_loss: smoothed over batches; valid_loss: mean over samples",
    scheduler="batch",
    traps=(
        "With fewer samples than bs there is no batch, and no error.",
        "n_acc counts samples, and divides by n_acc whatever came together.",
    ),
    sources=("fastai/callback/training.py", "fastai/data/load.py", "fastai #1352"),
    own={
        "batch_size": "bs",
        "use fewer accumulation_steps": "use a smaller n_acc",
        "accumulation_steps": "n_acc / bs, rounded up,",
    },
)
def fastai(num_samples, bs=64, *, n_epoch=1, n_acc=None, drop_last=True) -> Answer:
    if n_acc and not drop_last and num_samples % bs:
        raise ValueError(
            f"n_acc is {n_acc} and drop_last is False, but n_acc counts samples and the last batch is smaller; "
            f"that is counted here only with drop_last=True."
        )
    plan = TrainingPlan(
        num_samples,
        bs,
        n_epoch,
        drop_last=drop_last,
        accumulation_steps=-(-n_acc // bs) if n_acc else 1,
        tail="carry",
    )
    return Answer(plan, {"train_iter": n_epoch * plan.batches_per_epoch})


@framework(
    "timm",
    name="timm's train.py",
    package="timm",
    version="1.0.31 (train.py at commit 2aabaef)",
    executed=False,
    words={
        "iteration": "update",
        "epoch": "epoch",
        "batch": "batch",
        "batch size": "--batch-size, per device",
        "accumulation": "--grad-accum-steps",
        "global batch size": "global_batch_size",
        "budget": "--epochs",
    },
    tail="flush",
    last_batch="dropped for training",
    padding="DistributedSampler repeats samples from the start",
    shuffling="on for training",
    averaging="mean over samples of the batches",
    scheduler="epoch; with --sched-on-updates an iteration",
    traps=("The rate that you give is scaled from a base size of 256 if you give --lr-base.",),
    sources=("train.py of pytorch-image-models",),
)
def timm(num_samples, *, batch_size=128, grad_accum_steps=1, epochs=300, world_size=1) -> Answer:
    plan = TrainingPlan(
        num_samples, batch_size, epochs, drop_last=True, accumulation_steps=grad_accum_steps, world_size=world_size
    )
    return Answer(plan, {"updates_per_epoch": plan.iterations_per_epoch})


@framework(
    "pyg",
    name="PyTorch Geometric's NeighborLoader",
    package="torch-geometric",
    version="2.8.1",
    executed=True,
    words={
        "iteration": "optimizer.step(), in your loop",
        "epoch": "one pass over the seed nodes",
        "batch": "mini-batch: the seeds and their sampled neighbours",
        "batch size": "batch_size, seed nodes only",
        "budget": "your loop",
    },
    last_batch="kept; dropped with drop_last=True",
    padding="–",
    shuffling="off",
    averaging="your loop's",
    scheduler="whatever unit you call scheduler.step() in",
    traps=("A batch holds far more nodes than batch_size, and a node comes along many times in an epoch.",),
    sources=("torch_geometric/loader/node_loader.py",),
    own={"num_samples": "num_seeds"},
)
def pyg(num_seeds, batch_size=1, *, epochs=1, drop_last=False) -> Answer:
    plan = TrainingPlan(num_seeds, batch_size, epochs, drop_last=drop_last)
    return Answer(plan, {"len(loader)": plan.batches_per_epoch})
