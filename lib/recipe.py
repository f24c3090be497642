"""Recipes and budgets: how a workload is trained, and how long. Each is checked once, when it is made."""

import math
from bisect import bisect_left
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import torch

from lib.accumulation import check_tail
from lib.checks import whole_number
from lib.plan import TrainingPlan
from lib.ramps import Ramp, RampedPlan

OPTIMIZERS = ("sgd", "momentum", "nesterov", "adam", "adamw")
SCHEDULES = ("constant", "cosine", "linear", "one-cycle")
ENDLESS = 10**12  # epochs of a run that a clock ends


@dataclass(frozen=True)
class Recipe:
    """How a workload is trained.

    Attributes
    ----------
    batch_size : int or lib.ramps.Ramp
        Samples of one batch on one device, B; or how it changes during the run.
    learning_rate : float
        The highest learning rate of the run.
    optimizer : {"sgd", "momentum", "nesterov", "adam", "adamw"}
        Those of ``torch.optim``; momentum is SGD with ``momentum``, nesterov the same looking ahead.
    momentum : float
        Of "momentum" and "nesterov".
    betas : pair of floats
        Of "adam" and "adamw": how much of the mean gradient, and of its mean square, an iteration keeps.
    weight_decay : float
        As ``torch.optim`` has it: added to the gradient, but taken off the weights by "adamw".
    schedule : {"constant", "cosine", "linear", "one-cycle"}
        The learning rate after the warm-up: constant, or down to zero along half a cosine or
        a straight line. "one-cycle" is ``torch.optim.lr_scheduler.OneCycleLR``, whose rise
        takes the warm-up, or 30 % of the run.
    warmup : int
        Iterations in which the learning rate climbs linearly to ``learning_rate``.
    accumulation_steps : int
        Micro-batches of ``batch_size`` samples that make one iteration, A.
    tail : str
        What becomes of micro-batches left over at the end of an epoch; see ``lib.accumulation.schedule``.
    shuffle, replacement, drop_last : bool
        See ``lib.sampling``.

    Raises
    ------
    TypeError, ValueError
        A value is unusable; the message names it and the remedy.
    """

    batch_size: int | Ramp
    learning_rate: float = 0.1
    optimizer: str = "sgd"
    momentum: float = 0.9
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    schedule: str = "constant"
    warmup: int = 0
    accumulation_steps: int = 1
    tail: str = "flush"
    shuffle: bool = True
    replacement: bool = False
    drop_last: bool = False

    def __post_init__(self):
        def keep(name, value):  # plain numbers: a NumPy one could not be read back from a checkpoint
            object.__setattr__(self, name, value)

        if not isinstance(self.batch_size, Ramp):
            keep("batch_size", whole_number("batch_size", self.batch_size, at_least=1))
        keep("accumulation_steps", whole_number("accumulation_steps", self.accumulation_steps, at_least=1))
        keep("learning_rate", number("learning_rate", self.learning_rate, above=0))
        keep("weight_decay", number("weight_decay", self.weight_decay, least=0))
        keep("momentum", number("momentum", self.momentum, least=0, below=1))
        if not isinstance(self.betas, (tuple, list)) or len(self.betas) != 2:
            raise ValueError(f"betas is {self.betas!r}, but it must be two numbers such as (0.9, 0.999).")
        keep("betas", tuple(number("betas", beta, least=0, below=1) for beta in self.betas))
        for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, but it must be one of {', '.join(map(repr, known))}."
                )
        try:
            keep("warmup", whole_number("warmup", self.warmup, at_least=0))
        except ValueError:
            raise ValueError(
                f"warmup is {self.warmup!r}, but it must be a whole number of iterations, 0 for none."
            ) from None
        check_tail(self.tail)
        if self.is_ramped and self.accumulation_steps > 1:
            raise ValueError(
                f"batch_size changes and accumulation_steps is {self.accumulation_steps}, but a ramp is counted "
                f"without accumulation; leave one of them out."
            )

    @property
    def is_ramped(self) -> bool:
        """Whether the batch size changes during the run."""
        return isinstance(self.batch_size, Ramp)

    def make_optimizer(self, parameters) -> torch.optim.Optimizer:
        """The optimizer of ``torch.optim`` for these parameters."""
        parameters, rate = list(parameters), self.learning_rate
        if self.optimizer in ("adam", "adamw"):
            kind = torch.optim.Adam if self.optimizer == "adam" else torch.optim.AdamW
            return kind(parameters, rate, betas=self.betas, weight_decay=self.weight_decay)
        momentum = 0.0 if self.optimizer == "sgd" else self.momentum
        nesterov = self.optimizer == "nesterov" and momentum > 0
        return torch.optim.SGD(parameters, rate, momentum, weight_decay=self.weight_decay, nesterov=nesterov)

    def factor(self, iteration: int, planned: int) -> float:
        """What ``learning_rate`` is multiplied with in an iteration, counted from 0, of ``planned`` ones."""
        if self.schedule == "one-cycle":
            return _one_cycle(iteration, planned, self.warmup)
        if iteration < self.warmup:
            return (iteration + 1) / self.warmup
        if self.schedule == "constant":
            return 1.0
        share = (iteration - self.warmup) / (planned - self.warmup)
        return (1 + math.cos(math.pi * share)) / 2 if self.schedule == "cosine" else 1 - share

    def plan(self, num_samples: int, **more) -> TrainingPlan:
        """How ``num_samples`` samples become batches and iterations; ``more`` are further fields of the plan."""
        fields: dict[str, Any] = {"batch_size": self.batch_size, "accumulation_steps": self.accumulation_steps}
        return TrainingPlan(num_samples, **fields, drop_last=self.drop_last, tail=check_tail(self.tail), **more)


