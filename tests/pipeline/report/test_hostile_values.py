"""Values that try to run a script, in every part of every page, in Chromium."""

import html
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.report.exporter import ReportExporter
from pipeline.report.live import ReportWriter
from pipeline.report.pages.comparison import write_comparison
from pipeline.report.pages.index import RunIndex
from pipeline.runs.invocation import Invocation
from pipeline.runs.records import Attempt, StepRecord
from pipeline.runs.results import Metric
from pipeline.runs.status import CellStatus, StepStatus
from pipeline.runs.strict_json import encode_json
from tests.pipeline.report.conftest import (
    display_output,
    executed_cell,
    executed_notebook,
    stream_output,
    v4,
)
from tests.support.browser import open_page

PLAIN_TEXT = "<b>x</b> 5 < 6 and 7 > 2"
ATTACK = (
    "\"'></script></style></title></textarea><script>top.ishostile=1</script>"
    "<img src=x onerror=top.ishostile=1>"
)
HOSTILE_HTML = (
    "<img src=x onerror=top.ishostile=1><svg onload=top.ishostile=1>"
    "<a href='javascript:top.ishostile=1'>x</a>"
    "<iframe srcdoc='<script>top.ishostile=1</script>'></iframe>"
    "<meta http-equiv=refresh content='0;url=https://example.com'><base href='https://example.com'>"
    "<style>@import 'https://example.com/x.css';</style>" + ATTACK
)
EXPECTED_TEXTS = {
    "train": {
        "title", "stdout", "stderr", "error", "plain", "json", "raw", "source", "step",
        "parameter name", "parameter", "fact name", "fact", "result name", "result", "metric",
        "notice", "link label", "page", "note", "blocked step",
        "grouping fact", "group", "cold start",
    },
    "failed": {
        "failure", "traceback", "output", "process stderr", "heading", "why", "attempt",
        "parameter name", "parameter", "command", "variable", "folder", "blocked step", "source",
        "step",
    },
    "start": {"failure", "process stderr", "second step", "command"},
    "timed_out": {"failure", "third step", "script"},
    "blocked": {"blocked step", "step"},
    "running": {"step", "running heading", "notice", "stdout"},
    "card": {"page", "card code", "step", "fact name", "fact", "group"},
    "run": {"step", "failure", "problem", "notice", "group", "pin reason", "parameter name",
            "parameter", "why", "page", "link label", "blocked step", "result name",
            "metric"},
    "index": {"step", "failure", "pin reason", "parameter name", "parameter", "grouping fact",
              "metric", "result name", "result", "group"},
    "index without groups": {"step", "notice"},
    "empty index": {"script"},
    "exported": {"title", "stdout", "source", "plain"},
    "comparison": {
        "step", "old source", "source", "old stdout", "stdout", "old column", "column", "row name",
        "old table cell", "table cell", "deleted row", "heading", "parameter name",
        "old parameter", "parameter", "fact name", "fact", "result name", "metric", "old metric",
        "notice", "commit table", "commit column", "commit file", "commit cell", "commit note",
        "commit command", "script", "added source",
        "changed row", "changed cell", "was old changed cell", "same cell", "same column",
    },
}  # fmt: skip


def hostile(name):
    """Return a text that a page must show as it is; the name tells where it comes from."""
    return f"{name}: {PLAIN_TEXT} {ATTACK}"


class CommitTable(NamedTuple):
    """A table that a project adds to the comparison of two runs."""

    title: str = hostile("commit table")
    columns: tuple = (hostile("commit column"), "before", "now")
    rows: tuple = ((hostile("commit file"), hostile("commit cell"), ""),)
    notes: tuple = (hostile("commit note"),)
    command: str = hostile("commit command")


def table_output(column, *rows):
    """Return an output with a table; its texts are escaped, as pandas writes them."""
    body = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>" for name, text in rows
    )
    head = f"<thead><tr><th></th><th>{html.escape(column)}</th></tr></thead>"
    return display_output(html=f"<table>{head}<tbody>{body}</tbody></table>")


def changed_table(name):
    """Return a table with a cell that differs between two runs, and one that does not."""
    rows = (hostile("changed row"), hostile(name)), ("same", hostile("same cell"))
    return table_output(hostile("same column"), *rows)


