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
import types

MOST_VALUES = 20_000  # numbers, texts and lists in one answer, all together
MOST_CHARACTERS = 1_000_000  # of one answer as JSON
LARGEST = 2**63  # of a whole number
MOST_OF_A_TEXT = 300  # of an error's message


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
        ``{"plain": value}``, ``{"missing": name}``, ``{"untouched": name}`` (the answer is still
        ``...``), or ``{"error": sentence}``.
    """
    name = question.get("value") or question["call"]
    if name not in namespace:
        return {"missing": name}
    answer = namespace[name]
    try:
        if "call" in question:
            if is_empty(answer):
                return {"untouched": name}
            choices = {key: received(value) for key, value in question.get("choices", {}).items()}
            answer = answer(*map(received, question["arguments"]), **choices)
        text = json.dumps(plain(answer))
        if len(text) > MOST_CHARACTERS:
            return {"error": f"`{name}` is far too long for an answer"}
        return {"plain": json.loads(text)}
    except Untouched:
        return {"untouched": name}
    except (Exception, SystemExit) as error:
        return {"error": sentence(error)}


def is_empty(function) -> bool:
    """Whether a function is still ``...``, or its body is, perhaps below its docstring."""

    def bare(): ...

    def with_docstring():
        """A docstring."""

    code = getattr(function, "__code__", None)
    return function is ... or (
        code is not None
        and code.co_code in (bare.__code__.co_code, with_docstring.__code__.co_code)
        and code.co_consts[-1:] == (None,)
    )


def sentence(error: BaseException) -> str:
    """An error in a line that can be stored and shown, whatever its class and message hold."""
    try:
        text = f"{type(error).__name__[:50]}: {str(error)[:MOST_OF_A_TEXT]}"
    except BaseException:  # its own __str__ may fail, too
        text = type(error).__name__[:50]
    return shown(text)


def shown(text: str, most: int = 2 * MOST_OF_A_TEXT) -> str:
    """A text that can be stored and shown: of a bounded length, in one line, and without halves of characters."""
    return " ".join(text[:most].split()).encode("utf-8", "backslashreplace").decode()[:most]


def received(argument):
    if isinstance(argument, dict) and argument.keys() == {"array", "dtype"}:
        import numpy

        return numpy.array(argument["array"], dtype=argument["dtype"])
    return argument


class Untouched(Exception):
    """An answer, or a part of it, is still ``...``."""


def plain(value, counter=None):
    """The value in JSON's types; arrays, tensors and anything iterable become lists.

    ``counter`` counts the values on the way, so that what does not end is given up.
    """
    counter = itertools.count(1) if counter is None else counter
    if next(counter) > MOST_VALUES:
        raise ValueError(f"it has more than {MOST_VALUES} values, or does not end")
    if value is ...:
        raise Untouched
    if isinstance(value, int) and not -LARGEST < value < LARGEST:
        raise ValueError("it has a number that is far too large")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, types.SimpleNamespace):
        value = vars(value)
    if isinstance(value, dict):
        return {str(key): plain(item, counter) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist(), counter)
    if hasattr(value, "__iter__"):
        return [plain(item, counter) for item in value]
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
                    answer: dict = {}
                    if isinstance(error, TooLong):
                        raise error
                    if error is not None:
                        answer = {"error": sentence(error)}
                else:
                    answer = reply(shell.user_ns, request)
            finally:
                if timed:
                    signal.setitimer(signal.ITIMER_REAL, 0)
        except TooLong:
            answer = {"error": f"stopped after {request['seconds']:g} seconds", "late": True}
        except BaseException as error:
            answer = {"error": sentence(error)}
        print(json.dumps(answer | {"id": request["id"]}), file=replies, flush=True)


if __name__ == "__main__":
    sys.path[0] = os.getcwd()
    serve()
