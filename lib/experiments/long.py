"""The experiments that take too long for a page. Their records are made here and, in random parts, run again.

python -m lib.experiments.long make                                 what ``make records`` does
python -m lib.experiments.long check [--seconds 60] [--seed 20261125]    what ``make fresh`` does first
"""

import argparse
import os
import sys
import time
from collections.abc import Callable

from lib.experiments import advised, tokens, travel
from lib.long_records import LongRecord

# Functions without arguments, each of which calls lib.long_records.remember_long.
LONG: list[Callable[[], LongRecord]] = [
    tokens.in_float64,
    tokens.rates_tried,
    tokens.steps_to_targets,
    *travel.ON_CPU,
    advised.sweeps,
]


def make(experiments: list[Callable[[], LongRecord]]) -> list[str]:
    """Make what is missing or was made by other code; say what could not be."""
    os.environ["MEASURE_LONG"] = "1"
    return _each(experiments, str)


def check(experiments: list[Callable[[], LongRecord]], seconds: float, seed: int | None) -> list[str]:
    """Run a random part of each record again, in so many seconds together; say what differs or is out of date.

    Each gets an equal share of the time that is left, and its shortest run whatever that takes.
    """
    os.environ.pop("MEASURE_LONG", None)
    end, left = time.monotonic() + seconds, len(experiments)

    def again(record: LongRecord) -> str:
        nonlocal left
        share, left = (end - time.monotonic()) / left, left - 1
        return str(record.run_again(max(share, record.shortest), seed=seed))

    return _each(experiments, again)


def _each(experiments: list[Callable[[], LongRecord]], sentence: Callable[[LongRecord], str]) -> list[str]:
    """Print a sentence about each record, and return what is wrong with one; it keeps no other from its turn."""
    problems = []
    for experiment in experiments:
        try:
            record = experiment()
            print(f"{record.name}: {sentence(record)}", flush=True)
            problems += [record.out_of_date] if record.out_of_date else []
        except (AssertionError, OSError, RuntimeError, ValueError) as error:
            problems.append(str(error))
    return problems


def main(words: list[str] | None = None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["make", "check"])
    parser.add_argument("--seconds", type=float, default=60.0, help="for all records together (default 60)")
    parser.add_argument("--seed", type=int, help="of the choice of runs (default: today's date)")
    options = parser.parse_args(words)
    if not LONG:
        print("There is no long record yet.")
    problems = make(LONG) if options.action == "make" else check(LONG, options.seconds, options.seed)
    sys.exit("\n".join(problems) or None)


if __name__ == "__main__":
    main()
