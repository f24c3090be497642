"""Runs real frameworks with random configurations and compares what they did with ``lib.frameworks``.

A check is a generator: it yields the framework's arguments, then, after the framework has
really run with them, what was counted. Nothing here is collected by pytest; it needs the
environment of ``requirements-frameworks.txt`` (``make test-frameworks``).
"""

import gc
import importlib
import importlib.metadata
import json
import random
import time
import traceback

from lib.frameworks import FRAMEWORKS

CHECKS = {}


def check(key, configurations):
    """Say which framework a check is about, and how many random configurations it is worth."""

    def register(generator):
        CHECKS.setdefault(key, []).append((generator, configurations))
        return generator

    return register


def expected(key, arguments):
    """What the plan of these arguments counts; nothing is updated if it refuses them."""
    try:
        answer = FRAMEWORKS[key].answer(**arguments)
    except ValueError as error:
        return {"iterations": 0, "refused": str(error)}
    plan = answer.plan
    return {**answer.shows, "iterations": plan.total_iterations, "samples": plan.total_samples}


def compare(key, generator, draw):
    """(arguments, what differs or None) of one random configuration."""
    steps = generator(draw)
    try:
        arguments = next(steps)
    except Exception as error:  # not installed, or changed so much that it cannot even be set up
        traceback.print_exc()
        return {}, {"plan": None, "counted": f"{type(error).__name__}: {error}"}
    plan = expected(key, arguments)
    try:
        counted = next(steps)
    except Exception as error:  # a framework may refuse what a plan refuses
        counted = {"iterations": 0, "raised": f"{type(error).__name__}: {str(error)[:200]}"}
        if "refused" not in plan:
            traceback.print_exc()
    if "refused" in plan:
        same = counted["iterations"] == 0
    else:
        same = "raised" not in counted and all(plan.get(name) == number for name, number in counted.items())
    return arguments, None if same else {"plan": plan, "counted": counted}


def run(module, seed):
    """Make all comparisons of a module of this folder; one line of JSON for each framework."""
    importlib.import_module(f"tests.frameworks.{module}")
    for key, checks in CHECKS.items():
        started, number, refused, mismatches = time.time(), 0, 0, []
        for generator, configurations in checks:
            draw = random.Random(f"{seed} {key} {generator.__name__}")
            for _ in range(configurations):
                arguments, difference = compare(key, generator, draw)
                if number < 2:
                    gc.freeze()  # frameworks collect garbage after each run; their own imports are none
                number += 1
                refused += "refused" in (expected(key, arguments) if arguments else {})
                if difference:
                    mismatches.append({"arguments": arguments, **difference})
                if not arguments:
                    break
        try:
            version = importlib.metadata.version(FRAMEWORKS[key].package).split("+")[0]  # +cpu is how it was built
        except importlib.metadata.PackageNotFoundError:
            version = "none"
        row = dict(key=key, installed=version, configurations=number, refused=refused)
        seconds = round(time.time() - started, 1)
        print("RESULT", json.dumps({**row, "seconds": seconds, "mismatches": mismatches}, default=str), flush=True)
