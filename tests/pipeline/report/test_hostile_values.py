"""Values that try to run a script, in every part of the pages, in Chromium."""

import pytest

from pipeline.report.live import ReportWriter
from tests.pipeline.report.conftest import (
    display_output,
    executed_cell,
    executed_notebook,
    stream_output,
    v4,
)
from tests.support.browser import open_page

HOSTILE_TEXT = (
    "\"'></script></style></title><script>top.isHostile=1</script>"
    "<img src=x onerror=top.isHostile=1>"
)
HOSTILE_HTML = (
    "<img src=x onerror=top.isHostile=1><svg onload=top.isHostile=1>"
    "<a href='javascript:top.isHostile=1'>x</a>"
    "<iframe srcdoc='<script>top.isHostile=1</script>'></iframe>"
    "<meta http-equiv=refresh content='0;url=https://example.com'><base href='https://example.com'>"
    "<style>@import 'https://example.com/x.css';</style>" + HOSTILE_TEXT
)


@pytest.mark.slow
def test_no_hostile_value_runs_or_loads_anything(browser, project, record_run):
    state = {"out": {"state": {"_model_name": "HTMLModel", "value": HOSTILE_HTML}}}
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "out"}}
    error = v4.new_output(
        "error", ename=HOSTILE_TEXT, evalue=HOSTILE_TEXT, traceback=[HOSTILE_TEXT]
    )
    notebook = executed_notebook(
        f"# {HOSTILE_HTML}\n\n{HOSTILE_HTML}\n\n"
        "[x](javascript:top.isHostile=1) ![x](javascript:top.isHostile=1)",
        f"## {HOSTILE_TEXT}\n\n$\\text{{{HOSTILE_TEXT}}}$ `{HOSTILE_TEXT}`",
        executed_cell(HOSTILE_TEXT, stream_output(HOSTILE_TEXT), error),
        executed_cell("1", display_output(html=HOSTILE_HTML), display_output(svg=HOSTILE_HTML)),
        executed_cell(
            "2", display_output(markdown=HOSTILE_HTML), display_output(latex=HOSTILE_HTML)
        ),
        executed_cell("3", display_output(**{"application/json": {HOSTILE_TEXT: HOSTILE_TEXT}})),
        executed_cell("4", display_output(**{"application/javascript": "top.isHostile=1"})),
        executed_cell("5", display_output(**widget)),
        v4.new_raw_cell(HOSTILE_HTML),
        "## The bottom line",
        executed_cell("6", display_output(plain=f"5 < 6 and 7 > 2 {HOSTILE_TEXT}")),
    )
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": state}}
    texts = {"a": HOSTILE_TEXT, HOSTILE_TEXT: "b"}
    fields = {"parameters": texts, "facts": texts, "headline": texts, "notice": HOSTILE_TEXT,
              "links": texts, "why": [HOSTILE_TEXT], "failure": HOSTILE_TEXT}  # fmt: skip
    run = record_run("20261101-01", fields, train=notebook)
    assert ReportWriter(project, run).rewrite_pages() is None
    for path in (
        project.workspace.report_folder(run.id) / "train.html",
        project.workspace.report_folder(run.id) / "index.html",
        project.workspace.run_index_page,
    ):
        page, requested_urls, _ = open_page(browser, f"file://{path}")
        page.wait_for_load_state()
        assert not page.evaluate("window.isHostile"), path
        assert all(url.startswith(("file:", "data:", "about:")) for url in requested_urls)
        assert HOSTILE_TEXT in page.inner_text("body"), path
        if path.name == "train.html":
            assert "5 < 6 and 7 > 2" in page.inner_text(".answer")
        page.close()
