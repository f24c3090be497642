"""Where a GPU has been measured, the lessons show it beside the CPU; a stand-in plays the GPU here."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import jupytext
import nbclient
import pytest

from lib import records

LESSONS = Path(__file__).resolve().parents[1] / "lessons"


def shown(lesson, folder):
    """What the cells of a lesson print and tell, with the records of a folder."""
    notebook = jupytext.read(LESSONS / f"{lesson}.md")
    environment = os.environ | {"EPOCH_RECORDS": str(folder), "TQDM_DISABLE": "1"}
    client = nbclient.NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": LESSONS}})
    client.execute(env=environment)
    return "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))


@pytest.fixture
def as_gpu(tmp_path, monkeypatch):
    """Gives a function that puts a CPU's record, perhaps changed, into the folder as that of a GPU."""
    folder = shutil.copytree(records.RECORDS, tmp_path / "records")
    monkeypatch.setattr(records, "RECORDS", folder)

    def put(name, change=lambda table: table):
        record = records.load(f"{name}-cpu")
        provenance = record.provenance | {
            "device": "cuda",
            "machine": record.provenance["machine"] | {"gpu": "Abacus 9000"},
        }
        tables = {title: change(table) for title, table in record.tables.items()}
        records.save(f"{name}-cuda", replace(record, tables=tables, provenance=provenance))
        return folder

    return put


def test_lesson_6_shows_both_speeds(as_gpu):
    text = shown("06-time-and-memory", as_gpu("speed"))
    assert "on Abacus 9000" in text and "the GPU saturates at batch size" in text and "No GPU" not in text


def test_lesson_7_compares_counts_and_curves(as_gpu):
    text = shown("07-four-clocks", as_gpu("four-clocks"))
    assert "The same runs on a GPU: every count is equal" in text and "on Abacus 9000" in text


@pytest.mark.parametrize("column, value", [("iteration", 1), ("train_loss", 0.5)])
def test_lesson_7_fails_where_a_gpu_counts_or_learns_otherwise(as_gpu, column, value):
    folder = as_gpu("four-clocks", lambda table: table.assign(**{column: table[column] + value}))
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="AssertionError"):
        shown("07-four-clocks", folder)
