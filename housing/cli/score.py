"""What else a user of this project types: `run_pipeline.py score`. It prints."""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from housing.batch_scoring import Count, Plan

SCORE = """
Scores with the registered champion: each Parquet file of IN gets one of the same name in OUT, with
its columns and three more: prediction ($100,000), prediction_usd, and problem. A row with a value
that is missing or outside the accepted ranges gets no prediction (null), and its problem says why.
A file that lacks one of the eight columns, or has text in it, is refused before anything starts.

Each file's metadata names the model, version and run (housing.model, housing.model_version,
housing.run_id); the model itself is put into OUT/_model. Type the same again after a stop or with
new files in IN: what is there already, for the same file (its size and time of change) and the
same version, is left as it is. A new champion scores all again.
"""


def score(arguments: list[str]) -> int:
    """Parquet files of any size get the champion's answers."""
    parser = argparse.ArgumentParser(
        "run_pipeline.py score",
        description=SCORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("source", metavar="IN", type=Path, help="a Parquet file, or a folder of them")
    add("target", metavar="OUT", type=Path, help="the folder of the answers; made if it is missing")
    add("--dask", metavar="ADDRESS", help="a Dask scheduler (tcp://host:8786) whose workers see "
        "IN and OUT at the same paths; by default HOUSING_DASK, else this machine")  # fmt: skip
    add("--model", metavar="NAME", help="the registered model; by default the one that is served")
    add("--jobs", metavar="N", type=int, default=2, help="processes here (default: %(default)s)")
    asked = parser.parse_args(arguments)
    if asked.jobs < 1:
        raise ValueError(f"--jobs is {asked.jobs}, expected at least 1")
    try:
        return _score(asked)
    except RuntimeError as stopped:
        print(f"{stopped}\nWhat is done stays: type the same again to go on.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped by Ctrl-C; type the same again to go on", file=sys.stderr)
        return 130


def _score(asked: argparse.Namespace) -> int:
    started = time.perf_counter()
    from housing import batch_scoring
    from housing.registry import versions
    from housing.training.executors import workers

    found = versions.served(asked.model)
    if found is None:
        name = asked.model or versions.MODEL_NAMES["california"]
        raise LookupError(f"no version of {name} is champion yet: `run_pipeline.py` makes one")
    planned, fresh = batch_scoring.plan(asked.source, asked.target, found), []
    if planned.partitions:
        with workers(asked.dask, asked.jobs) as run, batch_scoring.alone(asked.target):
            folder = f"{found.name}-{found.version}-{found.run_id[:8]}"
            model = asked.target.resolve() / "_model" / folder / "model.onnx"
            versions.export(found, model.parent)
            fresh = batch_scoring.score(planned, model, run, _Progress(len(planned.partitions)))
    took = time.perf_counter() - started
    print(f"model: {found.name} version {found.version}")
    if found.tags["data_source"] == "sample":
        print("NOTE: it learnt from a generated sample, not from real data")
    print(_said(planned, fresh, took))
    print(f"answers: {asked.target.resolve()}")
    return 0


def _said(planned: "Plan", fresh: "list[Count]", took: float) -> str:
    lines, rows = [], sum(one.rows for one in fresh)
    if fresh:
        speed = f"{took:.1f} s, {rows / took:,.0f} rows/s"
        lines.append(f"scored: {rows:,} rows of {_files(fresh)} in {speed}")
    if planned.done:
        known = sum(one.rows for one in planned.done)
        lines.append(f"there already: {known:,} rows of {_files(planned.done)}")
    refused = sum(one.refused for one in [*fresh, *planned.done])
    lines.append(f"refused: {refused:,} rows" + (", each says its problem" if refused else ""))
    if planned.strangers:
        names = ", ".join(one.name for one in planned.strangers[:3])
        lines.append(f"NOTE: of {_files(planned.strangers)} IN has nothing (any more): {names}")
    return "\n".join(lines)


def _files(some: list) -> str:
    return "1 file" if len(some) == 1 else f"{len(some):,} files"


class _Progress:
    """A line on stderr that keeps up, where that is a terminal."""

    def __init__(self, files: int) -> None:
        self.files, self.done, self.rows, self.started = files, 0, 0, time.perf_counter()

    def __call__(self, count: "Count") -> None:
        self.done, self.rows = self.done + 1, self.rows + count.rows
        if not sys.stderr.isatty():
            return
        took = time.perf_counter() - self.started
        left = took / self.done * (self.files - self.done)
        said = f"{self.done:,}/{self.files:,} files  {self.rows:,} rows  about {left:.0f} s left"
        end = "\n" if self.done == self.files else ""
        print(f"\r\x1b[K{said}", end=end, file=sys.stderr, flush=True)
