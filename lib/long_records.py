"""Evidence that takes too long for a page: made once, kept, and run again in random parts.

A *long record* is a record of many runs. Its experiment is a function of the settings of one
run. ``make records`` runs them all and keeps each as soon as it is finished, so that a stop
costs one run. Pages only read the record. Whoever doubts it runs a random part again:
``LongRecord.run_again`` does, within a minute, and compares within the tolerance that the record states.
"""

import datetime
import inspect
import json
import math
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from lib import records
from lib.checks import whole_number
from lib.fingerprint import LIB, canonical, changed, digest, of_function
from lib.records import Record, load, lock, provenance, save

REMEDY = "make it anew with: make records"
LONGEST_RUN = 60.0  # seconds; a longer one can hardly be run again
Tolerance = float | dict[str, float | None]


class RecordMismatch(AssertionError):
    """A run gives other numbers here than its record says."""


@dataclass(frozen=True)
class Again:
    """What ``run_again`` did: every run in it agreed with the record.

    Attributes
    ----------
    runs : list of int
        Places of the runs in the record.
    num_runs : int
        Runs in the record.
    seconds : float
    """

    runs: list[int]
    num_runs: int
    seconds: float

    def chance_of_catching(self, share: float = 0.0) -> float:
        """The probability with which such a part, drawn at random, meets a wrong run: one, or a share of all."""
        return chance_of_catching(self.num_runs, len(self.runs), max(1, round(share * self.num_runs)))

    def __str__(self) -> str:
        were = "was" if len(self.runs) == 1 else "were"
        return (
            f"{self.num_runs:,} runs, recorded, of which {len(self.runs):,} {were} run again here and agree. "
            f"Had one of all runs been wrong, this would have shown it with probability "
            f"{self.chance_of_catching():.1%}; had every tenth been, with {self.chance_of_catching(0.1):.1%}."
        )


def chance_of_catching(num_runs: int, num_again: int, num_wrong: int = 1) -> float:
    """The probability that ``num_again`` of ``num_runs``, drawn at random, hold one of ``num_wrong`` wrong runs.

    A run is wrong when a number in it is off by more than the tolerance. What is off by less is never caught.
    """
    num_runs = whole_number("num_runs", num_runs, at_least=1)
    num_again = whole_number("num_again", num_again, at_least=0, at_most=num_runs)
    num_wrong = whole_number("num_wrong", num_wrong, at_least=0, at_most=num_runs)
    return 1 - math.comb(num_runs - num_wrong, num_again) / math.comb(num_runs, num_again)


