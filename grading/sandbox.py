"""The command that runs a student's process in bubblewrap: no network, a read-only system, memory of its own.

bubblewrap calls itself a toolkit for building sandboxes, not a ready-made one: the
arguments below are all the protection there is. The kernel is shared, and no system
call is filtered.
"""

import shutil
import subprocess
import sys
from pathlib import Path

MEMORY = 3 * 2**30  # bytes of address space
SCRATCH = 256 * 2**20  # bytes of files, in memory
LARGEST_FILE = 64 * 2**20
PROCESSES = 256  # of the user who grades, not of one sandbox; root has no such limit
INSTALL = "Debian and Ubuntu: apt install bubblewrap"


def why_not() -> str | None:
    """Why no sandbox can be made here, in a sentence; None if one can."""
    for program in ("bwrap", "prlimit"):
        if not shutil.which(program):
            return (
                f"{program} is missing, and without it a student's code could do whatever you can do here. "
                f"Install it ({INSTALL}; there is none for macOS and Windows, see the instructor guide), "
                f"or say --unsafe if you trust every submission."
            )
    tried = subprocess.run([*_bubblewrap(), "--", "/usr/bin/env", "true"], capture_output=True, encoding="utf-8")
    if tried.returncode:
        return f"bubblewrap cannot make a sandbox on this machine ({tried.stderr.strip()[:200]}); see the instructor guide."
    return None


def command(shared: Path) -> list[str]:
    """What starts ``inside.py`` in a sandbox.

    Parameters
    ----------
    shared : path
        The folder with the released ``lib``, which every sandbox reads and none can write.
    """
    limits = [
        "prlimit",
        f"--as={MEMORY}",
        f"--fsize={LARGEST_FILE}",
        f"--nproc={PROCESSES}",
        "--nofile=256",
        "--core=0",
    ]
    environment = {
        "HOME": "/homework",
        "LANG": "C.UTF-8",
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PATH": f"{sys.prefix}/bin:/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    settings = [word for name, value in environment.items() for word in ("--setenv", name, value)]
    readable = [
        word
        for folder in dict.fromkeys([sys.base_prefix, sys.prefix])
        if not Path(folder).is_relative_to("/usr")
        for word in ("--ro-bind", folder, folder)
    ]
    return [
        *limits,
        *_bubblewrap(),
        *readable,
        "--size",
        str(SCRATCH),
        "--tmpfs",
        "/homework",
        "--ro-bind",
        str(shared / "lib"),
        "/homework/lib",
        "--chdir",
        "/homework",
        *settings,
        "--",
        sys.executable,
        "/homework/lib/homework/inside.py",
    ]


def _bubblewrap() -> list[str]:
    links = [
        word
        for folder in ("/bin", "/lib", "/lib64")
        if Path(folder).is_symlink()
        for word in ("--symlink", "usr" + folder, folder)
    ]
    real = [
        word
        for folder in ("/bin", "/lib", "/lib64")
        if Path(folder).is_dir() and not Path(folder).is_symlink()
        for word in ("--ro-bind", folder, folder)
    ]
    return [
        "bwrap",
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
        "--clearenv",
        "--ro-bind",
        "/usr",
        "/usr",
        *links,
        *real,
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--ro-bind-try",
        "/etc/ld.so.cache",
        "/etc/ld.so.cache",
    ]
