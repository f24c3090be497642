"""The procedure: time, test the learning rate, measure the noise, and put it together, within a budget of seconds."""

import math
from collections.abc import Callable
from typing import Any

import torch

from lib.advise import calibration, combine, rates, speed
from lib.advise.noise import noise_along
from lib.advise.report import Advice, facts
from lib.advise.stopwatch import Slice, Stopwatch
from lib.advise.subject import Subject, check_batch_size, is_out_of_memory, random_state_kept
from lib.recipe import Budget, Recipe, number

USUAL = 64  # batch size of the short runs where none is given
SHARES = {
    "fetch": 0.08,
    "speed": 0.3,
    "rates": 0.75,
    "noise": 0.95,
}  # of the budget, spent at the latest when a part ends


def advise(
    model: Any,
    data: Any = None,
    loss: Callable | None = None,
    *,
    optimizer: Any = "sgd",
    batch_size: int | None = None,
    seconds: float = 120.0,
    budget: Budget | None = None,
    price: float | None = None,
    device: str | None = None,
    seed: int = 0,
) -> Advice:
    """Measure a model on its data for a while, and say which batch sizes and learning rates suit it.

    Your model, optimizer, data and all random states stay as they are: everything is done with copies.

    Parameters
    ----------
    model : torch.nn.Module or lib.workload.Workload
        At the weights that the advice is about. A Hugging Face model, whose output has a loss, is one too.
    data : torch Dataset, DataLoader, (inputs, targets), or datasets.Dataset
        The training set. A sample is ``(input, target)``, or a mapping whose names the model takes.
    loss : callable, optional
        ``loss(outputs, targets)``, a mean over samples. By default the loss in the model's output, or that of
        ``lib.workload.workload``.
    optimizer : str, torch.optim.Optimizer, or function
        A name of ``lib.recipe.Recipe``, yours, or ``optimizer(parameters)`` that makes one.
    batch_size : int, optional
        The present one; by default the DataLoader's, or 64. Rates are tested at it.
    seconds : float
        For everything, two minutes by default.
    budget : lib.recipe.Budget, optional
        Of the training run that is planned: epochs (10 by default), iterations, samples or seconds; perhaps a target.
    price : float, optional
        Of an hour of the machine.
    device : str, optional
        By default where the model is.
    seed : int
        Of the samples that are drawn, and of what the model draws itself.

    Returns
    -------
    Advice
        What was found. A part that could not be measured is a sentence in ``problems``; the others are there.

    Raises
    ------
    TypeError, ValueError
        Nothing can be measured: the model returns no loss, or the data do not fit it. One sentence says which.
    MemoryError
        A single sample is too much.
    """
    how: dict[str, Any] = {"optimizer": optimizer, "batch_size": batch_size, "device": device}
    return concluded(*seen(model, data, loss, **how, seconds=seconds, budget=budget, price=price, seed=seed))


def seen(
    model: Any,
    data: Any = None,
    loss: Callable | None = None,
    *,
    optimizer: Any = "sgd",
    batch_size: int | None = None,
    seconds: float = 120.0,
    budget: Budget | None = None,
    price: float | None = None,
    device: str | None = None,
    seed: int = 0,
) -> tuple[Advice, Subject]:
    """What :func:`advise` measures, with the same parameters and errors, before anything is concluded from it."""
    torch.optim.SGD([torch.zeros(1)], 0.1)  # the first optimizer of a process loads a lot of PyTorch, for seconds
    stopwatch = Stopwatch(number("seconds", seconds, above=0))
    budget = budget or Budget(epochs=10)
    if not isinstance(budget, Budget):
        raise TypeError(f"budget is {budget!r:.60}, but it must be a lib.recipe.Budget such as Budget(epochs=10).")
    if price is not None:
        number("price", price, least=0)
    try:
        with random_state_kept(), torch.enable_grad():
            torch.manual_seed(seed)
            subject = Subject(model, data, loss, optimizer, device)
            present = check_batch_size(subject.batch_size if batch_size is None else batch_size, subject.num_samples)
            if budget.seconds is None:
                budget.plan(Recipe(present or 1), subject.num_samples)  # a budget that no run can have is said at once
            subject.fetch(stopwatch.slice("Fetching samples", SHARES["fetch"]).has, seed)
            return _measured(subject, stopwatch, present, budget, price, seed), subject
    finally:
        stopwatch.progress.close()


def _measured(
    subject: Subject, stopwatch: Stopwatch, present: int | None, budget: Budget, price: float | None, seed: int
) -> Advice:
    """All parts, each of which may fail without harm to the others."""
    advice = Advice(facts(subject), present, budget, price)
    reference = present or min(USUAL, subject.num_samples)
    try:
        problem = subject.check()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        problem = None  # a batch of a few samples is too much already; the next part says from where on
    if problem:
        advice.problems.append(problem)
    if subject.pool_size < subject.num_samples:
        advice.notes.append(
            f"{subject.pool_size:,} of the {subject.num_samples:,} samples were fetched in the time and memory there "
            f"was; noise and rates are measured on these."
        )

    def part(what: str, name: str, measure: Callable[[Slice], Any]) -> Any:
        time = stopwatch.slice(what, SHARES[name])
        try:
            return measure(time)
        except (Exception, KeyboardInterrupt) as error:
            if isinstance(error, MemoryError) and name == "speed":
                raise  # nothing fits
            if isinstance(error, KeyboardInterrupt):
                stopwatch.seconds = 0.0  # nothing else is begun
                advice.problems.append(
                    f"You stopped it while {what[0].lower()}{what[1:]}; what is missing was not done."
                )
            else:
                advice.problems.append((str(error).splitlines() or [type(error).__name__])[0])
            return None

    advice.speed = part("Timing iterations", "speed", lambda time: speed.measured(subject, time, subject.num_samples))
    if advice.speed is None or problem:
        return advice
    advice.problems += advice.speed.problems
    if reference > advice.speed.most and advice.speed.failed_at:
        reference = max(subject.smallest, advice.speed.most // 2)
        advice.notes.append(f"Noise and rates are measured with batches of {reference}, since more did not fit.")
    iteration = advice.speed.about(reference)
    advice.rates = part(
        "Testing learning rates", "rates", lambda time: rates.range_test(subject, time, reference, iteration, seed)
    )
    if advice.rates is not None:
        found = advice.rates
        advice.noise = part(
            "Measuring the gradient noise",
            "noise",
            lambda time: noise_along(subject, time, found, iteration, budget.target, seed),
        )
    if advice.noise is not None:
        advice.notes += advice.noise.notes
    return advice


def concluded(advice: Advice, subject: Subject) -> Advice:
    """The advice with what follows from its measurements: rates, the critical batch size, and batch sizes."""
    if advice.tried is not None:
        failed_at = advice.noise.failed_at if advice.noise else math.inf
        advice.rate = calibration.rate(advice.tried, subject.optimizer.family, failed_at=failed_at)
    if advice.noise is not None and advice.speed is not None:
        advice.b_crit = calibration.critical(advice.noise.along, subject.optimizer.family)
        advice.sizes = combine.Sizes.of(advice.b_crit, advice.speed.ratio)
        advice.choice = combine.choice(advice.sizes, subject.num_samples)
    return advice.finished(subject)
