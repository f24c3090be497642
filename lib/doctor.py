"""Is everything here that the course needs? ``python -m lib.doctor`` prints a line for each thing: OK, or what to do.

It needs nothing but Python itself, an old one too, and loads no package that it asks about.
It ends with 1 if something is missing that the course cannot do without.
"""

from __future__ import annotations

import json
import locale
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST, NEWEST = (3, 11, 2), (3, 14)  # of Python; Debian 12 has 3.11.2
GIB = 2**30
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")  # as tests/conftest.py looks for it
CHROME_OF_A_MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
SANDBOX = "--unshare-all --unshare-user --disable-userns --die-with-parent --ro-bind / / true".split()


@dataclass(frozen=True)
class Finding:
    """What was asked, whether all is well, and what is so or what to do."""

    asked: str
    fine: bool
    said: str
    needed: bool = True

    def __str__(self) -> str:
        mark = "OK" if self.fine else "missing" if self.needed else "optional"
        return f"{mark:<9} {self.asked}: {self.said}"


def python(version=sys.version_info, system=None, machine=None) -> Finding:
    """A Python, a system and a processor for which all packages exist."""
    system, machine = system or platform.system(), machine or platform.machine()
    number, here = ".".join(map(str, version[:3])), f"{system} on {machine}"
    if system == "Darwin" and machine != "arm64":
        said = f"{here}, but PyTorch 2.13 exists for Apple silicon only; use another computer"
        return Finding("Python", False, said)
    if not (tuple(version[:3]) >= OLDEST and tuple(version[:2]) <= NEWEST):
        said = (
            f"this is {number}, but the course needs 3.11.2 to 3.14; name another one: make PYTHON=python3.12 install"
        )
        return Finding("Python", False, said)
    return Finding("Python", True, f"{number}, {here}")


def packages(root: Path = ROOT, installed=None, system: str = sys.platform) -> Finding:
    """Every package that ``requirements.txt`` names is installed, and every package as it is pinned."""
    installed = installed or _installed
    pinned, asked = (_pins(root / name, system) for name in ("constraints.txt", "requirements.txt"))
    pinned.update(asked)
    found = {name: installed(name) for name in pinned}
    absent = [name for name in asked if found[name] is None]
    others = [
        f"{name} is {found[name]}, not {version}"
        for name, version in pinned.items()
        if found[name] is not None and found[name].split("+")[0] != version
    ]
    if not absent and not others:
        return Finding("Packages", True, f"all {len(asked)} are there, as they are pinned")
    theirs = root / (".venv/Scripts/python.exe" if os.name == "nt" else ".venv/bin/python")
    if theirs.exists() and Path(sys.prefix) != root / ".venv":
        said = f"this is not the Python that they were installed for; ask {theirs.relative_to(root)} -m lib.doctor"
        return Finding("Packages", False, said)
    what = [f"{', '.join(absent[:4])}{' and others' if len(absent) > 4 else ''} not installed"] if absent else []
    what += ["; ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")] if others else []
    remedy = r".venv\Scripts\python -m pip install -r requirements.txt" if os.name == "nt" else "make install"
    return Finding("Packages", False, f"{'; '.join(what)}; install them with: {remedy}")


def _pins(file: Path, system: str) -> dict[str, str]:
    """Name and version of each line such as ``pywinpty==3.1.2; sys_platform == "win32"`` that counts here."""
    pins = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        match = re.match(r'([\w.-]+)(?:\[\w+\])?==([\w.]+)(?:; sys_platform == "(\w+)")?$', line.split("#")[0].strip())
        if match and match[3] in (None, system):
            pins[match[1]] = match[2]
    return pins


