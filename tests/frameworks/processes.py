"""Two real processes (gloo): Trainer, Accelerate and Lightning's sampler."""

import os
import random
import tempfile

import torch
import torch.multiprocessing

from tests.frameworks.harness import check

FOLDER = tempfile.mkdtemp()


def one_of_two(rank, runs, results, port):
    """Every Trainer run of the list, as one of two processes."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    import gc

    import transformers

    from tests.frameworks.hugging_face import QUIET, Counting, Model, Rows

    torch.set_num_threads(1)
    for index, choices in enumerate(runs):
        gc.freeze()
        arguments = {n: v for n, v in choices.items() if n not in ("num_samples", "world_size")}
        model = Model()
        optimizer = Counting(model.parameters(), lr=1.0)
        trainer = transformers.Trainer(
            model,
            transformers.TrainingArguments(**QUIET, **arguments, ddp_backend="gloo"),
            train_dataset=Rows(choices["num_samples"]),
            optimizers=(optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)),
        )
        try:
            trainer.train()
        except ValueError:  # it refuses data of no batch, in both processes
            pass
        results[rank, index] = (optimizer.steps, model.samples, trainer.state.global_step)
    torch.distributed.barrier()
    os._exit(0)  # destroying the group has waited for ever for the other process, which was gone


RUNS = 60
COUNTED = []


def count_all(draw):
    """Random runs, all in one pair of processes: starting a pair takes longer than all the runs."""
    runs = [
        dict(
            num_samples=draw.randint(1, 40),
            per_device_train_batch_size=draw.randint(1, 5),
            gradient_accumulation_steps=draw.randint(1, 4),
            num_train_epochs=draw.choice([1, 2, round(draw.uniform(0.2, 2.5), 1)]),
            dataloader_drop_last=draw.random() < 0.3,
            world_size=2,
        )
        for _ in range(RUNS)
    ]
    context = torch.multiprocessing.get_context("spawn")
    results = context.Manager().dict()
    port = str(random.randint(20_000, 40_000))
    torch.multiprocessing.spawn(one_of_two, (runs, results, port), nprocs=2)
    for index, choices in enumerate(runs):
        (steps, samples, shown), (steps_1, samples_1, _) = results[0, index], results[1, index]
        assert steps == steps_1, choices
        COUNTED.append((choices, {"iterations": steps, "samples": samples + samples_1, "global_step": shown}))


@check("transformers", RUNS)
def trainer_on_two_processes(draw):
    if not COUNTED:
        count_all(draw)
    choices, counted = COUNTED.pop(0)
    yield choices
    yield counted
