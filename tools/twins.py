"""Write or check the executed .ipynb twin of every lesson.

    python tools/twins.py format [LESSON.md ...]   put the .md into the form that a Jupyter save gives it
    python tools/twins.py write  [LESSON.md ...]   execute the .md and store the result beside it
    python tools/twins.py run    [LESSON.md ...]   execute the .md and store nothing: do all assertions hold?
    python tools/twins.py check  [LESSON.md ...]   say which twins are not what their .md would give

The .md is the source. A twin holds outputs but no times, random ids or paths, so that
writing it twice gives the same bytes. pytest --nbval compares its outputs with a new run.
"""

import argparse
import os
import sys
from pathlib import Path

import jupytext
import nbformat
import one_way_outputs  # noqa: F401
from jupytext.config import load_jupytext_config
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from widget_views import STATE, VIEW, needs_python

ROOT = Path(__file__).resolve().parents[1]
KEPT_METADATA = ("tags", "mystnb")


def sources(root: Path = ROOT) -> list[Path]:
    """The lessons that hold code, in order."""
    return sorted(
        p for p in (root / "lessons").glob("*.md") if "format_name: myst" in p.read_text(encoding="utf-8")[:400]
    )


def canonical(md: Path) -> str:
    """The .md as a save from Jupyter would write it."""
    notebook = nbformat.reads(nbformat.writes(jupytext.read(md)), as_version=4)  # sorts the metadata
    return jupytext.writes(notebook, fmt="md:myst", config=load_jupytext_config(str(md)))


def execute(md: Path):
    """The executed notebook of a lesson; ends the program at the first error, naming lesson and cell."""
    notebook = jupytext.read(md)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03d}"
        cell.metadata = nbformat.from_dict({k: v for k, v in cell.metadata.items() if k in KEPT_METADATA})
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(md.parent)}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        source = next(c.source for c in notebook.cells if any(o.output_type == "error" for o in c.get("outputs", [])))
        raise SystemExit(f"{md.name} fails in this cell:\n\n{source}\n\n{error.ename}: {error.evalue}") from None
    return notebook


def write(md: Path):
    """Execute a lesson and store its twin."""
    notebook = execute(md)
    models = notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    for cell in notebook.cells:
        for data in [output["data"] for output in cell.get("outputs", []) if VIEW in output.get("data", {})]:
            view = data.pop(VIEW)
            data.setdefault("text/html", needs_python(models, view["model_id"]))
    notebook.metadata = nbformat.from_dict(
        {
            "jupytext": {"default_lexer": "ipython3"},
            "kernelspec": notebook.metadata.kernelspec,
            "language_info": {"name": "python", "file_extension": ".py", "pygments_lexer": "ipython3"},
        }
    )
    partial = md.with_suffix(".ipynb.partial")
    nbformat.write(notebook, partial)
    os.replace(partial, md.with_suffix(".ipynb"))


def problems(md: Path) -> list[str]:
    """Why the twin of a lesson is not what the lesson would give; empty when it is."""
    twin = md.with_suffix(".ipynb")
    if not twin.exists():
        return [f"{twin.name} is missing; run: make lessons"]
    source, stored = jupytext.read(md), nbformat.read(twin, as_version=4)
    found = []
    for number, (a, b) in enumerate(zip(_inputs(source), _inputs(stored))):
        if a != b:
            found.append(f"{twin.name} differs from {md.name} in cell {number}; run: make lessons")
            break
    if len(source.cells) != len(stored.cells):
        found.append(f"{twin.name} has {len(stored.cells)} cells, {md.name} has {len(source.cells)}; run: make lessons")
    if source.metadata.kernelspec != stored.metadata.kernelspec:
        found.append(f"{twin.name} names another kernel than {md.name}; run: make lessons")
    code = [c for c in stored.cells if c.cell_type == "code"]
    counts = [c.execution_count for c in code if "skip-execution" not in c.metadata.get("tags", [])]
    if counts != list(range(1, len(counts) + 1)):
        found.append(f"{twin.name} was not executed from top to bottom; run: make lessons")
    return found


def _inputs(notebook):
    return [
        (c.cell_type, c.source, {k: c.metadata[k] for k in KEPT_METADATA if k in c.metadata}) for c in notebook.cells
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["format", "write", "run", "check"])
    parser.add_argument("lessons", nargs="*", type=Path, metavar="LESSON.md")
    args = parser.parse_args()
    os.environ["TQDM_DISABLE"] = "1"
    failed = False
    for md in [p.resolve() for p in args.lessons] or sources():
        if args.action in ("format", "write"):
            text = canonical(md)
            if text != md.read_text(encoding="utf-8"):
                md.write_text(text, encoding="utf-8")
        if args.action in ("write", "run"):
            print(f"executing {md.name}", flush=True)
            {"write": write, "run": execute}[args.action](md)
        for problem in problems(md) if args.action in ("write", "check") else []:
            print(problem)
            failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
