"""Runs in which the accumulation or the batch size changes on the way. Pure Python, exact integers."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from lib.checks import whole_number
from lib.loading import Loader, Stream, ceil_div, check_fields
from lib.plan import Plan

UNITS = ("batches", "iterations", "samples", "epochs")


@dataclass(frozen=True)
class Ramp:
    """A whole number that changes on the way.

    Parameters
    ----------
    stages : sequence of (int, int)
        Where each stage begins, from 0 on and rising, and the value from there on.
    unit : {"batches", "iterations", "samples", "epochs"}
        What the beginnings are counted in.

    Examples
    --------
    >>> ramp = Ramp([(0, 256), (1_000, 512)], unit="iterations")
    >>> ramp.at(999), ramp.at(1_000)
    (256, 512)
    """

    stages: Sequence[tuple[int, int]]
    unit: str

    def __post_init__(self):
        if self.unit not in UNITS:
            raise ValueError(f"unit is {self.unit!r}, but it must be one of {', '.join(map(repr, UNITS))}.")
        stages = tuple(
            (whole_number("a stage's beginning", begin, at_least=0), whole_number("a stage's value", value, at_least=1))
            for begin, value in self.stages
        )
        begins = [begin for begin, _ in stages]
        if begins[:1] != [0] or sorted(set(begins)) != begins:
            raise ValueError(f"stages begin at {begins}, but the first must begin at 0 and each later than the last.")
        object.__setattr__(self, "stages", stages)

    def at(self, place: int) -> int:
        """The value at a place, counted from 0 in ``unit``."""
        return self.stages[bisect_right(self.stages, place, key=lambda stage: stage[0]) - 1][1]

    @property
    def last(self) -> int:
        """The value that the ramp ends with."""
        return self.stages[-1][1]


@dataclass(frozen=True)
class AccumulationRamp(Plan):
    """A plan whose accumulation steps change; micro-batches are carried over the ends of epochs.

    Parameters
    ----------
    loader : lib.loading.Loader or lib.loading.Stream
        It must have a length.
    ramp : Ramp
        In "batches": an iteration ends with the first batch at which as many are waiting as
        the ramp says there. In "iterations": iteration i takes as many as the ramp says at i.
    epochs : int

    Raises
    ------
    ValueError
        The ramp has another unit, or the weights would never be updated.

    Examples
    --------
    >>> ramp = Ramp([(0, 1), (17, 2), (51, 3), (84, 4)], unit="batches")
    >>> AccumulationRamp(Loader(128, 16), ramp, epochs=100).total_iterations
    224
    """

    loader: Loader | Stream
    ramp: Ramp
    epochs: int = 1
    tail = "carry"
    max_iterations = None

    def __post_init__(self):
        if self.ramp.unit not in ("batches", "iterations"):
            raise ValueError(f"unit is {self.ramp.unit!r}, but accumulation changes with 'batches' or 'iterations'.")
        object.__setattr__(self, "epochs", whole_number("epochs", self.epochs, at_least=1))
        if not self.batches_per_epoch:
            raise ValueError(self.loader.why_no_batch() if self.batches_per_epoch == 0 else "The stream has no length.")
        if not self._ends:
            raise ValueError(
                f"The ramp asks for {self.ramp.at(0)} micro-batches, but the run has only "
                f"{self.epochs * self.batches_per_epoch}, so the weights are never updated; use more epochs."
            )

    @cached_property
    def _ends(self) -> list[int]:
        """Batches that have gone by when each iteration ends."""
        ends: list[int] = []
        for batch in range(self.epochs * self.batches_per_epoch):
            needed = self.ramp.at(batch if self.ramp.unit == "batches" else len(ends))
            if batch + 1 - (ends[-1] if ends else 0) >= needed:
                ends.append(batch + 1)
        return ends

    @property
    def accumulation_steps(self) -> int:
        """Micro-batches of one iteration when the ramp has ended."""
        return self.ramp.last

    @property
    def total_iterations(self) -> int:
        """Updates of the weights in the whole run."""
        return len(self._ends)

    @property
    def iterations_per_epoch(self) -> int:
        """Updates of the weights in the first epoch; ``iterations_in_epoch`` gives each epoch's own."""
        return self._iterations_before(1)

    def _iterations_before(self, epoch: int) -> int:
        return bisect_right(self._ends, epoch * self.batches_per_epoch)

    def _place(self, iterations: int) -> tuple[int, int]:
        iterations = whole_number("iterations", iterations, at_least=0, at_most=self.total_iterations)
        return divmod(self._ends[iterations - 1] if iterations else 0, self.batches_per_epoch)


