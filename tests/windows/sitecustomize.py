"""Makes a Python of another system read, write and lack what one on Windows in Western Europe does.

A text file without an encoding is cp1252, a line ends in CR LF when written, some functions are not there. This acts
in every process whose PYTHONPATH names this folder, kernels included, and for all packages: they look up these names
each time.
"""

import builtins
import io
import locale
import multiprocessing.context
import os
import signal
import sys
import tempfile

CODE_PAGE = "cp1252"
real_open = io.open


def code_page(encoding):
    return CODE_PAGE if encoding in (None, "locale") else encoding


def windows_open(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, *rest, **more):
    if "b" not in mode:
        encoding = code_page(encoding)
        newline = "\r\n" if newline is None and mode.strip("t") in ("w", "a", "x") else newline
    return real_open(file, mode, buffering, encoding, errors, newline, *rest, **more)


class WindowsText(io.TextIOWrapper):
    def __init__(self, buffer, encoding=None, *rest, **more):
        super().__init__(buffer, code_page(encoding), *rest, **more)


builtins.open = io.open = windows_open
io.TextIOWrapper = WindowsText
tempfile._io.open = windows_open
locale.getpreferredencoding = lambda do_setlocale=True: CODE_PAGE
locale.getencoding = lambda: CODE_PAGE
for stream, errors in ((sys.stdin, "strict"), (sys.stdout, "strict"), (sys.stderr, "backslashreplace")):
    stream.reconfigure(encoding=CODE_PAGE, errors=errors)  # as in a pipe; a console there is UTF-8
multiprocessing.context._default_context._default_context = multiprocessing.context._concrete_contexts["spawn"]
for module, names in {
    os: ["fork", "sched_getaffinity", "mkfifo", "getloadavg"],
    signal: ["SIGALRM", "setitimer"],
}.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
