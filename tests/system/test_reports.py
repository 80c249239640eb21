"""The reports in Chromium: offline, unbroken, accessible."""

import json
import re
import sys
import time

import pytest

from pipeline import Step, main
from pipeline.definition.project import Project
from pipeline.workspace import Workspace
from tests.support.browser import open_page, serious_violations
from tests.support.processes import managed_process
from tests.support.showcase_notebooks import (
    write_failing_notebook,
    write_notebook,
    write_showcase_notebook,
)

pytestmark = pytest.mark.slow
SIZES = [(1440, "light"), (390, "dark")]


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Return the reports of two runs of the showcase notebook, and of a third run that failed."""
    home = tmp_path_factory.mktemp("reports") / "a home"
    home.mkdir()
    steps = [
        Step("odd", write_showcase_notebook(home / "odd.ipynb")),
        Step("train", write_failing_notebook(home / "train.ipynb")),
    ]
    assert main(steps, home, ["--quiet"]) == 0
    assert main(steps, home, ["--quiet", "-p", "rows=60"]) == 0
    assert main(steps, home, ["--quiet", "-p", "rows=60", "-p", "divisor=0"]) == 1
    return home / "reports"


def report_pages(reports):
    """Return name -> path of each kind of page."""
    runs = sorted(reports.glob("2*"))
    [comparison] = (reports / "compare").iterdir()
    return {
        "index": reports / "index.html",
        "run": runs[1] / "index.html",
        "odd": runs[1] / "odd.html",
        "failed": runs[2] / "train.html",
        "compare": comparison,
    }


@pytest.mark.parametrize("name", ["index", "run", "odd", "failed", "compare"])
@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_a_page_is_offline_fits_and_is_accessible(browser, reports, name, width, scheme):
    page, requested_urls, console_messages = open_page(
        browser, f"file://{report_pages(reports)[name]}", width, scheme
    )
    page.wait_for_timeout(300)
    assert all(url.startswith(("file:", "data:", "about:")) for url in requested_urls), (
        requested_urls
    )
    assert [message for message in console_messages if "alert" not in message] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert serious_violations(page) == []
    page.close()


MODEL_CARD = """
It is for a first guess at a house value, and for no single house.

## How good it is

| where | block groups | error before, $ | error now, $ | change |
|---|---:|---:|---:|---|
| San Francisco Bay Area and Monterey Peninsula | 812 | 58,903 | 57,120 | `better_by_1783` |
| everywhere | 4,128 | 45,210 | 43,187 | `better_by_2023` |

## What it cannot do

- values above $500,000

## Make it again

```sh
python run_pipeline.py -p train.families='["boosting", "forest"]' -p register.min_gain=250
```
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_that_a_step_publishes_fits_and_is_accessible(browser, tmp_path, scheme):
    results = {"pages": {"model_card": {"title": "Model card: houses", "markdown": MODEL_CARD}}}
    cell = f"import os; open(os.environ['PIPELINE_RESULTS'], 'w').write({json.dumps(results)!r})"
    notebook = write_notebook(tmp_path / "card.ipynb", ["# Card\n\nWhat for?", cell])
    assert main([Step("card", notebook)], tmp_path, ["--quiet"]) == 0
    page, requested_urls, console_messages = open_page(
        browser, f"file://{tmp_path}/reports/latest/card.html", 390, scheme
    )
    page.get_by_role("link", name="houses").click()
    page.wait_for_url("**/model_card.html")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    table = page.locator(".wide").first  # it is wider, and can be scrolled
    assert table.evaluate(
        "element => element.scrollWidth > element.clientWidth && element.tabIndex === 0"
    )
    assert all(url.startswith(("file:", "data:")) for url in requested_urls), requested_urls
    assert console_messages == []
    assert serious_violations(page) == []
    page.close()


