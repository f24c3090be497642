"""What a framework's number stands for: its ways of counting as data, so that a number can be traced back.

A rule in ``FRAMEWORKS`` goes from arguments to numbers. To go back, ``lib.explain`` tries
arguments, many thousands of them, in Python and in the browser. So what a number stands
for is said here once more as data, and ``tests/test_explain.py`` compares it with the rules.

A run is written with letters: N samples, B batch size of one device, A accumulation
steps, W devices, E epochs.
"""

import math
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from typing import NamedTuple

from lib.frameworks.base import FRAMEWORKS, Framework
from lib.loading import Loader, Stream, ceil_div

USES = {  # a reading, and the letters that it depends on besides N
    "iterations": "BAWE",
    "iterations of an epoch": "BAW",
    "iterations for N": "BAW",
    "batches": "BWE",
    "batches of an epoch": "BW",
    "visits": "E",
    "epochs": "E",
    "timesteps": "W",
    "rollouts": "W",
    "passes over rollouts": "WE",
    "updates from memory": "W",
}
OF_A_LOADER = {"iterations", "iterations of an epoch", "batches", "batches of an epoch"}


class Shown(NamedTuple):
    """A number that a framework shows: a reading, times what ``times`` (letters, or a digit) says, plus a little."""

    reading: str
    times: str = ""
    plus: int = 0

    @property
    def uses(self) -> str:
        """The letters that the number depends on, besides N."""
        return _uses(self.reading, self.times)


