"""The pages as a person sees them, in Chromium."""

import os
import shutil
import sys
from contextlib import suppress

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe

from housing.paths import PROJECT_ROOT
from tests.system.conftest import free_port, managed_process, wait_for_response

pytestmark = pytest.mark.slow
REPORTS = [f"reports/latest/{one}.html" for one in ("01_prep", "02_train", "03_register")]
PAGES = ["reports/index.html", *REPORTS]


def look(browser, address, width=1200, scheme="light"):
    """An open page, the requests it made, and what its console said."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    requests, said = [], []
    page.on("request", lambda one: requests.append(one.url))
    page.on("console", lambda one: said.append(one.text))
    page.goto(address)
    return page, requests, said


def serious(page):
    found = Axe().run(page).response["violations"]
    return [one["id"] for one in found if one["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_a_report_is_offline_readable_and_fits(browser, pipeline_home, path, width, scheme):
    page, requests, said = look(browser, f"file://{pipeline_home / path}", width, scheme)
    assert all(one.startswith(("file:", "data:")) for one in requests)
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert serious(page) == []
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
                cells = [one for one in nbformat.read(path, 4).cells if one.cell_type == "code"]
            if cells and cells[-1].execution_count:
                break
        outputs = [output for cell in cells for output in cell.outputs]
        assert cells[-1].execution_count
        assert not [one for one in outputs if one.output_type == "error"]
        assert any("image/png" in one.get("data", {}) for one in outputs)
        page.close()
