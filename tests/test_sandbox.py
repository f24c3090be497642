"""What code in the sandbox can see, take and break; each of these once worked or once stopped a class."""

import json
import os
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from grading import sandbox, syscalls
from grading.sandbox import Sandbox
from lib.homework.kernel import Kernel, KernelGone

ROOT = Path(__file__).resolve().parents[1]
reason = sandbox.why_not()
needs_sandbox = pytest.mark.skipif(reason is not None and not os.environ.get("CI"), reason=str(reason))


def inside(source: str, seconds: float = 20):
    """What ``out`` is after the source was run in a sandbox of its own."""
    with Kernel(Sandbox(ROOT).start) as kernel, sandbox.watch(kernel.pid) as watched:
        try:
            error = kernel.run("import os\nout = None\n" + textwrap.dedent(source), seconds)
            return error or kernel.ask({"value": "out"}).get("plain")
        except KernelGone as gone:
            return watched.reason or str(gone)


@needs_sandbox
def test_nothing_of_the_grader_is_seen(monkeypatch):
    monkeypatch.setenv("SECRET", "of the grader")
    seen = inside("""
        out = []
        for number in filter(str.isdigit, os.listdir('/proc')):
            for name in ('environ', 'cmdline', 'task/%s/environ' % number, 'task/%s/cmdline' % number):
                out.append(open(f'/proc/{number}/{name}').read())
        """)
    assert len(seen) >= 8 and not any("of the grader" in text or "pytest" in text for text in seen)
    environment = inside("out = dict(os.environ)")
    assert not set(environment) & set(os.environ) - {"HOME", "LANG", "LC_CTYPE", "MPLBACKEND", "PATH", "PWD"} - {
        name for name in os.environ if name.startswith(("OMP_", "OPENBLAS_", "PYTHON"))
    }
    assert inside("out = os.listdir('/etc')") in ([], ["ld.so.cache"])


@needs_sandbox
def test_only_processes_of_the_sandbox_are_seen():
    assert inside("out = [int(n) for n in os.listdir('/proc') if n.isdigit()]") == [1, 2]


FORBIDDEN = {
    "a user namespace": "if libc.unshare(0x10000000) == 0: out = 'made'",
    "a mount namespace": "if libc.unshare(0x20000) == 0: out = 'made'",
    "a namespace by clone": "if libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0) > 0: out = 'made'",
    "another process' memory": "if libc.ptrace(16, 1, 0, 0) == 0: out = 'attached'",
    "memory without a name": "out = os.memfd_create('x')",
    "shared memory of System V": "if libc.shmget(0, 4096, 0o1600) >= 0: out = 'made'",
    "messages of System V": "if libc.msgget(0, 0o1600) >= 0: out = 'made'",
    "watches of files": "if libc.inotify_init() >= 0: out = 'made'",
    "processors": "os.sched_setaffinity(0, os.sched_getaffinity(0)); out = 'set'",
    "the host beside the network": "import socket; out = str(socket.socket(40, socket.SOCK_STREAM))",
    "the kernel's sockets": "import socket; out = str(socket.socket(16, socket.SOCK_RAW))",
    "packets": "import socket; out = str(socket.socket(17, socket.SOCK_RAW))",
    "ciphers of the kernel": "import socket; out = str(socket.socket(38, 5))",
    "io_uring": "if libc.syscall(425, 4, ctypes.create_string_buffer(200)) >= 0: out = 'made'",
    "bpf": "if libc.syscall(321, 0, ctypes.create_string_buffer(200), 200) >= 0: out = 'made'",
    "keys of the user": "if libc.syscall(248, b'user', b'x', b'y', 1, -2) > 0: out = 'made'",
}


@needs_sandbox
@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_kernel_is_asked_for_nothing_that_a_notebook_does_not_need(what):
    said = inside(f"import ctypes\nlibc = ctypes.CDLL(None)\n{FORBIDDEN[what]}")
    assert said is None or said.startswith(("PermissionError", "OSError", "AttributeError")), said


