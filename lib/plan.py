"""The counting contract: from a few choices to every number of a training run.

``lib.loading`` says how an epoch's samples become batches; a plan makes iterations of
them. Pure Python, exact integers. A plan never trains anything; it says what a correct
training loop will count.
"""

import math
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cached_property
from numbers import Integral, Real
from typing import TYPE_CHECKING

from lib.checks import whole_number
from lib.loading import Loader, MaybeNone, Stream, ceil_div, check_fields

TAILS = ("flush", "carry", "merge", "drop")


class Plan:
    """What every plan counts, from its ``loader``, ``epochs``, ``accumulation_steps``, ``tail``, ``max_iterations``."""

    epochs: int | float
    tail: str
    max_iterations: int | MaybeNone
    if TYPE_CHECKING:  # a field of one plan, worked out by another

        @property
        def loader(self) -> Loader | Stream: ...
        @property
        def accumulation_steps(self) -> int: ...

    def _check(self):
        """Refuse impossible choices; keep numbers as plain ones."""
        if self.tail not in TAILS:
            raise ValueError(f"tail is {self.tail!r}, but it must be one of {', '.join(map(repr, TAILS))}.")
        check_fields(self, at_least={"accumulation_steps": 1, "max_iterations": 1}, optional=("max_iterations",))
        object.__setattr__(self, "epochs", _number_of_epochs(self.epochs))
        if self.batches_per_epoch is None:
            if self.max_iterations is None:
                raise ValueError(
                    "num_samples is None, so an epoch has no end that could be counted; give max_iterations."
                )
        elif self.batches_per_epoch == 0:
            raise ValueError(self.loader.why_no_batch())
        elif self.total_iterations == 0:
            raise ValueError(
                f"accumulation_steps is {self.accumulation_steps}, but an epoch has only {self.batches_per_epoch} "
                f"batches and tail is {self.tail!r}, so the weights are never updated; use fewer "
                f"accumulation_steps or tail='flush'."
            )

    # one epoch --------------------------------------------------------------------------

    @property
    def batches_per_epoch(self) -> int | MaybeNone:
        """Forward/backward passes of one device in an epoch (``len(loader)``); None in an endless stream."""
        return self.loader.batches_per_epoch

    @property
    def samples_per_device(self) -> int | MaybeNone:
        """Samples meant for one device in an epoch, repeats included."""
        return self.loader.samples_per_device

    @property
    def last_batch_size(self) -> int | MaybeNone:
        """Samples in the last batch of an epoch on one device."""
        return self.loader.last_batch_size

    @property
    def iterations_per_epoch(self) -> int | MaybeNone:
        """Updates of the weights in one full epoch.

        With ``tail="carry"`` epochs differ by one; this is the first epoch's number,
        the smaller one. :meth:`iterations_in_epoch` gives each epoch's own.
        """
        if self.batches_per_epoch is None:
            return None
        return (ceil_div if self.tail == "flush" else int.__floordiv__)(self.batches_per_epoch, self.accumulation_steps)

    @property
    def global_batch_size(self) -> int:
        """Samples of one full iteration over all devices, B · A · W."""
        return self.loader.batch_size * self.accumulation_steps * self.loader.world_size

    @property
    def samples_dropped_per_epoch(self) -> int | None:
        """Samples of the training set that an epoch never shows to an update of the weights, counted by identity.

        Lost between devices (``pad_to_even=False``), in a dropped last batch
        (``drop_last``), behind ``limit_batches`` or in dropped micro-batches
        (``tail="drop"``). None if chance decides.
        """
        return self.loader.never_seen(self._kept_batches)

    @property
    def samples_repeated_per_epoch(self) -> int | None:
        """Samples of the training set that an epoch shows twice or more, counted by identity.

        Padding that is dropped again repeats nothing. None if chance decides.
        """
        return self.loader.seen_twice(self._kept_batches)

    @property
    def _kept_batches(self) -> int:
        """Batches of an epoch that reach an update, sooner or later."""
        if self.batches_per_epoch is None:
            return 0
        if self.tail == "drop":
            return self.iterations_per_epoch * self.accumulation_steps
        return self.batches_per_epoch

    # the whole run ------------------------------------------------------------------------

    @property
    def epochs_started(self) -> int:
        """Epochs of which at least one batch is planned: ``epochs``, rounded up."""
        return math.ceil(_exact(self.epochs))

    @property
    def total_iterations(self) -> int:
        """Updates of the weights in the whole run."""
        if self.batches_per_epoch is None:
            return self.max_iterations
        whole, part = divmod(_exact(self.epochs), 1)
        planned = self._iterations_before(whole)
        planned += math.ceil(part * (self._iterations_before(whole + 1) - planned))
        return planned if self.max_iterations is None else min(planned, self.max_iterations)

    @property
    def total_samples(self) -> int:
        """Samples that reach an update in the whole run, over all devices, repeats counted."""
        return self.samples_after(self.total_iterations)

    def iterations_in_epoch(self, epoch: int) -> int:
        """Updates of the weights in one epoch, counted from epoch 0."""
        epoch = whole_number("epoch", epoch)
        if not 0 <= epoch < self.epochs_started:
            raise ValueError(f"epoch is {epoch}, but this plan has epochs 0 to {self.epochs_started - 1}.")
        end = self.total_iterations
        if self.batches_per_epoch is None:
            return end
        return min(self._iterations_before(epoch + 1), end) - min(self._iterations_before(epoch), end)

    def samples_after(self, iterations: int) -> int:
        """Samples that have reached an update after this many iterations, over all devices."""
        full_epochs, batches = self._place(iterations)
        return full_epochs * self.loader.samples_in(self._kept_batches) + self.loader.samples_in(batches)

    def batches_after(self, iterations: int) -> int:
        """Forward/backward passes that each device has made when it ends this iteration."""
        full_epochs, batches = self._place(iterations)
        return full_epochs * (self.batches_per_epoch or 0) + batches

    def place(self, batches: int) -> tuple[int, int]:
        """The epoch that a device is in after so many batches, and how many of them are of that epoch."""
        return divmod(batches, self.batches_per_epoch)

    def epochs_after(self, iterations: int) -> Fraction:
        """Epochs that have gone by after this many iterations: what a log shows as "epoch 6.8"."""
        if self.batches_per_epoch is None:
            raise ValueError("num_samples is None, so nobody knows what part of an epoch has gone by.")
        return Fraction(self.batches_after(iterations), self.batches_per_epoch)

    def _iterations_before(self, epoch: int) -> int:
        if self.tail == "carry":
            return epoch * self.batches_per_epoch // self.accumulation_steps
        return epoch * self.iterations_per_epoch

    def _place(self, iterations: int) -> tuple[int, int]:
        """(full epochs, batches of the next one) that a device has behind it when it ends this iteration."""
        iterations = whole_number("iterations", iterations)
        if not 0 <= iterations <= self.total_iterations:
            raise ValueError(f"iterations is {iterations}, but this plan has 0 to {self.total_iterations}.")
        if iterations == 0 or self.batches_per_epoch is None:
            return 0, iterations * self.accumulation_steps
        if self.tail == "carry":
            return divmod(iterations * self.accumulation_steps, self.batches_per_epoch)
        full_epochs, before = divmod(iterations - 1, self.iterations_per_epoch)
        return full_epochs, min((before + 1) * self.accumulation_steps, self.batches_per_epoch)

    # for people ----------------------------------------------------------------------------

    def rows(self) -> list[tuple[str, str]]:
        """The plan as (what, number) pairs; numbers that say nothing new are left out."""
        loader, several_devices, accumulates = self.loader, self.loader.world_size > 1, self.accumulation_steps > 1
        rows = [
            ("samples in the training set, N", loader.num_samples),
            ("samples drawn per epoch", getattr(loader, "draws", None)),
            ("batch size, B" + (" (per device)" if several_devices else ""), loader.batch_size),
        ]
        if accumulates:
            rows += [("accumulation steps, A", self.accumulation_steps)]
        if several_devices:
            rows += [("devices, W", loader.world_size), ("samples per device and epoch", self.samples_per_device)]
        if accumulates or several_devices:
            rows += [
                ("global batch size", self.global_batch_size),
                ("batches per epoch" + (" on each device" if several_devices else ""), self.batches_per_epoch),
            ]
        per_epoch = f"{self.iterations_per_epoch:,}" if self.batches_per_epoch else None
        if per_epoch and self.tail == "carry" and self.batches_per_epoch % self.accumulation_steps:
            per_epoch += f" or {self.iterations_per_epoch + 1:,}"
        rows += [
            ("last batch of an epoch", self.last_batch_size),
            ("samples never seen in an epoch", self.samples_dropped_per_epoch or None),
            ("samples seen twice in an epoch", self.samples_repeated_per_epoch or None),
            ("iterations per epoch", per_epoch),
            ("epochs, E", self.epochs if self.batches_per_epoch else None),
            ("iterations in all", self.total_iterations),
            ("samples in all", self.total_samples),
        ]
        return [(what, f"{n:,}" if isinstance(n, int) else str(n)) for what, n in rows if n is not None]

    def __str__(self) -> str:
        rows = self.rows()
        left, right = (max(len(row[i]) for row in rows) for i in (0, 1))
        return "\n".join(f"{what:<{left}}  {number:>{right}}" for what, number in rows)

    def _repr_html_(self) -> str:
        body = "".join(
            f'<tr><th scope="row" style="text-align:left">{what}</th><td style="text-align:right">{number}</td></tr>'
            for what, number in self.rows()
        )
        return f'<table class="plan"><tbody>{body}</tbody></table>'


