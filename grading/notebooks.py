"""From a file that somebody handed in to the notebook in it, or to a sentence why there is none."""

import io
import json
import os
import re
import stat
import zipfile
from pathlib import Path

from lib.homework.inside import shown

LARGEST = 20_000_000  # bytes of a notebook
MOST_ENTRIES = 10_000  # of a zip file
BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile reads as much of them as asked for, of others all
NOTEBOOK = re.compile(r"\.ipynb[^a-z]*(\.(txt|json))?$", re.IGNORECASE)  # as browsers and systems rename it, too
ARCHIVE = re.compile(r"\.(zip|7z|rar|tar|tgz|gz|bz2|xz)$", re.IGNORECASE)


class NotGradable(Exception):
    """Why a file is not a notebook that can be run."""


def may_hold_one(name: str) -> bool:
    """Whether a file of this name is opened to look for a notebook."""
    return bool(NOTEBOOK.search(name)) or name.lower().endswith(".zip")


def read_notebook(path: Path) -> tuple[dict, bytes]:
    """The notebook in a file or in a zip file, as parsed JSON and as bytes; NotGradable says what is wrong."""
    content = read_file(path)
    named_zip = path.name.lower().endswith(".zip") and not content.lstrip().startswith(b"{")
    if named_zip or content.startswith((b"PK\3\4", b"PK\5\6")):
        content = from_zip(content)
    try:
        notebook = json.loads(content)  # UTF-8, UTF-16 or UTF-32
    except (ValueError, RecursionError):
        raise NotGradable("it is no notebook (not JSON)") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise NotGradable("it is no notebook of version 4 (no list of cells)")
    for cell in cells:
        source = cell.setdefault("source", "")
        text = isinstance(source, str) or isinstance(source, list) and all(isinstance(line, str) for line in source)
        if not text or not isinstance(cell.get("cell_type"), str):
            raise NotGradable("it has a cell without a type or a text")
    return notebook, content


def read_file(path: Path) -> bytes:
    """An ordinary file's bytes, however the path came about: a pipe or a device would never end."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise NotGradable("it is a link")
        if stat.S_ISDIR(mode):
            raise NotGradable("it is a folder")
        if not stat.S_ISREG(mode):
            raise NotGradable("it is no ordinary file")
        with open(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # it was changed meanwhile
                raise NotGradable("it is no ordinary file")
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise NotGradable(f"it cannot be read ({error.strerror})") from None
    if len(content) > LARGEST:
        raise NotGradable("it is larger than 20 MB")
    return content


def from_zip(content: bytes) -> bytes:
    """The one notebook in a zip file; never more of it than a notebook may have."""
    if content.count(b"PK\1\2") > MOST_ENTRIES:  # each entry is listed behind these bytes
        raise NotGradable(f"the zip file has more than {MOST_ENTRIES:,} entries")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir() and not is_debris(entry.filename)]
            notebooks = [entry for entry in entries if NOTEBOOK.search(entry.filename)]
            if len(notebooks) != 1:
                nested = [entry for entry in entries if ARCHIVE.search(entry.filename)]
                raise NotGradable(
                    f"the zip file has {len(notebooks)} notebooks instead of one: "
                    f"{listed([entry.filename for entry in notebooks or nested or entries])}"
                )
            if notebooks[0].compress_type not in BOUNDED:
                raise NotGradable("the zip file is packed in an unusual way; pack it as your system does by itself")
            with archive.open(notebooks[0]) as file:
                content = file.read(LARGEST + 1)
    except NotGradable:
        raise
    except Exception as error:  # a damaged archive fails in as many ways as it has fields
        raise NotGradable(f"the zip file cannot be read ({type(error).__name__}: {str(error)[:200]})") from None
    if len(content) > LARGEST:
        raise NotGradable("the notebook in the zip file is larger than 20 MB")
    return content


def is_debris(name: str) -> bool:
    """Whether a system or a program left it beside what somebody meant to hand in."""
    parts = name.replace("\\", "/").split("/")
    return any(part.startswith((".", "__MACOSX", "__pycache__")) for part in parts) or parts[-1].lower() in (
        "thumbs.db",
        "desktop.ini",
    )


def listed(names: list[str], most: int = 8) -> str:
    """The first few of some names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(shown(name, 100) for name in names[:most]) or "nothing") + more
