"""What is asked about: a copy of your model, some of your samples, your loss. What is yours is never changed."""

import copy
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, SubsetRandomSampler, default_collate

from lib.checks import whole_number
from lib.devices import synchronize
from lib.models import initialized
from lib.recipe import OPTIMIZERS, Recipe
from lib.sampling import AUGMENTATION, generator
from lib.workload import Workload, squared_error, token_loss

POOL_BYTES = 2**28  # of samples that are fetched and kept on the device
FEW = 32  # samples of a batch with which the loss is checked
LINEAR, ROOT = "linear", "square root"  # how the learning rate moves with the batch size


class Subject:
    """A model, its samples and its loss, ready to be measured again and again.

    Attributes
    ----------
    model : torch.nn.Module
        A copy, at the present weights. It is trained and spoiled; ``fresh()`` gives a new one.
    num_samples : int
        Samples of the training set, N.
    pool : tensor, or tuple, list or mapping of tensors
        Samples on the device, all of them or, of many, a random part.
    batch_size : int or None
        The present batch size, where it is known.
    drop_last : bool
        Whether the user's loader drops a smaller last batch.
    """

    def __init__(self, model: nn.Module, data: Any, loss: Callable | None, optimizer: Any, device: str | None):
        workload = model if isinstance(model, Workload) else None
        if workload is not None:
            model = initialized(workload.model, seed=0, dtype=torch.float32)
            data, loss = (workload.data.x_train, workload.data.y_train), workload.loss
        if not isinstance(model, nn.Module):
            raise TypeError(f"model is a {type(model).__name__}, but advice is about a torch.nn.Module.")
        self.augment = workload.augment if workload else None
        self.loss, self.mine = loss, model
        self.batch_size: int | None = None
        self.drop_last = False
        parameters = [p for p in model.parameters() if p.requires_grad]
        if not parameters:
            raise ValueError("model has no weights that are trained; set requires_grad where something should learn.")
        self.device = torch.device(device) if device else parameters[0].device
        self.dtype = parameters[0].dtype
        self.num_parameters = sum(p.numel() for p in parameters)
        self.optimizer = OptimizerOf(optimizer, model)
        self.samples = self._samples(data)
        self.num_samples = len(self.samples.rows)
        if self.num_samples < 2:
            raise ValueError(f"data has {self.num_samples} samples; a batch size needs 2 or more to choose from.")
        self.has_batch_norm = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())
        self.smallest = 2 if self.has_batch_norm else 1
        self.pool: Any = None
        self.pool_size = 0

    def _samples(self, data: Any) -> "Samples":
        """How rows of the user's data become tensors."""
        collate: Callable = default_collate
        rows: Sequence[int] | None = None
        if isinstance(data, DataLoader):
            self.batch_size = data.batch_size or getattr(data.batch_sampler, "batch_size", None)
            self.drop_last, rows = data.drop_last, _rows_of(data)
            data, collate = data.dataset, data.collate_fn
        if isinstance(data, IterableDataset) or (not hasattr(data, "__getitem__") and not isinstance(data, tuple)):
            raise TypeError(
                f"data is a {type(data).__name__}, which cannot be asked for single samples; give a dataset with "
                f"__len__ and __getitem__."
            )
        if torch.is_tensor(data) or isinstance(data, np.ndarray):
            raise TypeError("data has inputs and no targets; give both, as in (inputs, targets).")
        if isinstance(data, tuple):
            if len(data) != 2 or len(data[0]) != len(data[1]):
                raise ValueError(
                    f"data is a tuple of {' and '.join(str(len(part)) for part in data)} rows, but it must be "
                    f"(inputs, targets), as many of each."
                )
            return Samples(range(len(data[0])), lambda rows: tuple(_tensor(part)[rows] for part in data))
        if hasattr(data, "with_format"):  # datasets.Dataset: a view of its own, so that yours keeps its format
            data = data.with_format("torch")
        places = range(len(data)) if rows is None else rows
        return Samples(range(len(places)), lambda rows: collate([data[int(places[int(row)])] for row in rows]))

    def fetch(self, more: Callable[[], bool], seed: int = 0):
        """Fetch a pool of samples, at random, in growing parts while there is time, and put it on the device."""
        order = generator(seed).permutation(self.num_samples)
        self.pool_size = min(FEW, self.num_samples)
        self.pool = self._fetched(order[: self.pool_size])
        per_sample = sum(part.nbytes for part in _tensors(self.pool)) / self.pool_size
        most = int(min(self.num_samples, max(self.pool_size, POOL_BYTES / max(per_sample, 1))))
        while self.pool_size < most and more():
            self.pool_size = min(8 * self.pool_size, most)
            self.pool = self._fetched(order[: self.pool_size])

    def _fetched(self, rows: np.ndarray) -> Any:
        try:
            batch = self.samples.fetch(rows)
        except (RuntimeError, TypeError, ValueError, IndexError, KeyError) as error:
            raise ValueError(
                f"The samples of data do not make a batch ({_first_line(error)}); pad or cut them to one shape, or "
                f"give a DataLoader with its collate_fn."
            ) from error
        if isinstance(batch, Mapping):
            takes = _arguments(self.mine)
            batch = {k: v for k, v in batch.items() if torch.is_tensor(v) and (takes is None or k in takes)}
        elif not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise ValueError(
                f"A sample of data must be (inputs, target) or a mapping of names to tensors, but it is "
                f"{type(batch).__name__} of {len(batch) if hasattr(batch, '__len__') else 1} parts."
            )
        return _map(lambda part: part.to(self.device, self.dtype if part.is_floating_point() else None), batch)

    def batch(self, rows: np.ndarray | list[int]) -> Any:
        """Samples of the pool; rows beyond it begin at its start again, which no time depends on."""
        at = torch.as_tensor(np.asarray(rows) % self.pool_size, device=self.device)
        batch = _map(lambda part: part[at], self.pool)
        if self.augment:
            batch = (self.augment(batch[0], generator(int(np.sum(rows)), AUGMENTATION)), batch[1])
        return batch

    def draw(self, rng: np.random.Generator, batch_size: int) -> np.ndarray:
        """Rows of a random batch, without replacement as far as the pool reaches."""
        return rng.choice(self.pool_size, batch_size, replace=batch_size > self.pool_size)

    def parts(self, batch: Any) -> list[torch.Tensor]:
        """The tensors of a batch; ``put_together`` turns them back."""
        return _tensors(batch)

    def put_together(self, parts: list[torch.Tensor]) -> Any:
        """A batch of these tensors."""
        return dict(zip(self.pool, parts)) if isinstance(self.pool, Mapping) else tuple(parts)

    def fresh(self) -> nn.Module:
        """A new copy of your model at its present weights, in training mode, on the device."""
        try:
            made = copy.deepcopy(self.mine)
        except (RuntimeError, TypeError) as error:
            raise TypeError(
                f"model cannot be copied ({_first_line(error)}), and yours must not change; give a function that "
                f"makes it, or one that copy.deepcopy can copy."
            ) from error
        for parameter in made.parameters():
            parameter.grad = None
        return made.to(self.device).train()

    def mean_loss(self, model: Callable, batch: Any) -> torch.Tensor:
        """The loss of a batch, whoever computes it: your function, the model itself, or the usual one."""
        if isinstance(batch, Mapping):
            outputs = model(**batch)
            if self.loss is not None:
                return self.loss(outputs, batch.get("labels"))
            return outputs["loss"] if isinstance(outputs, Mapping) else outputs.loss
        inputs, targets = batch
        outputs = model(inputs)
        if self.loss is not None:
            return self.loss(outputs, targets)
        if getattr(outputs, "loss", None) is not None:
            return outputs.loss
        if targets.is_floating_point():
            return squared_error(outputs, targets)
        return token_loss(outputs, targets) if targets.dim() > 1 else F.cross_entropy(outputs, targets)

    def check(self) -> str | None:
        """Try the model on a few samples. What makes advice impossible is raised; a loss that is no mean is returned.

        Two copies of a batch have the mean loss of one. Without dropout: it would draw other units for each.
        """
        model = self.fresh().eval()
        few = min(FEW, self.pool_size)
        try:
            with torch.no_grad():
                one = self.mean_loss(model, self.batch(list(range(few))))
                two = self.mean_loss(model, self.batch(list(range(few)) * 2))
        except Exception as error:
            if is_out_of_memory(error):
                raise
            if isinstance(error, (AttributeError, KeyError)) and "loss" in str(error):
                raise ValueError("model returns no loss; give labels with the samples, or a loss.") from error
            if isinstance(self.pool, Mapping):
                given = ", ".join(f"{name} {tuple(part.shape[1:])}" for name, part in self.pool.items())
            else:
                given = str(tuple(self.pool[0].shape[1:]))
            raise ValueError(
                f"model does not take the samples, of shape {given}, or the loss not its outputs "
                f"({_first_line(error)}); build it for them."
            ) from error
        if one is None:
            raise ValueError("model returns no loss; give labels with the samples, or a loss.")
        if not torch.is_tensor(one) or one.dim() > 0:
            what = f"a tensor of shape {tuple(one.shape)}" if torch.is_tensor(one) else repr(one)
            raise ValueError(f"loss gives {what} for {few} samples, but it must be one number, the mean over them.")
        if not torch.isfinite(one):
            raise ValueError(f"loss is {one.item()} at the present weights; give weights at which it is finite.")
        if self.augment is None and not torch.isclose(one, two, rtol=1e-2, atol=1e-6):
            return (
                f"loss is no mean over the samples: two copies of a batch give {two.item() / one.item():.3g} times the "
                f"loss of one, so a rate or a noise scale would belong to this batch size alone; use reduction='mean'."
            )
        return None

    def synchronize(self):
        """Wait for the device."""
        synchronize(self.device)


