"""The seconds that advice may take, cut into slices: every measurement asks whether there is time for one more."""

import time
from collections.abc import Callable

from lib.progress import bar


class Stopwatch:
    """A budget of seconds, and what has gone by of it.

    Parameters
    ----------
    seconds : float
        For everything together.
    now : callable
        The clock, in seconds; tests give their own.
    """

    def __init__(self, seconds: float, now: Callable[[], float] = time.perf_counter):
        self.seconds, self.now = seconds, now
        self.started = now()
        self.progress = bar(total=seconds, bar_format="{desc}: {bar}| {n:.0f} of {total:.0f} s")

    def spent(self) -> float:
        """Seconds so far."""
        return self.now() - self.started

    def left(self) -> float:
        """Seconds that remain; never below 0."""
        return max(0.0, self.seconds - self.spent())

    def slice(self, what: str, until: float) -> "Slice":
        """The time from now until a share of the whole budget is spent, for one kind of measurement."""
        self.progress.set_description(what)
        return Slice(self, until * self.seconds)


class Slice:
    """Time for one kind of measurement."""

    def __init__(self, stopwatch: Stopwatch, end: float):
        self.stopwatch, self.end = stopwatch, end
        self.seconds = max(0.0, end - stopwatch.spent())

    def left(self) -> float:
        """Seconds of this slice that remain."""
        spent = self.stopwatch.spent()
        progress = self.stopwatch.progress
        progress.update(max(0.0, min(spent, progress.total or spent) - progress.n))
        return max(0.0, self.end - spent)

    def has(self, seconds: float = 0.0) -> bool:
        """Whether something that takes so many seconds still fits."""
        return self.left() > seconds

    def part(self, share: float) -> "Slice":
        """The first part of what remains."""
        return Slice(self.stopwatch, self.stopwatch.spent() + share * self.left())