@dataclass(frozen=True)
class TrainingPlan(Plan):
    """How often a training run will do what.

    Parameters
    ----------
    num_samples : int
        Samples in the training set, N.
    batch_size : int
        Samples of one forward/backward pass on one device, B.
    epochs : int or float
        Passes of the sampler over the training set, E. Of an epoch that is not whole, that
        part of its iterations is done, rounded up. A float means the decimal that it
        prints: 1.1 is eleven tenths.
    drop_last : bool
        Leave out the last batch of an epoch when it is smaller than ``batch_size``
        (what ``torch.utils.data.DataLoader`` calls ``drop_last``).
    accumulation_steps : int
        Micro-batches whose gradients are added up before one iteration, A.
    world_size : int
        Devices that share an epoch, W.
    pad_to_even : bool
        What happens when ``world_size`` does not divide ``num_samples``: repeat a few
        samples until it does (True), or leave a few out (False). These are
        ``drop_last=False`` and ``drop_last=True`` of
        ``torch.utils.data.distributed.DistributedSampler``.
    tail : {"flush", "carry", "merge", "drop"}
        What happens to micro-batches left over at the end of an epoch when
        ``accumulation_steps`` does not divide them: make one smaller iteration of them,
        carry them into the next epoch, where they count towards its first iteration, merge
        them into that iteration beside its own A micro-batches, or drop them.
    max_iterations : int, optional
        Stop after this many iterations, inside an epoch if need be. Usually set
        through :meth:`for_iterations`.
    deal : {"samples", "batches"}
        What the devices are dealt one by one; see ``lib.loading.Loader``.
    limit_batches : int, optional
        End each epoch after so many batches of each device.

    Raises
    ------
    TypeError
        A number is not a whole one (True is not; of epochs, fractions are allowed), or a
        switch is not a bool.
    ValueError
        A number is zero or negative, a tail is unknown, or the plan would never
        update the weights.

    Examples
    --------
    >>> plan = TrainingPlan(num_samples=10_000, batch_size=500, epochs=3)
    >>> plan.iterations_per_epoch, plan.total_iterations
    (20, 60)
    >>> TrainingPlan(num_samples=10_000, batch_size=64).iterations_per_epoch
    157
    >>> TrainingPlan(num_samples=1_000, batch_size=32, epochs=2.5).total_iterations
    80
    """

    num_samples: int
    batch_size: int
    epochs: int | float = 1
    drop_last: bool = False
    accumulation_steps: int = 1
    world_size: int = 1
    pad_to_even: bool = True
    tail: str = "flush"
    max_iterations: int | None = None
    deal: str = "samples"
    limit_batches: int | None = None

    def __post_init__(self):
        for name, value in vars(self.loader).items():
            if name in self.__dataclass_fields__:
                object.__setattr__(self, name, value)  # checked, and plain numbers
        self._check()

    @cached_property
    def loader(self) -> Loader:
        """How an epoch's samples become the batches of each device."""
        return Loader(**{f.name: getattr(self, f.name) for f in fields(Loader) if hasattr(self, f.name)})

    @classmethod
    def for_iterations(cls, iterations: int, **choices) -> "TrainingPlan":
        """The plan of a framework that is given ``max_steps`` instead of epochs.

        ``epochs`` becomes the number of epochs that are started, the last of them
        perhaps not finished.

        Parameters
        ----------
        iterations : int
            Iterations after which training stops.
        **choices
            Every field of the plan but ``epochs`` and ``max_iterations``.

        Examples
        --------
        >>> plan = TrainingPlan.for_iterations(5, num_samples=10, batch_size=3, accumulation_steps=2)
        >>> plan.epochs, plan.total_iterations, plan.iterations_in_epoch(2)
        (3, 5, 1)
        """
        if "epochs" in choices or "max_iterations" in choices:
            raise TypeError("for_iterations works out epochs itself; leave epochs and max_iterations out.")
        tail = choices.get("tail", "flush")
        plan = cls(max_iterations=iterations, **{**choices, "tail": "flush"})  # checks the choices
        return cls(epochs=_epochs_started(plan, tail), max_iterations=plan.max_iterations, **choices)


