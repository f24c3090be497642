"""Answers to homework 3: right ones written differently, and wrong ones with a piece of the hint they must get."""
_Q1 = """rows = list(zip(p.batch_sizes, p.iterations, p.milliseconds))
by_iterations = [r[0] for r in sorted(rows, key=lambda r: r[1])]
by_samples = [r[0] for r in sorted(rows, key=lambda r: r[0] * r[1])]
by_seconds = [r[0] for r in sorted(rows, key=lambda r: r[1] * r[2])]
"""
_Q2 = """import numpy as np
def tune(grid, runs):
    m = [np.median([np.inf if s is None else s for s in row]) for row in runs]
    i = int(np.argmin(m))
    return None if i in (0, len(grid) - 1) or m[i] == np.inf else grid[i]
"""
RIGHT = {
    "q1": [
        _Q1,
        "import numpy as np\nB, S, t = map(np.array, (p.batch_sizes, p.iterations, p.milliseconds))\n"
        "by_iterations, by_samples, by_seconds = B[S.argsort()], B[(B * S).argsort()], B[(S * t).argsort()]",
        "D = dict(zip(p.batch_sizes, p.iterations))\nT = dict(zip(p.batch_sizes, p.milliseconds))\nby_iterations = sorted(D, key=D.get)\n"
        "by_samples = sorted(D, key=lambda b: D[b] * b)\nby_seconds = sorted(D, key=lambda b: D[b] * T[b] / 1000)",
    ],
    "q2": [
        _Q2,
        "import statistics\ndef tune(grid, runs):\n    m = [statistics.median([1e18 if s is None else s for s in r]) for r in runs]\n"
        "    b = min(m)\n    i = m.index(b)\n    return grid[i] if b < 1e18 and grid[0] < grid[i] < grid[-1] else None",
        "def tune(grid, runs):\n    key = lambda s: (s is None, s or 0)\n    ranked = sorted((key(sorted(r, key=key)[len(r) // 2]), g) for g, r in zip(grid, runs))\n"
        "    (failed, _), g = ranked[0]\n    return None if failed or g in (grid[0], grid[-1]) else g",
    ],
}
WRONG = {
    "q1": {
        "most iterations first": (_Q1 + "by_iterations = by_iterations[::-1]", "most iterations"),
        "iterations for samples": (_Q1 + "by_samples = by_iterations", "uses more samples"),
        "seconds of one iteration": (_Q1 + "by_seconds = p.batch_sizes", "quick iteration"),
        "throughput for seconds": (_Q1 + "by_seconds = p.batch_sizes[::-1]", "samples per second"),
        "one left out": (_Q1 + "by_seconds = by_seconds[1:]", "once"),
        "a single size": (_Q1 + "by_samples = 8", "list of batch sizes"),
    },
    "q2": {
        "edge kept": (_Q2.replace("i in (0, len(grid) - 1) or ", ""), "edge of its grid"),
        "one edge kept": (_Q2.replace("i in (0, len(grid) - 1)", "i == 0"), "both ends"),
        "failed runs left out": (_Q2.replace("[np.inf if s is None else s for s in row]", "[s for s in row if s is not None]"), "left out"),
        "means": (_Q2.replace("np.median", "np.mean"), "One failed seed"),
        "best seed": (_Q2.replace("np.median", "np.min"), "most runs failed"),
        "most iterations": (_Q2.replace("argmin", "argmax"), "must return a rate"),
    },
}
