"""The doctor says OK or the remedy: each line with a stand-in for what can be wrong."""

import ast
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lib import doctor

ROOT = Path(__file__).resolve().parents[1]


def nowhere(name):
    return None


def everywhere(name):
    return f"/usr/bin/{name}"


def answers(returncode=0, out=b"", err=b""):
    return lambda *command, **options: SimpleNamespace(returncode=returncode, stdout=out, stderr=err)


def fails(*command, **options):
    raise OSError("Exec format error")


def hangs(*command, **options):
    raise subprocess.TimeoutExpired("bwrap", 30)


@pytest.fixture
def course(tmp_path):
    """What the doctor looks at, in small."""
    (tmp_path / "lib/experiments").mkdir(parents=True)
    (tmp_path / "lessons").mkdir()
    (tmp_path / "records").mkdir()
    (tmp_path / "requirements.txt").write_text(
        '# why\nnumpy==2.4.6\npyseccomp==0.1.2; sys_platform == "linux"\n-e .\n', encoding="utf-8"
    )
    (tmp_path / "constraints.txt").write_text(
        'numpy==2.4.6\ncffi==2.1.1\npywinpty==3.1.2; sys_platform == "win32"\n', encoding="utf-8"
    )
    (tmp_path / "lib/experiments/course.py").write_text(
        'remember(\n    f"four-clocks-{kind}", f)\nload(f"{name}-cuda")', encoding="utf-8"
    )
    (tmp_path / "lessons/01.md").write_text('remember_long("more-epochs", f)', encoding="utf-8")
    for name in ("four-clocks-cpu", "more-epochs"):
        (tmp_path / f"records/{name}.json").write_text("{}", encoding="utf-8")
    return tmp_path


GOOD = {"numpy": "2.4.6", "cffi": "2.1.1", "pyseccomp": "0.1.2"}


def test_all_is_well(course):
    findings = [
        doctor.python((3, 12, 1), "Darwin", "arm64"),
        doctor.python((3, 11, 2), "Linux", "x86_64"),
        doctor.python((3, 14, 9), "Windows", "AMD64"),
        doctor.packages(course, GOOD.get, "linux"),
        doctor.packages(course, {"numpy": "2.4.6+local"}.get, "darwin"),
        doctor.browser(everywhere),
        doctor.browser(nowhere, course),  # Chrome, where a Mac has it
        doctor.sandbox(everywhere, answers(), "Linux"),
        doctor.sandbox(nowhere, fails, "Darwin"),
        doctor.gpu(nowhere),
        doctor.gpu(everywhere, answers(out=b"GPU 0: NVIDIA T4 (UUID: GPU-1)\n"), "2.13.0+cu130"),
        doctor.encoding("utf-8", "utf-8"),
        doctor.encoding("utf-8", "utf-16"),
        doctor.space(course, lambda path: SimpleNamespace(free=2**30), ready=True),
        doctor.writing(course),
        doctor.records(course),
    ]
    assert [str(one) for one in findings if not one.fine] == []
    assert "NVIDIA T4" in str(findings[10]) and str(findings[3]).startswith("OK        Packages: all 2 are there")


