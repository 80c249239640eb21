"""What the runner costs, beside plain papermill and beside the same code as one script.

.venv/bin/python -m benchmarks.runner.overhead [--repeats 3] [--skip-default]

Each pair is measured in turn, A B A B, in one go; the medians and their ratio are printed. The
plain script is `jupyter nbconvert --to python` of the notebooks, concatenated, in one process.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nbformat

from housing import paths

PYTHON = sys.executable
NOTEBOOKS = [paths.PROJECT_ROOT / "notebooks" / f"{one}.ipynb" for one in
             ("01_prep", "02_train", "03_register")]  # fmt: skip
MAIN = """
import sys
from pathlib import Path
from pipeline import Step, main
HERE = Path(__file__).parent
sys.exit(main([Step(f"s{{n}}", HERE / f"s{{n}}.ipynb") for n in range({count})], HERE))
"""
PAPERMILL = """
import sys, papermill
for n in range({count}):
    papermill.execute_notebook(
        f"s{{n % {files}}}.ipynb", f"out{{n}}.ipynb", {{"x": n}}, progress_bar=False
    )
"""


def main() -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--skip-default", action="store_true", help="not the run on the real data")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {options.repeats} repeats\n")
    print("| what | this runner, s | compared with | that, s | ratio |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        trivial(place, options.repeats)
        sweep(place, options.repeats)
        if not options.skip_default:
            default(place, options.repeats)


def pair(
    what: str, ours: Callable[[int], None], other: str, theirs: Callable[[int], None], repeats: int
) -> None:
    """One row: both measured in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(repeats):
        for kept, run in zip(times, (ours, theirs), strict=True):
            started = time.perf_counter()
            run(number)
            kept.append(time.perf_counter() - started)
    a, b = (statistics.median(one) for one in times)
    print(f"| {what} | {a:.2f} | {other} | {b:.2f} | {a / b:.2f} |", flush=True)


def run(*command: str, folder: Path, **environment: str) -> None:
    """To its end; its output only if it fails."""
    told = {**os.environ, "PAPERMILL_DISABLE_TELEMETRY": "1", **environment}
    done = subprocess.run(command, cwd=folder, env=told, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def trivial(place: Path, repeats: int) -> None:
    """Three notebooks of two cells, from the shell and back; then again with nothing changed."""
    folder = place / "trivial"
    folder.mkdir()
    for number in range(3):
        notebook(folder / f"s{number}.ipynb")
    (folder / "run_pipeline.py").write_text(MAIN.format(count=3))
    (folder / "plain.py").write_text(PAPERMILL.format(count=3, files=3))
    (folder / "script.py").write_text("x: int = 1\nprint(x + 1)\n" * 3)

    def ours(_number: int) -> None:
        run(PYTHON, "run_pipeline.py", "--force", folder=folder)

    def by_shell(_number: int) -> None:
        for number in range(3):
            command = [PYTHON, "-m", "papermill", f"s{number}.ipynb", "out.ipynb"]
            run(*command, "-p", "x", "3", folder=folder)

    def nothing(_number: int) -> None:
        run(PYTHON, "run_pipeline.py", folder=folder)

    def plain(_number: int) -> None:
        run(PYTHON, "plain.py", folder=folder)

    what = "three trivial notebooks, with reports"
    pair(what, ours, "papermill in one process", plain, repeats)
    pair(what, ours, "papermill's command, three times", by_shell, repeats)
    pair(
        what, ours, "their code as one script",
        lambda _: run(PYTHON, "script.py", folder=folder), repeats,
    )  # fmt: skip
    pair("the same, nothing changed", nothing, "papermill in one process", plain, repeats)


def sweep(place: Path, repeats: int) -> None:
    """A hundred variants of one notebook; the cost of each further one is a hundredth of it."""
    folder = place / "sweep"
    folder.mkdir()
    notebook(folder / "s0.ipynb")
    (folder / "run_pipeline.py").write_text(MAIN.format(count=1))
    (folder / "plain.py").write_text(PAPERMILL.format(count=100, files=1))
    values = ",".join(str(one) for one in range(100))
    for jobs, what in ((["--jobs", "1"], "one at a time"), ([], "side by side")):

        def ours(_number: int, jobs: list[str] = jobs) -> None:
            arguments = ["--sweep", f"s0.x={values}", *jobs, "--force"]
            run(PYTHON, "run_pipeline.py", *arguments, folder=folder)

        pair(
            f"100 notebooks in a sweep, {what}, with reports", ours, "papermill in one process",
            lambda _: run(PYTHON, "plain.py", folder=folder), 1,
        )  # fmt: skip


def notebook(path: Path) -> None:
    """A parameters cell and one that prints."""
    made = nbformat.v4.new_notebook()
    made.cells = [nbformat.v4.new_markdown_cell("# A notebook"),
                  nbformat.v4.new_code_cell("x: int = 1"),
                  nbformat.v4.new_code_cell("print(x + 1)")]  # fmt: skip
    made.cells[1].metadata["tags"] = ["parameters"]
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    nbformat.write(made, path)


def default(place: Path, repeats: int) -> None:
    """The pipeline on its default data, each time in a new home."""
    data = paths.PROJECT_ROOT / "data" / "raw" / "california_housing.csv"
    script = place / "script.py"
    for one in NOTEBOOKS:
        command = [PYTHON, "-m", "nbconvert", "--to", "python", "--output-dir", str(place)]
        run(*command, str(one), folder=place)
    script.write_text("\n".join((place / f"{one.stem}.py").read_text() for one in NOTEBOOKS))

    def home(name: str) -> str:
        made = place / name
        (made / "data" / "raw").mkdir(parents=True)
        shutil.copy(data, made / "data" / "raw")
        return str(made)

    def ours(number: int) -> None:
        here = paths.PROJECT_ROOT
        run(PYTHON, "run_pipeline.py", folder=here, HOUSING_HOME=home(f"ours-{number}"))

    def plain(number: int) -> None:
        told = {"HOUSING_HOME": home(f"plain-{number}"), "MPLBACKEND": "agg"}
        run(PYTHON, str(script), folder=place, **told)

    def nothing(number: int) -> None:
        home = str(place / f"ours-{number}")
        run(PYTHON, "run_pipeline.py", folder=paths.PROJECT_ROOT, HOUSING_HOME=home)

    pair("the default run, with reports", ours, "its code as one script", plain, repeats)
    pair(
        "the default run, nothing changed", nothing, "importing pandas",
        lambda _: run(PYTHON, "-c", "import pandas", folder=place), repeats,
    )  # fmt: skip


if __name__ == "__main__":
    main()