def _installed(name: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def browser(which=shutil.which, of_a_mac: Path = CHROME_OF_A_MAC) -> Finding:
    """Chromium, in which tests open the pages."""
    found = next(filter(None, map(which, CHROMIUM)), None) or (str(of_a_mac) if of_a_mac.exists() else None)
    if found:
        return Finding("Chromium", True, found)
    said = "without it the tests that open pages are skipped; Debian and Ubuntu: sudo apt-get install chromium"
    return Finding("Chromium", False, said, needed=False)


def sandbox(which=shutil.which, run=subprocess.run, system=None) -> Finding:
    """bubblewrap and the user namespaces that it makes, in which submissions are graded."""
    if (system or platform.system()) != "Linux":
        return Finding("Sandbox", True, "none on this system; only grading needs one")
    if not which("bwrap"):
        said = (
            "bubblewrap is needed to grade submissions; Debian and Ubuntu: sudo apt-get install bubblewrap libseccomp2"
        )
        return Finding("Sandbox", False, said, needed=False)
    try:
        tried = run(["bwrap", *SANDBOX], capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("Sandbox", False, f"bubblewrap does not start ({error}); install it again", needed=False)
    if tried.returncode == 0:
        return Finding("Sandbox", True, "bubblewrap makes one")
    heard = (tried.stderr or b"").decode(errors="replace").strip().splitlines()
    reason = heard[-1] if heard else f"exit status {tried.returncode}"
    if "disable-userns" in reason:
        said = f"bubblewrap is older than 0.8 ({reason}); install a newer one to grade submissions"
    else:
        said = (
            f"bubblewrap cannot make one ({reason}); allow user namespaces: sudo sysctl user.max_user_namespaces=10000"
        )
        said += ", and on Ubuntu 24.04 see grading/recipes/bwrap.apparmor"
    return Finding("Sandbox", False, said, needed=False)


def gpu(which=shutil.which, run=subprocess.run, torch=None) -> Finding:
    """A CUDA GPU, which the course can use and does not need."""
    if not which("nvidia-smi"):
        return Finding("GPU", True, "no NVIDIA GPU; the course needs none")
    try:
        asked = run(["nvidia-smi", "-L"], capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        asked = None
    if asked is None or asked.returncode:
        said = "nvidia-smi does not find it; update or load NVIDIA's driver if you want make gpu"
        return Finding("GPU", False, said, needed=False)
    names = re.findall(r"^GPU \d+: (.*?)(?: \(|$)", asked.stdout.decode(errors="replace"), flags=re.MULTILINE)
    here = ", ".join(names) or "unnamed"
    version = _installed("torch") if torch is None else torch
    if version and version.endswith("+cpu"):
        said = f"{here}, but this PyTorch is the build for CPUs alone; for make gpu install the usual one"
        return Finding("GPU", False, said, needed=False)
    return Finding("GPU", True, here)


def encoding(files=None, output=None) -> Finding:
    """File names and what is printed may have letters beyond ASCII."""
    files = files or sys.getfilesystemencoding()
    output = output or getattr(sys.stdout, "encoding", None) or locale.getpreferredencoding(False)
    try:
        "é – ≤".encode(files)
        "é – ≤".encode(output)
    except (UnicodeEncodeError, LookupError):
        set_it = "$env:PYTHONUTF8=1" if os.name == "nt" else "export LC_ALL=C.UTF-8"
        return Finding("Encoding", False, f"file names are {files}, output is {output}; set another: {set_it}")
    return Finding("Encoding", True, f"file names {files}, output {output}")


def space(root: Path = ROOT, usage=shutil.disk_usage, ready: bool = True) -> Finding:
    """Room for the environment, if it is not there yet, and for the built book."""
    free, wanted = usage(root).free / GIB, 0.5 if ready else 3
    if free >= wanted:
        return Finding("Disk", True, f"{free:,.1f} GiB free")
    return Finding("Disk", False, f"only {free:,.1f} GiB free; make room for {wanted:g} GiB")


def writing(root: Path = ROOT) -> Finding:
    """The folders that commands write to can be written to."""
    for folder in (root, root / "lessons", root / "records"):
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            said = f"{folder} cannot be written to ({error.strerror}); make it yours, or copy the course to your home"
            return Finding("Writing", False, said)
    return Finding("Writing", True, str(root))


def records(root: Path = ROOT) -> Finding:
    """The measured results that lessons show are there, and whole."""
    asked = set()
    for file in [*(root / "lib/experiments").glob("*.py"), *(root / "lessons").glob("*.md")]:
        text = file.read_text(encoding="utf-8")
        for name in re.findall(r'\bremember(?:_long)?\(\s*f?"([^"\s]+)"', text):
            asked.add(re.sub(r"(\{[^}]*\})+", "*", name))
    missing = sorted(name for name in asked if not list((root / "records").glob(f"{name}.json")))
    for file in sorted((root / "records").glob("*.json")):
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            missing.append(f"{file.stem} (damaged)")
    if missing:
        said = f"{', '.join(missing)}; bring them back with: git restore records. Else they are measured anew"
        return Finding("Records", False, said)
    return Finding("Records", True, f"{len(list((root / 'records').glob('*.json')))} files")


def examine() -> list[Finding]:
    """Everything, in the order in which it is needed."""
    pins = packages()
    return [python(), pins, encoding(), space(ready=pins.fine), writing(), records(), browser(), sandbox(), gpu()]


def main() -> int:
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may have letters that the terminal has not
    findings = examine()
    for finding in findings:
        print(finding)
    wrong = [finding.asked for finding in findings if finding.needed and not finding.fine]
    print("Everything that the course needs is here." if not wrong else f"To be mended: {', '.join(wrong)}.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
