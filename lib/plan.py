"""The counting contract: from seven choices to every number of a training run.

Pure Python, exact integers. A plan never trains anything; it says what a correct
training loop will count.
"""

from dataclasses import dataclass, fields

TAILS = ("flush", "carry", "drop")


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


@dataclass(frozen=True)
class TrainingPlan:
    """How often a training run will do what.

    Parameters
    ----------
    num_samples : int
        Samples in the training set, N.
    batch_size : int
        Samples of one forward/backward pass on one device, B.
    epochs : int
        Passes of the sampler over the training set, E.
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
    tail : {"flush", "carry", "drop"}
        What happens to micro-batches left over at the end of an epoch when
        ``accumulation_steps`` does not divide them: make one smaller iteration of them,
        carry them into the next epoch, or drop them.
    max_iterations : int, optional
        Stop after this many iterations, inside an epoch if need be. Usually set
        through :meth:`for_iterations`.

    Raises
    ------
    TypeError
        A number is not an integer (True and 3.0 are not), or a switch is not a bool.
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
    """

    num_samples: int
    batch_size: int
    epochs: int = 1
    drop_last: bool = False
    accumulation_steps: int = 1
    world_size: int = 1
    pad_to_even: bool = True
    tail: str = "flush"
    max_iterations: int | None = None

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("drop_last", "pad_to_even"):
                if not isinstance(value, bool):
                    raise TypeError(f"{field.name} is {value!r}, but it must be True or False.")
            elif field.name == "tail":
                if value not in TAILS:
                    raise ValueError(f"tail is {value!r}, but it must be one of {', '.join(map(repr, TAILS))}.")
            elif not (field.name == "max_iterations" and value is None):
                if isinstance(value, bool) or not isinstance(value, int):
                    raise TypeError(
                        f"{field.name} is {value!r}, but it must be a whole number such as 1; "
                        f"convert it with int(...) if that is what you mean."
                    )
                if value < 1:
                    raise ValueError(f"{field.name} is {value}, but it must be at least 1.")
        self._refuse_a_plan_without_iterations()

    def _refuse_a_plan_without_iterations(self):
        if self.samples_per_device == 0:
            raise ValueError(
                f"num_samples is {self.num_samples}, fewer than world_size {self.world_size}, and pad_to_even is "
                f"False, so no device gets a sample; use fewer devices or pad_to_even=True."
            )
        if self.batches_per_epoch == 0:
            raise ValueError(
                f"batch_size is {self.batch_size}, but a device has only {self.samples_per_device} samples and "
                f"drop_last is True, so every batch is dropped; use a smaller batch_size or drop_last=False."
            )
        if self.total_iterations == 0:
            raise ValueError(
                f"accumulation_steps is {self.accumulation_steps}, but an epoch has only {self.batches_per_epoch} "
                f"batches and tail is {self.tail!r}, so the weights are never updated; use fewer "
                f"accumulation_steps or tail='flush'."
            )

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
        if tail == "carry":
            epochs = _ceil_div(iterations * plan.accumulation_steps, plan.batches_per_epoch)
        elif tail == "drop" and plan.batches_per_epoch >= plan.accumulation_steps:
            epochs = _ceil_div(iterations, plan.batches_per_epoch // plan.accumulation_steps)
        else:
            epochs = _ceil_div(iterations, plan.iterations_per_epoch)
        return cls(epochs=epochs, max_iterations=iterations, **choices)

    # one device, one epoch -------------------------------------------------------

    @property
    def samples_per_device(self) -> int:
        """Samples the sampler hands to one device in an epoch, repeats included."""
        if self.pad_to_even:
            return _ceil_div(self.num_samples, self.world_size)
        return self.num_samples // self.world_size

    @property
    def batches_per_epoch(self) -> int:
        """Forward/backward passes of one device in an epoch (``len(loader)``)."""
        if self.drop_last:
            return self.samples_per_device // self.batch_size
        return _ceil_div(self.samples_per_device, self.batch_size)

    @property
    def last_batch_size(self) -> int:
        """Samples in the last batch of an epoch on one device."""
        if self.drop_last:
            return self.batch_size
        return self.samples_per_device - (self.batches_per_epoch - 1) * self.batch_size

    @property
    def iterations_per_epoch(self) -> int:
        """Updates of the weights in one full epoch.

        With ``tail="carry"`` epochs differ by one; this is the first epoch's number,
        the smaller one. :meth:`iterations_in_epoch` gives each epoch's own.
        """
        if self.tail == "flush":
            return _ceil_div(self.batches_per_epoch, self.accumulation_steps)
        return self.batches_per_epoch // self.accumulation_steps

    # all devices, one epoch -------------------------------------------------------

    @property
    def global_batch_size(self) -> int:
        """Samples of one full iteration over all devices, B · A · W."""
        return self.batch_size * self.accumulation_steps * self.world_size

    @property
    def samples_repeated_per_epoch(self) -> int:
        """Samples seen a second time in an epoch, to give every device equally many."""
        return max(0, self.samples_per_device * self.world_size - self.num_samples)

    @property
    def samples_dropped_per_epoch(self) -> int:
        """Samples of an epoch that reach no update of the weights.

        Lost between devices (``pad_to_even=False``), in a dropped last batch
        (``drop_last``) or in dropped micro-batches (``tail="drop"``).
        """
        return self.num_samples + self.samples_repeated_per_epoch - self.world_size * self._kept_per_device

    @property
    def _kept_per_device(self) -> int:
        batches = self.batches_per_epoch
        if self.tail == "drop":
            batches -= batches % self.accumulation_steps
        return min(batches * self.batch_size, self.samples_per_device)

    # the whole run ------------------------------------------------------------------

    @property
    def total_iterations(self) -> int:
        """Updates of the weights in the whole run."""
        planned = self._iterations_before(self.epochs)
        return planned if self.max_iterations is None else min(planned, self.max_iterations)

    @property
    def total_samples(self) -> int:
        """Samples that reach an update in the whole run, over all devices, repeats counted."""
        return self.samples_after(self.total_iterations)

    def iterations_in_epoch(self, epoch: int) -> int:
        """Updates of the weights in one epoch, counted from epoch 0."""
        if isinstance(epoch, bool) or not isinstance(epoch, int):
            raise TypeError(f"epoch is {epoch!r}, but it must be a whole number, counted from 0.")
        if not 0 <= epoch < self.epochs:
            raise ValueError(f"epoch is {epoch}, but this plan has epochs 0 to {self.epochs - 1}.")
        end = self.total_iterations
        return min(self._iterations_before(epoch + 1), end) - min(self._iterations_before(epoch), end)

    def samples_after(self, iterations: int) -> int:
        """Samples that have reached an update after this many iterations, over all devices."""
        if isinstance(iterations, bool) or not isinstance(iterations, int):
            raise TypeError(f"iterations is {iterations!r}, but it must be a whole number.")
        if not 0 <= iterations <= self.total_iterations:
            raise ValueError(f"iterations is {iterations}, but this plan has 0 to {self.total_iterations}.")
        if self.tail == "carry":
            full_epochs, batches = divmod(iterations * self.accumulation_steps, self.batches_per_epoch)
        else:
            full_epochs, batches = divmod(iterations, self.iterations_per_epoch)
            batches *= self.accumulation_steps
        per_device = full_epochs * self._kept_per_device + min(batches * self.batch_size, self._kept_per_device)
        return self.world_size * per_device

    def _iterations_before(self, epoch: int) -> int:
        if self.tail == "carry":
            return epoch * self.batches_per_epoch // self.accumulation_steps
        return epoch * self.iterations_per_epoch

    # for people ----------------------------------------------------------------------

    def rows(self) -> list[tuple[str, str]]:
        """The plan as (what, number) pairs; numbers that say nothing new are left out."""
        several_devices, accumulates = self.world_size > 1, self.accumulation_steps > 1
        rows = [
            ("samples in the training set, N", self.num_samples),
            ("batch size, B" + (" (per device)" if several_devices else ""), self.batch_size),
        ]
        if accumulates:
            rows += [("accumulation steps, A", self.accumulation_steps)]
        if several_devices:
            rows += [("devices, W", self.world_size), ("samples per device and epoch", self.samples_per_device)]
        if accumulates or several_devices:
            rows += [
                ("global batch size", self.global_batch_size),
                ("batches per epoch" + (" on each device" if several_devices else ""), self.batches_per_epoch),
            ]
        rows += [("last batch of an epoch", self.last_batch_size)]
        if self.samples_dropped_per_epoch:
            rows += [("samples dropped per epoch", self.samples_dropped_per_epoch)]
        if self.samples_repeated_per_epoch:
            rows += [("samples repeated per epoch", self.samples_repeated_per_epoch)]
        per_epoch = f"{self.iterations_per_epoch:,}"
        if self.tail == "carry" and self.batches_per_epoch % self.accumulation_steps:
            per_epoch += f" or {self.iterations_per_epoch + 1:,}"
        rows += [
            ("iterations per epoch", per_epoch),
            ("epochs, E", self.epochs),
            ("iterations in all", self.total_iterations),
            ("samples in all", self.total_samples),
        ]
        return [(what, number if isinstance(number, str) else f"{number:,}") for what, number in rows]

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
