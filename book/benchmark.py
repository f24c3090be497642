"""The page of the benchmark: what ``make bench`` measured."""

import json
from pathlib import Path

from IPython.display import Markdown

ROOT = Path(__file__).resolve().parents[1]


def table(runs: list[dict]) -> list[str]:
    """The contestants of one network, a column a batch size."""
    sizes = sorted({row["batch_size"] for row in runs})
    cell = {(row["what"], row["batch_size"]): row for row in runs}
    lines = [
        "| contestant | " + " | ".join(f"B = {size:,}" for size in sizes) + " |",
        "|---" * (len(sizes) + 1) + "|",
    ]
    for name in dict.fromkeys(row["what"] for row in runs):
        values = [
            f"{cell[name, size]['samples_per_second'] / 1e3:,.1f} ({cell[name, size]['ratio_to_textbook']:.2g})"
            for size in sizes
        ]
        lines.append(f"| {name} | " + " | ".join(values) + " |")
    if all("share_of_peak" in row for row in runs):
        peak = [f"{cell['sweep', size]['share_of_peak']:.0%}" for size in sizes]
        lines.append(f"| *sweep, share of the matrix-product peak* | {' | '.join(peak)} |")
    return lines


def benchmark() -> Markdown:
    """The record that ``make bench`` wrote, as two tables with their provenance."""
    record = json.loads((ROOT / "records" / "throughput.json").read_text(encoding="utf-8"))
    made, rows = record["provenance"], record["rows"]
    runs = [row for row in rows if "batch_size" in row]
    of_network: dict[str, list[dict]] = {row.get("network", "MLP"): [] for row in runs}
    for row in runs:
        of_network[row.get("network", "MLP")].append(row)
    lines = ["Samples per second, in thousands, and in brackets the ratio to the textbook loop:", ""]
    for network, its in of_network.items():
        lines += [f"*{network}*", "", *table(its), ""]
    lines += [
        "A whole sweep: 8 batch sizes, 5 learning rates, 5 seeds, 30 epochs each, evaluated after every epoch:",
        "",
        "| contestant | CPU seconds | wall seconds | how |",
        "|---|---|---|---|",
    ]
    for row in rows:
        if "batch_size" not in row:
            cpu, wall = (f"{row[key]:,.0f}" if key in row else "" for key in ("cpu_seconds", "wall_seconds"))
            lines.append(
                f"| {row['what']} | {cpu} | {wall} | {'scaled from a measured part' if row['scaled'] else 'run'} |"
            )
    versions = ", ".join(f"{name} {number}" for name, number in made["versions"].items())
    blas = f", OpenBLAS for {' and '.join(made['openblas'])}" if "openblas" in made else ""
    lines += [
        "",
        f"Measured {made['date'][:10]} on {made['cpu']} ({made['cores']} cores, {made['threads']} thread used), "
        f"Python {made['python']}, {versions}{blas}. Command: `{made['command']}`. {made['statistic'].capitalize()} of "
        f"{made['repeats']} interleaved repeats; clock: {made['clock']}. Load of the machine before and after: "
        f"{made['load_before']:.1f} and {made['load_after']:.1f}.",
    ]
    return Markdown("\n".join(lines))
