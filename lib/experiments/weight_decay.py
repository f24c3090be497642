"""Weight decay and batch size: does the best weight decay stay when the batch grows?"""

import pandas as pd

from lib.experiments.generalization import scored, workload
from lib.experiments.runs import ends
from lib.experiments.search import RULES, tuned_along

EPOCHS = 20
GUESS = {"sgd": 0.1, "adamw": 3e-3}  # where the search at the smallest batch size starts
GROWTH = {"sgd": 1.0, "adamw": 0.5}  # exponents of the batch size, for the start of the next search


def decays(
    batch_sizes: list[int], weight_decays: dict[str, list[float]], seeds: list[int], fresh_seeds: list[int]
) -> dict[str, pd.DataFrame]:
    """Test accuracy against weight decay, for each optimizer and batch size; equal epochs, a cosine schedule.

    The learning rate is tuned for each optimizer, batch size and weight decay, on validation
    samples with ``seeds``, by every rule; ``fresh_seeds`` are reported on test samples.

    Parameters
    ----------
    weight_decays : dict of list
        Those to try with each optimizer, as ``torch.optim`` takes them.

    Returns
    -------
    dict with the tables
        ``runs``: a row a rule, optimizer, batch size, weight decay and fresh seed, with ``test_accuracy``.
        ``grid``: a row an optimizer, batch size, weight decay, learning rate and seed that was tried.
    """
    tables, grids = [], []
    for optimizer, tried in weight_decays.items():
        guess = GUESS[optimizer]
        for batch_size in sorted(batch_sizes):
            guess *= (batch_size / min(batch_sizes)) ** GROWTH[optimizer]
            here = {"optimizer": optimizer, "batch_size": batch_size}

            def runs_at(decay, learning_rates, seeds=seeds, here=here):
                how = {"weight_decay": decay, "schedule": "cosine", "epochs": EPOCHS}
                return scored(ends(workload(), learning_rate=learning_rates, seed=seeds, **here, **how))

            for decay, found in tuned_along(tried, runs_at, guess, lambda ratio: 1.0, rules=RULES):
                fresh = runs_at(decay, sorted(set(found.rates.values())), fresh_seeds)
                grids.append(found.grid.assign(weight_decay=decay, **here))
                tables += [
                    fresh[fresh["learning_rate"] == rate].assign(rule=rule, weight_decay=decay, **here)
                    for rule, rate in found.rates.items()
                ]
    columns = ["optimizer", "batch_size", "weight_decay", "learning_rate", "seed"]
    return {
        "runs": pd.concat(tables, ignore_index=True)[["rule", *columns, "train_loss", "test_accuracy"]],
        "grid": pd.concat(grids, ignore_index=True)[[*columns, "validation_accuracy"]],
    }
