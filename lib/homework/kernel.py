"""A notebook's process: started by us, asked in JSON lines, ended when it does not answer."""

import json
import queue
import secrets
import subprocess
import sys
import threading
from pathlib import Path

INSIDE = Path(__file__).with_name("inside.py")
MOST_BYTES = 8_000_000  # of one reply; json.dumps writes ASCII, so bytes are characters
MOST_BYTES_IN_ALL = 64_000_000
GRACE = 3  # seconds a process gets to notice that a limit has passed


class KernelGone(Exception):
    """The process does not answer any more: ``timeout`` is True if it was ended for that."""

    def __init__(self, sentence: str, timeout: bool):
        super().__init__(sentence)
        self.timeout = timeout


class Kernel:
    """One Python process with IPython's semantics that runs the cells of one notebook.

    Parameters
    ----------
    command : list of str, optional
        What starts ``inside.py``; by default this Python, without any protection.
    student_id : str, optional
        Whose notebook it is, if the grader knows.
    folder : path, optional
        Where the cells run.
    """

    def __init__(
        self,
        command: list[str] | None = None,
        student_id: str | None = None,
        folder: Path | None = None,
        call_limit: float = 5,
    ):
        self.student_id, self.call_limit = student_id, call_limit
        self._process = subprocess.Popen(
            command or [sys.executable, str(INSIDE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
        )
        self._replies = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self._receive("ready", 60)

    def run(self, source: str, seconds: float) -> str | None:
        """Run one cell; the error it ended with, if any."""
        error = self._request({"run": source, "seconds": seconds}).get("error")
        return None if error is None else str(error)[:400]

    def ask(self, question: dict) -> dict:
        """See ``lib.homework.inside.reply``; a call that takes too long is an error."""
        return self._request(question | {"seconds": self.call_limit})

    def close(self):
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            try:
                stream.close()
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _request(self, request: dict) -> dict:
        name = secrets.token_hex(8)  # not to be guessed, so a reply cannot be sent before its question
        try:
            self._process.stdin.write(json.dumps(request | {"id": name}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._ended() from None
        return self._receive(name, request["seconds"] + GRACE)

    def _receive(self, name: str, seconds: float) -> dict:
        while True:
            try:
                line = self._replies.get(timeout=seconds)
            except queue.Empty:
                self._process.kill()
                raise KernelGone("the notebook did not stop at its time limit", timeout=True) from None
            if line is None:
                raise self._ended()
            try:
                reply = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(reply, dict) and reply.get("id") == name:
                return reply

    def _listen(self):
        heard = 0
        try:
            while (line := self._process.stdout.readline(MOST_BYTES)) and heard < MOST_BYTES_IN_ALL:
                heard += len(line)
                self._replies.put(line)
        except (OSError, ValueError):
            pass
        self._replies.put(None)

    def _ended(self) -> KernelGone:
        self._process.kill()
        said = self._process.stderr.read(2000).decode(errors="replace").strip().split("\n")[-1]
        return KernelGone("the notebook ended its own Python process" + (f" ({said})" if said else ""), timeout=False)
