"""Seconds and bytes of an iteration against batch size: what a size costs, where that saturates, and what fits."""

import gc
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from scipy import optimize
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lib.advise.stopwatch import Slice
from lib.advise.subject import Subject, is_out_of_memory, set_rate
from lib.profiling import saturation
from lib.statistics import Interval, bootstrap_interval

MARGIN = 0.15  # of the memory, left free: allocators waste some, and a later iteration may need more than the first
ROUNDS = 5  # the fewest passes over all batch sizes; an interval needs them
MOST_ROUNDS = 40  # more say little
LONGEST = 0.02  # of the slice that one iteration may take, so that there is time for several rounds
GAIN = 0.1  # of samples per second by a doubling, below which throughput has saturated


@dataclass
class Speed:
    """What an iteration takes.

    Attributes
    ----------
    times : pandas.DataFrame
        Seconds of an iteration: a row a round, a column a batch size.
    memory : pandas.DataFrame
        ``batch_size`` and ``bytes``, the most that tensors held at once (on CUDA: that PyTorch reserved).
    overhead, per_sample : Interval or None
        ``t0`` and ``c`` of the line ``t0 + c B``, in seconds.
    ratio : Interval or None
        ``t0 / c``, in samples.
    misfit : float
        The largest relative distance of a batch size's typical time from the line.
    saturates : Interval or None
        The last batch size from which a doubling still brings a tenth more samples per second.
    failed_at : int or None
        The batch size at which memory ran out.
    fixed_bytes, bytes_per_sample : float
        The line through ``memory``; its steepest piece.
    available : float or None
        Bytes that this process may have.
    most : int
        The largest batch size that was run.
    first : pandas.Series
        Seconds of the first measurement of each batch size.
    """

    times: pd.DataFrame
    memory: pd.DataFrame
    failed_at: int | None = None
    available: float | None = None
    overhead: Interval | None = None
    per_sample: Interval | None = None
    ratio: Interval | None = None
    misfit: float = np.nan
    saturates: Interval | None = None
    fixed_bytes: float = np.nan
    bytes_per_sample: float = np.nan
    most: int = 1
    first: pd.Series = field(default_factory=lambda: pd.Series(dtype=float))
    problems: list[str] = field(default_factory=list)

    def seconds(self, batch_size) -> Any:
        """Seconds of an iteration, by the line."""
        assert self.overhead is not None and self.per_sample is not None
        return self.overhead.estimate + self.per_sample.estimate * np.asarray(batch_size, dtype=float)

    def about(self, batch_size: int) -> float:
        """Seconds of an iteration, about, whether or not there is a line: between the sizes that were timed."""
        median = self.first if self.times.empty else typical(self.times)
        return float(np.interp(batch_size, median.index, median)) * max(1.0, batch_size / self.most)

    @property
    def fits(self) -> float:
        """The largest batch size that fits, with the margin; infinite where memory sets no limit that is known."""
        by_line = np.inf
        if self.available and self.bytes_per_sample > 0:
            by_line = ((1 - MARGIN) * self.available - self.fixed_bytes) / self.bytes_per_sample
        by_failure = (1 - MARGIN) * self.most if self.failed_at else np.inf
        return float(max(0.0, min(by_line, by_failure)))