def test_the_output_of_a_notebook_is_shown_and_harms_nothing(browser, reports):
    page, _, _ = open_page(browser, f"file://{report_pages(reports)['odd']}", 1440)
    text = page.inner_text("main")
    for expected in (
        "<script>alert(1)</script>", "line 0 of", "line 29999 of", "lines left out", "50/50",
        "its state was not kept", "1,001 more rows",
    ):  # fmt: skip
        assert expected in text, expected
    assert "a report loads nothing from elsewhere" in text
    assert page.title().startswith("Everything a notebook may show")
    assert page.locator("math").count() >= 3
    assert page.locator(".ansi-red-fg").count() >= 1
    assert page.locator("figure img").count() >= 2
    for image in page.locator("figure img").all():
        assert image.evaluate("(image) => image.decode().then(() => image.naturalWidth > 0)")
    frame = page.locator("iframe.output").first.element_handle().content_frame()
    assert "a script ran in here" in frame.inner_text("body")
    assert frame.evaluate("document.body.dataset.ran") == "yes"
    read_parent = "(() => { try { return !!parent.document } catch { return false } })()"
    assert frame.evaluate(read_parent) is False
    fetch = "fetch('https://example.com').then(() => 'reached', () => 'cut')"
    assert frame.evaluate(fetch) == "cut"
    page.close()


def test_code_unfolds_and_the_page_remembers(browser, reports):
    page, _, _ = open_page(browser, f"file://{report_pages(reports)['odd']}", 1440)
    folded = page.locator("details.code:not([open])").count()
    assert folded == page.locator("details.code").count() > 5
    page.locator("details.code summary").nth(2).click()
    page.reload()
    assert page.locator("details.code[open]").count() == 1
    page.click("#page-code")
    assert page.locator("details.code:not([open])").count() == 0
    page.reload()
    assert page.locator("details.code:not([open])").count() == 0
    assert page.inner_text("#page-code") == "Hide all code"
    page.click("#page-code")
    assert page.locator("details.code[open]").count() == 0
    page.close()


def test_tables_sort_by_number_and_by_keyboard(browser, reports):
    page, _, _ = open_page(browser, f"file://{report_pages(reports)['odd']}", 1440)
    table = page.locator("table").first
    head = table.get_by_role("button", name="value")

    def column():
        return [float(text) for text in table.locator("tbody tr td:nth-child(3)").all_inner_texts()]

    values = column()
    head.click()
    assert column() == sorted(values)
    head.focus()
    page.keyboard.press("Enter")
    assert column() == sorted(values, reverse=True)
    assert table.locator("th[aria-sort=descending]").count() == 1
    page.close()


def test_a_figure_opens_large_and_can_be_saved(browser, reports):
    page, _, _ = open_page(browser, f"file://{report_pages(reports)['odd']}", 1440)
    image = page.locator("figure img").last
    small = image.bounding_box()["width"]
    page.locator("figure .open").last.click()
    assert page.locator("dialog img").bounding_box()["width"] > 1.5 * small
    with page.expect_download() as download:
        page.get_by_role("link", name="Save").click()
    assert re.fullmatch(r"[a-z0-9-]+\.(svg|png)", download.value.suggested_filename)
    assert download.value.path().stat().st_size > 1_000
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    page.close()


def test_the_index_filters_sorts_and_shows_how_to_compare(browser, reports):
    page, _, _ = open_page(browser, f"file://{report_pages(reports)['index']}", 1440)
    rows = page.locator(".runs tbody tr:not([hidden])")
    assert rows.count() == 3
    page.fill("#search", "rows = 60")
    assert rows.count() == 2
    page.select_option("#by-status", "failed")
    assert rows.count() == 1
    assert page.inner_text("#count") == "1 of 3 runs"
    page.select_option("#by-status", "")
    page.fill("#search", "")
    page.get_by_role("button", name="took").click()
    assert page.locator("th[aria-sort=ascending]").inner_text() == "took"
    page.get_by_role("button", name="run", exact=True).click()
    for row_number in (0, 1):
        page.locator(".pick-run").nth(row_number).check()
    picked = sorted(
        page.locator("tr.picked").evaluate_all("rows => rows.map(row => row.dataset.run)")
    )
    assert page.inner_text("#pick code").endswith(f"compare {picked[0]} {picked[1]}")
    page.locator("#pick a").click()
    assert "What changed between two runs" in page.inner_text("h1")
    page.close()


