"""How lessons are executed: without progress bars, on all cores, and again when what they call has changed.

Jupyter Book's execution cache knows a lesson by its own cells alone. Here a digest of
``lib/``, ``book/``, the records and the pinned packages is kept beside the cache; when it differs,
the cache is emptied and every lesson is read again. Reading executes one lesson after the
other; so they are executed before, side by side, and reading finds them in the cache.
"""

import hashlib
import logging
import os
import shutil
from pathlib import Path

import one_way_outputs  # noqa: F401  (before processes are forked)
from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor

NAME = "course-code.sha256"
FROM_DATA = {
    "cheat-sheet",
    "claims",
    "homework",
    "index",
}  # pages whose sources are other files: read, and by their own metadata executed, in every build


def code_digest(root: Path) -> str:
    """Digest of everything outside a lesson that its results may depend on: code, records, packages."""
    files = sorted(
        f
        for folder in ("lib", "book", "records")
        for f in (root / folder).rglob("*")
        if f.is_file() and not {"__pycache__", ".unfinished"} & set(f.parts)
    )
    digest = hashlib.sha256()
    for file in [*files, root / "constraints.txt", root / "requirements.txt"]:
        digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def forget(app, config):
    cache = Path(app.srcdir, "_build", ".jupyter_cache")
    app.code_stamp = cache / NAME
    app.code_changed = not (
        app.code_stamp.exists() and app.code_stamp.read_text(encoding="utf-8") == code_digest(Path(app.srcdir))
    )
    if app.code_changed:
        shutil.rmtree(cache, ignore_errors=True)


def reread(app, env, added, changed, removed):
    return sorted(env.found_docs if app.code_changed else env.found_docs & FROM_DATA)


def execute(app, env, docnames):
    """Fill the cache; an error or a long wait is left to the reading, which meets it again and says where it is."""
    cache = get_cache(str(app.code_stamp.parent))
    paths = [env.doc2path(name) for name in docnames if name not in FROM_DATA]
    notebooks = [path for path in paths if "\nkernelspec:" in Path(path).read_text(encoding="utf-8")[:500]]
    for path in notebooks:
        cache.add_nb_to_project(path, read_data={"type": "plugin", "name": "myst_nb_md"})
    if notebooks:
        log = logging.getLogger(__name__)
        log.setLevel(logging.INFO)
        load_executor("local-parallel", cache, log).run_and_cache(filter_uris=notebooks, timeout=300)


def remember(app, exception):
    if exception is None:  # a build that broke off may have left old pages: it stays "changed"
        app.code_stamp.parent.mkdir(parents=True, exist_ok=True)
        app.code_stamp.write_text(
            code_digest(Path(app.srcdir)), encoding="utf-8"
        )  # anew: the build may have measured records


def setup(app):
    os.environ["TQDM_DISABLE"] = "1"  # inherited by the kernels
    app.connect("config-inited", forget)
    app.connect("env-get-outdated", reread)
    app.connect("env-before-read-docs", execute)
    app.connect("build-finished", remember)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
