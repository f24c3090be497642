"""Records come back as they were, and never for another configuration or other code."""

import json
import os
import shutil
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib import fingerprint, records
from lib.data import Dataset
from lib.fingerprint import LIB
from lib.models import logistic
from lib.records import Record, load, remember, save
from lib.training import train
from lib.workload import classification

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RECORDS", tmp_path / "records")
    monkeypatch.delenv("FRESH", raising=False)
    experiment.calls, training.calls = [], []
    return tmp_path / "records"


@pytest.fixture
def copied_lib(tmp_path, monkeypatch):
    copy = shutil.copytree(LIB, tmp_path / "lib")
    monkeypatch.setattr(fingerprint, "LIB", copy)
    return copy


def experiment(batch_sizes, seeds=(0, 1), device="cpu"):
    experiment.calls.append(batch_sizes)
    return pd.DataFrame({"batch_size": batch_sizes, "loss": [1 / 3] * len(batch_sizes)})


def slow(batch_sizes):
    time.sleep(0.5)
    return experiment(batch_sizes)


def failing():
    return pd.DataFrame({"loss": [1 / 0]})


def training(seed):
    training.calls.append(seed)
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(20, 3)).astype("float32"), rng.integers(2, size=20)
    workload = classification(logistic(3, 2), Dataset("noise", x, y, x, y))
    history, _ = train(workload, batch_size=5, epochs=1, seed=seed, device="cpu")
    return {"history": history, "counts": history[["iteration", "samples"]]}


def some_record(**columns):
    provenance = {
        "device": "cpu",
        "machine": {"cpu": "Abacus", "cores": 2, "gpu": None, "torch": "2.13.0"},
        "date": "2026-11-20T12:00:00+00:00",
        "seconds": 41.27,
        "seeds": [0, 1],
    }
    return Record({"table": pd.DataFrame(columns or {"a": [1, 2]})}, {"seeds": 2}, {"lib.plan": "0" * 16}, provenance)


# Tables in and out


def test_tables_come_back_without_loss():
    table = pd.DataFrame(
        {
            "count": np.array([0, -1, 2**62 + 1]),
            "loss": [0.1 + 0.2, np.nan, np.inf],
            "low": [-np.inf, -0.0, 5e-324],
            "short": np.array([0.1, np.nan, np.inf], dtype="float32"),
            "status": ["ok", None, 'say "ü"\n'],
            "number": ["NaN", "Infinity", ""],
            "reached": [True, False, True],
        }
    )
    save("all-kinds", Record({"a": table, "none": table[:0]}, {}, {}, {}))
    found = load("all-kinds")
    pd.testing.assert_frame_equal(found.tables["a"], table, check_exact=True)
    pd.testing.assert_frame_equal(found.tables["none"], table[:0], check_exact=True)
    assert np.signbit(found.tables["a"]["low"][1])