@dataclass(frozen=True)
class LoaderPlan(Plan):
    """A plan for a loader that has more choices than ``TrainingPlan`` gives: a stream, or a sampler of its own.

    Parameters
    ----------
    loader : lib.loading.Loader or lib.loading.Stream
    epochs, accumulation_steps, tail, max_iterations
        As in ``TrainingPlan``. A stream of unknown length needs ``max_iterations``.

    Examples
    --------
    >>> from lib.loading import Loader, Stream
    >>> LoaderPlan(Loader(1_000, 32, draws=500, replacement=True), epochs=2).total_iterations
    32
    >>> LoaderPlan(Stream(13, 1), epochs=3, accumulation_steps=4, tail="merge").total_iterations
    9
    """

    loader: Loader | Stream
    epochs: int | float = 1
    accumulation_steps: int = 1
    tail: str = "flush"
    max_iterations: int | None = None

    def __post_init__(self):
        if not isinstance(self.loader, Loader | Stream):
            raise TypeError(f"loader is {self.loader!r}, but it must be a lib.loading.Loader or Stream.")
        self._check()

    @classmethod
    def for_iterations(cls, iterations: int, loader: Loader | Stream, **choices) -> "LoaderPlan":
        """The plan that stops after this many iterations, whatever epochs that takes."""
        plan = cls(loader, max_iterations=iterations, **{**choices, "tail": "flush"})
        epochs = _epochs_started(plan, choices.get("tail", "flush")) if plan.batches_per_epoch else 1
        return cls(loader, epochs=epochs, max_iterations=plan.max_iterations, **choices)


