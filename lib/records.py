"""Measured results kept as data, and used again only with the code and choices that made them.

A record is one file of strict JSON in ``records/``: tables, the configuration, digests of
the code, and where, when and how it was measured. A change of configuration or code
makes a record stale; it never makes it wrong.
"""

import datetime
import json
import math
import os
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from lib.files import write_atomically
from lib.fingerprint import LIB, canonical, digest, of_function

RECORDS = Path(os.environ.get("EPOCH_RECORDS", LIB.parent / "records"))
FORMAT, VERSION = "epoch-by-epoch record", 1
FIELDS = ("format", "version", "checksum", "key", "configuration", "code", "provenance", "tables")
DTYPES = ("bool", "int64", "float32", "float64", "str")


@dataclass(frozen=True)
class Record:
    """What was measured, by which code, and on what.

    Attributes
    ----------
    tables : dict of pandas.DataFrame
    configuration : dict
        Arguments of the function that made the tables.
    code : dict of str
        Digests of that function and of the functions, classes and constants it stands on
        (``lib.fingerprint.of_function``).
    provenance : dict
        ``device``, ``machine`` (``lib.profiling.machine``), ``versions``, ``seeds``, ``date`` (UTC),
        ``command``, ``seconds``.
    """

    tables: dict
    configuration: dict
    code: dict
    provenance: dict

    @property
    def key(self) -> str:
        """A digest of configuration and code."""
        return digest(canonical([self.configuration, self.code]))

    @property
    def table(self) -> pd.DataFrame:
        """The table of a record that has only one."""
        if len(self.tables) != 1:
            raise ValueError(f"The record has {len(self.tables)} tables, {', '.join(self.tables)}; take one of tables.")
        return next(iter(self.tables.values()))

    def __str__(self) -> str:
        machine = self.provenance["machine"]
        on_gpu = self.provenance["device"].startswith("cuda")
        device = machine["gpu"] if on_gpu else f"{machine['cpu']} ({machine['cores']} cores)"
        return (
            f"Measured {self.provenance['date'][:10]} on {device} with PyTorch {machine['torch']} "
            f"in {self.provenance['seconds']:.1f} s."
        )


def remember(name: str, experiment: Callable, /, **configuration) -> Record:
    """Record ``name`` if its key matches, else ``experiment(**configuration)``, measured now and saved.

    With ``FRESH=1`` in the environment it is measured in any case. A damaged record is
    named in a warning and measured again. Processes measure one at a time: two would
    disturb each other's times, or measure the same thing twice.

    Parameters
    ----------
    name : str
        Of the file: lower-case letters, digits and hyphens.
    experiment : function
        Made with ``def``; returns a table or a dict of tables. What it uses comes through
        its arguments, from ``lib``, or from functions and constants of its own file.
    **configuration : numbers, strings, lists, dicts
        Its arguments (tuples and ranges arrive as lists). ``device`` and ``seeds`` or ``seed``
        among them are noted in the provenance; a device that is not named is the one that
        ``lib`` chooses by default.
    """
    path, configuration, code = _path(name), json.loads(canonical(configuration)), of_function(experiment)

    def stored():
        if os.environ.get("FRESH", "0") in ("", "0"):
            try:
                record = load(name)
                return record if (record.configuration, record.code) == (configuration, code) else None
            except FileNotFoundError:
                return None
            except ValueError as error:
                warnings.warn(f"{error} It is measured again.", stacklevel=3)

    if record := stored():
        return record
    with lock(str(path.parent.resolve())):
        if record := stored():  # another lesson, executed at the same time, has measured it meanwhile
            return record
        return _measure(path, name, experiment, configuration, code)


def _measure(path: Path, name: str, experiment: Callable, configuration: dict, code: dict) -> Record:
    started = time.perf_counter()
    tables = experiment(**configuration)
    made = provenance(configuration, time.perf_counter() - started)
    text = _to_text(Record(tables if isinstance(tables, dict) else {"table": tables}, configuration, code, made))
    try:
        write_atomically(path, text)
    except OSError as error:  # a read-only disk costs time, not the lesson
        warnings.warn(f"Record {name} could not be saved ({error}).", stacklevel=3)
    return _from_text(text, name)  # exactly what a later reader gets


def lock(what: str) -> FileLock:
    """For processes of this machine that must not do the same thing at a time."""
    return FileLock(Path(tempfile.gettempdir(), f"records-{digest(what)}.lock"))


