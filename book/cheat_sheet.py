"""The tables of the cheat sheet, each number counted by a plan."""

from IPython.display import Markdown

from lib.plan import TrainingPlan
from lib.tokens import TokenPlan


def hard_cases() -> Markdown:
    """What does not divide: the choices, what is counted, what to remember."""
    even, tail = TrainingPlan(10_000, 500, epochs=3), TrainingPlan(10_000, 300, epochs=3)
    drop = TrainingPlan(10_000, 300, epochs=3, drop_last=True)
    groups = TrainingPlan(10_000, 64, accumulation_steps=4)
    carried = TrainingPlan(10_000, 64, epochs=3, accumulation_steps=4, tail="carry")
    flushed = TrainingPlan(10_000, 64, epochs=3, accumulation_steps=4)
    devices = TrainingPlan(10, 1, world_size=4)
    spread = TrainingPlan(10_000, 32, accumulation_steps=4, world_size=3)
    short = TrainingPlan.for_iterations(50, num_samples=10_000, batch_size=300)
    rows = [
        ("N = 10,000, B = 500, E = 3", f"{even.total_iterations} iterations", "it divides"),
        ("B = 300, tail kept", f"{tail.total_iterations}", f"last batch {tail.last_batch_size}; never 100"),
        ("B = 300, tail dropped", f"{drop.total_iterations}", f"{drop.samples_dropped_per_epoch} never seen an epoch"),
        (
            "B = 64, A = 4",
            f"{groups.iterations_per_epoch} an epoch",
            f"from {groups.batches_per_epoch} passes; the last iteration is smaller",
        ),
        (
            "the same, E = 3",
            f"{flushed.total_iterations} or {carried.total_iterations}",
            "left-over passes flushed or carried",
        ),
        ("B = 32, A = 4, W = 3", f"{spread.iterations_per_epoch} an epoch", f"global {spread.global_batch_size}"),
        (
            "N = 10, B = 1, W = 4",
            f"{devices.total_samples} visits",
            f"{devices.samples_repeated_per_epoch} seen twice: padding",
        ),
        ("50 iterations, B = 300", f"{float(short.epochs_after(50)):.2f} epochs", "ends inside an epoch"),
    ]
    rows = [
        (choices.replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}"), number, why) for choices, number, why in rows
    ]
    lines = ["| choices | counted | why |", "|---|---|---|", *(f"| {a} | {b} | {c} |" for a, b, c in rows)]
    return Markdown("\n".join(lines))


def tokens() -> Markdown:
    """Tokens of one iteration, as a sentence."""
    plan = TokenPlan(sequence_length=1_024, batch_size=8, accumulation_steps=4, world_size=2)
    return Markdown(
        f"**Token:** the unit of a text; $B \\cdot T \\cdot A \\cdot W$ in an iteration without padding. "
        f"$B = 8$ texts of $T = 1024$ tokens, $A = 4, W = 2$: {plan.tokens_per_iteration:,}."
    )
