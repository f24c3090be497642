"""PyTorch's loaders and samplers, and the loops built on them: Lightning, Ignite, skorch, PyTorch Geometric."""

import logging
from collections import Counter

import torch
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset, RandomSampler, get_worker_info
from torchdata.stateful_dataloader import StatefulDataLoader

from tests.frameworks.harness import check

torch.set_num_threads(1)


class Counting(torch.optim.SGD):
    """Counts its own steps."""

    steps = 0

    def step(self, *args, **kwargs):
        self.steps += 1
        return super().step(*args, **kwargs)


@check("torch", 400)
def loaders(draw):
    yield from looped(DataLoader, draw)


@check("torch", 150)
def stateful_loaders(draw):
    """torchdata's loader, which can be saved in the middle of an epoch, counts as PyTorch's does."""
    yield from looped(StatefulDataLoader, draw)


def looped(loader_class, draw):
    """The loop that everybody writes: one process after the other plays each rank."""
    choices = dict(
        num_samples=draw.randint(1, 90),
        batch_size=draw.randint(1, 8),
        epochs=draw.randint(1, 4),
        drop_last=draw.random() < 0.5,
        accumulation_steps=draw.randint(1, 4),
        num_replicas=draw.randint(1, 4),
        sampler_drop_last=draw.random() < 0.5,
    )
    yield choices
    steps, samples, pending, length = Counter(), 0, Counter(), 0
    for rank in range(choices["num_replicas"]):
        data = range(choices["num_samples"])
        sampler = DistributedSampler(data, choices["num_replicas"], rank, drop_last=choices["sampler_drop_last"])
        loader = loader_class(data, choices["batch_size"], sampler=sampler, drop_last=choices["drop_last"])
        weight = torch.zeros(1, requires_grad=True)
        optimizer = Counting([weight], lr=1.0)
        for epoch in range(choices["epochs"]):
            sampler.set_epoch(epoch)
            for index, batch in enumerate(loader):
                weight.sum().backward()
                pending[rank] += len(batch)
                if (index + 1) % choices["accumulation_steps"] == 0:
                    optimizer.step()
                    optimizer.zero_grad()
                    samples, pending[rank] = samples + pending[rank], 0
        steps[rank], length = optimizer.steps, len(loader)
    assert len(set(steps.values())) == 1
    yield {"iterations": steps[0], "samples": samples, "len(loader)": length}


@check("torch-sampler", 300)
def samplers(draw):
    choices = dict(
        dataset_size=draw.randint(1, 40),
        num_samples=draw.choice([None, draw.randint(1, 90)]),
        batch_size=draw.randint(1, 12),
        replacement=draw.random() < 0.5,
        epochs=draw.randint(1, 3),
        drop_last=draw.random() < 0.5,
    )
    yield choices
    sampler = RandomSampler(range(choices["dataset_size"]), choices["replacement"], choices["num_samples"])
    loader = DataLoader(
        range(choices["dataset_size"]), choices["batch_size"], sampler=sampler, drop_last=choices["drop_last"]
    )
    batches = [len(batch) for _ in range(choices["epochs"]) for batch in loader]
    yield {"iterations": len(batches), "samples": sum(batches), "len(loader)": len(loader)}


class Numbers(IterableDataset):
    def __init__(self, number, split):
        self.number, self.split = number, split

    def __iter__(self):
        worker = get_worker_info()
        if worker and self.split:
            return iter(range(worker.id, self.number, worker.num_workers))
        return iter(range(self.number))


@check("torch-iterable", 40)
def streams(draw):
    choices = dict(
        num_samples=draw.randint(1, 40),
        batch_size=draw.randint(1, 9),
        num_workers=draw.choice([0, 0, 1, 2, 3, 4]),
        split_by_worker=draw.random() < 0.5,
        drop_last=draw.random() < 0.5,
    )
    yield choices
    loader = DataLoader(
        Numbers(choices["num_samples"], choices["split_by_worker"]),
        choices["batch_size"],
        num_workers=choices["num_workers"],
        drop_last=choices["drop_last"],
    )
    sizes = [len(batch) for batch in loader]
    yield {"iterations": len(sizes), "samples": sum(sizes), "batches in an epoch": len(sizes)}


