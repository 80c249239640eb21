"""Reports and notebooks as a person sees them, in Chromium."""

import os
import shutil
import sys
from contextlib import suppress

import nbformat
import pytest

from housing.paths import PROJECT_ROOT
from tests.support.browser import open_page, serious_violations
from tests.support.processes import free_port, managed_process, wait_for_response

pytestmark = pytest.mark.slow
REPORTS = [f"reports/latest/{name}.html" for name in ("01_prep", "02_train", "03_register")]
PAGES = ["reports/index.html", *REPORTS]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_a_report_is_offline_readable_and_fits(browser, pipeline_home, path, width, scheme):
    page, requested_urls, console_messages = open_page(
        browser, f"file://{pipeline_home / path}", width, scheme
    )
    assert all(url.startswith(("file:", "data:")) for url in requested_urls)
    assert console_messages == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert serious_violations(page) == []
    page.close()


def test_run_all_works_in_jupyterlab(browser, pipeline_home, tmp_path):
    shutil.copytree(PROJECT_ROOT / "notebooks", tmp_path / "notebooks")
    port = str(free_port())
    environment = {**os.environ, "HOUSING_HOME": str(pipeline_home)}
    options = ["--no-browser", "--allow-root", "--ServerApp.token=", f"--port={port}"]
    command = [sys.executable, "-m", "jupyterlab", "notebooks", *options]
    with managed_process(*command, cwd=tmp_path, env=environment):
        address = f"http://127.0.0.1:{port}"
        wait_for_response(f"{address}/api")
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(f"{address}/lab/tree/explore.ipynb")
        page.wait_for_selector(".jp-NotebookPanel-toolbar", timeout=60_000)
        page.get_by_text("| Idle").wait_for(timeout=60_000)  # the kernel is there
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        path = tmp_path / "notebooks" / "explore.ipynb"
        cells = []
        for _ in range(120):
            page.wait_for_timeout(1_000)
            page.keyboard.press("Control+s")
            with suppress(nbformat.reader.NotJSONError):  # it is being written
                notebook = nbformat.read(path, 4)
                cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
            if cells and cells[-1].execution_count:
                break
        outputs = [output for cell in cells for output in cell.outputs]
        assert cells[-1].execution_count
        assert not [output for output in outputs if output.output_type == "error"]
        assert any("image/png" in output.get("data", {}) for output in outputs)
        page.close()
