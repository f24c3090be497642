"""Two browsers beside Chromium, as Debian ships them. Each opens a page, evaluates JavaScript and presses keys.

Firefox speaks WebDriver BiDi itself (https://w3c.github.io/webdriver-bidi), over a web socket. WebKitGTK, the
relative of Safari, is driven by WebKitWebDriver (https://w3c.github.io/webdriver), on a screen that Xvfb makes up.
"""

import contextlib
import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request

import websocket

PACKAGES = {  # program: the package of Debian that has it
    "firefox": {"firefox-esr": "firefox-esr"},
    "webkit": {"WebKitWebDriver": "webkit2gtk-driver", "Xvfb": "xvfb"},
}
KEYS = {"ArrowRight": "\ue014", "ArrowLeft": "\ue012", "ArrowDown": "\ue015", "Tab": "\ue004", "Enter": "\ue007"}
PATIENCE = 60  # seconds, for a browser that starts on a busy machine


def missing(name: str) -> list[str]:
    """The packages of Debian that a browser lacks here."""
    return [package for program, package in PACKAGES[name].items() if not shutil.which(program)]


def strokes(keys: tuple[str, ...]) -> list[dict]:
    """The actions of a keyboard on which keys are pressed one after the other, in both protocols."""
    moves = [{"type": kind, "value": KEYS[key]} for key in keys for kind in ("keyDown", "keyUp")]
    return [{"type": "key", "id": "keyboard", "actions": moves}]


@contextlib.contextmanager
def running(command: list[str], **options):
    """A program, ended at the end."""
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Firefox:
    """A tab of Firefox without a window."""

    def __init__(self, address: str):
        self.socket = websocket.create_connection(f"{address}/session", timeout=PATIENCE, suppress_origin=True)
        self.ids = itertools.count(1)
        self._ask("session.new", capabilities={})
        self.tab = self._ask("browsingContext.getTree")["contexts"][0]["context"]

    def _ask(self, method: str, **params):
        own = next(self.ids)
        self.socket.send(json.dumps({"id": own, "method": method, "params": params}))
        while (answer := json.loads(self.socket.recv())).get("id") != own:
            pass
        if answer["type"] == "error":
            raise RuntimeError(f"{method}: {answer['message']}")
        return answer["result"]

    def open(self, url: str) -> None:
        self._ask("browsingContext.navigate", context=self.tab, url=url, wait="complete")

    def evaluate(self, expression: str):
        """The value of an expression, or of the promise that it is; anything that JSON can say."""
        found = self._ask(
            "script.evaluate",
            expression=f"Promise.resolve({expression}).then(value => JSON.stringify(value ?? null))",
            target={"context": self.tab},
            awaitPromise=True,
        )
        if found["type"] == "exception":
            raise RuntimeError(found["exceptionDetails"]["text"])
        return json.loads(found["result"]["value"])

    def press(self, *keys: str) -> None:
        self._ask("input.performActions", context=self.tab, actions=strokes(keys))

    @classmethod
    @contextlib.contextmanager
    def start(cls):
        """A running Firefox with a profile of its own."""
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            command = ["firefox-esr", "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"]
            with running(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"HOME": profile}) as process:
                said = iter(process.stderr.readline, "")
                address = next((found[0] for line in said if (found := re.search(r"ws://\S+", line))), None)
                assert address, "Firefox ended before it said where it listens"
                tab = cls(address)
                try:
                    yield tab
                finally:
                    with contextlib.suppress(OSError, RuntimeError, websocket.WebSocketException):
                        tab._ask("browser.close")
                    tab.socket.close()


class WebKit:
    """A tab of WebKitGTK's own small browser."""

    def __init__(self, port: int):
        self.address = f"http://127.0.0.1:{port}/session"
        self.address += "/" + self._ask("", capabilities={})["sessionId"]

    def _ask(self, path: str, method: str = "POST", **body):
        request = urllib.request.Request(
            self.address + path,
            json.dumps(body).encode() if method == "POST" else None,
            {"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)["value"]

    def open(self, url: str) -> None:
        self._ask("/url", url=url)

    def evaluate(self, expression: str):
        """The value of an expression, or of the promise that it is; anything that JSON can say."""
        text = f"Promise.resolve({expression}).then(value => JSON.stringify(value ?? null))"
        script = f"const done = arguments[0]; {text}.then(done);"
        return json.loads(self._ask("/execute/async", script=script, args=[]))

    def press(self, *keys: str) -> None:
        self._ask("/actions", actions=strokes(keys))

    @classmethod
    @contextlib.contextmanager
    def start(cls):
        """A running browser on a screen of its own."""
        read, write = os.pipe()
        screen = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
        with running(screen, pass_fds=[write], stderr=subprocess.DEVNULL):
            os.close(write)
            with (
                open(read, encoding="utf-8") as display,
                tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
            ):
                number = display.readline().strip()
                assert number, "Xvfb ended before it had a screen"
                with socket.socket() as free:
                    free.bind(("127.0.0.1", 0))
                    port = free.getsockname()[1]
                own = {"DISPLAY": f":{number}", "GDK_BACKEND": "x11", "HOME": home, "XDG_RUNTIME_DIR": home}
                with running(["WebKitWebDriver", f"--port={port}"], stderr=subprocess.DEVNULL, env=os.environ | own):
                    tab = cls(_listening(port))
                    try:
                        yield tab
                    finally:
                        with contextlib.suppress(OSError):
                            tab._ask("", method="DELETE")


def _listening(port: int) -> int:
    """A port, as soon as somebody listens there."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return port
        except OSError:
            assert time.monotonic() < end, "WebKitWebDriver does not listen"
            time.sleep(0.1)
