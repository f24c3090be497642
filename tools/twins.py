"""Write or check the executed .ipynb twin of every lesson.

    python tools/twins.py format [LESSON.md ...]   put the .md into the form that a Jupyter save gives it
    python tools/twins.py write  [LESSON.md ...]   execute the .md and store the result beside it
    python tools/twins.py update [LESSON.md ...]   the same, but only where something changed that it is made from
    python tools/twins.py run    [LESSON.md ...]   execute the .md and store nothing: do all assertions hold?
    python tools/twins.py check  [LESSON.md ...]   say which twins are not what their .md would give

A lesson that fails does not stop the others. The .md is the source. A twin holds outputs
but no times, random ids or paths, so that writing it twice gives the same bytes.
pytest --nbval compares its outputs with a new run.
"""

import argparse
import ast
import hashlib
import os
import re
import sys
from collections import defaultdict
from pathlib import Path

import jupytext
import nbformat
import one_way_outputs  # noqa: F401
from jupytext.config import load_jupytext_config
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from widget_views import STATE, VIEW, needs_python

from book.contents import with_reading_time
from lib.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
KEPT_METADATA = ("tags", "mystnb")
MADE_WITH = {".py", ".csv", ".js", ".css"}  # files of ``lib`` that outputs are made with
MADE_FROM = "made_from"  # the digest in a twin's metadata


def sources(root: Path = ROOT) -> list[Path]:
    """The lessons that hold code, in order."""
    return sorted(
        p for p in (root / "lessons").glob("*.md") if "format_name: myst" in p.read_text(encoding="utf-8")[:400]
    )


def canonical(md: Path) -> str:
    """The .md as a save from Jupyter would write it; its *Time* line says what its words take to read."""
    notebook = nbformat.reads(nbformat.writes(jupytext.read(md)), as_version=4)  # sorts the metadata
    return with_reading_time(jupytext.writes(notebook, fmt="md:myst", config=load_jupytext_config(str(md))))


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
            MADE_FROM: surroundings(notebook),
        }
    )
    write_atomically(md.with_suffix(".ipynb"), nbformat.writes(notebook) + "\n")


def is_stale(md: Path) -> bool:
    """Whether anything changed that a twin is made from: by content, since a clone gives every file a new time."""
    if problems(md):
        return True
    twin = nbformat.read(md.with_suffix(".ipynb"), as_version=4)
    return twin.metadata.get(MADE_FROM) != surroundings(twin)


def surroundings(notebook) -> str:
    """Digest of what a lesson's outputs depend on besides the lesson: ``lib``, the pins, the records it reads."""
    files = list(ROOT.glob("*.txt"))
    for folder in ["lib", "book"] if "from book import" in code(notebook) else ["lib"]:
        files += [path for path in (ROOT / folder).rglob("*.*") if path.suffix in MADE_WITH]
    for pattern in records_of(code(notebook)):
        files += (ROOT / "records").glob(f"{pattern}.json")
    made = hashlib.sha256()
    for file in sorted(set(files)):  # as text, whose line ends do not count
        made.update(f"{file.relative_to(ROOT).as_posix()}\0{file.read_text(encoding='utf-8')}\0".encode())
    return made.hexdigest()[:16]


def code(notebook) -> str:
    """All code of a notebook, as one source."""
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")


def records_of(source: str) -> set[str]:
    """Names of the records that a page's code asks for, itself or through functions of ``lib.experiments`` or ``book``.

    ``*`` stands for a part of a name that only a run would tell.
    """
    functions = defaultdict(list)
    for file in [*(ROOT / "lib/experiments").glob("*.py"), *(ROOT / "book").glob("*.py")]:
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                functions[node.name].append(node)
    found, waiting = set(), [ast.parse(re.sub(r"^\s*[%!].*$", "", source, flags=re.MULTILINE))]
    while waiting:
        for call in [node for node in ast.walk(waiting.pop()) if isinstance(node, ast.Call)]:
            function = getattr(call.func, "attr", getattr(call.func, "id", ""))
            waiting += functions.pop(function, [])
            named = call.args[0] if call.args else None
            if function in ("remember", "remember_long", "load") and isinstance(named, (ast.Constant, ast.JoinedStr)):
                parts = getattr(named, "values", [named])
                name = "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in parts)
                found.add(re.sub(r"\*+", "*", name))
    return found


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
    parser.add_argument("action", choices=["format", "write", "update", "run", "check"])
    parser.add_argument("lessons", nargs="*", type=Path, metavar="LESSON.md")
    args = parser.parse_args()
    os.environ["TQDM_DISABLE"] = "1"
    failed = False
    for md in [p.resolve() for p in args.lessons] or sources():
        try:
            found = act(args.action, md)
        except SystemExit as failure:
            found = [str(failure)]
        for problem in found:
            print(problem, file=sys.stderr)
        failed |= bool(found)
    sys.exit(failed)


def act(action: str, md: Path) -> list[str]:
    """Do with one lesson what the command says; what is wrong with its twin then, or why it cannot be made."""
    if action in ("format", "write", "update"):
        text = canonical(md)
        if text != md.read_text(encoding="utf-8"):
            write_atomically(md, text)
    if action in ("write", "run") or action == "update" and is_stale(md):
        print(f"executing {md.name}", flush=True)
        run = execute if action == "run" else write
        run(md)
    return problems(md) if action in ("write", "update", "check") else []


if __name__ == "__main__":
    main()
