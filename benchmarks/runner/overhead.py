"""What the runner costs, beside plain papermill and beside the same code as one script.

.venv/bin/python -m benchmarks.runner.overhead [--repeats 3] [--skip-default]
.venv/bin/python -m benchmarks.runner.overhead --against ../older [--repeats 5]

The two sides of each comparison run in turn, A B A B; the medians and their ratio are printed. The
plain script is `jupyter nbconvert --to python` of the notebooks, concatenated, in one process.
--against compares with the runner of another checkout, in that checkout's environment, instead.
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
NOTEBOOKS = [
    paths.PROJECT_ROOT / "notebooks" / f"{name}.ipynb"
    for name in ("01_prep", "02_train", "03_register")
]
RUNNER_SCRIPT = """
import sys
from pathlib import Path
from pipeline import Step, main
HERE = Path(__file__).parent
sys.exit(main([Step(f"s{{n}}", HERE / f"s{{n}}.ipynb") for n in range({count})], HERE))
"""
PAPERMILL_SCRIPT = """
import sys, papermill
for n in range({count}):
    papermill.execute_notebook(
        f"s{{n % {files}}}.ipynb", f"out{{n}}.ipynb", {{"x": n}}, progress_bar=False
    )
"""
N_TRIVIAL = 3
N_VARIANTS = 100
PAPERMILL_TITLE = "papermill in one process"
MAX_OUTPUT = 2_000  # characters shown of a failed command


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--skip-default", action="store_true", help="skip the run on the real data")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="an older commit's")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {options.repeats} repeats\n")
    print("| what | this runner, s | compared with | that, s | ratio |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.against:
            compare_checkouts(folder, options.against.resolve(), options)
            return
        compare_trivial(folder, options.repeats)
        compare_sweep(folder)
        if not options.skip_default:
            compare_default(folder, options.repeats)


def compare(
    title: str,
    run_ours: Callable[[int], None],
    baseline_title: str,
    run_baseline: Callable[[int], None],
    repeats: int,
) -> None:
    """Run both sides in turn and print a row; each gets the number of the repeat."""
    our_times, baseline_times = [], []
    for number in range(repeats):
        for times, run in ((our_times, run_ours), (baseline_times, run_baseline)):
            start = time.perf_counter()
            run(number)
            times.append(time.perf_counter() - start)
    ours, baseline = statistics.median(our_times), statistics.median(baseline_times)
    print(
        f"| {title} | {ours:.2f} | {baseline_title} | {baseline:.2f} | {ours / baseline:.2f} |",
        flush=True,
    )


def run_command(*command: str, folder: Path, **variables: str) -> None:
    """Run a command in `folder`; exit with its output if it fails.

    variables: further environment variables.
    """
    environment = {**os.environ, "PAPERMILL_DISABLE_TELEMETRY": "1", **variables}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if result.returncode:
        output = result.stdout[-MAX_OUTPUT:] + result.stderr[-MAX_OUTPUT:]
        sys.exit(f"{' '.join(command)}\n{output}")


def compare_trivial(parent: Path, repeats: int) -> None:
    """Compare three notebooks of two cells, from start to exit; then with nothing changed."""
    folder = parent / "trivial"
    folder.mkdir()
    for number in range(N_TRIVIAL):
        write_notebook(folder / f"s{number}.ipynb")
    (folder / "run_pipeline.py").write_text(RUNNER_SCRIPT.format(count=N_TRIVIAL))
    (folder / "plain.py").write_text(PAPERMILL_SCRIPT.format(count=N_TRIVIAL, files=N_TRIVIAL))
    (folder / "script.py").write_text("x: int = 1\nprint(x + 1)\n" * N_TRIVIAL)

    def run_forced(_number: int) -> None:
        run_command(PYTHON, "run_pipeline.py", "--force", folder=folder)

    def run_unchanged(_number: int) -> None:
        run_command(PYTHON, "run_pipeline.py", folder=folder)

    def run_papermill(_number: int) -> None:
        run_command(PYTHON, "plain.py", folder=folder)

    def run_papermill_commands(_number: int) -> None:
        for number in range(N_TRIVIAL):
            command = [PYTHON, "-m", "papermill", f"s{number}.ipynb", "out.ipynb"]
            run_command(*command, "-p", "x", "3", folder=folder)

    def run_script(_number: int) -> None:
        run_command(PYTHON, "script.py", folder=folder)

    title = "three trivial notebooks, with reports"
    commands_title = "papermill's command, three times"
    compare(title, run_forced, PAPERMILL_TITLE, run_papermill, repeats)
    compare(title, run_forced, commands_title, run_papermill_commands, repeats)
    compare(title, run_forced, "their code as one script", run_script, repeats)
    compare("the same, nothing changed", run_unchanged, PAPERMILL_TITLE, run_papermill, repeats)


def compare_sweep(parent: Path) -> None:
    """Compare a hundred variants of one notebook; each further one costs a hundredth of it."""
    folder = parent / "sweep"
    folder.mkdir()
    write_notebook(folder / "s0.ipynb")
    (folder / "run_pipeline.py").write_text(RUNNER_SCRIPT.format(count=1))
    (folder / "plain.py").write_text(PAPERMILL_SCRIPT.format(count=N_VARIANTS, files=1))
    values = ",".join(str(value) for value in range(N_VARIANTS))

    def run_papermill(_number: int) -> None:
        run_command(PYTHON, "plain.py", folder=folder)

    for job_options, mode in ((["--jobs", "1"], "one at a time"), ([], "side by side")):

        def run_sweep(_number: int, job_options: list[str] = job_options) -> None:
            arguments = ["--sweep", f"s0.x={values}", *job_options, "--force"]
            run_command(PYTHON, "run_pipeline.py", *arguments, folder=folder)

        title = f"{N_VARIANTS} notebooks in a sweep, {mode}, with reports"
        compare(title, run_sweep, PAPERMILL_TITLE, run_papermill, 1)


def compare_checkouts(folder: Path, other: Path, options: argparse.Namespace) -> None:
    """Compare the runner of this checkout with that of another one."""
    sides = {"this": paths.PROJECT_ROOT, "other": other}
    data = paths.PROJECT_ROOT / "data" / "raw" / "california_housing.csv"
    for side in sides:
        (folder / side / "data" / "raw").mkdir(parents=True)
        shutil.copy(data, folder / side / "data" / "raw")
        for number in range(N_TRIVIAL):
            write_notebook(folder / side / f"s{number}.ipynb")
        (folder / side / "run_pipeline.py").write_text(RUNNER_SCRIPT.format(count=N_TRIVIAL))

    def run_trivial(side: str, *arguments: str) -> None:
        python = str(sides[side] / ".venv" / "bin" / "python")
        run_command(python, "run_pipeline.py", *arguments, folder=folder / side)

    def run_default(side: str, *arguments: str) -> None:
        python, home = str(sides[side] / ".venv" / "bin" / "python"), str(folder / side)
        command = (python, "run_pipeline.py", *arguments)
        run_command(*command, folder=sides[side], HOUSING_HOME=home)

    def compare_sides(title: str, run: Callable[..., None], *arguments: str) -> None:
        compare(
            title,
            lambda _number: run("this", *arguments),
            "the same, the other checkout",
            lambda _number: run("other", *arguments),
            options.repeats,
        )

    values = ",".join(str(value) for value in range(N_VARIANTS))
    compare_sides("three trivial notebooks, with reports", run_trivial, "--force")
    compare_sides("the same, nothing changed", run_trivial)
    compare_sides("100 notebooks in a sweep", run_trivial, "--sweep", f"s0.x={values}", "--force")
    if not options.skip_default:
        compare_sides("the default run, with reports", run_default, "--force")
        compare_sides("the default run, nothing changed", run_default)


def write_notebook(path: Path) -> None:
    """Write a notebook with a parameters cell and a cell that prints."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_markdown_cell("# A notebook"),
        nbformat.v4.new_code_cell("x: int = 1"),
        nbformat.v4.new_code_cell("print(x + 1)"),
    ]
    notebook.cells[1].metadata["tags"] = ["parameters"]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    nbformat.write(notebook, path)


