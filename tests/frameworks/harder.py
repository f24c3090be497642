"""Those that install with care (``make test-frameworks ALL=1``).

fastai, DeepSpeed in one process, and the own loops of torchtune and LitGPT on stand-ins for their set-up.
"""

import os
import random
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import torch
from torch.utils.data import DataLoader

from tests.frameworks.harness import check

torch.set_num_threads(1)


class Counting(torch.optim.SGD):
    """Counts its own steps, and the samples whose gradients each of them used."""

    steps = samples = waiting = 0

    def step(self, *args, **kwargs):
        self.steps, self.samples, self.waiting = self.steps + 1, self.samples + self.waiting, 0
        return super().step(*args, **kwargs)


@check("fastai", 60)
def fastai(draw):
    from fastai.basics import DataLoaders, Learner
    from fastai.callback.training import GradientAccumulation
    from fastai.data.load import DataLoader as Loader
    from fastai.optimizer import OptimWrapper

    choices = dict(
        num_samples=draw.randint(1, 40),
        bs=draw.randint(1, 9),
        n_epoch=draw.randint(1, 3),
        n_acc=draw.choice([None, draw.randint(1, 30)]),
    )
    yield choices
    data = [(torch.zeros(1), torch.zeros(1))] * choices["num_samples"]
    train = Loader(data, bs=choices["bs"], shuffle=True, drop_last=True)
    made, model = [], torch.nn.Linear(1, 1)

    def optimizer(parameters, **kwargs):
        made.append(Counting(model.parameters(), lr=0.0))
        return OptimWrapper(opt=made[-1])

    learner = Learner(DataLoaders(train, Loader(data, bs=1)), model, torch.nn.MSELoss(), opt_func=optimizer)
    with learner.no_bar(), learner.no_logging():
        callbacks = [GradientAccumulation(choices["n_acc"])] if choices["n_acc"] else []
        learner.fit(choices["n_epoch"], lr=0.1, cbs=callbacks)
    yield {"iterations": made[-1].steps, "train_iter": learner.train_iter}