@check("lightning", 150)
def lightning(draw):
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.callbacks import ProgressBar

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    choices = dict(
        num_samples=draw.randint(1, 40),
        batch_size=draw.randint(1, 9),
        drop_last=draw.random() < 0.3,
        accumulate_grad_batches=draw.randint(1, 4),
        limit_train_batches=draw.choice([1.0, 1.0, draw.random(), draw.randint(1, 9), draw.choice([2.0, 3.0, 2.5])]),
    )
    choices |= draw.choice([dict(max_epochs=draw.randint(1, 3)), dict(max_steps=draw.randint(1, 12))])
    if "max_epochs" in choices and draw.random() < 0.4:
        choices["max_steps"] = draw.randint(1, 12)
    yield choices

    class Bar(ProgressBar):
        """Lightning's own, as far as it counts; its children only draw it."""

        def on_train_epoch_start(self, trainer, module):
            self.of = self.total_train_batches

        def on_train_batch_end(self, trainer, module, outputs, batch, index):
            self.at = index + 1

    class Module(LightningModule):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def training_step(self, batch):
            return self.weight.sum()

        def configure_optimizers(self):
            self.optimizer = Counting(self.parameters(), lr=1.0)
            return self.optimizer

    loader = DataLoader(range(choices["num_samples"]), choices["batch_size"], drop_last=choices["drop_last"])
    if len(loader) == 0:  # with max_steps alone it would go round for ever
        yield {"iterations": 0}
        return
    names = ("accumulate_grad_batches", "limit_train_batches", "max_epochs", "max_steps")
    bar = Bar()
    quiet = dict(callbacks=[bar], enable_checkpointing=False, enable_model_summary=False, logger=False)
    trainer = Trainer(accelerator="cpu", **quiet, **{name: choices[name] for name in names if name in choices})
    module = Module()
    trainer.fit(module, loader)
    yield {
        "iterations": module.optimizer.steps,
        "global_step": trainer.global_step,
        "progress bar": f"{bar.at}/{bar.of}",
    }


@check("ignite", 300)
def ignite(draw):
    from ignite.engine import Engine

    choices = dict(
        num_samples=draw.randint(1, 40),
        batch_size=draw.randint(1, 9),
        drop_last=draw.random() < 0.3,
        epoch_length=draw.choice([None, draw.randint(1, 12)]),
    )
    name = draw.choice(["max_epochs", "max_iters"])
    choices[name] = draw.randint(1, 9)
    yield choices
    loader = DataLoader(range(choices["num_samples"]), choices["batch_size"], drop_last=choices["drop_last"])
    if len(loader) == 0:
        yield {"iterations": 0}
        return
    sizes = []
    engine = Engine(lambda engine, batch: sizes.append(len(batch)))
    state = engine.run(loader, epoch_length=choices["epoch_length"], **{name: choices[name]})
    yield {
        "iterations": len(sizes),
        "samples": sum(sizes),
        "state.iteration": state.iteration,
        "state.epoch": state.epoch,
    }


@check("skorch", 100)
def skorch(draw):
    from skorch import NeuralNetRegressor
    from skorch.dataset import ValidSplit

    choices = dict(
        num_samples=draw.choice([draw.randint(2, 6), draw.randint(8, 60), draw.randint(8, 60)]),
        batch_size=draw.choice([-1, draw.randint(1, 20)]),
        max_epochs=draw.randint(1, 4),
        train_split=draw.choice([5, 5, None, 3, 0.2, 0.3]),
    )
    yield choices
    split = choices["train_split"] and ValidSplit(choices["train_split"])
    net = NeuralNetRegressor(
        torch.nn.Linear,
        module__in_features=1,
        module__out_features=1,
        optimizer=Counting,
        verbose=0,
        batch_size=choices["batch_size"],
        max_epochs=choices["max_epochs"],
        train_split=split,
    )
    x = torch.zeros(choices["num_samples"], 1)
    net.fit(x, x)
    sizes = [size for epoch in net.history[:, "batches", :, "train_batch_size"] for size in epoch]
    yield {
        "iterations": net.optimizer_.steps,
        "samples": sum(sizes),
        "epochs": len(net.history),
        "train_batch_count of an epoch": net.history[-1, "train_batch_count"],
    }


@check("pyg", 200)
def neighbours(draw):
    from torch_geometric.data import Data
    from torch_geometric.loader import NodeLoader
    from torch_geometric.sampler import BaseSampler, SamplerOutput

    class Alone(BaseSampler):
        """Samples the seeds and nobody else: what is counted is the seeds of a batch."""

        def sample_from_nodes(self, index, **kwargs):
            none = torch.empty(0, dtype=torch.long)
            return SamplerOutput(node=index.node, row=none, col=none, edge=none, metadata=(index.input_id, None))

        sample_from_edges = None

    choices = dict(
        num_seeds=draw.randint(1, 40),
        batch_size=draw.randint(1, 12),
        epochs=draw.randint(1, 3),
        drop_last=draw.random() < 0.5,
    )
    yield choices
    graph = Data(x=torch.zeros(50, 1), edge_index=torch.zeros(2, 0, dtype=torch.long))
    loader = NodeLoader(
        graph,
        Alone(),
        input_nodes=torch.arange(choices["num_seeds"]),
        batch_size=choices["batch_size"],
        drop_last=choices["drop_last"],
    )
    sizes = [batch.batch_size for _ in range(choices["epochs"]) for batch in loader]
    yield {"iterations": len(sizes), "samples": sum(sizes), "len(loader)": len(loader)}
