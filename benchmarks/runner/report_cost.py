"""What the reports cost: seconds to write and to open, bytes to send; beside nbconvert's.

.venv/bin/python -m benchmarks.runner.report_cost [--repeats 5]

Uses a run of this checkout: `make run` first. Chromium opens the index if it is installed.
"""

import argparse
import json
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from housing import paths
from pipeline.definition.project import Project
from pipeline.report import rendering
from pipeline.report.live import ReportWriter
from pipeline.report.pages.index import RunIndex
from pipeline.runs import records
from pipeline.runs.records import RunRecord
from pipeline.runs.status import StepStatus
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Browser

N_INDEXED_RUNS = 2_000
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    workspace = Workspace(paths.home())
    runs = [run for run in records.load_all(workspace.runs_folder) if run.status is StepStatus.DONE]
    if not runs:
        raise SystemExit(f"there is no finished run in {workspace.home}: `make run` makes one")
    run = max(runs, key=lambda record: (len(record.steps), record.id))
    print(f"run {run.id}, {len(run.steps)} steps, median of {repeats}\n")
    print("| what | measured |\n|---|---|")
    with tempfile.TemporaryDirectory() as name:
        project = project_at(Path(name))
        measure_writing(project, workspace, run, repeats)
        measure_sizes(project.workspace.report_folder(run.id))
        measure_nbconvert(workspace, run, repeats)
        measure_index(project_at(Path(name) / "many"), workspace, run, repeats)


def project_at(folder: Path) -> Project:
    """Return a project in a folder, with the settings of this one."""
    return Project(Workspace(folder), "run_pipeline.py", grouping_fact="data")


def print_row(title: str, value: str) -> None:
    """Print a row of the table."""
    print(f"| {title} | {value} |", flush=True)


def median_seconds(repeats: int, function: Callable[[], object]) -> float:
    """Return the median duration of a function."""
    durations = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        durations.append(time.perf_counter() - start)
    return statistics.median(durations)


def measure_writing(project: Project, workspace: Workspace, run: RunRecord, repeats: int) -> None:
    """Time writing the run's pages: one for each step, one for the run, and the index."""
    runs_folder = project.workspace.runs_folder
    runs_folder.parent.mkdir()
    runs_folder.symlink_to(workspace.runs_folder)

    def write_pages() -> None:
        from pipeline.report import markdown

        markdown.highlight_code.cache_clear()  # else only the first repeat would do the work
        failed_pages = ReportWriter(project, run).rewrite_pages()
        assert not failed_pages, failed_pages

    write_pages()
    seconds = median_seconds(repeats, write_pages)
    n_pages = len(run.steps) + 2
    print_row(f"writing the {n_pages} pages of the run, one process, warm", f"{seconds:.2f} s")


def measure_sizes(folder: Path) -> None:
    """Print the size of the shared assets, and of each page without its pictures."""
    n_bytes = sum(len(asset.encode()) for asset in rendering.shared_assets().values())
    print_row("style sheet and script, shared by all pages", f"{n_bytes / 1e3:.0f} KB")
    for path in sorted(folder.glob("0*.html")):
        page = path.read_text()
        without_pictures = re.sub(r'"data:image[^"]*"|srcdoc="[^"]*"', "", page)
        page_bytes = len(without_pictures.encode())
        picture_bytes = len(page.encode()) - page_bytes
        value = f"{page_bytes / 1e3:.0f} KB, and {picture_bytes / 1e3:.0f} KB of pictures"
        print_row(path.name, value)


def measure_nbconvert(workspace: Workspace, run: RunRecord, repeats: int) -> None:
    """Time nbconvert's default template on the same notebooks, warm."""
    from nbconvert import HTMLExporter

    notebooks = [
        workspace.executed_notebook(step.reused or run.id, step.file_stem) for step in run.steps
    ]
    exporter = HTMLExporter()

    def export_pages() -> list[str]:
        return [exporter.from_filename(str(notebook))[0] for notebook in notebooks]

    pages = export_pages()
    seconds = median_seconds(repeats, export_pages)
    size = sum(len(page.encode()) for page in pages) / 1e3
    title = "nbconvert's default template, the same notebooks"
    print_row(title, f"{seconds:.2f} s, {size:.0f} KB")
    hosts = set(re.findall(r'(?:src|href)="https?://([^/"]+)', "".join(pages)))
    print_row("hosts its pages ask", ", ".join(sorted(hosts)) or "none")


def measure_index(project: Project, workspace: Workspace, run: RunRecord, repeats: int) -> None:
    """Time writing and opening the index of thousands of runs."""
    record = json.loads((workspace.run_folder(run.id) / "run.json").read_text())
    for number in range(N_INDEXED_RUNS):
        run_id = f"2026{number:04}-000000-aaaa"
        run_folder = project.workspace.run_folder(run_id)
        run_folder.mkdir(parents=True)
        (run_folder / "run.json").write_text(json.dumps(record | {"id": run_id}))
    seconds = median_seconds(repeats, lambda: RunIndex(project).write_page({}))
    index = project.workspace.run_index_page
    title = f"reading the records of {N_INDEXED_RUNS:,} runs, and writing their index"
    print_row(title, f"{seconds:.2f} s, {index.stat().st_size / 1e6:.1f} MB")
    if CHROMIUM:
        measure_browser(index, CHROMIUM, repeats)


def measure_browser(index: Path, executable: str, repeats: int) -> None:
    """Time opening the index in Chromium, and its search."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        times = [time_page(browser, index) for _ in range(repeats)]
    open_seconds = statistics.median(seconds for seconds, _ in times)
    search_seconds = statistics.median(seconds for _, seconds in times)
    print_row("opening it in Chromium, to the first picture", f"{open_seconds:.2f} s")
    print_row("a letter typed into its search", f"{search_seconds:.2f} s")


def time_page(browser: "Browser", index: Path) -> tuple[float, float]:
    """Return the seconds until the page is drawn, and until a search is answered."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    next_frame = "new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))"
    start = time.perf_counter()
    page.goto(index.as_uri())
    page.evaluate(next_frame)
    open_seconds = time.perf_counter() - start
    start = time.perf_counter()
    page.keyboard.press("Tab")
    page.fill("#search", "a")
    page.evaluate(next_frame)
    search_seconds = time.perf_counter() - start
    page.close()
    return open_seconds, search_seconds


if __name__ == "__main__":
    main()
