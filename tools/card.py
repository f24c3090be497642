"""The picture that stands beside a link to the book where links are shown as cards: assets/card.png, 1200 by 630.

python tools/card.py
"""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lib.figures import COLORS, INK
from lib.plan import TrainingPlan

TARGET = Path(__file__).resolve().parents[1] / "assets/card.png"


def card() -> Figure:
    """An epoch of 10,000 samples in batches of 300, to scale, and what it counts."""
    plan = TrainingPlan(10_000, 300)
    figure = Figure(figsize=(12, 6.3), dpi=100, facecolor="white", layout="none")
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, 1200), ylim=(630, 0))
    axis.axis("off")
    axis.text(80, 125, "Epoch by epoch", fontsize=54, weight="bold", color=INK, va="center")
    axis.text(80, 205, "epoch · iteration · batch size · steps per epoch", fontsize=24, color=COLORS[4], va="center")
    for batch in range(plan.batches_per_epoch):
        start, size = batch * plan.batch_size, min(plan.batch_size, plan.num_samples - batch * plan.batch_size)
        tail = size < plan.batch_size
        axis.add_patch(
            Rectangle(
                (80 + 1040 * start / plan.num_samples, 290),
                1040 * size / plan.num_samples - 4,
                110,
                color=COLORS[1] if tail else COLORS[0],
                linewidth=0,
            )
        )
    exact = plan.num_samples / plan.batch_size
    axis.text(
        80,
        470,
        f"{plan.num_samples:,} / {plan.batch_size} = {exact:.2f} iterations an epoch?",
        fontsize=32,
        color=INK,
        va="center",
    )
    axis.text(
        80,
        545,
        f"{plan.iterations_per_epoch}, the last with {plan.last_batch_size} samples. Or {int(exact)}.",
        fontsize=32,
        weight="bold",
        color=COLORS[1],
        va="center",
    )
    return figure


if __name__ == "__main__":
    card().savefig(TARGET, metadata={"Software": None})
