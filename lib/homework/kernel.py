"""A notebook's process: started by us, asked in JSON lines, ended when it does not answer in time."""

import atexit
import json
import os
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from lib.homework import inside

INSIDE = Path(inside.__file__)
MOST_BYTES = inside.MOST_CHARACTERS + 1000  # of one reply; json.dumps writes ASCII, so bytes are characters
MOST_BYTES_IN_ALL = 64_000_000
GRACE = 3  # seconds a process gets to notice that a limit has passed
START = 60  # seconds until it must be ready


running: set[int] = set()  # pids, for whoever has to end them all at once


class KernelGone(Exception):
    """The process does not answer any more: ``timeout`` is True if it was ended for that."""

    def __init__(self, sentence: str, timeout: bool):
        super().__init__(sentence)
        self.timeout = timeout


class NotStarted(Exception):
    """The process was never ready: the machine's failure, not the notebook's, whose code has not run yet."""


def unprotected(folder: Path | None = None):
    """What starts ``inside.py`` with this Python in a folder, without any protection."""

    def start(**streams) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, str(INSIDE)], cwd=folder, **streams)

    return start


def end(pid: int):
    """Kill a notebook's process and what it started; no matter if it is gone."""
    try:
        os.killpg(pid, signal.SIGKILL) if os.name == "posix" else os.kill(pid, signal.SIGTERM)
    except OSError:
        pass


@atexit.register
def end_all():
    for pid in list(running):
        end(pid)


class Kernel:
    """One Python process with IPython's semantics that runs the cells of one notebook.

    Time is counted here, and nothing that the process sends starts it anew: a request has
    one deadline for its way there and back, and all requests together have another.

    Parameters
    ----------
    start : callable, optional
        Starts ``inside.py`` with the streams it is given, as ``subprocess.Popen`` does.
    student_id : str, optional
        Whose notebook it is, if the grader knows.
    call_limit, limit : float
        Seconds of one question, and of the whole notebook from its first cell on.

    Raises
    ------
    NotStarted
        The process ended, or was silent, before it was ready.
    """

    def __init__(self, start=None, student_id: str | None = None, call_limit: float = 5, limit: float = float("inf")):
        self.student_id, self.call_limit, self.limit = student_id, call_limit, limit
        self._awaited, self._end = "ready", float("inf")
        self._said = tempfile.TemporaryFile()  # a file, because a pipe can be kept open by whoever inherits it
        # A session of its own: Ctrl-C is for the grader, and the whole of it can be killed.
        self._process = (start or unprotected())(
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            start_new_session=os.name == "posix",
        )
        self.pid = self._process.pid
        running.add(self.pid)
        # Reading and writing may block for as long as the process likes, so each has a thread and only we have a clock.
        self._requests: queue.Queue = queue.Queue()
        self._replies: queue.Queue = queue.Queue()
        for work in (self._listen, self._send):
            threading.Thread(target=work, daemon=True).start()
        try:
            self._receive(time.monotonic() + START)
        except KernelGone:
            self.close()
            raise NotStarted(self._last_words() or "it did not say why") from None
        except BaseException:
            self.close()
            raise
        self._end = time.monotonic() + limit

    def run(self, source: str, seconds: float) -> str | None:
        """Run one cell; the error it ended with, if any."""
        error = self._request({"run": source}, seconds).get("error")
        return None if error is None else inside.shown(str(error))

    def ask(self, question: dict) -> dict:
        """See ``lib.homework.inside.reply``; a call that takes too long is an error.

        What comes back is measured again on this side: whoever sent it may not be ``inside.py`` any more.
        """
        reply = self._request(question, self.call_limit)
        if "plain" not in reply:
            return {key: inside.shown(str(value)) for key, value in reply.items() if key != "id"}
        try:
            return {"plain": inside.plain(reply["plain"])}
        except Exception as error:
            return {"error": inside.sentence(error)}

    @property
    def seconds_left(self) -> float:
        """Of the whole notebook's time; KernelGone once it is over."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise KernelGone(f"the notebook took longer than {self.limit:g} seconds in all", timeout=True)
        return left

    def close(self):
        """End the process and all that it started; safe to call again."""
        end(self.pid)
        self._process.wait()
        running.discard(self.pid)
        self._requests.put(None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        self._said.close()

    def _request(self, request: dict, seconds: float) -> dict:
        seconds = min(seconds, self.seconds_left)
        self._awaited = secrets.token_hex(8)  # not to be guessed, so a reply cannot be sent before its question
        self._requests.put(json.dumps(request | {"id": self._awaited, "seconds": seconds}).encode() + b"\n")
        return self._receive(min(time.monotonic() + seconds, self._end) + GRACE)

    def _receive(self, deadline: float) -> dict:
        while True:
            try:
                reply = self._replies.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                self.close()
                raise KernelGone("the notebook did not stop at its time limit", timeout=True) from None
            if isinstance(reply, KernelGone):
                self.close()
                raise reply
            if reply.get("id") == self._awaited:
                return reply

    def _listen(self):
        heard = 0
        with self._process.stdout as stream:
            try:
                while (line := stream.readline(MOST_BYTES)) and heard < MOST_BYTES_IN_ALL:
                    heard += len(line)
                    if self._awaited.encode() in line:
                        self._hear(line)
            except (OSError, ValueError):
                pass
        what = "ended its own Python process" if heard < MOST_BYTES_IN_ALL else "sent far more than answers"
        self._replies.put(KernelGone(f"the notebook {what}", timeout=False))

    def _hear(self, line: bytes):
        try:
            reply = json.loads(line)
        except (ValueError, RecursionError):
            return
        if isinstance(reply, dict):
            self._replies.put(reply)

    def _send(self):
        try:
            with self._process.stdin as stream:
                while (request := self._requests.get()) is not None:
                    stream.write(request)
                    stream.flush()
        except OSError:  # it reads no more, so it will be silent, too
            pass

    def _last_words(self) -> str:
        self._said.seek(max(0, os.fstat(self._said.fileno()).st_size - 2000))
        return self._said.read().decode(errors="replace").strip().split("\n")[-1][:300]
