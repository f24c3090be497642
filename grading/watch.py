"""What all processes of one sandbox use together, looked at ten times a second from outside.

Limits that a process inherits hold for it alone: sixty processes may have sixty times as
much. A file system in memory is limited in bytes, which empty files do not need. Where
control groups are to be had, the kernel sums up memory; this does so everywhere.
"""

import os
import threading
from pathlib import Path

from lib.homework.kernel import end

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
PERIOD = 0.1  # seconds


class Watch:
    """Ends a process and all its descendants when together they use too much.

    Parameters
    ----------
    pid : int
        The first process; it leads a process group.
    memory : int
        Bytes in use; what processes share is counted once.
    processes : int
        Processes and threads.
    files : int
        Files of all kinds in a place, also those that are deleted and still open.
    places : tuple of str
        The file systems in which it may write, as it sees them.

    Attributes
    ----------
    reason : str or None
        Why it was ended, if it was.
    """

    def __init__(self, pid: int, memory: int, processes: int, files: int, places: tuple[str, ...]):
        self.pid, self.memory, self.processes, self.files, self.places = pid, memory, processes, files, places
        self.reason = None
        self._open: list[int] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self):
        root = f"/proc/{descendants(self.pid)[-1]}/root"  # Python's own, before any code of a student has run
        for place in self.places:
            self._open.append(os.open(root + place, os.O_PATH | os.O_DIRECTORY))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        for place in self._open:
            os.close(place)

    def _look(self):
        while not self._over.wait(PERIOD):
            tree = descendants(self.pid)
            threads = sum(len(_names(f"/proc/{pid}/task")) for pid in tree)
            if any(num_files(place) > self.files for place in self._open):
                self.reason = f"the notebook made more than {self.files:,} files"
            elif threads > self.processes:
                self.reason = f"the notebook started more than {self.processes} processes and threads"
            elif sum(map(resident, tree)) > self.memory and sum(map(proportional, tree)) > self.memory:
                self.reason = f"the notebook used more than {self.memory / 2**30:.1f} GiB of memory"
            if self.reason:
                end(self.pid)  # bubblewrap's sandbox ends with it
                return


def descendants(pid: int) -> list[int]:
    """A process and all that it and its children started."""
    found, rest = [], [pid]
    while rest:
        found.append(one := rest.pop())
        for thread in _names(f"/proc/{one}/task"):
            rest += [int(child) for child in _read(f"/proc/{one}/task/{thread}/children").split()]
    return found


def num_files(place: int) -> int:
    """How many files of any kind a file system has in use, by an open folder of it."""
    system = os.statvfs(place)
    return system.f_files - system.f_ffree


def resident(pid: int) -> int:
    """Bytes of memory that a process has, shared or not: quick to ask for."""
    numbers = _read(f"/proc/{pid}/statm").split()
    return int(numbers[1]) * PAGE if len(numbers) > 1 else 0


def proportional(pid: int) -> int:
    """Bytes of memory, a page that n processes share counted as an n-th for each: slow to ask for."""
    for line in _read(f"/proc/{pid}/smaps_rollup").split("\n"):
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _read(path: str) -> str:
    """A file about a process, empty if the process is gone."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []
