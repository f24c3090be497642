"""The pinned packages can be installed on every Python and system that the README names.

The package index is asked, so this runs only with: pytest tests/test_pins.py --index --numprocesses 4
pip answers for another Python and system which pins have a wheel there, and what each of them asks for in turn. It
would read the conditions of these (`; sys_platform == "win32"`) for the Python that it runs on, so they are read here.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOWEST = ["3.11.2", "3.12.0", "3.13.0", "3.14.0"]  # 3.11.2 is Debian 12's
MANYLINUX = [f"manylinux{version}_x86_64" for version in ["1", "2010", "2014", *(f"_2_{n}" for n in range(5, 37))]]
SYSTEMS = {
    "Linux": ("linux", "posix", "x86_64", MANYLINUX),
    "Darwin": ("darwin", "posix", "arm64", ["macosx_14_0_arm64"]),
    "Windows": ("win32", "nt", "AMD64", ["win_amd64"]),
}


def environment(python: str, system: str) -> dict:
    """What the conditions of requirements are read with."""
    sys_platform, os_name, machine, _ = SYSTEMS[system]
    return {
        "python_version": python.rpartition(".")[0],
        "python_full_version": python,
        "implementation_version": python,
        "platform_system": system,
        "sys_platform": sys_platform,
        "os_name": os_name,
        "platform_machine": machine,
    }


def named(file: str, conditions: dict) -> list[Requirement]:
    """The packages that a file names for a Python and system."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    found = [Requirement(line.split("#")[0]) for line in lines if re.match(r"\w", line)]
    return [each for each in found if each.marker is None or each.marker.evaluate(conditions)]


def unmet(pins: dict, requirements: list[Requirement], conditions: dict) -> list[str]:
    """What ``requirements``, or any package behind them, ask for and the pins do not give.

    Parameters
    ----------
    pins : dict
        Metadata of each pinned package, with ``version`` and ``requires_dist``.
    """
    found, done, waiting = [], set(), [("requirements.txt", each) for each in requirements]
    while waiting:
        asking, wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name not in pins:
            if not re.fullmatch(r"==[\w.+]+", str(wanted.specifier)):  # PyTorch names each part of CUDA exactly
                found.append(f"{asking} asks for {wanted}, which constraints.txt does not pin")
        elif not wanted.specifier.contains(pins[name]["version"], prereleases=True):
            found.append(f"{asking} asks for {wanted}, but {pins[name]['version']} is pinned")
        for extra in {"", *wanted.extras} if name in pins else ():
            if (name, extra) not in done:
                done.add((name, extra))
                behind = map(Requirement, pins[name].get("requires_dist", []))
                reads = conditions | {"extra": extra}
                waiting += [(name, each) for each in behind if each.marker is None or each.marker.evaluate(reads)]
    return found


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", LOWEST)
def test_the_pins_install(request, tmp_path, python, system):
    if not request.config.getoption("--index"):
        pytest.skip("asks the package index; run: pytest tests/test_pins.py --index")
    conditions = environment(python, system)
    direct = named("requirements.txt", conditions)
    pinned = {f"{each.name}{each.specifier}" for each in [*direct, *named("constraints.txt", conditions)]}
    (tmp_path / "pinned.txt").write_text("\n".join(sorted(pinned)), encoding="utf-8")
    where = [f"--platform={tag}" for tag in SYSTEMS[system][3]]
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"]
        + ["--only-binary=:all:", f"--python-version={python}", *where, f"--target={tmp_path / 'nowhere'}"]
        + ["-r", tmp_path / "pinned.txt", f"--report={tmp_path / 'report.json'}"],
        capture_output=True,
        encoding="utf-8",
    )
    assert asked.returncode == 0 and "yanked" not in asked.stderr, asked.stderr
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    pins = {canonicalize_name(each["metadata"]["name"]): each["metadata"] for each in report["install"]}
    assert unmet(pins, direct, conditions) == []


def test_a_missing_and_a_conflicting_pin_are_named():
    pins = {
        "a": {
            "version": "1",
            "requires_dist": ["b[more]>=2", 'c; sys_platform == "win32"', 'd; python_version < "3.12"'],
        },
        "b": {"version": "1.9", "requires_dist": ['e<3; extra == "more"', 'f; extra == "other"']},
        "d": {"version": "1"},
        "e": {"version": "3"},
    }
    always = ["a asks for b[more]>=2, but 1.9 is pinned", 'b asks for e<3; extra == "more", but 3 is pinned']
    assert sorted(unmet(pins, [Requirement("a==1")], environment("3.11.2", "Linux"))) == always
    assert sorted(unmet(pins, [Requirement("a==1")], environment("3.12.0", "Windows")))[1:2] == [
        'a asks for c; sys_platform == "win32", which constraints.txt does not pin'
    ]
