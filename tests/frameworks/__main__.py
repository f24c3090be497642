"""Compares ``lib.frameworks`` with the frameworks that are installed here, and prints a table.

    python -m tests.frameworks [--all] [--canary] [--seed N] [MODULE ...]

A framework whose version is not the one that its data name fails, as does a mismatch. With
``--canary`` both are reported only: it is for the newest releases.
"""

import argparse
import json
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

from lib.frameworks import FRAMEWORKS

PLAIN = ["hugging_face", "pytorch", "texts", "keras_optax", "trees", "classical", "reinforcement", "processes"]
WITH_CARE = ["harder"]
LONGEST = 600  # seconds of a module; none takes a tenth of it, but processes can wait for each other for ever
ENVIRONMENT = dict(
    TQDM_DISABLE="1",
    HF_HUB_OFFLINE="1",
    TOKENIZERS_PARALLELISM="false",
    WANDB_DISABLED="true",
    KERAS_BACKEND="torch",
    OMP_NUM_THREADS="1",
    TF_CPP_MIN_LOG_LEVEL="3",
)


def in_a_process(module, seed):
    """The rows of a module, and what went wrong with it as a whole; each in a process of its own."""
    command = [sys.executable, "-m", "tests.frameworks", "--child", "--seed", seed, module]
    try:
        done = subprocess.run(
            command, env=os.environ | ENVIRONMENT, capture_output=True, encoding="utf-8", timeout=LONGEST
        )
    except subprocess.TimeoutExpired:
        return [], f"{module} did not end within {LONGEST} s."
    rows = [json.loads(line[7:]) for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    problem = None if done.returncode == 0 else f"{module} ended with {done.returncode}:\n{done.stderr[-3_000:]}"
    return rows, problem


def merged(rows):
    """One row for each framework, though several modules may have checked it."""
    together = {}
    for row in rows:
        first = together.setdefault(row["key"], row)
        if first is not row:
            for name in ("configurations", "refused", "seconds", "mismatches"):
                first[name] += row[name]
    return list(together.values())


def table(rows):
    lines = [("framework", "version", "configurations", "refused", "mismatches", "seconds")]
    for row in sorted(rows, key=lambda row: row["key"]):
        stated = FRAMEWORKS[row["key"]].version
        version = row["installed"] + ("" if row["installed"] == stated else f" (data: {stated})")
        lines.append(
            (
                FRAMEWORKS[row["key"]].name,
                version,
                *map(str, (row["configurations"], row["refused"], len(row["mismatches"]), round(row["seconds"], 1))),
            )
        )
    widths = [max(len(line[i]) for line in lines) for i in range(6)]
    return "\n".join(
        "  ".join(
            text.ljust(width) if i < 2 else text.rjust(width) for i, (text, width) in enumerate(zip(line, widths))
        )
        for line in lines
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", help="files of this folder; by default all that install plainly")
    parser.add_argument("--all", action="store_true", help="also those that install with care")
    parser.add_argument("--canary", action="store_true", help="report, but never fail")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        from tests.frameworks import harness

        warnings.filterwarnings("ignore")
        harness.run(options.modules[0], options.seed)
        return 0
    modules = options.modules or PLAIN + (WITH_CARE if options.all else [])
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = list(pool.map(lambda module: in_a_process(module, options.seed), modules))
    rows = merged(row for found, _ in results for row in found)
    problems = [problem for _, problem in results if problem]
    print(table(rows))
    for row in rows:
        if row["installed"] != FRAMEWORKS[row["key"]].version:
            problems.append(f"{row['key']}: its data are of version {FRAMEWORKS[row['key']].version}.")
        for mismatch in row["mismatches"][:5]:
            problems.append(
                f"{row['key']}: {mismatch['arguments']}\n  plan {mismatch['plan']}\n  ran {mismatch['counted']}"
            )
    counted = {row["key"] for row in rows}
    read = [f.name for f in FRAMEWORKS.values() if not f.executed]
    left = [f.name for f in FRAMEWORKS.values() if f.executed and f.key not in counted]
    print(f"\nRead in their source, tested as formulas only: {', '.join(read)}.")
    if left:
        print(f"Not run this time: {', '.join(left)}.")
    print(*problems, sep="\n", file=sys.stderr)
    return int(bool(problems) and not options.canary)


if __name__ == "__main__":
    sys.exit(main())
