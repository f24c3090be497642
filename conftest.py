"""What nbval compares when pytest runs the lessons, and how tests are run."""

import os

import pytest

os.environ["TQDM_DISABLE"] = "1"


def pytest_addoption(parser):
    parser.addoption(
        "--index", action="store_true", help="also ask the package index whether the pins can be installed"
    )


def pytest_collectstart(collector):
    if hasattr(collector, "skip_compare"):  # an SVG differs between CPUs in its last digits; its alt text is compared
        # The data of a box say what its text says, and the text is compared.
        collector.skip_compare += ("image/svg+xml", "application/vnd.epoch.claim+json")


def pytest_runtest_setup(item):
    # nbval runs a cell that has no stored execution, but compares nothing: that must not pass for a test.
    cell = getattr(item, "cell", None)
    left_to_the_reader = cell is not None and "skip-execution" in cell.metadata.get("tags", [])
    if cell is not None and cell.source.strip() and cell.execution_count is None and not left_to_the_reader:
        pytest.fail("this cell was never executed in the stored notebook; run: make lessons", pytrace=False)
