"""What the course knows of a framework: its words and habits as data, and its counting rule as a function."""

import difflib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lib.checks import whole_number
from lib.loading import Stream
from lib.plan import Plan
from lib.ramps import AccumulationRamp, BatchRamp

FRAMEWORKS: dict[str, "Framework"] = {}


@dataclass(frozen=True)
class Answer:
    """What a run with these arguments counts.

    ``plan`` counts in the course's words. ``shows`` holds what the framework itself shows
    at the end of the run, under its own names. ``notes`` are sentences about what may
    surprise in this run.
    """

    plan: Plan | BatchRamp
    shows: dict[str, int | float | str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Framework:
    """A framework's own names, defaults and habits, and the plan that its arguments make.

    Attributes
    ----------
    key, name, package, version : str
        ``FRAMEWORKS[key]``; what people call it; the package on PyPI; the version that
        everything here was seen in.
    executed : bool
        The rule was compared with the running framework (``tests/frameworks``). False: it
        was read in the source of that version and is tested as a formula only.
    words : dict
        The course's word → the framework's: "iteration", "epoch", "batch", "batch size",
        "accumulation", "global batch size", "budget". A word that it lacks is left out.
    tail, last_batch, padding, shuffling, averaging, scheduler : str
        What becomes of left-over micro-batches; of a smaller last batch; of samples that
        devices cannot share evenly; who shuffles by default; what a shown loss is the mean
        of; in which unit a learning-rate scheduler steps. "–": it does not have that.
    traps, sources : tuple of str
        What misleads people; where it was seen: files of the package, public threads.
    least : dict
        Argument → the least that the framework takes, where that is not what ``_least``
        thinks; None if it is no count.
    own : dict
        A plan's word → the argument that says the same, where the names differ.
    """

    key: str
    name: str
    package: str
    version: str
    executed: bool
    words: dict[str, str]
    count: Callable[..., Answer]
    tail: str = "–"
    last_batch: str = "–"
    padding: str = "–"
    shuffling: str = "–"
    averaging: str = "–"
    scheduler: str = "–"
    traps: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    least: dict[str, int | None] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """How the rule is known."""
        how = "run and counted with" if self.executed else "read in the source of"
        return f"{how} version {self.version}"

    @property
    def arguments(self) -> list[str]:
        """What ``plan`` takes: the framework's own arguments, and the size of the data."""
        return list(inspect.signature(self.count).parameters)

    @property
    def defaults(self) -> dict:
        """The framework's own defaults of these arguments."""
        parameters = inspect.signature(self.count).parameters.values()
        return {p.name: p.default for p in parameters if p.default is not p.empty}

    def answer(self, **arguments) -> Answer:
        """The plan, what the framework will show, and notes.

        Parameters
        ----------
        **arguments
            By the framework's own names; see ``arguments``. What is left out has the
            framework's default.

        Raises
        ------
        TypeError
            An argument is not known, or one that has no default is missing.
        ValueError
            The framework would refuse the arguments, or never update the weights.
        """
        self._check(arguments)
        try:
            return self.count(**arguments)
        except ValueError as error:
            raise type(error)(self._in_own_words(str(error))) from error

    def plan(self, **arguments) -> Any:
        """The plan of a run with these arguments; see ``answer``."""
        return self.answer(**arguments).plan

    def shows(self, **arguments) -> dict:
        """What the framework shows at the end of such a run, under its own names."""
        return self.answer(**arguments).shows

    def explain(self, **arguments) -> str:
        """Why it counts what it counts, in a few sentences."""
        answer = self.answer(**arguments)
        shown = ", ".join(
            f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}" for name, value in answer.shows.items()
        )
        return " ".join([reason(answer.plan), *([f"{self.name} shows: {shown}."] if shown else []), *answer.notes])

    def _check(self, arguments: dict) -> None:
        known = self.arguments
        for name in arguments:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                meant = f"Did you mean {close[0]}? " if close else ""
                raise TypeError(f"{self.name} has no argument {name!r} here. {meant}It takes {', '.join(known)}.")
        missing = [name for name in known if name not in arguments and name not in self.defaults]
        if missing:
            raise TypeError(f"{self.name} needs {' and '.join(missing)} to count.")
        for name, value in arguments.items():
            least = self._least(name)
            if least is not None and value is not None:
                whole_number(name, value, at_least=least)

    def _least(self, name: str) -> int | None:
        """The least that a count may be: 1, or its default where that is less; None of what is no count."""
        default = self.defaults.get(name)
        if name in self.least or not (default is None or type(default) is int):
            return self.least.get(name)
        return 1 if default is None else min(1, default)

    def _in_own_words(self, sentence: str) -> str:
        """A plan's sentence for who wrote the framework's arguments; choices that it does not give are left out."""
        for word, argument in self.own.items():
            sentence = re.sub(rf"\b{word}\b", argument, sentence)
        choice = r",? (?:and|or) (\w+)(?: is |=)(?:True|False|'\w+')"
        return re.sub(choice, lambda found: found[0] if found[1] in self.arguments else "", sentence)


