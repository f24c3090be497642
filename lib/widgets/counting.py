"""Two views of a training plan: an epoch cut into batches, and its samples shared among devices."""

from dataclasses import asdict

import traitlets

from lib.checks import whole_number
from lib.plan import TAILS, TrainingPlan
from lib.widgets.base import Widget, bundle, style


class PlanWidget(Widget):
    """A widget whose controls are the choices of a ``TrainingPlan``, under the same names.

    The numbers it shows are computed by ``plan.js``, and tested to equal ``TrainingPlan``.
    """

    num_samples = traitlets.Int().tag(sync=True)
    batch_size = traitlets.Int().tag(sync=True)
    epochs = traitlets.Int(1).tag(sync=True)
    drop_last = traitlets.Bool(False).tag(sync=True)
    accumulation_steps = traitlets.Int(1).tag(sync=True)
    world_size = traitlets.Int(1).tag(sync=True)
    pad_to_even = traitlets.Bool(True).tag(sync=True)
    tail = traitlets.Enum(TAILS, "flush").tag(sync=True)

    def __init__(self, **choices):
        plan = TrainingPlan(**choices)  # refuses bad choices with a sentence
        whole_number("epochs", plan.epochs)  # the controls know no parts of an epoch
        super().__init__(**{name: value for name, value in asdict(plan).items() if self.has_trait(name)})

    @property
    def plan(self) -> TrainingPlan:
        """The plan of what the controls show now; a ValueError when they allow no iteration."""
        return TrainingPlan(
            **{name: getattr(self, name) for name in TrainingPlan.__dataclass_fields__ if self.has_trait(name)}
        )

    def details(self) -> str:
        return self.plan._repr_html_()


class BatchSlicer(PlanWidget):
    """An epoch cut into batches, drawn to scale, to be walked through iteration by iteration.

    Parameters
    ----------
    num_samples, batch_size, epochs, drop_last, accumulation_steps
        What the controls show at first; see ``lib.plan.TrainingPlan``.

    Raises
    ------
    TypeError, ValueError
        ``TrainingPlan`` refuses the choices.

    Examples
    --------
    >>> BatchSlicer(10_000, 300, epochs=3)
    Batch slicer: 10,000 samples in batches of 300 make 34 iterations per epoch; the last batch has 100 samples. In 3 epochs: 102 iterations.
    """

    _esm = bundle("batch_slicer")
    _css = style("chart", "batch_slicer")

    def __init__(
        self, num_samples: int, batch_size: int, epochs: int = 1, drop_last: bool = False, accumulation_steps: int = 1
    ):
        super().__init__(
            num_samples=num_samples,
            batch_size=batch_size,
            epochs=epochs,
            drop_last=drop_last,
            accumulation_steps=accumulation_steps,
        )

    def sentence(self) -> str:
        plan = self.plan
        dropped = f" {plan.samples_dropped_per_epoch:,} samples are dropped." if plan.samples_dropped_per_epoch else ""
        return (
            f"Batch slicer: {plan.num_samples:,} samples in batches of {plan.batch_size:,} make "
            f"{plan.iterations_per_epoch:,} iterations per epoch; the last batch has {plan.last_batch_size:,} "
            f"samples.{dropped} In {plan.epochs:,} epochs: {plan.total_iterations:,} iterations."
        )


class Devices(PlanWidget):
    """Which device computes which sample of an epoch, and what is repeated, dropped or left over.

    The samples are in the order of the training set (not shuffled) and shared like
    ``torch.utils.data.distributed.DistributedSampler`` shares them: dealt out one by one.

    Parameters
    ----------
    num_samples, batch_size, accumulation_steps, world_size, drop_last, pad_to_even, tail
        What the controls show at first; see ``lib.plan.TrainingPlan``. At most 60
        samples, because each is drawn.

    Raises
    ------
    TypeError, ValueError
        ``TrainingPlan`` refuses the choices, or there are too many samples to draw.
    """

    _esm = bundle("devices")
    _css = style("devices")

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        accumulation_steps: int = 1,
        world_size: int = 1,
        drop_last: bool = False,
        pad_to_even: bool = True,
        tail: str = "flush",
    ):
        super().__init__(
            num_samples=num_samples,
            batch_size=batch_size,
            accumulation_steps=accumulation_steps,
            world_size=world_size,
            drop_last=drop_last,
            pad_to_even=pad_to_even,
            tail=tail,
        )
        if num_samples > 60:
            raise ValueError(f"num_samples is {num_samples}, but each sample is drawn, so there can be at most 60.")

    def sentence(self) -> str:
        plan = self.plan
        twice = plan.samples_repeated_per_epoch
        return (
            f"Devices and accumulation: {plan.world_size} devices with batches of {plan.batch_size} and "
            f"{plan.accumulation_steps} accumulation steps have a global batch size of {plan.global_batch_size}. "
            f"{plan.num_samples} samples make {plan.iterations_per_epoch} iterations per epoch. Seen twice in an "
            f"epoch: {twice} sample{'' if twice == 1 else 's'}, never seen: {plan.samples_dropped_per_epoch}."
        )
