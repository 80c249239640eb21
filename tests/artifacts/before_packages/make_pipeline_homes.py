"""Make two homes of a small pipeline: one with runs of each kind, one whose runner was killed.

Run it at commit a728a4f, in that checkout and with its own environment:

    .venv/bin/python path/to/make_pipeline_homes.py

It writes the folders pipeline_home/ and killed_home/ beside itself, without reports/ and without
what only the runner's own processes read; and expected/, what the commands printed. {HOME} stands
for the home's path.
"""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from former_home import index_rows, page_facts

ARTIFACTS = Path(__file__).parent
HOME = Path("/tmp/a728a4f/a home")
RUN_PIPELINE = """
import sys
from pathlib import Path

from pipeline import Step, main

HERE = Path(__file__).parent
STEPS = [
    Step("prep", HERE / "prep.ipynb"),
    Step("train", HERE / "train.ipynb", watch=lambda: {"tracking store": "1732700000"}),
    Step("check", HERE / "check.ipynb", retries=1, backoff=0.1),
]
sys.exit(main(STEPS, HERE))
"""
# hand_over writes what housing.handover.hand_over wrote
TOY = '''"""What the notebooks of this folder share."""

import json
import os
from pathlib import Path

HERE = Path(__file__).parent


def hand_over(headline, notice="", links=None, results=None, pages=None):
    content = {
        "headline": headline,
        "notice": notice,
        "data": "Generated sample, 3 block groups, sha256 0348fd1903ed",
        "champion": "california-housing-sample version 2",
        "links": links or {},
        "made": results or {},
        "read": [],
        "pages": pages or {},
    }
    # the second is the name of the variable since the packages were split
    for variable in ("PIPELINE_HANDOVER", "PIPELINE_RESULTS"):
        if variable in os.environ:
            Path(os.environ[variable]).write_text(json.dumps(content, indent=2))
'''
PREP = [
    ("parameters", "rows: int = 3  # block groups"),
    (
        "",
        """
from pathlib import Path

import toy

folder = Path("out")
folder.mkdir(exist_ok=True)
(folder / "numbers.csv").write_text("".join(f"{row},{row * 2}\\n" for row in range(rows)))
print(f"{rows} rows written")
""",
    ),
    ("", 'toy.hand_over({"rows": str(rows)})'),
]
TRAIN = [
    (
        "parameters",
        "seed: int = 0  # of the split\nfail: bool = False  # stop with an error\n"
        "wait: float = 0.0  # seconds",
    ),
    (
        "",
        """
import time
from pathlib import Path

import toy

lines = Path("out/numbers.csv").read_text().splitlines()
Path(f"out/model-{seed}.txt").write_text(f"{len(lines)} rows")
display({"text/html": "<table><tr><td>ridge</td><td>$61,645</td></tr></table>"}, raw=True)
""",
    ),
    (
        "",
        """
print("training")
time.sleep(wait)
if fail:
    raise ValueError("the seed is unlucky")
""",
    ),
    (
        "",
        """
error = 61_645 - 100 * seed
toy.hand_over(
    {
        "RMSE": {"value": error, "text": f"${error:,}", "better": "lower", "before": 62_000},
        "family": "ridge regression",
    },
    notice="A GENERATED SAMPLE, not the real data",
    links={"MLflow run: 3f2a": "http://127.0.0.1:5000/#/experiments/1/runs/3f2a"},
    results={"model": f"m-{seed}"},
    pages={"model_card": {"title": "Model card", "markdown": "# Card\\n\\nIt knows **3** rows."}},
)
""",
    ),
    ("summary", 'print(f"RMSE ${error:,}")'),
]
CHECK = [
    ("parameters", 'flag: str = ""  # a file; if it is missing, the kernel dies once'),
    (
        "",
        """
import os
import signal
from pathlib import Path

import toy

models = [path.read_text() for path in sorted(Path("out").glob("model-*.txt"))]
if flag and not Path(flag).exists():
    Path(flag).touch()
    os.kill(os.getpid(), signal.SIGKILL)
""",
    ),
    (
        "",
        """
error = 61_645 - 100 * len(models)
result = {"value": error, "text": f"${error:,}", "better": "lower", "before": None}
toy.hand_over({"test RMSE": result, "checks": "all 10 passed"})
""",
    ),
]
NOTEBOOKS = {"prep": PREP, "train": TRAIN, "check": CHECK}


