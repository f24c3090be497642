"""How the samples of one epoch become the batches of each device.

Two kinds of loader, with the same questions: a ``Loader`` asks for samples by number, a
``Stream`` takes them as they come. ``lib.plan`` makes iterations of their batches.
Pure Python, exact integers.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from lib.checks import whole_number

DEALS = ("samples", "batches")
MaybeNone: TypeAlias = Any  # None, but only of a stream without a length: who counts other loaders need not ask


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def check_fields(instance, *, at_least: dict[str, int], optional: tuple = (), switches: tuple = ()) -> None:
    """Refuse a field that is no whole number of at least so much, or no truth value; store plain ints and bools."""
    for name in switches:
        value = getattr(instance, name)
        if type(value).__name__ not in ("bool", "bool_"):  # the other one is NumPy's
            raise TypeError(f"{name} is {value!r}, but it must be True or False.")
        object.__setattr__(instance, name, bool(value))
    for name, least in at_least.items():
        value = getattr(instance, name)
        if value is not None or name not in optional:
            object.__setattr__(instance, name, whole_number(name, value, at_least=least))


@dataclass(frozen=True)
class Loader:
    """Samples that are asked for by number: a sampler puts them in order, they are cut into batches and dealt.

    Parameters
    ----------
    num_samples : int
        Samples in the training set, N.
    batch_size : int
        Samples of one batch on one device, B.
    drop_last : bool
        Leave out a last batch smaller than ``batch_size``.
    world_size : int
        Devices that share an epoch, W.
    pad_to_even : bool
        What happens when the devices cannot get equally much: samples from the start of
        the epoch fill the gap (True), or the rest is left out (False).
    deal : {"samples", "batches"}
        "samples": device r gets every W-th sample and cuts its own batches, as with
        ``torch.utils.data.distributed.DistributedSampler``. "batches": the epoch is cut
        into batches first and device r gets every W-th of them, the last ones filled up
        to B samples, as with Accelerate and the Hugging Face Trainer.
    limit_batches : int, optional
        End the epoch after so many batches of each device.
    draws : int, optional
        Samples that the sampler hands out in an epoch when it is not each of them once:
        ``num_samples`` of ``RandomSampler`` and ``WeightedRandomSampler``.
    replacement : bool
        The sampler draws each sample anew from all of them, so chance decides who is seen.

    Raises
    ------
    TypeError, ValueError
        A field is no such number or switch, or the choices do not go together.

    Examples
    --------
    >>> loader = Loader(10_001, 100, drop_last=True, world_size=8)
    >>> loader.batches_per_epoch, loader.never_seen(12), loader.seen_twice(12)
    (12, 401, 0)
    >>> loader = Loader(91, 10, world_size=2, deal="batches")
    >>> loader.batches_per_epoch, loader.seen_twice(5)
    (5, 9)
    """

    num_samples: int
    batch_size: int
    drop_last: bool = False
    world_size: int = 1
    pad_to_even: bool = True
    deal: str = "samples"
    limit_batches: int | None = None
    draws: int | None = None
    replacement: bool = False

    def __post_init__(self):
        check_fields(
            self,
            at_least=dict.fromkeys(("num_samples", "batch_size", "world_size", "limit_batches", "draws"), 1),
            optional=("limit_batches", "draws"),
            switches=("drop_last", "pad_to_even", "replacement"),
        )
        if self.deal not in DEALS:
            raise ValueError(f"deal is {self.deal!r}, but it must be one of {', '.join(map(repr, DEALS))}.")
        if self.draws and not self.replacement and self.world_size > 1:
            raise ValueError(
                f"draws is {self.draws} and world_size is {self.world_size}, but a sampler that draws without "
                f"replacement is counted on one device only; use world_size=1 or replacement=True."
            )
        batches = ceil_div(self.samples_per_epoch, self.batch_size)
        if self._deals_batches and not (self.pad_to_even or self.drop_last) and batches % self.world_size:
            raise ValueError(
                f"pad_to_even is False, but {batches} batches cannot be dealt evenly to world_size {self.world_size} "
                f"devices, and those with fewer would be waited for; use pad_to_even=True or drop_last=True."
            )

    @property
    def samples_per_epoch(self) -> int:
        """Samples that the sampler hands out in an epoch, before any padding."""
        return self.draws or self.num_samples

    @property
    def _deals_batches(self) -> bool:
        return self.deal == "batches" and self.world_size > 1  # one device just takes them all

    @property
    def samples_per_device(self) -> int:
        """Samples meant for one device in an epoch, repeats included (the most, if devices differ)."""
        if not self._deals_batches:
            share = ceil_div if self.pad_to_even else int.__floordiv__
            return share(self.samples_per_epoch, self.world_size)
        return self._batches_of_an_epoch * self.batch_size

    @property
    def _batches_of_an_epoch(self) -> int:
        cut = int.__floordiv__ if self.drop_last else ceil_div
        if not self._deals_batches:
            return cut(self.samples_per_device, self.batch_size)
        return cut(cut(self.samples_per_epoch, self.batch_size), self.world_size)

    @property
    def batches_per_epoch(self) -> int:
        """Batches of each device in an epoch: ``len(loader)``, or ``limit_batches`` if that is less."""
        batches = self._batches_of_an_epoch
        return batches if self.limit_batches is None else min(batches, self.limit_batches)

    @property
    def last_batch_size(self) -> int:
        """Samples of the last batch of an epoch on one device (on the last one, if devices differ)."""
        batches = self.batches_per_epoch
        if self._deals_batches:
            missing = batches * self.batch_size * self.world_size - self.samples_in(batches)
            return self.batch_size - missing
        return min(self.batch_size, self.samples_per_device - (batches - 1) * self.batch_size)

    def samples_in(self, batches: int) -> int:
        """Samples of the first ``batches`` batches of an epoch, over all devices, repeats counted."""
        full = batches * self.batch_size * self.world_size
        if not self._deals_batches:
            return min(full, self.samples_per_device * self.world_size)
        return full if self.pad_to_even else min(full, self.samples_per_epoch)

    # Padding goes on from the start of the epoch's order, so visit q is of sample q mod N.

    def never_seen(self, batches: int) -> int | None:
        """Samples that are in none of the first ``batches`` batches of any device; None if chance decides."""
        return None if self.replacement else max(0, self.num_samples - self.samples_in(batches))

    def seen_twice(self, batches: int) -> int | None:
        """Samples that come twice or more in these batches; None if chance decides."""
        return None if self.replacement else min(self.num_samples, max(0, self.samples_in(batches) - self.num_samples))

    def expected_never_seen(self, batches: int) -> float:
        """Samples that are in none of these batches, on average, if each draw is uniform."""
        if not self.replacement:
            return self.never_seen(batches) or 0
        return self.num_samples * (1 - 1 / self.num_samples) ** self.samples_in(batches)

    def why_no_batch(self) -> str:
        """The sentence for an epoch without a batch."""
        if self.samples_per_device == 0 and not self._deals_batches:
            return (
                f"num_samples is {self.num_samples}, fewer than world_size {self.world_size}, and pad_to_even is "
                f"False, so no device gets a sample; use fewer devices or pad_to_even=True."
            )
        has = self.samples_per_epoch if self._deals_batches else self.samples_per_device
        owner = f"{self.world_size} devices have" if self._deals_batches else "a device has"
        return (
            f"batch_size is {self.batch_size}, but {owner} only {has} samples and "
            f"drop_last is True, so every batch is dropped; use a smaller batch_size or drop_last=False."
        )


@dataclass(frozen=True)
class Stream:
    """Samples that come in an order of their own (``torch.utils.data.IterableDataset``).

    Parameters
    ----------
    num_samples : int or None
        Samples in the stream, N; None if nobody knows, or it never ends.
    batch_size : int
        Samples of one batch, B.
    drop_last : bool
        Each worker leaves out its own last batch if that is smaller.
    workers : int
        Processes that read ahead, ``num_workers`` of ``DataLoader``. Each one makes batches
        of its own, and they take turns. With 0 the training process reads for itself.
    split : bool
        Worker w takes every ``workers``-th sample, as the data set must arrange itself.
        If it does not (False), every worker reads the whole stream.
    limit_batches : int, optional
        End the epoch after so many batches.
    world_size : int
        Devices, W. More than one only if the stream has no known end: how a finite stream
        is divided among devices is up to the data set.

    Examples
    --------
    >>> Stream(46, 8, drop_last=True, workers=3).batches_per_epoch
    4
    >>> Stream(10, 2, workers=4, split=False).batches_per_epoch
    20
    """

    num_samples: int | MaybeNone
    batch_size: int
    drop_last: bool = False
    workers: int = 0
    split: bool = True
    limit_batches: int | None = None
    world_size: int = 1

    def __post_init__(self):
        check_fields(
            self,
            at_least={"num_samples": 1, "batch_size": 1, "workers": 0, "limit_batches": 1, "world_size": 1},
            optional=("num_samples", "limit_batches"),
            switches=("drop_last", "split"),
        )
        if self.world_size > 1 and self.num_samples is not None:
            raise ValueError(
                f"world_size is {self.world_size}, but a stream of {self.num_samples} samples is counted on one "
                f"device only; use num_samples=None, or a Loader if each device gets its share."
            )

    @property
    def length_of_loader(self) -> int:
        """What ``len(loader)`` says if the data set has a length: it knows nothing of workers."""
        return (int.__floordiv__ if self.drop_last else ceil_div)(self.num_samples, self.batch_size)

    @cached_property
    def _turns(self) -> list[tuple[int, int]]:
        """(worker, samples of its batch) for each batch of a whole stream, in the order they arrive."""
        readers = max(1, self.workers)
        left = [len(range(w, self.num_samples, readers)) if self.split else self.num_samples for w in range(readers)]
        turns: list[tuple[int, int]] = []
        while any(left):
            for worker in range(readers):
                size = min(left[worker], self.batch_size)
                left[worker] -= size
                if size == self.batch_size or (size and not self.drop_last):
                    turns.append((worker, size))
        return turns

    @property
    def batches_per_epoch(self) -> int | MaybeNone:
        """Batches that arrive in an epoch; None if the length is not known."""
        if self.num_samples is None:
            return self.limit_batches
        return len(self._turns) if self.limit_batches is None else min(len(self._turns), self.limit_batches)

    @property
    def samples_per_device(self) -> int | MaybeNone:
        """Samples in the stream, as often as it is read."""
        return None if self.num_samples is None else self.num_samples * (1 if self.split else max(1, self.workers))

    @property
    def last_batch_size(self) -> int | MaybeNone:
        """Samples of the batch that arrives last; others before it may be small as well."""
        if self.num_samples is None:
            return None
        return self._turns[self.batches_per_epoch - 1][1]

    def samples_in(self, batches: int) -> int:
        """Samples of the first ``batches`` batches of an epoch, repeats counted."""
        if self.num_samples is None:
            return batches * self.batch_size * self.world_size
        return sum(size for _, size in self._turns[:batches])

    def _read(self, batches: int) -> list[int]:
        """How far each worker has come after so many batches, the farthest first."""
        read = [0] * max(1, self.workers)
        for worker, size in self._turns[:batches]:
            read[worker] += size
        return sorted(read, reverse=True)

    def never_seen(self, batches: int) -> int | None:
        """Samples that are in none of the first ``batches`` batches; None if the length is not known."""
        if self.num_samples is None:
            return None
        return self.num_samples - (sum(self._read(batches)) if self.split else self._read(batches)[0])

    def seen_twice(self, batches: int) -> int | None:
        """Samples that come twice or more in these batches; None if the length is not known."""
        if self.num_samples is None:
            return None
        return 0 if self.split or self.workers < 2 else self._read(batches)[1]

    def why_no_batch(self) -> str:
        """The sentence for an epoch without a batch."""
        return (
            f"batch_size is {self.batch_size}, but none of {max(1, self.workers)} workers reads so many of the "
            f"{self.num_samples} samples and drop_last is True, so every batch is dropped; use fewer workers or "
            f"drop_last=False."
        )