@check("torchtune", 150)
def torchtune(draw):
    """``train`` of its recipe, called with a stand-in for the recipe's set-up."""
    import importlib.util

    import torchtune
    from torch.utils.data import DistributedSampler

    path = Path(torchtune.__file__).parents[1] / "recipes/full_finetune_single_device.py"  # no package, as it says
    spec = importlib.util.spec_from_file_location("recipe", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    choices = dict(
        num_samples=draw.randint(1, 40),
        batch_size=draw.randint(1, 6),
        gradient_accumulation_steps=draw.randint(1, 5),
        epochs=draw.randint(1, 3),
        max_steps_per_epoch=draw.choice([None, draw.randint(1, 6)]),
    )
    yield choices
    model = torch.nn.Linear(1, 1, bias=False)
    optimizer = Counting(model.parameters(), lr=1.0)
    data = range(choices["num_samples"])
    loader = DataLoader(
        data,
        choices["batch_size"],
        sampler=DistributedSampler(data, num_replicas=1, rank=0),
        drop_last=True,
        collate_fn=lambda samples: {"labels": torch.tensor(samples)},
    )

    def loss(batch):
        optimizer.waiting += len(batch["labels"])
        return model.weight.sum()

    nothing, bars = mock.MagicMock(), []

    def bar(**how):
        bars.append(mock.MagicMock())
        return bars[-1]

    recipe = SimpleNamespace(
        _compile=False,
        _optimizer_in_bwd=False,
        _optimizer=optimizer,
        _profiler=nothing,
        epochs_run=0,
        total_epochs=choices["epochs"],
        _steps_per_epoch=1,
        _dataloader=loader,
        profiler_profile_memory=False,
        profiler_wait_steps=0,
        profiler_warmup_steps=0,
        profiler_active_steps=0,
        _device=torch.device("cpu"),
        _loss_fn=SimpleNamespace(ignore_index=-100),
        _loss_step=loss,
        _gradient_accumulation_steps=choices["gradient_accumulation_steps"],
        _model=model,
        _clip_grad_norm=None,
        _lr_scheduler=None,
        global_step=0,
        _log_every_n_steps=10**9,
        max_steps_per_epoch=choices["max_steps_per_epoch"],
        save_checkpoint=nothing,
    )
    with mock.patch.object(module, "tqdm", bar):
        module.FullFinetuneRecipeSingleDevice.train(recipe)
    ends = {sum(call.args[0] for call in one.update.call_args_list) for one in bars}
    assert len(ends) == 1, "The bars of two epochs end at different places."
    yield {
        "iterations": optimizer.steps,
        "samples": optimizer.samples,
        "global_step": recipe.global_step,
        "bar": ends.pop(),
    }


@check("litgpt", 100)
def litgpt(draw):
    """``fit`` of its fine-tuning, with a stand-in for the model and the tokenizer."""
    from lightning.fabric import Fabric
    from litgpt.args import EvalArgs, TrainArgs
    from litgpt.finetune import full

    choices = dict(
        num_samples=draw.randint(1, 30),
        micro_batch_size=draw.randint(1, 5),
        global_batch_size=draw.randint(1, 16),
        epochs=draw.randint(1, 4),
        max_steps=draw.choice([None, draw.randint(1, 9)]),
    )
    yield choices

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))
            self.config = SimpleNamespace(block_size=4)

        def forward(self, ids):
            optimizer.waiting += len(ids)
            return self.weight * torch.ones(*ids.shape, 2)

    model = Model()
    optimizer = Counting(model.parameters(), lr=1.0)
    row = {
        "input_ids": torch.zeros(3, dtype=torch.long),
        "labels": torch.zeros(3, dtype=torch.long),
        "token_counts": {"raw": torch.tensor(1), "raw_plus_prompt_template": torch.tensor(1)},
    }
    loader = DataLoader([row] * choices["num_samples"], choices["micro_batch_size"])
    fabric = Fabric(accelerator="cpu", devices=1)
    fabric.print = lambda *args: None
    state = {
        "model": fabric.setup(model),
        "optimizer": fabric.setup_optimizers(optimizer),
        "scheduler": torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0),
        "iter_num": 0,
        "step_count": 0,
    }
    arguments = TrainArgs(
        save_interval=None,
        log_interval=10**9,
        global_batch_size=choices["global_batch_size"],
        micro_batch_size=choices["micro_batch_size"],
        epochs=choices["epochs"],
        max_steps=choices["max_steps"],
    )
    stubs = dict(
        Tokenizer=mock.MagicMock(),
        validate=lambda *args, **kwargs: torch.tensor(0.0),
        get_longest_seq_length=lambda data: (3, 0),
        chunked_cross_entropy=lambda logits, targets: logits.mean(),
    )
    with mock.patch.multiple(full, **stubs):
        full.fit(
            fabric,
            state,
            loader,
            loader,
            1,
            False,
            Path(),
            Path(),
            arguments,
            EvalArgs(interval=10**9),
            mock.MagicMock(),
        )
    yield {"iterations": optimizer.steps, "samples": optimizer.samples, "step_count": state["step_count"]}


@check("deepspeed", 30)
def deepspeed(draw):
    import deepspeed

    choices = dict(
        num_samples=draw.randint(1, 20),
        epochs=draw.randint(1, 3),
        dataloader_drop_last=draw.random() < 0.3,
    )
    micro, steps = draw.randint(1, 4), draw.randint(1, 4)
    choices |= draw.choice(
        [
            dict(train_micro_batch_size_per_gpu=micro, gradient_accumulation_steps=steps),
            dict(train_micro_batch_size_per_gpu=micro),
            dict(train_batch_size=micro * steps, gradient_accumulation_steps=steps),
            dict(train_batch_size=micro * steps, train_micro_batch_size_per_gpu=micro),
            dict(train_batch_size=micro),
        ]
    )
    yield choices
    if "MASTER_PORT" not in os.environ:
        port = str(random.randint(20_000, 40_000))
        os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        deepspeed.init_distributed("gloo")
    model = torch.nn.Linear(1, 1, bias=False)
    optimizer = Counting(model.parameters(), lr=1.0)
    sizes = (
        "train_batch_size",
        "train_micro_batch_size_per_gpu",
        "gradient_accumulation_steps",
        "dataloader_drop_last",
    )
    engine, _, loader, _ = deepspeed.initialize(
        model=model,
        optimizer=optimizer,
        training_data=[torch.ones(1)] * choices["num_samples"],
        config={name: choices[name] for name in sizes if name in choices},
    )
    for _ in range(choices["epochs"]):
        for batch in loader:
            optimizer.waiting += len(batch)
            engine.backward(engine(batch).sum())
            engine.step()
    yield {
        "iterations": optimizer.steps,
        "samples": optimizer.samples,
        "global_steps": engine.global_steps,
        "global_samples": engine.global_samples,
    }