@dataclass(frozen=True)
class LongRecord(Record):
    """A record of many runs, and the function with which any of them can be run again.

    Attributes
    ----------
    tables : dict of pandas.DataFrame
        Those of all runs below each other; the column ``run`` says which row is whose.
    configuration : dict
        ``runs``: the settings of each; ``tolerance``.
    provenance : dict
        As of any record; ``runs`` has the device, date and seconds of each run.
    """

    name: str
    experiment: Callable

    @property
    def runs(self) -> list[dict]:
        """The settings of each run."""
        return self.configuration["runs"]

    @property
    def shortest(self) -> float:
        """Seconds of the run that took the fewest when the record was made."""
        return min(each["seconds"] for each in self.provenance["runs"])

    @cached_property
    def changed(self) -> list[str]:
        """What of the code below it has changed since it was made; empty if nothing has."""
        return changed(self.code, of_function(self.experiment))

    @property
    def out_of_date(self) -> str:
        """A sentence if code has changed, empty if none has."""
        if not self.changed:
            return ""
        few, rest = self.changed[:3], len(self.changed) - 3
        return (
            f"Record {self.name} was made by other code: {', '.join(few)}{f' and {rest} more' if rest > 0 else ''} "
            f"changed since then. Its numbers may no longer be what this code gives; {REMEDY}."
        )

    def __str__(self) -> str:
        return f"{super().__str__()[:-1]}: {len(self.runs):,} runs."

    def part(self, seed: int, seconds: float = 60.0, num_runs: int | None = None) -> list[int]:
        """The runs to run again: a random order of all, cut where they would take longer than ``seconds``.

        At least one, if any is short enough. At most ``num_runs``.
        """
        costs = np.array([each["seconds"] for each in self.provenance["runs"]])
        order = np.random.default_rng(seed).permutation(len(costs))
        order = order[costs[order] <= seconds]
        return order[np.cumsum(costs[order]) <= seconds][:num_runs].tolist()

    def run_again(self, seconds: float = 60.0, num_runs: int | None = None, seed: int | None = None) -> Again:
        """Run a random part again and compare it with the record.

        Parameters
        ----------
        seconds : float
            What the part may take. On a slower machine fewer runs fit.
        num_runs : int, optional
            Runs that are enough: a page that prints their number wants the same one each time.
        seed : int, optional
            Of the choice; by default ``$SPOT_SEED``, or else the date: another part each day.

        Raises
        ------
        RecordMismatch
            A number differs by more than the tolerance.
        """
        if seed is None:
            seed = int(os.environ.get("SPOT_SEED") or datetime.datetime.now(datetime.UTC).strftime("%Y%m%d"))
        seed = whole_number("seed", seed, at_least=0)
        started, there = time.monotonic(), 0.0
        done: list[int] = []
        for number in self.part(seed, seconds, num_runs):
            cost, here = self.provenance["runs"][number]["seconds"], time.monotonic() - started
            if done and here + cost * max(1.0, here / max(there, 1e-3)) > seconds:
                break  # this machine is slower than that of the record
            found, recorded = _tables(self.experiment, self.runs[number]), self._run(number)
            for difference in differences(recorded, found, self.configuration["tolerance"]):
                raise RecordMismatch(
                    f"Record {self.name}, run {number} ({canonical(self.runs[number])}): {difference}. Look for what "
                    f"has changed; if it has on purpose, {REMEDY}."
                )
            done.append(number)
            there += cost
        if not done:
            raise ValueError(
                f"No run of record {self.name} fits into {seconds:g} s; give it more time, or cut its runs smaller."
            )
        return Again(done, len(self.runs), time.monotonic() - started)

    def _run(self, number: int) -> dict[str, pd.DataFrame]:
        """The tables of one run, as its experiment returned them."""
        return {
            name: table[table["run"] == number].drop(columns="run").reset_index(drop=True)
            for name, table in self.tables.items()
        }


def remember_long(name: str, experiment: Callable, runs: list[dict], *, tolerance: Tolerance) -> LongRecord:
    """Long record ``name``. It is only read, unless ``MEASURE_LONG=1`` is in the environment, as in ``make records``.

    Then ``experiment(**settings)`` is called for each of ``runs``; runs that are finished, of an
    attempt that was stopped or of a record with fewer runs, are taken over if code and settings are the same.

    Parameters
    ----------
    name : str
        Of the file: lower-case letters, digits and hyphens.
    experiment : function
        As for ``lib.records.remember``, but of the settings of one run. If it takes a
        ``device`` that the settings do not give, it gets the fastest one. A run must not
        depend on other runs, and should take seconds, not minutes.
    runs : list of dict
        The settings of each run, all different: numbers, strings, lists, dicts.
    tolerance : float or dict
        How far a number may be off when a run is run again, on any machine: absolute for
        numbers below 1, relative above. A dict gives it for a column, ``"loss"``, or that of
        one table, ``"end.loss"``; None means that the column is not compared (seconds).
        Whole numbers, texts, and columns that the dict does not name must be equal.

    Warns
    -----
    UserWarning
        The code has changed since the record was made. The record is returned all the same.

    Raises
    ------
    FileNotFoundError, ValueError
        There is no such record; or it is of other runs, or damaged. The sentence says what to do.
    """
    configuration = json.loads(canonical({"runs": runs, "tolerance": tolerance}))
    settings = [canonical(each) for each in configuration["runs"]]
    if not settings or len(set(settings)) < len(settings):
        raise ValueError(f"runs of {name} has {len(settings)} entries, but it must have one or more, all different.")
    if os.environ.get("MEASURE_LONG", "0") not in ("", "0"):
        with lock(f"{records.RECORDS.resolve()}/{name}"):
            _measure(name, experiment, configuration)
    record = _stored(name, experiment)
    if record.configuration != configuration:
        raise ValueError(f"Record {name} is of other runs or of another tolerance than are asked for; {REMEDY}.")
    if record.out_of_date:
        warnings.warn(record.out_of_date, stacklevel=2)
    return record


