"""Answers to homework 1: right ones written differently, and wrong ones with a piece of the hint they must get.

Each is code that is run after the cells that a student is given.
"""
RIGHT = {
    "q1": [
        "iterations_per_epoch = -(-p.N // p.B)\ntotal_iterations = p.E * iterations_per_epoch\nlast_batch = p.N % p.B",
        "import math\niterations_per_epoch = math.ceil(p.N / p.B)\ntotal_iterations = sum(iterations_per_epoch for _ in range(p.E))\n"
        "last_batch = p.N - p.B * (iterations_per_epoch - 1)",
        "import numpy as np\nbatches = np.array_split(np.arange(p.N), range(p.B, p.N, p.B))\niterations_per_epoch = len(batches)\n"
        "total_iterations = np.int64(len(batches) * p.E)\nlast_batch = np.int32(len(batches[-1]))",
        "from lib.plan import TrainingPlan\nplan = TrainingPlan(p.N, p.B, p.E)\niterations_per_epoch = plan.iterations_per_epoch\n"
        "total_iterations = plan.total_iterations\nlast_batch = plan.last_batch_size",
    ],
}

_Q1 = "iterations_per_epoch = -(-p.N // p.B)\ntotal_iterations = p.E * iterations_per_epoch\nlast_batch = p.N % p.B\n"
WRONG = {
    "q1": {
        "rounded down": (_Q1 + "iterations_per_epoch = p.N // p.B", "rounded down"),
        "a float": (_Q1 + "iterations_per_epoch = p.N / p.B", "counted"),
        "samples for iterations": (_Q1 + "iterations_per_epoch = p.N", "number of samples"),
        "batch size for number of batches": (_Q1 + "iterations_per_epoch = p.B", "batch size: samples"),
        "one ceiling for all epochs": (_Q1 + "total_iterations = -(-p.N * p.E // p.B)", "round up per epoch"),
        "tails left out": (_Q1 + "total_iterations = p.N // p.B * p.E", "left out the last batch"),
        "visits for updates": (_Q1 + "total_iterations = p.N * p.E", "visits"),
        "a full last batch": (_Q1 + "last_batch = p.B", "does not divide"),
        "what is missing": (_Q1 + "last_batch = p.B - p.N % p.B", "missing"),
        "an empty last batch": (_Q1 + "last_batch = 0", "without samples"),
        "text": (_Q1 + "last_batch = str(last_batch)", "must be a whole number"),
        "numbers of another student": (_Q1.replace("p.", "q.").replace("q.E *", "q.E *").join(["q = grader.parameters('somebody else')\n", ""]),
                                       ""),
    },
}
