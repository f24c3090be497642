"""Workloads: what is trained. A model, its samples, its loss, and the unit that the loss is a mean over.

Everything that trains or measures in ``lib`` takes a workload: ``train``, ``sweep``,
``noise_scale``, ``profiling``, ``distributed``. A new kind of task is a new workload, not a
new training loop.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, default_collate
from torch.utils.data import Dataset as TorchDataset

from lib.data import SPLITS, Dataset
from lib.models import initialized


@dataclass(frozen=True)
class Workload:
    """What is trained.

    Attributes
    ----------
    model : torch.nn.Module
        The architecture. Its own weights are neither used nor changed: a run starts from
        ``lib.models.initialized(model, seed)``.
    data : lib.data.Dataset
        Training, validation and test samples.
    loss : callable
        ``loss(outputs, targets)``: the mean over all units of a batch.
    correct : callable, optional
        ``correct(outputs, targets)``: how many units are right, for the accuracy.
    units : callable, optional
        ``units(targets)``: how many units of each sample the loss is a mean over, a tensor of
        shape (samples,); by default every sample is one unit.
    augment : callable, optional
        ``augment(inputs, rng)``: training inputs, changed at random; ``rng`` is a
        ``numpy.random.Generator`` that depends on seed, epoch and batch alone.
    tokens_per_sample : int, optional
        Tokens of one sample, T, where samples are made of tokens.
    """

    model: nn.Module
    data: Dataset
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    correct: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None
    units: Callable[[torch.Tensor], torch.Tensor] | None = None
    augment: Callable[[torch.Tensor, np.random.Generator], torch.Tensor] | None = None
    tokens_per_sample: int | None = None

    def __post_init__(self):
        if not isinstance(self.model, nn.Module):
            raise TypeError(f"model is {self.model!r}, but a workload trains a torch.nn.Module.")
        if not isinstance(self.data, Dataset):
            raise TypeError(
                f"data is a {type(self.data).__name__}, but a workload has a lib.data.Dataset; "
                f"make one of tensors or of a torch dataset with lib.workload.workload."
            )

    @staticmethod
    def required(workload) -> "Workload":
        """The workload itself; one sentence if it is something else, such as a model."""
        if not isinstance(workload, Workload):
            raise TypeError(
                f"workload is a {type(workload).__name__}; make a workload of model and samples, "
                f"as in classification(model, data)."
            )
        return workload

    def __len__(self) -> int:
        """Number of training samples, N."""
        return len(self.data)

    def __repr__(self) -> str:
        return f"{type(self.model).__name__} on {self.data!r}"

    def but(self, **changes) -> "Workload":
        """The same workload with another model, other data, or another loss."""
        return replace(self, **changes)

    def identity(self) -> dict:
        """What a stored run must agree with: model, samples, loss and augmentation."""
        functions = {name: getattr(self, name) for name in ("loss", "correct", "augment")}
        names = {name: getattr(function, "__qualname__", repr(function)) for name, function in functions.items()}
        return {"model": str(self.model), "data": self.data.checksum(), **names}

    def num_units(self, targets: torch.Tensor) -> torch.Tensor:
        """Units of each sample, of shape (samples,): 1, or as many tokens as count."""
        return self.units(targets) if self.units else torch.ones(len(targets), dtype=torch.int64)

    def on(self, device: torch.device, dtype: torch.dtype) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """Inputs and targets of each split that has samples, as tensors on a device; floats become ``dtype``."""

        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(array).to(device, dtype if array.dtype.kind == "f" else None)

        splits = {name: self.data.split(name) for name in SPLITS}
        return {name: (tensor(x), tensor(y)) for name, (x, y) in splits.items() if len(x)}

    def check(self):
        """Try the model on two samples; one sentence if it does not take them or has no loss on them.

        Labels are looked at one and all: compiled replicas count on each being a class of the model.
        """
        x, y = self.on(torch.device("cpu"), torch.get_default_dtype())["train"]
        if not any(parameter.requires_grad for parameter in self.model.parameters()):
            raise ValueError(f"model is a {type(self.model).__name__} without weights to train; give it some.")
        model = initialized(self.model, 0).eval()
        try:
            outputs = model(x[:2])
            wrong_label = self._wrong_label(outputs.shape[1]) if self.loss is F.cross_entropy else None
            loss = None if wrong_label else self.loss(outputs, y[:2])
        except Exception as error:  # a model of yours may raise anything
            said = (str(error).splitlines() or [type(error).__name__])[0]
            raise ValueError(
                f"model does not take the samples of {self.data.name}, of shape {tuple(x.shape[1:])}, or the loss not "
                f"its outputs ({said}); build it for them."
            ) from error
        if wrong_label:
            raise ValueError(wrong_label)
        if not torch.is_tensor(loss) or loss.dim() > 0:
            raise ValueError(
                f"loss gives {tuple(loss.shape) if torch.is_tensor(loss) else loss!r} for two samples, but it must be "
                f"one number, the mean over them."
            )

    def _wrong_label(self, classes: int) -> str | None:
        """A sentence if some label is no class of the model."""
        for name in SPLITS:
            labels = self.data.split(name)[1]
            wrong = labels[(labels < 0) | (labels >= classes)] if labels.dtype.kind in "iu" else labels[:0]
            if len(wrong):
                return (
                    f"{self.data.name} has the label {wrong.flat[0]} among its {name} samples, but the model has "
                    f"{classes} outputs, for the classes 0 to {classes - 1}; number the classes from 0, and leave "
                    f"samples without a class out."
                )
        return None


# Kinds of workloads ----------------------------------------------------------------------------


def classification(model: nn.Module, data: Dataset, **more) -> Workload:
    """Rows (or images) and their classes, trained by cross-entropy."""
    return Workload(model, data, F.cross_entropy, correct_classes, **more)


def regression(model: nn.Module, data: Dataset, **more) -> Workload:
    """Rows and one or more numbers for each, trained by the mean squared error."""
    return Workload(model, data, squared_error, **more)


def next_token(model: nn.Module, data: Dataset, **more) -> Workload:
    """Rows of T tokens and the token that follows each of them; a target below 0 is padding and does not count."""
    return Workload(
        model, data, token_loss, correct_tokens, counted_tokens, tokens_per_sample=data.y_train.shape[1], **more
    )


def workload(
    model: nn.Module,
    train: TorchDataset | tuple,
    validation: TorchDataset | tuple | None = None,
    test: TorchDataset | tuple | None = None,
    *,
    loss: Callable | None = None,
    name: str = "your data",
    **more,
) -> Workload:
    """Your own model and samples as a workload.

    Parameters
    ----------
    model : torch.nn.Module
    train, validation, test : torch.utils.data.Dataset, or (inputs, targets)
        A dataset (or list) that is indexed and gives ``(inputs, target)``; or a tuple of two
        tensors or arrays.
        All samples have one shape.
    loss : callable, optional
        ``loss(outputs, targets)``, a mean over samples. By default cross-entropy for targets
        that are whole numbers, one a sample, next-token cross-entropy for a row of them, and
        the mean squared error for other numbers.
    name : str
        What messages call the samples.
    **more
        Further attributes of :class:`Workload`.

    Raises
    ------
    TypeError, ValueError
        The samples cannot be stacked, or the model or the loss does not take them.
    """
    x_train, y_train = _arrays(train, name)
    held, tested = (_arrays(split, name) if split is not None else None for split in (validation, test))
    tested = tested or (x_train[:0], y_train[:0])
    data = Dataset(name, x_train, y_train, *tested, *(held or (None, None)))
    if loss is not None:
        made = Workload(model, data, loss, **more)
    elif not data.is_classes:
        made = regression(model, data, **more)
    else:
        made = (next_token if data.y_train.ndim > 1 else classification)(model, data, **more)
    made.check()
    return made


def _arrays(split: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of a split, as arrays."""
    if isinstance(split, IterableDataset):
        raise TypeError(f"{name} is a stream, which has no N to count epochs in; put its samples into tensors first.")
    if torch.is_tensor(split) or isinstance(split, np.ndarray):
        raise TypeError(f"{name} has inputs and no targets; give both, as in (inputs, targets).")
    if isinstance(split, DataLoader):
        raise TypeError(f"{name} is a DataLoader; give its dataset: batches are made by the recipe.")
    if not hasattr(split, "__getitem__"):
        raise TypeError(f"{name} is {split!r:.60}, but it must be a dataset, or (inputs, targets).")
    if not isinstance(split, tuple):
        if len(split) == 0:
            raise ValueError(f"{name} has a split without samples; leave it out.")
        try:
            split = default_collate([split[i] for i in range(len(split))])
        except RuntimeError as error:
            raise ValueError(f"The samples of {name} differ in shape ({error}); pad or cut them to one.") from error
    if not isinstance(split, (tuple, list)) or len(split) != 2:
        raise ValueError(
            f"A sample of {name} must be (inputs, target), but it is of {type(split).__name__} with {len(split)} parts."
        )
    x, y = (part.detach().cpu().numpy() if torch.is_tensor(part) else np.asarray(part) for part in split)
    if len(x) != len(y) or len(x) == 0:
        raise ValueError(f"{name} has {len(x)} inputs and {len(y)} targets; give equally many, at least 1.")
    return _standard(x), _standard(y)


def _standard(array: np.ndarray) -> np.ndarray:
    """Floats as float32, whole numbers (and truth values) as int64."""
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int64)


# Losses, means over the units of a batch, and how many units are right ---------------------------


def correct_classes(outputs: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Samples whose largest output is that of their class."""
    return (outputs.argmax(1) == classes).sum()


def squared_error(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean squared error; targets of shape (samples,) may meet outputs of shape (samples, 1)."""
    return F.mse_loss(outputs.view(targets.shape), targets)


def token_loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy over the tokens that count; outputs (samples, T, vocabulary), targets (samples, T)."""
    counted = targets >= 0
    losses = -F.log_softmax(outputs, -1).gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    return (losses * counted).sum() / counted.sum()  # F.cross_entropy takes twice the time under vmap


def correct_tokens(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Tokens that count and are predicted right."""
    return ((outputs.argmax(2) == targets) & (targets >= 0)).sum()


def counted_tokens(targets: torch.Tensor) -> torch.Tensor:
    """Targets of each sample that are not padding."""
    return (targets >= 0).sum(1)