@dataclass(frozen=True)
class Way:
    """One way in which a framework counts: with its defaults, or with a switch that changes the count.

    Attributes
    ----------
    framework : str
        The key in ``FRAMEWORKS``.
    arguments : dict
        The framework's argument → the letters whose product it is, such as "BAW".
    shows : dict
        What the framework shows → what that stands for.
    asked : dict
        What it shows → the argument that sets it outright, such as ``max_steps``.
    given : dict
        Arguments that differ from the defaults.
    usual : dict
        Letter → default, where that is not the default of one argument.
    held_out : tuple
        How many samples are left for training: ("floor", share held out), ("ceil", share)
        or ("part", 5) for a fifth; each as the framework rounds.
    version : str
        Other than the version in ``FRAMEWORKS``.
    caution : str
        A sentence on what may count otherwise, for whoever names the framework.
    """

    framework: str
    arguments: dict[str, str]
    shows: dict[str, Shown]
    asked: dict[str, str] = field(default_factory=dict)
    given: dict = field(default_factory=dict)
    usual: dict[str, int] = field(default_factory=dict)
    held_out: tuple[str, float] | None = None
    version: str = ""
    caution: str = ""

    @property
    def about(self) -> Framework:
        """The framework's entry."""
        return FRAMEWORKS[self.framework]

    @cached_property
    def name(self) -> str:
        """The framework's name, with the version where that is another one."""
        return f"{self.about.name} {self.version}".strip()

    @cached_property
    def letters(self) -> str:
        """The letters that can be set."""
        return "".join(letter for letter in "BAWE" if any(letter in product for product in self.arguments.values()))

    @cached_property
    def defaults(self) -> dict[str, int | float]:
        """Letter → what it is when nobody sets it, if that is known."""
        found: dict[str, int | float] = {"A": 1, "W": 1}
        for argument, product in self.arguments.items():
            value = self.about.defaults.get(argument)
            if len(product) == 1 and isinstance(value, int | float):
                found[product] = int(value) if value == int(value) else value
        return {**found, **self.usual}

    @cached_property
    def constants(self) -> dict:
        """All arguments of the framework that no letter stands for."""
        return {**self.about.defaults, **self.given}

    def call(self, run: dict) -> dict:
        """The framework's own arguments of a run, which has a value for every letter."""
        written = {name: math.prod(run[letter] for letter in product) for name, product in self.arguments.items()}
        if "lengths" in written:
            written["lengths"] = [1] * run["N"]  # texts; each is a row unless they are packed
        return {**written, **self.given}

    @cached_property
    def habits(self) -> dict:
        """How an epoch is cut and shared, and what becomes of its tail: read off a plan that the framework makes."""
        if self.version:
            return {"tail": "floor", "drop_last": False, "deal": "batches", "pad_to_even": True}
        if not any(shown.reading in OF_A_LOADER for shown in self.shows.values()):
            return {}  # no loader
        plan = self.about.plan(**self.call({"N": 64, "B": 2, "A": 2, "W": 2, "E": 2}))
        loader = plan.loader
        if isinstance(loader, Stream):
            kind = {"workers": loader.workers, "split": loader.split}
        else:
            kind = {
                "deal": loader.deal,
                "pad_to_even": loader.pad_to_even,
                "drawn": loader.replacement and plan.max_iterations is not None,
            }
        return {"tail": plan.tail, "drop_last": loader.drop_last, **kind}

    def samples(self, num_samples: int) -> int:
        """Samples that are trained on."""
        if self.held_out is None:
            return num_samples
        how, share = self.held_out
        if how == "floor":
            return math.floor(num_samples * (1 - share))
        return num_samples - (ceil_div(num_samples, int(share)) if how == "part" else math.ceil(share * num_samples))

    def pace(self, shown: Shown, N: int, B: int, A: int, W: int) -> tuple[int, int]:
        """(a, b): the reading is ``a * E / b``, rounded down if b is not 1 and else up; without E it is a."""
        reading, habits = shown.reading, self.habits
        if reading == "epochs":
            return 1, 1
        if reading == "iterations for N":
            return N // (B * A * W), 1
        if reading == "updates from memory":
            return _updates_from_memory(self.constants, N, W), 1
        if reading in ("timesteps", "rollouts", "passes over rollouts"):
            size = self.constants["n_steps"] * W
            return ceil_div(N, size) * (size if reading == "timesteps" else 1), 1
        samples = self.samples(N)
        if samples < 1:
            return 0, 1
        if reading == "visits":
            return samples, 1
        if habits.get("drawn"):
            return samples, min(B, samples)
        batches = self.batches(samples, B, W)
        if reading.startswith("batches") or not batches:
            return batches, 1
        if habits["tail"] == "carry" and reading == "iterations":
            return batches, A
        if habits["tail"] == "flush":
            return ceil_div(batches, A), 1
        return max(batches // A, 1 if habits["tail"] == "floor" else 0), 1

    def batches(self, samples: int, B: int, W: int) -> int:
        """Batches of one device in an epoch; 0 if the framework would refuse."""
        habits = self.habits
        if "workers" in habits:
            return _streamed(samples, B, habits["drop_last"], habits["workers"], habits["split"])
        return _dealt(samples, B, habits["drop_last"], W, habits["pad_to_even"], habits["deal"])

    def count(self, shown: Shown, run: dict) -> int:
        """The number that is shown for a run; ``run`` has a value for every letter that it depends on; 0: refused."""
        letters = {letter: run.get(letter, 1) for letter in "NBAW"}
        a, b = self.pace(shown, **letters)
        if "E" in shown.uses:
            a = run["E"] * a // b if b != 1 else math.ceil(run["E"] * a)
        return self.scaled(shown, a, letters) if a else 0

    @staticmethod
    def scaled(shown: Shown, value: int, run: dict) -> int:
        """A reading's value as it is shown."""
        return value * factor(shown, run) + shown.plus


def factor(shown: Shown, run: dict) -> int:
    """What a reading is multiplied with before it is shown."""
    return math.prod(int(sign) if sign.isdigit() else run.get(sign, 1) for sign in shown.times)


@cache
def _uses(reading: str, times: str) -> str:
    return "".join(letter for letter in "BAWE" if letter in USES[reading] + times)


@lru_cache(maxsize=1 << 16)
def _dealt(samples: int, B: int, drop_last: bool, W: int, pad_to_even: bool, deal: str) -> int:
    return Loader(samples, B, drop_last=drop_last, world_size=W, pad_to_even=pad_to_even, deal=deal).batches_per_epoch


@lru_cache(maxsize=1 << 16)
def _streamed(samples: int, B: int, drop_last: bool, workers: int, split: bool) -> int:
    """``Stream.batches_per_epoch`` without going through the stream."""
    cut = int.__floordiv__ if drop_last else ceil_div
    readers = max(1, workers)
    return sum(cut(ceil_div(samples - w, readers) if split else samples, B) for w in range(readers))


def _updates_from_memory(constants: dict, timesteps: int, envs: int) -> int:
    at_once = constants["train_freq"] * envs
    trainings = ceil_div(timesteps, at_once) - constants["learning_starts"] // at_once
    return max(0, trainings) * (at_once if constants["gradient_steps"] == -1 else constants["gradient_steps"])
