"""The figures of a ``lib.advise.report.Advice``."""

from typing import Any

import numpy as np
import pandas as pd

from lib import figures
from lib.advise.noise import scale
from lib.advise.speed import typical


def all_of(advice: Any) -> list[figures.Shown]:
    """Those for which there are measurements."""
    drawn = []
    if advice.speed is not None and advice.speed.overhead is not None:
        drawn.append(seconds(advice))
    if advice.rates is not None:
        drawn.append(rates(advice))
    if advice.noise is not None:
        drawn.append(noise(advice))
    if advice.table is not None:
        drawn.append(clocks(advice))
    return drawn


def seconds(advice: Any) -> figures.Shown:
    """Seconds of an iteration against batch size, and the line."""
    speed = advice.speed
    assert speed is not None and speed.overhead is not None and speed.ratio is not None
    rounds = speed.times
    data = pd.DataFrame({"batch_size": rounds.columns, "seconds": typical(rounds).to_numpy()})
    data["low"], data["high"] = (rounds.quantile(q).to_numpy() for q in (0.25, 0.75))
    data["line"] = speed.seconds(data["batch_size"])
    figure, axis = figures.new()
    axis.loglog(data["batch_size"], data["seconds"], linestyle="", label="lower quartile of the rounds")
    axis.fill_between(data["batch_size"], data["low"], data["high"], color=figures.COLORS[0], alpha=0.2, linewidth=0)
    axis.plot(data["batch_size"], data["line"], marker="", label="t₀ + cB")
    if speed.ratio.estimate > 0:
        axis.axvline(speed.ratio.estimate, color=figures.COLORS[2], linestyle="-.", linewidth=1.2, label="t₀ / c")
    axis.set(xlabel="batch size B", ylabel="seconds of an iteration")
    axis.legend()
    first, last = data.iloc[0], data.iloc[-1]
    return figures.Shown(
        figure,
        alt=f"Seconds of an iteration against batch size, both axes logarithmic: {first['seconds']:.2g} s at "
        f"{first['batch_size']:.0f}, {last['seconds']:.2g} s at {last['batch_size']:.0f}. The line is flat below "
        f"t0 / c = {speed.ratio.estimate:.3g} samples and rises in proportion above it.",
        caption=f"Seconds of an iteration, {len(rounds)} rounds over all sizes; the band holds half of them.",
        data=data,
    )


def rates(advice: Any) -> figures.Shown:
    """Loss against the rising learning rate."""
    found = advice.rates
    assert found is not None
    figure, axis = figures.new()
    top = 1.5 * found.curves.groupby("seed")["loss"].first().max()
    for seed, curve in found.curves.groupby("seed"):
        axis.plot(curve["learning_rate"], curve["loss"].clip(upper=top), color=figures.COLORS[0], linestyle="-",
                  marker="", linewidth=1)  # fmt: skip
    look = advice.rate or found.lowest
    axis.axvspan(look.low, look.high, color=figures.COLORS[1], alpha=0.15, linewidth=0)
    axis.set(xscale="log", xlabel="learning rate, rising from iteration to iteration", ylabel="batch loss")
    steps = found.curves.groupby("seed").cumcount()
    return figures.Shown(
        figure,
        alt=f"Batch loss while the learning rate rises, one curve for each of {found.steepest.num} seeds. It falls "
        f"fastest near {found.steepest.estimate:.2g}, is lowest near {found.lowest.estimate:.2g}, and rises beyond.",
        caption=f"Where to look for the learning rate at batch size {found.batch_size:,} (shaded): from the "
        f"rates of short runs, as far as the best rates of the course's sweeps lay from theirs.",
        data=found.curves[steps % 5 == 0],
    )


def noise(advice: Any) -> figures.Shown:
    """The noise scale along the short runs."""
    found = advice.noise
    assert found is not None
    rows = []
    for iteration, part in found.estimates.groupby("iteration"):
        here = scale(part)
        rows.append({"iteration": iteration, "noise scale": here.estimate, "low": here.low, "high": here.high})
    data = pd.DataFrame(rows)
    finite = data.replace(np.inf, np.nan)
    top = 10 * finite[["noise scale", "high"]].max(axis=None)
    shown = finite.fillna(top)
    figure, axis = figures.new()
    axis.errorbar(
        shown["iteration"], shown["noise scale"],
        [(shown["noise scale"] - shown["low"]).clip(lower=0), (shown["high"] - shown["noise scale"]).clip(lower=0)],
        capsize=3, linewidth=1.2)  # fmt: skip
    axis.set(yscale="log", xlabel="iteration of the short runs", ylabel="noise scale, in samples")
    first, last = data.iloc[0], data.iloc[-1]
    return figures.Shown(
        figure,
        alt=f"Gradient noise scale along the short runs: {first['noise scale']:.3g} samples at the present weights, "
        f"{last['noise scale']:.3g} after {last['iteration']:.0f} iterations, with 95 % intervals.",
        caption=f"Each point: {found.estimates['seed'].nunique()} runs, {found.samples:,} samples each. A bar "
        f"to the top has no upper limit: the gradient is lost in the noise.",
        data=data,
    )


def clocks(advice: Any) -> figures.Shown:
    """What each batch size costs by every clock."""
    table = advice.table
    assert table is not None
    figure, axis = figures.new()
    shown = [clock for clock in ("iterations", "samples", "seconds") if clock in table]
    for clock in shown:
        axis.loglog(table["batch_size"], table[clock], label=clock)
    axis.axvspan(advice.choice[0], advice.choice[2], color=figures.COLORS[5], alpha=0.12, linewidth=0)
    axis.set(xlabel="batch size B", ylabel="times the fewest")
    axis.legend()
    ends = "; ".join(f"{clock} {table[clock].iloc[0]:.2g} to {table[clock].iloc[-1]:.2g}" for clock in shown)
    return figures.Shown(
        figure,
        alt=f"Cost of the same loss against batch size {table['batch_size'].min()} to {table['batch_size'].max()}, as "
        f"multiples of the fewest, by each clock: {ends}. Iterations fall, samples rise.",
        caption=f"What a batch size costs by each clock, by the fitted laws. Shaded: {advice.choice[0]:,} to "
        f"{advice.choice[2]:,}, which agrees with the measurements.",
        data=table,
    )