def _stored(name: str, experiment: Callable) -> LongRecord:
    """The long record: from this folder of records or, as that of ``make fresh`` is empty, from the project's."""
    for folder in (records.RECORDS, LIB.parent / "records"):
        try:
            found = load(name, folder)
        except FileNotFoundError:
            continue
        except ValueError as error:
            raise ValueError(f"{error} Remove it and {REMEDY}.") from None
        if "runs" not in found.configuration:
            raise ValueError(f"Record {name} is no long one; take another name.")
        return LongRecord(found.tables, found.configuration, found.code, found.provenance, name, experiment)
    raise FileNotFoundError(f"There is no record {name}, and it takes too long to be made by a page; {REMEDY}.")


def _measure(name: str, experiment: Callable, configuration: dict):
    """Run what is missing and write the record."""
    code, runs = of_function(experiment), configuration["runs"]
    folder = records.RECORDS / ".unfinished" / name
    if _is_up_to_date(name, configuration, code):
        return
    finished = dict(_finished(name, experiment, code, folder))
    from tqdm.auto import tqdm  # here, because reading a record needs none

    failed = {}
    for each in tqdm(runs, desc=name, unit="run"):
        if canonical(each) not in finished:
            started = time.perf_counter()
            try:
                tables = _tables(experiment, each)
            except Exception as error:  # the others are worth having
                failed[canonical(each)] = error
                continue
            made = provenance(_arguments(experiment, each), time.perf_counter() - started)
            save(_piece(each), Record(tables, each, code, made), folder)
            finished[canonical(each)] = load(_piece(each), folder)  # exactly what a later start would get
            _refuse_other_forms(name, finished.values())
    if failed:
        settings, first = next(iter(failed.items()))
        raise RuntimeError(
            f"{len(failed)} of {len(runs)} runs of {name} failed, the first with {settings}: {type(first).__name__}: "
            f"{first}. The others are kept as long as the code stays the same; start again to try those that failed."
        ) from first
    parts = [finished[canonical(each)] for each in runs]
    save(name, Record(_below_each_other(parts), configuration, code, _together(runs, parts)))
    shutil.rmtree(folder, ignore_errors=True)


def _finished(name: str, experiment: Callable, code: dict, folder: Path) -> Iterator[tuple[str, Record]]:
    """Runs with this code that need not be run: of a record of this name, and of an attempt that was stopped."""
    try:
        old = _stored(name, experiment)
        if old.code == code:
            for number, (settings, how) in enumerate(zip(old.runs, old.provenance["runs"], strict=True)):
                yield canonical(settings), Record(old._run(number), settings, code, old.provenance | how)
    except (FileNotFoundError, ValueError):
        pass
    for path in sorted(folder.glob("*.json")):
        try:
            one = load(path.stem, folder)
        except ValueError:  # stopped by the end of power, perhaps: it is run again
            continue
        if one.code == code:
            yield canonical(one.configuration), one


def _is_up_to_date(name: str, configuration: dict, code: dict) -> bool:
    try:
        found = load(name)
    except (FileNotFoundError, ValueError):
        return False
    return (found.configuration, found.code) == (configuration, code)


def _piece(settings: dict) -> str:
    return f"run-{digest(canonical(settings))}"


