"""How lessons are executed: without progress bars, and again when the code they call has changed.

Jupyter Book's execution cache knows a lesson by its own cells alone. Here a digest of
``lib/`` and of the pinned packages is kept beside the cache; when it differs, the cache
is emptied and every lesson is read again.
"""
import hashlib
import os
import shutil
from pathlib import Path

NAME = "course-code.sha256"


def code_digest(root: Path) -> str:
    """Digest of everything outside a lesson that its results may depend on."""
    files = sorted(f for f in (root / "lib").rglob("*") if f.is_file() and "__pycache__" not in f.parts)
    digest = hashlib.sha256()
    for file in [*files, root / "constraints.txt", root / "requirements.txt"]:
        digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def forget(app, config):
    cache = Path(app.srcdir, "_build", ".jupyter_cache")
    app.code_digest, app.code_stamp = code_digest(Path(app.srcdir)), cache / NAME
    app.code_changed = not (app.code_stamp.exists() and app.code_stamp.read_text() == app.code_digest)
    if app.code_changed:
        shutil.rmtree(cache, ignore_errors=True)


def reread(app, env, added, changed, removed):
    return sorted(env.found_docs) if app.code_changed else []


def remember(app, exception):
    if exception is None:  # a build that broke off may have left old pages: it stays "changed"
        app.code_stamp.parent.mkdir(parents=True, exist_ok=True)
        app.code_stamp.write_text(app.code_digest)


def setup(app):
    os.environ["TQDM_DISABLE"] = "1"  # inherited by the kernels
    app.connect("config-inited", forget)
    app.connect("env-get-outdated", reread)
    app.connect("build-finished", remember)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