def test_the_file_is_strict_json(folder):
    save("strict", some_record(loss=[np.nan, np.inf, -np.inf]))

    def refuse(literal):
        raise AssertionError(literal)

    json.loads((folder / "strict.json").read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.mark.parametrize(
    "table, message",
    [
        (pd.DataFrame({"day": pd.to_datetime(["2026-11-20"])}), "day of table table is datetime64"),
        (pd.DataFrame({"mixed": [1, "a"]}), "mixed of table table is object"),
        (pd.DataFrame({"a": [1]}, index=[3]), "rows counted from 0"),
        (pd.DataFrame({"a": [1, 2], "b": [1, 2]}).pivot(columns="b", values="a"), "different columns of text"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "different columns"),
        (pd.DataFrame({3: [1]}), "columns of text"),
        (pd.DataFrame({"a": [1]}).rename_axis(columns="unit"), "unnamed"),
        (pd.DataFrame({"a": [1]}).rename_axis("run"), "rows counted from 0"),
        (pd.DataFrame(), "different columns"),
    ],
)
def test_tables_that_would_lose_something_are_refused(table, message, folder):
    with pytest.raises(ValueError, match=message):
        save("lossy", Record({"table": table}, {}, {}, {}))
    with pytest.raises(TypeError, match="table is a list"):
        save("lossy", Record({"table": [1]}, {}, {}, {}))
    assert not folder.exists()


# Files


def test_an_interrupted_write_leaves_the_old_record(folder, monkeypatch):
    save("kept", some_record(a=[1]))
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        save("kept", some_record(a=[2]))
    assert load("kept").table["a"].tolist() == [1] and os.listdir(folder) == ["kept.json"]


def test_unusable_files_are_named(folder):
    with pytest.raises(FileNotFoundError, match="There is no record none"):
        load("none")
    save("good", some_record())
    text = (folder / "good.json").read_text(encoding="utf-8")
    for change, message in [
        (lambda t: t[:-30], "damaged: it is no JSON"),
        (lambda t: t.replace("[1, 2]", "[1, 3]"), "checksum"),
        (lambda t: t.replace("41.27", "1.27"), "checksum"),
        (lambda t: t.replace('"key"', '"kay"'), "checksum"),
        (lambda t: '{"runs": []}', "foreign"),
        (lambda t: "[1]", "foreign"),
        (lambda t: t.replace('"version": 1', '"version": 2'), "version 2, but this code reads only 1"),
    ]:
        changed = change(text)
        assert changed != text
        (folder / "bad.json").write_text(changed, encoding="utf-8")
        with pytest.raises(ValueError, match=f"Record bad .*{message}"):
            load("bad")
    (folder / "bad.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="damaged"):
        load("bad")
    for name in ("../up", "Upper", "a b", "", "a--b"):
        with pytest.raises(ValueError, match="lower-case letters"):
            load(name)


# Remembering


def test_an_experiment_runs_once(folder):
    first = remember("once", experiment, batch_sizes=[1, 8])
    again = remember("once", experiment, batch_sizes=(1, 8))
    assert len(experiment.calls) == 1 and os.listdir(folder) == ["once.json"]
    pd.testing.assert_frame_equal(first.table, again.table, check_exact=True)
    assert first.provenance == again.provenance and first.key == again.key


def test_another_configuration_is_measured():
    keys = {
        remember("changing", experiment, **each).key
        for each in ({"batch_sizes": [1]}, {"batch_sizes": [2]}, {"batch_sizes": [2], "seeds": [0]})
    }
    assert len(experiment.calls) == len(keys) == 3


@pytest.mark.parametrize(
    "module, before, after, changed",
    [
        ("recipe", "momentum: float = 0.9", "momentum: float = 0.8", "lib.recipe.Recipe"),
        ("sampling", "permutation(num_samples)", "permutation(num_samples)[::-1]", "lib.sampling.epoch_order"),
        ("loading", "return -(-a // b)", "return (a + b - 1) // b", "lib.loading.ceil_div"),
    ],
)
def test_changed_code_is_never_answered_from_an_old_record(module, before, after, changed, copied_lib):
    first = remember("engine", training, seed=0)
    path = copied_lib / f"{module}.py"
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1
    path.write_text(f"{text}\n# only words\n\n\ndef added():\n    return 1\n", encoding="utf-8")
    assert remember("engine", training, seed=0).provenance == first.provenance and len(training.calls) == 1
    path.write_text(text.replace(before, after), encoding="utf-8")
    again = remember("engine", training, seed=0)
    assert len(training.calls) == 2 and again.key != first.key
    assert fingerprint.changed(first.code, again.code) == [changed]
    remember("engine", training, seed=0)
    assert len(training.calls) == 2


def test_another_experiment_of_the_same_name_is_measured():
    def make(source):
        import linecache

        name = f"<cell {len(linecache.cache)}>"
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)  # as a notebook does
        variables = {"__name__": "__main__"}
        exec(compile(source, name, "exec"), variables)
        return variables["experiment"]

    cell = "import pandas as pd\nN = {}\ndef experiment():\n    return pd.DataFrame({{'n': [N + {}]}})\n"
    found = [remember("cell", make(cell.format(*each))).table["n"].item() for each in ((1, 0), (2, 0), (2, 5))]
    assert found == [1, 2, 7]


@pytest.mark.parametrize("fresh, runs", [("1", 2), ("0", 1), ("", 1)])
def test_fresh_measures_again(monkeypatch, fresh, runs):
    remember("fresh", experiment, batch_sizes=[1])
    monkeypatch.setenv("FRESH", fresh)
    remember("fresh", experiment, batch_sizes=[1])
    assert len(experiment.calls) == runs


def test_two_lessons_at_once_measure_once():
    with ThreadPoolExecutor(2) as both:
        found = list(both.map(lambda _: remember("slow", slow, batch_sizes=[1]), range(2)))
    assert len(experiment.calls) == 1 and found[0].provenance == found[1].provenance


def test_a_damaged_record_is_measured_again_with_a_warning(folder):
    remember("hurt", experiment, batch_sizes=[1])
    (folder / "hurt.json").write_text("{", encoding="utf-8")
    with pytest.warns(UserWarning, match="Record hurt is damaged.*measured again"):
        remember("hurt", experiment, batch_sizes=[1])
    assert len(experiment.calls) == 2 and len(load("hurt").table) == 1


def test_a_read_only_folder_costs_the_record_not_the_result(folder, monkeypatch):
    def refuse(*paths):
        raise PermissionError("read-only")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.warns(UserWarning, match="could not be saved"):
        assert len(remember("lost", experiment, batch_sizes=[1, 2]).table) == 2


def test_a_failed_experiment_leaves_no_record(folder):
    with pytest.raises(ZeroDivisionError):
        remember("failed", failing)
    assert not (folder / "failed.json").exists()


def test_several_tables_and_the_provenance(folder):
    record = remember("provenance", training, seed=3)
    assert list(record.tables) == ["history", "counts"] and record.tables["counts"]["iteration"].tolist() == [0, 4]
    with pytest.raises(ValueError, match="2 tables, history, counts"):
        record.table
    found = load("provenance").provenance
    assert set(found) == {"device", "machine", "versions", "seeds", "date", "command", "seconds"}
    assert found["seeds"] == 3 and found["machine"]["cpu"] and 0 < found["seconds"] < 60
    mode = stat.S_IMODE(os.stat(folder / "provenance.json").st_mode)
    assert mode & stat.S_IRUSR and mode & stat.S_IRGRP == 0o666 & ~_umask() & stat.S_IRGRP


@pytest.mark.parametrize(
    "words, command",
    [
        ([str(ROOT / "lib/experiments/long.py"), "make", "/data/a.txt"], "lib/experiments/long.py make a.txt"),
        (["/home/someone/lesson.py", "--seeds", "5"], "not a program of the course, which called it"),
        (["-c"], "not a program of the course, which called it"),
        (["/usr/lib/ipykernel_launcher.py", "-f", "kernel-1.json"], "notebook"),
    ],
)
def test_the_command_names_no_folder(monkeypatch, words, command):
    monkeypatch.setattr("sys.argv", words)
    assert remember("command", experiment, batch_sizes=[1]).provenance["command"] == command


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_record_says_where_it_is_from():
    record = some_record()
    assert str(record) == "Measured 2026-11-20 on Abacus (2 cores) with PyTorch 2.13.0 in 41.3 s."
    record.provenance.update(device="cuda:0", machine=record.provenance["machine"] | {"gpu": "Loom"})
    assert str(record) == "Measured 2026-11-20 on Loom with PyTorch 2.13.0 in 41.3 s."
