"""The same training on several devices at once: one process each, gradients averaged by PyTorch.

    torchrun --standalone --nproc-per-node 2 -m lib.distributed --batch-size 250 --epochs 3

Every process makes the same call of ``lib.training.train``. It visits its share of each
epoch and averages its gradients with the others through ``DistributedDataParallel``,
once an iteration. All processes draw the same order, ``lib.sampling.epoch_order(N, seed,
epoch)``; that the epoch is in it is what ``DistributedSampler.set_epoch`` is for. Rank r
of W takes every W-th sample of it from the r-th on, by the rule of ``DistributedSampler``.
So the batches of all devices in one iteration are together one stretch of that order, and
W devices at batch size B take the same samples in each iteration, and reach the same
weights up to rounding, as one device at W·B. (If W does not divide N, the last iteration
of an epoch repeats a few samples, or an epoch leaves a few out.)
"""

import argparse
import importlib.util
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import warnings
from dataclasses import MISSING, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, get_args

# Before PyTorch starts: without a name server it warns about host names that nobody here needs.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data.distributed import DistributedSampler

from lib import catalog
from lib.checks import whole_number
from lib.devices import OneDevice, fastest_device
from lib.evaluation import mean_loss
from lib.files import write_atomically
from lib.recipe import Budget, Recipe
from lib.training import train
from lib.workload import Workload

COUNTED = ("rank", "process", "samples")


class Devices(OneDevice):
    """All processes of the default process group, seen from one of them.

    Parameters
    ----------
    pad_to_even : bool
        When the devices do not divide the training set: repeat a few samples until they
        do, or leave a few out (``DistributedSampler``'s ``drop_last``).

    Attributes
    ----------
    rank, size : int
        The number of this process, from 0, and of all of them, W.
    visited : int
        Samples that this process was handed so far.
    """

    def __init__(self, pad_to_even: bool = True):
        self.rank, self.size, self.pad_to_even, self.visited = dist.get_rank(), dist.get_world_size(), pad_to_even, 0

    def share(self, order: np.ndarray) -> np.ndarray:
        mine: DistributedSampler = DistributedSampler(
            order,  # type: ignore[arg-type]  # it asks for nothing but the length
            num_replicas=self.size,
            rank=self.rank,
            shuffle=False,
            drop_last=not self.pad_to_even,
        )
        self.visited += len(mine)
        return order[list(mine)]

    def network(self, model: nn.Module) -> nn.Module:
        return DistributedDataParallel(model)

    def no_sync(self, network: nn.Module):
        return network.no_sync()  # type: ignore[operator]  # what self.network made

    def mean(self, number: torch.Tensor) -> torch.Tensor:
        dist.all_reduce(number)
        return number / self.size

    def mean_loss(self, workload: Workload, model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
        for buffer in model.buffers():  # the running means of BatchNorm: those of rank 0 are the model's
            dist.broadcast(buffer, 0)
        x, y = x[self.rank :: self.size], y[self.rank :: self.size]  # not padded: no sample is counted twice
        units = int(workload.num_units(y).sum())
        loss, accuracy = mean_loss(workload, model, x, y)
        sums = torch.tensor([loss * units, accuracy * units, units], dtype=torch.float64, device="cpu").to(x.device)
        dist.all_reduce(sums)
        return (sums[0] / sums[2]).item(), (sums[1] / sums[2]).item()


class Launched(NamedTuple):
    """What :func:`launch` brings back: ``train``'s history, the weights by name, a row a process with its counts."""

    history: pd.DataFrame
    weights: dict[str, torch.Tensor]
    processes: pd.DataFrame


def launch(world_size: int, *, limit: float = 300, timeout: float = 60, **choices) -> Launched:
    """Start so many processes on this machine, train with all of them, and bring the result back.

    Parameters
    ----------
    world_size : int
        Processes, and devices, W.
    limit : float
        Seconds after which everything is ended.
    timeout : float
        Seconds that a process waits for another one.
    **choices
        The options of ``python -m lib.distributed`` with underscores, as in
        ``workload="mlp", batch_size=250, epochs=3``. The precision is PyTorch's default
        dtype, unless ``dtype`` is given.

    Raises
    ------
    ValueError
        ``world_size`` or a choice is unusable.
    RuntimeError
        A process failed, was killed, or did not end in time; none is left running.
    """
    world_size = whole_number("world_size", world_size, at_least=1)
    choices = {"dtype": str(torch.get_default_dtype()).removeprefix("torch.")} | choices
    options = [option for name, value in choices.items() if value is not None for option in as_option(name, value)]
    with tempfile.TemporaryDirectory() as folder:
        history, weights = Path(folder, "history.json"), Path(folder, "weights.pt")
        command = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nproc-per-node",
            str(world_size),
            "--rdzv-backend",
            "c10d",
            "--rdzv-endpoint",
            "127.0.0.1:0",
            "--local-addr",
            "127.0.0.1",
            "-m",
            "lib.distributed",
            *options,
            "--world-size",
            str(world_size),
            "--timeout",
            str(timeout),
            "--history",
            str(history),
            "--weights",
            str(weights),
        ]
        text, code = run_to_the_end(command, limit)
        if code != 0:
            raise RuntimeError(what_went_wrong(text, code, limit))
        result = json.loads(history.read_text(encoding="utf-8"))
        return Launched(
            pd.DataFrame(result["history"]), torch.load(weights, weights_only=True), pd.DataFrame(result["processes"])
        )