def hostile_notebook():
    """Return a notebook with an attack in each kind of cell and output."""
    widget_states = {"out": {"state": {"_model_name": "HTMLModel", "value": HOSTILE_HTML}}}
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "out"}}
    raised = hostile("error")
    error = v4.new_output("error", ename=raised, evalue=raised, traceback=[raised])
    notebook = executed_notebook(
        f"# `{hostile('title')}`\n\n{HOSTILE_HTML}\n\n"
        "[x](javascript:top.ishostile=1) ![x](javascript:top.ishostile=1)",
        f"## {HOSTILE_HTML}\n\n$\\text{{{ATTACK}}}$ `{ATTACK}`",
        executed_cell(
            hostile("source"),
            stream_output(hostile("stdout")),
            stream_output(hostile("stderr"), "stderr"),
            error,
            status="failed",
        ),
        executed_cell("1", display_output(html=HOSTILE_HTML), display_output(svg=HOSTILE_HTML)),
        executed_cell(
            "2", display_output(markdown=HOSTILE_HTML), display_output(latex=HOSTILE_HTML)
        ),
        executed_cell(
            "3",
            display_output(**{"application/json": hostile("json")}),
            display_output(**{hostile("format"): ""}),
        ),
        executed_cell("4", display_output(**{"application/javascript": "top.ishostile=1"})),
        executed_cell("5", display_output(**widget)),
        v4.new_raw_cell(hostile("raw"), metadata={"raw_mimetype": "text/html"}),
        "## The bottom line",
        executed_cell("6", display_output(plain=hostile("plain"))),
    )
    notebook.metadata["widgets"] = {
        "application/vnd.jupyter.widget-state+json": {"state": widget_states}
    }
    notebook.metadata["papermill"] = {"input_path": f"notebooks/{hostile('notebook')}"}
    return notebook


def hostile_fields(old=""):
    """Return the fields of a step, each with an attack."""
    metric = Metric(1.0 if old else 2.0, f"{1 if old else 2} {hostile(f'{old}metric')}", "lower")
    return {
        "name": f"{hostile('step')}[{hostile('variant')}]",
        "parameters": {hostile("parameter name"): hostile(f"{old}parameter")},
        "facts": {
            hostile("grouping fact"): hostile("group"),
            hostile("fact name"): hostile("fact"),
        },
        "headline": {hostile("metric name"): metric, hostile("result name"): hostile("result")},
        "notice": hostile("notice"),
        "links": {f"{hostile('link label')}: {ATTACK}": "javascript:top.ishostile=1"},
        "pages": {"card": hostile("page")},
        "why": [hostile("why")],
        "notes": [hostile("note")],
        "cold_start": hostile("cold start"),
        "commit": "0" * 40,
    }


FAILURE = {
    "status": StepStatus.FAILED,
    "cells": 3,
    "cell_status": [CellStatus.RAN, CellStatus.FAILED, CellStatus.NOT_RUN],
    "failure": hostile("failure"),
    "traceback": hostile("traceback"),
    "output": hostile("output"),
    "stderr": hostile("process stderr"),
    "heading": hostile("heading"),
    "attempts": [Attempt(StepStatus.KILLED, hostile("attempt"))],
}


