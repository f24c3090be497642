"""The landing page: three findings with small pictures made of the records, and the score of the claims."""

from IPython.display import Markdown

from book.claims import score
from lib import figures, records

SMALL, LARGE = 8, 2048  # of the recorded batch sizes


def small_figure(height: float = 1.4):
    """Figure and axes of a thumbnail: no grid, and letters that are readable at its size."""
    figure, axis = figures.new(width=2.3, height=height)
    axis.grid(False)
    axis.tick_params(labelsize=8.5, length=2)
    axis.xaxis.label.set_size(9)
    axis.yaxis.label.set_size(9)
    return figure, axis


def finding(title: str, text: str, figure, alt: str) -> str:
    """One finding as a box in Markdown; ``alt`` says what its picture shows."""
    picture = figures.Shown(figure, alt=alt, caption="").svg()
    return f":::{{container}} finding\n<div>{picture}</div>\n\n**{title}** {text}\n:::\n"


def faster_turns_round() -> str:
    """First by one clock, last by another: what lesson 7 counts until the same loss is reached."""
    steps = records.load("steps-to-target").tables["steps"]
    means = steps[steps["target"] == 1.0].groupby("batch_size")[["iteration", "samples"]].mean()
    first = {clock: {size: float(means[clock][size]) for size in (SMALL, LARGE)} for clock in means}
    if not (
        first["iteration"][LARGE] < first["iteration"][SMALL] and first["samples"][SMALL] < first["samples"][LARGE]
    ):
        raise AssertionError(f"The landing page says that the order turns round, but the record has {first}.")
    figure, axis = small_figure()
    for place, (clock, name) in enumerate({"iteration": "iterations", "samples": "samples"}.items()):
        axis.text(0.03, 1.7 * place - 0.5, name, va="center")
        for offset, size, color in [(0, SMALL, 0), (0.5, LARGE, 1)]:
            share = first[clock][size] / max(first[clock].values())
            axis.barh(1.7 * place + offset, share, height=0.4, color=figures.COLORS[color],
                      hatch="" if color == 0 else "//", edgecolor="white", linewidth=0)  # fmt: skip
            axis.text(share + 0.03, 1.7 * place + offset, f"{first[clock][size]:,.0f}", va="center")
    sizes = [f"B = {SMALL}", f"{LARGE:,}"]
    axis.set(yticks=[0, 0.5, 1.7, 2.2], yticklabels=2 * sizes, xticks=[], xlim=(0, 1.8), ylim=(2.6, -0.9))
    axis.spines[["bottom"]].set_visible(False)
    ratios = {clock: max(values.values()) / min(values.values()) for clock, values in first.items()}
    return finding(
        "“Faster” turns round.",
        f"To the same loss, batch size {LARGE:,} needs {ratios['iteration']:.0f} times fewer iterations than {SMALL}, "
        f"and {ratios['samples']:.0f} times as many samples, each at its own best learning rate. "
        f"[Lesson 7](lessons/07-four-clocks.md) has the other two clocks.",
        figure,
        f"Bars: to training loss 1.0 batch size {SMALL} needs {first['iteration'][SMALL]:,.0f} iterations and "
        f"{first['samples'][SMALL]:,.0f} samples, batch size {LARGE:,} {first['iteration'][LARGE]:,.0f} iterations and "
        f"{first['samples'][LARGE]:,.0f} samples.",
    )


def saving_ends() -> str:
    """Doubling the batch size halves the iterations to a target, until it does not."""
    steps = records.load("steps-to-target").tables["steps"]
    mean = steps[steps["target"] == 1.0].groupby("batch_size")["iteration"].mean()
    early, late = mean.iloc[0] / mean.iloc[1], mean.iloc[-2] / mean.iloc[-1]
    if not early > 1.5 > 1.25 > late:
        raise AssertionError(f"The landing page says the saving ends, but doubling divides by {early}, then {late}.")
    figure, axis = small_figure()
    axis.loglog(mean.index, mean, color=figures.COLORS[0], marker="o", markersize=3)
    axis.loglog(mean.index[:6], mean.iloc[0] * mean.index[0] / mean.index[:6], ":", color=figures.COLORS[4], marker="",
                linewidth=1.2)  # fmt: skip
    axis.set(xlabel="batch size", ylabel="iterations", xticks=[8, 128, 2048], xticklabels=["8", "128", "2,048"])
    axis.set(yticks=[100, 1000], yticklabels=["100", "1,000"])
    axis.minorticks_off()
    sizes = [f"{size:,}" for size in mean.index]
    return finding(
        "Twice the batch, half the iterations. Then not.",
        f"From {sizes[0]} to {sizes[1]} the iterations to a target are divided by {early:.1f}, from {sizes[-2]} to "
        f"{sizes[-1]} by {late:.2f}, each size at its own best learning rate. "
        f"[Lesson 8](lessons/08-steps-to-target.md) finds where it bends.",
        figure,
        f"A falling curve: iterations to training loss 1.0 from {mean.iloc[0]:,.0f} at batch size {sizes[0]} to "
        f"{mean.iloc[-1]:,.0f} at {sizes[-1]}, which first follows a dotted line of halving and then flattens.",
    )


def noise_halves() -> str:
    """Four times the batch, half the noise of the gradient."""
    measured = records.load("gradient-noise").tables["measured"]
    first = measured[(measured["iteration"] == measured["iteration"].min()) & measured["replacement"]]
    noise = first.set_index("batch_size")["mean"] ** 0.5
    small, large = noise.index[0], noise.index[0] * 4
    ratio = noise[small] / noise[large]
    if not 1.8 < ratio < 2.2:
        raise AssertionError(f"The landing page says that the noise halves, but it is divided by {ratio}.")
    figure, axis = small_figure()
    axis.loglog(noise.index, noise, color=figures.COLORS[2], marker="s", markersize=3, linestyle="--")
    sizes = [int(noise.index[0]), int(noise.index[len(noise) // 2]), int(noise.index[-1])]
    axis.set(xlabel="batch size", ylabel="noise", xticks=sizes, xticklabels=[f"{size:,}" for size in sizes])
    axis.set(yticks=[0.1, 1], yticklabels=["0.1", "1"])
    axis.minorticks_off()
    return finding(
        "Four times the batch, half the noise.",
        f"From batch size {small} to {large} the gradient's standard deviation is divided by {ratio:.2f}. Four times "
        f"the work buys one factor of two. [Lesson 5](lessons/05-gradient-noise.md) measures it.",
        figure,
        f"A falling straight line on logarithmic axes: the standard deviation of the gradient from {noise.iloc[0]:.2f} "
        f"at batch size {noise.index[0]:,} to {noise.iloc[-1]:.2f} at {noise.index[-1]:,}.",
    )


def findings() -> Markdown:
    """Three findings side by side, each asserted from its record."""
    boxes = "\n".join([faster_turns_round(), saving_ends(), noise_halves()])
    return Markdown(f"::::{{container}} findings\n{boxes}\n::::")


def claims_score() -> Markdown:
    """How many claims have which verdict, as a bar that leads to the page of the claims."""
    return Markdown(score(page="claims.html"))