@dataclass(frozen=True)
class BatchRamp:
    """A global batch size that changes on the way.

    Parameters
    ----------
    ramp : Ramp
        In "samples" or "iterations": an iteration has the size that the ramp says where the
        iteration begins. In "epochs": all iterations of an epoch have the same size.
    samples, iterations : int, optional
        How long the run is, if ``total_iterations`` and ``total_samples`` are asked for.
        Given both, it ends with what comes first.

    Examples
    --------
    >>> BatchRamp(Ramp([(0, 100), (1_000, 200)], unit="samples")).iterations_for(3_000)
    20
    >>> BatchRamp(Ramp([(0, 10), (2, 25)], unit="epochs")).iterations_in_epochs(101, epochs=3)
    27
    """

    ramp: Ramp
    samples: int | None = None
    iterations: int | None = None

    def __post_init__(self):
        check_fields(self, at_least={"samples": 1, "iterations": 1}, optional=("samples", "iterations"))
        if self.ramp.unit == "batches":
            raise ValueError("unit is 'batches', but a batch size changes with 'samples', 'iterations' or 'epochs'.")

    @property
    def total_iterations(self) -> int:
        """Updates of the weights in the whole run."""
        ends = [self.iterations] if self.iterations else []
        if self.samples:
            ends.append(self.iterations_for(self.samples))
        if not ends:
            raise ValueError("samples and iterations are None, so the run has no end; give one of them.")
        return min(ends)

    @property
    def total_samples(self) -> int:
        """Samples of the whole run."""
        return self.samples_after(self.total_iterations)

    def _stages(self) -> list[tuple[int | None, int]]:
        """(where it ends, size) of each stage; the last one has no end."""
        if self.ramp.unit == "epochs":
            raise ValueError("unit is 'epochs'; ask iterations_in_epochs.")
        return [
            (end, size)
            for (_, size), end in zip(self.ramp.stages, [begin for begin, _ in self.ramp.stages[1:]] + [None])
        ]

    def iterations_for(self, samples: int) -> int:
        """Iterations until at least so many samples have been taken."""
        samples = whole_number("samples", samples, at_least=1)
        taken = iterations = 0
        for end, size in self._stages():
            here = ceil_div(max(0, samples - taken), size)
            if end is not None:
                until = ceil_div(max(0, end - taken), size) if self.ramp.unit == "samples" else end - iterations
                here = min(here, until)
            taken, iterations = taken + here * size, iterations + here
        return iterations

    def samples_after(self, iterations: int) -> int:
        """Samples that so many iterations take."""
        iterations = whole_number("iterations", iterations, at_least=0)
        taken = done = 0
        for end, size in self._stages():
            here = iterations - done
            if end is not None:
                until = ceil_div(max(0, end - taken), size) if self.ramp.unit == "samples" else end - done
                here = min(here, until)
            taken, done = taken + here * size, done + here
        return taken

    def iterations_in_epochs(self, num_samples: int, epochs: int, drop_last: bool = False) -> int:
        """Iterations of so many epochs, if the ramp is in epochs."""
        if self.ramp.unit != "epochs":
            raise ValueError(f"unit is {self.ramp.unit!r}, but this is about a ramp in 'epochs'.")
        sizes = (self.ramp.at(epoch) for epoch in range(whole_number("epochs", epochs, at_least=1)))
        return sum(Loader(num_samples, size, drop_last=drop_last).batches_per_epoch for size in sizes)


