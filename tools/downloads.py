"""From the page to running code: a lesson's notebook, the whole course as a zip, and where else it can be started.

The menu of downloads offers the executed twin of a lesson as ``.ipynb``, with one cell
before it that finds the course, and the course as ``.zip`` (``tools/archive.py``). Where
``course_address`` in ``_config.yml`` says at which address the built book is published,
that cell fetches the course from there, and a menu offers Kaggle. For Colab and Binder the
pages must be the branch ``gh-pages`` of a repository on GitHub.
"""

import re
from pathlib import Path
from urllib.parse import quote

import archive
import nbformat

from lib.files import write_atomically

FIRST_CELL = Path(__file__).with_name("first_cell.py")
CELL_METADATA = {"tags": ["remove-cell"], "jupyter": {"source_hidden": True}, "cellView": "form"}


def address_of(app) -> str:
    """The book's address with a slash behind it; empty if there is none."""
    address = app.config.course_address.strip()
    if address and not re.match(r"https?://[^\s\"'<>]+$", address):
        raise ValueError(
            f"course_address is {address!r}, but it must be an address such as https://owner.github.io/name/"
        )
    return address.rstrip("/") + "/" if address else ""


def notebook(twin: Path, address: str) -> str:
    """The text of a lesson's notebook with the cell that finds the course."""
    lesson = nbformat.read(twin, as_version=4)
    source = (
        FIRST_CELL.read_text(encoding="utf-8").rstrip().replace('find_the_course("")', f"find_the_course({address!r})")
    )
    cell = nbformat.v4.new_code_cell(source, id="find-the-course", metadata=CELL_METADATA)
    lesson.cells.insert(0, cell)
    return nbformat.writes(lesson) + "\n"


def places(address: str, page: str) -> list[tuple[str, str]]:
    """(name, address) of the services on which a lesson can be started."""
    served = f"{address}_sources/{page}.ipynb"
    found = [("Kaggle", f"https://www.kaggle.com/kernels/welcome?src={quote(served, safe='')}")]
    on_github = re.match(r"https://([\w-]+)\.github\.io/([\w.-]+)/$", address)
    if on_github:
        repository = f"{on_github[1]}/{on_github[2]}"
        colab = f"https://colab.research.google.com/github/{repository}/blob/gh-pages/_sources/{page}.ipynb"
        binder = f"https://mybinder.org/v2/gh/{repository}/HEAD?urlpath={quote(f'lab/tree/{page}.ipynb', safe='')}"
        found = [("Colab", colab), *found, ("Binder", binder)]
    return found


def offer_notebook(app, pagename, templatename, context, doctree):
    """Before the theme makes its menu: the notebook of a lesson."""
    twin = Path(app.srcdir, f"{pagename}.ipynb")
    if twin.exists() and pagename in app.env.found_docs:
        write_atomically(Path(app.outdir, "_sources", f"{pagename}.ipynb"), notebook(twin, address_of(app)))
        context["ipynb_source"] = f"{pagename}.ipynb"


def offer_more(app, pagename, templatename, context, doctree):
    """After it: the zip, and where a lesson can be started."""
    buttons = context.get("header_buttons", [])
    for group in buttons:
        if group.get("label") == "download-buttons":
            group["buttons"].insert(
                -1,  # the last one prints
                {
                    "type": "link",
                    "url": context["pathto"](f"{archive.NAME}.zip", 1),
                    "text": ".zip",
                    "tooltip": "Download the whole course",
                    "icon": "fas fa-file-zipper",
                    "label": "download-course-button",
                },
            )
    if context.get("ipynb_source") and address_of(app):
        links = [
            {"type": "link", "url": url, "text": name, "tooltip": f"Start on {name}", "icon": "fas fa-rocket"}
            for name, url in places(address_of(app), pagename)
        ]
        buttons.append(
            {
                "type": "group",
                "tooltip": "Start this lesson elsewhere",
                "icon": "fas fa-rocket",
                "buttons": links,
                "label": "launch-buttons",
            }
        )


def pack(app, exception):
    if exception is None and app.builder.format == "html":
        archive.write(Path(app.srcdir), Path(app.outdir))


def setup(app):
    app.add_config_value("course_address", "", "html")
    app.connect("html-page-context", offer_notebook, priority=100)
    app.connect("html-page-context", offer_more, priority=850)
    app.connect("build-finished", pack)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
