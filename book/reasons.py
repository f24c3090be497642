"""Why a verdict does not travel: what the records hold beside it. A reason that they do not show says *probably*."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from lib.experiments.verdicts import CLAIMS, VERDICTS, Cell, Claim, Runs, law, slopes
from lib.statistics import Interval, mean_interval

Its = dict[str, Runs]  # the runs of workloads by their names
LINEAR = next(claim for claim in CLAIMS if claim.name == "linear-rule")
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


def with_unit(cell: Cell, effect: Interval) -> str:
    """An effect of a cell with its unit, where it has one: points, or % of a loss."""
    if "in %" in cell.claim.effect or "in points or %" in cell.claim.effect and cell.workload == "friedman":
        return f"{written(effect)} %"
    return written(effect) + (" points" if "in points" in cell.claim.effect else "")


def still_open(cells: list[Cell]) -> list[str]:
    """Where a claim is not shown: the conditions that failed, and one whose interval reaches across the limit."""
    undecided, sentences = [], []
    for cell in (cell for cell in cells if cell.verdict == "not shown"):
        at = {each: [found for found, verdict in cell.conditions if verdict == each] for each in VERDICTS}
        open_ones, failed, number = at["not shown"], at["does not hold"], len(cell.conditions)
        example = f"{open_ones[0].name}: {with_unit(cell, open_ones[0].effect)}"
        if failed:
            such = f"{len(open_ones)} (such as {example})" if len(open_ones) > 1 else f"one ({example})"
            sentences.append(
                f"On {SHORT[cell.workload]} it fails under {len(failed)} of {number} conditions"
                f"{f' ({failed[0].name})' if len(failed) == 1 else ''} and is open under {such}."
            )
        else:
            count = f"open under {len(open_ones)} of {number} conditions; " if number > 1 else ""
            undecided.append(f"on {SHORT[cell.workload]} ({count}{example})")
    if undecided:
        reaches = "there the interval reaches across the limit of the claim"
        sentences.insert(0, f"Five seeds are too few to tell {listed(undecided)}: {reaches}.")
    return sentences


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
    holding = {cell.workload: its[cell.workload] for cell in cells if cell.verdict == "holds"}
    return REASONS[claim.name](there, holding)


# The reasons: from the runs where a claim fails under some condition, and those where it holds under each ---


def noise_law(there: Its, holding: Its) -> str:
    return (
        "For batches drawn with replacement it is a theorem, as long as a sample has a gradient of its own. "
        "Batch normalisation ends that: there a sample's gradient depends on its batch."
    )


def noise_grows(there: Its, holding: Its) -> str:
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
        "nearly cancel at the initial weights. Papers report growth in longer runs. Ours are too short to see "
        "whether it comes."
    )


def noise_predicts(there: Its, holding: Its) -> str:
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
            lie = "" if parts else " lies above it" if above == 1 else " lie above it"
            parts.append(f"{counted(size)} on {SHORT[workload]} ({above} of {number} batch sizes{lie})")
    return listed(parts)


def halves(there: Its, holding: Its) -> str:
    return (
        "The law says where it ends: at the critical batch size a batch twice as large saves a quarter of the "
        f"iterations, and beyond it less. For SGD that size is {critical(there, 'sgd')}."
    )


def small_statistics(there: Its, holding: Its) -> str:
    return (
        f"On {SHORT['batch-norm']} the smallest batch needs more than its share, probably because mean and variance of "
        "four samples are too rough."
        if "batch-norm" in there
        else ""
    )


def moves_critical(there: Its, holding: Its) -> str:
    reason = f"SGD's own critical batch size is {critical(there, 'sgd')}."
    return f"{reason} {small_statistics(there, holding)}".strip()


def samples_first(there: Its, holding: Its) -> str:
    reason = (
        "Samples are saved only down to the critical batch size: of two batches well below it, the smaller one needs "
        "as many samples as the larger."
    )
    return f"{reason} {small_statistics(there, holding)}".strip()


def linear_rule(there: Its, holding: Its) -> str:
    reason = (
        "Probably it is a rule for batches that are small beside the critical size: beyond it there is little noise "
        f"left to average away. For SGD that size is {critical(there, 'sgd')}."
    )
    below = {workload: exponents_below_critical(runs) for workload, runs in there.items()}
    known = [f"{listed([f'{each:.2f}' for each in found])} on {SHORT[name]}" for name, found in below.items() if found]
    if not known:
        return reason
    lowest = min(min(found) for found in below.values() if found)
    words = f"{reason} Below that size, from one batch size to the next, the exponents are {'; '.join(known)}."
    return f"{words} So this is at most a part of the reason." if lowest < LINEAR.low else words


def exponents_below_critical(runs: Runs) -> list[float]:
    """Exponents of SGD's best rate from a batch size to the next, where the middle of both lies below the critical."""
    rates, size = runs.best_rates("target"), above_critical(runs, "sgd")[0]
    pairs = [[small, large] for small, large in zip(rates, rates.columns[1:]) if (small * large) ** 0.5 < size]
    return [float(slopes(rates[pair]).mean()) for pair in pairs]


def root_rule(there: Its, holding: Its) -> str:
    return (
        "The rule is derived for noise that outweighs the gradient, which is so below the critical batch size. For "
        f"Adam that size is {critical(there, 'adam')}."
    )


def tied_with_best(grid: pd.DataFrame) -> list[float]:
    """Learning rates of a grid that cannot be told from the best mean, seed by seed; the best is one of them."""
    table = grid.pivot(index="seed", columns="learning_rate", values="score")
    best = table[table.mean().idxmin()]
    return [rate for rate in table if np.isfinite(table[rate]).all() and mean_interval(table[rate] - best).low <= 0]


def equal_epochs(there: Its, holding: Its) -> str:
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


def equal_iterations(there: Its, holding: Its) -> str:
    ratio = min(runs.sizes("iterations")[-1] // runs.sizes("iterations")[0] for runs in there.values())
    return f"At equal iterations the large batch has visited at least {ratio} times as many samples."


def early_stopping(there: Its, holding: Its) -> str:
    def overfitted(its: Its) -> str:
        parts = []
        for workload, runs in its.items():
            ends = runs.reported(runs.sizes("epochs")[0], "epochs", schedule="cosine")
            parts.append(f"{counted(ends['loss'].mean() / ends['train_loss'].mean())} on {SHORT[workload]}")
        return listed(parts)

    others = f", against {overfitted(holding)}, where the claim holds" if holding else ""
    return (
        "There is little to save where a network overfits little. With a cosine (not with the constant rate), the test "
        f"loss at the end is so many times the training loss: {overfitted(there)}{others}."
    )


def repeats(there: Its, holding: Its) -> str:
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
