"""The pages: an executed notebook as a report, and the index of all runs."""

import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import Environment, FileSystemLoader
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter

from pipeline.files import write_whole
from pipeline.record import RunRecord, StepRecord, duration

TEMPLATES = Path(__file__).parent / "templates"
FEW = 12  # with more steps a page names its neighbours only


def write_report(executed: Path, folder: Path, run: RunRecord, step: StepRecord) -> Path:
    """The HTML page of an executed notebook, in the run's folder below reports/."""
    notebook = nbformat.read(executed, as_version=4)
    notebook.cells = [one for one in notebook.cells if _belongs(one)]
    page, _ = _exporter().from_notebook_node(
        notebook,
        resources={
            "run": run,
            "step": step,
            "title": _title(notebook, step.name),
            "neighbours": _neighbours(run, step),
        },
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / step.report
    write_whole(path, page)
    return path


def _belongs(cell: Any) -> bool:
    """Not papermill's own plumbing: the injected values."""
    return "injected-parameters" not in cell.metadata.get("tags", [])


def _neighbours(run: RunRecord, step: StepRecord) -> list[StepRecord]:
    """The steps that the page leads to: all, or in a long run the one before and the one after."""
    if len(run.steps) <= FEW:
        return run.steps
    here = [one.name for one in run.steps].index(step.name)
    return run.steps[max(0, here - 1) : here + 2]


def _title(notebook: Any, otherwise: str) -> str:
    for cell in notebook.cells:
        heading = re.match(r"#\s+(.+)", cell.source)
        if cell.cell_type == "markdown" and heading:
            return heading[1].strip()
    return otherwise


@cache
def _exporter() -> HTMLExporter:
    exporter = HTMLExporter(
        template_name="report", extra_template_basedirs=[str(TEMPLATES)], anchor_link_text=""
    )
    exporter.environment.filters["duration"] = duration
    return exporter


def write_index(reports: Path, runs: list[RunRecord]) -> Path:
    """reports/index.html, newest run first; with the assets all pages share."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    environment.filters["duration"] = duration
    page = environment.get_template("index.html.j2").render(runs=runs)
    assets = reports / "assets"
    assets.mkdir(parents=True, exist_ok=True)
    write_whole(assets / "report.css", _style())
    write_whole(reports / "index.html", page)
    return reports / "index.html"


def _style() -> str:
    light = HtmlFormatter(style="friendly").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    own = (TEMPLATES / "report.css").read_text()
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n{own}"


def point_latest(reports: Path, run: RunRecord) -> None:
    """reports/latest/ is the folder of the newest run: a link, moved in one step."""
    aside = reports / f".latest.{run.id}"
    try:
        aside.symlink_to(run.id, target_is_directory=True)
        aside.replace(reports / "latest")
    except OSError:  # no links on this file system: a copy
        aside.unlink(missing_ok=True)
        shutil.rmtree(reports / "latest", ignore_errors=True)
        shutil.copytree(reports / run.id, reports / "latest")