@dataclass(frozen=True)
class RampedPlan:
    """A plan in which the batch size changes: one device, and every batch is an iteration.

    Parameters
    ----------
    num_samples : int
        Samples in the training set, N.
    ramp : Ramp
        In "samples", "iterations" or "epochs": a batch has the size that the ramp says where it begins.
    epochs, iterations, samples : int
        How long the run is: give one of them.
    drop_last : bool
        Leave out the last batch of an epoch when it is smaller than the ramp says.

    Examples
    --------
    >>> plan = RampedPlan(100, Ramp([(0, 10), (5, 30)], unit="iterations"), epochs=2)
    >>> plan.sizes(0), plan.sizes(1), plan.total_iterations
    ([10, 10, 10, 10, 10, 30, 20], [30, 30, 30, 10], 11)
    """

    num_samples: int
    ramp: Ramp
    epochs: int | None = None
    iterations: int | None = None
    samples: int | None = None
    drop_last: bool = False

    def __post_init__(self):
        names = ("num_samples", "epochs", "iterations", "samples")
        check_fields(self, at_least=dict.fromkeys(names, 1), optional=names[1:])
        if sum(limit is not None for limit in (self.epochs, self.iterations, self.samples)) != 1:
            raise ValueError("A ramped plan has one end; give exactly one of epochs, iterations and samples.")
        if self.ramp.unit == "batches":
            raise ValueError("unit is 'batches', but a batch size changes with 'samples', 'iterations' or 'epochs'.")
        if self.drop_last and any(size > self.num_samples for _, size in self.ramp.stages):
            raise ValueError(
                f"The ramp reaches a batch size above the {self.num_samples} samples and drop_last is True, so every "
                f"batch is dropped; use smaller sizes or drop_last=False."
            )

    def sizes(self, epoch: int) -> list[int]:
        """Samples of each batch of an epoch, whether or not the run ends in it."""
        return self._epochs[epoch] if epoch < len(self._epochs) else self._cut(epoch, *self._behind(epoch))

    @cached_property
    def _epochs(self) -> list[list[int]]:
        """The batches of all epochs that are started."""
        made: list[list[int]] = []
        iterations = samples = 0
        while not self._ended(len(made), iterations, samples):
            made.append(self._cut(len(made), iterations, samples))
            iterations, samples = iterations + len(made[-1]), samples + sum(made[-1])
        return made

    def _ended(self, epochs: int, iterations: int, samples: int) -> bool:
        if self.epochs is not None:
            return epochs >= self.epochs
        if self.iterations is not None:
            return iterations >= self.iterations
        return self.samples is None or samples >= self.samples

    def _behind(self, epoch: int) -> tuple[int, int]:
        return sum(map(len, self._epochs[:epoch])), sum(map(sum, self._epochs[:epoch]))

    def _cut(self, epoch: int, iterations: int, samples: int) -> list[int]:
        sizes: list[int] = []
        left = self.num_samples
        while left:
            places = {"epochs": epoch, "iterations": iterations + len(sizes), "samples": samples + sum(sizes)}
            size = self.ramp.at(places[self.ramp.unit])
            if size > left and self.drop_last:
                break
            sizes.append(min(size, left))
            left -= sizes[-1]
        return sizes

    @cached_property
    def _taken(self) -> list[int]:
        """Samples after each iteration of the epochs that are started, from none on."""
        return list(accumulate((size for sizes in self._epochs for size in sizes), initial=0))

    @property
    def max_iterations(self) -> int | None:
        """Where the run ends inside an epoch; None if it ends with one."""
        return None if self.epochs is not None else self.total_iterations

    @property
    def batches_per_epoch(self) -> int:
        """Batches, and iterations, of the first epoch."""
        return len(self.sizes(0))

    @property
    def total_iterations(self) -> int:
        """Updates of the weights in the whole run."""
        if self.samples is not None:
            return bisect_left(self._taken, self.samples)
        return self.iterations or len(self._taken) - 1

    @property
    def total_samples(self) -> int:
        """Samples that reach an update in the whole run."""
        return self.samples_after(self.total_iterations)

    def samples_after(self, iterations: int) -> int:
        """Samples that have reached an update after this many iterations."""
        return self._taken[whole_number("iterations", iterations, at_least=0, at_most=self.total_iterations)]

    def place(self, batches: int) -> tuple[int, int]:
        """The epoch that a run is in after so many batches, and how many of them are of that epoch."""
        epoch = 0
        while batches >= len(self.sizes(epoch)):
            batches -= len(self.sizes(epoch))
            epoch += 1
            if epoch >= len(self._epochs):
                break
        return epoch, batches
