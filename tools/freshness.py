"""At the end of a page: when it was executed, with what, how long that took, and from when the records it reads are.

All of it comes from the cache of executed pages and from the records, so building again changes nothing.
"""

import contextlib
import datetime
import html
import platform
import re
from importlib.metadata import version
from pathlib import Path

import jupytext
import twins
from myst_nb.sphinx_ import NbMetadataCollector

from lib import records

OF_BOOK = re.compile(r"^from book(?:\.(\w+))? import (.+)$", re.MULTILINE)  # pages made by a module of book/


def record_dates(source: Path) -> dict[str, list[str]]:
    """The records that a page reads, by the day on which they were measured."""
    root, code = twins.ROOT, twins.code(jupytext.read(source))
    for module, names in OF_BOOK.findall(code):
        for name in [module] if module else re.findall(r"\w+", names):
            code += "\n" + (root / f"book/{name}.py").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    for path in sorted(
        {path for pattern in twins.records_of(code) for path in (root / "records").glob(f"{pattern}.json")}
    ):
        with contextlib.suppress(ValueError):  # a damaged record is named, and measured again, by the page
            day = records.load(path.stem, path.parent).provenance["date"][:10]
            found.setdefault(day, []).append(path.stem)
    return dict(sorted(found.items()))


def sentence(done: dict | None, dates: dict[str, list[str]]) -> str:
    """The line of a page; ``done`` is what MyST-NB knows about its execution, None if it holds no code."""
    course = f"Epoch by epoch {version('epoch-by-epoch')}."
    if not done or done.get("runtime") is None:
        return f"Nothing is executed on this page. {course}"
    day = datetime.datetime.fromtimestamp(done["mtime"]).date()
    said = [
        f"Executed on {day} in {max(1, round(done['runtime']))} s, with Python {platform.python_version()}, "
        f"PyTorch {version('torch')} and NumPy {version('numpy')}."
    ]
    if dates:
        said.append("Records: " + "; ".join(f"{', '.join(names)} of {when}" for when, names in dates.items()) + ".")
    return " ".join([*said, course])


def add(app, pagename, templatename, context, doctree):
    if doctree is None or "body" not in context:
        return
    done = NbMetadataCollector.get_exec_data(app.env, pagename)
    dates = record_dates(Path(app.env.doc2path(pagename))) if done else {}
    context["body"] += f'<p class="freshness">{html.escape(sentence(done, dates))}</p>'


def setup(app):
    app.connect("html-page-context", add, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
