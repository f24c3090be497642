"""Why a verdict does not travel: what the records hold beside it. A reason that they do not show says *probably*."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from lib.experiments.verdicts import Cell, Claim, Runs, law
from lib.statistics import Interval, mean_interval

Its = dict[str, Runs]  # the runs of workloads by their names
SHORT = {
    "mlp": "the MLP",
    "cnn": "the CNN",
    "batch-norm": "the CNN with BatchNorm",
    "logistic": "logistic regression",
    "friedman": "the regression",
    "tokens": "tokens",
}


def listed(parts: list[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def written(effect: Interval) -> str:
    """An effect with its interval, in plain digits."""
    return str(effect).replace("-", "−") if np.isfinite(effect.estimate) else "not found: a run did not arrive"


def counted(number: float) -> str:
    """A number to two digits, as one says it."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def still_open(cells: list[Cell]) -> str:
    """Where a claim is not shown: a condition whose interval reaches across the limit, for each workload."""
    found = []
    for cell in cells:
        if cell.verdict == "not shown":
            condition = next(each for each, verdict in cell.conditions if verdict == "not shown")
            found.append(f"on {SHORT[cell.workload]} ({condition.name}: {written(condition.effect)})")
    if not found:
        return ""
    return f"Five seeds are too few to tell {listed(found)}: there the interval reaches across the limit of the claim."


def why(claim: Claim, cells: list[Cell], its: Its) -> str:
    """The reason in a sentence or two, where a claim fails on a workload under some condition.

    Parameters
    ----------
    cells : list of Cell
        Of this claim.
    its : dict of Runs
        Of all workloads.
    """
    sought = {"does not hold", "not shown"} if claim.name == "noise-law" else {"does not hold"}
    failing = {cell.workload for cell in cells if sought & {verdict for _, verdict in cell.conditions}}
    if not failing or claim.name not in REASONS:
        return ""
    there = {cell.workload: its[cell.workload] for cell in cells if cell.workload in failing}
    elsewhere = {cell.workload: its[cell.workload] for cell in cells if cell.workload not in failing}
    return REASONS[claim.name](there, elsewhere)


# The reasons: from the runs where a claim fails, and those of the other workloads -----------------


def noise_law(there: Its, elsewhere: Its) -> str:
    return (
        "For batches drawn with replacement it is a theorem, as long as a sample has a gradient of its own. "
        "Batch normalisation ends that: there a sample's gradient depends on its batch."
    )


def noise_grows(there: Its, elsewhere: Its) -> str:
    parts = []
    for workload, runs in there.items():
        noise = runs.moments()
        noise = noise.assign(scatter=noise["variance"] * noise["batch_size"])
        mean = noise.groupby("place")[["scatter", "noise_scale"]].mean()
        mean["signal"] = mean["scatter"] / mean["noise_scale"]
        grown = mean.loc["later"] / mean.loc["initial weights"]
        parts.append(f"by {counted(grown['signal'])} and {counted(grown['scatter'])} on {SHORT[workload]}")
    return (
        "The noise scale is the scatter over the squared gradient. From the initial weights to the second place "
        f"squared gradient and scatter were multiplied {listed(parts)}. Probably the gradients of unlike samples "
        "nearly cancel at the initial weights. The growth that papers report comes later, in longer runs."
    )


def noise_predicts(there: Its, elsewhere: Its) -> str:
    parts = []
    for workload, runs in there.items():
        if fitted := law(runs, "sgd"):
            scales = runs.moments().groupby("place")["noise_scale"].mean() / fitted.b_crit.estimate
            parts.append(
                f"on {SHORT[workload]} the noise scale goes from {counted(scales['initial weights'])} times the "
                f"critical batch size at the start to {counted(scales['later'])} times"
            )
    return f"It matters where in the run the noise scale is taken: {listed(parts)}."


def above_critical(runs: Runs, optimizer: str) -> tuple[float, int, int]:
    """The fitted critical batch size, how many of the batch sizes tried lie above it, and how many there are."""
    fitted, sizes = law(runs, optimizer), np.array(runs.sizes("target", optimizer))
    size = fitted.b_crit.estimate if fitted else np.nan
    return size, int((sizes > size).sum()), len(sizes)


def critical(its: Its, optimizer: str) -> str:
    """The fitted critical batch sizes, each with the share of batch sizes above it."""
    parts: list[str] = []
    for workload, runs in its.items():
        size, above, number = above_critical(runs, optimizer)
        if np.isfinite(size):
            lie = " lie above it" if not parts else ""
            parts.append(f"{counted(size)} on {SHORT[workload]} ({above} of {number} batch sizes{lie})")
    return listed(parts)


