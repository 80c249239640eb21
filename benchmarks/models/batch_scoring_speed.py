"""Throughput and memory of the champion on a folder of Parquet files.

.venv/bin/python -m benchmarks.models.batch_scoring_speed [--rows N] [--jobs 2] [--folder FOLDER]

Generates the rows (not timed), runs `run_pipeline.py score`, and samples the memory of its
processes meanwhile. It uses the checkout's champion: `make run` first. A million rows need 40 MB,
their predictions 65 MB.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from housing import paths
from housing.data.synthetic import generate_sample

PARTITION_ROWS = 500_000
SAMPLING_SECONDS = 0.1  # between two measurements of the memory


def main() -> None:
    """Print a Markdown table of one row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--folder", type=Path, help="for the files; by default the system's temporary folder"
    )
    options = parser.parse_args()
    print("| rows | processes | seconds | rows/s | peak memory, all processes |")
    print("|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        inputs, outputs = Path(folder) / "in", Path(folder) / "out"
        write_partitions(inputs, options.rows)
        seconds, peak = run_and_measure(
            sys.executable,
            paths.PROJECT_ROOT / "run_pipeline.py",
            "score",
            inputs,
            outputs,
            *("--jobs", str(options.jobs)),
        )
    rate = options.rows / seconds
    print(f"| {options.rows:,} | {options.jobs} | {seconds:.1f} | {rate:,.0f} | {peak:.0f} MB |")


def write_partitions(folder: Path, rows: int) -> None:
    """Write generated rows, PARTITION_ROWS in a file."""
    folder.mkdir()
    for number, start in enumerate(range(0, rows, PARTITION_ROWS)):
        count = min(PARTITION_ROWS, rows - start)
        file = folder / f"part-{number:05}.parquet"
        generate_sample(count, seed=number).to_parquet(file, index=False)


def run_and_measure(*command: str | Path) -> tuple[float, float]:
    """Run a command; return its seconds, and the peak memory of its process tree in MB (RSS)."""
    start, peak = time.perf_counter(), 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, tree_memory(root))
            time.sleep(SAMPLING_SECONDS)
        seconds, output = time.perf_counter() - start, process.stdout.read()
    if process.returncode:
        sys.exit(f"`score` failed with exit code {process.returncode}: {output}")
    return seconds, peak


def tree_memory(root: psutil.Process) -> float:
    """Return the memory of a process and all its descendants in MB."""
    total = 0
    try:
        for process in (root, *root.children(recursive=True)):
            total += process.memory_info().rss
    except psutil.Error:  # it has just ended
        pass
    return total / 1e6


if __name__ == "__main__":
    main()