def _rows_of(loader: DataLoader) -> Sequence[int] | None:
    """Which samples of its dataset a loader visits once an epoch; None for all of them."""
    sampler = loader.sampler
    if isinstance(sampler, SubsetRandomSampler):
        return list(sampler.indices)
    if getattr(sampler, "replacement", False):
        raise ValueError(
            f"data draws its {len(sampler):,} samples an epoch with replacement (by {type(sampler).__name__}), but "  # type: ignore[arg-type]
            f"advice is about epochs that visit each sample once; give the dataset itself."
        )
    return None


class Samples:
    """Rows that can be fetched: ``fetch(rows)`` gives a collated batch."""

    def __init__(self, rows: range, fetch: Callable):
        self.rows, self.fetch = rows, fetch


class OptimizerOf:
    """How the user's weights are updated, for any copy of the model.

    Parameters
    ----------
    optimizer : str, torch.optim.Optimizer, or function
        A name of ``lib.recipe``; the user's own, whose groups, options and state are copied; or
        ``optimizer(parameters)``, which makes one.
    """

    def __init__(self, optimizer: Any, model: nn.Module):
        self.given = optimizer
        if isinstance(optimizer, str) and optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer is {optimizer!r}, but it must be one of {', '.join(map(repr, OPTIMIZERS))}.")
        if isinstance(optimizer, torch.optim.Optimizer):
            places = {id(p): name for name, p in model.named_parameters()}
            self.groups = [[places.get(id(p), "") for p in group["params"]] for group in optimizer.param_groups]
            if not all(name for group in self.groups for name in group):
                raise ValueError("optimizer updates weights that model does not have; make it of model.parameters().")
        elif not isinstance(optimizer, str) and not callable(optimizer):
            raise TypeError(f"optimizer is a {type(optimizer).__name__}; give a name, an optimizer, or a function.")

    def of(self, model: nn.Module) -> torch.optim.Optimizer:
        """An optimizer of the same kind for a copy of the model."""
        given = self.given
        if isinstance(given, str):
            return Recipe(batch_size=1, optimizer=given).make_optimizer(
                p for p in model.parameters() if p.requires_grad
            )
        if not isinstance(given, torch.optim.Optimizer):
            return given(model.parameters())
        here = dict(model.named_parameters())
        made = type(given)([{"params": [here[name] for name in group]} for group in self.groups], **given.defaults)
        made.load_state_dict(copy.deepcopy(given.state_dict()))
        return made

    @property
    def name(self) -> str:
        """Its name, for people."""
        if isinstance(self.given, str):
            return {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}.get(self.given, f"SGD with {self.given}")
        if isinstance(self.given, torch.optim.Optimizer):
            return type(self.given).__name__
        return type(self.of(nn.Linear(1, 1))).__name__

    @property
    def rule(self) -> str | None:
        """How the learning rate follows the batch size: by lesson 9; None where it has no evidence."""
        if self.name.startswith(("SGD", "ASGD")):
            return LINEAR
        return ROOT if "adam" in self.name.lower() or self.name in ("RMSprop", "Adagrad", "Adafactor") else None

    @property
    def family(self) -> str | None:
        """The optimizer of the course's sweeps that it is like: "sgd", "momentum" or "adam"; None if like none."""
        if self.rule is None:
            return None
        if self.rule == ROOT:
            return "adam"
        made = self.given if isinstance(self.given, torch.optim.Optimizer) else self.of(nn.Linear(1, 1))
        return "momentum" if any(group.get("momentum") for group in made.param_groups) else "sgd"


