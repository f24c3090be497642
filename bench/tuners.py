"""What other tuners say about the course's workloads, for the page *Advised against measured*.

Run from the project's folder with ``bench/requirements-peers.txt`` installed::

    python -m bench.tuners            # writes records/tuners.json; about a minute

Lightning's ``Tuner.scale_batch_size`` doubles the batch size until memory or the samples run out. Its ``lr_find`` is
the learning-rate finder of fastai: one run, the learning rate rising, and the rate where the loss falls fastest.
The noise finder is what has been written for fastai under the name of a batch-size finder: the simple noise scale along
one run, smoothed, as McCandlish et al. (2018, arXiv:1812.06162) sketch it in appendix A.1. It is written anew here.
"""

import itertools
import logging
import time
import warnings
from importlib.metadata import version

import pandas as pd
import torch
from torch.utils.data import DataLoader, TensorDataset

from lib.experiments.advised import REFERENCE, workload_of
from lib.models import initialized
from lib.noise_scale import two_batch_formula
from lib.records import Record, provenance, save

NAMES = ["mlp", "logistic", "friedman", "cnn", "batch-norm"]
KEPT, BETA = 20, 0.99  # gradients whose mean stands for a large batch; smoothing


def module(workload, batch_size: int):
    """The workload as Lightning wants it."""
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = initialized(workload.model, 0, torch.float32)
            self.batch_size, self.learning_rate = batch_size, 1e-3
            x, y = workload.on(torch.device("cpu"), torch.float32)["train"]
            self.samples = TensorDataset(x, y)

        def training_step(self, batch, number):
            return workload.loss(self.model(batch[0]), batch[1])

        def train_dataloader(self):
            return DataLoader(self.samples, self.batch_size, shuffle=True)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), self.learning_rate)

    return Module()


def noise_finder(workload, batch_size: int, learning_rate: float, epochs: int = 10) -> float:
    """A batch size from one run: both moments smoothed over it, their quotient at its end; without an interval."""
    model = initialized(workload.model, 0, torch.float32)
    optimizer = torch.optim.SGD(model.parameters(), learning_rate)
    x, y = workload.on(torch.device("cpu"), torch.float32)["train"]
    loader = DataLoader(TensorDataset(x, y), batch_size, shuffle=True, drop_last=True)
    kept: list[torch.Tensor] = []
    norm = trace = 0.0
    for inputs, targets in itertools.chain.from_iterable(itertools.repeat(loader, epochs)):
        optimizer.zero_grad()
        workload.loss(model(inputs), targets).backward()
        kept.append(torch.cat([weight.grad.flatten() for weight in model.parameters()]))
        optimizer.step()
        if len(kept) == KEPT:
            small, large = float(kept[-1].square().sum()), float(torch.stack(kept).mean(0).square().sum())
            here = two_batch_formula(small, large, batch_size, KEPT * batch_size)
            norm, trace = (BETA * old + (1 - BETA) * new for old, new in zip((norm, trace), here))
            kept.clear()
    return trace / norm  # both began at zero: what is missing cancels


def tuners(names: list[str]) -> pd.DataFrame:
    """A row a workload: ``batch_size``, ``learning_rate`` and ``noise_scale`` as said, and the seconds of each."""
    import lightning
    from lightning.pytorch.tuner import Tuner

    rows = []
    for name in names:
        workload, row = workload_of(name), {"workload": name}
        for column, call in (
            ("batch_size", lambda tuner, one: tuner.scale_batch_size(one, mode="power", init_val=2)),
            ("learning_rate", lambda tuner, one: tuner.lr_find(one, min_lr=1e-5, max_lr=100).suggestion()),
        ):
            lightning.seed_everything(0, verbose=False)
            trainer = lightning.Trainer(
                max_epochs=10, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
                enable_model_summary=False)  # fmt: skip
            started = time.perf_counter()
            found = call(Tuner(trainer), module(workload, REFERENCE))
            row |= {column: float(found), f"{column}_seconds": time.perf_counter() - started}
        torch.manual_seed(0)
        started = time.perf_counter()
        row["noise_scale"] = noise_finder(workload, REFERENCE, row["learning_rate"])
        row["noise_scale_seconds"] = time.perf_counter() - started
        rows.append(row)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    started = time.perf_counter()
    configuration = {"names": NAMES, "seed": 0, "device": "cpu"}
    table = tuners(NAMES)
    made = provenance(configuration, time.perf_counter() - started)
    made["versions"]["lightning"] = version("lightning")
    save("tuners", Record({"tuners": table}, configuration, {}, made))
    print(table.to_string())