def _arguments(experiment: Callable, settings: dict) -> dict:
    """The settings, with the fastest device if the experiment takes one and they do not give it."""
    if "device" in inspect.signature(experiment).parameters and "device" not in settings:
        from lib.devices import fastest_device  # here, because reading a record needs no torch

        return settings | {"device": fastest_device()}
    return settings


def _tables(experiment: Callable, settings: dict) -> dict[str, pd.DataFrame]:
    tables = experiment(**_arguments(experiment, settings))
    return tables if isinstance(tables, dict) else {"table": tables}


def _refuse_other_forms(name: str, parts: Iterable[Record]):
    forms = {canonical({title: table.dtypes.astype(str).to_dict() for title, table in p.tables.items()}) for p in parts}
    if len(forms) > 1 or any("run" in table for part in parts for table in part.tables.values()):
        raise ValueError(
            f"The runs of {name} must return the same tables, with the same columns and types and none called run."
        )


def _below_each_other(parts: list[Record]) -> dict[str, pd.DataFrame]:
    """The tables of all runs as one each, with a column ``run`` before the others."""
    return {
        title: pd.concat(
            [part.tables[title].assign(run=number) for number, part in enumerate(parts)], ignore_index=True
        )[["run", *parts[0].tables[title]]]
        for title in parts[0].tables
    }


def _together(runs: list[dict], parts: list[Record]) -> dict:
    """The provenance of all runs: of the last one, with what each took, and where and when."""
    each = [_how(part.provenance) for part in parts]
    last = max(parts, key=lambda part: part.provenance["date"]).provenance
    longest = max(one["seconds"] for one in each)
    if longest > LONGEST_RUN:
        warnings.warn(
            f"The longest run took {longest:.0f} s. One above {LONGEST_RUN:.0f} s is never run again by a check; cut "
            f"it smaller.",
            stacklevel=4,
        )
    seconds = round(sum(one["seconds"] for one in each), 3)
    return last | {"seconds": seconds, "seeds": [run.get("seed") for run in runs], "runs": each}


def _how(made: dict) -> dict:
    machine = made["machine"]
    processor = machine["gpu"] if made["device"].startswith("cuda") else machine["cpu"]
    return {"processor": processor} | {
        key: made[key] for key in ("processor", "device", "date", "seconds") if key in made
    }


def differences(recorded: dict, found: dict, tolerance: Tolerance) -> Iterator[str]:
    """What differs between the tables of one run by more than the tolerance, a sentence's part each."""
    if recorded.keys() != found.keys():
        yield f"it has the tables {', '.join(found)} here, but {', '.join(recorded)} are recorded"
        return
    for title, (old, new) in {title: (recorded[title], found[title]) for title in recorded}.items():
        if list(old) != list(new) or len(old) != len(new):
            yield (
                f"table {title} has {len(new)} rows of {', '.join(new)} here, but {len(old)} of {', '.join(old)} "
                f"are recorded"
            )
            continue
        for column in old:
            allowed = _allowed(tolerance, title, column, old[column].dtype.kind)
            if allowed is None:
                continue
            for row, (a, b) in enumerate(zip(old[column].tolist(), new[column].tolist(), strict=True)):
                if not _agree(a, b, allowed):
                    yield (
                        f"{column} in row {row} of table {title} is {b} here, but {a} is recorded, and the tolerance "
                        f"is {allowed:g}"
                    )


def _allowed(tolerance: Tolerance, table: str, column: str, kind: str) -> float | None:
    """The tolerance of a column; a single number holds for floating-point numbers (kind ``f``) alone."""
    if isinstance(tolerance, dict):
        return tolerance.get(f"{table}.{column}", tolerance.get(column, 0.0))
    return tolerance if kind == "f" else 0.0


def _agree(recorded, found, allowed: float) -> bool:
    if type(recorded) is not type(found):
        return False
    if isinstance(recorded, (int, float)) and math.isfinite(recorded) and math.isfinite(found):
        return abs(found - recorded) <= allowed * max(1.0, abs(recorded))
    return recorded == found or recorded != recorded and found != found  # the latter: both not a number
