"""The whole course as one zip beside the built pages, with its checksum.

    python tools/archive.py [FOLDER]   write FOLDER/epoch-by-epoch.zip, by default in _build/html

It holds what git tracks, or, in a copy without git, all that is not built or hidden. The
same files give the same bytes, whenever and by whom it is made.
"""

import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

from lib.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
NAME = "epoch-by-epoch"
BUILT = {"_build", "build", "__pycache__"}


def course_files(root: Path) -> list[Path]:
    """The course's own files, in order."""
    names: list[str] = []
    if (root / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True)
        names = listed.stdout.decode("utf-8").split("\0") if listed.returncode == 0 else []
    if any(names):
        found = [root / name for name in names if name]
    else:
        found = [
            path
            for path in root.rglob("*")
            if not any(part in BUILT or part.startswith(".") for part in path.relative_to(root).parts)
        ]
    return sorted(path for path in found if path.is_file())


def packed(root: Path) -> bytes:
    """The zip: a folder ``epoch-by-epoch`` with all files, without times and owners."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in course_files(root):
            entry = zipfile.ZipInfo(f"{NAME}/{path.relative_to(root).as_posix()}", date_time=(2000, 1, 1, 0, 0, 0))
            data = path.read_bytes()
            entry.create_system, entry.compress_type = 3, zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if data.startswith(b"#!") else 0o644) << 16
            archive.writestr(entry, data)
    return content.getvalue()


def write(root: Path, folder: Path) -> Path:
    """Write the zip and its checksum, in the form of ``sha256sum``, if they are not there already."""
    content = packed(root)
    line = f"{hashlib.sha256(content).hexdigest()}  {NAME}.zip\n"
    target, checksum = folder / f"{NAME}.zip", folder / f"{NAME}.zip.sha256"
    if not (target.exists() and checksum.exists() and target.read_bytes() == content):
        write_atomically(target, content)
        write_atomically(checksum, line)
    return target


if __name__ == "__main__":
    write(ROOT, Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "_build/html")