def _one_cycle(iteration: int, planned: int, warmup: int) -> float:
    """The factor of ``OneCycleLR`` with its defaults: from 1/25 up to 1, then down to 1/250,000, along cosines."""
    top = (warmup or 0.3 * planned) - 1
    start, end = 1 / 25, 1 / 250_000
    if iteration <= top:
        low, share = start, 1 - iteration / top if top else 0.0
    else:
        low, share = end, (iteration - top) / (planned - 1 - top)
    return low + (1 - low) * (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class Budget:
    """How long a run is: exactly one of the first five, and perhaps a target that ends it earlier.

    Attributes
    ----------
    epochs, iterations : int
    samples, tokens : int
        The run ends after the first iteration that reaches so many.
    seconds : float
        Likewise; evaluation costs nothing of it.
    target : float, optional
        The run ends at the first evaluation at which its loss is this low.
    target_loss : {"train_loss", "validation_loss", "test_loss"}
        The loss that ``target`` is about.

    Raises
    ------
    TypeError, ValueError
        None or several are given, or one is unusable.
    """

    epochs: int | None = None
    iterations: int | None = None
    samples: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    target: float | None = None
    target_loss: str = "train_loss"

    def __post_init__(self):
        units = ("epochs", "iterations", "samples", "tokens", "seconds")
        given = {name: getattr(self, name) for name in units if getattr(self, name) is not None}
        if len(given) != 1:
            raise ValueError(f"The budget is {given or 'missing'}; give exactly one of {', '.join(units)}.")
        ((name, value),) = given.items()
        if name == "seconds":
            number("seconds", value, above=0)
        elif name != "epochs":  # the plan knows which epochs it can count
            object.__setattr__(self, name, whole_number(name, value, at_least=1))
        losses = ("train_loss", "validation_loss", "test_loss")
        if self.target_loss not in losses:
            raise ValueError(
                f"target_loss is {self.target_loss!r}, but it must be one of {', '.join(map(repr, losses))}."
            )
        if self.target is not None:
            try:
                object.__setattr__(self, "target", number("target", self.target, above=0))
            except (TypeError, ValueError):
                raise ValueError(
                    f"target is {self.target!r}, but it must be a loss above 0, or None to train for the whole budget."
                ) from None

    def plan(
        self, recipe: Recipe, num_samples: int, tokens_per_sample: int | None = None, **devices
    ) -> TrainingPlan | RampedPlan:
        """The plan of a run: all that it will count. With a budget in seconds it has no end.

        Parameters
        ----------
        tokens_per_sample : int, optional
            T; a budget in tokens needs it.
        **devices
            ``world_size`` and ``pad_to_even`` of ``lib.plan.TrainingPlan``.
        """
        if self.seconds is not None and devices.get("world_size", 1) > 1:
            raise ValueError(
                f"seconds is {self.seconds}, but {devices['world_size']} devices have no common clock; give epochs, "
                f"iterations or samples."
            )
        if self.seconds is not None and recipe.schedule != "constant":
            raise ValueError(
                f"schedule is {recipe.schedule!r}, which must know its last iteration, but the budget is in seconds; "
                f"give epochs, iterations or samples."
            )
        if self.tokens is not None and tokens_per_sample is None:
            raise ValueError(f"tokens is {self.tokens}, but these samples are not made of tokens; give samples.")
        if isinstance(recipe.batch_size, Ramp):
            world_size = devices.get("world_size", 1)
            ramped = self._ramped(recipe.batch_size, num_samples, tokens_per_sample, recipe.drop_last, world_size)
            return _with_room_to_warm_up(ramped, recipe)
        one_epoch = recipe.plan(num_samples, epochs=recipe.accumulation_steps, **devices)  # carries nothing beyond it
        if self.seconds is not None:
            return replace(one_epoch, epochs=ENDLESS)
        if self.epochs is not None:
            plan = replace(one_epoch, epochs=self.epochs)
        else:
            plan = _for_iterations(one_epoch, self._num_iterations(one_epoch, tokens_per_sample))
        return _with_room_to_warm_up(plan, recipe)

    def _ramped(
        self, ramp: Ramp, num_samples: int, tokens_per_sample: int | None, drop_last: bool, world_size: int
    ) -> RampedPlan:
        """The plan of a run whose batch size changes."""
        if self.seconds is not None or world_size > 1:
            what = f"world_size is {world_size}" if world_size > 1 else f"the budget is {self.seconds} seconds"
            raise ValueError(f"batch_size changes, but {what}; use one device, and epochs, iterations or samples.")
        samples = self._num_samples(tokens_per_sample)
        return RampedPlan(num_samples, ramp, self.epochs, self.iterations, samples, drop_last)

    def _num_samples(self, tokens_per_sample: int | None) -> int | None:
        """The samples of a budget in samples or tokens."""
        if self.tokens is None or tokens_per_sample is None:
            return self.samples
        return -(-self.tokens // tokens_per_sample)

    def _num_iterations(self, block: TrainingPlan, tokens_per_sample: int | None) -> int:
        """The iterations of a budget in iterations, samples or tokens."""
        if self.iterations is not None:
            return self.iterations
        wanted = self._num_samples(tokens_per_sample)
        assert wanted is not None  # a budget has one of its units, and this one is in no other
        plan = replace(block, epochs=block.epochs * -(-wanted // block.total_samples))
        return bisect_left(range(plan.total_iterations + 1), wanted, key=plan.samples_after)


def _with_room_to_warm_up(plan: TrainingPlan | RampedPlan, recipe: Recipe) -> TrainingPlan | RampedPlan:
    """The plan, unless the warm-up would fill it."""
    if recipe.warmup >= plan.total_iterations:
        raise ValueError(
            f"warmup is {recipe.warmup} iterations, but the whole run has {plan.total_iterations}; "
            f"use a shorter warm-up."
        )
    return plan


def _for_iterations(plan: TrainingPlan, iterations: int) -> TrainingPlan:
    choices = {field.name: getattr(plan, field.name) for field in fields(plan)}
    choices = {name: value for name, value in choices.items() if name not in ("epochs", "max_iterations")}
    return TrainingPlan.for_iterations(iterations, **choices)


def recipe_and_budget(
    choices: dict, recipe: Recipe | None = None, budget: Budget | None = None
) -> tuple[Recipe, Budget]:
    """A recipe and a budget from single choices such as ``batch_size=500, epochs=3``, on top of what is given."""
    known = {kind: {field.name for field in fields(kind)} for kind in (Recipe, Budget)}
    if unknown := choices.keys() - known[Recipe] - known[Budget]:
        names = ", ".join(sorted(known[Recipe] | known[Budget]))
        raise TypeError(f"{sorted(unknown)[0]} is no choice of a run; there are {names}.")
    for given, kind in ((recipe, Recipe), (budget, Budget)):
        if given is not None and not isinstance(given, kind):
            raise TypeError(
                f"{given!r:.60} is no {kind.__name__}; write choices by name, as in batch_size=500, epochs=3."
            )
    made: list[Any] = []
    for kind, given in ((Recipe, recipe), (Budget, budget)):
        mine = {name: value for name, value in choices.items() if name in known[kind]}
        if kind is Recipe and given is None and "batch_size" not in mine:
            raise TypeError("batch_size is missing; say how many samples a batch has, as in batch_size=500.")
        made.append(replace(given, **mine) if given is not None else kind(**mine))
    return made[0], made[1]


def as_choices(recipe: Recipe, budget: Budget) -> dict:
    """Every choice of a recipe and a budget by its name."""
    return asdict(recipe) | asdict(budget)


def number(
    name: str, value: float, least: float = -math.inf, above: float = -math.inf, below: float = math.inf
) -> float:
    """``value`` as a float, if it is a finite number within the limits."""
    wanted = f"more than {above:g}" if above > -math.inf else f"at least {least:g}"
    wanted += " and finite" if below == math.inf else f" and less than {below:g}"
    try:
        fits = not isinstance(value, (bool, str)) and math.isfinite(value) and least <= value < below and value > above
    except TypeError:
        raise TypeError(f"{name} is {value!r}, but it must be a number {wanted}.") from None
    if not fits:
        raise ValueError(f"{name} is {value}, but it must be {wanted}.")
    return float(value)