def as_option(name: str, value) -> list[str]:
    """``batch_size=250`` as ``["--batch-size", "250"]``, ``shuffle=False`` as ``["--no-shuffle"]``."""
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    return [f"--{flag}", *map(str, value)] if isinstance(value, (list, tuple)) else [f"--{flag}", str(value)]


def run_to_the_end(command: list[str], limit: float) -> tuple[str, int | None]:
    """What a command printed and its exit code; None if it had to be ended after ``limit`` seconds."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace"
    )
    try:
        return process.communicate(timeout=limit)[0], process.returncode
    except subprocess.TimeoutExpired:
        return "", None
    finally:
        if process.poll() is None:  # torchrun ends its processes when it is asked to, and not when it is killed
            process.terminate()
            try:
                process.wait(timeout=45)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()


def what_went_wrong(text: str, code: int | None, limit: float) -> str:
    """One sentence out of what torchrun and its processes printed."""
    if code is None:
        return (
            f"The processes had not finished after {limit:g} seconds and were ended; give a larger limit or less to do."
        )
    killed = re.findall(r"rank\s*: (\d+) .*\n\s*exitcode\s*: -(\d+)", text)
    killed = [(rank, signal.Signals(int(number))) for rank, number in killed if int(number) != signal.SIGTERM]
    if killed:  # and not by torchrun, which ends the others with SIGTERM
        return (
            f"Rank {killed[0][0]} was killed ({killed[0][1].name}), so the others were ended too; "
            f"start again, with a checkpoint to go on from."
        )
    said = re.findall(r"^rank \d+: .*", text, flags=re.MULTILINE)
    said.sort(key=lambda line: "did not answer" in line)  # the cause before its consequences
    return "R" + said[0][1:] if said else "The processes could not be started: " + text.strip()[-300:]


def arguments(command: list[str] | None = None) -> argparse.Namespace:
    """The command line; every choice of a recipe, of a budget and of ``train`` is an option with the same default."""
    parser = argparse.ArgumentParser(
        prog="torchrun --standalone --nproc-per-node W -m lib.distributed",
        description="Train on W devices; see lib.recipe and lib.training.train for the choices.",
    )
    names = ", ".join(catalog.WORKLOADS)
    parser.add_argument("--workload", default="mlp", help=f"{names}, or FILE.py:FUNCTION that returns a workload")
    parser.add_argument("--first", type=int, help="train on so many samples only")
    parser.add_argument("--pad-to-even", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--history", type=Path, help=".csv or .json; otherwise it is printed")
    parser.add_argument("--weights", type=Path, help="file for the trained weights, as torch.save writes them")
    parser.add_argument("--world-size", type=int, help="refuse to run on another number of devices")
    parser.add_argument("--timeout", type=float, default=600, help="seconds to wait for another process")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--evaluate-every", type=int)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--checkpoint-every", type=int)
    parser.add_argument("--device")
    for field in (*fields(Recipe), *fields(Budget)):
        kind = (get_args(field.type) or [field.type])[0]
        how: dict[str, Any] = {"action": argparse.BooleanOptionalAction} if kind is bool else {"type": kind}
        how |= {"nargs": 2} if field.name == "betas" else {}
        required = field.default is MISSING
        default = None if required else field.default
        parser.add_argument("--" + field.name.replace("_", "-"), required=required, default=default, **how)
    return parser.parse_args(command)


def workload_named(name: str) -> Workload:
    """A workload of ``lib.catalog``, or what the function of a ``FILE.py:FUNCTION`` returns."""
    file, colon, function = name.rpartition(":")
    if not colon:
        return catalog.named(name)
    try:
        spec = importlib.util.spec_from_file_location("workload_of_this_run", file)
        if spec is None or spec.loader is None:
            raise OSError(f"{file} is no Python file")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return getattr(module, function)()
    except (OSError, AttributeError) as error:
        raise ValueError(f"workload is {name!r}, but there is no such function ({error}).") from error


def join(timeout: float, expected: int | None, device: str) -> torch.device:
    """Meet the other processes; return this one's device."""
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        raise ValueError(
            "this process was started alone; start it with "
            "torchrun --standalone --nproc-per-node 2 -m lib.distributed ..."
        )
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if not 0 <= rank < size:
        raise ValueError(f"RANK is {rank}, but with WORLD_SIZE {size} ranks go from 0 to {size - 1}.")
    if expected not in (None, size):
        raise ValueError(
            f"the run is meant for {expected} devices, but {size} were started; "
            f"start it with --nproc-per-node {expected}."
        )
    here = torch.device("cpu")
    if device == "cuda":
        local = int(os.environ.get("LOCAL_RANK", 0))
        if local >= torch.cuda.device_count():
            raise ValueError(
                f"there are more processes than GPUs, of which this machine has "
                f"{torch.cuda.device_count()}; use as many processes, or --device cpu."
            )
        here = torch.device("cuda", local)
        torch.cuda.set_device(here)
    try:
        dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=timedelta(seconds=timeout))
    except RuntimeError as error:
        raise RuntimeError(
            f"not all of the {size} processes came within {timeout:g} seconds ({first_line(error)})."
        ) from error
    return here