def set_rate(optimizer: torch.optim.Optimizer, rate: float):
    """Give the first group this learning rate, and the others theirs in the same proportion."""
    groups = optimizer.param_groups
    initial = [float(group.setdefault("advise_lr", float(group["lr"]))) for group in groups]
    for group, first in zip(groups, initial):
        group["lr"] = rate * (first / initial[0] if initial[0] else 1.0)


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Put back the states of all global generators: Python's, NumPy's, PyTorch's on every device."""
    python, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy_state)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: on a GPU, or on the CPU, where it is a plain RuntimeError or a MemoryError."""
    words = str(error).lower()
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError)
        and any(known in words for known in ("out of memory", "can't allocate memory", "not enough memory"))
    )


def check_batch_size(batch_size: int | None, num_samples: int) -> int | None:
    """A present batch size, which the training set can fill."""
    if batch_size is None:
        return None
    batch_size = whole_number("batch_size", batch_size, at_least=1)
    if batch_size > num_samples:
        raise ValueError(
            f"batch_size is {batch_size}, but data has only {num_samples} samples; use a smaller batch or more data."
        )
    return batch_size


def _tensor(part: Any) -> torch.Tensor:
    return part if torch.is_tensor(part) else torch.from_numpy(np.asarray(part))


def _tensors(batch: Any) -> list[torch.Tensor]:
    return list(batch.values()) if isinstance(batch, Mapping) else list(batch)


def _map(function: Callable, batch: Any) -> Any:
    if isinstance(batch, Mapping):
        return {name: function(part) for name, part in batch.items()}
    parts = [function(part) if torch.is_tensor(part) else function(_tensor(part)) for part in batch]
    return tuple(parts)


def _arguments(model: nn.Module) -> set[str] | None:
    """Names that the model's forward takes; None if it takes any."""
    import inspect

    parameters = inspect.signature(model.forward).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return {p.name for p in parameters}


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
