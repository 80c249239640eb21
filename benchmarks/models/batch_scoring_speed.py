"""How fast the champion answers a folder of Parquet files, and in how much memory.

.venv/bin/python -m benchmarks.models.batch_scoring_speed [--rows 50000000] [--jobs 2] [--folder FOLDER]

Makes the rows up (not timed), types `run_pipeline.py score`, and looks at its processes meanwhile.
Asks the checkout's champion: `make run` first. A million rows take 40 MB, their answers 65 MB.
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

PARTITION = 500_000  # rows
OFTEN = 0.1  # seconds between two looks at the memory


def main() -> None:
    """Prints a Markdown table of one row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where there is room; by default for temporary")
    options = parser.parse_args()
    print("| rows | processes | seconds | rows/s | peak memory, all processes |")
    print("|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        given, out = Path(folder) / "in", Path(folder) / "out"
        made(given, options.rows)
        seconds, peak = watched(
            sys.executable, paths.PROJECT_ROOT / "run_pipeline.py", "score", given, out,
            "--jobs", str(options.jobs),
        )  # fmt: skip
    speed = options.rows / seconds
    print(f"| {options.rows:,} | {options.jobs} | {seconds:.1f} | {speed:,.0f} | {peak:.0f} MB |")


def made(folder: Path, rows: int) -> None:
    """The rows, a partition at a time."""
    folder.mkdir()
    for number, start in enumerate(range(0, rows, PARTITION)):
        count = min(PARTITION, rows - start)
        generate_sample(count, seed=number).to_parquet(
            folder / f"part-{number:05}.parquet", index=False
        )


def watched(*command: str | Path) -> tuple[float, float]:
    """The seconds it takes, and the most MB that it and its children hold at once (RSS)."""
    started, peak = time.perf_counter(), 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        us = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, memory(us))
            time.sleep(OFTEN)
        took, said = time.perf_counter() - started, process.stdout.read()
    if process.returncode:
        sys.exit(f"it failed with exit code {process.returncode}: {said}")
    return took, peak


def memory(process: psutil.Process) -> float:
    """MB of a process and all below it."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.Error:  # it has just ended
        pass
    return total / 1e6


if __name__ == "__main__":
    main()
