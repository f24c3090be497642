"""The same cells in a real JupyterLab: alive, moved by the arrow keys, and followed by Python."""

import os
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
from playwright.sync_api import expect

CELLS = [
    "from lib.widgets import BatchSlicer\nslicer = BatchSlicer(10_000, 300, epochs=3)\nslicer",
    "print('last batch:', slicer.plan.last_batch_size)",
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address of a JupyterLab whose folder holds one notebook."""
    folder = tmp_path_factory.mktemp("lab")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in CELLS],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(notebook, folder / "slicer.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("CONFIG", "RUNTIME")}
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            "--ip=127.0.0.1",
            f"--port={port}",
            "--allow-root",
            "--IdentityProvider.token=",
            f"--ServerApp.root_dir={folder}",
            f"--LabApp.workspaces_dir={folder}/workspaces",
            f"--LabApp.user_settings_dir={folder}/settings",
            "--LabApp.news_url=None",
            "--ServerApp.log_level=ERROR",
        ],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/api/status", timeout=1).close()
                break
            except OSError:
                assert server.poll() is None, "JupyterLab ended by itself"
                time.sleep(0.25)
        yield address
    finally:
        server.terminate()
        server.wait(20)


def test_slicer_in_jupyterlab(browser, lab):
    tab = browser.new_page(viewport={"width": 1280, "height": 1200})
    tab.goto(f"{lab}/lab/tree/slicer.ipynb")
    cells = tab.locator(".jp-Notebook .jp-Cell")
    expect(cells).to_have_count(len(CELLS), timeout=60_000)
    expect(tab.get_by_role("button", name="Python 3 (ipykernel) | Idle")).to_be_visible(timeout=60_000)
    cells.first.locator(".cm-content").click()
    tab.keyboard.press("Shift+Enter")

    slicer = tab.get_by_role("region", name="Batch slicer")
    expect(slicer).to_be_visible(timeout=60_000)
    slider = slicer.get_by_role("slider", name="Batch size B")
    slider.focus()
    for key in ["ArrowRight", "ArrowUp"]:  # without its attribute, JupyterLab would move between cells
        slider.press(key)
    assert slider.get_attribute("aria-valuetext") == "320" and slider.evaluate(
        "node => node === document.activeElement"
    )
    expect(slicer.locator("[data-number=last_batch_size]")).to_have_text("80")

    cells.last.locator(".cm-content").click()
    tab.keyboard.press("Shift+Enter")
    expect(cells.nth(1).locator(".jp-OutputArea")).to_contain_text("last batch: 80", timeout=30_000)
    tab.close()