def main():
    expected = make_pipeline_home()
    store("pipeline_home", expected)
    expected = make_killed_home()
    store("killed_home", expected)


def make_pipeline_home():
    """Make a run of each kind; return name of a file -> what a command printed, or pages said."""
    write_project()
    runs = {
        "done": run(),
        "sweep": run("--sweep", "train.seed=1,2"),
        "failed": run("-p", "train.fail=True", exit_code=1),
        "retried": run("-p", "check.flag=flag"),
        "reused": run(),
    }
    (HOME / "flag").unlink()
    shutil.rmtree(HOME / "reports")  # so that no text names a report
    texts = {f"show_{name}.txt": command("show", run_id) for name, run_id in runs.items()}
    texts["runs.txt"] = command("runs")
    texts["explain.txt"] = command("--explain")
    texts["explain_other_seed.txt"] = command("--explain", "-p", "seed=7")
    texts["prune.txt"] = command("prune", "--keep", "1", "--dry-run")
    texts["nothing_to_do.txt"] = command()
    shutil.rmtree(HOME / "reports")
    for run_id in runs.values():
        command("render", run_id)
    texts["runs.json"] = json.dumps(runs, indent=1) + "\n"
    texts["pages.json"] = json.dumps(facts_of_reports(), indent=1) + "\n"
    index = (HOME / "reports" / "index.html").read_text()
    texts["index.json"] = json.dumps(index_rows(index), indent=1) + "\n"
    return texts


def facts_of_reports():
    """Return path below reports/ -> the facts of the page."""
    reports = HOME / "reports"
    return {
        str(path.relative_to(reports)): page_facts(path.read_text())
        for path in sorted(reports.glob("*/*.html"))
        if "latest" not in path.parts
    }


def make_killed_home():
    """Kill the runner while the second step runs; return what the commands print then."""
    write_project()
    process = subprocess.Popen(
        [sys.executable, "run_pipeline.py", "-p", "train.wait=600"],
        cwd=HOME,
        stdout=subprocess.PIPE,
        text=True,
    )
    while "training" not in "".join(map(Path.read_text, HOME.glob("var/runs/*/train.ipynb"))):
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(3)  # its watchdog ends the kernels
    shutil.rmtree(HOME / "reports")
    return {"runs.txt": command("runs"), "explain.txt": command("--explain")}


def write_project():
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    (HOME / "run_pipeline.py").write_text(RUN_PIPELINE)
    (HOME / "toy.py").write_text(TOY)
    for name, cells in NOTEBOOKS.items():
        notebook = nbformat.v4.new_notebook()
        notebook.cells.append(nbformat.v4.new_markdown_cell(f"# The {name} report", id=f"{name}-0"))
        for number, (tag, source) in enumerate(cells, 1):
            cell = nbformat.v4.new_code_cell(source.strip(), id=f"{name}-{number}")
            cell.metadata["tags"] = [tag] if tag else []
            notebook.cells.append(cell)
        kernel = {"name": "python3", "display_name": "", "language": "python"}
        notebook.metadata["kernelspec"] = kernel
        nbformat.write(notebook, HOME / f"{name}.ipynb")


def run(*arguments, exit_code=0):
    """Run the pipeline; return the id of the run."""
    process = subprocess.run([sys.executable, "run_pipeline.py", *arguments], cwd=HOME)
    assert process.returncode == exit_code, arguments
    return max(path.parent.name for path in HOME.glob("var/runs/*/run.json"))


def command(*arguments):
    """Return what a command prints."""
    return subprocess.run(
        [sys.executable, "run_pipeline.py", *arguments],
        cwd=HOME,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def store(name, expected):
    """Copy the home to a folder beside this file, its path replaced by a placeholder.

    expected: name of a file -> its text, for the folder expected/.
    """
    folder = ARTIFACTS / name
    shutil.rmtree(folder, ignore_errors=True)
    ignored = shutil.ignore_patterns(
        "reports", "__pycache__", "run_pipeline.py", "*.trace", "*.log", "*.lock", ".*", "*.stderr"
    )
    shutil.copytree(HOME, folder, ignore=ignored)
    (folder / "expected").mkdir()
    for file_name, text in expected.items():
        (folder / "expected" / file_name).write_text(text)
    for file in folder.rglob("*"):
        if file.is_file():
            file.write_text(file.read_text().replace(str(HOME), "{HOME}"))


if __name__ == "__main__":
    main()
