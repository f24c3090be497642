"""Pages of the appendix that are made from data: verdicts, contradictions, the benchmark."""

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path

import yaml
from IPython.display import Markdown

ROOT = Path(__file__).resolve().parents[2]
CONTRADICTIONS = [
    (
        "A13, B12",
        "More iterations converge faster; small batches, which have more iterations, converge slower",
        "Two clocks: loss after equal epochs, and seconds.",
        "02-iteration",
    ),
    (
        "B8, B12",
        "Small batches: faster updates; small batches: slower convergence",
        "Seconds of one iteration, and iterations to a loss.",
        "07-four-clocks",
    ),
    (
        "B10, C7 and B13, C5",
        "Large batches are slower; large batches are faster",
        "Counted in samples, and in seconds.",
        "07-four-clocks",
    ),
    (
        "C7, C10",
        "Large batches converge slower; small batches converge slower",
        "Impossible on one clock, true on two: samples, and iterations.",
        "07-four-clocks",
    ),
    (
        "A6, A8, B18",
        "An iteration is an update; a forward and backward pass; something that affects updates",
        "An iteration is an update. A pass is a pass.",
        "02-iteration",
    ),
    (
        "B1, C2",
        "The batch size is the samples of an update; of one pass",
        "The global batch size, and the batch size of one device.",
        "03-batch-size",
    ),
    (
        "C14 and C1, C20",
        "Steps per epoch are determined; steps per epoch are to be tuned",
        "They are derived.",
        "04-steps-per-epoch",
    ),
    (
        "B3 and B5, C19",
        "Updates come instead of using the entire dataset; the entire dataset is a valid batch",
        "Full batch is a batch size.",
        "03-batch-size",
    ),
    (
        "B4, B18",
        "The batch size affects model performance; only memory and speed",
        "Indirectly it does: through the number of updates and the learning rate.",
        "02-iteration",
    ),
    (
        "B8, B19",
        "Small batches are noisier; small batches for noisy data",
        "Nothing supports the second.",
        "11-more-epochs",
    ),
]


def read_claims() -> list[dict]:
    """The entries of ``claims.yml``, in order."""
    return yaml.safe_load((ROOT / "claims.yml").read_text(encoding="utf-8"))


@cache
def boxes() -> list[dict]:
    """The *claim tested* boxes as the executed twins of the lessons show them: ``lesson``, ``ids``, ``verdict``, ``found``."""
    found = []
    for twin in sorted((ROOT / "lessons").glob("*.ipynb")):
        for cell in json.loads(twin.read_text(encoding="utf-8"))["cells"]:
            ids = re.search(r'ClaimTested\(.*ids="([^"]+)"', "".join(cell["source"]), flags=re.DOTALL)
            if cell["cell_type"] == "code" and ids:
                shown = "".join(cell["outputs"][-1]["data"]["text/plain"])
                line = dict(re.findall(r"^(\w[\w ]*): (.*)$", shown, flags=re.MULTILINE))
                found.append(
                    {"lesson": twin.stem, "ids": ids[1].split(", "), "verdict": line["Verdict"], "found": line["Found"]}
                )
    return found


def lesson_link(name: str) -> str:
    """A link to a lesson by its number."""
    return f"[Lesson {int(name.split('-')[0])}](lessons/{name}.md)"


def summary() -> Markdown:
    """How many claims have which verdict."""
    number = Counter(claim["verdict"] for claim in read_claims())
    return Markdown(
        f"Of {number.total()} statements {number['holds']} hold, {number['holds only if']} hold only under a "
        f"condition, and {number['does not hold']} do not hold."
    )


def claims(note: str) -> Markdown:
    """The claims of a note: verdict, the statement that holds, what the lessons' runs found, the literature."""
    lines = []
    for claim in (claim for claim in read_claims() if claim["id"].startswith(note)):
        naming = [box for box in boxes() if claim["id"] in box["ids"]]
        own = [box["found"] for box in naming if (box["lesson"], box["verdict"]) == (claim["lesson"], claim["verdict"])]
        if not own and "evidence" not in claim:
            raise AssertionError(
                f"Claim {claim['id']} {claim['verdict']}, it says here, but no box of "
                f"{claim['lesson']} that names it has this verdict."
            )
        found = "; ".join(own) or f"`{claim['evidence']}`"
        rows = [
            ("Claim", f"“{claim['quote']}”"),
            ("Verdict", claim["verdict"]),
            ("Precisely", claim["precisely"]),
            ("Found", f"{lesson_link(claim['lesson'])}: {found}"),
        ]
        others = sorted({box["lesson"] for box in naming} - {claim["lesson"]})
        if others:
            rows.append(("See also", ", ".join(map(lesson_link, others))))
        if "sources" in claim:
            rows.append(("Literature", f"{{cite}}`{','.join(claim['sources'])}`"))
        lines += [
            f":::{{container}} claim-tested {claim['verdict'].replace(' ', '-')}",
            f":name: claim-{claim['id'].lower()}",
            "",
            "{.claim-title}",
            claim["id"],
            "",
            *(f"{name}\n: {text}\n" for name, text in rows),
            ":::",
            "",
        ]
    return Markdown("\n".join(lines))


def contradictions() -> Markdown:
    """The ten contradictions between and within the notes."""
    rows = [
        f"| {ids} | {said} | {resolved} | {lesson_link(lesson)} |" for ids, said, resolved, lesson in CONTRADICTIONS
    ]
    return Markdown("\n".join(["| claims | said | resolved | shown in |", "|---|---|---|---|", *rows]))


def benchmark() -> Markdown:
    """The record that ``make bench`` wrote, as two tables with their provenance."""
    record = json.loads((ROOT / "records" / "throughput.json").read_text(encoding="utf-8"))
    made, rows = record["provenance"], record["rows"]
    runs = [row for row in rows if "batch_size" in row]
    sizes = sorted({row["batch_size"] for row in runs})
    names = list(dict.fromkeys(row["what"] for row in runs))
    cell = {(row["what"], row["batch_size"]): row for row in runs}
    lines = [
        "Samples per second, in thousands, and in brackets the ratio to the textbook loop:",
        "",
        "| contestant | " + " | ".join(f"B = {size:,}" for size in sizes) + " |",
        "|---" * (len(sizes) + 1) + "|",
    ]
    for name in names:
        values = [
            f"{cell[name, size]['samples_per_second'] / 1e3:,.1f} ({cell[name, size]['ratio_to_textbook']:.2g})"
            for size in sizes
        ]
        lines.append(f"| {name} | " + " | ".join(values) + " |")
    peak = [f"{cell['sweep', size]['share_of_peak']:.0%}" for size in sizes]
    lines += [
        f"| *sweep, share of the matrix-product peak* | {' | '.join(peak)} |",
        "",
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
    lines += [
        "",
        f"Measured {made['date'][:10]} on {made['cpu']} ({made['cores']} cores, {made['threads']} thread used), "
        f"Python {made['python']}, {versions}. Command: `{made['command']}`. {made['statistic'].capitalize()} of "
        f"{made['repeats']} interleaved repeats; clock: {made['clock']}. Load of the machine before and after: "
        f"{made['load_before']:.1f} and {made['load_after']:.1f}.",
    ]
    return Markdown("\n".join(lines))