@needs_sandbox
def test_what_a_notebook_needs_works():
    said = inside("""
        import asyncio, multiprocessing, numpy, subprocess, tempfile, threading
        async def one():
            return 1
        total = asyncio.new_event_loop().run_until_complete(one())
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()
        with multiprocessing.get_context('fork').Pool(2) as pool:
            total += sum(pool.map(abs, [1, -2]))
        total += int(numpy.linalg.det(numpy.eye(50)))
        with tempfile.TemporaryFile() as file:
            total += file.write(b'x')
        out = total + len(subprocess.run(['echo', 'a'], capture_output=True).stdout)
        """)
    assert said == 1 + 3 + 1 + 1 + 2


@needs_sandbox
def test_files_have_little_room_wherever_they_may_be_written():
    written = inside("""
        out = {}
        for folder, _, _ in os.walk('/'):
            if folder.startswith(('/proc', '/usr', '/sys')):
                continue
            size = 0
            try:
                for number in range(40):
                    with open(f'{folder}/big{number}', 'wb') as file:
                        for _ in range(16):
                            size += file.write(bytes(4 * 2**20))
            except OSError:
                pass
            for number in range(41):
                try:
                    os.unlink(f'{folder}/big{number}')
                except OSError:
                    pass
            if size:
                out[folder] = size / 2**20
        """)
    assert {"/dev/shm", "/homework"} <= set(written)
    assert not {"/", "/dev", "/tmp"} & set(written)
    assert all(size <= (64 if folder == "/dev/shm" else 256) for folder, size in written.items()), written


@needs_sandbox
@pytest.mark.parametrize("folder", ["/homework", "/dev/shm"])
@pytest.mark.parametrize(
    "make", ["os.close(os.open(name, os.O_CREAT))", "os.mkdir(name)", "os.symlink('x', name)", "os.mkfifo(name)"]
)
def test_empty_files_are_counted_wherever_they_may_be_made(folder, make):
    """A kilobyte of the kernel's memory each, which no limit in bytes counts."""
    many = f"""
        import time
        for number in range(SOME):
            name = f'{folder}/{{number}}'
            {make}
        time.sleep(1)
        out = 'lived'
        """
    assert inside(many.replace("SOME", "25_000")) == "the notebook made more than 20,000 files"
    assert inside(many.replace("SOME", "2_000")) == "lived"


THREADS = """
    import threading, time
    out = 0
    try:
        for _ in range(500):
            threading.Thread(target=time.sleep, args=(3,), daemon=True).start()
            out += 1
    except RuntimeError:
        pass
    """


