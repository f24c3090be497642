"""A long record is made once, resumed after a kill, never made by a page, and a wrong number in it is caught."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib import fingerprint, long_records, records
from lib.data import Dataset
from lib.experiments import long
from lib.long_records import Again, LongRecord, RecordMismatch, chance_of_catching, differences, remember_long
from lib.models import mlp
from lib.records import Record, load, save
from lib.training import train
from lib.workload import classification

ROOT = Path(__file__).resolve().parents[1]
RUNS = [{"seed": seed} for seed in range(6)]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RECORDS", tmp_path / "records")
    monkeypatch.delenv("MEASURE_LONG", raising=False)
    monkeypatch.delenv("SPOT_SEED", raising=False)
    experiment.calls = []
    return tmp_path / "records"


def experiment(seed, scale=1.0):
    experiment.calls.append(seed)
    losses = np.random.default_rng(seed).random(3) * scale
    return {"curve": pd.DataFrame({"iteration": [0, 1, 2], "loss": losses}), "end": pd.DataFrame({"loss": losses[2:]})}


def half_failing(seed):
    if seed % 2:
        raise ZeroDivisionError(f"seed {seed} is odd")
    return experiment(seed)


def other_columns(seed):
    return pd.DataFrame({"even" if seed % 2 else "odd": [seed]})


def on_some_device(seed, device):
    return pd.DataFrame({"device": [device], "seed": [seed]})


def slow(seed):
    time.sleep(0.1)
    return experiment(seed)


def training(seed, batch_size):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(20, 3)).astype("float32"), rng.integers(2, size=20)
    workload = classification(mlp(3, 4, 2), Dataset("noise", x, y, x, y))
    history, _ = train(workload, batch_size=batch_size, epochs=2, seed=seed, device="cpu")
    return history.drop(columns="seconds", errors="ignore")


def made(function=experiment, runs=RUNS, tolerance=1e-9, name="long"):
    """As ``make records`` does."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MEASURE_LONG", "1")
        return remember_long(name, function, runs, tolerance=tolerance)


def with_costs(record: LongRecord, *seconds: float) -> LongRecord:
    """The same record, had its runs taken so long."""
    for how, cost in zip(record.provenance["runs"], itertools.cycle(seconds)):
        how["seconds"] = cost
    save(record.name, record)
    return record


def forged(record: LongRecord, *numbers: int, by: float = 0.5) -> LongRecord:
    """The same record with one loss of some runs changed, and saved as if it had been measured."""
    for number in numbers:
        table = record.tables["curve"]
        table.loc[table.index[table["run"] == number][1], "loss"] += by
    save(record.name, record)
    return remember_long(record.name, record.experiment, record.runs, tolerance=record.configuration["tolerance"])


# Made once


def test_a_page_never_makes_it(folder):
    with pytest.raises(FileNotFoundError, match="There is no record long, and it takes too long .* make records"):
        remember_long("long", experiment, RUNS, tolerance=1e-9)
    assert experiment.calls == [] and not folder.exists()


def test_it_is_made_once_and_then_read(folder):
    first = made()
    assert experiment.calls == list(range(6)) and os.listdir(folder / ".unfinished") == []
    again, third = made(), remember_long("long", experiment, RUNS, tolerance=1e-9)
    assert len(experiment.calls) == 6
    for record in (first, again, third):
        assert list(record.tables) == ["curve", "end"] and list(record.tables["curve"]) == ["run", "iteration", "loss"]
        assert record.tables["curve"].groupby("run").size().tolist() == [3] * 6
        assert record.runs == RUNS and record.provenance["seeds"] == list(range(6))
        assert record.provenance == first.provenance
    assert {"processor", "device", "date", "seconds"} == set(first.provenance["runs"][0])
    assert str(first).startswith("Measured 20") and str(first).endswith(" s: 6 runs.")
    pd.testing.assert_frame_equal(load("long").tables["curve"], first.tables["curve"], check_exact=True)


def test_more_runs_cost_only_what_is_new():
    first = made()
    more = made(runs=[{"seed": 7}, *RUNS])
    assert experiment.calls == [*range(6), 7]
    losses = more.tables["end"]["loss"].tolist()
    assert losses[1:] == first.tables["end"]["loss"].tolist() and losses[0] == experiment(7)["end"]["loss"].item()
    fewer = made(runs=RUNS[:2], tolerance={"loss": 1e-3})
    assert len(experiment.calls) == 8 and len(fewer.tables["end"]) == 2


