"""What the reports cost: seconds to write and to open, bytes to send; beside nbconvert's own.

.venv/bin/python -m benchmarks.runner.report_cost [--repeats 5]

On the newest run of this checkout: `make run` first. Chromium is asked where it is installed.
"""

import argparse
import json
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from housing import paths
from pipeline.report import rendering
from pipeline.report.live import ReportWriter
from pipeline.report.pages.index import RunIndex
from pipeline.runs import records

RUNS = 2_000
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def main() -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    home = paths.home()
    done = [one for one in records.load_all(home / "var" / "runs") if one.status == "done"]
    run = max(done, key=lambda one: (len(one.steps), one.id))
    print(f"run {run.id}, {len(run.steps)} steps, median of {repeats}\n")
    print("| what | measured |\n|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        render(Path(folder), home, run, repeats)
        sizes(Path(folder) / "reports" / run.id)
        nbconvert(home, run, repeats)
        index(Path(folder) / "many", home, run, repeats)


def told(what: str, measured: str) -> None:
    """A row of the table."""
    print(f"| {what} | {measured} |", flush=True)


def median(repeats: int, do: Callable[[], object]) -> float:
    """Seconds."""
    found = []
    for _ in range(repeats):
        started = time.perf_counter()
        do()
        found.append(time.perf_counter() - started)
    return statistics.median(found)


def render(place: Path, home: Path, run: records.RunRecord, repeats: int) -> None:
    """The run's pages: its steps', its own, the index."""
    (place / "var").mkdir()
    (place / "var" / "runs").symlink_to(home / "var" / "runs")

    def write() -> None:
        from pipeline.report import images, markdown

        images.compress_png.cache_clear()  # or only the first would pay
        markdown.highlight_code.cache_clear()
        failed = ReportWriter(place, run).rewrite_pages()
        assert not failed, failed

    write()
    seconds = median(repeats, write)
    pages = len(run.steps) + 2
    told(f"writing the {pages} pages of the run, one process, warm", f"{seconds:.2f} s")


def sizes(folder: Path) -> None:
    """Of the assets, and of each page with and without its pictures."""
    assets = sum(len(one.encode()) for one in rendering.shared_assets().values())
    told("style sheet and script, shared by all pages", f"{assets / 1e3:.0f} KB")
    for path in sorted(folder.glob("0*.html")):
        page = path.read_text()
        bare = re.sub(r'"data:image[^"]*"|srcdoc="[^"]*"', "", page)
        figures = len(page.encode()) - len(bare.encode())
        told(
            path.name, f"{len(bare.encode()) / 1e3:.0f} KB, and {figures / 1e3:.0f} KB of pictures"
        )


def nbconvert(home: Path, run: records.RunRecord, repeats: int) -> None:
    """The same notebooks by nbconvert's default template, warm."""
    from nbconvert import HTMLExporter

    executed = [
        home / "var" / "runs" / (one.reused or run.id) / f"{Path(one.report).stem}.ipynb"
        for one in run.steps
    ]
    exporter = HTMLExporter()
    pages = [exporter.from_filename(str(one))[0] for one in executed]
    seconds = median(repeats, lambda: [exporter.from_filename(str(one)) for one in executed])
    size = sum(len(one.encode()) for one in pages) / 1e3
    told("nbconvert's default template, the same notebooks", f"{seconds:.2f} s, {size:.0f} KB")
    hosts = set(re.findall(r'(?:src|href)="https?://([^/"]+)', "".join(pages)))
    told("hosts its pages ask", ", ".join(sorted(hosts)) or "none")


def index(place: Path, home: Path, run: records.RunRecord, repeats: int) -> None:
    """The page of thousands of runs."""
    content = json.loads((home / "var" / "runs" / run.id / "run.json").read_text())
    for number in range(RUNS):
        name = f"2026{number:04}-000000-aaaa"
        folder = place / "var" / "runs" / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps(content | {"id": name}))
    first = median(1, lambda: RunIndex(place).write_page({}))
    again = median(repeats, lambda: RunIndex(place).write_page({}))
    size = (place / "reports" / "index.html").stat().st_size / 1e6
    told(f"the index of {RUNS:,} runs, written for the first time", f"{first:.2f} s, {size:.1f} MB")
    told("the same after a new run", f"{again:.2f} s")
    if CHROMIUM:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
            )
            opened, filtered = zip(*(look(browser, place) for _ in range(repeats)), strict=True)
        told("opening it in Chromium, to the first picture", f"{statistics.median(opened):.2f} s")
        told("a letter typed into its search", f"{statistics.median(filtered):.2f} s")


def look(browser, place: Path) -> tuple[float, float]:
    """Seconds until it is drawn, and until a search is answered."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    drawn = "new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
    started = time.perf_counter()
    page.goto((place / "reports" / "index.html").as_uri())
    page.evaluate(drawn)
    opened = time.perf_counter() - started
    started = time.perf_counter()
    page.keyboard.press("Tab")
    page.fill("#search", "a")
    page.evaluate(drawn)
    filtered = time.perf_counter() - started
    page.close()
    return opened, filtered


if __name__ == "__main__":
    sys.exit(main())