@pytest.mark.parametrize(
    "examine, needed, words",
    [
        (lambda course: doctor.python((3, 9, 18)), True, "this is 3.9.18, but the course needs 3.11.2 to 3.14"),
        (lambda course: doctor.python((3, 11, 1)), True, "make PYTHON=python3.12 install"),
        (lambda course: doctor.python((3, 15, 0)), True, "this is 3.15.0"),
        (lambda course: doctor.python((3, 12, 1), "Darwin", "x86_64"), True, "Apple silicon only"),
        (lambda course: doctor.packages(course, {}.get, "linux"), True, "numpy, pyseccomp not installed; install them"),
        (lambda course: doctor.packages(course, (GOOD | {"cffi": "2"}).get, "linux"), True, "cffi is 2, not 2.1.1"),
        (lambda course: doctor.browser(nowhere, course / "none"), False, "apt-get install chromium"),
        (lambda course: doctor.sandbox(nowhere, system="Linux"), False, "apt-get install bubblewrap"),
        (lambda course: doctor.sandbox(everywhere, fails, "Linux"), False, "does not start (Exec format error)"),
        (lambda course: doctor.sandbox(everywhere, hangs, "Linux"), False, "does not start"),
        (
            lambda course: doctor.sandbox(
                everywhere, answers(1, err=b"bwrap: No permissions to create new namespace\n")
            ),
            False,
            "No permissions to create new namespace); allow user namespaces: sudo sysctl",
        ),
        (
            lambda course: doctor.sandbox(everywhere, answers(1, err=b"bwrap: Unknown option --disable-userns")),
            False,
            "older than 0.8",
        ),
        (lambda course: doctor.sandbox(everywhere, answers(7)), False, "exit status 7"),
        (lambda course: doctor.gpu(everywhere, answers(9)), False, "nvidia-smi does not find it"),
        (lambda course: doctor.gpu(everywhere, hangs), False, "nvidia-smi does not find it"),
        (
            lambda course: doctor.gpu(everywhere, answers(out=b"GPU 0: NVIDIA T4 (UUID: GPU-1)\n"), "2.13.0+cpu"),
            False,
            "NVIDIA T4, but this PyTorch is the build for CPUs",
        ),
        (lambda course: doctor.encoding("utf-8", "ascii"), True, "output is ascii; set another"),
        (lambda course: doctor.encoding("cp1252", "utf-8"), True, "file names are cp1252"),
        (
            lambda course: doctor.space(course, lambda path: SimpleNamespace(free=2**30), ready=False),
            True,
            "only 1.0 GiB free; make room for 3 GiB",
        ),
        (lambda course: doctor.writing(course / "absent"), True, "cannot be written to (No such file or directory)"),
        (lambda course: doctor.records(without(course, "more-epochs")), True, "more-epochs; bring them back with"),
        (lambda course: doctor.records(without(course, "four-clocks-cpu")), True, "four-clocks-*; bring them back"),
        (lambda course: doctor.records(without(course, "more-epochs", "{")), True, "more-epochs (damaged)"),
    ],
)
def test_the_remedy_is_said(course, examine, needed, words):
    finding = examine(course)
    assert not finding.fine and finding.needed == needed and words in str(finding)
    assert str(finding).split()[0] == ("missing" if needed else "optional") and "\n" not in str(finding)


def without(course, name, text=None):
    (course / f"records/{name}.json").unlink()
    if text:
        (course / f"records/{name}.json").write_text(text, encoding="utf-8")
    return course


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_of_somebody_else_is_named(course):
    (course / "records").chmod(0o500)
    assert "cannot be written to (Permission denied)" in str(doctor.writing(course))


def test_another_python_than_the_courses_own_is_sent_there(course):
    (course / ".venv/bin").mkdir(parents=True)
    (course / ".venv/bin/python").touch()
    if os.name != "nt":
        assert "ask .venv/bin/python -m lib.doctor" in str(doctor.packages(course, {}.get, "linux"))


@pytest.mark.parametrize(
    "fine, needed, code, words",
    [(True, True, 0, "is here."), (False, False, 0, "is here."), (False, True, 1, "To be mended: Moon.")],
)
def test_only_what_is_needed_makes_it_fail(monkeypatch, capsys, fine, needed, code, words):
    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Finding("Moon", fine, "said", needed)])
    assert doctor.main() == code and capsys.readouterr().out.splitlines()[-1].endswith(words)


def test_it_runs_without_any_package_and_on_an_old_python():
    """The course's own files say OK; and -S -I has the standard library alone."""
    command = [
        sys.executable,
        "-S",
        "-c",
        "import sys; sys.path.insert(0, '.'); from lib.doctor import main; sys.exit(main())",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    said = done.stdout.splitlines()
    assert done.returncode == 1 and any(line.startswith("missing   Packages: ") for line in said), done.stderr
    assert any(line.startswith("OK        Records: ") for line in said)
    ast.parse((ROOT / "lib/doctor.py").read_text(encoding="utf-8"), feature_version=(3, 8))


def test_here_the_packages_are_as_they_are_pinned():
    assert doctor.packages().fine, doctor.packages()
    assert doctor.python().fine
