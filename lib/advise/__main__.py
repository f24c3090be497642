"""Advice from the command line.

python -m lib.advise my_file.py:make_model my_file.py:make_data
python -m lib.advise my_file.py:make_model my_file.py:make_data --loss my_file.py:loss --optimizer adamw
    --batch-size 64 --epochs 20 --seconds 300 --price 2.5 --report advice.html

Each name is a function without arguments that returns a model, or a dataset, DataLoader or (inputs, targets); a
variable of that name does too. A loss is a function of outputs and targets, an optimizer a name or a function of
the parameters.
"""

import argparse
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from lib.advise.ask import advise
from lib.recipe import OPTIMIZERS, Budget


def named(text: str, call: bool, files: dict[str, ModuleType]) -> Any:
    """What stands behind ``file.py:name``; the result of a function if ``call``."""
    path, _, name = text.rpartition(":")
    if not path or not name:
        raise ValueError(f"{text!r} names nothing; write file and function, as in my_file.py:make_model.")
    if path not in files:
        files[path] = _run(Path(path))
    if not hasattr(files[path], name):
        raise ValueError(f"{path} has no {name}; write a function of that name.")
    found = getattr(files[path], name)
    return found() if call and callable(found) and not isinstance(found, torch.nn.Module) else found


def _run(path: Path) -> ModuleType:
    if not path.is_file():
        raise ValueError(f"There is no file {path}; give the way to it from here.")
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is no Python file; its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # data loaders and pickles look for it there
    spec.loader.exec_module(module)
    return module


def main(words: list[str] | None = None):
    parser = argparse.ArgumentParser(
        prog="python -m lib.advise", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="file.py:function that returns the model")
    parser.add_argument("data", help="file.py:function that returns the training set")
    parser.add_argument("--loss", help="file.py:function of outputs and targets, a mean over samples")
    parser.add_argument(
        "--optimizer", default="sgd", help=f"{', '.join(OPTIMIZERS)}, or file.py:function of parameters"
    )
    parser.add_argument("--batch-size", type=int, help="the present one (default: the DataLoader's, or 64)")
    parser.add_argument("--seconds", type=float, default=120.0, help="for everything (default 120)")
    parser.add_argument("--epochs", type=int, help="of the run that is planned (default 10)")
    parser.add_argument("--iterations", type=int, help="of the run that is planned, instead of epochs")
    parser.add_argument("--hours", type=float, help="of the run that is planned, instead of epochs")
    parser.add_argument("--target", type=float, help="training loss up to which the noise is of interest")
    parser.add_argument("--price", type=float, help="of an hour of this machine")
    parser.add_argument("--device", help="cpu or cuda (default: cuda if it is there)")
    parser.add_argument("--report", default="advice.html", help="file to write (default advice.html)")
    given = parser.parse_args(words)
    files: dict[str, ModuleType] = {}
    try:
        parts = {"epochs": given.epochs, "iterations": given.iterations}
        parts["seconds"] = given.hours * 3600 if given.hours is not None else None
        if not any(part is not None for part in parts.values()):
            parts["epochs"] = 10
        budget = Budget(**parts, target=given.target)
        model, data = (named(text, True, files) for text in (given.model, given.data))
        loss = named(given.loss, False, files) if given.loss else None
        optimizer = named(given.optimizer, False, files) if ":" in given.optimizer else given.optimizer
        device = given.device or ("cuda" if torch.cuda.is_available() else None)
        print(f"This takes at most about {given.seconds:.0f} s.", flush=True)
        advice = advise(
            model, data, loss, optimizer=optimizer, batch_size=given.batch_size, seconds=given.seconds, budget=budget,
            price=given.price, device=device)  # fmt: skip
        print(advice)
        print(f"\nThe report is in {advice.save(given.report).name}.")
    except (TypeError, ValueError, MemoryError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
