"""Why a verdict does not travel: what the records hold beside it. A reason that they do not show says *probably*."""

from collections.abc import Callable

import numpy as np

from lib.experiments import travel
from lib.experiments.verdicts import Cell, Claim, Runs, law, worse_by
from lib.statistics import Interval

Its = dict[str, Runs]  # the runs of workloads by their names


def title(workload: str) -> str:
    """What a workload is called on the page."""
    return travel.WORKLOADS[workload].title


def listed(parts: list[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def written(effect: Interval) -> str:
    """An effect with its interval, in plain digits."""
    return str(effect).replace("-", "−") if np.isfinite(effect.estimate) else "not found: a run did not arrive"


def still_open(cells: list[Cell]) -> str:
    """Where a claim is not shown: a condition whose interval reaches across the limit, for each workload."""
    found = []
    for cell in cells:
        if cell.verdict == "not shown":
            condition = next(each for each, verdict in cell.conditions if verdict == "not shown")
            found.append(f"on {title(cell.workload)} ({condition.name}: {written(condition.effect)})")
    if not found:
        return ""
    return f"Five seeds are too few to tell {listed(found)}: the interval reaches across the limit of what is claimed."


def why(claim: Claim, cells: list[Cell], its: Its) -> str:
    """The reason in a sentence or two, of the workloads where the claim fails under some condition or, for some claims,
    is not shown there.

    Parameters
    ----------
    cells : list of Cell
        Of this claim.
    its : dict of Runs
        Of all workloads.
    """
    sought = {"does not hold", "not shown"} if claim.name in ALSO_OPEN else {"does not hold"}
    concerned = {each.workload: its[each.workload] for each in cells if sought & {v for _, v in each.conditions}}
    return REASONS[claim.name](concerned) if concerned and claim.name in REASONS else ""


def counted(number: float) -> str:
    """A number to two digits, as one says it."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def critical(its: Its, optimizer: str = "sgd") -> str:
    """The fitted critical batch sizes: "20 on A and 57 on B"."""
    laws = {workload: law(runs, optimizer) for workload, runs in its.items()}
    return listed([f"{counted(fit.b_crit.estimate)} on {title(w)}" for w, fit in laws.items() if fit]) if laws else ""


def noise_law(its: Its) -> str:
    return NO_GRADIENT_OF_ITS_OWN


def noise_grows(its: Its) -> str:
    parts = []
    for workload, runs in its.items():
        noise = runs.moments()
        noise = noise.assign(scatter=noise["variance"] * noise["batch_size"])
        mean = noise.groupby("place")[["scatter", "noise_scale"]].mean()
        mean["signal"] = mean["scatter"] / mean["noise_scale"]
        grown = mean.loc["later"] / mean.loc["initial weights"]
        parts.append(f"by {counted(grown['signal'])} and {counted(grown['scatter'])} on {title(workload)}")
    return (
        "The noise scale is the scatter over the squared gradient. From the initial weights to the second place "
        f"squared gradient and scatter were multiplied {listed(parts)}. Probably the gradients of unlike samples "
        "nearly cancel at the initial weights. The growth that papers report comes later, in longer runs."
    )


def noise_predicts(its: Its) -> str:
    parts = []
    for workload, runs in its.items():
        if fitted := law(runs, "sgd"):
            scales = np.exp(np.log(runs.moments().groupby("place")["noise_scale"].mean()) - np.log(fitted.b_crit.mean))
            parts.append(
                f"on {title(workload)} the noise scale goes from {counted(scales['initial weights'])} times the "
                f"critical batch size at the start to {counted(scales['later'])} times"
            )
    return f"It matters where in the run the noise scale is taken: {listed(parts)}." if parts else ""


def halves(its: Its) -> str:
    return (
        "The law says where it ends: at the critical batch size a batch twice as large saves a quarter of the "
        f"iterations, and beyond it less. For SGD that size is {critical(its)}."
    )


def law_fails(its: Its) -> str:
    return FEW_SAMPLES_IN_STATISTICS if "batch-norm" in its else ""


def moves_critical(its: Its) -> str:
    parts = [
        f"{title(workload)} ({fit.b_crit.estimate:,.0f})" for workload, runs in its.items() if (fit := law(runs, "sgd"))
    ]
    return f"There SGD has a large critical batch size already: {listed(parts)}." if parts else ""


def samples_first(its: Its) -> str:
    reason = (
        "Samples are saved only down to the critical batch size: of two batches below it, the smaller one needs as "
        "many samples as the larger."
    )
    return f"{reason} {FEW_SAMPLES_IN_STATISTICS}" if "batch-norm" in its else reason


def bearable(runs: Runs, size: int) -> float:
    """The highest learning rate tried for a batch size, equal epochs, up to which no run failed."""
    failed = runs.chosen(size, "epochs").groupby("learning_rate")["failed"].any()
    return float(failed.index[~failed.cummax()].max())


def linear_rule(its: Its) -> str:
    parts = []
    for workload, runs in its.items():
        small, *_, large = runs.sizes("epochs")
        grown = bearable(runs, large) / bearable(runs, small)
        parts.append(f"{counted(grown)} times on {title(workload)}, for a batch {large // small} times as large")
    return (
        "It is a rule for batches that are small beside the critical size. "
        f"For SGD that size is {critical(its)}. Above it, the limit is the highest learning rate that the network "
        f"bears, and this one hardly moves. The highest at which no run failed grew {listed(parts)}."
    )


def root_rule(its: Its) -> str:
    parts = []
    for workload, runs in its.items():
        if fitted := law(runs, "adam"):
            sizes = np.array(runs.sizes("target", "adam"))
            above = int((sizes > fitted.b_crit.estimate).sum())
            parts.append(f"{above} of {len(sizes)} on {title(workload)} (above {fitted.b_crit.estimate:,.0f})")
    return (
        "The rule is derived for noise that outweighs the gradient, which is so below the critical batch size. Of the "
        f"batch sizes tried, many lie above Adam's: {listed(parts)}."
    )


def equal_iterations(its: Its) -> str:
    ratio = min(runs.sizes("iterations")[-1] // runs.sizes("iterations")[0] for runs in its.values())
    return f"At equal iterations the large batch has visited at least {ratio} times as many samples."


def early_stopping(its: Its) -> str:
    parts = []
    for workload, runs in its.items():
        ends = runs.reported(runs.sizes("epochs")[0], "epochs", schedule="cosine")
        parts.append(f"{counted((ends['loss'] / ends['train_loss']).mean())} times on {title(workload)}")
    return (
        "There is little to save where a network hardly overfits. With a cosine, its test loss ended at "
        f"{listed(parts)} of its training loss."
    )


def repeats(its: Its) -> str:
    parts = []
    for workload, runs in its.items():
        four, one = (runs.reported(epochs, "repeats", schedule="cosine") for epochs in (4, 1))
        extra = "" if np.allclose(one["score"], one["loss"]) else f", {counted(worse_by(four, one).mean())} points"
        parts.append(f"{title(workload)} ({one['loss'].mean():.2f} to {four['loss'].mean():.2f}{extra})")
    return parts and f"The test loss rose on {listed(parts)}: there a quarter of the samples is too few." or ""


NO_GRADIENT_OF_ITS_OWN = (
    "For batches drawn with replacement it is a theorem, as long as a sample has a gradient of its own. "
    "Batch normalisation ends that: there a sample's gradient depends on its batch."
)
FEW_SAMPLES_IN_STATISTICS = (
    "With batch normalisation the smallest batch needs more than its share, probably because the mean and variance of "
    "four samples are too rough."
)
ALSO_OPEN = {"noise-law", "moves-critical"}  # a reason that explains a trend too, where the claim is not shown
REASONS: dict[str, Callable[[Its], str]] = {
    "noise-law": noise_law,
    "noise-grows": noise_grows,
    "noise-predicts": noise_predicts,
    "halves": halves,
    "law": law_fails,
    "moves-critical": moves_critical,
    "samples-first": samples_first,
    "linear-rule": linear_rule,
    "root-rule": root_rule,
    "equal-iterations": equal_iterations,
    "early-stopping": early_stopping,
    "repeats": repeats,
}
