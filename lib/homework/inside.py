"""The side of the student's code: it runs cells and answers questions, in JSON and nothing else.

A check never touches a student's object. It asks for the value of a variable, or for
what a function returns for given arguments, and gets plain numbers, strings and lists
back. In a notebook the question is a function call; in a grader it travels through a
pipe to ``python inside.py``, which is all there is of the course's code beside the
student's. Nothing here knows an answer.
"""

import itertools
import json
import os
import signal
import sys

MOST_ITEMS = 100_000  # of something that is produced one by one
MOST_CHARACTERS = 4_000_000


def reply(namespace: dict, question: dict) -> dict:
    """Answer one question about the student's variables.

    Parameters
    ----------
    namespace : dict
        The variables of the notebook.
    question : dict
        ``{"value": name}``, or ``{"call": name, "arguments": [...], "choices": {...}}``.
        An argument ``{"array": [...], "dtype": "float64"}`` arrives as a NumPy array.

    Returns
    -------
    dict
        ``{"plain": value}``, ``{"missing": name}``, or ``{"error": sentence}``.
    """
    name = question.get("value") or question["call"]
    if namespace.get(name, ...) is ...:
        return {"missing": name}
    answer = namespace[name]
    try:
        if "call" in question:
            choices = {key: received(value) for key, value in question.get("choices", {}).items()}
            answer = answer(*map(received, question["arguments"]), **choices)
        text = json.dumps(plain(answer))
        if len(text) > MOST_CHARACTERS:
            return {"error": f"`{name}` is far too long for an answer"}
        return {"plain": json.loads(text)}
    except (Exception, SystemExit) as error:
        return {"error": f"{type(error).__name__}: {str(error)[:300]}"}


def received(argument):
    if isinstance(argument, dict) and argument.keys() == {"array", "dtype"}:
        import numpy

        return numpy.array(argument["array"], dtype=argument["dtype"])
    return argument


def plain(value):
    """The value in JSON's types; arrays, tensors and anything iterable become lists."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if hasattr(value, "__iter__"):
        items = [plain(item) for item in itertools.islice(value, MOST_ITEMS + 1)]
        if len(items) > MOST_ITEMS:
            raise ValueError("it does not end")
        return items
    raise TypeError(f"a {type(value).__name__} is neither a number, nor text, nor a list of them")


class TooLong(BaseException):
    """A cell or a call ran past its limit. Not an Exception: `except Exception` must not swallow it."""


def _late(*_):
    raise TooLong


def serve():
    """Run cells and answer questions, a JSON line each, until the input ends.

    Whatever the cells print goes nowhere. ``run`` brings back the error of a cell, if
    any; every other request is a question.
    """
    requests, replies = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    for stream in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    shell = InteractiveShell.instance(
        config=Config(
            {"HistoryManager": {"enabled": False}, "InteractiveShell": {"xmode": "Minimal", "colors": "NoColor"}}
        )
    )
    timed = hasattr(signal, "setitimer")
    if timed:
        signal.signal(signal.SIGALRM, _late)
    print(json.dumps({"id": "ready"}), file=replies, flush=True)
    for line in requests:
        request = json.loads(line)
        try:
            if timed:  # again every second, in case the first is swallowed
                signal.setitimer(signal.ITIMER_REAL, request["seconds"], 1)
            try:
                if "run" in request:
                    result = shell.run_cell(request["run"], store_history=False)
                    error = result.error_before_exec or result.error_in_exec
                    answer = {}
                    if isinstance(error, TooLong):
                        raise error
                    if error is not None:
                        answer = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
                else:
                    answer = reply(shell.user_ns, request)
            finally:
                if timed:
                    signal.setitimer(signal.ITIMER_REAL, 0)
        except TooLong:
            answer = {"error": f"stopped after {request['seconds']:g} seconds", "late": True}
        except BaseException as error:
            answer = {"error": type(error).__name__}
        print(json.dumps(answer | {"id": request["id"]}), file=replies, flush=True)


if __name__ == "__main__":
    sys.path[0] = os.getcwd()
    serve()