def test_a_page_is_complete_without_scripts(browser, reports):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"file://{report_pages(reports)['odd']}")
    assert "40 rows" in page.inner_text(".answer") or "60 rows" in page.inner_text(".answer")
    page.locator("details.code summary").first.click()
    assert page.locator("details.code[open]").count() == 1
    page.goto(f"file://{report_pages(reports)['index']}")
    assert page.locator(".runs tbody tr").count() == 3
    context.close()


def test_an_index_of_a_thousand_runs_shows_the_rows_that_are_asked_for(browser, reports, tmp_path):
    from pipeline.report.pages.index import MAX_INITIAL_ROWS, RunIndex

    [path] = sorted((reports.parent / "var" / "runs").glob("2*/run.json"))[1:2]
    record = json.loads(path.read_text())
    for number in range(1_000):
        name = f"20260101-{number:06}-aaaa"
        folder = tmp_path / "var" / "runs" / name
        folder.mkdir(parents=True)
        record["steps"][0]["parameters"] = {"rows": number}
        (folder / "run.json").write_text(json.dumps(record | {"id": name}))
    index_page = RunIndex(Project(Workspace(tmp_path), "run_pipeline.py")).write_page({})
    page, _, console_messages = open_page(browser, f"file://{index_page}", 1440)
    rows = page.locator(".runs tbody tr:not([hidden])")
    assert rows.count() == MAX_INITIAL_ROWS
    assert rows.first.get_attribute("data-run") == "20260101-000999-aaaa"
    page.click("#more")
    assert rows.count() == MAX_INITIAL_ROWS + 200
    page.fill("#search", "rows = 7")  # which matches rows that are not shown yet
    assert page.inner_text("#count") == "111 of 1000 runs"
    page.fill("#search", "")
    page.get_by_role("button", name="run", exact=True).click()
    assert rows.first.get_attribute("data-run") == "20260101-000000-aaaa"
    assert console_messages == []
    page.close()


def test_an_open_page_follows_the_run(browser, tmp_path):
    """The page needs no server and no reload."""
    slow = "import time\nprint('first words', flush=True)\ntime.sleep(8)\nprint('last words')"
    notebook = write_notebook(tmp_path / "slow.ipynb", ["# A slow one\n\nHow long?", "1", slow])
    runner = (
        "import sys; from pathlib import Path; from pipeline import Step, main; "
        f"sys.exit(main([Step('slow', Path({str(notebook)!r}))], Path({str(tmp_path)!r})))"
    )
    with managed_process(sys.executable, "-c", runner):
        index = tmp_path / "reports" / "latest" / "index.html"
        while not index.exists():
            time.sleep(0.05)
        page, _, _ = open_page(browser, f"file://{index}")
        page.get_by_role("link", name="slow").first.click()
        page.locator(".cell > pre", has_text="first words").wait_for(timeout=20_000)
        assert "It is running" in page.inner_text(".live")
        page.locator(".cell > pre", has_text="last words").wait_for(timeout=30_000)
        page.locator(".status.done").first.wait_for(timeout=20_000)
        assert not page.evaluate("document.documentElement.hasAttribute('data-live')")
        page.close()


def test_texts_are_aligned_left_and_the_names_of_a_pandas_index_join_those_of_its_columns(browser):
    from pipeline.report import rendering

    page = browser.new_page()
    page.set_content(
        "<table><thead><tr><th></th><th>count</th></tr><tr><th>family</th><th></th></tr></thead>"
        "<tbody><tr><th>tree</th><td>1,234.5</td><td>−3%</td><td>$5</td><td>boosting</td></tr>"
        "</tbody></table>"
    )
    page.add_script_tag(content=rendering.shared_assets()["report.js"])
    assert page.locator("thead tr").count() == 1
    assert page.locator("thead").inner_text().split() == ["family", "count"]
    assert page.locator("td.t").all_inner_texts() == ["boosting"]
    page.close()
