"""The process of a notebook: no limit of time is started anew by what it sends, and what it sends is measured."""

import os
import sys
import time

import pytest

from lib.homework import kernel
from lib.homework.kernel import Kernel, KernelGone, NotStarted, unprotected

pytestmark = pytest.mark.skipif(os.name != "posix", reason="these notebooks use what Windows has not")
PIPES = (
    "import os, time, signal, threading\n"
    "pipes = [n for n in range(3, 40) if os.path.exists(f'/dev/fd/{n}') and 'pipe' in os.readlink(f'/dev/fd/{n}')]\n"
)
DRIP = PIPES + (
    "def drip(text):\n"
    "    while True:\n"
    "        for n in pipes:\n"
    "            try:\n"
    "                os.write(n, text)\n"
    "            except BaseException:\n"
    "                pass\n"
    "        time.sleep(0.2)\n"
)
STUBBORN = "signal.signal(signal.SIGALRM, signal.SIG_IGN)\n"


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(kernel, "GRACE", 0.5)


def ends_within(seconds, notebook, source, limit=1.0):
    started = time.monotonic()
    with pytest.raises(KernelGone) as gone:
        notebook.run(source, limit)
    assert time.monotonic() - started < seconds
    return gone.value


@pytest.mark.parametrize("text", [b"x", b"\n", b"{}\n", b'{"id": "ready"}\n'], ids=repr)
def test_a_few_bytes_now_and_then_do_not_start_the_clock_anew(quick, text):
    with Kernel() as notebook:
        assert notebook.run(DRIP, 10) is None
        assert ends_within(4, notebook, f"{STUBBORN}drip({text!r})").timeout


def test_not_even_with_the_name_of_the_request(quick):
    """It has to be sent back, so the process has it."""
    listen = "import json\nseen, loads = [], json.loads\njson.loads = lambda text: seen.append(loads(text)) or seen[-1]"
    drip = "drip(b'{\"not\": \"' + seen[-1]['id'].encode() + b'\"}\\n')"
    with Kernel() as notebook:
        assert notebook.run(f"{DRIP}{listen}", 10) is None
        assert ends_within(4, notebook, f"{STUBBORN}{drip}").timeout


def test_a_process_that_reads_no_more_does_not_stop_the_writer(quick):
    with Kernel() as notebook:
        stop = "import os, signal, time\nif os.fork() == 0:\n    time.sleep(0.3)\n"
        notebook.run(stop + "    os.kill(os.getppid(), signal.SIGSTOP)\n    os._exit(0)", 10)
        time.sleep(0.8)
        assert ends_within(4, notebook, "#" + "x" * 3_000_000).timeout


def test_a_child_that_keeps_the_pipes_open_does_not_stop_the_end(quick):
    with Kernel() as notebook:
        child = PIPES + "if os.fork() == 0:\n    os.setsid()\n    time.sleep(30)\n    os._exit(0)\nos._exit(0)"
        ends_within(5, notebook, child)
        started = time.monotonic()
    assert time.monotonic() - started < 2


def test_all_cells_and_questions_share_one_limit(quick):
    with Kernel(limit=1.5) as notebook:
        started = time.monotonic()
        with pytest.raises(KernelGone, match="1.5 seconds in all"):
            for _ in range(100):
                notebook.run("import time; time.sleep(0.2)", 1)
        assert time.monotonic() - started < 4


REPLACED = (
    "import gc, types\n"
    "for found in gc.get_objects():\n"
    "    if isinstance(found, types.FunctionType) and found.__name__ == 'reply':\n"
    "        found.__globals__['reply'] = lambda *_: {'plain': FORGED}\n"
)


@pytest.mark.parametrize("forged", ["[[]] * 30_000", "[[[]] * 200 for _ in range(200)]", "10**30"])
def test_an_answer_is_measured_on_this_side(forged):
    """The notebook's process has replaced what measures over there."""
    with Kernel() as notebook:
        assert notebook.run("wanted = [1, 2]\n" + REPLACED.replace("FORGED", "wanted"), 10) is None
        assert notebook.ask({"value": "x"}) == {"plain": [1, 2]}
        notebook.run(f"wanted = {forged}", 10)
        assert list(notebook.ask({"value": "x"})) == ["error"]


def test_an_answer_longer_than_any_is_never_read_as_a_whole(quick):
    with Kernel(call_limit=1) as notebook:
        notebook.run(REPLACED.replace("FORGED", "'x' * 5_000_000"), 10)
        with pytest.raises(KernelGone):
            notebook.ask({"value": "x"})


def test_an_endless_answer_is_given_up():
    with Kernel() as notebook:
        notebook.run("import itertools\nx = itertools.count()\ny = [[0] * 1000] * 1000", 10)
        assert "20000 values" in notebook.ask({"value": "x"})["error"]
        assert "20000 values" in notebook.ask({"value": "y"})["error"]


@pytest.mark.parametrize(
    "raised",
    [
        "ValueError('\\ud800' * 1000)",
        "type('X' * 1_000_000, (Exception,), {})('y' * 1_000_000)",
        "type('X', (Exception,), {'__str__': lambda self: 1 / 0})()",
        "ValueError('two\\nlines')",
    ],
)
def test_an_error_is_a_short_line_that_can_be_stored(raised):
    with Kernel() as notebook:
        notebook.run(f"def f():\n    raise {raised}", 10)
        for said in (notebook.run("f()", 10), notebook.ask({"call": "f", "arguments": []})["error"]):
            assert 0 < len(said) <= 700 and "\n" not in said
            said.encode("utf-8")


def test_a_process_that_never_gets_ready_is_no_result_and_says_why():
    def broken(**streams):
        import subprocess

        code = "import sys; sys.exit('no room left for sandboxes')"
        return subprocess.Popen([sys.executable, "-c", code], **streams)

    with pytest.raises(NotStarted, match="no room left for sandboxes"):
        Kernel(broken)


def test_what_is_untouched_is_told_from_what_is_missing():
    with Kernel(unprotected()) as notebook:
        notebook.run("x = ...\nd = {'a': ...}\ndef f(n):\n    ...\ndef g(n):\n    'What it does.'\n    ...", 10)
        assert notebook.ask({"value": "x"}) == {"untouched": "x"}
        assert notebook.ask({"value": "d"}) == {"untouched": "d"}
        assert notebook.ask({"call": "f", "arguments": [1]}) == {"untouched": "f"}
        assert notebook.ask({"call": "g", "arguments": [1]}) == {"untouched": "g"}
        assert notebook.ask({"value": "y"}) == {"missing": "y"}