def _epochs_started(plan: Plan, tail: str) -> int:
    """Epochs that ``plan.max_iterations`` iterations begin, if left-over micro-batches are treated as ``tail`` says."""
    iterations, batches, accumulation_steps = plan.max_iterations, plan.batches_per_epoch, plan.accumulation_steps
    if tail == "carry":
        return ceil_div(iterations * accumulation_steps, batches)
    if tail == "flush" or batches < accumulation_steps:  # the latter is refused when the plan is made
        return ceil_div(iterations, ceil_div(batches, accumulation_steps))
    return ceil_div(iterations, batches // accumulation_steps)


def _number_of_epochs(epochs) -> int | float | Fraction:
    """``epochs``, checked; a plain int if it is whole."""
    may_have_a_part = isinstance(epochs, Real) and not isinstance(epochs, Integral)
    if may_have_a_part:
        if not 0 < epochs < math.inf:
            raise ValueError(f"epochs is {epochs}, but it must be a number above 0, such as 3 or 2.5.")
        if epochs % 1:
            return epochs if isinstance(epochs, Fraction) else float(epochs)
        epochs = int(epochs)
    return whole_number("epochs", epochs, at_least=1)


def _exact(epochs: int | float | Fraction) -> Fraction:
    return Fraction(str(epochs))