KILLED = """
import os, signal, sys
import pandas as pd
from lib.long_records import remember_long

def experiment(seed):
    with open(sys.argv[1], "a", encoding="utf-8") as file:
        file.write(f"{seed} ")
    if seed == 3 and not os.path.exists(sys.argv[1] + ".once"):
        open(sys.argv[1] + ".once", "w", encoding="utf-8").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return pd.DataFrame({"twice": [2.0 * seed]})

if __name__ == "__main__":
    record = remember_long("killed", experiment, [{"seed": s} for s in range(6)], tolerance=0.0)
    print(record.table["twice"].tolist())
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_kill_costs_one_run(tmp_path, folder):
    (tmp_path / "script.py").write_text(KILLED, encoding="utf-8")
    command = [sys.executable, tmp_path / "script.py", tmp_path / "log"]
    environment = os.environ | {"EPOCH_RECORDS": str(folder), "MEASURE_LONG": "1", "PYTHONPATH": str(ROOT)}
    first = subprocess.run(command, env=environment, capture_output=True)
    assert first.returncode == -signal.SIGKILL and not (folder / "killed.json").exists()
    second = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=True)
    assert second.stdout == "[0.0, 2.0, 4.0, 6.0, 8.0, 10.0]\n"
    assert (tmp_path / "log").read_text(encoding="utf-8").split() == ["0", "1", "2", "3", "3", "4", "5"]


def test_a_run_that_was_cut_off_while_it_was_written_is_run_again(folder):
    made()
    record = (folder / "long.json").rename(folder / "aside")
    (folder / ".unfinished" / "long").mkdir(parents=True)
    (folder / ".unfinished" / "long" / "run-0.json").write_text('{"format": ', encoding="utf-8")
    made()
    assert experiment.calls == [*range(6), *range(6)] and record.exists()


def test_a_failed_run_does_not_stop_the_others(folder):
    with pytest.raises(RuntimeError, match='3 of 6 runs of long failed, .*"seed": 1.*ZeroDivisionError: seed 1 is odd'):
        made(half_failing)
    assert experiment.calls == [0, 2, 4] and not (folder / "long.json").exists()
    with pytest.raises(RuntimeError, match="3 of 6"):
        made(half_failing)
    assert experiment.calls == [0, 2, 4]


@pytest.mark.parametrize("runs", [[], [{"seed": 1}, {"seed": 2}, {"seed": 1}], [{"a": 1, "b": 2}, {"b": 2, "a": 1}]])
def test_runs_must_differ(runs):
    with pytest.raises(ValueError, match="one or more, all different"):
        made(runs=runs)


def test_runs_of_different_forms_are_refused_at_once():
    with pytest.raises(ValueError, match="the same tables, with the same columns"):
        made(other_columns)


def test_the_fastest_device_is_used_unless_one_is_named(monkeypatch):
    monkeypatch.setattr("lib.devices.fastest_device", lambda: "fastest:0")
    record = made(on_some_device, [{"seed": 0}, {"seed": 1, "device": "cpu"}])
    assert record.table["device"].tolist() == ["fastest:0", "cpu"]
    assert [how["device"] for how in record.provenance["runs"]] == ["fastest:0", "cpu"]


def test_a_run_that_no_check_can_repeat_is_named(monkeypatch):
    monkeypatch.setattr(long_records, "LONGEST_RUN", -1.0)
    with pytest.warns(UserWarning, match="is never run again by a check; cut it smaller"):
        made()


# Out of date


def test_changed_code_is_noticed_and_not_measured(monkeypatch):
    before = made()
    monkeypatch.setitem(experiment.__globals__, "np", _Numpy())
    with pytest.warns(UserWarning, match="Record long was made by other code: experiment changed .* make records"):
        record = remember_long("long", experiment, RUNS, tolerance=1e-9)
    assert len(experiment.calls) == 6 and record.changed == ["experiment"] and before.code == record.code
    assert made().changed == [] and len(experiment.calls) == 12  # make records measures all of it


class _Numpy:
    """Something else under the name that the experiment uses."""

    __module__ = "builtins"
    random = np.random

    def __call__(self):
        pass


def test_unfinished_runs_of_other_code_are_not_taken_over(folder, monkeypatch):
    with pytest.raises(RuntimeError):
        made(half_failing)
    code = fingerprint.of_function(half_failing) | {"half_failing": "0" * 16}
    monkeypatch.setattr(long_records, "of_function", lambda function: code)
    with pytest.raises(RuntimeError):
        made(half_failing)
    assert experiment.calls == [0, 2, 4, 0, 2, 4]


def test_other_runs_or_another_tolerance_are_no_answer():
    made()
    for runs, tolerance in [(RUNS[:3], 1e-9), (RUNS, 1e-3)]:
        with pytest.raises(ValueError, match="of other runs or of another tolerance .* make records"):
            remember_long("long", experiment, runs, tolerance=tolerance)
    assert len(experiment.calls) == 6


def test_a_damaged_or_short_record_is_named(folder):
    made()
    (folder / "long.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="Record long is damaged.*Remove it and make it anew"):
        remember_long("long", experiment, RUNS, tolerance=1e-9)
    save("short", Record({"table": pd.DataFrame({"a": [1]})}, {}, {}, {}))
    with pytest.raises(ValueError, match="Record short is no long one"):
        remember_long("short", experiment, RUNS, tolerance=1e-9)


# Run again


def test_a_part_is_run_again_and_agrees():
    record = with_costs(made(), 10.0)
    experiment.calls.clear()
    again = record.run_again(seconds=30, seed=1)
    assert sorted(experiment.calls) == sorted(again.runs) == sorted(set(again.runs)) and len(again.runs) == 3
    assert str(again) == (
        "6 runs, recorded, of which 3 were run again here and agree. Had one of all runs been wrong, this would have "
        "shown it with probability 50.0%; had every tenth been, with 50.0%."
    )


def test_the_part_is_random_seeded_and_within_its_time(monkeypatch):
    record = with_costs(made(), 1.0, 2.0, 3.0, 70.0)
    parts = [record.part(seed, seconds=4.0) for seed in range(200)]
    assert parts == [record.part(seed, seconds=4.0) for seed in range(200)]
    assert len({tuple(part) for part in parts}) > 5
    costs = [how["seconds"] for how in record.provenance["runs"]]
    assert all(0 < sum(costs[number] for number in part) <= 4.0 for part in parts)
    assert set().union(*parts) == {0, 1, 2, 4, 5}  # all but the one that takes 70 s
    assert {len(record.part(seed, 60, num_runs=2)) for seed in range(20)} == {2}
    with pytest.raises(ValueError, match="No run of record long fits into 0.5 s"):
        record.run_again(seconds=0.5)
    assert record.run_again(4.0, seed=3).runs == parts[3]
    monkeypatch.setenv("SPOT_SEED", "3")
    assert record.run_again(4.0).runs == parts[3]
    monkeypatch.delenv("SPOT_SEED")
    assert record.run_again(4.0).runs == record.run_again(4.0).runs  # today's


def test_a_slower_machine_runs_fewer_again():
    record = with_costs(made(slow), 0.01)
    started = time.monotonic()
    again = record.run_again(seconds=0.35, seed=0)
    assert 1 <= len(again.runs) < 6 and time.monotonic() - started < 2


@pytest.mark.parametrize("num_wrong", [1, 4])
def test_a_forged_number_is_caught_as_often_as_is_said(num_wrong):
    """400 checks with other seeds: the share that catches it lies within four standard errors of what is stated."""
    runs = [{"seed": seed} for seed in range(20)]
    record = forged(with_costs(made(runs=runs), 1.0), *range(num_wrong))
    caught = 0
    for seed in range(400):
        try:
            stated = record.run_again(seconds=5, seed=seed).chance_of_catching(num_wrong / 20)
        except RecordMismatch:
            caught += 1
    assert stated == chance_of_catching(20, 5, num_wrong)
    assert abs(caught / 400 - stated) < 4 * (stated * (1 - stated) / 400) ** 0.5
    assert stated == pytest.approx({1: 0.25, 4: 0.7183}[num_wrong], abs=1e-4)


def test_the_chance_is_what_counting_all_parts_gives():
    for n, k, wrong in itertools.product(range(1, 7), range(7), range(7)):
        if k <= n and wrong <= n:
            parts = list(itertools.combinations(range(n), k))
            share = sum(any(number < wrong for number in part) for part in parts) / len(parts)
            assert chance_of_catching(n, k, wrong) == pytest.approx(share)
    assert Again([3], 200, 1.0).chance_of_catching(0.1) == pytest.approx(0.1)
    with pytest.raises(ValueError, match="num_again is 4, but it must be a whole number from 0 to 3"):
        chance_of_catching(3, 4)


def test_a_wrong_number_is_named_with_run_and_remedy():
    record = forged(made(), 2)
    sentence = (
        r"Record long, run 2 \({\"seed\": 2}\): loss in row 1 of table curve is 0.\d+ here, but \d.\d+ is recorded"
    )
    with pytest.raises(RecordMismatch, match=sentence + ", and the tolerance is 1e-09.*make records"):
        record.run_again()


@pytest.mark.parametrize(
    "tolerance, by, caught",
    [
        (1e-9, 1e-10, False),
        (1e-9, 1e-8, True),
        (1e-3, 1e-4, False),
        ({"loss": 1e-3}, 1e-2, True),
        ({"loss": 1e-1}, 1e-2, False),
        ({"curve.loss": 1e-1, "loss": 0.0}, 1e-2, False),
        ({"curve.loss": None}, 100.0, False),
        ({}, 1e-15, True),
    ],
)
def test_the_tolerance_decides(tolerance, by, caught):
    record = forged(made(tolerance=tolerance), 0, 1, 2, 3, 4, 5, by=by)
    if caught:
        with pytest.raises(RecordMismatch):
            record.run_again()
    else:
        assert len(record.run_again().runs) == 6


@pytest.mark.parametrize(
    "recorded, found, tolerance, differ",
    [
        ([1000.0], [1000.9], 1e-3, False),  # relative above 1,
        ([1e-6], [9e-4], 1e-3, False),  # absolute below
        ([100], [101], 0.5, True),  # counts are exact,
        ([100], [101], {"a": 0.5}, False),  # unless they are named
        ([np.nan, np.inf], [np.nan, np.inf], 0.0, False),
        ([np.inf], [-np.inf], 1.0, True),
        ([np.nan], [1.0], 1.0, True),
        (["ok"], ["diverged"], 1.0, True),
        ([True], [False], 1.0, True),
        ([1.0], [1.0, 2.0], 1.0, True),
    ],
)
def test_what_counts_as_different(recorded, found, tolerance, differ):
    old, new = ({"t": pd.DataFrame({"a": values})} for values in (recorded, found))
    assert bool(list(differences(old, new, tolerance))) == differ
    assert list(differences(old, {"u": old["t"]}, tolerance)) and list(differences(old, {"t": pd.DataFrame()}, 1.0))


def test_training_runs_agree_when_they_are_run_again():
    runs = [{"seed": seed, "batch_size": batch_size} for seed in range(3) for batch_size in (3, 20)]
    record = made(training, runs, tolerance=1e-5, name="training")
    assert len(record.run_again().runs) == 6 and record.changed == []
    assert "lib.training.train" in record.code and "lib.sweep.sweep" not in record.code
    record.tables["table"].loc[record.tables["table"].index[-1], "train_loss"] *= 1.001
    with pytest.raises(RecordMismatch, match="run 5 .*train_loss in row"):
        record.run_again()


# The commands


def test_make_and_check_name_every_problem(monkeypatch, capsys):
    def good():
        return remember_long("good", experiment, RUNS, tolerance=1e-9)

    def bad():
        return remember_long("bad", half_failing, RUNS, tolerance=1e-9)

    monkeypatch.setattr(long, "LONG", [bad, good])
    monkeypatch.setenv("MEASURE_LONG", "0")
    with pytest.raises(SystemExit, match="3 of 6 runs of bad failed"):
        long.main(["make"])
    assert "good: Measured" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="There is no record bad"):
        long.main(["check", "--seed", "1"])
    assert "good: 6 runs, recorded, of which 6 were run again here" in capsys.readouterr().out
    forged(good(), *range(6))
    with pytest.raises(SystemExit, match="no record bad(.|\n)*Record good, run"):
        long.main(["check"])


def test_check_refuses_a_record_of_other_code(monkeypatch):
    made()
    monkeypatch.setattr(long, "LONG", [lambda: remember_long("long", experiment, RUNS, tolerance=1e-9)])
    with pytest.raises(SystemExit) as ended:
        long.main(["check"])
    assert not ended.value.code
    monkeypatch.setitem(experiment.__globals__, "np", _Numpy())
    with pytest.raises(SystemExit, match="made by other code: experiment changed"):
        long.main(["check"])


def test_check_runs_at_least_the_shortest_run_of_each(monkeypatch, capsys):
    record = made()
    for each, seconds in zip(record.provenance["runs"], (50.0, 40.0, 30.0, 0.5, 30.0, 30.0)):
        each["seconds"] = seconds
    monkeypatch.setattr(long, "LONG", [lambda: record] * 2)
    for seconds, runs in (("0.01", "1 was"), ("1000", "6 were")):
        with pytest.raises(SystemExit) as ended:
            long.main(["check", "--seconds", seconds])
        assert not ended.value.code and capsys.readouterr().out.count(f"of which {runs} run again here") == 2


def test_without_long_records_both_say_so(monkeypatch, capsys):
    monkeypatch.setattr(long, "LONG", [])
    for action in ("make", "check"):
        with pytest.raises(SystemExit) as ended:
            long.main([action])
        assert not ended.value.code and "no long record" in capsys.readouterr().out
