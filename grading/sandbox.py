"""A student's process in bubblewrap: no network, a read-only system, memory and processes of its own.

bubblewrap calls itself a toolkit for building sandboxes, not a ready-made one: the
arguments below, the filter of system calls, the limits and ``grading.watch`` are all
the protection there is. The kernel is shared.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from grading import syscalls
from grading.watch import Watch

MEMORY = 3 * 2**30  # bytes of address space of one process
MEMORY_IN_ALL = 2 * 2**30  # bytes in use by all processes of a sandbox
SCRATCH = 256 * 2**20  # bytes of files in the notebook's folder, in memory
SHARED_MEMORY = 64 * 2**20  # bytes of /dev/shm
LARGEST_FILE = 64 * 2**20
FILES = 20_000  # in each of the two; the kernel needs memory for an empty one, too
PROCESSES = 64  # and threads, of one sandbox
FOR_SYSTEMD = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")  # where systemd-run finds the user's systemd
INSTALL = "Debian and Ubuntu: apt install bubblewrap libseccomp2"
CHILDREN = Path(f"/proc/self/task/{os.getpid()}/children")  # how grading.watch finds a sandbox's processes
APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
SWITCHES = {  # what forbids user namespaces, with the value that does, and what allows them again
    Path("/proc/sys/user/max_user_namespaces"): ("0", "sudo sysctl user.max_user_namespaces=10000"),
    Path("/proc/sys/kernel/unprivileged_userns_clone"): ("0", "sudo sysctl kernel.unprivileged_userns_clone=1"),
    APPARMOR: (
        "1",
        "sudo cp grading/recipes/bwrap.apparmor /etc/apparmor.d/bwrap && sudo apparmor_parser -r /etc/apparmor.d/bwrap",
    ),
}


@dataclass(frozen=True)
class Sandbox:
    """Starts ``inside.py`` in a sandbox of its own, each time anew.

    Parameters
    ----------
    shared : path
        The folder with the released ``lib`` and ``tests``, which every sandbox reads and none can write.
    """

    shared: Path

    def start(self, **streams) -> subprocess.Popen:
        """As ``subprocess.Popen`` does; the arguments travel in a file and the environment is empty.

        For bubblewrap is the first process in the sandbox, and the student's code can read what
        it was started with.
        """
        group, bubblewrap = control_group(), shutil.which("bwrap") or "bwrap"
        words, program = _file("\0".join(self.arguments()).encode()), _file(syscalls.program())
        try:
            return subprocess.Popen(
                [*group, bubblewrap, "--args", str(words), "--seccomp", str(program), *self.command()],
                pass_fds=(words, program),
                env={name: os.environ[name] for name in FOR_SYSTEMD if name in os.environ} if group else {},
                cwd="/",
                **streams,
            )
        finally:
            os.close(words)
            os.close(program)

    def arguments(self) -> list[str]:
        """What bubblewrap shows to the student's code of this machine, and what it hides."""
        environment = {
            "HOME": "/homework",
            "LANG": "C.UTF-8",
            "MPLBACKEND": "agg",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PATH": f"{sys.prefix}/bin:/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return [
            *"--unshare-all --unshare-user --disable-userns --die-with-parent --new-session --cap-drop ALL".split(),
            *"--hostname homework --clearenv --ro-bind /usr /usr".split(),
            *_system_folders(),
            *"--ro-bind-try /etc/ld.so.cache /etc/ld.so.cache".split(),
            *(word for folder in _folders_of_python() for word in ("--ro-bind", folder, folder)),
            *"--proc /proc --dev /dev".split(),
            *("--size", str(SHARED_MEMORY), "--tmpfs", "/dev/shm"),
            *("--size", str(SCRATCH), "--tmpfs", "/homework"),
            *("--ro-bind", str(self.shared / "lib"), "/homework/lib"),
            *("--ro-bind-try", str(self.shared / "tests"), "/homework/tests"),
            *"--remount-ro /dev --remount-ro / --chdir /homework".split(),
            *(word for name, value in environment.items() for word in ("--setenv", name, value)),
        ]

    def command(self) -> list[str]:
        """Python behind limits that are set inside, where they count this sandbox alone and not the user."""
        limits = {
            "as": MEMORY,
            "fsize": LARGEST_FILE,
            "nofile": 128,
            "core": 0,
            "memlock": 2**16,
            "msgqueue": 0,
            "sigpending": 256,
        }
        if _counts_processes_per_sandbox():
            limits["nproc"] = PROCESSES
        settings = [f"--{name}={value}" for name, value in limits.items()]
        return ["--", "/usr/bin/prlimit", *settings, "--", sys.executable, "/homework/lib/homework/inside.py"]


def watch(pid: int) -> Watch:
    """Ends a sandbox when all its processes together use too much; bubblewrap's own are among them."""
    return Watch(pid, MEMORY_IN_ALL, PROCESSES + 16, FILES, ("/homework", "/dev/shm"))


@cache
def control_group() -> tuple[str, ...]:
    """What starts a command in a control group of its own, where the kernel itself sums up; empty if there is none."""
    limits = {"MemoryMax": MEMORY_IN_ALL, "MemorySwapMax": 0, "TasksMax": PROCESSES + 16}
    command = (
        *(shutil.which("systemd-run") or "systemd-run", *"--user --scope --quiet --collect".split()),
        *(word for name, value in limits.items() for word in ("-p", f"{name}={value}")),
        *("--", "/usr/bin/env", "-i"),
    )
    try:
        tried = subprocess.run([*command, "true"], capture_output=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return command if tried.returncode == 0 else ()


def description() -> str:
    """How a submission is run, for results that depend on it."""
    sizes = (MEMORY, MEMORY_IN_ALL, SCRATCH, SHARED_MEMORY, LARGEST_FILE, FILES, PROCESSES)
    return f"sandbox {sizes} {_counts_processes_per_sandbox()} {control_group()}"


ROOT = Path(__file__).resolve().parents[1]


def why_not(shared: Path = ROOT) -> str | None:
    """Why no sandbox can be made here, in a sentence; None if one can: the whole of it is tried."""
    if not hasattr(os, "geteuid") or platform.system() != "Linux":
        return (
            "There is no sandbox for this system, only for Linux, and without one a student's code could do whatever "
            "you can do here. See the instructor guide, or say --unsafe if you trust every submission."
        )
    if os.geteuid() == 0:
        return (
            "You are root, and what leaves a sandbox of root's is root. Grade as an ordinary user who can read the "
            "course and the submissions, as in: runuser -u USER -- make grade …"
        )
    missing = [program for program in ("bwrap", "prlimit") if not shutil.which(program)]
    try:
        syscalls.program()
    except OSError:
        missing.append("libseccomp")
    if missing:
        return (
            f"{missing[0]} is missing, and without it a student's code could do whatever you can do here. "
            f"Install it ({INSTALL}), or say --unsafe if you trust every submission."
        )
    if not CHILDREN.exists():
        return "This kernel does not say which processes a process started; it needs CONFIG_PROC_CHILDREN."
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    try:
        with Sandbox(shared).start(**pipes) as tried:
            heard, said = tried.communicate(b"", timeout=60)
    except subprocess.TimeoutExpired:
        tried.kill()
        heard, said = b"", b"it did not answer within 60 seconds"
    return None if b"ready" in heard else _reason(said.decode(errors="replace").strip().split("\n")[-1][:200])


def _reason(said: str) -> str:
    if "disable-userns" in said or "Unknown option" in said:
        return (
            f"bubblewrap is older than 0.8, which cannot close the sandbox from inside ({said}); install a newer one."
        )
    for switch, (forbids, remedy) in SWITCHES.items():
        if switch.exists() and switch.read_text(encoding="utf-8").strip() == forbids:
            return (
                f"This system lets no ordinary program make a sandbox ({switch.name} is {forbids}; bubblewrap says: "
                f"{said}). An administrator can allow it once with: {remedy}"
            )
    return f"bubblewrap cannot make a sandbox on this machine ({said}); see the instructor guide."


def _system_folders() -> list[str]:
    """/bin and /lib as they are here: links into /usr, or folders."""
    words = []
    for folder in ("/bin", "/lib", "/lib64"):
        if Path(folder).is_symlink():
            words += ["--symlink", "usr" + folder, folder]
        elif Path(folder).is_dir():
            words += ["--ro-bind", folder, folder]
    return words


def _folders_of_python() -> list[str]:
    folders = dict.fromkeys([sys.base_prefix, sys.prefix])
    return [folder for folder in folders if not Path(folder).is_relative_to("/usr")]


def _counts_processes_per_sandbox() -> bool:
    """Whether RLIMIT_NPROC counts a user namespace's processes: since Linux 5.14 (ucounts(7)), before that a user's."""
    version = re.match(r"(\d+)\.(\d+)", platform.release())
    return version is not None and (int(version[1]), int(version[2])) >= (5, 14)


def _file(content: bytes) -> int:
    """An open file that exists in memory alone, to be read from its beginning."""
    number = os.memfd_create("grading")
    os.write(number, content)
    os.lseek(number, 0, os.SEEK_SET)
    return number