def compare_default(folder: Path, repeats: int) -> None:
    """Compare the pipeline on its default data, each repeat in a new home."""
    data = paths.PROJECT_ROOT / "data" / "raw" / "california_housing.csv"
    script = folder / "script.py"
    for notebook in NOTEBOOKS:
        command = [PYTHON, "-m", "nbconvert", "--to", "python", "--output-dir", str(folder)]
        run_command(*command, str(notebook), folder=folder)
    script.write_text(
        "\n".join((folder / f"{notebook.stem}.py").read_text() for notebook in NOTEBOOKS)
    )

    def create_home(name: str) -> str:
        home = folder / name
        (home / "data" / "raw").mkdir(parents=True)
        shutil.copy(data, home / "data" / "raw")
        return str(home)

    def run_pipeline(home: str) -> None:
        run_command(PYTHON, "run_pipeline.py", folder=paths.PROJECT_ROOT, HOUSING_HOME=home)

    def run_first(number: int) -> None:
        run_pipeline(create_home(f"ours-{number}"))

    def run_unchanged(number: int) -> None:
        run_pipeline(str(folder / f"ours-{number}"))

    def run_script(number: int) -> None:
        variables = {"HOUSING_HOME": create_home(f"plain-{number}"), "MPLBACKEND": "agg"}
        run_command(PYTHON, str(script), folder=folder, **variables)

    def import_pandas(_number: int) -> None:
        run_command(PYTHON, "-c", "import pandas", folder=folder)

    title = "the default run, with reports"
    compare(title, run_first, "its code as one script", run_script, repeats)
    title = "the default run, nothing changed"
    compare(title, run_unchanged, "importing pandas", import_pandas, repeats)


if __name__ == "__main__":
    main()