def first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:160]


def main(command: list[str] | None = None):
    options = vars(arguments(command))
    own = ("workload", "first", "pad_to_even", "dtype", "history", "weights", "world_size", "timeout")
    name, first, pad, dtype, history_file, weights_file, world_size, timeout = (options.pop(each) for each in own)
    rank = os.environ.get("RANK", "0")
    try:
        torch.set_default_dtype(getattr(torch, dtype))
        torch.set_num_threads(1)  # the processes share the cores
        options["device"] = join(timeout, world_size, options["device"] or fastest_device())
        devices = Devices(pad)
        workload = workload_named(name)
        workload = workload.but(data=workload.data.first(first)) if first else workload
        if devices.rank > 0:
            os.environ["TQDM_DISABLE"] = "1"
            warnings.simplefilter("ignore")  # rank 0 says it
        history, model = train(workload, devices=devices, **options)
        processes: list[Any] = [None] * devices.size
        dist.all_gather_object(processes, dict(zip(COUNTED, (devices.rank, os.getpid(), devices.visited))))
        if devices.rank == 0:
            report(history, processes, history_file)
            if weights_file:
                content = io.BytesIO()
                torch.save({name: part.cpu() for name, part in model.state_dict().items()}, content)
                write_atomically(weights_file, content.getvalue())
        dist.barrier()
        dist.destroy_process_group()
    except (ValueError, TypeError, OSError) as error:
        stop(f"rank {rank}: {first_line(error)}")
    except RuntimeError as error:
        if dist.is_initialized() and re.search("gloo|NCCL|[Cc]onnection|[Tt]imed out", str(error)):
            stop(
                f"rank {rank}: another process did not answer within {timeout:g} seconds or is gone "
                f"({first_line(error)})."
            )
        stop(f"rank {rank}: {first_line(error)}")


def stop(sentence: str):
    """Say why and end at once: saying goodbye to the other processes could wait for ever."""
    print(sentence, file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(1)


def report(history: pd.DataFrame, processes: list[dict], path: Path | None):
    """The history on the screen, or in a file; .json has the processes' counts as well."""
    if path is None:
        print(history.to_string(index=False))
    elif path.suffix == ".csv":
        write_atomically(path, history.to_csv(index=False))
    else:
        write_atomically(path, json.dumps({"history": history.to_dict("list"), "processes": processes}))


if __name__ == "__main__":
    main()