def write_hostile_pages(project, record_run, publish_page):
    """Write every kind of page; return name -> path."""
    project = project._replace(
        script=hostile("script"),
        grouping_fact=hostile("grouping fact"),
        pinned_runs=lambda: {"20261101-04": hostile("pin reason")},
        compare_commits=lambda *_: CommitTable(),
    )
    old_notebook = executed_notebook(
        f"## {hostile('heading')}",
        executed_cell(hostile("old source"), stream_output(hostile("old stdout"))),
        executed_cell(
            "same",
            table_output(
                hostile("old column"),
                (hostile("row name"), hostile("old table cell")),
                (hostile("deleted row"), "1"),
            ),
        ),
        executed_cell("changed", changed_table("old changed cell")),
    )
    new_notebook = executed_notebook(
        f"## {hostile('heading')}",
        executed_cell(hostile("source"), stream_output(hostile("stdout"))),
        executed_cell(
            "same", table_output(hostile("column"), (hostile("row name"), hostile("table cell")))
        ),
        executed_cell("changed", changed_table("changed cell")),
        executed_cell(hostile("added source")),
    )
    card = {"title": hostile("page"), "markdown": f"{HOSTILE_HTML}\n\n`{hostile('card code')}`"}
    runs = [
        record_run("20261101-01", hostile_fields("old "), train=old_notebook),
        record_run("20261101-02", hostile_fields(), train=new_notebook),
        record_run("20261101-03", hostile_fields(), train=hostile_notebook()),
        record_run("20261101-04", hostile_fields() | FAILURE, failed=hostile_notebook()),
        record_run("20261101-05", hostile_fields(), running=hostile_notebook()),
    ]
    done_run, failed_run, live_run = runs[2:]
    failed_run.problems = [hostile("problem")]
    failed_run.invocation = Invocation(
        [hostile("command")], variables={"A": hostile("variable")}, folder=f"/{hostile('folder')}"
    )
    for run in (*runs[:2], done_run, failed_run):
        status = StepStatus.DONE if run in runs[:2] else StepStatus.NOT_RUN
        run.steps.append(StepRecord(hostile("blocked step"), "blocked.html", status))
    for name, status in (("second", StepStatus.KILLED), ("third", StepStatus.TIMED_OUT)):
        failed_run.steps.append(
            StepRecord(
                hostile(f"{name} step"),
                "start.html" if name == "second" else "timed_out.html",
                status,
                failure=hostile("failure"),
                stderr=hostile("process stderr"),
            )
        )
    live_run.ended = ""
    live_run.steps[0].status = StepStatus.RUNNING
    live_run.steps[0].heading = hostile("running heading")
    for run in runs:
        publish_page(run, run.steps[0].name, "card", card)
        record = project.workspace.run_folder(run.id) / "run.json"
        record.write_text(encode_json(run.to_dict()))
        writer = ReportWriter(project, run)
        writer.preload()
        write = writer.write_initial_pages if run is live_run else writer.rewrite_pages
        assert write() is None
    index = project.workspace.run_index_page
    other_indexes = {
        "index without groups": (project._replace(grouping_fact=""), None),
        "empty index": (project, []),
    }
    for name, (other_project, listed_runs) in other_indexes.items():
        run_index = RunIndex(other_project)
        run_index.runs = run_index.runs if listed_runs is None else listed_runs
        shutil.copy(run_index.write_page({}), index.with_name(f"{name}.html"))
    RunIndex(project).write_page(project.pinned_runs())
    exported, _ = ReportExporter().from_notebook_node(hostile_notebook())
    index.with_name("exported.html").write_text(exported)
    return {
        **{
            path.stem.partition("-")[0]: path
            for run in runs[2:]
            for path in project.workspace.report_folder(run.id).glob("*.html")
            if path.name != "index.html"
        },
        **{name: index.with_name(f"{name}.html") for name in (*other_indexes, "exported")},
        "run": project.workspace.report_folder(failed_run.id) / "index.html",
        "index": index,
        "comparison": Path(write_comparison(project, runs[0].id, runs[1].id)),
    }


FIND_BROKEN_REFERENCES = """() => {
    const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
    const links = [...document.querySelectorAll("a[href^='#']")].map(
        (link) => decodeURIComponent(link.hash.slice(1)));
    const labels = [...document.querySelectorAll("[aria-labelledby]")].map(
        (element) => element.getAttribute("aria-labelledby"));
    return [...ids.filter((id, index) => ids.indexOf(id) !== index),
            ...[...links, ...labels].filter((id) => !ids.includes(id))];
}"""


def harms(page, requested_urls, expected_names):
    """Return what is wrong with an open page: harm done, texts not shown, and broken links."""
    text = " ".join(page.text_content("body").split())
    title = page.title()
    return [
        *(f"broken id: {name}" for name in page.evaluate(FIND_BROKEN_REFERENCES)),
        *(["a script ran"] if page.evaluate("window.ishostile") else []),
        *(url for url in requested_urls if not url.startswith(("file:", "data:", "about:"))),
        *(name for name in sorted(expected_names) if f"{name}: {PLAIN_TEXT}" not in text),
        *([] if "</" not in title or PLAIN_TEXT in title or ATTACK in title else [title]),
    ]


@pytest.mark.slow
def test_no_hostile_value_runs_or_loads_anything_and_each_is_readable(
    browser, project, record_run, publish_page
):
    paths = write_hostile_pages(project, record_run, publish_page)
    assert paths.keys() == EXPECTED_TEXTS.keys()
    page, requested_urls, _ = open_page(browser, "about:blank")
    for name, path in paths.items():
        page.goto(f"file://{path}")
        assert harms(page, requested_urls, EXPECTED_TEXTS[name]) == [], name
    page.close()