def measured(subject: Subject, time: Slice, largest: int) -> Speed:
    """Time all batch sizes in turn, as often as the slice allows; grow them until memory, samples or time end it.

    Parameters
    ----------
    largest : int
        The largest batch size of interest, such as N.

    Raises
    ------
    MemoryError
        Even one sample is too much.
    """
    model = subject.fresh()
    optimizer = subject.optimizer.of(model)
    set_rate(optimizer, 0.0)  # the same work, but the weights stay
    speed = Speed(pd.DataFrame(), pd.DataFrame(columns=["batch_size", "bytes"]))
    speed.available = available_bytes(subject)
    sizes: list[int] = []
    memory: list[tuple[int, float]] = []
    first: list[float] = []
    size, last = subject.smallest, 0.0
    growing = time.part(0.5)
    while size <= largest:
        if sizes and (not growing.has(3 * last) or 2 * last > LONGEST * time.seconds):
            break
        try:
            bytes_held = peak_bytes(subject, model, optimizer, size)
            last = min(iteration_seconds(subject, model, optimizer, size, time) for _ in range(2))
        except Exception as error:
            recover(optimizer, error)
            speed.failed_at = size
            break
        memory.append((size, bytes_held))
        sizes.append(size)
        first.append(last)
        size *= 2
    if not sizes:
        raise MemoryError(
            f"Memory runs out at batch size {size} already, so nothing can be measured on {subject.device}; use a "
            f"smaller model, shorter samples or another device."
        )
    speed.most, speed.first = sizes[-1], pd.Series(first, index=sizes)
    rounds: list[list[float]] = []
    while len(rounds) < MOST_ROUNDS and time.has(2 * sum(rounds[-1]) if len(rounds) >= ROUNDS else 0.0):
        round_: list[float] = []
        for each in sizes:
            try:
                round_.append(iteration_seconds(subject, model, optimizer, each, time))
            except Exception as error:  # it fitted a moment ago: another process has taken memory
                recover(optimizer, error)
                speed.failed_at = each
                break
            if not time.has():
                break
        if len(round_) < len(sizes):
            break
        rounds.append(round_)
    speed.memory = pd.DataFrame(memory, columns=["batch_size", "bytes"])
    speed.times = pd.DataFrame(rounds, columns=sizes)
    fit_memory(speed)
    fit_time(speed)
    del model, optimizer
    return speed


def iterate(subject: Subject, model: torch.nn.Module, optimizer: torch.optim.Optimizer, batch: Any) -> torch.Tensor:
    """One iteration; its loss."""
    optimizer.zero_grad()
    loss = subject.mean_loss(model, batch)
    loss.backward()
    optimizer.step()
    return loss.detach()


def iteration_seconds(
    subject: Subject, model: torch.nn.Module, optimizer: torch.optim.Optimizer, size: int, time: Slice
) -> float:
    """Seconds of an iteration: the mean of a few where it is short. The first is for warming up and does not count."""
    batch = subject.batch(np.arange(size))
    now = time.stopwatch.now
    started = now()
    iterate(subject, model, optimizer, batch)
    subject.synchronize()
    repeats = int(np.clip(0.002 / max(now() - started, 1e-9), 1, 10))
    started = now()
    for _ in range(repeats):
        iterate(subject, model, optimizer, batch)
    subject.synchronize()
    return (now() - started) / repeats


def recover(optimizer: torch.optim.Optimizer, error: BaseException):
    """Free what an iteration left that ran out of memory; any other error goes on."""
    if not is_out_of_memory(error):
        raise error
    optimizer.zero_grad(set_to_none=True)
    error.__traceback__ = None  # its frames hold the tensors
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


# Memory ------------------------------------------------------------------------------------


def peak_bytes(subject: Subject, model: torch.nn.Module, optimizer: torch.optim.Optimizer, size: int) -> float:
    """The most bytes that an iteration holds at once, model, gradients, optimizer state and batch included."""
    held = sum(part.nbytes for part in [*model.parameters(), *model.buffers()])
    held += sum(v.nbytes for s in optimizer.state.values() for v in s.values() if torch.is_tensor(v))
    if subject.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(subject.device)
        before = torch.cuda.memory_reserved(subject.device)
        iterate(subject, model, optimizer, subject.batch(np.arange(size)))
        subject.synchronize()
        return held + torch.cuda.max_memory_reserved(subject.device) - before
    optimizer.zero_grad(set_to_none=True)
    with CountedTensors() as counted:
        iterate(subject, model, optimizer, subject.batch(np.arange(size)))
    return float(held + counted.peak)


class CountedTensors(TorchDispatchMode):
    """Counts the bytes of all tensors made while it is active, and the most at once. Exact; slow."""

    def __init__(self):
        super().__init__()
        self.now, self.peak, self.known = 0, 0, set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        ours = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if torch.is_tensor(t)}
        for tensor in tree_leaves(made):
            if torch.is_tensor(tensor) and tensor.untyped_storage()._cdata not in ours | self.known:
                storage = tensor.untyped_storage()
                key, size = storage._cdata, storage.nbytes()
                self.known.add(key)
                self.now += size
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._freed, key, size)
        return made

    def _freed(self, key: int, size: int):
        self.known.discard(key)
        self.now -= size


