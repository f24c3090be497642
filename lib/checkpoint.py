"""Checkpoints from which a run goes on exactly: written whole or not at all, checked when read, two of them kept.

A checkpoint is one file: the SHA-256 of what follows, then what ``torch.save`` writes.
The one before it stands beside it with the ending ``.previous``.
"""

import hashlib
import io
import os
import warnings
from pathlib import Path

import torch
from torch import nn

from lib.evaluation import History, check_every
from lib.files import write_atomically
from lib.recipe import as_choices

DIGEST = hashlib.sha256().digest_size


class Saver:
    """The checkpoints of a run, and when the next one is due.

    Parameters
    ----------
    run : lib.training.Run
    history : lib.evaluation.History
    path : str or pathlib.Path, optional
        Without one, nothing is saved.
    every : int, optional
        Iterations between checkpoints; by default about one epoch's.
    """

    def __init__(self, run, history: History, path: str | Path | None, every: int | None = None):
        every = check_every("checkpoint_every", every)
        self.run, self.history = run, history
        self.every = every or max(1, run.plan.batches_per_epoch // run.recipe.accumulation_steps)
        self.checkpoints = Checkpoints(path, self.identity()) if path else None

    def identity(self) -> dict:
        """Everything that a checkpoint of this run must have in common with it."""
        run = self.run
        choices = as_choices(run.recipe, run.budget) | {"seed": run.seed, "evaluate_every": self.history.evaluate_every}
        devices = {"world_size": run.devices.size, "pad_to_even": run.devices.pad_to_even}
        return choices | devices | run.workload.identity() | {"dtype": run.dtype, "device": run.device.type}

    def load(self) -> bool:
        """Put the run and its history where the last checkpoint left them; False if there is none."""
        progress = self.checkpoints and self.checkpoints.load(self.run.model, self.run.optimizer)
        if not progress:
            return False
        self.history.rows = progress["rows"]
        self.run.resume(progress)
        return True

    def due(self) -> bool:
        """Whether to save now: after every so many iterations, by the first device alone."""
        run = self.run
        asked = self.checkpoints is not None and run.devices.rank == 0
        return asked and run.at_iteration_end and run.iteration % self.every == 0

    def save(self):
        """Write a checkpoint."""
        progress = self.run.progress() | {"rows": self.history.rows}
        if self.checkpoints is not None:
            self.checkpoints.save(self.run.model, self.run.optimizer, progress)


class Checkpoints:
    """The last two checkpoints of one run.

    Parameters
    ----------
    path : str or pathlib.Path
        The newest checkpoint's file.
    run : dict
        The choices that determine the run. A checkpoint with other ones is refused.
    """

    def __init__(self, path: str | Path, run: dict):
        self.path = Path(path)
        self.run = {name: str(value) for name, value in run.items()}
        self.previous, self.partial = (self.path.with_name(self.path.name + end) for end in (".previous", ".part"))
        self.newest_is_good = True

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, progress: dict):
        """Write a checkpoint; the newest until now becomes the one before it.

        Killed at any moment, this leaves at least one whole checkpoint, if there was one.
        ``progress`` is whatever else the run needs to go on: numbers, strings, lists, tensors.
        """
        stream = io.BytesIO()
        torch.save(
            {
                "run": self.run,
                "progress": progress,
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "generators": _generators(),
            },
            stream,
        )
        content = stream.getvalue()
        write_atomically(self.partial, hashlib.sha256(content).digest() + content, sync=True)
        if self.newest_is_good and self.path.exists():
            os.replace(self.path, self.previous)
        os.replace(self.partial, self.path)
        self.newest_is_good = True

    def load(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict | None:
        """Put model, optimizer and random generators where the last checkpoint left them; return its ``progress``.

        Returns
        -------
        dict or None
            None if there is no checkpoint yet.

        Raises
        ------
        ValueError
            The newest is damaged or belongs to another run, and so does the one before it,
            or it is missing. If only the newest is refused, a warning says so.
        """
        refused = []
        for path in (self.path, self.previous):
            try:
                state = self._read(path)
            except FileNotFoundError:
                continue
            except ValueError as error:
                refused.append(f"{path.name} {error}")
                continue
            if refused:
                warnings.warn(f"The checkpoint {refused[0]}; the run goes on from the one before it.", stacklevel=3)
                self.newest_is_good = False
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            _set_generators(state["generators"])
            return state["progress"]
        if refused:
            raise ValueError(
                f"The checkpoint {', and '.join(refused)}; start a new run under another file name, or remove the file."
            )
        return None

    def _read(self, path: Path) -> dict:
        """The state in a file; ValueError says what is wrong with it."""
        content = path.read_bytes()
        if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
            raise ValueError("is damaged (its checksum does not match)")
        state = torch.load(io.BytesIO(content[DIGEST:]), map_location="cpu", weights_only=True)
        for name in sorted(self.run.keys() | state["run"].keys()):
            there, here = state["run"].get(name), self.run.get(name)
            if there != here:
                raise ValueError(f"belongs to another run ({name} is {_short(there)} there, {_short(here)} here)")
        return state


def _short(value: str | None) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:60]}…"


def _generators() -> dict:
    """PyTorch's own random state, which layers such as Dropout draw from; the order of samples does not."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _set_generators(states: dict):
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