@needs_sandbox
def test_processes_are_counted_for_each_sandbox_alone():
    """A desktop of the same user with hundreds of threads, and a neighbour that takes all it can."""
    busy = [sys.executable, "-c", textwrap.dedent(THREADS).replace("args=(3,)", "args=(60,)") + "print(out)\ninput()"]
    with subprocess.Popen(busy, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as desktop:
        try:
            assert int(desktop.stdout.readline()) == 500
            with Kernel(Sandbox(ROOT).start) as neighbour:
                neighbour.run(textwrap.dedent(THREADS).replace("args=(3,)", "args=(60,)"), 20)
                assert 40 <= neighbour.ask({"value": "out"})["plain"] < sandbox.PROCESSES
                assert 40 <= inside(THREADS) < sandbox.PROCESSES
        finally:
            desktop.kill()


@needs_sandbox
def test_memory_is_counted_for_all_processes_of_a_sandbox_together(monkeypatch):
    monkeypatch.setattr(sandbox, "MEMORY_IN_ALL", 400 * 2**20)
    fork = """
        import time
        for _ in range(5):
            if os.fork() == 0:
                hoard = bytearray(os.urandom(1)) * (SIZE * 2**20)
                time.sleep(20)
                os._exit(0)
        time.sleep(4)
        out = 'lived'
        """
    assert "0.4 GiB" in inside(fork.replace("SIZE", "150"))
    assert inside(fork.replace("SIZE", "10")) == "lived"
    # What forked processes share is counted once: five times 150 MB here, if it were not.
    assert inside(f"hoard = bytearray(b'x') * (150 * 2**20)\n{textwrap.dedent(fork.replace('SIZE', '1'))}") == "lived"


@needs_sandbox
def test_the_end_of_a_sandbox_is_the_end_of_all_its_processes():
    def sleeping():
        return [p for p in Path("/proc").glob("[0-9]*/cmdline") if b"4242.5" in _bytes(p)]

    for source in ("subprocess.Popen(['sleep', '4242.5'])", "subprocess.Popen(['setsid', 'sleep', '4242.5'])"):
        with Kernel(Sandbox(ROOT).start) as kernel:
            assert kernel.run(f"import subprocess\n{source}", 10) is None
            time.sleep(0.3)
            assert sleeping()
        time.sleep(0.5)
        assert not sleeping()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


# why_not: one sentence with the remedy


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A system with a bubblewrap that says what we want."""

    def make(says: str, switches: dict | None = None, code: int = 1):
        for name in ("bwrap", "prlimit"):
            path = tmp_path / name
            path.write_text(f"#!/bin/sh\necho {says!r} >&2\nexit {code}\n", encoding="utf-8")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        monkeypatch.setattr(sandbox, "control_group", lambda: ())
        if switches is not None:
            made = {}
            for known, (forbids, remedy) in sandbox.SWITCHES.items():
                file = tmp_path / known.name
                file.write_text(switches.get(known.name, "7") + "\n", encoding="utf-8")
                made[file] = (forbids, remedy)
            monkeypatch.setattr(sandbox, "SWITCHES", made)

    return make


linux = pytest.mark.skipif(sys.platform != "linux", reason="sandboxes are for Linux")


@linux
def test_root_is_refused(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "You are root" in sandbox.why_not() and "ordinary user" in sandbox.why_not()


@linux
@pytest.mark.parametrize(
    "says, switch, remedy",
    [
        ("setting up uid map: Permission denied", ("apparmor_restrict_unprivileged_userns", "1"), "bwrap.apparmor"),
        ("loopback: Failed RTM_NEWADDR", ("apparmor_restrict_unprivileged_userns", "1"), "apparmor_parser -r"),
        ("Creating new namespace failed", ("max_user_namespaces", "0"), "sysctl user.max_user_namespaces"),
        ("No permissions to create", ("unprivileged_userns_clone", "0"), "unprivileged_userns_clone=1"),
        ("Unknown option --disable-userns", ("", ""), "older than 0.8"),
        ("something new", ("", ""), "something new"),
    ],
)
def test_a_system_without_sandboxes_gets_the_remedy(system, says, switch, remedy):
    system(f"bwrap: {says}", dict([switch]))
    assert remedy in sandbox.why_not()


@linux
def test_a_sandbox_that_starts_but_not_with_our_command_is_none(system):
    system("", {}, code=0)
    assert "cannot make a sandbox" in sandbox.why_not()


@linux
def test_what_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "bwrap is missing" in sandbox.why_not() and "apt install" in sandbox.why_not()


@linux
def test_without_the_filter_there_is_no_sandbox(monkeypatch):
    def none():
        raise OSError("libseccomp: not found")

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(syscalls, "program", none)
    assert "libseccomp is missing" in sandbox.why_not()


@linux
def test_the_profile_for_apparmor_is_where_the_remedy_says():
    profile = (ROOT / "grading" / "recipes" / "bwrap.apparmor").read_text(encoding="utf-8")
    assert "/usr/bin/bwrap" in profile and "userns," in profile


@needs_sandbox
def test_a_control_group_is_used_where_there_is_one(tmp_path, monkeypatch):
    """A stand-in for systemd-run that notes its arguments: whether the kernel obeys them was not tried here."""
    note = tmp_path / "note.json"
    stand_in = tmp_path / "systemd-run"
    stand_in.write_text(
        "#!/usr/bin/env python3\nimport json, os, sys\nrest = sys.argv[sys.argv.index('--') + 1:]\n"
        f"json.dump(sys.argv[1:], open({str(note)!r}, 'w', encoding='utf-8'))\nos.execvp(rest[0], rest)\n",
        encoding="utf-8",
    )
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/secret")
    sandbox.control_group.cache_clear()
    try:
        assert inside("out = open('/proc/1/environ').read()") == ""
        words = json.loads(note.read_text(encoding="utf-8"))
        assert f"MemoryMax={sandbox.MEMORY_IN_ALL}" in words and f"TasksMax={sandbox.PROCESSES + 16}" in words
    finally:
        sandbox.control_group.cache_clear()