def available_bytes(subject: Subject) -> float | None:
    """Bytes that training may use: what is free, and what the user's model on the device has already."""
    device = subject.device
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        mine = sum(p.nbytes for p in subject.mine.parameters() if p.device == device)
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(free + idle + mine)
    info = Path("/proc/meminfo")
    if device.type != "cpu" or not info.exists():
        return None
    words = dict(line.split(":", 1) for line in info.read_text(encoding="utf-8").splitlines())
    found = float(words["MemAvailable"].split()[0]) * 1024
    limit, used = (Path("/sys/fs/cgroup", name) for name in ("memory.max", "memory.current"))
    if limit.exists() and used.exists() and (text := limit.read_text(encoding="utf-8").strip()).isdigit():
        found = min(found, float(text) - float(used.read_text(encoding="utf-8")))
    return found


def fit_memory(speed: Speed):
    """The line of bytes against batch size, as steep as its steepest piece, so that it rather promises too little."""
    sizes, held = (speed.memory[name].to_numpy(dtype=float) for name in ("batch_size", "bytes"))
    if len(sizes) > 1:
        speed.bytes_per_sample = float((np.diff(held) / np.diff(sizes)).max())
        speed.fixed_bytes = float(max(held[0] - speed.bytes_per_sample * sizes[0], 0.0))


# Time --------------------------------------------------------------------------------------


def typical(rounds: pd.DataFrame) -> pd.Series:
    """Seconds of each batch size: the lower quartile of its rounds, since other programs only ever add time."""
    return pd.Series(np.quantile(rounds.to_numpy(), 0.25, axis=0), index=rounds.columns)


def line(rounds: pd.DataFrame) -> tuple[float, float]:
    """``t0`` and ``c``, neither below 0, by least squares of the relative distance from each size's time."""
    sizes, seconds = rounds.columns.to_numpy(dtype=float), typical(rounds).to_numpy()
    (overhead, per_sample), _ = optimize.nnls(np.column_stack([1 / seconds, sizes / seconds]), np.ones(len(sizes)))
    return float(overhead), float(max(per_sample, 1e-15))


def fit_time(speed: Speed, num_resamples: int = 200):
    """Fit ``t0 + c B``, with intervals over the rounds, and find where throughput saturates."""
    rounds = speed.times
    if len(rounds) < ROUNDS or rounds.shape[1] < 3:
        speed.problems.append(
            f"The budget is too short for {ROUNDS} rounds over 3 batch sizes: {len(rounds)} over {rounds.shape[1]} "
            f"were timed, so seconds have no interval and no fit; give more seconds."
        )
        return

    def fit(table: pd.DataFrame) -> tuple[float, float, float]:
        overhead, per_sample = line(table)
        return overhead, per_sample, overhead / per_sample

    found = cast(list[Interval], bootstrap_interval(rounds, fit, ROUNDS, num_resamples))
    speed.overhead, speed.per_sample, speed.ratio = found
    median = typical(rounds)
    speed.misfit = float((median / speed.seconds(median.index) - 1).abs().max())

    rng = np.random.default_rng(0)
    saturated = [
        _saturation(rounds.iloc[rng.integers(len(rounds), size=len(rounds))]) for _ in range(num_resamples // 2)
    ]
    low, high = np.quantile(saturated, [0.025, 0.975], method="nearest")
    speed.saturates = Interval(_saturation(rounds), float(low), float(high), len(rounds))


def _saturation(rounds: pd.DataFrame) -> float:
    """``lib.profiling.saturation`` of the typical times; infinite beyond the largest size, 1 size below all of them."""
    median = typical(rounds)
    table = pd.DataFrame({"batch_size": median.index, "samples_per_second": median.index / median.to_numpy()})
    try:
        found = saturation(table, GAIN)
    except ValueError:
        return float(median.index[0])
    return float(found) if found is not None else np.inf