def save(name: str, record: Record, folder: Path | None = None):
    """Write a record at once: a reader, or a crash, meets the old file or the new one."""
    write_atomically(_path(name, folder), _to_text(record))


def load(name: str, folder: Path | None = None) -> Record:
    """Read a record, whatever code and configuration made it.

    Raises
    ------
    FileNotFoundError, ValueError
        There is none; or the file is damaged, foreign, or of an unknown version.
    """
    try:
        return _from_text(_path(name, folder).read_bytes().decode("utf-8", errors="replace"), name)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no record {name}; run the lesson that measures it.") from None


def _to_text(record: Record) -> str:
    document = {
        "format": FORMAT,
        "version": VERSION,
        "key": record.key,
        "configuration": record.configuration,
        "code": record.code,
        "provenance": record.provenance,
        "tables": {name: _to_columns(name, table) for name, table in record.tables.items()},
    }
    document["checksum"] = digest(canonical(document))
    lines = [f'"{field}": {json.dumps(document[field], allow_nan=False)}' for field in FIELDS]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _from_text(text: str, name: str) -> Record:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ValueError(f"Record {name} is damaged: it is no JSON ({error}).") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"Record {name} is foreign: its format is not {FORMAT!r}.")
    if document.get("version") != VERSION:
        raise ValueError(f"Record {name} has version {document.get('version')!r}, but this code reads only {VERSION}.")
    checksum = document.pop("checksum", None)
    if checksum != digest(canonical(document)) or {*document, "checksum"} != set(FIELDS):
        raise ValueError(f"Record {name} is damaged: its checksum does not match its content.")
    tables = {
        title: pd.DataFrame({column: _to_series(**stored) for column, stored in columns.items()})
        for title, columns in document["tables"].items()
    }
    return Record(tables, document["configuration"], document["code"], document["provenance"])


def _to_columns(name: str, table: pd.DataFrame) -> dict:
    """A table as JSON without loss; refused where JSON or the reader would lose something."""
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"{name} is a {type(table).__name__}, but a record keeps pandas.DataFrames.")
    columns = table.columns
    if (
        not all(isinstance(column, str) for column in columns)
        or not columns.is_unique
        or columns.name is not None
        or not len(columns)
        or not table.index.equals(pd.RangeIndex(len(table)))
        or table.index.name is not None
    ):
        raise ValueError(
            f"Table {name} must have rows counted from 0 and unnamed, different columns of text; use "
            f"reset_index(drop=...) and rename_axis(columns=None)."
        )
    stored = {}
    for column in columns:
        dtype = str(table[column].dtype)
        if dtype not in DTYPES:
            raise ValueError(
                f"Column {column} of table {name} is {dtype}, but a record keeps {', '.join(DTYPES)}; "
                f"convert it with astype."
            )
        values = table[column].tolist()
        if dtype.startswith("float"):  # JSON has no literal for these three
            values = [
                v if math.isfinite(v) else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(v, "NaN") for v in values
            ]
        elif dtype == "str":
            values = [v if isinstance(v, str) else None for v in values]
        stored[column] = {"dtype": dtype, "values": values}
    return stored


def _to_series(dtype: str, values: list) -> pd.Series:
    return pd.Series([float(v) for v in values] if dtype.startswith("float") else values, dtype=dtype)


def provenance(configuration: dict, seconds: float) -> dict:
    """Where, when and how something was measured, for ``Record.provenance``."""
    from lib.devices import fastest_device
    from lib.profiling import machine  # here, because reading a record needs no torch

    return {
        "device": configuration.get("device") or fastest_device(),
        "machine": machine(),
        "versions": {"numpy": np.__version__, "pandas": pd.__version__},
        "seeds": configuration.get("seeds", configuration.get("seed")),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": _command(),
        "seconds": round(seconds, 3),
    }


def _command() -> str:
    """What was started, if it is a program of the course; folders elsewhere are this machine's own."""
    words = [Path(word).name if os.path.isabs(word) else word for word in sys.argv]
    if words[0].startswith("ipykernel"):
        return "notebook"
    program, course = Path(sys.argv[0]).resolve(), Path(__file__).resolve().parents[1]
    if not program.is_relative_to(course) or not program.is_file():
        return "not a program of the course, which called it"
    return " ".join([program.relative_to(course).as_posix(), *words[1:]])


def _path(name: str, folder: Path | None = None) -> Path:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise ValueError(f"name is {name!r}, but it must be lower-case letters, digits and single hyphens.")
    return (folder or RECORDS) / f"{name}.json"
