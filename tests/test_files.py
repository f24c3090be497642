"""A file is written whole or not at all, and others may read it."""

import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("content", ["ä\r\nb\n", "", b"\x00\xff\r\n", b""])
def test_content_arrives_as_it_is(tmp_path, content):
    path = write_atomically(tmp_path / "new" / "folder" / "a.txt", content)
    assert path.read_bytes() == (content.encode("utf-8") if isinstance(content, str) else content)
    write_atomically(str(path), b"other", sync=True)
    assert path.read_bytes() == b"other" and os.listdir(path.parent) == ["a.txt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o077, 0o600), (0o027, 0o640), (0o000, 0o644)])
def test_others_may_read_it_as_far_as_the_umask_allows(tmp_path, umask, mode):
    (tmp_path / "old").write_text("old", encoding="utf-8")
    os.chmod(tmp_path / "old", 0o600)
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "old", "new")
        write_atomically(tmp_path / "new", b"new")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in ("old", "new")] == [mode, mode]


@pytest.mark.parametrize("failing", ["replace", "fsync"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_alone(tmp_path, monkeypatch, failing, error):
    write_atomically(tmp_path / "a", "old")

    def fail(*args):
        raise error

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(type(error)):
        write_atomically(tmp_path / "a", "new", sync=True)
    assert (tmp_path / "a").read_text(encoding="utf-8") == "old" and os.listdir(tmp_path) == ["a"]


def test_text_that_is_no_utf_8_changes_nothing(tmp_path):
    write_atomically(tmp_path / "a", "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(tmp_path / "a", "\ud800")
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_bytes() == b"old"


def test_a_long_name_can_be_written(tmp_path):
    for name in ("n" * 255, "ü" * 127):
        assert write_atomically(tmp_path / name, "x").read_text(encoding="utf-8") == "x"


def test_readers_of_two_writers_meet_whole_files(tmp_path):
    path = tmp_path / "shared"
    code = (
        "import sys; from lib.files import write_atomically\n"
        "while True: write_atomically(sys.argv[1], sys.argv[2] * 300_000)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, path, letter], cwd=ROOT) for letter in "ab"]
    try:
        end, seen = time.monotonic() + 60, set()
        while time.monotonic() < end and len(seen) < 2:
            if path.exists():
                content = path.read_bytes()
                assert len(content) == 300_000 and len(set(content)) == 1
                seen.add(content[0])
        assert seen == {ord("a"), ord("b")}
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()


def test_it_needs_the_standard_library_alone():
    code = "import sys, lib.files, lib.checks; assert not {'numpy', 'torch'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
