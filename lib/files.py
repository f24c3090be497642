"""Files that are written whole or not at all."""

import os
import secrets
from pathlib import Path


def write_atomically(path: str | os.PathLike, content: str | bytes, *, sync: bool = False) -> Path:
    """Write a file so that a reader, a crash or a full disk leaves the old content or the new one, never a part.

    Text is written as UTF-8 with its line ends as they are. Folders that are missing are
    made. The file gets mode 0644, less what the umask takes away.

    Parameters
    ----------
    path : path
        Whatever is there is replaced.
    content : str or bytes
    sync : bool
        Wait until the content is on the disk; without it, it survives the end of the
        process but perhaps not the end of power.

    Returns
    -------
    pathlib.Path
        ``path``.

    Raises
    ------
    OSError
        It cannot be written; what was there stays, and nothing else is left behind.
    """
    path = Path(path)
    content = content.encode("utf-8") if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}.part")
    try:
        with open(unfinished, "xb", opener=lambda name, flags: os.open(name, flags, 0o644)) as file:
            file.write(content)
            if sync:
                file.flush()
                os.fsync(file.fileno())  # a new name may reach the disk before the content does
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path