def framework(key: str, **facts):
    """Make a counting rule a ``Framework``, under ``FRAMEWORKS[key]``."""

    def register(count: Callable[..., Answer]) -> Framework:
        FRAMEWORKS[key] = Framework(key=key, count=count, **facts)
        return FRAMEWORKS[key]

    return register


def reason(plan: Plan | BatchRamp) -> str:
    """Where a plan's number of iterations comes from, in a sentence such as "294 = 3 × 98: …"."""
    total = plan.total_iterations
    if isinstance(plan, BatchRamp):
        sizes = f"{plan.ramp.at(0):,} to {plan.ramp.last:,}"
        return f"{total:,} iterations of {sizes} samples read {plan.total_samples:,} samples."
    loader, accumulation = plan.loader, plan.accumulation_steps
    if plan.batches_per_epoch is None:
        return f"{total:,} iterations, as asked for: the data have no end that could be counted."
    if isinstance(loader, Stream):
        readers = f", read by {loader.workers} workers" if loader.workers else ""
        data = f"a stream of {loader.num_samples:,} samples in batches of {loader.batch_size:,}{readers}"
    else:
        drawn = f" drawn from {loader.num_samples:,}" if loader.draws or loader.replacement else ""
        data = f"{_number(loader.samples_per_epoch, 'sample')}{drawn} in batches of {loader.batch_size:,}"
    if loader.world_size > 1:
        data += f" on {loader.world_size} devices"
    batches = _number(plan.batches_per_epoch, "batch", "batches") + (" on each" if loader.world_size > 1 else "")
    text = f"{data} make {batches}"
    if loader.limit_batches == plan.batches_per_epoch:
        text += f" at the limit of {loader.limit_batches}"
    per_epoch = f"{plan.iterations_per_epoch:,}"
    if accumulation > 1:
        rest = plan.batches_per_epoch % accumulation
        left = {
            "flush": f", the last {rest} of an epoch a smaller one",
            "carry": ", what is left over goes on in the next epoch",
            "merge": f", the {rest} left over join the next epoch's first",
            "drop": f", the {rest} left over are dropped",
        }
        text += f"; {accumulation} make an iteration" + (left[plan.tail] if rest else "")
    if plan.max_iterations is not None:
        epochs = f"{float(plan.epochs_after(total)):.4g}"
        return f"{total:,} iterations, as asked for or because they come first, are {epochs} epochs: {text}."
    if plan.tail == "carry" and accumulation > 1:
        every = plan.epochs * plan.batches_per_epoch
        if isinstance(plan, AccumulationRamp):
            values = [value for _, value in plan.ramp.stages]
            changing = " to ".join(str(value) for value in dict.fromkeys((values[0], values[-1])))
            return f"{total:,} iterations in {every:,} batches, {changing} of them in each: {text}."
        return f"{total:,} = {every:,} batches / {accumulation}, rounded down: {text}."
    rounded = "" if plan.epochs * plan.iterations_per_epoch == total else ", rounded up"
    return f"{total:,} = {plan.epochs:,} × {per_epoch}{rounded}: {text}."


def _number(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