def halves(there: Its, elsewhere: Its) -> str:
    return (
        "The law says where it ends: at the critical batch size a batch twice as large saves a quarter of the "
        f"iterations, and beyond it less. For SGD that size is {critical(there, 'sgd')}."
    )


def small_statistics(there: Its, elsewhere: Its) -> str:
    return (
        f"On {SHORT['batch-norm']} the smallest batch needs more than its share, probably because mean and variance of "
        "four samples are too rough."
        if "batch-norm" in there
        else ""
    )


def moves_critical(there: Its, elsewhere: Its) -> str:
    reason = f"SGD's own critical batch size is {critical(there, 'sgd')}."
    return f"{reason} {small_statistics(there, elsewhere)}".strip()


def samples_first(there: Its, elsewhere: Its) -> str:
    reason = (
        "Samples are saved only down to the critical batch size: of two batches well below it, the smaller one needs "
        "as many samples as the larger."
    )
    return f"{reason} {small_statistics(there, elsewhere)}".strip()


def linear_rule(there: Its, elsewhere: Its) -> str:
    unexplained = [SHORT[workload] for workload, runs in there.items() if above_critical(runs, "sgd")[1] <= 1]
    reason = (
        "It is a rule for batches that are small beside the critical size. Beyond it there is little noise left to "
        f"average away, and no reason for a higher learning rate. For SGD that size is {critical(there, 'sgd')}."
    )
    return f"{reason} For {listed(unexplained)} this is not reason enough." if unexplained else reason


def root_rule(there: Its, elsewhere: Its) -> str:
    return (
        "The rule is derived for noise that outweighs the gradient, which is so below the critical batch size. For "
        f"Adam that size is {critical(there, 'adam')}."
    )


def tied_with_best(grid: pd.DataFrame) -> list[float]:
    """Learning rates of a grid that cannot be told from the best mean, seed by seed; the best is one of them."""
    table = grid.pivot(index="seed", columns="learning_rate", values="score")
    best = table[table.mean().idxmin()]
    return [rate for rate in table if np.isfinite(table[rate]).all() and mean_interval(table[rate] - best).low <= 0]


def equal_epochs(there: Its, elsewhere: Its) -> str:
    parts = []
    for workload, runs in there.items():
        size = runs.sizes("epochs")[0]
        grid = runs.chosen(size, "epochs")
        tied, number = tied_with_best(grid), grid["learning_rate"].nunique()
        parts.append(
            f"on {SHORT[workload]} {len(tied)} of the {number} rates tried for batch size {size}, from {tied[0]:.2g} "
            f"to {tied[-1]:.2g}"
        )
    return (
        "Probably the choice of the learning rate decides more there than the batch size. With a constant rate, these "
        f"tie for the best by the validation samples: {listed(parts)}."
    )


def equal_iterations(there: Its, elsewhere: Its) -> str:
    ratio = min(runs.sizes("iterations")[-1] // runs.sizes("iterations")[0] for runs in there.values())
    return f"At equal iterations the large batch has visited at least {ratio} times as many samples."


def early_stopping(there: Its, elsewhere: Its) -> str:
    def overfitted(its: Its) -> str:
        parts = []
        for workload, runs in its.items():
            ends = runs.reported(runs.sizes("epochs")[0], "epochs", schedule="cosine")
            parts.append(f"{counted(ends['loss'].mean() / ends['train_loss'].mean())} on {SHORT[workload]}")
        return listed(parts)

    others = f", against {overfitted(elsewhere)}" if elsewhere else ""
    return (
        "There is little to save where a network overfits little. With a cosine, the test loss at the end is so many "
        f"times the training loss: {overfitted(there)}{others}."
    )


def repeats(there: Its, elsewhere: Its) -> str:
    parts = []
    for workload, runs in there.items():
        four, one = (runs.reported(epochs, "repeats", schedule="cosine").mean(numeric_only=True) for epochs in (4, 1))
        losses = [f"{one[name]:.2f} to {four[name]:.2f}" for name in ("train_loss", "loss")]
        parts.append(f"from {losses[0]} and from {losses[1]} on {SHORT[workload]}")
    return (
        "There the network began to learn the repeated samples by heart. From one epoch to four the training loss and "
        f"the test loss go {listed(parts)}."
    )


REASONS: dict[str, Callable[[Its, Its], str]] = {
    "noise-law": noise_law,
    "noise-grows": noise_grows,
    "noise-predicts": noise_predicts,
    "halves": halves,
    "law": small_statistics,
    "moves-critical": moves_critical,
    "samples-first": samples_first,
    "linear-rule": linear_rule,
    "root-rule": root_rule,
    "equal-epochs": equal_epochs,
    "equal-iterations": equal_iterations,
    "early-stopping": early_stopping,
    "repeats": repeats,
}
